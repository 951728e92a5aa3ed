//! What ends with time: grants and leases. In real time, so each test takes a second or two.

use std::time::Duration;

use tollgate_ledger::NanoUsd;

use super::{Case, Store, Teller, allotments, new_grant};

const SHORT: Duration = Duration::from_millis(400);
const LONGER: Duration = Duration::from_millis(700);

async fn remaining<S: Store>(case: &Case<S>) -> Vec<i64> {
    let grants = case.books("a").await.grants;
    grants.iter().map(|grant| grant.remaining.0).collect()
}

pub async fn oldest_first<S: Store>(case: Case<S>) {
    for (id, seconds) in [
        ("never", None),
        ("late", Some(5_000)),
        ("soon", Some(1_000)),
    ] {
        let new = new_grant(id, 100, seconds);
        assert!(case.bank().grant("a", &new).await.unwrap());
    }
    let mut teller = Teller::new("a", 1);
    case.tell(&teller.borrow(10)).await;
    for (spent, left) in [(30, [100, 100, 70]), (100, [100, 70, 0]), (150, [20, 0, 0])] {
        case.tell(&teller.spend(spent)).await;
        assert_eq!(remaining(&case).await, left, "after {spent} more");
    }
    case.balances().await;
}

pub async fn what_is_lent_expires_when_it_returns<S: Store>(mut case: Case<S>) {
    let soon = new_grant("soon", 100, Some(2));
    assert!(case.bank().grant("a", &soon).await.unwrap());
    case.grant("a", "never", 50).await;
    let mut teller = Teller::new("a", 1);
    case.tell(&teller.borrow(120)).await;
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    let books = case.books("a").await;
    assert_eq!(
        (books.expired, books.free, books.lent()),
        (NanoUsd(30), NanoUsd(0), NanoUsd(120)),
        "30 were free, and are from the grant that ended"
    );
    case.reopen().await;
    case.tell(&teller.spend(40)).await;
    assert_eq!(
        remaining(&case).await,
        [30, 50],
        "what is lent may be spent after it ended"
    );
    let reply = case.tell(&teller.give_back(20)).await;
    assert_eq!((reply.allotment, reply.free), (NanoUsd(60), NanoUsd(0)));
    case.tell(&teller.close()).await;
    let books = case.books("a").await;
    assert_eq!(
        (books.expired, books.spent, books.free),
        (NanoUsd(60), NanoUsd(40), NanoUsd(50))
    );
    let expired: Vec<i64> = books.grants.iter().map(|grant| grant.expired.0).collect();
    assert_eq!(expired, [60, 0]);
    case.balances().await;
}

pub async fn a_lease_ends<S: Store>(mut case: Case<S>) {
    case.grant("a", "g", 100).await;
    let (mut short, mut long) = (Teller::new("a", 1), Teller::new("a", 2));
    short.lease = SHORT;
    case.tell(&short.borrow(40)).await;
    case.tell(&long.borrow(60)).await;
    case.reopen().await;
    tokio::time::sleep(LONGER).await;
    let books = case.books("a").await;
    assert_eq!(
        allotments(&books),
        [(long.holder, 60, 1)],
        "one lease is over, the other is not"
    );
    assert_eq!(books.free, NanoUsd(40));
    assert_eq!(
        case.tell(&long.borrow(40)).await.allotment,
        NanoUsd(100),
        "what came back is lent again"
    );
    case.balances().await;
}

pub async fn a_late_journal_counts_once<S: Store>(mut case: Case<S>) {
    case.grant("a", "g", 100).await;
    let mut teller = Teller::new("a", 1);
    teller.lease = SHORT;
    let first = teller.spend(5);
    case.tell(&first).await;
    case.tell(&teller.borrow(40)).await;
    tokio::time::sleep(LONGER).await;
    assert_eq!(case.books("a").await.free, NanoUsd(95));
    let mut late = teller.spend(25);
    late.close = true;
    for _ in 0..2 {
        let reply = case.tell(&late).await;
        assert_eq!((reply.last, reply.free), (3, NanoUsd(70)));
        assert_eq!(case.tell(&first).await, reply, "a repeat of an older one");
        tokio::time::sleep(SHORT).await;
        case.reopen().await;
    }
    assert_eq!(case.books("a").await.spent, NanoUsd(30));
    case.balances().await;
}

pub async fn every_message_renews_the_lease<S: Store>(case: Case<S>) {
    case.grant("a", "g", 100).await;
    let mut teller = Teller::new("a", 1);
    teller.lease = Duration::from_millis(800);
    case.tell(&teller.borrow(40)).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(case.tell(&teller.next()).await.allotment, NanoUsd(40));
    }
    let repeat = {
        teller.number -= 1;
        teller.next()
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    case.tell(&repeat).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let reply = case.tell(&repeat).await;
    assert_eq!(
        (reply.allotment, reply.free),
        (NanoUsd(0), NanoUsd(100)),
        "a repeat does not renew it"
    );
    case.balances().await;
}
