//! The operators' listener.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;

use super::help::{SOON, admin, slow_words};
use crate::common::client::{Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::requests::Request;
use crate::common::script::Script;

/// Every series and its value; fails at what Prometheus would refuse or frown upon.
fn series(text: &str) -> HashMap<String, f64> {
    let mut types = HashMap::new();
    let mut helped = HashSet::new();
    let mut all = HashMap::new();
    assert!(text.ends_with('\n'), "the last line has no end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name), "{name} is described twice");
            assert!(help.ends_with('.'), "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "{name} has no help");
            assert!(types.insert(name, kind).is_none(), "{name} has two types");
            check_name(name, kind);
            continue;
        }
        assert!(!line.starts_with('#') && !line.is_empty(), "{line:?}");
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value
            .parse()
            .unwrap_or_else(|_| panic!("not a number: {line}"));
        let bare = name.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| bare.strip_suffix(suffix))
            .find(|family| types.get(family) == Some(&"histogram"))
            .unwrap_or(bare);
        assert!(types.contains_key(family), "{line}: no type");
        assert!(
            all.insert(name.to_owned(), value).is_none(),
            "{name} is there twice"
        );
    }
    all
}

fn check_name(name: &str, kind: &str) {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    assert!(plain, "{name}");
    if !name.starts_with("tollgate_") {
        assert!(name.starts_with("process_"), "{name}");
        return;
    }
    match kind {
        "counter" => assert!(name.ends_with("_total"), "{name}: a counter"),
        "histogram" => {
            let has_unit = ["_seconds", "_tokens"]
                .iter()
                .any(|unit| name.ends_with(unit));
            assert!(has_unit, "{name}: a histogram");
        }
        "gauge" => assert!(!name.ends_with("_total"), "{name}: a gauge"),
        other => panic!("{name}: {other}"),
    }
    for bad in ["_ms", "_millis", "_milliseconds", "_kb", "_mb"] {
        assert!(!name.ends_with(bad), "{name}: not a base unit");
    }
}

/// The sum over the series of a family that have all these labels.
fn sum(all: &HashMap<String, f64>, family: &str, labels: &[&str]) -> f64 {
    let matching = all.iter().filter(|(name, _)| {
        name.split('{').next() == Some(family) && labels.iter().all(|label| name.contains(label))
    });
    matching.map(|(_, value)| value).sum()
}

#[tokio::test]
async fn what_happened_is_told_in_numbers() {
    let good = Fake::answering(Wire::H1, |seen| match seen.json()["stream"] == true {
        true => slow_words(2, 1),
        false => Script::chat(false, "hello you"),
    })
    .await;
    let limited = Fake::start(
        Wire::H1,
        Script::error_with(429, "slow down", &[("retry-after", "30")]),
    )
    .await;
    let gateway = Gateway::builder()
        .fake("good", &good)
        .fake("limited", &limited)
        .provider(provider_at("down", &Fake::refused()))
        .start()
        .await;
    assert_eq!(admin(&gateway, "/healthz").await.0, 200);
    assert_eq!(admin(&gateway, "/readyz").await.0, 200);
    assert_eq!(admin(&gateway, "/nothing").await.0, 404);
    series(&gateway.admin_get("/metrics"));

    let mut client = Client::connect(Version::H1, gateway.address).await;
    for stream in [false, true] {
        let models = ["limited:m", "good:m"];
        assert_eq!(
            client.ask(&Request::chat(&models, stream)).await.status(),
            200
        );
        assert_eq!(
            client
                .ask(&Request::chat(&["good:m"], stream))
                .await
                .status(),
            200
        );
    }
    for _ in 0..8 {
        let mut client = Client::connect(Version::H1, gateway.address).await;
        assert_eq!(
            client
                .ask(&Request::chat(&["down:m"], false))
                .await
                .status(),
            502
        );
    }
    let mut client = Client::connect(Version::H1, gateway.address).await;
    assert_eq!(
        client
            .ask(&Request::chat(&["nobody-knows-this"], false))
            .await
            .status(),
        422
    );

    // An answer is counted when it has left: the last ones may still be on their way into the books.
    let settled = || {
        let all = series(&gateway.admin_get("/metrics"));
        sum(
            &all,
            "tollgate_errors_total",
            &["code=\"ERR_TOLLGATE_3804\""],
        ) > 0.5
            && sum(
                &all,
                "tollgate_errors_total",
                &["code=\"ERR_TOLLGATE_3800\""],
            ) > 7.5
            && sum(&all, "tollgate_requests_total", &["provider=\"good\""]) > 3.5
            && sum(&all, "tollgate_requests_in_flight", &[]) < 0.5
    };
    assert!(eventually(SOON, settled).await, "the books are not settled");
    let all = series(&gateway.admin_get("/metrics"));
    let is = |family: &str, labels: &[&str], expected: f64| {
        let found = sum(&all, family, labels);
        assert!(
            (found - expected).abs() < 1e-9,
            "{family} {labels:?}: {found}, not {expected}"
        );
    };
    let (good, limited, down) = (
        "provider=\"good\"",
        "provider=\"limited\"",
        "provider=\"down\"",
    );
    let chat = "surface=\"openai/chat-completions\"";
    is(
        "tollgate_requests_total",
        &[good, chat, "status=\"2xx\""],
        4.0,
    );
    is("tollgate_requests_total", &[down, "status=\"5xx\""], 8.0);
    is("tollgate_attempts_total", &[good, "outcome=\"ok\""], 4.0);
    assert!(sum(&all, "tollgate_attempts_total", &[limited]) >= 1.0);
    is("tollgate_attempts_total", &[limited, "outcome=\"ok\""], 0.0);
    is("tollgate_attempts_total", &[down], 8.0);
    is(
        "tollgate_errors_total",
        &["code=\"ERR_TOLLGATE_3800\""],
        8.0,
    );
    is(
        "tollgate_errors_total",
        &["code=\"ERR_TOLLGATE_3804\""],
        1.0,
    );
    // Two answers that report 7 and 3; two streams without a report, that were counted.
    assert!(sum(&all, "tollgate_tokens_total", &[good, "kind=\"input\""]) > 14.0);
    assert!(sum(&all, "tollgate_tokens_total", &[good, "kind=\"output\""]) > 6.0);
    is("tollgate_usage_missing_total", &[good], 2.0);
    is("tollgate_time_to_first_token_seconds_count", &[good], 2.0);
    is(
        "tollgate_time_to_first_token_seconds_bucket",
        &[good, "le=\"+Inf\""],
        2.0,
    );
    is("tollgate_request_duration_seconds_count", &[good], 4.0);
    is("tollgate_key_cool_downs_total", &[limited], 1.0);
    is("tollgate_keys_cooling", &[limited], 1.0);
    is("tollgate_breaker_state", &[down, "state=\"open\""], 1.0);
    is("tollgate_breaker_state", &[good, "state=\"closed\""], 1.0);
    is("tollgate_requests_in_flight", &[], 0.0);
    is("tollgate_config_last_reload_successful", &[], 1.0);
    assert!(sum(&all, "tollgate_gateway_overhead_seconds_count", &[chat]) >= 12.0);
    assert!(sum(&all, "process_resident_memory_bytes", &[]) > 0.0);
}

#[tokio::test]
async fn labels_are_bounded_whatever_clients_send() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let asked = (0..8).map(|worker| {
        let address = gateway.address;
        async move {
            let mut client = Client::connect(Version::H1, address).await;
            for index in 0..125 {
                let model = format!("f:made-up-{worker}-{index}");
                let answer = client.ask(&Request::chat(&[&model], false)).await;
                assert_eq!(answer.status(), 200, "{}", answer.text());
            }
        }
    });
    futures::future::join_all(asked).await;
    for odd in ["/v1/nothing", "/v1/chat/completions/../x", "/metrics"] {
        let mut client = Client::connect(Version::H1, gateway.address).await;
        client.ask(&Request::get(odd)).await;
    }
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let method = Request {
        method: "BREW",
        ..Request::post("/v1/chat/completions", "")
    };
    client.ask(&method).await;
    let counted = || {
        let all = series(&gateway.admin_get("/metrics"));
        (
            sum(
                &all,
                "tollgate_requests_total",
                &["model=\"other\"", "provider=\"f\""],
            ),
            all,
        )
    };
    assert!(
        eventually(SOON, || counted().0 >= 1000.0).await,
        "{}",
        counted().0
    );
    let all = counted().1;
    let of_f = all.keys().filter(|name| {
        name.starts_with("tollgate_requests_total") && name.contains("provider=\"f\"")
    });
    let of_f: Vec<&String> = of_f.collect();
    assert!(of_f.len() <= 3, "one model, one series: {of_f:?}");
    for name in all.keys() {
        for text in ["made-up", "nothing", "BREW"] {
            assert!(!name.contains(text), "{name}");
        }
    }
}

#[tokio::test]
async fn operators_are_answered_while_clients_keep_every_thread_busy() {
    let fake = Fake::start(Wire::H1, slow_words(20, 100)).await;
    let one = json!({"proxy": {"threads": 1}});
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(one)
        .start()
        .await;
    let asked = (0..30).map(|_| async {
        let mut client = Client::connect(Version::H1, gateway.address).await;
        client.ask(&Request::chat(&["m"], true)).await.status()
    });
    let probed = async {
        let mut worst = Duration::ZERO;
        for _ in 0..10 {
            let began = tollgate_base::clock::now();
            assert_eq!(admin(&gateway, "/healthz").await.0, 200);
            let text = admin(&gateway, "/metrics").await.1;
            worst = worst.max(tollgate_base::clock::now().duration_since(began));
            series(&text);
        }
        worst
    };
    let (statuses, worst) = tokio::join!(futures::future::join_all(asked), probed);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert!(worst < SOON, "{worst:?}");
}
