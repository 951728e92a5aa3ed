//! OpenAI's responses, stateless: the whole input comes with every request.
//!
//! Wire facts: the API reference of responses and of their streaming events
//! (platform.openai.com/docs/api-reference/responses, .../responses-streaming), the request and event types of
//! the provider's own Python SDK, 3.54, and what coding agents were seen to send.

mod answer;
mod blocks;
mod decode;
mod encode;
mod items;
mod read;
mod write;

pub(super) use answer::write_answer;
pub(super) use decode::{Decoder, read_answer};
pub(super) use encode::Encoder;
pub(super) use read::{echo_of, read_request};
pub(super) use write::write_request;
