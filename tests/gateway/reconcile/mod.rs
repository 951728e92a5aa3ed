//! What the ledger charged is what a provider billed, to the tolerance; and each planted fault is found by name.
//!
//! The provider bills by its own tariff, in code of its own (`vendor.rs`), and exports what it billed in OpenAI's and
//! Anthropic's forms. Needs `redis-server` 7 or newer (or Valkey's, by the name in `TOLLGATE_TEST_REDIS`).

mod answers;
mod fetch;
mod files;
mod vendor;

use std::ops::Range;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tollgate_base::clock;
use tollgate_ledger::bank::{self, Day};
use tollgate_ledger::events::{Flag, stored};
use vendor::{Billing, Price, Served, TARIFF, Vendor};

use crate::common::PATIENCE;
use crate::common::client::{Chunk, Client, Version};
use crate::common::fake::Fake;
use crate::common::gateway::{Builder, Gateway, provider_at};
use crate::common::process::Process;
use crate::common::requests::Request;

/// Requests through the gateways; some of them fail over.
const REQUESTS: usize = 400;

/// Requests under way at once.
const AT_ONCE: usize = 8;

const DAY: u64 = 86_400;

/// The whole days in which a test runs: from yesterday to tomorrow's beginning (Unix time, s).
struct Days {
    from: u64,
    to: u64,
}

impl Days {
    fn around_now() -> Days {
        let today = clock::unix().as_secs() / DAY * DAY;
        Days {
            from: today - DAY,
            // The test may run past midnight.
            to: today + 2 * DAY,
        }
    }

    fn span(&self) -> (u64, u64) {
        (self.from, self.to)
    }

    fn first(&self) -> String {
        text(self.from)
    }

    fn last(&self) -> String {
        text(self.to - DAY)
    }
}

fn text(seconds: u64) -> String {
    let (year, month, day) = tollgate_base::time::civil(seconds / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A gateway with the vendor's models at its list prices, on two managed keys of each of its two APIs.
fn gateway(fake: &Fake) -> Builder {
    let rates = |price: Price, times: f64| json!({"input": price.input * times, "cached_read": price.cached * times, "output": price.output * times});
    let price = |model: &str| {
        let listed = TARIFF
            .iter()
            .find(|(name, _)| name.starts_with(model))
            .unwrap()
            .1;
        let mut prices = rates(listed, 1.0);
        prices["variants"] =
            json!([{"when": {"service_tier": "priority"}, "prices": rates(listed, 2.0)}]);
        prices
    };
    let provider = |id: &str, surface: &str, models: Value| {
        let mut provider = provider_at(id, &fake.base_url());
        provider["surfaces"] = json!([surface]);
        provider["models"] = models;
        provider["keys"] = json!([]);
        provider["managed_keys"] = json!([
            {"id": format!("{id}-1"), "value": format!("{}-1", id.to_uppercase())},
            {"id": format!("{id}-2"), "value": format!("{}-2", id.to_uppercase())},
        ]);
        provider
    };
    Gateway::builder()
        .provider(provider(
            "acme",
            "openai/chat-completions",
            json!([{"id": "acme-large", "prices": price("acme-large")}, {"id": "acme-small", "prices": price("acme-small")}]),
        ))
        .provider(provider(
            "claudia",
            "anthropic/messages",
            json!([{"id": "claudia-4-20260514", "prices": price("claudia-4")}]),
        ))
        .config(json!({"ledger": {"flush": "50ms"}}))
}

/// A request that is one of a mix: models, sizes, streams, failures, tiers that are served
/// unasked, clients that leave.
fn mixed(number: usize) -> Request {
    let n = number as u64;
    let (input, cached, output) = (500 + n * 37 % 9_000, n * 13 % 480, 5 + n * 7 % 900);
    let fail = if number % 5 == 2 { "fail " } else { "" };
    let hurry = if number.is_multiple_of(7) {
        "hurry "
    } else {
        ""
    };
    let leave = if leaves(number) { "leave " } else { "" };
    let content = format!("{fail}{hurry}{leave}use {input} {cached} {output}");
    let (model, path) = match number % 3 {
        0 => ("acme:acme-large", "/v1/chat/completions"),
        1 => ("acme:acme-small", "/v1/chat/completions"),
        _ => ("claudia:claudia-4-20260514", "/v1/messages"),
    };
    let body = json!({"model": model, "max_tokens": 1_000, "stream": number.is_multiple_of(2),
        "messages": [{"role": "user", "content": content}]});
    Request::post(path, body.to_string())
}

/// Whether the client hangs up in the middle of its stream.
fn leaves(number: usize) -> bool {
    number.is_multiple_of(2) && number % 11 == 4
}

/// Sends a part of the mix, evenly to some gateways.
async fn send(gateways: &[&Gateway], numbers: Range<usize>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = Vec::new();
    for number in numbers {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let address = gateways[number % gateways.len()].address;
        tasks.push(tokio::spawn(async move {
            let mut client = Client::connect(Version::H1, address).await;
            if leaves(number) {
                let head = client.begin(&mixed(number)).await.unwrap();
                assert_eq!(head.status, 200);
                assert!(matches!(client.chunk().await, Chunk::Data(_)));
            } else {
                let answer = client.ask(&mixed(number)).await;
                assert_eq!(answer.status(), 200, "{}", answer.text());
            }
            drop(place);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Sends the first requests of the mix, and waits until they are reported to the bank.
async fn traffic(gateways: &[&Gateway], vendor: &Vendor, requests: usize) {
    send(gateways, 0..requests).await;
    done(gateways[0], vendor, requests).await;
}

/// Waits until all that was sent is reported to the bank.
async fn done(gateway: &Gateway, vendor: &Vendor, requests: usize) {
    assert_eq!(vendor.count(), requests, "every request was served once");
    told(gateway, requests as u64).await;
}

/// Kills the gateway when everything is settled, and hardly anything of it reported to the bank; starts it again.
async fn crash(gateway: &mut Gateway) {
    let end = clock::now() + PATIENCE;
    let busy = |gateway: &Gateway| {
        let metrics = gateway.admin_get("/metrics");
        ["ledger_holds", "answers_read_on", "requests_in_flight"]
            .iter()
            .any(|name| !metrics.contains(&format!("\ntollgate_{name} 0\n")))
    };
    while busy(gateway) {
        assert!(clock::now() < end, "{}", gateway.admin_get("/metrics"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.kill();
    gateway.restart().await;
}

/// Waits until so many final attempts are reported to the bank: attempts that failed are reported with them.
async fn told(gateway: &Gateway, requests: u64) {
    let bank = bank::on(&gateway.database());
    let end = clock::now() + PATIENCE;
    loop {
        let rollups = bank
            .rollups("default", Day(0), Day(u32::MAX))
            .await
            .unwrap();
        let told: u64 = rollups.iter().map(|rollup| rollup.requests).sum();
        let batches = bank
            .events("default", 0, u64::MAX, usize::MAX)
            .await
            .unwrap();
        let finals = batches
            .iter()
            .flat_map(|batch| stored::decode(batch).unwrap());
        let finals = finals.filter(|event| event.attempt.is(Flag::Final)).count() as u64;
        if told >= requests && finals >= requests {
            return;
        }
        assert!(
            clock::now() < end,
            "{told} totals and {finals} events of {requests} requests"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Writes a report's pages beside the gateway's configuration; their names.
fn save(gateway: &Gateway, name: &str, pages: &[Value]) -> Vec<String> {
    let names = pages.iter().enumerate().map(|(number, page)| {
        let path: PathBuf = gateway.path(&format!("{name}-{number}.json"));
        std::fs::write(&path, page.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    });
    names.collect()
}

/// `tollgate reconcile` of files; its output, and its report.
fn reconcile(
    gateway: &Gateway,
    provider: &str,
    days: &Days,
    files: &[String],
    more: &[&str],
) -> (Output, Value) {
    let json = gateway.path("drift.json");
    std::fs::remove_file(&json).ok();
    let (first, last) = (days.first(), days.last());
    let mut args = vec![
        "reconcile",
        "--provider",
        provider,
        "--from",
        &first,
        "--to",
        &last,
    ];
    args.extend(["--json", json.to_str().unwrap()]);
    args.extend(more);
    args.push("--report");
    args.extend(files.iter().map(String::as_str));
    let output = gateway.command(&args);
    let report = std::fs::read_to_string(&json).unwrap_or_default();
    (output, serde_json::from_str(&report).unwrap_or_default())
}

fn said(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A planted fault must be found by this name, and by no other.
fn found(output: &Output, report: &Value, cause: &str, words: &str) {
    assert_eq!(output.status.code(), Some(1), "{cause}: {}", said(output));
    let causes: Vec<&String> = report["causes"].as_object().unwrap().keys().collect();
    assert_eq!(causes, [cause], "{}", said(output));
    assert!(said(output).contains(words), "{cause}: {}", said(output));
}

/// Reconciles both providers, without faults and with each of them.
async fn nothing_drifts_but_faults(gateway: &Gateway, vendor: &Vendor, fake: &Fake) {
    let days = Days::around_now();
    let honest = vendor.openai(Billing::HONEST, days.span());
    let files = save(gateway, "openai", &honest);
    let (output, report) = reconcile(gateway, "acme", &days, &files, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(report["total"]["drifted"], 0);
    for line in report["lines"].as_array().unwrap() {
        let drift: f64 = line["driftPercent"].as_str().unwrap().parse().unwrap();
        assert!(drift.abs() <= 0.1, "{line}");
        let key = line["key"].as_str().unwrap();
        assert!(
            ["acme-1", "acme-2"].contains(&key),
            "by the gateway's key: {line}"
        );
    }
    let honest = vendor.anthropic(Billing::HONEST, days.span());
    let files = save(gateway, "anthropic", &honest);
    let (output, report) = reconcile(gateway, "claudia", &days, &files, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_ne!(report["total"]["matched"], 0, "{report:#}");

    let dearer = Billing {
        price: |served, price| match served.model.as_str() {
            "acme-small" => Price {
                output: price.output * 1.5,
                ..price
            },
            _ => price,
        },
        ..Billing::HONEST
    };
    let files = save(gateway, "dearer", &vendor.openai(dearer, days.span()));
    let (output, report) = reconcile(gateway, "acme", &days, &files, &[]);
    let rates = "the quantities agree: answer tokens were billed at";
    found(&output, &report, "price", rates);
    assert_eq!(report["models"]["acme-large"]["drifted"], 0, "{report:#}");

    let priority = Billing {
        tier: |number, served: &Served| match served.model.starts_with("claudia")
            && number % 10 == 2
        {
            true => "priority",
            false => served.tier,
        },
        ..Billing::HONEST
    };
    let files = save(
        gateway,
        "priority",
        &vendor.anthropic(priority, days.span()),
    );
    let (output, report) = reconcile(gateway, "claudia", &days, &files, &[]);
    found(&output, &report, "tier-or-variant", "priority");

    // Somebody uses another key of the same organization, without the gateway.
    let body = json!({"model": "acme-large", "messages": [{"role": "user", "content": "use 70000 0 9000"}]});
    let outside = Request::post("/v1/chat/completions", body.to_string())
        .without("authorization")
        .header("authorization", "Bearer LAPTOP-3");
    let answer = Client::connect(Version::H1, fake.address)
        .await
        .ask(&outside)
        .await;
    assert_eq!(answer.status(), 200);
    let files = save(
        gateway,
        "outside",
        &vendor.openai(Billing::HONEST, days.span()),
    );
    let (output, report) = reconcile(gateway, "acme", &days, &files, &[]);
    found(&output, &report, "outside-traffic", "id_laptop-3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_bills_is_what_was_charged() {
    let (vendor, fake) = Vendor::start().await;
    let gateway = gateway(&fake).start().await;
    traffic(&[&gateway], &vendor, REQUESTS).await;
    nothing_drifts_but_faults(&gateway, &vendor, &fake).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_on_one_redis_charge_what_is_billed() {
    let redis = Process::start(&[]);
    let (vendor, fake) = Vendor::start().await;
    let on_redis = || {
        let url = redis.url();
        gateway(&fake).config(json!({"ledger": {"bank": "redis", "redis": {"url": url}}}))
    };
    // The second one keeps what it charges to itself for a while.
    let slowly = json!({"ledger": {"flush": "5s"}});
    let (one, mut other) = (
        on_redis().start().await,
        on_redis().config(slowly).start().await,
    );
    for part in [0..REQUESTS / 3, REQUESTS / 3..REQUESTS / 2] {
        send(&[&one, &other], part).await;
        crash(&mut other).await;
    }
    send(&[&one, &other], REQUESTS / 2..REQUESTS).await;
    done(&one, &vendor, REQUESTS).await;
    nothing_drifts_but_faults(&one, &vendor, &fake).await;
}
