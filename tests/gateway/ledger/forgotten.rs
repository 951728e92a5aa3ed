//! A Redis that has forgotten, under gateways that live: they send it again, by themselves, all that their journals
//! have.

use std::fs;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::process::Process;

/// Rounds of a request each, reported one by one: more than any gateway has under way.
const ROUNDS: usize = 24;

struct Fleet {
    redis: Process,
    gateways: Vec<Gateway>,
    served: i64,
    _fake: Fake,
}

impl Fleet {
    async fn start(lease: &str) -> Fleet {
        let redis = Process::start(&[]);
        let fake = Fake::good(Wire::H1, "hello").await;
        let mut gateways = Vec::new();
        for _ in 0..2 {
            let bank = json!({"ledger": {
                "bank": "redis", "redis": {"url": redis.url()}, "lease": lease,
            }});
            let gateway = Gateway::builder()
                .fake("f", &fake)
                .config(money(1_000_000_000))
                .config(bank);
            gateways.push(gateway.start().await);
        }
        Fleet {
            redis,
            gateways,
            served: 0,
            _fake: fake,
        }
    }

    /// Every gateway serves a request and tells the bank, some times.
    async fn serve(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for gateway in &self.gateways {
                let answer = ask(gateway, &Request::chat(&["m"], false)).await;
                assert_eq!(answer.status(), 200, "{}", answer.text());
                self.served += 1;
            }
            self.charged().await;
        }
    }

    async fn charged(&self) -> Books {
        books(&self.gateways[0], NanoUsd(self.served * COST.0)).await
    }

    /// The server is killed, and comes back with what it had saved.
    fn restore(&mut self) {
        self.redis.kill();
        let dump = self.redis.dir().join("dump.rdb");
        fs::copy(self.redis.dir().join("saved.rdb"), dump).unwrap();
        self.redis.restart();
    }

    fn save(&self) {
        self.redis.ask::<()>(&["SAVE"]);
        let saved = self.redis.dir().join("saved.rdb");
        fs::rename(self.redis.dir().join("dump.rdb"), saved).unwrap();
    }

    fn metric(&self, which: usize) -> String {
        let metrics = self.gateways[which].admin_get("/metrics");
        let lost = metrics
            .lines()
            .find(|line| line.starts_with("tollgate_ledger_lost_usd"));
        lost.unwrap_or_else(|| panic!("{metrics}")).to_owned()
    }
}

#[tokio::test]
async fn an_old_dump_under_two_gateways() {
    let mut fleet = Fleet::start("60s").await;
    fleet.serve(2).await;
    fleet.save();
    fleet.serve(ROUNDS).await;
    // Nobody asks anything any more: what is missing is sent all the same.
    fleet.restore();
    fleet.charged().await;
    fleet.serve(2).await;
    assert_eq!(
        totals(&fleet.gateways[0]).await.requests,
        fleet.served.unsigned_abs()
    );
    for which in 0..2 {
        assert!(fleet.metric(which).ends_with(" 0"));
        let said = fleet.gateways[which].output();
        assert!(said.contains("They are told again"), "{said}");
    }
    verified(&fleet.gateways[0]);
}

#[tokio::test]
async fn an_old_dump_under_a_gateway_that_had_died() {
    let mut fleet = Fleet::start("4s").await;
    fleet.serve(1).await;
    fleet.save();
    fleet.serve(ROUNDS).await;
    fleet.gateways[1].kill();
    fleet.restore();
    fleet.gateways[1].restart().await;
    fleet.charged().await;
    // Once more, by when that life was reported: it is kept for a lease, and sent again then.
    fleet.restore();
    fleet.gateways[1].kill();
    fleet.gateways[1].restart().await;
    fleet.charged().await;
    fleet.serve(1).await;
    verified(&fleet.gateways[0]);
}

#[tokio::test]
async fn a_server_that_was_emptied() {
    let mut fleet = Fleet::start("60s").await;
    fleet.serve(ROUNDS).await;
    // Spent without grants: the two make up for it by hand.
    fleet.redis.ask::<()>(&["FLUSHALL"]);
    fleet.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    let books = fleet.charged().await;
    assert_eq!((books.granted, books.debt), (NanoUsd::ZERO, books.spent));
    verified(&fleet.gateways[0]);
}
