//! What is particular to a file: who may open it, what is in it, when it cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::NanoUsd;
use crate::bank::Holder;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollgate_base::clock;
use tollgate_store::Access;
use tollgate_store::sqlite::{Options, Synchronous};

const GATEWAY: Options = Options {
    access: Access::Gateway,
    timeout: Duration::from_secs(10),
    synchronous: Synchronous::Normal,
};

const COMMAND: Options = Options {
    access: Access::Command,
    ..GATEWAY
};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/down/bank.db");
    (folder, path)
}

fn open(path: &Path, options: Options) -> Result<SqliteBank, StoreError> {
    Ok(SqliteBank::new(Arc::new(Worker::open(path, options)?)))
}

fn error(path: &Path, options: Options) -> StoreError {
    open(path, options).unwrap_err()
}

fn dollars(id: &str, amount: i64) -> NewGrant {
    NewGrant {
        id: id.to_owned(),
        amount: NanoUsd(amount),
        expires_after: None,
        note: String::new(),
    }
}

fn borrow(account: &str, replica: u64, number: u64, nanos: i64) -> Exchange {
    Exchange {
        oldest: number,
        need: NanoUsd(nanos),
        want: NanoUsd(nanos),
        ..Exchange::empty(
            account.into(),
            Holder { replica, epoch: 1 },
            number,
            Duration::from_secs(60),
        )
    }
}

fn with_events(message: Exchange, size: usize) -> Exchange {
    let events = Events {
        count: 1,
        from_ms: 1,
        to_ms: 2,
        bytes: Bytes::from(vec![7; size]),
        ids: Bytes::new(),
    };
    Exchange {
        events: Some(events),
        ..message
    }
}

async fn sql(bank: &SqliteBank, sql: &'static str) {
    let run = move |at: At<'_>| at.connection.execute_batch(sql);
    bank.worker.write(run).await.unwrap();
}

async fn pages(bank: &SqliteBank, most: i64) {
    let limit = move |at: At<'_>| {
        at.connection
            .pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))
    };
    bank.worker.read(limit).await.unwrap();
}

#[tokio::test]
async fn one_gateway_opens_it_and_commands_work_beside_it() {
    let (_folder, path) = folder();
    let gateway = open(&path, GATEWAY).unwrap();
    let StoreError::Refused(words) = error(&path, GATEWAY) else {
        panic!("a second gateway is refused");
    };
    for hint in [
        "bank.db",
        "bank.db.lock",
        "stop it first",
        "ledger.bank: redis",
    ] {
        assert!(words.contains(hint), "{hint} is in: {words}");
    }
    let other_name = path.parent().unwrap().join("link.db");
    std::os::unix::fs::symlink(&path, &other_name).unwrap();
    assert!(
        matches!(error(&other_name, GATEWAY), StoreError::Refused(_)),
        "by whatever name"
    );
    let command = open(&path, COMMAND).unwrap();
    assert!(command.grant("a", &dollars("g", 5)).await.unwrap());
    assert!(!gateway.grant("a", &dollars("g", 5)).await.unwrap());
    assert_eq!(gateway.books("a").await, command.books("a").await);
    drop(gateway);
    open(&path, GATEWAY).unwrap();
}

#[tokio::test]
async fn a_gateway_and_commands_write_at_the_same_time() {
    let (_folder, path) = folder();
    let gateway = Arc::new(open(&path, GATEWAY).unwrap());
    let command = Arc::new(open(&path, COMMAND).unwrap());
    let granting = tokio::spawn(async move {
        for number in 0..60 {
            let new = dollars(&format!("g{number}"), 10);
            assert!(command.grant("a", &new).await.unwrap());
        }
    });
    for number in 1..=60 {
        let reply = gateway.exchange(&[borrow("a", 1, number, 1)]).await;
        assert_eq!(reply[0].as_ref().unwrap().last, number);
    }
    granting.await.unwrap();
    let books = gateway.books("a").await.unwrap();
    assert_eq!(books.granted, NanoUsd(600));
    assert_eq!(books.faults(), Vec::<String>::new());
}

#[test]
fn what_is_not_a_bank_is_refused_with_what_to_do() {
    let (folder, path) = folder();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "proxy:\n  listen: [127.0.0.1:8080]\n".repeat(100)).unwrap();
    for options in [GATEWAY, COMMAND] {
        let StoreError::Corrupt(words) = error(&path, options) else {
            panic!("it is no database");
        };
        assert!(words.contains("is not a SQLite database"), "{words}");
        assert!(words.contains("ledger.sqlite.path"), "{words}");
    }

    let foreign = folder.path().join("foreign.db");
    let other = Connection::open(&foreign).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    let StoreError::Refused(words) = error(&foreign, GATEWAY) else {
        panic!("it is another program's");
    };
    assert!(words.contains("another program"), "{words}");

    let newer = folder.path().join("newer.db");
    drop(open(&newer, GATEWAY).unwrap());
    let other = Connection::open(&newer).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    let StoreError::Corrupt(words) = error(&newer, GATEWAY) else {
        panic!("it is newer");
    };
    assert!(
        words.contains("newer version of Tollgate (its format is 99, this one knows"),
        "{words}"
    );

    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    open(&empty, GATEWAY).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_told_from_one_that_is_away() {
    let (_folder, path) = folder();
    let bank = open(&path, GATEWAY).unwrap();
    bank.grant("a", &dollars("g", 5)).await.unwrap();
    drop(bank);
    let file = Connection::open(&path).unwrap();
    let mut roots = file
        .prepare("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0")
        .unwrap();
    let roots = roots.query_map([], |row| row.get::<_, u32>(0)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    for root in roots {
        let page = usize::try_from(root.unwrap()).unwrap() * 4_096;
        bytes[page - 4_096..page].fill(0xAA);
    }
    fs::write(&path, bytes).unwrap();
    let bank = open(&path, GATEWAY).unwrap();
    let Err(StoreError::Corrupt(words)) = bank.books("a").await else {
        panic!("its pages are garbage");
    };
    assert!(words.contains("is damaged"), "{words}");
    assert!(words.contains("backup"), "{words}");
}

#[tokio::test]
async fn only_its_owner_may_read_it() {
    let (_folder, path) = folder();
    let bank = open(&path, GATEWAY).unwrap();
    bank.grant("a", &dollars("g", 5)).await.unwrap();
    let mut seen = Vec::new();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(
        seen,
        ["bank.db", "bank.db-shm", "bank.db-wal", "bank.db.lock"]
    );
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let (_folder, path) = folder();
    let bank = open(&path, GATEWAY).unwrap();
    bank.grant("a", &dollars("g", 1_000)).await.unwrap();
    bank.grant("b", &dollars("g", 1_000)).await.unwrap();
    pages(&bank, 1).await;
    let messages = [
        borrow("a", 1, 1, 10),
        with_events(borrow("b", 1, 1, 10), 1 << 20),
    ];
    let replies = bank.exchange(&messages).await;
    let Err(StoreError::Away(words)) = &replies[1] else {
        panic!("there is no room: {replies:?}");
    };
    assert!(words.contains("is full"), "{words}");
    if let Ok(reply) = &replies[0] {
        assert_eq!(reply.last, 1, "what was answered is there");
    }
    let books = bank.books("b").await.unwrap();
    assert_eq!(books.lent(), NanoUsd::ZERO, "nothing is half applied");

    pages(&bank, 1 << 30).await;
    for reply in bank.exchange(&messages).await {
        assert_eq!(reply.unwrap().allotment, NanoUsd(10), "space is back");
    }
    for account in ["a", "b"] {
        let books = bank.books(account).await.unwrap();
        assert_eq!(books.faults(), Vec::<String>::new(), "{account}");
        assert_eq!(books.lent(), NanoUsd(10), "{account}");
    }
}

#[tokio::test]
async fn a_lock_of_another_process_is_not_waited_for_longer_than_the_deadline() {
    let (_folder, path) = folder();
    let options = Options {
        timeout: Duration::from_millis(300),
        ..GATEWAY
    };
    let bank = open(&path, options).unwrap();
    bank.grant("a", &dollars("g", 5)).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = clock::now();
    let answer = bank.grant("a", &dollars("h", 5)).await;
    assert!(matches!(answer, Err(StoreError::Away(_))), "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "{answer:?}");
    let rollups = bank.rollups("a", Day(0), Day(9)).await;
    assert_eq!(rollups, Ok(Vec::new()), "reading needs no lock");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(
        bank.grant("a", &dollars("i", 5)).await.unwrap(),
        "it is back"
    );
}

/// Occupies the bank's thread until the sender is dropped; returns once it does.
async fn occupy(bank: &Arc<SqliteBank>) -> std::sync::mpsc::Sender<()> {
    let (started, starts) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let bank = bank.clone();
    tokio::spawn(async move {
        let wait = move |_: At<'_>| {
            started.send(()).unwrap();
            assert!(released.recv().is_err(), "the sender is dropped");
            Ok(())
        };
        drop(bank.worker.read(wait).await);
    });
    starts.await.unwrap();
    release
}

#[tokio::test]
async fn calls_that_wait_together_share_one_transaction() {
    let (_folder, path) = folder();
    let bank = Arc::new(open(&path, GATEWAY).unwrap());
    let release = occupy(&bank).await;
    let new: Vec<NewGrant> = (0..20).map(|n| dollars(&format!("g{n}"), 5)).collect();
    let grants = new.iter().map(|new| bank.grant("a", new));
    let count = "SELECT count(*) FROM grants";
    let seen = bank.worker.write(move |at| {
        let inside = at
            .connection
            .query_row(count, [], |row| row.get::<_, i64>(0))?;
        let other = Connection::open(at.path)?;
        let outside = other.query_row(count, [], |row| row.get::<_, i64>(0))?;
        Ok((inside, outside))
    });
    let go = async {
        drop(release);
    };
    let (granted, seen, ()) = tokio::join!(futures::future::join_all(grants), seen, go);
    assert!(granted.iter().all(|new| *new == Ok(true)), "{granted:?}");
    assert_eq!(seen, Ok((20, 0)), "done, and not committed yet");
    assert_eq!(bank.books("a").await.unwrap().granted, NanoUsd(100));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_left_out() {
    let (_folder, path) = folder();
    let options = Options {
        timeout: Duration::from_millis(200),
        ..GATEWAY
    };
    let bank = Arc::new(open(&path, options).unwrap());
    let release = occupy(&bank).await;
    let answer = bank.grant("a", &dollars("g", 5)).await;
    let Err(StoreError::Away(words)) = answer else {
        panic!("its deadline is over: {answer:?}");
    };
    assert!(words.contains("did not answer within 200ms"), "{words}");
    drop(release);
    assert_eq!(bank.accounts().await, Ok(Vec::new()));
}

#[tokio::test]
async fn holders_that_are_long_gone_are_forgotten_when_a_new_one_comes() {
    let (_folder, path) = folder();
    let bank = open(&path, GATEWAY).unwrap();
    bank.grant("a", &dollars("g", 1_000)).await.unwrap();
    for replica in [1, 2] {
        let reply = bank.exchange(&[borrow("a", replica, 7, 1)]).await;
        assert_eq!(reply[0].as_ref().unwrap().last, 7);
    }
    sql(
        &bank,
        "UPDATE holders SET lease_until = 5 WHERE replica = 1",
    )
    .await;
    assert_eq!(bank.books("a").await.unwrap().lent(), NanoUsd(1), "reaped");
    bank.exchange(&[borrow("a", 3, 1, 1)]).await;
    let count = bank.worker.read(|at| {
        at.connection
            .query_row("SELECT count(*) FROM holders", [], |row| {
                row.get::<_, i64>(0)
            })
    });
    assert_eq!(count.await, Ok(2), "1 is forgotten, 2 and 3 are there");
    let reply = bank.exchange(&[borrow("a", 1, 1, 1)]).await;
    assert_eq!(reply[0].as_ref().unwrap().last, 1, "it begins anew");
}

#[tokio::test]
async fn absurd_counts_of_tokens_stop_at_a_bound() {
    let (_folder, path) = folder();
    let bank = open(&path, GATEWAY).unwrap();
    let rollup = Rollup {
        day: Day(1),
        access_key: "k".into(),
        provider: "p".into(),
        model: "m".into(),
        requests: 1,
        input: u64::MAX,
        output: u64::MAX / 2,
        ..Rollup::default()
    };
    for number in 1..=9 {
        let message = Exchange {
            rollups: vec![rollup.clone()],
            ..borrow("a", 1, number, 0)
        };
        assert_eq!(
            bank.exchange(&[message]).await[0].as_ref().unwrap().last,
            number
        );
    }
    let stored = bank.rollups("a", Day(1), Day(1)).await.unwrap();
    assert_eq!((stored[0].requests, stored[0].input), (9, 1 << 62));
}

#[tokio::test]
async fn a_program_of_the_version_before_keeps_what_pages_read_true() {
    let (_folder, path) = folder();
    let bank = open(&path, GATEWAY).unwrap();
    let charge = |model: &str| Rollup {
        day: Day(1),
        provider: "p".into(),
        model: model.into(),
        requests: 1,
        cost: NanoUsd(5),
        ..Rollup::default()
    };
    let message = Exchange {
        spent: NanoUsd(10),
        rollups: ["m", "n"].map(charge).into(),
        ..with_events(borrow("a", 1, 1, 0), 1)
    };
    drop(bank.exchange(&[message]).await);
    let told = async || {
        let rows = bank.rollups("a", Day(0), Day(9)).await.unwrap();
        let sums = bank.rollups_by_model("a", Day(0), Day(9)).await.unwrap();
        assert_eq!(rows, sums, "of one access key");
        let books = bank.books("a").await.unwrap();
        assert_eq!(bank.recounted("a").await, Ok(books.rolled_up));
        let requests: u64 = rows.iter().map(|row| row.requests).sum();
        (requests, books.rolled_up.0)
    };
    for _ in 0..2 {
        assert_eq!(told().await, (2, 10), "and sealed then");
    }
    // As that one adds to a total, and begins another.
    sql(
        &bank,
        "UPDATE rollups SET requests = requests + 1, cost = cost + 7 WHERE model = 'm';
         INSERT INTO rollups SELECT account, day, access_key, provider, 'o', 1, 0, 0, 0, 0, 0, 0, 0, 1
         FROM rollups WHERE model = 'm'",
    )
    .await;
    assert_eq!(told().await, (4, 18));
    let all = Some((0, u64::MAX));
    assert_eq!(
        bank.request_span("a", "r").await,
        Ok(all),
        "it says nothing"
    );
    sql(&bank, "DELETE FROM events").await;
    assert_eq!(bank.request_span("a", "r").await, Ok(None));
}
