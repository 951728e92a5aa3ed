//! Names, units, labels and buckets of every metric, in one table.
//!
//! Label order matters: the `prometheus` crate distinguishes label sets by a hash over their values
//! joined without a separator, so that two free-form values side by side (`a` + `bc`, `ab` + `c`)
//! would share one counter. The surface, from a fixed set, always stands between provider and model.

use super::make::{Maker, families};

/// 10 ms to 2 min: a cached small model's first token, a reasoning model's.
pub(super) const FIRST_TOKEN: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
];
/// 1 ms to 2.5 s a token: 1,000 tokens a second down to a crawl.
const PER_TOKEN: &[f64] = &[
    0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5,
    1.0, 2.5,
];
/// 10 ms to 10 min.
pub(super) const DURATION: &[f64] = &[
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];
/// 50 µs to 100 ms.
const OVERHEAD: &[f64] = &[
    0.000_05, 0.000_1, 0.000_2, 0.000_35, 0.000_5, 0.000_75, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1,
];

/// 10 ms to 30 s.
const QUEUE: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// One token to 67 million, as OpenTelemetry's GenAI conventions have it.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// A route's labels.
pub(super) const ROUTE: [&str; 3] = ["provider", "surface", "model"];

/// Families whose buckets have exemplars.
pub(super) const EXEMPLIFIED: [&str; 2] =
    ["time_to_first_token_seconds", "request_duration_seconds"];

families! {
    /// Every metric, registered, but those of the ledger.
    pub(super) struct Families {
        requests: counters(
            "requests_total",
            "Requests answered, by the route of the last attempt and the class of the status the client got.",
            &["provider", "surface", "model", "status"],
        );
        errors: counters("errors_total", "Errors that the gateway itself answered, by their code.", &["code"]);
        attempts: counters(
            "attempts_total",
            "Attempts at a provider, by how they ended.",
            &["provider", "surface", "model", "outcome"],
        );
        answered_again: counters(
            "answered_again_total",
            "Requests that got another request's answer and were not charged: one under way (joined), or one that is kept (replayed).",
            &["how"],
        );
        abandoned: counters(
            "abandoned_answers_total",
            "Answers whose client left before their end, by what ended the reading for their usage.",
            &["ended"],
        );

        tokens: counters(
            "tokens_total",
            "Tokens of whole prompts (input) and whole answers (output), reported or counted.",
            &["provider", "surface", "model", "kind"],
        );
        token_parts: counters(
            "token_parts_total",
            "Tokens that are part of tollgate_tokens_total: cached_read and cache_write of input, reasoning of output.",
            &["provider", "surface", "model", "part"],
        );
        request_tokens: histograms(
            "request_tokens",
            "Tokens of a whole prompt (input) and of a whole answer (output), reported or counted.",
            &["provider", "surface", "model", "kind"], TOKENS,
        );
        usage_missing: counters(
            "usage_missing_total",
            "Answers whose provider reported no usage, so that the gateway counted.",
            &ROUTE,
        );
        cost: costs(
            "cost_usd_total",
            "US dollars charged. A float for charts; `tollgate ledger verify` has it to the nano-dollar.",
            &ROUTE,
        );
        charges_assumed: counters(
            "charges_assumed_total",
            "Charges for something that has no configured price, at the dearest one known.",
            &ROUTE,
        );

        first_token: histograms(
            "time_to_first_token_seconds",
            "From the request to the first content of a streamed answer.",
            &ROUTE, FIRST_TOKEN,
        );
        per_token: histograms(
            "time_per_output_token_seconds",
            "From the first content of a streamed answer to its end, per output token after the first.",
            &ROUTE, PER_TOKEN,
        );
        duration: histograms(
            "request_duration_seconds",
            "From the request to the end of its answer.",
            &ROUTE, DURATION,
        );
        overhead: histograms(
            "gateway_overhead_seconds",
            "Time that a request spent in the gateway itself, before its answer started.",
            &["surface"], OVERHEAD,
        );

        in_flight: gauge("requests_in_flight", "Requests under way.");
        read_on: gauge("answers_read_on", "Answers that are read on for their usage, since their client has left.");
        websockets: gauge("websockets_open", "Open WebSocket connections.");

        cool_downs: counters(
            "key_cool_downs_total",
            "Times a provider key began to cool down.",
            &["provider", "reason"],
        );
        keys_cooling: gauges("keys_cooling", "Provider keys that are cooling down.", &["provider"]);
        breaker: gauges(
            "breaker_state",
            "1 for the state that the provider's breaker is in, if only for one account: closed, half_open or open.",
            &["provider", "state"],
        );
        quota_avoided: counters(
            "quota_avoided_attempts_total",
            "Attempts that were not made because the provider's headers told that the key has no quota left for them.",
            &["provider"],
        );
        quota_wait: histograms(
            "quota_wait_seconds",
            "Time that requests waited until a provider key had quota for them.",
            &["provider"], QUEUE,
        );
        hedges: counters(
            "hedges_total",
            "Attempts that were begun beside a slow one, by what came of it: started, won (its content came first), over_budget (it was not begun).",
            &["outcome"],
        );

        headers_left_out: counter(
            "headers_left_out_total",
            "Headers of requests that no provider was sent, being none that its API is known to read.",
        );

        config_reloads: counters(
            "config_reloads_total",
            "Configuration reloads; one that fails keeps the configuration before it.",
            &["result"],
        );
        config_reload_ok: gauge("config_last_reload_successful", "Whether the last configuration load succeeded.");
        config_reload_time: gauge(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration in use was loaded, in Unix time.",
        );

        feed_models: gauges("catalog_feed_models", "Models whose prices a price feed says.", &["feed"]);
        feed_held_back: gauges(
            "catalog_feed_held_back",
            "Models whose new prices are held back until somebody accepts them.",
            &["feed"],
        );
        feed_time: gauges(
            "catalog_feed_last_success_timestamp_seconds",
            "When a price feed was last read without a fault, in Unix time.",
            &["feed"],
        );
        feed_failures: counters(
            "catalog_feed_failures_total",
            "Times a price feed could not be had or understood, so that it changed nothing.",
            &["feed"],
        );

        admin_requests: counters(
            "admin_requests_total",
            "Requests of the admin API, by operation and the class of their status.",
            &["operation", "status_class"],
        );
        store_read: gauge(
            "store_last_read_timestamp_seconds",
            "When the resources of the admin API were last read from their store, in Unix time; 0 without one. What others have changed since is not served.",
        );
        alerts: counters("alerts_total", "Alerts that this gateway has raised, by what they are about.", &["event"]);
        alert_deliveries: counters(
            "alert_deliveries_total",
            "Tries to send an alert to a channel, by what came of it: sent, failed (it is tried again), given_up.",
            &["channel", "outcome"],
        );

        access_log_dropped: counter(
            "access_log_dropped_total",
            "Access log lines that were dropped because the log could not be written fast enough.",
        );
        trace_spans_sent: counter("trace_spans_sent_total", "Spans that the receiver of traces has taken.");
        trace_spans_dropped: counters(
            "trace_spans_dropped_total",
            "Spans that never reached the receiver of traces: the queue was full, it was unreachable or refused a batch, or rejected some of it.",
            &["reason"],
        );

        clock_jumps: counter(
            "clock_jumps_total",
            "How often the machine's clock has moved by more than a minute against the one that runs since it was started.",
        );
        clock_disagreement: gauges(
            "clock_disagreement_seconds",
            "By how much a clock (the `machine`'s, that of the ledger's `redis`) is ahead of the time that the gateway uses, if that is more than a minute; below 0, behind it.",
            &["clock"],
        );
    }
}

/// Registers what nothing counts: which version runs, and what the system says of the process.
pub(super) fn describe_process(make: &Maker<'_>) -> Result<(), prometheus::Error> {
    make.gauges("build_info", "The running version.", &["version"])?
        .with_label_values(&[env!("CARGO_PKG_VERSION")])
        .set(1);
    #[cfg(target_os = "linux")]
    make.0.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    Ok(())
}
