//! Redis stops for a while under load: no request hangs, nothing is lost, the books balance afterwards.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::access_key;
use crate::common::process::Process;
use crate::common::requests::{chat_body, from};
use crate::common::script::{Script, chat_answer};

/// How long Redis is away; a multiple of every deadline, and of the lease.
const AWAY: Duration = Duration::from_secs(12);

/// Of one call to the bank. A request waits for two at most.
const TIMEOUT: Duration = Duration::from_millis(300);

struct Outcome {
    served: usize,
    refused: usize,
    slowest: Duration,
}

async fn outage(policy: Value) -> Outcome {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(50_000_000_000))
        .config(json!({"ledger": {
            "bank": "redis", "redis": {"url": format!("redis://127.0.0.1:{}", redis.port)},
            "timeout": "300ms", "lease": "2s",
        }}))
        .config(json!({"ledger": policy}))
        .start()
        .await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let request = Request::chat(&["m"], false);
    let (mut total, mut outcome) = (
        0,
        Outcome {
            served: 0,
            refused: 0,
            slowest: Duration::ZERO,
        },
    );
    for _ in 0..20 {
        assert_eq!(client.ask(&request).await.status(), 200);
        total += 1;
    }
    // Stopped, not ended: connections stay open, and nothing answers.
    redis.signal("STOP");
    let stopped = tollgate_base::clock::now();
    while stopped.elapsed() < AWAY {
        let asked = tollgate_base::clock::now();
        let answer = client.ask(&request).await;
        outcome.slowest = outcome.slowest.max(asked.elapsed());
        match (answer.status(), answer.code().as_str()) {
            (200, _) => {
                outcome.served += 1;
                total += 1;
            }
            (503, "ERR_TOLLGATE_3814") => outcome.refused += 1,
            other => panic!("{other:?}: {}", answer.text()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = gateway.admin_get("/metrics");
    assert!(
        metrics.contains("tollgate_ledger_accounts_away 1"),
        "{metrics}"
    );
    redis.signal("CONT");
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    loop {
        let answer = client.ask(&request).await;
        if answer.status() == 200 {
            total += 1;
            break;
        }
        assert!(
            tollgate_base::clock::now() < end,
            "it does not recover: {}",
            answer.text()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    books(&gateway, NanoUsd(total * COST.0)).await;
    verified(&gateway);
    println!(
        "{AWAY:?} without Redis: {} served, {} refused, slowest {:?}",
        outcome.served, outcome.refused, outcome.slowest
    );
    assert!(
        outcome.slowest < TIMEOUT * 2 + Duration::from_secs(1),
        "{:?}",
        outcome.slowest
    );
    outcome
}

#[tokio::test]
async fn denied_while_redis_is_away() {
    let outcome = outage(json!({"when_unreachable": "deny"})).await;
    assert!(outcome.refused > 100, "refused {}", outcome.refused);
}

#[tokio::test]
async fn allowed_up_to_a_bound_while_redis_is_away() {
    // An estimate is about a thousand tokens; this is for a hundred requests or two.
    let outcome = outage(json!({"when_unreachable": "allow", "allow_up_to": 0.002})).await;
    assert!(outcome.served > 100, "served {}", outcome.served);
    assert!(outcome.refused > 0, "the bound is reached");
}

/// How long there is traffic before a short outage.
const STEADY: Duration = Duration::from_secs(4);

/// How long that is.
const SHORT: Duration = Duration::from_secs(3);

/// Two gateways, and one account: a key without limits, one with ample ones, one whose answers may be long, so that few of
/// them fit into the overdraft, and one that is always at its limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_served_steadily_does_not_notice_a_short_outage() {
    let redis = Process::start(&[]);
    let answer = Script::new()
        .length()
        .wait(100)
        .head(200, &[("content-type", "application/json")])
        .data(chat_answer("hello").to_string());
    let fake = Fake::start(Wire::H1, answer).await;
    let ample = json!({
        "requests_per_minute": 100_000, "tokens_per_minute": 100_000_000, "concurrent_requests": 1_000,
        "budget": [{"usd": 20, "per": "day"}, {"usd": 20, "per": "total"}],
    });
    let keys = [
        access_key("plain", &json!({})),
        access_key("limited", &json!({"limits": ample})),
        access_key("long", &json!({})),
        access_key("crowded", &json!({"limits": {"concurrent_requests": 2}})),
    ];
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let gateway = Gateway::builder()
            .fake("f", &fake)
            .config(money(50_000_000_000))
            .config(json!({"access_keys": keys, "ledger": {
                "bank": "redis", "redis": {"url": redis.url()}, "timeout": "300ms", "overdraft": 0.1,
            }}))
            .start()
            .await;
        gateways.push(gateway);
    }
    let mut short = chat_body(&["m"], false);
    short["max_tokens"] = json!(3);
    let short = Request::post("/v1/chat/completions", short.to_string());
    let long = Request::chat(&["m"], false);
    let away = Arc::new(AtomicBool::new(false));
    let end = tollgate_base::clock::now() + STEADY + SHORT;
    let mut tasks = Vec::new();
    for gateway in &gateways {
        for (key, request) in [
            ("plain", &short),
            ("limited", &short),
            ("long", &long),
            ("crowded", &short),
        ] {
            for _ in 0..3 {
                let request = from(key, request.clone());
                let traffic = traffic(gateway.address, request, away.clone(), end);
                tasks.push((key, tokio::spawn(traffic)));
            }
        }
    }
    tokio::time::sleep(STEADY).await;
    redis.signal("STOP");
    away.store(true, Ordering::Relaxed);
    let (mut asked, mut served, mut total) = (0, 0, 0);
    for (key, task) in tasks {
        let counts = task.await.unwrap();
        total += counts.total;
        if key != "crowded" {
            asked += counts.asked;
            served += counts.served;
            assert_eq!(counts.refused, 0, "{key}: while Redis was there");
        }
    }
    redis.signal("CONT");
    println!("{SHORT:?} without Redis: {served} of {asked} served");
    assert!(
        asked > 100 && served * 100 >= asked * 99,
        "{served} of {asked}"
    );
    books(&gateways[0], NanoUsd(total * COST.0)).await;
    verified(&gateways[0]);
}

#[derive(Default)]
struct Counts {
    /// While Redis was away.
    asked: usize,
    served: usize,
    /// While it was there.
    refused: usize,
    /// Served, in all.
    total: i64,
}

/// Asks again and again.
async fn traffic(
    address: std::net::SocketAddr,
    request: Request,
    away: Arc<AtomicBool>,
    end: std::time::Instant,
) -> Counts {
    let mut client = Client::connect(Version::H1, address).await;
    let mut counts = Counts::default();
    while tollgate_base::clock::now() < end {
        let answer = client.ask(&request).await;
        let (served, away) = (answer.status() == 200, away.load(Ordering::Relaxed));
        counts.total += i64::from(served);
        counts.asked += usize::from(away);
        counts.served += usize::from(away && served);
        counts.refused += usize::from(!away && !served);
        if !served {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    counts
}
