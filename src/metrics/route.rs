//! The handles of one route: a provider, a surface, a model.
//!
//! A series is made when it first happens and kept; from then on counting is an atomic add.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use prometheus::{Counter, CounterVec, Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::exemplars::{Exemplars, Known};
use super::families::{self, Families};
use super::traces::Trace;
use tollgate_ledger::NanoUsd;
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;

/// Outcomes a route distinguishes; further ones are looked up by label each time.
const OUTCOMES: usize = 32;

/// Routes whose handles are kept; beyond that the cache starts anew (reloads bring new ids).
pub(super) const MOST_ROUTES: usize = 1_024;

/// Addresses of the ids' own allocations: equal addresses are equal ids, and hashing one is cheap.
type RouteKey = (usize, usize, Surface);

/// The ids are kept so that their addresses cannot be used again while the entry lives.
#[derive(Clone)]
struct CachedRoute {
    _provider: Arc<str>,
    _model: Option<Arc<str>>,
    metrics: Arc<RouteMetrics>,
}

/// The handles of the routes that were looked up.
#[derive(Default)]
pub(super) struct Routes(ArcSwap<HashMap<RouteKey, CachedRoute>>);

impl Routes {
    /// Returns the handles of a route, as [`super::Metrics::route`] has it.
    pub(super) fn get(
        &self,
        families: &Families,
        provider: &Arc<str>,
        model: Option<&Arc<str>>,
        surface: Surface,
    ) -> Arc<RouteMetrics> {
        let key = (address(provider), model.map_or(0, address), surface);
        if let Some(cached) = self.0.load().get(&key) {
            return Arc::clone(&cached.metrics);
        }
        let label = model.map_or("other", |id| id);
        let metrics = Arc::new(RouteMetrics::new(families, provider, surface.name(), label));
        let entry = CachedRoute {
            _provider: Arc::clone(provider),
            _model: model.cloned(),
            metrics: Arc::clone(&metrics),
        };
        self.0.rcu(|routes| {
            let mut routes = if routes.len() < MOST_ROUTES {
                HashMap::clone(routes)
            } else {
                HashMap::new()
            };
            routes.insert(key, entry.clone());
            routes
        });
        metrics
    }

    /// Adds the exemplars of all of them.
    pub(super) fn exemplars(&self, known: &mut Known) {
        for cached in self.0.load().values() {
            cached.metrics.exemplars(known);
        }
    }

    /// Returns how many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.load().len()
    }
}

/// Where an id's text begins.
fn address(id: &Arc<str>) -> usize {
    Arc::as_ptr(id).cast::<u8>().addr()
}

/// The class of the status that a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 2xx.
    Success,
    /// 1xx and 3xx, and whatever HTTP does not know.
    Other,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
    /// The client left before the answer was over.
    ClientGone,
}

impl StatusClass {
    /// Every class.
    const ALL: [StatusClass; 5] = [
        StatusClass::Success,
        StatusClass::Other,
        StatusClass::ClientError,
        StatusClass::ServerError,
        StatusClass::ClientGone,
    ];

    /// Returns the class of an HTTP status.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => StatusClass::Success,
            400..=499 => StatusClass::ClientError,
            500..=599 => StatusClass::ServerError,
            _ => StatusClass::Other,
        }
    }

    /// Returns the label: `2xx`, `4xx`, `5xx`, `other`, `client_gone`.
    pub fn label(self) -> &'static str {
        match self {
            StatusClass::Success => "2xx",
            StatusClass::Other => "other",
            StatusClass::ClientError => "4xx",
            StatusClass::ServerError => "5xx",
            StatusClass::ClientGone => "client_gone",
        }
    }
}

/// Counters and histograms of one route; from [`super::Metrics::route`].
#[derive(Debug)]
pub struct RouteMetrics {
    labels: [String; 3],
    source: Source,
    requests: [OnceLock<IntCounter>; StatusClass::ALL.len()],
    attempts: [OnceLock<(&'static str, IntCounter)>; OUTCOMES],
    input: OnceLock<IntCounter>,
    output: OnceLock<IntCounter>,
    cached_read: OnceLock<IntCounter>,
    cache_write: OnceLock<IntCounter>,
    reasoning: OnceLock<IntCounter>,
    cost: OnceLock<Counter>,
    usage_missing: OnceLock<IntCounter>,
    input_sizes: OnceLock<Histogram>,
    output_sizes: OnceLock<Histogram>,
    first_token: OnceLock<Histogram>,
    per_token: OnceLock<Histogram>,
    duration: OnceLock<Histogram>,
    /// As [`families::EXEMPLIFIED`].
    exemplars: [Exemplars; 2],
}

/// Where a route's series come from when they first happen.
#[derive(Debug)]
struct Source {
    requests: IntCounterVec,
    attempts: IntCounterVec,
    tokens: IntCounterVec,
    token_parts: IntCounterVec,
    request_tokens: HistogramVec,
    cost: CounterVec,
    usage_missing: IntCounterVec,
    charges_assumed: IntCounterVec,
    first_token: HistogramVec,
    per_token: HistogramVec,
    duration: HistogramVec,
}

impl RouteMetrics {
    /// A route without any series yet.
    pub(super) fn new(families: &Families, provider: &str, surface: &str, model: &str) -> Self {
        RouteMetrics {
            labels: [provider.to_owned(), surface.to_owned(), model.to_owned()],
            source: Source {
                requests: families.requests.clone(),
                attempts: families.attempts.clone(),
                tokens: families.tokens.clone(),
                token_parts: families.token_parts.clone(),
                request_tokens: families.request_tokens.clone(),
                cost: families.cost.clone(),
                usage_missing: families.usage_missing.clone(),
                charges_assumed: families.charges_assumed.clone(),
                first_token: families.first_token.clone(),
                per_token: families.per_token.clone(),
                duration: families.duration.clone(),
            },
            requests: Default::default(),
            attempts: Default::default(),
            input: OnceLock::new(),
            output: OnceLock::new(),
            cached_read: OnceLock::new(),
            cache_write: OnceLock::new(),
            reasoning: OnceLock::new(),
            cost: OnceLock::new(),
            usage_missing: OnceLock::new(),
            input_sizes: OnceLock::new(),
            output_sizes: OnceLock::new(),
            first_token: OnceLock::new(),
            per_token: OnceLock::new(),
            duration: OnceLock::new(),
            exemplars: [
                Exemplars::new(families::FIRST_TOKEN),
                Exemplars::new(families::DURATION),
            ],
        }
    }

    /// Counts a request whose last attempt took this route, and observes how long it took in all.
    pub fn request(&self, status: StatusClass, duration: Duration) {
        self.requests[status as usize]
            .get_or_init(|| self.counter(&self.source.requests, status.label()))
            .inc();
        self.observe(&self.duration, &self.source.duration, duration);
    }

    /// Counts an attempt by how it ended; `outcome` is a label from a fixed set.
    pub fn attempt(&self, outcome: &'static str) {
        for slot in &self.attempts {
            let (label, counter) =
                slot.get_or_init(|| (outcome, self.counter(&self.source.attempts, outcome)));
            if *label == outcome {
                counter.inc();
                return;
            }
        }
        self.counter(&self.source.attempts, outcome).inc();
    }

    /// Counts what an attempt was charged.
    pub fn cost(&self, cost: NanoUsd) {
        if cost > NanoUsd::ZERO {
            self.cost
                .get_or_init(|| self.source.cost.with_label_values(&self.labels))
                .inc_by(super::ledger::dollars(cost));
        }
    }

    /// Counts the tokens of an answer; `reported` is false when the gateway had to count them.
    pub fn usage(&self, usage: &Usage, reported: bool) {
        let whole = &self.source.tokens;
        let parts = &self.source.token_parts;
        for (slot, family, label, tokens) in [
            (&self.input, whole, "input", usage.input()),
            (&self.output, whole, "output", usage.output()),
            (&self.cached_read, parts, "cached_read", usage.cached_read()),
            (&self.cache_write, parts, "cache_write", usage.cache_write()),
            (&self.reasoning, parts, "reasoning", usage.reasoning()),
        ] {
            if tokens > 0 {
                slot.get_or_init(|| self.counter(family, label))
                    .inc_by(tokens);
            }
        }
        let sizes = &self.source.request_tokens;
        for (slot, label, tokens) in [
            (&self.input_sizes, "input", usage.input()),
            (&self.output_sizes, "output", usage.output()),
        ] {
            if tokens > 0 {
                let [provider, surface, model] = self.labels.each_ref().map(String::as_str);
                let labels = [provider, surface, model, label];
                slot.get_or_init(|| sizes.with_label_values(&labels))
                    .observe(tokens as f64);
            }
        }
        if !reported {
            self.usage_missing
                .get_or_init(|| self.source.usage_missing.with_label_values(&self.labels))
                .inc();
        }
    }

    /// Counts a charge for something that has no price. It is rare, so no handle is kept.
    pub fn assumed(&self) {
        let assumed = &self.source.charges_assumed;
        assumed.with_label_values(&self.labels).inc();
    }

    /// Observes the time from the request to the first content of a streamed answer.
    pub fn first_token(&self, after: Duration) {
        self.observe(&self.first_token, &self.source.first_token, after);
    }

    /// Observes the pace of a streamed answer: `span` from its first content to its end. Answers of
    /// fewer than two tokens have no pace.
    pub fn pace(&self, span: Duration, output_tokens: u64) {
        let Some(gaps) = output_tokens.checked_sub(1).filter(|gaps| *gaps > 0) else {
            return;
        };
        let gaps = u32::try_from(gaps).unwrap_or(u32::MAX);
        self.observe(&self.per_token, &self.source.per_token, span / gaps);
    }

    /// Has a traced request that ended at `at` stand for its buckets: it took so long, and to its first content, if it was
    /// streamed, so long.
    pub fn exemplify(
        &self,
        trace: &Trace,
        took: Duration,
        first_token: Option<Duration>,
        at: SystemTime,
    ) {
        let [first_tokens, durations] = &self.exemplars;
        durations.note(trace, took, at);
        if let Some(after) = first_token {
            first_tokens.note(trace, after, at);
        }
    }

    /// Adds its exemplars to all that are known.
    pub(super) fn exemplars(&self, known: &mut Known) {
        for (family, exemplars) in families::EXEMPLIFIED.into_iter().zip(&self.exemplars) {
            known.add(family, &self.labels, exemplars);
        }
    }

    fn counter(&self, family: &IntCounterVec, last: &str) -> IntCounter {
        let [provider, surface, model] = self.labels.each_ref().map(String::as_str);
        family.with_label_values(&[provider, surface, model, last])
    }

    fn observe(&self, slot: &OnceLock<Histogram>, family: &HistogramVec, value: Duration) {
        slot.get_or_init(|| family.with_label_values(&self.labels))
            .observe(value.as_secs_f64());
    }
}
