//! The shape of the YAML, exactly as an operator writes it. The JSON Schema is generated from here,
//! so the doc comments are what an editor shows.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::units::{ByteSize, Span, Usd};
use crate::catalog::TimeoutOverrides;
use crate::dialect::Surface;

/// Tollgate's configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// More files, as paths or glob patterns relative to this file; their lists are appended to this file's.
    pub include: Vec<String>,
    /// The listener that applications call.
    pub proxy: Proxy,
    /// The listener for operators: metrics and health.
    pub admin: Admin,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Token limits for every request.
    pub limits: TokenLimits,
    /// Whether a failed candidate is followed by the next one. Default true.
    pub failover: Option<bool>,
    /// What is written about each request.
    pub log: Log,
    /// Who owns keys.
    pub accounts: Vec<Account>,
    /// Providers: credentials for built-in ones, whole definitions of custom ones.
    pub providers: Vec<Provider>,
    /// What access keys may call, and which credentials serve them.
    pub configurations: Vec<Configuration>,
    /// What applications send.
    pub access_keys: Vec<AccessKey>,
    /// The built-in provider that answers offline and misbehaves on request.
    pub demo: Demo,
}

/// The listener that applications call.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Addresses to listen on without TLS (HTTP/1.1, and HTTP/2 with prior knowledge). Default `127.0.0.1:8080`.
    pub listen: Option<Vec<String>>,
    /// Listeners with TLS (HTTP/1.1 and HTTP/2 by ALPN).
    pub tls: Option<Tls>,
    /// Worker threads; 0 is one per core. Default 0.
    pub threads: Option<usize>,
    /// Largest request body, after decompression. Default 32MiB.
    pub max_body: Option<ByteSize>,
    /// Largest request head. Default 64KiB.
    pub max_headers: Option<ByteSize>,
    /// Most requests under way at once; further ones are answered 503. 0 is no limit. Default 0.
    pub max_in_flight: Option<u64>,
    /// How long a client may take to send its request's whole head, and how long it may pause in its body. Default 30s.
    pub read_timeout: Option<Span>,
    /// How long a client may leave its connection idle between requests. Default 75s.
    pub keepalive: Option<Span>,
    /// How long running answers may go on after SIGTERM. Default 10m.
    pub drain: Option<Span>,
}

/// Listeners with TLS.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// PEM file with the certificate chain, relative to this file.
    pub cert: PathBuf,
    /// PEM file with the private key, relative to this file.
    pub key: PathBuf,
}

/// The listener for operators.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address to listen on. Default `127.0.0.1:9090`.
    pub listen: Option<String>,
}

/// How long things may take. The most specific wins: configuration, then model, then provider, then global.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From the start of an attempt to the start of its answer. Default 60s.
    pub per_request: Option<Span>,
    /// From the request to the start of an answer, over all attempts. Default 120s.
    pub total: Option<Span>,
    /// Silence inside an answer that has started. Default 60s.
    pub stream_idle: Option<Span>,
    /// How long a streaming client waits for a status before it is given `200` and keep-alive comments. Default 10s.
    pub hold: Option<Span>,
    /// How long an upstream may be silent inside a stream before the client is sent a keep-alive comment; 0s is never. Default 15s.
    pub keepalive: Option<Span>,
}

impl Timeouts {
    /// The same, as the rest of the program counts time.
    pub fn overrides(&self) -> TimeoutOverrides {
        TimeoutOverrides {
            per_request: self.per_request.map(Span::duration),
            total: self.total.map(Span::duration),
            stream_idle: self.stream_idle.map(Span::duration),
            hold: self.hold.map(Span::duration),
            keepalive: self.keepalive.map(Span::duration),
        }
    }
}

/// Token limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenLimits {
    /// Requests with more prompt tokens are refused with 413.
    pub max_input_tokens: Option<u64>,
    /// The request's own token limit is lowered to this.
    pub max_output_tokens: Option<u64>,
}

/// What is written about each request.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// One JSON line a request: `stdout`, `off`, or a file's path (relative to the working directory). Default
    /// `stdout`.
    pub access: Option<String>,
}

/// Who owns keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Referred to by `access_keys[].account`. The account `default` always exists.
    pub id: String,
}

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
    pub headers: std::collections::BTreeMap<String, String>,
    /// PEM file with the certificate authorities to trust for this provider, instead of the system's; relative to
    /// this file.
    pub ca: Option<PathBuf>,
    /// Whether models outside the catalog may be called as `provider:model`. Default true.
    pub passthrough: Option<bool>,
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

/// How a provider's key travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `x-api-key: KEY`
    XApiKey,
    /// `api-key: KEY`, as Azure wants it.
    ApiKey,
    /// No credential is sent, and none is needed.
    None,
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
    /// What it costs; what is absent is unknown, never zero.
    pub prices: Option<Prices>,
    /// The API shapes the model is offered on. Default: the provider's.
    pub surfaces: Option<Vec<Surface>>,
    /// Top-level request fields that the model refuses; they are removed.
    pub unsupported_parameters: Vec<String>,
    /// Overrides for this model.
    pub timeouts: Timeouts,
}

/// What a model reads or makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Modality {
    Text,
    Image,
    Audio,
    Video,
    File,
    Embedding,
}

/// US dollars per million tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// Prompt tokens.
    pub input: Option<Usd>,
    /// Prompt tokens read from the provider's cache. Default: the price of input.
    pub cached_read: Option<Usd>,
    /// Prompt tokens written to the provider's cache. Default: the price of input.
    pub cache_write: Option<Usd>,
    /// Answer tokens.
    pub output: Option<Usd>,
    /// Prices that replace the ones above for a whole request once its prompt is longer than `above` tokens.
    pub tiers: Vec<PriceTier>,
}

/// Prices of long prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceTier {
    /// The tier holds for prompts of more tokens than this.
    pub above: u64,
    /// Prompt tokens.
    #[serde(default)]
    pub input: Option<Usd>,
    /// Prompt tokens read from the provider's cache.
    #[serde(default)]
    pub cached_read: Option<Usd>,
    /// Prompt tokens written to the provider's cache.
    #[serde(default)]
    pub cache_write: Option<Usd>,
    /// Answer tokens.
    #[serde(default)]
    pub output: Option<Usd>,
}

/// What an access key may call, and which credentials serve it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// Referred to by `access_keys[].configuration`.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// Allow lists; absent allows all.
    pub access: Access,
    /// Which credentials serve; without rules, the account's user keys and then managed keys.
    pub router: Router,
    /// Overrides the global `failover`.
    pub failover: Option<bool>,
    /// Overrides for callers with this configuration.
    pub timeouts: Timeouts,
    /// Overrides the global token limits.
    pub limits: TokenLimits,
}

/// Allow lists.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Provider ids.
    pub providers: AllowList,
    /// `provider/model` or `provider:model`.
    pub models: AllowList,
}

/// A list of what is allowed; absent allows all, empty allows nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllowList {
    /// What is allowed.
    pub allow: Option<Vec<String>>,
}

/// Which credentials serve.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Router {
    /// A rule for a model beats a rule for its provider.
    pub rules: Vec<Rule>,
}

/// A routing rule: for a provider, or for one of its models.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// A provider's id.
    pub provider: Option<String>,
    /// `provider/model` or `provider:model`.
    pub model: Option<String>,
    /// Tried in order.
    pub steps: Vec<Step>,
}

/// A step of a routing rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Step {
    /// The account's own keys, in this order; without `keys`, all of the provider's.
    User {
        /// Ids of the provider's `keys`.
        #[serde(default)]
        keys: Option<Vec<String>>,
    },
    /// The operator's keys, in this order; without `keys`, all of the provider's.
    #[serde(alias = "ngrok")]
    Managed {
        /// Ids of the provider's `managed_keys`.
        #[serde(default)]
        keys: Option<Vec<String>>,
    },
}

/// By hand, because a flat schema finds the one field that is wrong where a choice of two would only say that
/// neither fits.
impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A step of a routing rule: keys of one kind, in order.",
            "properties": {
                "type": {
                    "description": "`user`: the account's own keys. `managed`: the operator's.",
                    "type": "string",
                    "enum": ["user", "managed", "ngrok"],
                },
                "keys": {
                    "description": "Ids of the provider's `keys` (or `managed_keys`); without it, all of them.",
                    "type": ["array", "null"],
                    "items": { "type": "string" },
                },
            },
            "required": ["type"],
            "additionalProperties": false,
        })
    }
}

/// What an application sends. Make one with `tollgate key new`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessKey {
    /// The part of the token between `tg-` and `-g1-`.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// The account it belongs to. Default `default`.
    pub account: Option<String>,
    /// The configuration it is held to; absent allows all.
    pub configuration: Option<String>,
    /// SHA-256 of the whole token, as 64 hexadecimal digits.
    pub sha256: String,
}

/// The built-in demo provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Demo {
    /// Loopback address to serve the provider `demo` on; absent is off.
    pub listen: Option<String>,
}
