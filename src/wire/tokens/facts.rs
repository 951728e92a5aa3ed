//! What is known of an answer so far, whatever its dialect.

use std::borrow::Cow;

use crate::report::floor_boundary;
use crate::report::lenient::Text;
use crate::report::{StreamFailure, Usage};

/// The most text kept for counting, in bytes; the rest is only measured.
const MAX_TEXT: usize = 1 << 20;

/// The longest model id or finish reason kept, in bytes.
const MAX_NAME: usize = 256;

/// What is known of an answer so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub usage: Option<Usage>,
    /// The usage covers the whole answer.
    pub usage_final: bool,
    pub model: Option<String>,
    /// The answer's id.
    pub id: Option<String>,
    /// The block of a message that has begun and has not ended.
    pub open_block: Option<u64>,
    pub finish_reason: Option<String>,
    /// Content has been seen.
    pub content: bool,
    /// The protocol's own end has been seen.
    pub complete: bool,
    pub text: Transcript,
    /// What the event being read has added.
    pub added: Added,
}

/// What an event added that reading it again would not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Added {
    #[default]
    Nothing,
    /// One text, unescaped: its address and its length in the event's data.
    One(usize, usize),
    /// More than that.
    Other,
}

/// What one event showed, beyond the facts.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub failure: Option<StreamFailure>,
    /// The event is there for its usage only, as `stream_options.include_usage` asks for it.
    pub usage_only: bool,
}

/// Generated text, kept up to a limit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Transcript {
    kept: String,
    /// Bytes that came after the limit.
    pub beyond: u64,
}

impl Facts {
    /// Generated text: content if there is any.
    pub(super) fn text(&mut self, text: &Text<'_>) {
        if !text.is_empty() {
            self.content = true;
            self.text.push(&text.0);
            self.added = match (self.added, &text.0) {
                (Added::Nothing, Cow::Borrowed(text)) => {
                    Added::One(text.as_ptr().addr(), text.len())
                }
                _ => Added::Other,
            };
        }
    }

    /// What reading an event that adds only `text` would do.
    pub(super) fn plain(&mut self, text: &str) {
        self.content |= !text.is_empty();
        self.text.push(text);
    }

    /// The first model named stays.
    pub(super) fn model(&mut self, model: &Text<'_>) {
        if self.model.is_none() {
            self.model = model.some().map(short);
        }
    }

    /// The first id given stays.
    pub(super) fn id(&mut self, id: &Text<'_>) {
        if self.id.is_none() {
            self.id = id.some().map(short);
        }
    }

    /// The last usage reported stays.
    pub(super) fn report(&mut self, usage: Usage, is_final: bool) {
        self.usage = Some(usage);
        self.usage_final |= is_final;
        self.added = Added::Other;
    }

    /// The last reason given stays.
    pub(super) fn finish_reason(&mut self, reason: &str) {
        self.added = Added::Other;
        if self.finish_reason.as_deref() != Some(reason) {
            self.finish_reason = Some(short(reason));
        }
    }
}

impl Transcript {
    pub(super) fn push(&mut self, text: &str) {
        let room = MAX_TEXT - self.kept.len();
        let (kept, beyond) = text.split_at(floor_boundary(text, room));
        self.kept.push_str(kept);
        self.beyond += beyond.len() as u64;
    }

    /// All of it, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.kept.len() as u64 + self.beyond
    }

    pub(super) fn as_str(&self) -> &str {
        &self.kept
    }
}

fn short(name: &str) -> String {
    name[..floor_boundary(name, MAX_NAME)].to_owned()
}
