//! Two gateways on one Redis: a key is one gateway's at a time, and its answer every gateway's.

use std::time::Duration;

use super::*;
use crate::common::process::Process;
use crate::fleet::on;
use crate::ledger::bank;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_counts_once_in_a_fleet() {
    let redis = Process::start(&[]);
    let (open, gate) = watch::channel(false);
    let fake = gated(&gate).await;
    let start = || gateway(&fake).config(on(&redis.url())).start();
    let (mut one, other) = (start().await, start().await);
    let request = keyed("k", chat(true));
    let mut client = Client::connect(Version::H1, one.address).await;
    let head = client.begin(&request).await.unwrap();
    let busy = ask(&other, &request).await;
    assert_eq!((busy.status(), &*busy.code()), (409, "ERR_TOLLGATE_3828"));
    assert!(busy.header("retry-after").is_some(), "SDKs come back");
    let message = keyed("k2", from("once", Request::message(&["m"], true)));
    let another = ask(&other, &keyed("k", chat(false))).await;
    assert_eq!(
        (another.status(), &*another.code()),
        (422, "ERR_TOLLGATE_3829")
    );

    open.send_replace(true);
    let first = client.finish(head, clock::now()).await;
    assert!(first.clean);
    charged(&other, 1).await;
    // Whoever gave the answer may die: it is kept.
    one.kill();
    let again = ask(&other, &request).await;
    assert_eq!(
        (again.status(), how(&again)),
        (200, Some("replayed")),
        "{}",
        again.text()
    );
    assert_eq!((&again.body, fake.count()), (&first.body, 1));

    // A gateway that dies within an answer has its key until the lease ends.
    one.restart().await;
    open.send_replace(false);
    let mut client = Client::connect(Version::H1, one.address).await;
    client.begin(&message).await.unwrap();
    one.kill();
    let busy = ask(&other, &message).await;
    assert_eq!(busy.status(), 409, "{}", busy.text());
    assert_eq!(
        busy.json()["error"]["code"],
        "ERR_TOLLGATE_3828",
        "in its dialect"
    );
    assert_eq!(fake.count(), 2);
    // What it was killed within is the house's: whoever sends it again pays for it then.
    one.restart().await;
    let bank = bank(&other);
    let end = clock::now() + PATIENCE;
    while bank.books("house").await.unwrap().spent == NanoUsd::ZERO {
        assert!(clock::now() < end, "nobody was charged");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    charged(&other, 1).await;

    let all: Vec<String> = redis.ask(&["HGETALL", "tollgate:1:{default}:names"]);
    let all = all.concat();
    assert!(all.contains("v2."), "it is sealed: {all}");
    assert!(!all.contains("planted-answer"), "{all}");
}

/// Whether a request was sent before cannot be known then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_no_key_is_taken() {
    let mut redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, TEXT).await;
    let gateway = gateway(&fake).config(on(&redis.url())).start().await;
    let request = keyed("k", chat(false));
    assert_eq!(ask(&gateway, &request).await.status(), 200);
    redis.kill();
    let refused = ask(&gateway, &request).await;
    assert_eq!(
        (refused.status(), &*refused.code()),
        (503, "ERR_TOLLGATE_3814")
    );
    assert!(
        refused.text().contains("Idempotency-Key"),
        "{}",
        refused.text()
    );
    assert_eq!(fake.count(), 1);
}
