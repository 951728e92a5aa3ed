//! A hundred thousand access keys in the store; fewer in a debug build, which is many times slower.

use tollgate_base::id;
use tollgate_config::secrets::Token;
use tollgate_control::Document as _;
use tollgate_control::resource::AccessKey;
use tollgate_control::store::{Commit, Committed, Store, Write};

use super::*;
use crate::common::fake::{Fake, Wire};

const KEYS: usize = if cfg!(debug_assertions) {
    20_000
} else {
    100_000
};
const AT_ONCE: usize = 5_000;

const STARTED: Duration = if cfg!(debug_assertions) {
    Duration::from_secs(30)
} else {
    Duration::from_secs(2)
};

/// Writes them; the token of the last one.
async fn fill(store: &dyn Store) -> String {
    let now = clock::wall_ms();
    let mut token = String::new();
    let mut revision = store.load().await.unwrap().revision;
    let mut key = AccessKey::default();
    key.meta.account = "default".to_owned();
    key.meta.created_by = "tests".to_owned();
    key.meta.last_updated_by = "tests".to_owned();
    key.redacted = "tg-ak_01jd***".to_owned();
    for some in 0..KEYS / AT_ONCE {
        let writes = (0..AT_ONCE).map(|n| {
            let id = id::new(AccessKey::PREFIX, now);
            if some == KEYS / AT_ONCE - 1 && n == AT_ONCE - 1 {
                let new = Token::generate(&id).unwrap();
                key.sha256 = new.digest();
                token = new.expose().to_owned();
            } else {
                key.sha256[..8].copy_from_slice(&tollgate_base::random::bits64().to_le_bytes());
            }
            Write {
                kind: AccessKey::KIND.to_owned(),
                id,
                body: Some(serde_json::to_string(&key).unwrap()),
            }
        });
        let commit = Commit {
            id: tollgate_base::random::bits64(),
            writes: writes.collect(),
            audit: Vec::new(),
        };
        let made = store.commit(revision, &commit).await.unwrap();
        revision += 1;
        assert_eq!(made, Committed::At(revision));
    }
    token
}

async fn started_with_many(mut gateway: Gateway, what: &str) {
    gateway.stop().await;
    let began = clock::now();
    gateway.restart().await;
    let (empty, small) = (clock::now() - began, memory(&gateway, "VmRSS:"));
    gateway.stop().await;
    let store = resources(&gateway);
    let token = fill(&*store).await;
    drop(store);
    let began = clock::now();
    gateway.restart().await;
    let full = clock::now() - began;
    println!(
        "{what}: ready after {full:.2?} with {KEYS} access keys, {empty:.2?} without; memory {} MiB, {small} MiB without",
        memory(&gateway, "VmRSS:")
    );
    let answer = ask(gateway.address, &chat(&token)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let mut all = Vec::new();
    for _ in 0..10 {
        let began = clock::now();
        let (id, token) = create(&gateway).await;
        all.push(until(gateway.address, &chat(&token), 200, began, "a new key").await);
        let began = clock::now();
        delete(&gateway, &id).await;
        all.push(until(gateway.address, &chat(&token), 401, began, "a deleted key").await);
    }
    let what = format!("{what}: a change with {KEYS} keys, from the question to serving it");
    assert!(super::changes::worst(&what, all) < SOON);
    println!(
        "{what}: memory then {} MiB, at most {} MiB",
        memory(&gateway, "VmRSS:"),
        memory(&gateway, "VmHWM:")
    );
    assert!(full < STARTED, "{full:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_starts_with_very_many_keys_in_sqlite() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = managed().fake("f", &fake).start().await;
    started_with_many(gateway, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_starts_with_very_many_keys_in_redis() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    // The test's own writes are large, and so is their deadline.
    let slow = json!({"ledger": {"timeout": "5s"}});
    let gateway = replica(&redis).config(slow).fake("f", &fake).start().await;
    started_with_many(gateway, "Redis").await;
}
