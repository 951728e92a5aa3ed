//! What the process around the API knows of providers, and how it calls one to see whether it works.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_config::access::ProviderKey;
use tollgate_config::catalog::Provider;
use tollgate_wire::Surface;

/// How providers do, as far as this replica has seen since it began.
#[derive(Clone, Debug, Default)]
pub struct Healths {
    /// Those that were called, or cannot be reached, by their ids.
    pub providers: Vec<Health>,
    /// From the request to the first content of streamed answers, of all.
    pub first_token: Latency,
    /// From the request to the end of its answer, of all.
    pub duration: Latency,
}

/// How a provider does, as far as this replica has seen since it began.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Its id; `other` stands for all that tenants made.
    pub provider: String,
    /// Its breaker, if that is not closed: whether one request is let through to see, and until when the others come last.
    pub shut: Option<Shut>,
    /// Attempts by how they ended.
    pub attempts: BTreeMap<String, u64>,
    /// From the request to the first content of streamed answers.
    pub first_token: Latency,
    /// From the request to the end of its answer.
    pub duration: Latency,
    /// What is left of its keys' limits, as far as its headers tell; the nearest to their end first.
    pub quotas: Vec<Quota>,
}

/// What is left of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The provider key's id.
    pub key: Arc<str>,
    /// The model as the provider knows it.
    pub model: Arc<str>,
    /// `requests`, `tokens`, `input-tokens` or `output-tokens`.
    pub unit: &'static str,
    /// As much as there can be, if that is known.
    pub most: Option<u64>,
    /// What is left.
    pub left: u64,
    /// When all of it is back.
    pub full: Instant,
}

/// A breaker that is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut {
    /// Whether the next request is to find out how the provider does.
    pub half_open: bool,
    /// Until when other providers are preferred, if that is known.
    pub until: Option<Instant>,
}

/// About how long something takes; `None` where nothing was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// The median.
    pub p50: Option<Duration>,
    /// The 95th percentile.
    pub p95: Option<Duration>,
}

/// A provider that is to be tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Which.
    pub provider: Arc<Provider>,
    /// The credential; `None` if it needs none.
    pub key: Option<Arc<ProviderKey>>,
    /// The model to call on each API shape; `None` where no model is known for one.
    pub calls: Vec<(Surface, Option<String>)>,
}

/// What was tried of a provider, and what became of it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// As in `connection`, `models` or `openai/chat-completions`.
    pub what: &'static str,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// From the call to the end of its answer.
    pub took: Duration,
    /// Why it does not work; `None` if it does. Holds no credential.
    pub fault: Option<String>,
    /// The models that the provider lists, the first of them.
    pub models: Vec<String>,
}
