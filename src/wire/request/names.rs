//! What a member's key is to routing.

use crate::{Endpoint, Surface};

/// A member that routing reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Model,
    Models,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
}

/// What a member's key is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A member that routing reads.
    Read(Field),
    /// A member that some parser could read in place of one that routing reads: an earlier duplicate, or
    /// a spelling that lenient decoders take for the same (Go's `encoding/json` ignores case, C libraries
    /// end a string at a NUL). It never travels upstream.
    Shadow,
    /// None of our business.
    Other,
}

impl Field {
    /// As it is spelled.
    pub(super) fn key(self) -> &'static str {
        match self {
            Field::Model => "model",
            Field::Models => "models",
            Field::Stream => "stream",
            Field::StreamOptions => "stream_options",
            Field::MaxTokens => "max_tokens",
            Field::MaxCompletionTokens => "max_completion_tokens",
            Field::MaxOutputTokens => "max_output_tokens",
        }
    }

    /// The members that routing reads at an endpoint; on other endpoints they are the provider's affair.
    pub(super) fn of(endpoint: Endpoint) -> &'static [Field] {
        use Field::{
            MaxCompletionTokens, MaxOutputTokens, MaxTokens, Model, Models, Stream, StreamOptions,
        };
        match endpoint {
            Endpoint::Generate(Surface::ChatCompletions) => &[
                Model,
                Models,
                Stream,
                StreamOptions,
                MaxTokens,
                MaxCompletionTokens,
            ],
            Endpoint::Generate(Surface::Completions) => {
                &[Model, Models, Stream, StreamOptions, MaxTokens]
            }
            Endpoint::Generate(Surface::Responses) => &[Model, Models, Stream, MaxOutputTokens],
            Endpoint::Generate(Surface::Messages) => &[Model, Models, Stream, MaxTokens],
            Endpoint::Generate(Surface::Embeddings) | Endpoint::CountTokens => &[Model, Models],
        }
    }

    /// What a key is at an endpoint.
    pub(super) fn named(endpoint: Endpoint, key: &str) -> Name {
        let fields = Field::of(endpoint);
        if let Some(field) = fields.iter().find(|field| field.key() == key) {
            return Name::Read(*field);
        }
        if fields.iter().any(|field| looks_like(key, field.key())) {
            return Name::Shadow;
        }
        Name::Other
    }
}

/// Whether a lenient parser could read `key` as `name`, which is lower-case ASCII.
pub(super) fn looks_like(key: &str, name: &str) -> bool {
    let mut name = name.chars();
    let mut key = key.chars().take_while(|c| *c != '\0');
    key.all(|c| name.next() == Some(fold(c))) && name.next().is_none()
}

/// Simple case folding onto ASCII: the long s and the Kelvin sign are the only others that fold there.
fn fold(c: char) -> char {
    match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    }
}
