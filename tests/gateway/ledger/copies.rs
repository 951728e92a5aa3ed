//! Gateways on copies of one data directory, on one Redis: both are charged for what they serve, and one says so.

use std::fs;
use std::path::Path;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::process::Process;

/// What a gateway says that has found out.
const SAID: &str = "is a copy";
const STARTED: &str = "from a copy of this one's journal";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

struct Pair {
    one: Gateway,
    other: Gateway,
    served: i64,
}

impl Pair {
    /// Two gateways on one Redis; the other one is stopped.
    async fn start(redis: &Process, fake: &Fake) -> Pair {
        let gateway = || {
            let bank = json!({"ledger": {"bank": "redis", "redis": {"url": redis.url()}}});
            Gateway::builder()
                .fake("f", fake)
                .config(money(1_000_000_000))
                .config(bank)
        };
        let (one, mut other) = (gateway().start().await, gateway().start().await);
        other.stop().await;
        Pair {
            one,
            other,
            served: 0,
        }
    }

    /// The other gets a copy of the one's journal in the place of its own.
    fn copy(&self) {
        let journal = self.other.path("data/journal");
        fs::remove_dir_all(&journal).unwrap();
        copy(&self.one.path("data/journal"), &journal);
    }

    async fn serve(&mut self, gateways: &[bool]) {
        for other in gateways {
            let gateway = if *other { &self.other } else { &self.one };
            let answer = ask(gateway, &Request::chat(&["m"], false)).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
            self.served += 1;
        }
    }

    /// All that was served is in the books, once.
    async fn charged(&self) {
        books(&self.one, NanoUsd(self.served * COST.0)).await;
        assert_eq!(totals(&self.one).await.requests, self.served.unsigned_abs());
        verified(&self.one);
    }

    /// One of them has found out. Until then, both go on.
    async fn said(&mut self) {
        let end = tollgate_base::clock::now() + common::PATIENCE;
        loop {
            let both = [self.one.output(), self.other.output()].concat();
            if both.contains(SAID) || both.contains(STARTED) {
                assert!(both.contains("a journal (`ledger.journal`) of its own"));
                return;
            }
            assert!(tollgate_base::clock::now() < end, "nothing was said");
            self.serve(&[false, true]).await;
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
}

#[tokio::test]
async fn a_directory_that_was_copied_while_its_gateway_was_stopped() {
    let (redis, fake) = (Process::start(&[]), Fake::good(Wire::H1, "hello").await);
    for killed in [false, true] {
        let mut pair = Pair::start(&redis, &fake).await;
        let before = bank(&pair.one).books("default").await.unwrap();
        pair.served = before.spent.0 / COST.0;
        pair.serve(&[false; 3]).await;
        if killed {
            pair.one.kill();
        } else {
            pair.one.stop().await;
        }
        pair.copy();
        tokio::join!(pair.one.restart(), pair.other.restart());
        pair.serve(&[false, true, true, false, true]).await;
        pair.said().await;
        pair.charged().await;
        // After the next start, each is itself.
        pair.one.stop().await;
        pair.other.stop().await;
        pair.charged().await;
        tokio::join!(pair.one.restart(), pair.other.restart());
        pair.serve(&[false, true]).await;
        pair.charged().await;
        let ids = [&pair.one, &pair.other].map(|gateway| {
            let file = gateway.path("data/journal/replica");
            let text = fs::read_to_string(file).unwrap();
            text.split('.').next().unwrap().to_owned()
        });
        assert_ne!(ids[0], ids[1]);
    }
}

#[tokio::test]
async fn a_directory_that_was_copied_while_its_gateway_ran() {
    let (redis, fake) = (Process::start(&[]), Fake::good(Wire::H1, "hello").await);
    let mut pair = Pair::start(&redis, &fake).await;
    pair.serve(&[false; 3]).await;
    pair.charged().await;
    pair.copy();
    pair.serve(&[false]).await;
    pair.other.restart().await;
    pair.serve(&[true, false, true, false]).await;
    pair.said().await;
    pair.charged().await;
    pair.one.kill();
    pair.one.restart().await;
    pair.serve(&[true, false]).await;
    pair.charged().await;
}
