//! `kill -9` at random moments under load: whoever got a whole answer paid for it once, everybody else
//! at most once.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::script::Script;

/// Enough to die in every phase of a request; other runs have other moments.
const KILLS: usize = 40;
const CLIENTS: usize = 6;

#[derive(Default)]
struct Seen {
    /// Requests that were sent.
    sent: HashSet<String>,
    /// Those that were answered whole, with 200.
    whole: HashSet<String>,
}

async fn client(gateway: std::net::SocketAddr, number: usize, seen: Arc<Mutex<Seen>>) {
    for turn in 0.. {
        let id = format!("c{number}-{turn}-{:x}", tollgate_base::random::bits64());
        let request = Request::chat(&["m"], turn % 2 == 0).header("x-request-id", &id);
        seen.lock().sent.insert(id.clone());
        let attempt = async {
            let mut client = Client::try_connect(gateway).await?;
            client.try_ask(&request).await
        };
        let Ok(answer) = attempt.await else {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        };
        if answer.status() == 200 && answer.clean {
            seen.lock().whole.insert(id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_is_charged_once() {
    let fake = Fake::answering(Wire::H1, |seen| {
        Script::chat(seen.json()["stream"].as_bool() == Some(true), "hello")
    })
    .await;
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(1_000_000_000_000))
        .start()
        .await;
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(gateway.address, number, seen.clone())))
        .collect();
    for _ in 0..KILLS {
        let moment = tollgate_base::random::bits64() % 60;
        tokio::time::sleep(Duration::from_millis(20 + moment)).await;
        gateway.kill();
        gateway.restart().await;
    }
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.stop().await;

    let bank = bank(&gateway);
    let books = bank.books("default").await.unwrap();
    assert_eq!(books.faults(), Vec::<String>::new());
    assert_eq!(books.lent(), NanoUsd::ZERO, "{:#?}", books.allotments);
    let charged = charged(&gateway).await;
    let total = totals(&gateway).await;
    let seen = seen.lock();
    let orphans = charged.values().filter(|(_, orphaned)| *orphaned).count();
    println!(
        "{KILLS} kills: {} requests sent, {} answered whole, {} charged, {orphans} of them as orphans, {} in all",
        seen.sent.len(),
        seen.whole.len(),
        charged.len(),
        books.spent
    );
    let missing: Vec<_> = seen
        .whole
        .iter()
        .filter(|id| !charged.contains_key(*id))
        .collect();
    assert!(
        missing.is_empty(),
        "answered whole and not charged: {missing:?}"
    );
    let marked: Vec<_> = seen.whole.iter().filter(|id| charged[*id].1).collect();
    assert!(
        marked.is_empty(),
        "answered whole and charged as an orphan: {marked:?}"
    );
    let twice: Vec<_> = charged
        .iter()
        .filter(|(_, (count, _))| *count > 1)
        .collect();
    assert!(twice.is_empty(), "charged twice: {twice:?}");
    let unknown: Vec<_> = charged
        .keys()
        .filter(|id| !seen.sent.contains(*id))
        .collect();
    assert!(unknown.is_empty(), "charged and never sent: {unknown:?}");
    assert_eq!(total.cost, books.spent);
    assert_eq!(
        total.requests,
        charged.len() as u64,
        "an event for each charge"
    );
    assert_eq!(total.orphaned, orphans as u64);
    assert!(seen.whole.len() > KILLS, "there was load");
    verified(&gateway);
}
