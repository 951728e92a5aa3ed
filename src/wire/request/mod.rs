//! Request bodies, read once: what routing needs is found, everything else stays bytes.
//!
//! The invariant: *the model that was authorized is the model that every parser reads.* A body is
//! validated whole (UTF-8, JSON, depth), and [`RequestBody::render`] removes whatever could be read as
//! another value of a member that routing reads: earlier duplicates, and spellings that lenient
//! parsers take for the same name. If nothing must change, the bytes that arrived are the bytes that
//! leave, without a copy.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::skip::What;
use super::{Endpoint, Surface};

mod asked;
mod fields;
mod index;
mod names;
mod render;
mod scan;
mod session;
#[cfg(test)]
mod tests;
mod text;

pub use super::skip::MAX_DEPTH;
pub use asked::{Asked, Extra, Paid};
pub use render::Edit;

use fields::{Read, StreamOptions};
use index::Member;
use names::{Field, Name};

/// Longest model id, in bytes.
pub(crate) const MAX_MODEL: usize = 1024;

/// Most entries of `models`.
pub(crate) const MAX_FALLBACKS: usize = 32;

/// Largest token limit: the largest integer that every JSON parser reads alike (2⁵³ − 1).
pub(crate) const MAX_TOKEN_LIMIT: u64 = (1 << 53) - 1;

/// Why a body is refused, in words for its sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// What is wrong and what to do; never quotes the body.
    pub message: String,
    /// The top-level member at fault, if it is one.
    pub param: Option<&'static str>,
}

impl BadRequest {
    pub(crate) fn body(message: impl Into<String>) -> Self {
        BadRequest {
            message: message.into(),
            param: None,
        }
    }

    pub(crate) fn param(param: &'static str, message: impl Into<String>) -> Self {
        BadRequest {
            message: message.into(),
            param: Some(param),
        }
    }
}

/// A member of a JSON object, as byte ranges of its text.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its key, as it is meant.
    pub key: String,
    /// Key and value.
    pub all: Range<usize>,
    /// Its value.
    pub value: Range<usize>,
}

/// Validates a whole text as one JSON object, and finds its members, duplicates included.
pub(crate) fn parts(bytes: &[u8]) -> Result<Vec<Part>, BadRequest> {
    let text = index::text(bytes)?;
    let members = index::members(text, usize::MAX, |_| Name::Other)
        .map_err(|fault| index::refusal(text, fault))?;
    let parts = members.into_iter().map(|member| Part {
        key: member.key(bytes).into_owned(),
        all: member.start..member.value.end,
        value: member.value,
    });
    Ok(parts.collect())
}

/// A validated request body with an index of its top-level members.
#[derive(Clone, Debug)]
pub struct RequestBody {
    bytes: Bytes,
    endpoint: Endpoint,
    members: Vec<Member>,
    read: Read,
}

impl RequestBody {
    /// Validates a whole body and finds what routing needs.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] when the body is not one UTF-8 JSON object of at most [`MAX_DEPTH`] levels and
    /// `MAX_MEMBERS` top-level members, or a member that routing reads has the wrong type.
    pub fn parse(endpoint: Endpoint, bytes: Bytes) -> Result<RequestBody, BadRequest> {
        let text = index::text(&bytes)?;
        let members = index::members(text, usize::MAX, |key| Field::named(endpoint, key))
            .map_err(|fault| index::refusal(text, fault))?;
        RequestBody::of(endpoint, &bytes, text, members)
    }

    /// Does the same if the body has at most so many values, be they long; `None` if it has more, after so many.
    pub fn parse_few(
        endpoint: Endpoint,
        bytes: &Bytes,
        values: usize,
    ) -> Option<Result<RequestBody, BadRequest>> {
        let text = match index::text(bytes) {
            Ok(text) => text,
            Err(refusal) => return Some(Err(refusal)),
        };
        Some(
            match index::members(text, values, |key| Field::named(endpoint, key)) {
                Ok(members) => RequestBody::of(endpoint, bytes, text, members),
                Err(fault) if fault.what == What::Values => return None,
                Err(fault) => Err(index::refusal(text, fault)),
            },
        )
    }

    fn of(
        endpoint: Endpoint,
        bytes: &Bytes,
        text: &str,
        mut members: Vec<Member>,
    ) -> Result<RequestBody, BadRequest> {
        index::shadow_duplicates(&mut members);
        let read = Read::of(text, &members)?;
        // Completions may be asked for nothing but what they were given, and messages for a warm cache.
        let answers = [Surface::ChatCompletions, Surface::Responses];
        if read.max_output_tokens == Some(0) && answers.map(Endpoint::Generate).contains(&endpoint)
        {
            return Err(fields::no_tokens(&members));
        }
        Ok(RequestBody {
            bytes: bytes.clone(),
            endpoint,
            members,
            read,
        })
    }

    /// Returns the bytes as they arrived.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the endpoint that the body was sent to.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// `model`, as written: possibly an alias, possibly with a provider's prefix. Never empty.
    pub fn model(&self) -> &str {
        &self.read.model
    }

    /// `models`: what to try after [`model`](Self::model), in order. At most `MAX_FALLBACKS`, none empty.
    pub fn fallbacks(&self) -> &[String] {
        &self.read.fallbacks
    }

    /// Returns whether the answer is to be a stream. Always false for embeddings and token counts.
    pub fn stream(&self) -> bool {
        self.read.stream
    }

    /// Returns whether the client itself asked for the usage chunk (`stream_options.include_usage`) of an
    /// OpenAI stream. False for surfaces that always report usage.
    pub fn wants_usage_chunk(&self) -> bool {
        self.read.stream
            && matches!(
                self.read.stream_options,
                StreamOptions::Object {
                    include_usage: true,
                    ..
                }
            )
    }

    /// Returns the request's own limit on answer tokens: `max_tokens`, `max_completion_tokens` or
    /// `max_output_tokens`, whichever the surface has; the larger if a chat completion gives both.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.read.max_output_tokens
    }

    /// Returns an upper bound of the prompt's tokens without counting: every token is at least one byte.
    ///
    /// Media that a body only points to (a URL, a file id, a previous response) are outside the bound.
    pub fn prompt_bound(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// Hands the prompt's text to `sink`, piece by piece: messages, system, input, prompt, instructions,
    /// and tools (as JSON). Any shape is tolerated; media, ids and signatures are left out.
    ///
    /// Returns the tokens that need no counting: prompts may be given as arrays of token ids.
    pub fn prompt_text(&self, sink: &mut dyn FnMut(&str)) -> u64 {
        text::prompt(self, sink)
    }

    /// Returns the names of the top-level members that routing does not read, as they are meant (unescaped), in their
    /// order.
    pub fn other_names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let others = self.members.iter();
        let others = others.filter(|member| member.name == Name::Other);
        others.map(|member| member.key(&self.bytes))
    }

    /// Returns whether the body has a top-level member of this name that [`Edit::strip`] would remove.
    pub fn can_strip(&self, name: &str) -> bool {
        self.members.iter().any(|member| match member.name {
            Name::Shadow | Name::Read(Field::Model | Field::Models | Field::Stream) => false,
            Name::Read(field) => field.key() == name,
            Name::Other => member.key(&self.bytes) == name,
        })
    }

    /// Returns the bytes for one candidate: the same [`Bytes`] if nothing must change, else a spliced copy in
    /// which every member that `edit` does not concern is kept byte for byte, in its place.
    pub fn render(&self, edit: &Edit<'_>) -> Bytes {
        render::render(self, edit)
    }
}
