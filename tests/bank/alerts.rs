//! Alerts are raised once, and each delivery is one replica's at a time, wherever they are kept.

use std::sync::Arc;
use std::time::Duration;

use tollgate_alerts::{Alert, AlertStore, Claim, Outcome, State};
use tollgate_store::redis::{Redis, Topology};
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_store::{Access, Database};

use crate::process::{Process, wait_for};
use crate::redis::topologies::{address, settings};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(1);

fn alert(title: &str) -> Alert {
    let alert = Alert::new(
        "budget",
        "key:a",
        title.to_owned(),
        "more \"of\" it".to_owned(),
    );
    alert.of("acme").fact("percent", 80)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Claims what is due to be sent to `ops`, once something is.
async fn next(store: &AlertStore, lease: Duration) -> Claim {
    let end = tollgate_base::clock::now() + LONG;
    loop {
        if let Some(claim) = store.claim("ops", lease).await.unwrap() {
            return claim;
        }
        assert!(tollgate_base::clock::now() < end, "nothing is due");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn holds_to_it(one: AlertStore, other: AlertStore) {
    let channels = names(&["chat", "ops"]);
    let later = one.now_ms() + 60_000;
    let (all, first) = (names(&["b/80", "b/50"]), alert("first"));
    let (a, b) = tokio::join!(
        one.raise(&all, later, &first, &channels),
        other.raise(&all, later, &first, &channels),
    );
    let mut numbers = [a.unwrap(), b.unwrap()];
    numbers.sort_unstable();
    assert_eq!(numbers, [None, Some(1)], "one of two");
    let lower = other
        .raise(&names(&["b/50"]), later, &first, &channels)
        .await;
    assert_eq!(lower, Ok(None), "what is lower need not be told");
    // One that holds no longer is raised again.
    let soon = one.now_ms() + 100;
    let short = names(&["breaker"]);
    assert_eq!(
        one.raise(&short, soon, &alert("second"), &[]).await,
        Ok(Some(2))
    );
    assert_eq!(
        other.raise(&short, soon, &alert("second"), &[]).await,
        Ok(None)
    );
    wait_for("its end", || other.now_ms() > soon);
    let again = other.raise(&short, later, &alert("third"), &channels).await;
    assert_eq!(again, Ok(Some(3)));

    // Who claims and dies is followed by another one, and has nothing to say any more.
    let dead = next(&one, SHORT).await;
    assert_eq!((dead.number, dead.tries, &dead.alert), (1, 1, &first));
    let third = next(&other, LONG).await;
    assert_eq!((third.number, &*third.alert.title), (3, "third"));
    assert_eq!(one.claim("ops", LONG).await, Ok(None), "both are claimed");
    let heir = next(&other, LONG).await;
    assert_eq!((heir.number, heir.tries, &heir.alert.id), (1, 2, &first.id));
    assert_eq!(one.settle("ops", &dead, &Outcome::Sent).await, Ok(false));
    let refused = Outcome::Again(SHORT, "503\nno".to_owned());
    assert_eq!(other.settle("ops", &heir, &refused).await, Ok(true));
    let last = next(&one, LONG).await;
    assert_eq!((last.number, last.tries), (1, 3), "after a while");
    assert_eq!(one.settle("ops", &last, &Outcome::Sent).await, Ok(true));
    assert_eq!(
        one.settle("ops", &last, &refused).await,
        Ok(false),
        "it is sent"
    );
    let given_up = Outcome::GivenUp("x".repeat(1_000));
    assert_eq!(one.settle("ops", &third, &given_up).await, Ok(true));
    assert_eq!(one.claim("ops", LONG).await, Ok(None));

    let told = one.claim("chat", LONG).await.unwrap().unwrap();
    assert_eq!((told.number, told.tries), (1, 1), "each channel by itself");
    let list = one.list(None, 2).await.unwrap();
    let titles: Vec<&str> = list.iter().map(|stored| &*stored.alert.title).collect();
    assert_eq!(titles, ["third", "second"]);
    assert_eq!(list[0].deliveries.len(), 2);
    assert_eq!(list[0].deliveries[1].state, State::GivenUp);
    assert_eq!(list[0].deliveries[1].said.len(), 200, "it is cut");
    assert!(list[1].deliveries.is_empty());
    let rest = other.list(Some(list[1].number), 100).await.unwrap();
    let [oldest] = &rest[..] else {
        panic!("{rest:?}")
    };
    assert_eq!((&oldest.alert, oldest.number), (&first, 1));
    let states = oldest
        .deliveries
        .iter()
        .map(|one| (&*one.channel, one.state, one.tries));
    let states: Vec<_> = states.collect();
    assert_eq!(
        states,
        [("chat", State::Waiting, 1), ("ops", State::Sent, 3)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = |access| {
        let options = Options {
            access,
            timeout: LONG,
            synchronous: Synchronous::Normal,
        };
        let worker = Worker::open(&folder.path().join("bank.db"), options).unwrap();
        AlertStore::on(&Database::Sqlite(Arc::new(worker)))
    };
    let (one, other) = (store(Access::Gateway), store(Access::Command));
    assert_eq!(one.lead(1, LONG).await, Ok(true));
    holds_to_it(one, other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis() {
    let server = Process::start(&[]);
    let settings = settings(Topology::Single(address(&server.url())));
    let store = || AlertStore::on(&Database::Redis(Arc::new(Redis::open(&settings).unwrap())));
    let (one, other) = (store(), store());
    assert_eq!(one.lead(1, SHORT).await, Ok(true));
    assert_eq!(other.lead(2, SHORT).await, Ok(false), "one at a time");
    assert_eq!(one.lead(1, SHORT).await, Ok(true), "it goes on");
    let end = tollgate_base::clock::now() + LONG;
    while other.lead(2, LONG).await == Ok(false) {
        assert!(tollgate_base::clock::now() < end, "nobody follows");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        one.lead(1, SHORT).await,
        Ok(false),
        "another one has followed"
    );
    holds_to_it(one, other).await;
}
