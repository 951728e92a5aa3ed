//! What a model id means: providers, models, limits, prices. Pure; no I/O.

use std::sync::Arc;
use std::time::Duration;

use crate::config::types::{Auth, Modality};
use crate::dialect::Surface;

/// A provider that the gateway can call.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Exact id, as in `provider:model`.
    pub id: Arc<str>,
    /// For people.
    pub display_name: String,
    /// Where its API is.
    pub base_url: BaseUrl,
    /// How a key travels; `None` follows the surface's dialect.
    pub auth: Option<Auth>,
    /// The API shapes it offers.
    pub surfaces: Vec<Surface>,
    /// Headers added to every upstream request.
    pub headers: Vec<(String, String)>,
    /// PEM text of the certificate authorities to trust instead of the system's.
    pub ca: Option<Arc<str>>,
    /// Whether models outside the catalog may be called as `provider:model`.
    pub passthrough: bool,
    /// Top-level request fields to remove.
    pub unsupported_parameters: Vec<String>,
    /// Overrides of the global timeouts.
    pub timeouts: TimeoutOverrides,
    /// Whether the catalog brought it, rather than the YAML.
    pub built_in: bool,
    /// Whether an operator may resell its models (the reference facts say which).
    pub managed_keys_possible: bool,
    /// Its models, in the catalog's order.
    pub models: Vec<Arc<Model>>,
}

/// A base URL taken apart, so that a surface's path can be put inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https`, or plain `http`.
    pub tls: bool,
    /// Host name or address, without brackets around an IPv6 one.
    pub host: String,
    /// Port, the scheme's own if none was written.
    pub port: u16,
    /// What a `Host` header says: host, and the port if it is not the scheme's own.
    pub authority: String,
    /// Path without a trailing slash; `/v1` if none was written.
    pub path: String,
    /// Query without the question mark.
    pub query: Option<String>,
}

/// A model that a provider serves.
#[derive(Clone, Debug)]
pub struct Model {
    /// The id that the provider knows.
    pub id: Arc<str>,
    /// Other ids that clients may use.
    pub aliases: Vec<String>,
    /// For people.
    pub display_name: String,
    /// Tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// Tokens of the longest answer.
    pub max_output_tokens: Option<u64>,
    /// What it reads or makes.
    pub modalities: Vec<Modality>,
    /// What it costs.
    pub prices: Prices,
    /// The API shapes it is offered on, if fewer than the provider's.
    pub surfaces: Option<Vec<Surface>>,
    /// Top-level request fields to remove, besides the provider's.
    pub unsupported_parameters: Vec<String>,
    /// Overrides of the provider's timeouts.
    pub timeouts: TimeoutOverrides,
}

/// Prices in pico-dollars (10⁻¹² USD) per token. `None` is unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// For prompts that no tier covers.
    pub base: Rates,
    /// For long prompts, by rising `above`; the last one that the prompt exceeds prices the whole request.
    pub tiers: Vec<(u64, Rates)>,
}

/// Pico-dollars per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Prompt tokens.
    pub input: Option<u64>,
    /// Prompt tokens read from the provider's cache.
    pub cached_read: Option<u64>,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: Option<u64>,
    /// Answer tokens.
    pub output: Option<u64>,
}

/// Timeouts that differ from the next wider scope's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// From the start of an attempt to its commit.
    pub per_request: Option<Duration>,
    /// From the request to the commit, over all attempts.
    pub total: Option<Duration>,
    /// Silence inside a committed stream.
    pub stream_idle: Option<Duration>,
    /// How long a streaming client waits for a status.
    pub hold: Option<Duration>,
    /// Silence before a keep-alive comment; zero is never.
    pub keepalive: Option<Duration>,
}

/// Every provider and model that is known.
#[derive(Clone, Debug, Default)]
pub struct Catalog {}
