//! What the operator sees: Prometheus metrics, the access log, the process log, traces.
//!
//! Invariant: every label comes from a fixed or configured set (the operator's providers and models, or
//! `other`, surfaces, status classes, outcomes), and a request's path touches handles that were
//! resolved before: no label is hashed per request.

pub mod access_log;
mod attributes;
mod exemplars;
mod families;
mod gen_ai_0_1_0;
mod health;
mod ledger;
mod make;
mod open_metrics;
mod otlp;
pub mod process_log;
mod push;
mod route;
pub mod traces;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;
use prometheus::{Histogram, IntCounter, IntGauge, IntGaugeVec, Registry, TextEncoder};

use exemplars::Known;
use families::Families;
pub use health::{Seen, Spread};
use ledger::Money;
use make::Maker;
pub use otlp::{Channel, Client, PATIENCE};
pub use push::Push;
use route::Routes;
pub use route::{RouteMetrics, StatusClass};
use tollgate_config::catalog::Provider;
use tollgate_failover::BreakerState;
use tollgate_ledger::OTHER;
use tollgate_wire::Surface;

/// Every metric of the process. Cheap to share behind an `Arc`; all methods take `&self`.
pub struct Metrics {
    registry: Registry,
    families: Families,
    money: Money,
    in_flight: IntGauge,
    read_on: IntGauge,
    websockets: IntGauge,
    overhead: [Histogram; Surface::ALL.len()],
    access_log_dropped: IntCounter,
    routes: Routes,
    /// The label of what is not named.
    other: Arc<str>,
    refresh: OnceLock<Refresh>,
}

/// Brings gauges up to date just before they are rendered.
type Refresh = Box<dyn Fn(&Metrics) + Send + Sync>;

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    ///
    /// If two metrics have the same name; a fault of this program.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let make = Maker(&registry);
        let families = Families::new(&make)?;
        let money = Money::new(&make)?;
        families::describe_process(&make)?;
        Ok(Metrics {
            in_flight: families.in_flight.clone(),
            read_on: families.read_on.clone(),
            websockets: families.websockets.clone(),
            overhead: Surface::ALL
                .map(|surface| families.overhead.with_label_values(&[surface.name()])),
            access_log_dropped: families.access_log_dropped.clone(),
            routes: Routes::default(),
            other: OTHER.into(),
            refresh: OnceLock::new(),
            money,
            families,
            registry,
        })
    }

    /// Returns the handles of one route; look them up once per attempt.
    ///
    /// `provider` and `model` must be the catalog's own ids, so that they are few and live long:
    /// pass `None` for a model that the catalog does not know, which is counted as `other`.
    pub fn route(
        &self,
        provider: &Arc<str>,
        model: Option<&Arc<str>>,
        surface: Surface,
    ) -> Arc<RouteMetrics> {
        self.routes.get(&self.families, provider, model, surface)
    }

    /// Returns what a provider is called in labels: those that tenants made have one name.
    pub fn label<'a>(&'a self, provider: &'a Provider) -> &'a Arc<str> {
        match provider.is_tenants() {
            true => &self.other,
            false => &provider.id,
        }
    }

    /// Counts a request that was answered before a provider was chosen.
    pub fn unrouted(&self, surface: Option<Surface>, status: StatusClass) {
        let surface = surface.map_or("none", Surface::name);
        self.families
            .requests
            .with_label_values(&["none", surface, "none", status.label()])
            .inc();
    }

    /// Counts an error that the gateway itself answered, by its stable code.
    pub fn error(&self, code: &'static str) {
        self.families.errors.with_label_values(&[code]).inc();
    }

    /// Counts a request of the admin API. `operation` is one of its operations' ids, or `none`.
    pub fn admin_request(&self, operation: &'static str, status: StatusClass) {
        self.families
            .admin_requests
            .with_label_values(&[operation, status.label()])
            .inc();
    }

    /// Counts a request as under way until the guard is dropped.
    #[must_use = "the request counts as under way until this is dropped"]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Requests under way.
    pub fn in_flight_now(&self) -> i64 {
        self.in_flight.get()
    }

    /// Requests under way that are read on for their usage, whose clients have left.
    pub fn read_on(&self) -> usize {
        usize::try_from(self.read_on.get()).unwrap_or(0)
    }

    /// Counts an answer as read on for its usage until the guard is dropped; `None` if `most` are.
    pub fn reads_on(&self, most: i64) -> Option<InFlight> {
        self.read_on.inc();
        let place = InFlight(self.read_on.clone());
        (self.read_on.get() <= most).then_some(place)
    }

    /// Counts a WebSocket connection as open until the guard is dropped.
    #[must_use = "the connection counts as open until this is dropped"]
    pub fn websocket(&self) -> InFlight {
        self.websockets.inc();
        InFlight(self.websockets.clone())
    }

    /// Open WebSocket connections.
    pub fn websockets_now(&self) -> i64 {
        self.websockets.get()
    }

    /// Counts an answer whose client left before its end. `ended` is a label from a fixed set.
    pub fn abandoned(&self, ended: &'static str) {
        self.families.abandoned.with_label_values(&[ended]).inc();
    }

    /// Counts a request that got another one's answer; `how` is a label from a fixed set.
    pub fn answered_again(&self, how: &'static str) {
        self.families.answered_again.with_label_values(&[how]).inc();
    }

    /// Counts headers of a request that its provider is not sent.
    pub fn headers_left_out(&self, count: u64) {
        self.families.headers_left_out.inc_by(count);
    }

    /// Observes the time a request spent in the gateway itself, waiting for nobody.
    pub fn overhead(&self, surface: Surface, spent: Duration) {
        self.overhead[surface as usize].observe(spent.as_secs_f64());
    }

    /// Counts a key beginning to cool down. `reason` is a label from a fixed set.
    pub fn cool_down(&self, provider: &str, reason: &'static str) {
        self.families
            .cool_downs
            .with_label_values(&[provider, reason])
            .inc();
    }

    /// Counts an attempt that a provider key without quota was spared.
    pub fn quota_avoided(&self, provider: &str) {
        let avoided = &self.families.quota_avoided;
        avoided.with_label_values(&[provider]).inc();
    }

    /// Observes the time a request waited until a provider key had quota for it.
    pub fn quota_waited(&self, provider: &str, time: Duration) {
        let wait = &self.families.quota_wait;
        wait.with_label_values(&[provider])
            .observe(time.as_secs_f64());
    }

    /// Counts an attempt that is begun beside a slow one; `outcome` is a label from a fixed set.
    pub fn hedge(&self, outcome: &'static str) {
        self.families.hedges.with_label_values(&[outcome]).inc();
    }

    /// Forgets the gauges of all providers, which are then set anew for those that there are.
    pub fn forget_providers(&self) {
        self.families.keys_cooling.reset();
        self.families.breaker.reset();
    }

    /// Sets the number of a provider's keys that are cooling down.
    pub fn keys_cooling(&self, provider: &str, keys: usize) {
        self.families
            .keys_cooling
            .with_label_values(&[provider])
            .set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// Sets the state of a provider's breaker.
    pub fn breaker(&self, provider: &str, state: BreakerState) {
        for this in [
            BreakerState::Closed,
            BreakerState::HalfOpen,
            BreakerState::Open,
        ] {
            self.families
                .breaker
                .with_label_values(&[provider, this.label()])
                .set(i64::from(state == this));
        }
    }

    /// Counts a reload of the configuration; `now` is the wall clock.
    pub fn config_reload(&self, ok: bool, now: SystemTime) {
        let families = &self.families;
        let result = if ok { "ok" } else { "error" };
        families.config_reloads.with_label_values(&[result]).inc();
        if ok {
            self.config_loaded(now);
        } else {
            families.config_reload_ok.set(0);
        }
    }

    /// The configuration in use was loaded at `now`, at the start or by a reload.
    pub fn config_loaded(&self, now: SystemTime) {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.families.config_reload_ok.set(1);
        self.families
            .config_reload_time
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// How many models a price feed has prices of, and how many more of which they are held back.
    pub fn feed_kept(&self, feed: &str, models: usize, held: usize) {
        let set = |gauges: &IntGaugeVec, count: usize| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            gauges.with_label_values(&[feed]).set(count);
        };
        set(&self.families.feed_models, models);
        set(&self.families.feed_held_back, held);
    }

    /// A price feed is configured. Until it is read for the first time it was read at 0, so that one that never was can be
    /// distinguished from none.
    pub fn feed_known(&self, feed: &str) {
        let families = &self.families;
        families.feed_time.with_label_values(&[feed]).add(0);
        families.feed_failures.with_label_values(&[feed]).inc_by(0);
    }

    /// A price feed was read; `now` is Unix time.
    pub fn feed_read(&self, feed: &str, now: Duration) {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.feed_known(feed);
        let times = &self.families.feed_time;
        times.with_label_values(&[feed]).set(seconds);
    }

    /// A price feed changed nothing, being broken.
    pub fn feed_failed(&self, feed: &str) {
        let failures = &self.families.feed_failures;
        failures.with_label_values(&[feed]).inc();
    }

    /// A price feed is not configured any more.
    pub fn forget_feed(&self, feed: &str) {
        let families = &self.families;
        for gauges in [
            &families.feed_models,
            &families.feed_held_back,
            &families.feed_time,
        ] {
            // There may be nothing of it.
            gauges.remove_label_values(&[feed]).ok();
        }
        families.feed_failures.remove_label_values(&[feed]).ok();
    }

    /// An alert was raised.
    pub fn alert(&self, event: &str) {
        self.families.alerts.with_label_values(&[event]).inc();
    }

    /// It was tried to send an alert to a channel of the configuration.
    pub fn alert_delivery(&self, channel: &str, outcome: &str) {
        let deliveries = &self.families.alert_deliveries;
        deliveries.with_label_values(&[channel, outcome]).inc();
    }

    /// When the store was last read (Unix time, ms).
    pub fn store_read(&self, at_ms: u64) {
        let seconds = i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX);
        self.families.store_read.set(seconds);
    }

    /// By how many seconds a clock is ahead of the time that is used, and how often it has jumped anew.
    pub fn clock(&self, clock: &str, ahead: i64, jumps: u64) {
        let families = &self.families;
        families
            .clock_disagreement
            .with_label_values(&[clock])
            .set(ahead);
        families.clock_jumps.inc_by(jumps);
    }

    /// Lines that the access log had no room for; hand it to the log.
    pub fn access_log_dropped(&self) -> IntCounter {
        self.access_log_dropped.clone()
    }

    /// Spans that were sent and lost; hand it to the traces.
    pub fn trace_spans(&self) -> traces::Counters {
        traces::Counters {
            sent: self.families.trace_spans_sent.clone(),
            dropped: self.families.trace_spans_dropped.clone(),
        }
    }

    /// Has `refresh` called before each rendering, to set gauges that change with time alone
    /// (keys cooling, breakers). The first call wins.
    pub fn refresh_with(&self, refresh: impl Fn(&Metrics) + Send + Sync + 'static) {
        if self.refresh.set(Box::new(refresh)).is_err() {
            log::error!("metrics: a refresher is set already; the second one is ignored");
        }
    }

    /// Brings everything up to date and returns it.
    fn gather(&self) -> Gathered {
        if let Some(refresh) = self.refresh.get() {
            refresh(self);
        }
        let mut exemplars = Known::default();
        self.routes.exemplars(&mut exemplars);
        Gathered {
            families: self.registry.gather(),
            exemplars,
        }
    }

    /// Returns every metric in Prometheus' text exposition format.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode_utf8(&self.gather().families, &mut text) {
            log::error!("metrics: cannot render: {error}");
        }
        text
    }

    /// Returns every metric in the form of OpenMetrics 1.0, with exemplars.
    pub fn render_open(&self) -> String {
        let gathered = self.gather();
        open_metrics::encode(&gathered.families, &gathered.exemplars)
    }
}

/// Every metric at one time.
struct Gathered {
    families: Vec<MetricFamily>,
    exemplars: Known,
}

/// A request under way, an answer that is read on for its usage, or an open connection; dropping it counts it as over.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
