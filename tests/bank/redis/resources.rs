//! Resources in Redis: who hears of commits, what a server has lost, how much there may be.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tollgate_base::Secret;
use tollgate_base::clock;
use tollgate_control::store::{Commit, Committed, Contents, Since, Store};
use tollgate_store::StoreError;
use tollgate_store::redis::{RedisSettings, Topology};

use super::proxy::{Mode, Proxy};
use super::stored::calls;
use super::topologies::{Watched, address, cluster, open, settings};
use crate::contract::resources::{commit, delete, put};
use crate::process::Process;

const TIMEOUT: Duration = Duration::from_millis(500);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(1_500);
/// Long enough for anything that comes at all.
const PATIENCE: Duration = Duration::from_secs(20);

fn store(settings: &RedisSettings) -> Arc<dyn Store> {
    open(settings).resources
}

fn hasty(url: String) -> RedisSettings {
    RedisSettings {
        timeout: TIMEOUT,
        ..settings(Topology::Single(address(&url)))
    }
}

fn one(id: u64) -> Commit {
    commit(id, vec![put("x", &id.to_string(), "{}")])
}

/// Waits until everything was published, as nothing more comes.
pub async fn quiet(store: &dyn Store) {
    timeout(PATIENCE, store.changed()).await.expect("it hears");
    while timeout(Duration::from_millis(200), store.changed())
        .await
        .is_ok()
    {}
}

async fn hears_of_commits(settings: &RedisSettings) {
    let (writer, reader) = (store(settings), store(settings));
    quiet(&*reader).await;
    for revision in 0..3 {
        let waiting = reader.clone();
        let waiting = tokio::spawn(async move { waiting.changed().await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished(), "nothing happened yet");
        assert_eq!(
            writer.commit(revision, &one(revision)).await,
            Ok(Committed::At(revision + 1))
        );
        let heard = timeout(Duration::from_secs(1), waiting).await;
        assert!(heard.is_ok(), "within a second of commit {revision}");
        assert_ne!(reader.since(revision).await, Ok(Since::Unknown));
    }
    writer.commit(3, &one(3)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let late = timeout(Duration::from_millis(100), reader.changed()).await;
    assert!(late.is_ok(), "nobody waited just then");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_heard_of_on_one_server() {
    let server = Process::start(&[]);
    hears_of_commits(&settings(Topology::Single(address(&server.url())))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_heard_of_in_a_cluster() {
    let nodes = cluster();
    hears_of_commits(&settings(Topology::Cluster(vec![address(&nodes[0].url())]))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_heard_of_on_a_watched_primary() {
    let watched = Watched::start();
    hears_of_commits(&settings(watched.topology())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_heard_of_again_after_trouble() {
    let server = Process::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let settings = hasty(proxy.url());
    let direct = RedisSettings {
        topology: Topology::Single(address(&server.url())),
        ..settings.clone()
    };
    let (writer, reader) = (store(&direct), store(&settings));
    quiet(&*reader).await;
    for (revision, mode) in (0..).zip([Mode::Cut, Mode::Stall]) {
        proxy.set(mode);
        // As a reader asks from time to time, it notices a silence, too.
        assert!(reader.since(0).await.is_err(), "{mode:?}");
        assert!(reader.since(0).await.is_err(), "{mode:?}");
        // What it had heard before that is no news.
        quiet_again(&*reader).await;
        writer.commit(revision, &one(revision)).await.unwrap();
        let connections = proxy.accepted();
        let heard = timeout(Duration::from_secs(3), reader.changed()).await;
        assert!(heard.is_err(), "{mode:?}");
        let tries = proxy.accepted() - connections;
        assert!(
            tries <= 12,
            "{mode:?}: {tries} connections in three seconds"
        );
        proxy.set(Mode::Pass);
        timeout(PATIENCE, reader.changed())
            .await
            .expect("something was missed");
        quiet_again(&*reader).await;
        assert_ne!(reader.since(revision).await, Ok(Since::Unknown));
    }
    let (waiting, new) = (reader.changed(), one(9));
    let (heard, made) = tokio::join!(timeout(PATIENCE, waiting), writer.commit(2, &new));
    assert!(heard.is_ok(), "as before");
    assert_eq!(made, Ok(Committed::At(3)));
}

async fn quiet_again(store: &dyn Store) {
    while timeout(Duration::from_millis(1_500), store.changed())
        .await
        .is_ok()
    {}
}

/// Repeats until there is an answer, as an author does.
async fn until_answered(store: &dyn Store, expected: u64, new: &Commit) -> Committed {
    let end = clock::now() + PATIENCE;
    loop {
        match store.commit(expected, new).await {
            Ok(made) => return made,
            Err(StoreError::Away(error)) => assert!(clock::now() < end, "{error}"),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_call_outlives_its_deadline_and_a_lost_answer_is_repeated() {
    let server = Process::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let store = store(&hasty(proxy.url()));
    let mut revision = 0;
    for mode in [Mode::LoseAnswers, Mode::Stall, Mode::Cut, Mode::LoseAnswers] {
        let new = one(revision + 100);
        proxy.set(mode);
        let ids = ["a".to_owned()];
        let used = [("a".to_owned(), 5)];
        let began = clock::now();
        let calls = tokio::join!(
            store.commit(revision, &new),
            store.since(revision),
            store.load(),
            store.audit(None, 5),
            store.forget_audit(5),
            store.mark_used(&used),
            store.last_used(&ids),
        );
        let took = clock::now() - began;
        assert!(took < TIMEOUT + SLACK, "{mode:?}: {took:?}");
        let away = matches!(
            calls,
            (
                Err(StoreError::Away(_)),
                Err(StoreError::Away(_)),
                Err(StoreError::Away(_)),
                Err(StoreError::Away(_)),
                Err(StoreError::Away(_)),
                Err(StoreError::Away(_)),
                Err(StoreError::Away(_)),
            )
        );
        assert!(away, "{mode:?}: {calls:?}");
        proxy.set(Mode::Pass);
        let made = until_answered(&*store, revision, &new).await;
        revision += 1;
        assert_eq!(made, Committed::At(revision), "{mode:?}");
    }
    assert_eq!(store.load().await.unwrap().records.len(), 4);
}

#[tokio::test]
async fn asking_when_nothing_changed_is_one_command() {
    let server = Process::start(&[]);
    let store = store(&settings(Topology::Single(address(&server.url()))));
    store.commit(0, &one(1)).await.unwrap();
    store.since(1).await.unwrap();
    let before = calls(&server);
    for _ in 0..20 {
        let nothing = Contents {
            revision: 1,
            records: vec![],
        };
        assert_eq!(store.since(1).await, Ok(Since::Changes(nothing)));
    }
    let after = calls(&server);
    let more = |name: &str| after.get(name).unwrap_or(&0) - before.get(name).unwrap_or(&0);
    assert_eq!(more("evalsha"), 20);
    for name in ["eval", "hget", "hscan", "zrangebyscore", "get"] {
        assert_eq!(more(name), 0, "{name}");
    }
}

#[tokio::test]
async fn very_many_changes_are_loaded_with_all_others() {
    let server = Process::start(&[]);
    let store = store(&settings(Topology::Single(address(&server.url()))));
    let writes = |range: std::ops::Range<u64>| range.map(|n| put("x", &n.to_string(), "{}"));
    store
        .commit(0, &commit(1, writes(0..5_000).collect()))
        .await
        .unwrap();
    assert_ne!(store.since(0).await, Ok(Since::Unknown));
    store
        .commit(1, &commit(2, writes(5_000..5_001).collect()))
        .await
        .unwrap();
    assert_eq!(store.since(0).await, Ok(Since::Unknown));
    assert_ne!(store.since(1).await, Ok(Since::Unknown));
    assert_eq!(store.load().await.unwrap().records.len(), 5_001);
}

#[tokio::test]
async fn what_a_server_lost_is_not_taken_for_what_it_made_instead() {
    let server = Process::start(&[]);
    let settings = settings(Topology::Single(address(&server.url())));
    let [reader, author] = [(); 2].map(|()| store(&settings));
    for revision in 0..2 {
        author.commit(revision, &one(revision)).await.unwrap();
    }
    let read = reader.load().await.unwrap();
    assert_eq!(read.revision, 2);
    // A backup from before, and others go on from there.
    server.ask::<()>(&["FLUSHALL"]);
    assert_eq!(reader.since(2).await, Ok(Since::Unknown), "it is older");
    for revision in 0..2 {
        let new = one(revision + 10);
        assert_eq!(
            author.commit(revision, &new).await,
            Ok(Committed::At(revision + 1))
        );
        assert_eq!(reader.since(2).await, Ok(Since::Unknown), "it is another 2");
    }
    author.commit(2, &one(12)).await.unwrap();
    assert_eq!(reader.since(2).await, Ok(Since::Unknown));
    assert_ne!(author.since(2).await, Ok(Since::Unknown));
    assert_eq!(reader.load().await.unwrap().records.len(), 3);
    assert_ne!(reader.since(3).await, Ok(Since::Unknown));
}

#[tokio::test]
async fn resources_of_a_newer_version_are_left_alone() {
    let server = Process::start(&[]);
    let settings = settings(Topology::Single(address(&server.url())));
    let bank = open(&settings);
    let store = bank.resources.clone();
    store.commit(0, &one(1)).await.unwrap();
    let key = format!("{{{}}}:1:store", settings.prefix);
    server.ask::<()>(&["HSET", &key, "schema", "2"]);
    let answers = [
        store.load().await.map(drop),
        store.since(1).await.map(drop),
        store.commit(1, &one(2)).await.map(drop),
    ];
    for answer in answers {
        let Err(StoreError::Corrupt(message)) = answer else {
            panic!("{answer:?}");
        };
        assert!(message.contains("run that version"), "{message}");
    }
    assert_eq!(server.ask::<u64>(&["HGET", &key, "revision"]), 1);
    assert_eq!(
        bank.accounts().await,
        Ok(vec![]),
        "the books are as they were"
    );
}

/// The least that a user of the ledger has may not tell others: they ask.
#[tokio::test]
async fn a_user_who_may_not_publish_commits_all_the_same() {
    const PASSWORD: &str = "a-password-that-is-long-enough-to-be-kept-secret";
    let server = Process::start(&[]);
    let rule = format!(
        "SETUSER ledger on >{PASSWORD} ~team:* ~{{team}}:* +@scripting +@read +@write +@connection"
    );
    let words: Vec<&str> = std::iter::once("ACL").chain(rule.split(' ')).collect();
    server.ask::<()>(&words);
    let store = store(&RedisSettings {
        username: Some("ledger".to_owned()),
        password: Some(Secret::new(PASSWORD)),
        prefix: "team".to_owned(),
        ..settings(Topology::Single(address(&server.url())))
    });
    let heard = timeout(Duration::from_millis(300), store.changed()).await;
    assert!(heard.is_err(), "it may not subscribe");
    assert_eq!(store.commit(0, &one(1)).await, Ok(Committed::At(1)));
    assert_eq!(store.load().await.unwrap().records.len(), 1);
    assert_eq!(store.mark_used(&[("a".to_owned(), 5)]).await, Ok(()));
    assert_eq!(store.audit(None, 5).await, Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_are_loaded_at_once_while_others_commit() {
    let server = Process::start(&[]);
    let settings = settings(Topology::Single(address(&server.url())));
    let [reader, author] = [(); 2].map(|()| store(&settings));
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(392));
    for some in 0..20u64 {
        let writes = (0..5_000).map(|n| put("x", &(5_000 * some + n).to_string(), &body));
        author
            .commit(some, &commit(some, writes.collect()))
            .await
            .unwrap();
    }
    let began = clock::now();
    let all = reader.load().await.unwrap();
    println!(
        "100,000 resources of 400 bytes in {:?}",
        clock::now() - began
    );
    assert_eq!((all.revision, all.records.len()), (20, 100_000));

    let committing = async {
        for n in 0..50 {
            let writes = vec![delete("x", &n.to_string()), put("y", &n.to_string(), "{}")];
            author
                .commit(20 + n, &commit(100 + n, writes))
                .await
                .unwrap();
        }
    };
    let (between, ()) = tokio::join!(reader.load(), committing);
    let between = between.unwrap();
    let made = between.revision - 20;
    let count = |kind: &str| between.records.iter().filter(|r| r.kind == kind).count();
    let made = usize::try_from(made).unwrap();
    assert_eq!((count("x"), count("y")), (100_000 - made, made));
    assert!(
        between
            .records
            .iter()
            .all(|r| r.revision <= between.revision)
    );
}
