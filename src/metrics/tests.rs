//! What a scrape shows after things happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::{Metrics, StatusClass};
use tollgate_failover::BreakerState;
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;

fn metrics() -> Metrics {
    Metrics::new().expect("every metric has a name of its own")
}

/// The value of a series, by the exact text before it.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|value| value.parse().expect("a number"))
}

#[test]
fn a_route_counts_under_its_labels() {
    let metrics = metrics();
    let (provider, model): (Arc<str>, Arc<str>) = ("openai".into(), "gpt-4o".into());
    let route = metrics.route(&provider, Some(&model), Surface::ChatCompletions);
    route.attempt("status_429");
    route.attempt("ok");
    route.attempt("ok");
    route.request(StatusClass::of(200), Duration::from_millis(1_500));
    route.first_token(Duration::from_millis(240));
    route.pace(Duration::from_secs(1), 101);
    let usage = Usage::of(10, 4, 0, 7, 0);
    route.usage(&usage, true);
    route.usage(&usage, false);

    let text = metrics.render();
    let labels = r#"model="gpt-4o",provider="openai",surface="openai/chat-completions""#;
    for (series, expected) in [
        (
            r#"tollgate_attempts_total{model="gpt-4o",outcome="ok",provider="openai",surface="openai/chat-completions"}"#.to_owned(),
            2.0,
        ),
        (
            r#"tollgate_attempts_total{model="gpt-4o",outcome="status_429",provider="openai",surface="openai/chat-completions"}"#.to_owned(),
            1.0,
        ),
        (
            r#"tollgate_requests_total{model="gpt-4o",provider="openai",status="2xx",surface="openai/chat-completions"}"#.to_owned(),
            1.0,
        ),
        (
            format!(r#"tollgate_tokens_total{{kind="input",{labels}}}"#),
            20.0,
        ),
        (
            format!(r#"tollgate_tokens_total{{kind="output",{labels}}}"#),
            14.0,
        ),
        (
            r#"tollgate_token_parts_total{model="gpt-4o",part="cached_read",provider="openai",surface="openai/chat-completions"}"#.to_owned(),
            8.0,
        ),
        (format!("tollgate_usage_missing_total{{{labels}}}"), 1.0),
        (
            format!(r#"tollgate_time_to_first_token_seconds_bucket{{{labels},le="0.2"}}"#),
            0.0,
        ),
        (
            format!(r#"tollgate_time_to_first_token_seconds_bucket{{{labels},le="0.3"}}"#),
            1.0,
        ),
        (
            format!("tollgate_time_per_output_token_seconds_sum{{{labels}}}"),
            0.01,
        ),
        (
            format!("tollgate_request_duration_seconds_sum{{{labels}}}"),
            1.5,
        ),
    ] {
        assert_eq!(value(&text, &series), Some(expected), "{series} in\n{text}");
    }
    assert!(
        !text.contains(r#"part="reasoning""#) && !text.contains(r#"status="5xx""#),
        "what never happened is not exported:\n{text}"
    );
}

#[test]
fn equal_ids_share_counters_whatever_their_allocation() {
    let metrics = metrics();
    let before: (Arc<str>, Arc<str>) = ("p".into(), "m".into());
    let reloaded: (Arc<str>, Arc<str>) = ("p".into(), "m".into());
    let first = metrics.route(&before.0, Some(&before.1), Surface::Messages);
    let again = metrics.route(&before.0, Some(&before.1), Surface::Messages);
    assert!(Arc::ptr_eq(&first, &again), "the cache must be hit");
    first.attempt("ok");
    metrics
        .route(&reloaded.0, Some(&reloaded.1), Surface::Messages)
        .attempt("ok");
    let series = r#"tollgate_attempts_total{model="m",outcome="ok",provider="p",surface="anthropic/messages"}"#;
    assert_eq!(value(&metrics.render(), series), Some(2.0));
}

#[test]
fn neighbouring_labels_are_not_confused() {
    // The prometheus crate hashes label values without a separator: provider "a" with model "bc" and
    // provider "ab" with model "c" would be one series if they stood side by side.
    let metrics = metrics();
    for (provider, model) in [("a", "bc"), ("ab", "c")] {
        let (provider, model): (Arc<str>, Arc<str>) = (provider.into(), model.into());
        metrics
            .route(&provider, Some(&model), Surface::Responses)
            .attempt("ok");
    }
    let text = metrics.render();
    for (provider, model) in [("a", "bc"), ("ab", "c")] {
        let series = format!(
            r#"tollgate_attempts_total{{model="{model}",outcome="ok",provider="{provider}",surface="openai/responses"}}"#
        );
        assert_eq!(value(&text, &series), Some(1.0), "{series} in\n{text}");
    }
}

#[test]
fn a_model_outside_the_catalog_is_other() {
    let metrics = metrics();
    let provider: Arc<str> = "p".into();
    metrics
        .route(&provider, None, Surface::Embeddings)
        .request(StatusClass::ClientGone, Duration::ZERO);
    let series = r#"tollgate_requests_total{model="other",provider="p",status="client_gone",surface="openai/embeddings"}"#;
    assert_eq!(value(&metrics.render(), series), Some(1.0));
}

#[test]
fn the_cache_is_bounded() {
    let metrics = metrics();
    let (most, ids): (usize, Vec<Arc<str>>) = (
        super::route::MOST_ROUTES,
        (0..=super::route::MOST_ROUTES)
            .map(|_| Arc::from("p"))
            .collect(),
    );
    for id in &ids {
        metrics.route(id, None, Surface::Embeddings);
        assert!(metrics.routes.len() <= most, "at most {most} routes");
    }
}

#[test]
fn more_outcomes_than_slots_are_still_counted_right() {
    let metrics = metrics();
    let provider: Arc<str> = "p".into();
    let route = metrics.route(&provider, None, Surface::Embeddings);
    let labels: Vec<&'static str> = (0..40)
        .map(|n| &*Box::leak(format!("o{n:02}").into_boxed_str()))
        .collect();
    for label in labels.iter().chain(&labels) {
        route.attempt(label);
    }
    let text = metrics.render();
    for label in labels {
        let series = format!(
            r#"tollgate_attempts_total{{model="other",outcome="{label}",provider="p",surface="openai/embeddings"}}"#
        );
        assert_eq!(value(&text, &series), Some(2.0), "{label}");
    }
}

#[test]
fn in_flight_goes_down_when_the_guard_is_dropped() {
    let metrics = metrics();
    let (one, two) = (metrics.in_flight(), metrics.in_flight());
    assert_eq!(metrics.in_flight_now(), 2);
    drop(one);
    assert_eq!(
        value(&metrics.render(), "tollgate_requests_in_flight"),
        Some(1.0)
    );
    drop(two);
    assert_eq!(metrics.in_flight_now(), 0);
}

#[test]
fn answers_are_read_on_while_there_are_places() {
    let metrics = metrics();
    let one = metrics.reads_on(2);
    let two = metrics.reads_on(2);
    assert!(one.is_some() && two.is_some());
    assert!(metrics.reads_on(2).is_none(), "both places are taken");
    let series = "tollgate_answers_read_on";
    assert_eq!(value(&metrics.render(), series), Some(2.0));
    drop(one);
    assert!(metrics.reads_on(2).is_some(), "a place is given back");
    assert_eq!(value(&metrics.render(), series), Some(1.0));
}

#[test]
fn the_rest_of_the_table() {
    let metrics = metrics();
    metrics.unrouted(None, StatusClass::of(404));
    metrics.error("ERR_TOLLGATE_27007");
    metrics.cool_down("demo", "status_429");
    metrics.keys_cooling("demo", 2);
    metrics.quota_avoided("demo");
    metrics.quota_waited("demo", Duration::from_millis(250));
    metrics.breaker("demo", BreakerState::Open);
    metrics.breaker("demo", BreakerState::HalfOpen);
    metrics.config_reload(true, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    metrics.config_reload(false, UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    for surface in Surface::ALL {
        metrics.overhead(surface, Duration::from_micros(70));
    }
    metrics.access_log_dropped().inc();
    metrics.headers_left_out(3);
    let spans = metrics.trace_spans();
    spans.sent.inc_by(5);
    spans.dropped.with_label_values(&["queue_full"]).inc_by(2);
    metrics.abandoned("usage");
    metrics.answered_again("joined");
    metrics.clock("machine", 34_560_000, 1);
    metrics.clock("redis", -120, 0);
    metrics.store_read(1_700_000_000_999);
    metrics.alert("budget");
    metrics.alert_delivery("ops", "failed");
    let text = metrics.render();
    for (series, expected) in [
        ("tollgate_clock_jumps_total", 1.0),
        (
            r#"tollgate_quota_avoided_attempts_total{provider="demo"}"#,
            1.0,
        ),
        (r#"tollgate_quota_wait_seconds_sum{provider="demo"}"#, 0.25),
        (r#"tollgate_alerts_total{event="budget"}"#, 1.0),
        (
            r#"tollgate_alert_deliveries_total{channel="ops",outcome="failed"}"#,
            1.0,
        ),
        (
            "tollgate_store_last_read_timestamp_seconds",
            1_700_000_000.0,
        ),
        (
            r#"tollgate_clock_disagreement_seconds{clock="machine"}"#,
            34_560_000.0,
        ),
        (
            r#"tollgate_clock_disagreement_seconds{clock="redis"}"#,
            -120.0,
        ),
        (
            r#"tollgate_requests_total{model="none",provider="none",status="4xx",surface="none"}"#,
            1.0,
        ),
        (r#"tollgate_errors_total{code="ERR_TOLLGATE_27007"}"#, 1.0),
        (
            r#"tollgate_key_cool_downs_total{provider="demo",reason="status_429"}"#,
            1.0,
        ),
        (r#"tollgate_keys_cooling{provider="demo"}"#, 2.0),
        (
            r#"tollgate_breaker_state{provider="demo",state="open"}"#,
            0.0,
        ),
        (
            r#"tollgate_breaker_state{provider="demo",state="half_open"}"#,
            1.0,
        ),
        (r#"tollgate_config_reloads_total{result="ok"}"#, 1.0),
        (r#"tollgate_config_reloads_total{result="error"}"#, 1.0),
        ("tollgate_config_last_reload_successful", 0.0),
        (
            "tollgate_config_last_reload_success_timestamp_seconds",
            1_700_000_000.0,
        ),
        (
            r#"tollgate_gateway_overhead_seconds_bucket{surface="anthropic/messages",le="0.00005"}"#,
            0.0,
        ),
        (
            r#"tollgate_gateway_overhead_seconds_bucket{surface="anthropic/messages",le="0.0001"}"#,
            1.0,
        ),
        ("tollgate_access_log_dropped_total", 1.0),
        ("tollgate_headers_left_out_total", 3.0),
        ("tollgate_trace_spans_sent_total", 5.0),
        (
            r#"tollgate_trace_spans_dropped_total{reason="queue_full"}"#,
            2.0,
        ),
        (r#"tollgate_abandoned_answers_total{ended="usage"}"#, 1.0),
        (r#"tollgate_answered_again_total{how="joined"}"#, 1.0),
        (
            concat!(
                "tollgate_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"}"
            ),
            1.0,
        ),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    if cfg!(target_os = "linux") {
        let start = value(&text, "process_start_time_seconds");
        assert!(start.is_some_and(|s| s > 1.7e9), "uptime comes from here");
        assert!(value(&text, "process_resident_memory_bytes").is_some());
    }
}

#[test]
fn a_feed_that_was_never_read_has_a_time() {
    let metrics = metrics();
    let series = r#"tollgate_catalog_feed_last_success_timestamp_seconds{feed="f"}"#;
    assert_eq!(value(&metrics.render(), series), None);
    metrics.feed_known("f");
    metrics.feed_failed("f");
    assert_eq!(value(&metrics.render(), series), Some(0.0));
    metrics.feed_read("f", Duration::from_secs(7));
    metrics.feed_known("f");
    let text = metrics.render();
    assert_eq!(value(&text, series), Some(7.0), "it is known already");
    let failures = r#"tollgate_catalog_feed_failures_total{feed="f"}"#;
    assert_eq!(value(&text, failures), Some(1.0));
    metrics.forget_feed("f");
    assert_eq!(value(&metrics.render(), series), None);
}

#[test]
fn a_provider_that_is_gone_has_no_gauges() {
    let metrics = metrics();
    for providers in [&["kept", "gone"][..], &["kept"]] {
        metrics.forget_providers();
        for provider in providers {
            metrics.keys_cooling(provider, 1);
            metrics.breaker(provider, BreakerState::Open);
        }
    }
    let text = metrics.render();
    for (provider, expected) in [("kept", Some(1.0)), ("gone", None)] {
        let cooling = format!(r#"tollgate_keys_cooling{{provider="{provider}"}}"#);
        let open = format!(r#"tollgate_breaker_state{{provider="{provider}",state="open"}}"#);
        assert_eq!(value(&text, &cooling), expected, "{provider}");
        assert_eq!(value(&text, &open), expected, "{provider}");
    }
}

#[test]
fn gauges_are_refreshed_before_each_rendering() {
    let metrics = metrics();
    let scrapes = AtomicUsize::new(0);
    metrics.refresh_with(move |m| m.keys_cooling("p", scrapes.fetch_add(1, Ordering::Relaxed) + 1));
    let series = r#"tollgate_keys_cooling{provider="p"}"#;
    assert_eq!(value(&metrics.render(), series), Some(1.0));
    assert_eq!(value(&metrics.render(), series), Some(2.0));
}

#[test]
fn names_follow_prometheus_practice() {
    let metrics = metrics();
    let provider: Arc<str> = "p".into();
    let route = metrics.route(&provider, None, Surface::Responses);
    route.attempt("ok");
    route.request(StatusClass::Success, Duration::ZERO);
    let text = metrics.render();
    let mut seen = 0;
    for line in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("name and kind");
        if name.starts_with("process_") {
            continue;
        }
        seen += 1;
        assert!(name.starts_with("tollgate_"), "{name} lacks the prefix");
        match kind {
            "counter" => assert!(name.ends_with("_total"), "{name} is a counter"),
            "histogram" => assert!(name.ends_with("_seconds"), "{name} lacks its unit"),
            _ => assert!(!name.ends_with("_total"), "{name} is a gauge"),
        }
    }
    assert!(seen > 8, "only {seen} metrics:\n{text}");
}

#[test]
fn pace_needs_two_tokens() {
    let metrics = metrics();
    let provider: Arc<str> = "p".into();
    let route = metrics.route(&provider, None, Surface::Responses);
    route.pace(Duration::from_secs(1), 0);
    route.pace(Duration::from_secs(1), 1);
    assert!(
        !metrics
            .render()
            .contains("tollgate_time_per_output_token_seconds_sum"),
        "one token has no pace"
    );
}
