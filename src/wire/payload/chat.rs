//! Chunks of chat completions and of text completions; a whole answer is one with a `message`.

use serde::Deserialize;

use crate::report::failure::Fault;
use crate::report::lenient::{Content, Few, Index, Maybe, Raw, Text};

/// One chunk of a stream, or a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chunk<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) model: Text<'a>,
    #[serde(borrow)]
    pub(crate) choices: Few<Maybe<Choice<'a>>>,
    #[serde(borrow)]
    pub(crate) usage: Raw<'a>,
    #[serde(borrow)]
    pub(crate) service_tier: Text<'a>,
    #[serde(borrow)]
    pub(crate) x_groq: Maybe<Groq<'a>>,
    pub(crate) error: Fault,
}

/// Where Groq has the usage of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Groq<'a> {
    #[serde(borrow)]
    pub(crate) usage: Raw<'a>,
}

/// One choice: of a chunk it has a `delta`, of a whole answer a `message`, of a text completion a `text`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Choice<'a> {
    pub(crate) index: Index,
    #[serde(borrow)]
    pub(crate) delta: Maybe<Delta<'a>>,
    #[serde(borrow)]
    pub(crate) message: Maybe<Box<Delta<'a>>>,
    #[serde(borrow)]
    pub(crate) text: Text<'a>,
    #[serde(borrow)]
    pub(crate) finish_reason: Text<'a>,
    /// [`Logprobs`].
    #[serde(borrow)]
    pub(crate) logprobs: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Logprobs<'a> {
    #[serde(borrow)]
    pub(crate) content: Raw<'a>,
}

/// A message, or a fragment of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Delta<'a> {
    #[serde(borrow)]
    pub(crate) content: Content<'a>,
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    #[serde(borrow)]
    reasoning: Text<'a>,
    /// As OpenRouter has them.
    #[serde(borrow)]
    pub(crate) reasoning_details: Raw<'a>,
    /// Anthropic's, as gateways have them in chat messages.
    #[serde(borrow)]
    pub(crate) thinking_blocks: Raw<'a>,
    /// As Google has it.
    #[serde(borrow)]
    pub(crate) extra_content: Raw<'a>,
    #[serde(borrow)]
    pub(crate) refusal: Text<'a>,
    #[serde(borrow)]
    pub(crate) tool_calls: Few<Maybe<Box<ToolCall<'a>>>>,
    /// The only call of a model of 2023.
    #[serde(borrow)]
    pub(crate) function_call: Maybe<Box<Function<'a>>>,
    #[serde(borrow)]
    pub(crate) audio: Maybe<Box<Audio<'a>>>,
}

/// A tool call, or a fragment of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ToolCall<'a> {
    pub(crate) index: Index,
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(borrow)]
    pub(crate) function: Maybe<Function<'a>>,
    #[serde(borrow)]
    pub(crate) custom: Maybe<Function<'a>>,
    /// As compatible providers have it without `function`.
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) arguments: Content<'a>,
    /// As Google has it.
    #[serde(borrow)]
    pub(crate) extra_content: Raw<'a>,
}

/// What is called: a function with `arguments`, a custom tool with `input`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Function<'a> {
    #[serde(borrow)]
    pub(crate) name: Text<'a>,
    #[serde(borrow)]
    pub(crate) arguments: Content<'a>,
    #[serde(borrow)]
    pub(crate) input: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Audio<'a> {
    #[serde(borrow)]
    pub(crate) transcript: Text<'a>,
    #[serde(borrow)]
    pub(crate) data: Text<'a>,
}

impl Delta<'_> {
    /// Returns what was thought. Some providers send it under both names.
    pub(crate) fn thought(&self) -> &Text<'_> {
        match self.reasoning_content.is_empty() {
            true => &self.reasoning,
            false => &self.reasoning_content,
        }
    }
}
