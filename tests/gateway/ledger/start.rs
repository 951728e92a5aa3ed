//! What keeps a gateway from starting, and what does not.

use std::fs;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::process::Process;

#[tokio::test]
async fn a_second_gateway_on_the_same_files_is_told_so() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let output = gateway.command(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("tollgate.db") && said.contains("another"),
        "{said}"
    );
}

#[tokio::test]
async fn a_damaged_journal_is_told_and_nothing_of_it_is_lost() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(1_000_000_000))
        .start()
        .await;
    for _ in 0..5 {
        assert_eq!(
            ask(&gateway, &Request::chat(&["m"], false)).await.status(),
            200
        );
    }
    gateway.kill();
    let journal = gateway.path("data/journal");
    let life = fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .max()
        .unwrap();
    let segment = fs::read_dir(&life)
        .unwrap()
        .map(|e| e.unwrap().path())
        .min()
        .unwrap();
    let good = fs::read(&segment).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 0xff;
    fs::write(&segment, &bad).unwrap();
    let output = gateway.command(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains(".log") && said.contains("move"),
        "it says where, and what to do: {said}"
    );
    assert_eq!(fs::read(&segment).unwrap(), bad, "nothing was changed");
    fs::write(&segment, &good).unwrap();
    gateway.restart().await;
    books(&gateway, NanoUsd(5 * COST.0)).await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut gateway = Gateway::builder().fake("f", &fake).start().await;
    gateway.stop().await;
    let database = rusqlite::Connection::open(gateway.path("data/tollgate.db")).unwrap();
    database.pragma_update(None, "user_version", 1_000).unwrap();
    drop(database);
    let output = gateway.command(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("newer"), "{said}");
}

#[tokio::test]
async fn a_redis_that_is_away_at_the_start_is_waited_for() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut redis = Process::start(&[]);
    redis.kill();
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(1_000_000_000))
        .config(json!({"ledger": {"bank": "redis", "timeout": "300ms",
            "redis": {"url": format!("redis://127.0.0.1:{}", redis.port)}}}))
        .listen()
        .await;
    let answer = ask(&gateway, &Request::chat(&["m"], false)).await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "ERR_TOLLGATE_3814")
    );
    redis.restart();
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    while ask(&gateway, &Request::chat(&["m"], false)).await.status() != 200 {
        assert!(
            tollgate_base::clock::now() < end,
            "it does not recover:\n{}",
            gateway.output()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    books(&gateway, COST).await;
}
