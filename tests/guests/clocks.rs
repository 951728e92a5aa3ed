//! Windows are the bank's: whatever a gateway's clock says, limits begin anew when they should, for it and for all others.
//!
//! Needs libfaketime; without it, these tests say so and pass.

use std::time::Duration;

use serde_json::json;
use tollgate_base::clock;

use crate::common::client::{Answer, Client};
use crate::common::fake::{Fake, Wire};
use crate::common::faketime::Clock;
use crate::common::gateway::{Gateway, access_key};
use crate::common::process::Process;
use crate::common::requests::{Request, from};

/// Requests that the key may make in a minute.
const LIMIT: usize = 20;

/// How long a minute lasts when the gateways are started (s): they take a while, and nobody waits for a whole one.
const LEFT: u64 = 30;

async fn ask(gateway: &Gateway) -> Answer {
    let mut client = Client::try_connect(gateway.address).await.unwrap();
    client
        .ask(&from("limited", Request::chat(&["m"], false)))
        .await
}

/// How long the refusal says to wait (s).
fn wait(refusal: &Answer) -> u64 {
    assert_eq!(refusal.code(), "ERR_TOLLGATE_3812", "{}", refusal.text());
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    let text = refusal.text();
    assert!(
        (1..=60).contains(&wait),
        "a minute has 60 seconds, and not {wait}: {text}"
    );
    wait
}

/// Until it is served: units that another gateway has come with a short wait.
async fn served(gateway: &Gateway) -> bool {
    let end = clock::now() + Duration::from_secs(8);
    while clock::now() < end {
        if ask(gateway).await.status() == 200 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

/// A gateway an hour ahead began the windows of all others, which were refused for an hour and asked to come back in a
/// minute.
#[tokio::test]
async fn a_gateway_that_is_an_hour_off_moves_no_window_of_others() {
    let clocks = [Clock::new(), Clock::new(), Clock::new()];
    let [Some(right), Some(ahead), Some(behind)] = &clocks else {
        return;
    };
    let second = clock::unix().as_secs() % 60;
    let until = (120 - LEFT - second) % 60;
    right.set(&format!("+{until}"));
    ahead.set(&format!("+{}", until + 3_590));
    behind.set(&format!("-{}", 3_600 - until));
    let redis = Process::start_in(&[], &right.env());
    let fake = Fake::good(Wire::H1, "hello").await;
    let start = |clock: &Clock| {
        let key = json!({"limits": {"requests_per_minute": LIMIT}});
        Gateway::builder()
            .fake("f", &fake)
            .config(json!({
                "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}],
                "ledger": {"bank": "redis", "redis": {"url": redis.url()}, "flush": "50ms"},
                "access_keys": [access_key("limited", &key)],
            }))
            .clock(clock)
            .start()
    };
    // The wrong ones first, so that windows are theirs to begin.
    let gateways = [start(ahead).await, start(behind).await, start(right).await];
    for gateway in &gateways {
        assert!(
            served(gateway).await,
            "each is served: {}",
            gateway.output()
        );
    }
    // All of it is used up, by whomever; each answer says then when the minute ends.
    let mut waits = [None; 3];
    let patience = clock::now() + Duration::from_secs(50);
    while waits.contains(&None) {
        assert!(clock::now() < patience, "the limit holds: {waits:?}");
        for (gateway, told) in gateways.iter().zip(&mut waits) {
            let answer = ask(gateway).await;
            // One second is for what another one has.
            *told = match answer.status() {
                200 => None,
                _ => Some(wait(&answer)).filter(|wait| *wait > 1),
            };
        }
    }
    let wait = waits.into_iter().flatten().max().unwrap();
    tokio::time::sleep(Duration::from_secs(wait)).await;
    for gateway in &gateways {
        assert!(
            served(gateway).await,
            "after {wait} s: {}",
            gateway.output()
        );
    }
}
