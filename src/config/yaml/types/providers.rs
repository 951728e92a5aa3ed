//! Providers, their credentials and models.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::catalog::{Auth, Effort, ErrorRule, Modality, Thoughts, Vendor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prices, Timeouts};
use tollgate_base::Secret;
use tollgate_wire::Surface;

/// A provider: credentials and changes for a built-in one, a whole definition of a custom one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// A built-in provider's id (see `tollgate catalog providers`), or a new one.
    pub id: String,
    /// For people.
    pub display_name: Option<String>,
    /// Where the API is. Without a path, `/v1` is appended; a path and a query are kept around the surface's own path.
    pub base_url: Option<String>,
    /// How the key travels. Default: what the surface's dialect does (`Authorization: Bearer`, or `x-api-key` for Anthropic).
    pub auth: Option<Auth>,
    /// The API shapes the provider offers. Default for a custom provider: `openai/chat-completions`.
    pub surfaces: Option<Vec<Surface>>,
    /// Headers added to every upstream request.
    pub headers: BTreeMap<String, String>,
    /// Headers of clients that are let through to the provider although its API is not known to read them; a name that
    /// ends in `-` is the beginning of many. Never credentials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forward_headers: Vec<String>,
    /// What errors of the provider mean, before the built-in table is asked: the first one that fits counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub error_rules: Vec<ErrorRule>,
    /// PEM file with the certificate authorities to trust for this provider, instead of the system's; relative to
    /// this file.
    pub ca: Option<PathBuf>,
    /// Whether models outside the catalog may be called as `provider:model`. Default true.
    pub passthrough: Option<bool>,
    /// Whose rules its API follows, so that requests to it are adapted as they are for that vendor's own API: where it wants
    /// thoughts back, how thinking is switched off, which ids of calls it takes. Default for a custom provider: nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
    /// Whether its chat completions take Anthropic's `thinking_blocks` and `cache_control` too, as gateways like
    /// LiteLLM and OpenRouter do; thoughts and cache marks of translated requests are sent there then. Default false.
    pub chat_extensions: Option<bool>,
    /// Whether it has OpenAI's WebSocket mode beside `openai/responses`: turns of a client's WebSocket are asked over one as
    /// well then, and send only what is new. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<bool>,
    /// Top-level request fields that the provider refuses; they are removed.
    pub unsupported_parameters: Vec<String>,
    /// Overrides for this provider.
    pub timeouts: Timeouts,
    /// Bring-your-own credentials: the provider bills their owner.
    pub keys: Vec<ProviderKey>,
    /// The operator's credentials: credits pay the model's price.
    pub managed_keys: Vec<ProviderKey>,
    /// Models to add or, under a known id, to change.
    pub models: Vec<Model>,
}

/// A provider's credential.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// Referred to by routing steps; unique among all providers.
    pub id: String,
    /// The credential: `${ENVIRONMENT_VARIABLE}`, `file:/path` (relative to
    /// this file), or the text itself. With `${NAME:-}`, the key is left out while the variable is not set.
    pub value: Secret,
    /// The account that may use a user key. Default `default`.
    #[serde(default)]
    pub account: Option<String>,
}

/// A model: a new one, or changes to a known one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// The id that the provider knows.
    pub id: String,
    /// For people.
    pub display_name: Option<String>,
    /// Other ids that clients may use.
    pub aliases: Vec<String>,
    /// Tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// Tokens of the longest answer; a request's own limit is lowered to this.
    pub max_output_tokens: Option<u64>,
    /// What the model reads or makes.
    pub modalities: Option<Vec<Modality>>,
    /// What the model can do and takes; what is absent is unknown, and allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// What it costs; what is absent is unknown, never zero.
    pub prices: Option<Prices>,
    /// The API shapes the model is offered on. Default: the provider's.
    pub surfaces: Option<Vec<Surface>>,
    /// Top-level request fields that the model refuses; they are removed.
    pub unsupported_parameters: Vec<String>,
    /// Overrides for this model.
    pub timeouts: Timeouts,
}

/// What a model can do and takes. Requests are adapted to it, and `x-tollgate-dropped` says what that cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Whether it reasons before it answers. With false, efforts and thinking are not sent to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// Whether its reasoning can be turned off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toggle: Option<bool>,
    /// The efforts of reasoning that it takes; another one becomes the nearest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efforts: Option<Vec<Effort>>,
    /// Where in chat messages it wants its own thoughts back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thoughts: Option<Thoughts>,
    /// Whether it takes `temperature` and `top_p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<bool>,
    /// Whether it takes a schema for its answer. With false, it is asked for one in the system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured_output: Option<bool>,
}
