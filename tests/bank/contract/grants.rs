//! Putting credits in.

use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Exchange, NewGrant};

use super::{Case, Store, Teller, new_grant, refused};

pub async fn once_per_id<S: Store>(mut case: Case<S>) {
    assert!(case.grant("a", "g", 1_000).await, "new");
    assert!(!case.grant("a", "g", 1_000).await, "a repeat");
    assert!(!case.grant("a", "g", 5).await, "the id decides");
    assert!(case.grant("a", "h", 5).await, "another id");
    assert!(case.grant("b", "g", 7).await, "another account");
    case.reopen().await;
    assert!(!case.grant("a", "g", 1_000).await, "after reopening");
    assert_eq!(case.books("a").await.granted, NanoUsd(1_005));
    assert_eq!(case.books("b").await.free, NanoUsd(7));
    case.balances().await;
}

pub async fn bad_amounts_are_refused<S: Store>(case: Case<S>) {
    for nanos in [0, -1, i64::MIN, NanoUsd::MOST.0 + 1, i64::MAX] {
        let answer = case.bank().grant("a", &new_grant("g", nanos, None)).await;
        assert!(refused(answer.clone()), "{nanos}: {answer:?}");
    }
    assert!(
        case.bank().accounts().await.unwrap().is_empty(),
        "a refusal leaves nothing behind"
    );
    assert!(case.grant("a", "g", NanoUsd::MOST.0).await, "the most");
    assert!(case.grant("a", "h", 1).await, "the least");
    case.balances().await;
}

pub async fn kept_as_they_were_made<S: Store>(mut case: Case<S>) {
    let before = clock::unix().as_secs();
    let note = "für \"Ann\" {}: 'x'\n; DROP TABLE accounts";
    let first = NewGrant {
        note: note.to_owned(),
        ..new_grant("first", 5, Some(86_400))
    };
    assert!(case.bank().grant("a", &first).await.unwrap());
    assert!(case.grant("a", "aaa", 6).await);
    assert!(
        case.bank()
            .grant("a", &new_grant("long", 1, Some(u64::MAX)))
            .await
            .unwrap(),
        "for longer than time is counted"
    );
    case.reopen().await;
    let after = clock::unix().as_secs();
    let grants = case.books("a").await.grants;
    let [first, second, long] = &grants[..] else {
        panic!("three grants: {grants:?}");
    };
    assert_eq!(
        (first.id.as_str(), first.note.as_str()),
        ("first", note),
        "in the order of their creation"
    );
    assert!((before..=after).contains(&first.created), "{first:?}");
    assert_eq!(first.expires, Some(first.created + 86_400));
    assert_eq!(
        (
            second.amount,
            second.remaining,
            second.expired,
            second.expires
        ),
        (NanoUsd(6), NanoUsd(6), NanoUsd::ZERO, None)
    );
    assert_eq!((long.remaining, long.expired), (NanoUsd(1), NanoUsd::ZERO));
    case.balances().await;
}

pub async fn debt_is_paid_first<S: Store>(case: Case<S>) {
    let mut teller = Teller::new("a", 1);
    let reply = case.tell(&teller.spend(30)).await;
    assert_eq!(reply.free, NanoUsd(-30), "nobody refuses what was spent");
    assert_eq!(case.books("a").await.debt, NanoUsd(30));
    case.grant("a", "small", 10).await;
    let books = case.books("a").await;
    assert_eq!((books.debt, books.free), (NanoUsd(20), NanoUsd(-20)));
    assert_eq!(case.tell(&teller.borrow(5)).await.allotment, NanoUsd::ZERO);
    case.grant("a", "large", 100).await;
    let books = case.books("a").await;
    assert_eq!((books.debt, books.free), (NanoUsd::ZERO, NanoUsd(80)));
    let remaining: Vec<i64> = books.grants.iter().map(|g| g.remaining.0).collect();
    assert_eq!(remaining, [0, 80]);
    case.balances().await;
}

/// Totals pass 2^53 nano-dollars, where floating-point numbers begin to lose units.
pub async fn totals_are_exact<S: Store>(mut case: Case<S>) {
    let most = NanoUsd::MOST.0;
    let give = async |number| {
        let id = format!("g{number}");
        assert!(case.grant("a", &id, most - number).await, "{id}");
    };
    for number in 0..3 {
        give(number).await;
    }
    let (mut one, mut other) = (Teller::new("a", 1), Teller::new("a", 2));
    let share = Exchange {
        want: NanoUsd(most),
        ..one.next()
    };
    let mut free = 3 * most - 3;
    let reply = case.tell(&share).await;
    assert_eq!(reply.allotment, NanoUsd(free / 4), "a share, to the unit");
    free -= free / 4;
    assert_eq!(reply.free, NanoUsd(free));
    for number in 3..12 {
        give(number).await;
    }
    let granted = 12 * most - 66;
    free += 9 * most - 63;
    let reply = case.tell(&other.borrow(most)).await;
    let reply_more = case.tell(&other.borrow(most - 1)).await;
    free -= 2 * most - 1;
    assert_eq!(reply.allotment, NanoUsd(most));
    assert_eq!(reply_more.allotment, NanoUsd(2 * most - 1));
    assert_eq!(
        (reply_more.free, reply_more.allotments),
        (NanoUsd(free), NanoUsd(granted - free))
    );
    let mut spent = 0;
    for part in [most, most - 3, 1, 7] {
        spent += part;
        case.tell(&one.spend(part)).await;
    }
    let returned = case.tell(&other.give_back(most + 1)).await;
    assert_eq!(returned.allotment, NanoUsd(most - 2));
    case.reopen().await;
    let books = case.books("a").await;
    assert_eq!(
        (books.granted, books.spent, books.rolled_up),
        (NanoUsd(granted), NanoUsd(spent), NanoUsd(spent))
    );
    assert_eq!(books.free, NanoUsd(granted - spent - (most - 2)));
    case.balances().await;
}

pub async fn odd_ids<S: Store>(mut case: Case<S>) {
    let long = "x".repeat(200);
    let ids = [
        "{a}",
        "a{b}c",
        "{}",
        "}{",
        "a:b",
        "a b",
        " ",
        "größe/日本 🦀",
        "a\nb",
        "%00",
        "a'b\"c",
        "*?[]",
        &long,
    ];
    for (index, id) in ids.iter().enumerate() {
        let amount = 1_000 + i64::try_from(index).unwrap();
        assert!(case.grant(id, id, amount).await, "{id:?}");
        assert!(!case.grant(id, id, amount).await, "{id:?}, again");
        let mut teller = Teller::new(id, 1);
        assert_eq!(
            case.tell(&teller.borrow(amount)).await.allotment,
            NanoUsd(amount)
        );
        case.tell(&teller.spend(1)).await;
    }
    case.reopen().await;
    let mut sorted: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    sorted.sort_unstable();
    assert_eq!(case.bank().accounts().await.unwrap(), sorted);
    for (index, id) in ids.iter().enumerate() {
        let books = case.books(id).await;
        let amount = 1_000 + i64::try_from(index).unwrap();
        assert_eq!(
            (books.granted, books.lent()),
            (NanoUsd(amount), NanoUsd(amount - 1)),
            "{id:?}"
        );
        assert_eq!(books.grants[0].id, *id);
    }
    case.balances().await;
}
