//! Anthropic's messages.
//!
//! Wire facts: the API reference of messages (docs.claude.com/en/api/messages), "Streaming messages",
//! "Extended thinking", "Structured outputs" and "Tool use" on platform.claude.com/docs, and the request and
//! event types of the provider's own Python SDK, 2.12.

mod answer;
mod decode;
mod encode;
mod read;
mod turns;
mod write;

pub use answer::{read_answer, write_answer};
pub use decode::Decoder;
pub use encode::Encoder;
pub use read::read_request;
pub use write::write_request;
