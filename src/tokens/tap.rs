//! Looks at one attempt's answer while its bytes pass.

use bytes::Bytes;

use super::{StreamFailure, Usage};
use crate::dialect::{Endpoint, Surface};

/// Looks at one attempt's answer while its bytes pass.
#[derive(Debug)]
pub struct Tap {}

/// What one chunk showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The bytes to forward, possibly none: the bytes fed, unless a usage chunk is cut out or the
    /// tail of an unfinished event is held back.
    pub out: Bytes,
    /// Whether content was seen at any time so far, before any failure: the attempt may commit.
    pub content: bool,
    /// The first failure among the events this chunk completed. [`Seen::content`] tells whether
    /// content came before it.
    pub failure: Option<StreamFailure>,
}

impl Tap {
    /// A tap for a `text/event-stream` answer. `strip_usage_chunk` cuts out the chunk that a chat
    /// or text completion sends because of `stream_options.include_usage`; other surfaces ignore it.
    pub fn stream(surface: Surface, strip_usage_chunk: bool) -> Tap {
        let _ = (surface, strip_usage_chunk);
        Tap {}
    }

    /// A tap for an answer that is one JSON document.
    pub fn whole(endpoint: Endpoint) -> Tap {
        let _ = endpoint;
        Tap {}
    }

    /// Looks at the next bytes of the (uncompressed) answer.
    pub fn feed(&mut self, chunk: Bytes) -> Seen {
        Seen { out: chunk, ..Seen::default() }
    }

    /// The answer has ended: yields what was held back, and what its last, unterminated event showed.
    /// A whole answer is judged here: `content` if it is a good one, else `failure`.
    pub fn finish(&mut self) -> Seen {
        Seen::default()
    }

    /// Whether an SSE comment may be written after the bytes forwarded so far.
    pub fn at_boundary(&self) -> bool {
        false
    }

    /// Whether the protocol's own end has been seen: `[DONE]`, `message_stop`, `response.completed`,
    /// `.incomplete` or `.failed`; for a whole answer, that it parsed.
    pub fn complete(&self) -> bool {
        false
    }

    /// Whether a clean end of the body here is a whole answer: [`Tap::complete`], or a chat or text
    /// completion whose finish reason was seen (some providers send no `[DONE]`).
    pub fn may_end(&self) -> bool {
        false
    }

    /// What the provider reported so far. Before [`Tap::usage_final`] the output may be short.
    pub fn usage(&self) -> Option<Usage> {
        None
    }

    /// Whether [`Tap::usage`] is about the whole answer (Anthropic reports the prompt first, and the
    /// output only at the end).
    pub fn usage_final(&self) -> bool {
        false
    }

    /// The model that the answer names.
    pub fn model(&self) -> Option<&str> {
        None
    }

    /// Why the answer ended, in the provider's words (`stop`, `end_turn`, `completed`).
    pub fn finish_reason(&self) -> Option<&str> {
        None
    }

    /// The text generated so far, for counting: text, reasoning, refusals, names and arguments of
    /// tool calls, in the order they came. Of a whole answer only when it reports no usage.
    pub fn output_text(&self) -> &str {
        ""
    }
}
