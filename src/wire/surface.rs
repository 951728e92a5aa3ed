//! API shapes: which path speaks which dialect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One API shape that a provider offers and a client calls.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Surface {
    /// `POST /v1/chat/completions`
    #[serde(rename = "openai/chat-completions")]
    ChatCompletions,
    /// `POST /v1/completions`
    #[serde(rename = "openai/completions")]
    Completions,
    /// `POST /v1/responses`
    #[serde(rename = "openai/responses")]
    Responses,
    /// `POST /v1/embeddings`
    #[serde(rename = "openai/embeddings")]
    Embeddings,
    /// `POST /v1/messages` and `POST /v1/messages/count_tokens`
    #[serde(rename = "anthropic/messages")]
    Messages,
}

/// Whose error shape, authentication header and conventions a surface follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

/// One endpoint that is proxied to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A surface's main endpoint, which generates.
    Generate(Surface),
    /// `POST /v1/messages/count_tokens`, which only counts.
    CountTokens,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Surface; 5] = [
        Surface::ChatCompletions,
        Surface::Completions,
        Surface::Responses,
        Surface::Embeddings,
        Surface::Messages,
    ];

    /// Returns the name used in configuration, metrics and usage events, for example `openai/responses`.
    pub fn name(self) -> &'static str {
        match self {
            Surface::ChatCompletions => "openai/chat-completions",
            Surface::Completions => "openai/completions",
            Surface::Responses => "openai/responses",
            Surface::Embeddings => "openai/embeddings",
            Surface::Messages => "anthropic/messages",
        }
    }

    /// Top-level request fields without which a request would not be the same request, or none at all: they go to
    /// every provider, whatever it says it supports.
    pub fn essential_fields(self) -> &'static [&'static str] {
        match self {
            Surface::ChatCompletions => &["messages"],
            Surface::Completions => &["prompt"],
            Surface::Responses => &["input", "instructions"],
            Surface::Embeddings => &["input"],
            Surface::Messages => &["messages", "system"],
        }
    }

    /// Returns whose conventions the surface follows.
    pub fn dialect(self) -> Dialect {
        match self {
            Surface::Messages => Dialect::Anthropic,
            _ => Dialect::OpenAi,
        }
    }

    /// Returns the surfaces on which a call of this one may be served, itself first, then those it is translated to.
    ///
    /// The nearest translation comes first. What a model thought travels between messages and responses with its
    /// proof, and chat completions have no place for it; so those two prefer each other. Chat completions prefer
    /// messages, which have their stop sequences; responses do not.
    pub fn served_by(self) -> &'static [Surface] {
        use Surface::{ChatCompletions, Completions, Embeddings, Messages, Responses};
        match self {
            ChatCompletions => &[ChatCompletions, Messages, Responses],
            Responses => &[Responses, Messages, ChatCompletions],
            Messages => &[Messages, Responses, ChatCompletions],
            Completions => &[Completions],
            Embeddings => &[Embeddings],
        }
    }
}

impl Endpoint {
    /// Returns the endpoint a request path names, `None` for any other path.
    pub fn of_path(path: &str) -> Option<Endpoint> {
        Some(match path {
            "/v1/chat/completions" => Endpoint::Generate(Surface::ChatCompletions),
            "/v1/completions" => Endpoint::Generate(Surface::Completions),
            "/v1/responses" => Endpoint::Generate(Surface::Responses),
            "/v1/embeddings" => Endpoint::Generate(Surface::Embeddings),
            "/v1/messages" => Endpoint::Generate(Surface::Messages),
            "/v1/messages/count_tokens" => Endpoint::CountTokens,
            _ => return None,
        })
    }

    /// Returns the surface a provider must have to serve this endpoint.
    pub fn surface(self) -> Surface {
        match self {
            Endpoint::Generate(surface) => surface,
            Endpoint::CountTokens => Surface::Messages,
        }
    }

    /// Returns the surfaces on which a call of this endpoint may be served, the best first.
    pub fn served_by(self) -> &'static [Surface] {
        match self {
            Endpoint::Generate(surface) => surface.served_by(),
            Endpoint::CountTokens => &[Surface::Messages],
        }
    }

    /// Returns the path below a provider's base URL, which itself ends in the version (`/v1`).
    pub fn upstream_path(self) -> &'static str {
        match self {
            Endpoint::Generate(Surface::ChatCompletions) => "/chat/completions",
            Endpoint::Generate(Surface::Completions) => "/completions",
            Endpoint::Generate(Surface::Responses) => "/responses",
            Endpoint::Generate(Surface::Embeddings) => "/embeddings",
            Endpoint::Generate(Surface::Messages) => "/messages",
            Endpoint::CountTokens => "/messages/count_tokens",
        }
    }
}
