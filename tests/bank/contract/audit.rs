//! Who changed resources, and when credentials were last used.

use std::time::Duration;

use tollgate_base::clock;
use tollgate_control::store::{Commit, Entry};
use tollgate_store::StoreError;

use super::resources::resources;
use super::{Case, Store};

fn bodies(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.body).collect()
}

pub async fn pages_and_forgets<S: Store>(mut case: Case<S>) {
    let began = clock::wall_ms();
    let store = resources(&case);
    for round in 0..4u64 {
        let audit = (0..3).map(|n| format!("{{\"größe\":\"{round}{n}\"}}"));
        let new = Commit {
            id: round,
            audit: audit.collect(),
            ..Commit::default()
        };
        store.commit(round, &new).await.unwrap();
        // Redis's clock and ours are the same, but rounded.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(store);
    case.reopen().await;
    let store = resources(&case);
    let all = store.audit(None, usize::MAX).await.unwrap();
    let expected: Vec<String> = (0..12)
        .rev()
        .map(|n| format!("{{\"größe\":\"{}{}\"}}", n / 3, n % 3))
        .collect();
    assert_eq!(bodies(&all), expected);
    let times: Vec<u64> = all.iter().map(|entry| entry.at_ms).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert!(
        times[11] + 1_000 >= began && times[0] <= clock::wall_ms() + 1_000,
        "{times:?}"
    );
    let odd = |char: char| char == '/' || char == ' ';
    assert!(!all.iter().any(|entry| entry.position.contains(odd)));

    let mut paged = Vec::new();
    loop {
        let before = paged.last().map(|entry: &Entry| entry.position.clone());
        let page = store.audit(before.as_deref(), 5).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all, "page after page");
    assert_eq!(store.audit(None, 0).await, Ok(vec![]));
    for bad in ["", "x", "1/2", "-", "+", "1-2-3", "1 2"] {
        let answer = store.audit(Some(bad), 5).await;
        assert!(
            matches!(answer, Err(StoreError::Refused(_))),
            "{bad}: {answer:?}"
        );
    }

    store.forget_audit(all[5].at_ms).await.unwrap();
    assert_eq!(
        store.audit(None, 100).await.unwrap(),
        all[..6],
        "older ones"
    );
    let forgotten = store.audit(Some(&all[8].position), 100).await;
    assert_eq!(forgotten, Ok(vec![]), "a page may have gone meanwhile");
    store.forget_audit(u64::MAX).await.unwrap();
    assert_eq!(store.audit(None, 100).await, Ok(vec![]));
    let new = Commit {
        id: 99,
        audit: vec!["new".to_owned()],
        ..Commit::default()
    };
    store.commit(4, &new).await.unwrap();
    let after = store.audit(None, 100).await.unwrap();
    assert_eq!(bodies(&after), ["new"]);
    assert!(all.iter().all(|old| old.position != after[0].position));
}

pub async fn the_latest_use_wins<S: Store>(mut case: Case<S>) {
    let store = resources(&case);
    let mark = |id: &str, at: u64| (id.to_owned(), at);
    let late = 1_900_000_000_123;
    let marks = [
        mark("a", 5),
        mark("größe {b}", late),
        mark("a", 7),
        mark("a", 6),
    ];
    store.mark_used(&marks).await.unwrap();
    let marks = [mark("größe {b}", late - 1), mark("c", 900)];
    store.mark_used(&marks).await.unwrap();
    store.mark_used(&[mark("c", 1_000)]).await.unwrap();
    assert_eq!(store.load().await.unwrap().revision, 0, "no revision");
    drop(store);
    case.reopen().await;
    let ids = ["c", "nobody", "a", "größe {b}", "a"].map(str::to_owned);
    assert_eq!(
        resources(&case).last_used(&ids).await,
        Ok(vec![Some(1_000), None, Some(7), Some(late), Some(7)])
    );
    let many: Vec<_> = (0..2_500).map(|n| mark(&n.to_string(), n + 1)).collect();
    resources(&case).mark_used(&many).await.unwrap();
    let ids: Vec<String> = many.iter().map(|(id, _)| id.clone()).collect();
    let used = resources(&case).last_used(&ids).await.unwrap();
    assert!(used.into_iter().eq((1..=2_500).map(Some)), "all of many");
}
