//! Anthropic's messages.
//!
//! Wire facts: the API reference of messages (docs.claude.com/en/api/messages), "Streaming messages",
//! "Extended thinking", "Structured outputs" and "Tool use" on platform.claude.com/docs, and the request and
//! event types of the provider's own Python SDK, 2.12.

mod answer;
mod cache;
mod decode;
mod encode;
mod read;
mod thinking;
mod turns;
mod write;

pub(super) use answer::write_answer;
pub(super) use decode::{Decoder, read_answer};
pub(super) use encode::Encoder;
pub(super) use read::read_request;
pub(super) use thinking::{LEAST_BUDGET, budget_of, effort_of, lacks_its_thought};
pub(super) use write::write_request;
