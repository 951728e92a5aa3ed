//! Sentinels make the replica the primary: the bank follows, and what was lost shows and is repeated.

use std::time::Duration;

use tokio::time::timeout;
use tollgate_base::clock;
use tollgate_control::store::{Committed, Since};
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Exchange};
use tollgate_store::StoreError;
use tollgate_store::redis::RedisSettings;

use super::resources::quiet;
use super::topologies::{Watched, in_step, open, settings};
use crate::contract::resources::{commit, put};
use crate::contract::{Teller, new_grant, tell};

/// Asks until there is an answer.
async fn answered(bank: &dyn Bank, message: &Exchange) -> u64 {
    let end = clock::now() + Duration::from_secs(40);
    loop {
        match bank.exchange(std::slice::from_ref(message)).await.remove(0) {
            Ok(reply) => return reply.last,
            Err(StoreError::Away(error)) => assert!(clock::now() < end, "{error}"),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bank_follows_and_a_lost_batch_is_repeated() {
    let mut watched = Watched::start();
    let settings = RedisSettings {
        timeout: Duration::from_secs(1),
        ..settings(watched.topology())
    };
    let bank = open(&settings);
    bank.grant("a", &new_grant("g", 1_000, None)).await.unwrap();
    let store = bank.resources.clone();
    let put = |id| commit(id, vec![put("x", "a", "{}")]);
    assert_eq!(store.commit(0, &put(1)).await, Ok(Committed::At(1)));
    quiet(&*store).await;
    let mut teller = Teller::new("a", 1);
    let [first, second, third] = [teller.spend(1), teller.spend(10), teller.spend(100)];
    assert_eq!(tell(&*bank, &first).await.last, 1);
    in_step(&watched.primary, &watched.replica);

    // The replica is cut off from the primary, which goes on answering those that are already in.
    watched
        .primary
        .ask::<()>(&["CONFIG", "SET", "requirepass", "nobody"]);
    let replicas = redis::Client::open(format!(
        "redis://:nobody@127.0.0.1:{}",
        watched.primary.port
    ));
    let mut direct = replicas.unwrap().get_connection().unwrap();
    redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("replica")
        .exec(&mut direct)
        .unwrap();
    assert_eq!(
        tell(&*bank, &second).await.last,
        2,
        "answered, and not on the replica"
    );
    assert_eq!(store.commit(1, &put(2)).await, Ok(Committed::At(2)));
    watched.primary.kill();

    let third = Exchange { oldest: 2, ..third };
    assert_eq!(answered(&*bank, &third).await, 1, "the second is missing");
    assert_eq!(answered(&*bank, &second).await, 2);
    assert_eq!(answered(&*bank, &third).await, 3);
    let books = bank.books("a").await.unwrap();
    assert_eq!((books.spent, books.free), (NanoUsd(111), NanoUsd(889)));
    assert_eq!(books.faults(), Vec::<String>::new());
    assert_eq!(bank.accounts().await.unwrap(), ["a"]);

    // Whoever hears of commits hears of the new primary's, and that it has no second revision, or another one.
    timeout(Duration::from_secs(20), store.changed())
        .await
        .unwrap();
    assert_eq!(store.since(2).await, Ok(Since::Unknown));
    let author = open(&settings).resources;
    assert_eq!(author.commit(1, &put(3)).await, Ok(Committed::At(2)));
    assert_eq!(store.since(2).await, Ok(Since::Unknown));
    assert_eq!(store.load().await.unwrap().revision, 2);
    quiet(&*store).await;

    // The old primary comes back as a replica; nobody writes to it.
    watched.primary.restart();
    assert_eq!(answered(&*bank, &teller.spend(1)).await, 4);
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_said() {
    let watched = Watched::start();
    let mut settings = settings(watched.topology());
    if let tollgate_store::redis::Topology::Sentinel { master, .. } = &mut settings.topology {
        *master = "other".to_owned();
    }
    let Err(StoreError::Away(error)) = open(&settings).books("a").await else {
        panic!("nobody knows `other`");
    };
    assert!(
        error.contains("`other`") && error.contains("127.0.0.1:1 cannot"),
        "{error}"
    );
}
