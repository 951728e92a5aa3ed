//! Redis stops for a while under load: no request hangs, nothing is lost, the books balance afterwards.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::process::Process;

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
