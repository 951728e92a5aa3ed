//! OpenAI's chat completions.
//!
//! Wire facts: the API reference of chat completions (platform.openai.com/docs/api-reference/chat), and for
//! reasoning the fields `reasoning_content` (DeepSeek's API reference) and `thinking_blocks` (LiteLLM's
//! documentation, "Thinking / Reasoning Content"), by which gateways carry it. What else providers want back is in `opaque`.

mod answer;
mod calls;
mod decode;
mod encode;
mod opaque;
mod parts;
mod read;
mod turns;
mod write;

pub(super) use answer::write_answer;
pub(super) use decode::{Decoder, read_answer};
pub(super) use encode::Encoder;
pub(super) use opaque::{THOUGHTS, stand_in};
pub(super) use parts::{mark as read_mark, thinking_block, thinking_value};
pub(super) use read::{choice as read_choice, read_request};
pub(super) use turns::breakpoint;
pub(super) use write::{hashed, write_common, write_request};
