//! A name is one replica's at a time, and what came of it is kept within bounds, wherever it is kept.

use std::sync::Arc;
use std::time::Duration;

use tollgate_base::random::bits64;
use tollgate_store::redis::{Redis, Topology};
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_store::{Access, Bounds, Claimed, Claims, Database, Ticket};

use crate::process::Process;
use crate::redis::topologies::{address, settings};

const LONG: Duration = Duration::from_secs(60);
const WIDE: Bounds = Bounds {
    names: 1_000,
    bytes: 1 << 20,
};

fn ticket(account: &str, name: &str) -> Ticket {
    Ticket {
        account: account.into(),
        name: name.to_owned(),
        of: "0".repeat(64),
        number: bits64(),
    }
}

fn kept(value: &str) -> Result<Claimed, tollgate_store::StoreError> {
    Ok(Claimed::Kept(value.to_owned()))
}

/// Claims a name and keeps what came of it.
async fn done(claims: &Claims, name: &str, value: &str, bounds: Bounds) {
    let ticket = ticket("full", name);
    assert_eq!(
        claims.claim(&ticket, LONG).await,
        Ok(Claimed::Yes),
        "{name}"
    );
    assert_eq!(
        claims.keep(&ticket, value, LONG, bounds).await,
        Ok(true),
        "{name}"
    );
}

/// Which of `a` to `f` are kept.
async fn left(claims: &Claims) -> String {
    let mut left = String::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let ticket = ticket("full", name);
        match claims.claim(&ticket, LONG).await.unwrap() {
            Claimed::Kept(_) => left.push_str(name),
            _ => assert_eq!(claims.hold(&ticket, Duration::ZERO).await, Ok(true)),
        }
    }
    left
}

async fn holds_to_it(one: Claims, other: Claims) {
    let (mine, yours) = (ticket("a", "n"), ticket("a", "n"));
    let (first, second) = tokio::join!(one.claim(&mine, LONG), other.claim(&yours, LONG));
    let mut both = [first.unwrap(), second.unwrap()];
    both.sort_by_key(|claimed| *claimed != Claimed::Yes);
    assert_eq!(both, [Claimed::Yes, Claimed::Busy], "one of two");
    // Whoever of them has it.
    one.hold(&mine, Duration::ZERO).await.unwrap();
    other.hold(&yours, Duration::ZERO).await.unwrap();

    assert_eq!(one.claim(&mine, LONG).await, Ok(Claimed::Yes), "released");
    assert_eq!(one.claim(&mine, LONG).await, Ok(Claimed::Yes), "a repeat");
    let elsewhere = ticket("b", "n");
    assert_eq!(
        other.claim(&elsewhere, LONG).await,
        Ok(Claimed::Yes),
        "another account's"
    );
    let something_else = Ticket {
        of: "1".repeat(64),
        ..yours.clone()
    };
    assert_eq!(
        other.claim(&something_else, LONG).await,
        Ok(Claimed::Differs)
    );
    for not_mine in [other.hold(&yours, LONG), other.hold(&yours, Duration::ZERO)] {
        assert_eq!(not_mine.await, Ok(false));
    }
    assert_eq!(other.keep(&yours, "forged", LONG, WIDE).await, Ok(false));
    assert_eq!(one.keep(&mine, "told\n\"ü\"", LONG, WIDE).await, Ok(true));
    assert_eq!(
        one.keep(&mine, "again", LONG, WIDE).await,
        Ok(false),
        "once"
    );
    assert_eq!(one.hold(&mine, Duration::ZERO).await, Ok(false), "it stays");
    assert_eq!(other.claim(&yours, LONG).await, kept("told\n\"ü\""));
    assert_eq!(
        other.claim(&something_else, LONG).await,
        Ok(Claimed::Differs)
    );

    // A claim whose holder has died, and what was kept for long enough.
    let (dead, heir) = (ticket("a", "lease"), ticket("a", "lease"));
    let short = Duration::from_millis(150);
    assert_eq!(one.claim(&dead, short).await, Ok(Claimed::Yes));
    assert_eq!(one.hold(&dead, short).await, Ok(true), "prolonged");
    let end = tollgate_base::clock::now() + LONG;
    while other.claim(&heir, LONG).await != Ok(Claimed::Yes) {
        assert!(tollgate_base::clock::now() < end, "it never lapses");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(one.keep(&dead, "late", LONG, WIDE).await, Ok(false));
    assert_eq!(other.keep(&heir, "in time", short, WIDE).await, Ok(true));
    while other.claim(&dead, LONG).await != Ok(Claimed::Yes) {
        assert!(tollgate_base::clock::now() < end, "it is kept for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // What was kept first goes first: by number, and by size.
    let pause = || tokio::time::sleep(Duration::from_millis(2));
    let three = Bounds { names: 3, ..WIDE };
    for name in ["a", "b", "c", "d"] {
        done(&one, name, "x", three).await;
        pause().await;
    }
    assert_eq!(left(&other).await, "bcd");
    let tight = Bounds {
        bytes: 1_000,
        ..WIDE
    };
    done(&one, "e", &"x".repeat(600), tight).await;
    assert_eq!(left(&other).await, "bcde");
    pause().await;
    done(&one, "f", &"x".repeat(600), tight).await;
    assert_eq!(left(&other).await, "f", "both would be too much");
    assert_eq!(
        other.claim(&yours, LONG).await,
        kept("told\n\"ü\""),
        "another account's stay"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let claims = |access| {
        let options = Options {
            access,
            timeout: LONG,
            synchronous: Synchronous::Normal,
        };
        let worker = Worker::open(&folder.path().join("bank.db"), options).unwrap();
        Claims::on(&Database::Sqlite(Arc::new(worker)))
    };
    holds_to_it(claims(Access::Gateway), claims(Access::Command)).await;
    let again = claims(Access::Gateway);
    let after = again.claim(&ticket("a", "n"), LONG).await;
    assert_eq!(after, kept("told\n\"ü\""), "after a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis() {
    let server = Process::start(&[]);
    let settings = settings(Topology::Single(address(&server.url())));
    let claims = || Claims::on(&Database::Redis(Arc::new(Redis::open(&settings).unwrap())));
    holds_to_it(claims(), claims()).await;
}
