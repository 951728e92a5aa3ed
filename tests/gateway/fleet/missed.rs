//! Messages that nobody heard, and a store that went back in time.

use redis::Commands as _;

use super::changes::worst;
use super::*;
use crate::common::fake::{Fake, Wire};

/// Creates keys at one replica, each after `disturb`; how long each took to work at the other one.
async fn disturbed(one: &Gateway, other: &Gateway, disturb: impl Fn()) -> Vec<Duration> {
    let mut all = Vec::new();
    for _ in 0..10 {
        disturb();
        let (id, token) = create(one).await;
        let began = clock::now();
        all.push(until(other.address, &chat(&token), 200, began, "a new key").await);
        disturb();
        delete(one, &id).await;
        let began = clock::now();
        all.push(until(other.address, &chat(&token), 401, began, "a deleted key").await);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_message_heals_within_a_second() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let one = replica(&redis).fake("f", &fake).start().await;
    let other = replica(&redis).fake("f", &fake).start().await;
    let cut = || {
        redis.ask::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    };
    let all = disturbed(&one, &other, cut).await;
    assert!(worst("a change while subscribers are cut off", all) < SOON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_may_not_subscribe_hear_within_a_second() {
    const PASSWORD: &str = "a-password-that-is-long-enough-to-be-kept-secret";
    let redis = Process::start(&[]);
    let rule = format!(
        "SETUSER ledger on >{PASSWORD} ~tollgate:* ~{{tollgate}}:* +@scripting +@read +@write +@connection +time"
    );
    let words: Vec<&str> = std::iter::once("ACL").chain(rule.split(' ')).collect();
    redis.ask::<()>(&words);
    let fake = Fake::good(Wire::H1, "hello").await;
    let user = json!({"ledger": {"redis": {"username": "ledger", "password": PASSWORD}}});
    let start = || {
        replica(&redis)
            .config(user.clone())
            .fake("f", &fake)
            .start()
    };
    let (one, other) = (start().await, start().await);
    let all = disturbed(&one, &other, || ()).await;
    assert!(worst("a change without messages", all) < SOON);
}

/// Everything that a Redis holds.
fn dump(redis: &Process) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut connection = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let keys: Vec<Vec<u8>> = connection.keys("*").unwrap();
    let value = |key: Vec<u8>| {
        let value = redis::cmd("DUMP").arg(&key).query(&mut connection).unwrap();
        (key, value)
    };
    keys.into_iter().map(value).collect()
}

fn restore(redis: &Process, all: &[(Vec<u8>, Vec<u8>)]) {
    let mut connection = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("FLUSHALL").ignore();
    for (key, value) in all {
        pipe.cmd("RESTORE").arg(key).arg(0).arg(value).ignore();
    }
    pipe.query::<()>(&mut connection).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_went_back_in_time_is_noticed_within_a_second() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateways = [
        replica(&redis).fake("f", &fake).start().await,
        replica(&redis).fake("f", &fake).start().await,
    ];
    let everywhere = async |token: &str, status: u16, what: &str| {
        let began = clock::now();
        let mut all = Vec::new();
        for gateway in &gateways {
            all.push(until(gateway.address, &chat(token), status, began, what).await);
        }
        worst(what, all)
    };
    let (id, old) = create(&gateways[0]).await;
    let backup = dump(&redis);
    delete(&gateways[0], &id).await;
    let (_, new) = create(&gateways[1]).await;
    everywhere(&new, 200, "a key after the backup").await;
    everywhere(&old, 401, "a key that was deleted after the backup").await;

    restore(&redis, &backup);
    assert!(everywhere(&new, 401, "a key that the backup does not have").await < SOON);
    assert!(everywhere(&old, 200, "a key that only the backup has").await < SOON);
    // As many commits as were lost: the same revision, and another store.
    create(&gateways[0]).await;
    let (_, newer) = create(&gateways[1]).await;
    assert!(everywhere(&newer, 200, "a key after the backup was restored").await < SOON);

    redis.ask::<()>(&["FLUSHALL"]);
    assert!(everywhere(&newer, 401, "a key that was flushed").await < SOON);
    let (_, newest) = create(&gateways[0]).await;
    let known = ask(gateways[1].admin, &admin("GET", "/access-keys", None)).await;
    assert!(
        known.text().contains(newest.split('-').nth(1).unwrap()),
        "{}",
        known.text()
    );
}
