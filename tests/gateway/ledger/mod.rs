//! Money, with the real binary: what is charged, what is refused, and that the books balance whatever dies.

mod bill;
mod books;
mod budgets;
mod clocks;
mod copies;
mod crash;
mod cut_off;
mod forgotten;
mod hedge;
mod large;
mod leaving;
mod limits;
mod money;
mod outage;
mod power;
mod race;
mod start;
mod tags;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank;
use tollgate_ledger::bank::{Bank, Books, Day, Rollup};
use tollgate_ledger::events::stored;

use crate::common;
pub use crate::common::ask;
use crate::common::client::{Answer, Client, Version};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;

/// Nano-dollars for each token, so that the fake's answer of 10 tokens costs 10,000.
pub const FEE: i64 = 1_000;

/// What an answer of the fake costs: 7 prompt tokens, 3 answer tokens.
pub const COST: NanoUsd = NanoUsd(10 * FEE);

/// A ledger that charges [`FEE`], with credits for `default`: nano-dollars, whole thousands.
pub fn money(credits: i64) -> Value {
    let micros = credits / 1_000;
    let dollars = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    json!({
        // USD per million tokens
        "ledger": {"processing_fee": 1, "flush": "50ms"},
        "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": dollars}]}],
    })
}

/// The gateway's bank, opened beside it.
pub fn bank(gateway: &Gateway) -> Arc<dyn Bank> {
    bank::on(&gateway.database())
}

/// The books once everything that was settled is reported.
pub async fn books(gateway: &Gateway, spent: NanoUsd) -> Books {
    let bank = bank(gateway);
    let end = tollgate_base::clock::now() + common::PATIENCE;
    loop {
        let books = bank.books("default").await.unwrap();
        assert_eq!(books.faults(), Vec::<String>::new());
        if books.spent == spent || tollgate_base::clock::now() > end {
            assert_eq!(books.spent, spent, "charged");
            return books;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How often each request was charged, by its id, and whether as an orphan.
pub async fn charged(gateway: &Gateway) -> HashMap<String, (usize, bool)> {
    let bank = bank(gateway);
    let events = bank.events("default", 0, u64::MAX, usize::MAX).await;
    let mut charged: HashMap<String, (usize, bool)> = HashMap::new();
    for batch in events.unwrap() {
        for event in stored::decode(&batch).unwrap() {
            let event = serde_json::to_value(event.shown()).unwrap();
            if event["isFinalAttempt"] != true {
                continue;
            }
            let id = event["requestId"].as_str().unwrap().to_owned();
            let entry = charged.entry(id).or_default();
            entry.0 += 1;
            entry.1 |= event["orphaned"] == true;
        }
    }
    charged
}

/// The sum of all totals.
pub async fn totals(gateway: &Gateway) -> Rollup {
    let all = bank(gateway)
        .rollups("default", Day(0), Day(u32::MAX))
        .await
        .unwrap();
    let mut sum = Rollup::default();
    for one in all {
        sum.requests += one.requests;
        sum.failed += one.failed;
        sum.orphaned += one.orphaned;
        sum.input += one.input;
        sum.output += one.output;
        sum.cost += one.cost;
    }
    sum
}

/// `tollgate ledger verify` says that the books balance.
pub fn verified(gateway: &Gateway) {
    let output = gateway.command(&["ledger", "verify"]);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
