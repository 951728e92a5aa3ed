//! What is kept besides money: resources by revisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
pub use tollgate_control::store::Store as Resources;
use tollgate_control::store::{
    Commit, Committed, Contents, REMEMBERED_DELETIONS, Record, Since, Write,
};
use tollgate_store::StoreError;

use super::{Case, Store};

pub fn resources<S: Store>(case: &Case<S>) -> Arc<dyn Resources> {
    case.resources()
}

pub fn put(kind: &str, id: &str, body: &str) -> Write {
    Write {
        kind: kind.to_owned(),
        id: id.to_owned(),
        body: Some(body.to_owned()),
    }
}

pub fn delete(kind: &str, id: &str) -> Write {
    Write {
        body: None,
        ..put(kind, id, "")
    }
}

pub fn commit(id: u64, writes: Vec<Write>) -> Commit {
    Commit {
        id,
        writes,
        audit: Vec::new(),
    }
}

fn record(write: &Write, revision: u64) -> Record {
    Record {
        kind: write.kind.clone(),
        id: write.id.clone(),
        revision,
        body: write.body.clone(),
    }
}

fn sorted(contents: Contents) -> (u64, Vec<Record>) {
    let mut records = contents.records;
    records.sort_by(|a, b| {
        let key = |one: &Record| (one.revision, one.kind.clone(), one.id.clone());
        key(a).cmp(&key(b))
    });
    (contents.revision, records)
}

async fn load(store: &dyn Resources) -> (u64, Vec<Record>) {
    sorted(store.load().await.unwrap())
}

/// The changes after a revision, which must be known; in the order of revisions.
async fn changes(store: &dyn Resources, revision: u64) -> (u64, Vec<Record>) {
    let Since::Changes(contents) = store.since(revision).await.unwrap() else {
        panic!("what changed after {revision} is known");
    };
    let told: Vec<u64> = contents.records.iter().map(|r| r.revision).collect();
    assert!(told.is_sorted(), "in the order of revisions: {told:?}");
    sorted(contents)
}

pub async fn begin_empty<S: Store>(case: Case<S>) {
    let store = resources(&case);
    assert_eq!(store.load().await, Ok(Contents::default()));
    assert_eq!(
        store.since(0).await,
        Ok(Since::Changes(Contents::default()))
    );
    assert_eq!(store.since(1).await, Ok(Since::Unknown), "it is older");
    assert_eq!(store.audit(None, 10).await, Ok(Vec::new()));
    assert_eq!(store.last_used(&[]).await, Ok(Vec::new()));
    assert_eq!(store.mark_used(&[]).await, Ok(()));
}

pub async fn come_back_as_they_were_written<S: Store>(mut case: Case<S>) {
    let long = format!("{{\"x\":\"{}\"}}", "größe \u{1F600}\\n".repeat(20_000));
    let writes = vec![
        put("access-key", "a", "{}"),
        put("account", "a", "{\"id\":\"a\"}"),
        put("x", "größe 1:{a} %7B\"'", " 7 {} "),
        put("x", " ", "\u{0}\r\n"),
        put("long", "1", &long),
    ];
    let new = commit(u64::MAX, writes.clone());
    let made = resources(&case).commit(0, &new).await;
    assert_eq!(made, Ok(Committed::At(1)));
    case.reopen().await;
    let all: Vec<Record> = writes.iter().map(|write| record(write, 1)).collect();
    let all = sorted(Contents {
        revision: 1,
        records: all,
    });
    let store = resources(&case);
    assert_eq!(load(&*store).await, all);
    assert_eq!(changes(&*store, 0).await, all);
    assert_eq!(changes(&*store, 1).await, (1, vec![]));
}

pub async fn one_of_two_writers_wins<S: Store>(case: Case<S>) {
    let other = case.store.beside().await;
    let stores = [resources(&case), other.resources.clone()];
    for round in 0..20u64 {
        let commits = [0, 1].map(|who| {
            let body = format!("{{\"by\":{who},\"round\":{round}}}");
            commit(2 * round + who, vec![put("x", "a", &body)])
        });
        let both = stores.iter().zip(&commits);
        let both = join_all(both.map(|(store, new)| store.commit(round, new))).await;
        let won = both
            .iter()
            .filter(|done| **done == Ok(Committed::At(round + 1)));
        assert_eq!(won.count(), 1, "{both:?}");
        assert!(both.contains(&Ok(Committed::Behind(round + 1))), "{both:?}");
        let winner = usize::from(both[1] == Ok(Committed::At(round + 1)));
        let there = vec![record(&commits[winner].writes[0], round + 1)];
        for store in &stores {
            assert_eq!(load(&**store).await, (round + 1, there.clone()));
        }
    }
}

pub async fn a_repeat_is_applied_once<S: Store>(mut case: Case<S>) {
    let first = Commit {
        audit: vec!["{\"n\":1}".to_owned()],
        ..commit(u64::MAX - 1, vec![put("x", "a", "1")])
    };
    // As a double, the same id as the first one's.
    let second = commit(u64::MAX, vec![put("x", "a", "2")]);
    for _ in 0..2 {
        let made = resources(&case).commit(0, &first).await;
        assert_eq!(made, Ok(Committed::At(1)));
        case.reopen().await;
    }
    let store = resources(&case);
    assert_eq!(store.commit(0, &second).await, Ok(Committed::Behind(1)));
    assert_eq!(store.commit(1, &second).await, Ok(Committed::At(2)));
    for expected in [0, 1, 2, 7] {
        let again = store.commit(expected, &first).await;
        assert_eq!(again, Ok(Committed::At(1)), "whatever is expected");
    }
    assert_eq!(load(&*store).await, (2, vec![record(&second.writes[0], 2)]));
    assert_eq!(store.audit(None, 10).await.unwrap().len(), 1);
}

pub async fn are_written_together_or_not_at_all<S: Store>(case: Case<S>) {
    let store = resources(&case);
    let some: Vec<Write> = (0..300).map(|n| put("x", &n.to_string(), "{}")).collect();
    store.commit(0, &commit(1, some.clone())).await.unwrap();
    let more = Commit {
        audit: vec!["1".to_owned()],
        ..commit(
            2,
            vec![put("x", "0", "new"), delete("x", "1"), put("y", "0", "{}")],
        )
    };
    for expected in [0, 2] {
        let made = store.commit(expected, &more).await;
        assert_eq!(made, Ok(Committed::Behind(1)));
    }
    let mut refused = more.clone();
    refused.writes.push(put("y", "a/b", "{}"));
    let made = store.commit(1, &refused).await;
    assert!(matches!(made, Err(StoreError::Refused(_))), "{made:?}");
    assert_eq!(changes(&*store, 0).await.1.len(), 300);
    assert_eq!(changes(&*store, 1).await, (1, vec![]), "nothing of them");
    assert_eq!(store.audit(None, 1).await, Ok(vec![]));
    assert_eq!(store.commit(1, &more).await, Ok(Committed::At(2)));
    let (revision, changed) = changes(&*store, 1).await;
    assert_eq!((revision, changed.len()), (2, 3));
    assert_eq!(load(&*store).await.1.len(), 300);
    let nothing = store.commit(2, &Commit::default()).await;
    assert_eq!(nothing, Ok(Committed::At(3)), "nothing is a revision, too");
}

/// Random histories in one store.
const STEPS: usize = 400;

#[derive(Clone, Debug)]
enum Step {
    Commit {
        writes: BTreeMap<u8, Option<u8>>,
        behind: bool,
        repeat: bool,
    },
    Since(u64),
    Load,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let writes = prop::collection::btree_map(0..25u8, prop::option::of(any::<u8>()), 0..6);
    let seldom = || prop::bool::weighted(0.1);
    prop_oneof![
        5 => (writes, seldom(), seldom())
            .prop_map(|(writes, behind, repeat)| Step::Commit { writes, behind, repeat }),
        3 => (0..30u64).prop_map(Step::Since),
        1 => Just(Step::Load),
        1 => Just(Step::Reopen),
    ]
}

pub async fn changes_lead_to_what_is_loaded<S: Store>(mut case: Case<S>) {
    let mut runner = TestRunner::new(Config::default());
    let steps = prop::collection::vec(step(), STEPS);
    let steps = steps.new_tree(&mut runner).unwrap().current();
    // The last word on each, as of each revision.
    let mut model: Vec<BTreeMap<String, Record>> = vec![BTreeMap::new()];
    let mut last = None;
    for (number, step) in (0..).zip(&steps) {
        let store = resources(&case);
        let revision = u64::try_from(model.len() - 1).unwrap();
        let now = &model[model.len() - 1];
        match step {
            Step::Commit {
                writes,
                behind,
                repeat,
            } => {
                let write = |(id, body): (&u8, &Option<u8>)| Write {
                    body: body.map(|byte| format!("{{\"n\":{byte}}}")),
                    ..delete(["a", "b"][usize::from(id % 2)], &id.to_string())
                };
                let new = commit(number, writes.iter().map(write).collect());
                if *behind {
                    let made = store.commit(revision + 1, &new).await;
                    assert_eq!(made, Ok(Committed::Behind(revision)), "{steps:?}");
                    continue;
                }
                if let (true, Some((made, old))) = (*repeat, &last) {
                    let again = store.commit(revision, old).await;
                    assert_eq!(again, Ok(Committed::At(*made)), "{steps:?}");
                    continue;
                }
                let made = store.commit(revision, &new).await;
                assert_eq!(made, Ok(Committed::At(revision + 1)), "{steps:?}");
                let mut next = now.clone();
                for write in &new.writes {
                    next.insert(write.id.clone(), record(write, revision + 1));
                }
                model.push(next);
                last = Some((revision + 1, new));
            }
            Step::Since(ago) => {
                let from = revision.saturating_sub(*ago);
                let changed = changes(&*store, from).await;
                let expected = now.values().filter(|record| record.revision > from);
                let expected = Contents {
                    revision,
                    records: expected.cloned().collect(),
                };
                assert_eq!(changed, sorted(expected), "from {from}: {steps:?}");
                let mut caught_up = model[usize::try_from(from).unwrap()].clone();
                for record in changed.1 {
                    caught_up.insert(record.id.clone(), record);
                }
                assert_eq!(&caught_up, now, "{steps:?}");
            }
            Step::Load => {
                let there = now.values().filter(|record| record.body.is_some());
                let expected = Contents {
                    revision,
                    records: there.cloned().collect(),
                };
                assert_eq!(load(&*store).await, sorted(expected), "{steps:?}");
            }
            Step::Reopen => {
                drop(store);
                case.reopen().await;
            }
        }
    }
}

pub async fn old_deletions_are_forgotten<S: Store>(case: Case<S>) {
    let store = resources(&case);
    let half = REMEMBERED_DELETIONS / 2;
    let ids = |range: std::ops::Range<u64>| range.map(|n| n.to_string());
    let first: Vec<Write> = ids(0..half + 100).map(|id| put("x", &id, "{}")).collect();
    let second = ids(half + 100..2 * half + 1).map(|id| put("x", &id, "{}"));
    store.commit(0, &commit(1, first)).await.unwrap();
    store.commit(1, &commit(2, second.collect())).await.unwrap();
    let gone = |range, by| commit(by, ids(range).map(|id| delete("x", &id)).collect());
    store.commit(2, &gone(0..half + 100, 3)).await.unwrap();
    assert_ne!(store.since(3).await, Ok(Since::Unknown));
    // One more than are remembered: of the first deletions, some would be missing.
    let last = gone(half + 100..2 * half + 1, 4);
    assert_eq!(store.commit(3, &last).await, Ok(Committed::At(4)));
    for revision in 0..3 {
        assert_eq!(
            store.since(revision).await,
            Ok(Since::Unknown),
            "{revision}"
        );
    }
    let (_, changed) = changes(&*store, 3).await;
    assert!(changed.iter().all(|record| record.body.is_none()));
    assert_eq!(u64::try_from(changed.len()), Ok(half - 99));
    assert_eq!(changes(&*store, 4).await, (4, vec![]));
    assert_eq!(load(&*store).await, (4, vec![]));
    let back = put("x", "0", "{}");
    let new = commit(5, vec![back.clone()]);
    assert_eq!(store.commit(4, &new).await, Ok(Committed::At(5)));
    assert_eq!(changes(&*store, 4).await, (5, vec![record(&back, 5)]));
}
