//! Borrowing, spending, returning; repeats and gaps.

use std::time::Duration;

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::account::RECALL;
use tollgate_ledger::bank::{Exchange, Holder};
use tollgate_store::StoreError;

use super::{Case, Store, Teller, allotments, spending};

pub async fn lends_a_share_or_what_is_needed<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut teller = Teller::new("a", 1);
    let mut ask = |need, want| Exchange {
        need: NanoUsd(need),
        want: NanoUsd(want),
        ..teller.next()
    };
    for (need, want, allotment, free, why) in [
        (0, 900, 250, 750, "a quarter of what is free"),
        (0, 100, 350, 650, "no more than is wanted"),
        (400, 400, 750, 250, "what is needed, over the quarter"),
        (10, 900, 812, 188, "the quarter, over what is needed"),
        (900, 900, 1_000, 0, "all there is"),
        (1, 1, 1_000, 0, "nothing is left"),
    ] {
        let reply = case.tell(&ask(need, want)).await;
        assert_eq!(
            (reply.allotment, reply.free, reply.allotments),
            (NanoUsd(allotment), NanoUsd(free), NanoUsd(allotment)),
            "{why}"
        );
        assert!(!reply.recall, "nobody else has an allotment: {why}");
    }
    case.balances().await;
}

pub async fn spends_the_float_then_what_is_free<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut teller = Teller::new("a", 1);
    case.tell(&teller.borrow(300)).await;
    let reply = case.tell(&teller.spend(100)).await;
    assert_eq!((reply.allotment, reply.free), (NanoUsd(200), NanoUsd(700)));
    let reply = case.tell(&teller.spend(250)).await;
    assert_eq!((reply.allotment, reply.free), (NanoUsd(0), NanoUsd(650)));
    case.tell(&teller.borrow(50)).await;
    let reply = case.tell(&teller.give_back(80)).await;
    assert_eq!(
        (reply.allotment, reply.free),
        (NanoUsd(0), NanoUsd(650)),
        "no more comes back than was lent"
    );
    let all_at_once = Exchange {
        returned: NanoUsd(10),
        need: NanoUsd(40),
        want: NanoUsd(40),
        ..spending(teller.next(), 50)
    };
    let reply = case.tell(&all_at_once).await;
    assert_eq!((reply.allotment, reply.free), (NanoUsd(40), NanoUsd(560)));
    let reply = case.tell(&teller.spend(1_000)).await;
    assert_eq!((reply.allotment, reply.free), (NanoUsd(0), NanoUsd(-400)));
    let books = case.books("a").await;
    assert_eq!((books.spent, books.debt), (NanoUsd(1_400), NanoUsd(400)));
    case.balances().await;
}

pub async fn a_repeat_changes_nothing<S: Store>(mut case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut teller = Teller::new("a", 1);
    case.tell(&teller.borrow(500)).await;
    let message = Exchange {
        returned: NanoUsd(30),
        need: NanoUsd(5),
        want: NanoUsd(90),
        ..spending(teller.next(), 70)
    };
    let first = case.tell(&message).await;
    let books = case.books("a").await;
    for _ in 0..3 {
        assert_eq!(case.tell(&message).await, first);
    }
    assert_eq!(case.books("a").await, books);
    case.reopen().await;
    assert_eq!(case.tell(&message).await, first, "after reopening");
    assert_eq!(case.books("a").await, books, "after reopening");
    case.balances().await;
}

pub async fn an_old_number_changes_nothing<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut teller = Teller::new("a", 1);
    let first = teller.spend(5);
    case.tell(&first).await;
    case.tell(&teller.borrow(10)).await;
    let last = case.tell(&teller.spend(7)).await;
    assert_eq!(case.tell(&first).await, last, "absolute, as of now");
    assert_eq!(case.books("a").await.spent, NanoUsd(12));
    case.balances().await;
}

pub async fn a_gap_is_asked_for<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut teller = Teller::new("a", 1);
    let messages = [teller.spend(1), teller.spend(10), teller.spend(100)];
    let early = Exchange {
        oldest: 1,
        need: NanoUsd(50),
        want: NanoUsd(50),
        ..messages[2].clone()
    };
    let reply = case.tell(&early).await;
    assert_eq!(
        (reply.last, reply.allotment),
        (0, NanoUsd(0)),
        "1 is missing"
    );
    assert_eq!(case.books("a").await.spent, NanoUsd::ZERO);
    assert_eq!(case.tell(&messages[0]).await.last, 1);
    assert_eq!(case.tell(&early).await.last, 1, "2 is missing");
    assert_eq!(
        case.tell(&Exchange { oldest: 2, ..early }).await.last,
        1,
        "2 is missing, and can still be repeated"
    );
    assert_eq!(case.tell(&messages[2]).await.last, 3, "2 is lost");
    assert_eq!(case.tell(&messages[1]).await.last, 3, "and comes too late");
    assert_eq!(case.books("a").await.spent, NanoUsd(101));
    case.balances().await;
}

pub async fn an_unmet_need_recalls<S: Store>(case: Case<S>) {
    case.grant("a", "g", 100).await;
    let (mut rich, mut poor) = (Teller::new("a", 1), Teller::new("a", 2));
    assert!(!case.tell(&rich.borrow(80)).await.recall);
    let short = case.tell(&poor.borrow(50)).await;
    assert_eq!((short.allotment, short.recall), (NanoUsd(20), true));
    let back = case.tell(&rich.give_back(60)).await;
    assert!(back.recall, "everybody is told");
    let greedy = Exchange {
        want: NanoUsd(60),
        ..rich.next()
    };
    assert_eq!(
        case.tell(&greedy).await.allotment,
        NanoUsd(20),
        "while it lasts, only what is needed is lent"
    );
    assert_eq!(case.tell(&poor.borrow(30)).await.allotment, NanoUsd(50));
    tokio::time::sleep(RECALL + Duration::from_millis(100)).await;
    let greedy = Exchange {
        want: NanoUsd(60),
        ..rich.next()
    };
    let after = case.tell(&greedy).await;
    assert_eq!((after.allotment, after.recall), (NanoUsd(27), false));
    case.balances().await;
}

pub async fn close_returns<S: Store>(case: Case<S>) {
    case.grant("a", "g", 100).await;
    let mut teller = Teller::new("a", 1);
    case.tell(&teller.borrow(80)).await;
    let end = Exchange {
        need: NanoUsd(5),
        want: NanoUsd(5),
        ..spending(teller.close(), 30)
    };
    for _ in 0..2 {
        let reply = case.tell(&end).await;
        assert_eq!(
            (reply.last, reply.allotment, reply.free),
            (2, NanoUsd(0), NanoUsd(70)),
            "nothing is lent at the end"
        );
    }
    assert_eq!(allotments(&case.books("a").await), [], "it is gone");
    let reply = case.tell(&teller.borrow(10)).await;
    assert_eq!(
        (reply.last, reply.allotment),
        (3, NanoUsd(10)),
        "it is back"
    );
    case.balances().await;
}

pub async fn answers_in_order<S: Store>(case: Case<S>) {
    let mut messages = Vec::new();
    for index in 1..=20u64 {
        let account = format!("a{index}");
        case.grant(&account, "g", 100).await;
        let mut teller = Teller::new(&account, index);
        if index % 5 == 0 {
            teller.number = 4;
        }
        messages.push(Exchange {
            oldest: 1,
            ..teller.borrow(i64::try_from(index).unwrap())
        });
    }
    let replies = case.bank().exchange(&messages).await;
    assert_eq!(replies.len(), messages.len());
    for (index, reply) in (1..=20i64).zip(replies) {
        let reply = reply.unwrap();
        let expected = if index % 5 == 0 { (0, 0) } else { (1, index) };
        assert_eq!((reply.last, reply.allotment.0), expected, "account {index}");
    }
    assert!(case.bank().exchange(&[]).await.is_empty(), "no message");
    case.balances().await;
}

pub async fn holders_are_told_apart<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    case.grant("b", "g", 1_000).await;
    let holder = |replica, epoch| Holder { replica, epoch };
    let holders = [
        holder(0, 0),
        holder(0, 1),
        holder(1, 0),
        holder(1 << 63, 1),
        holder(u64::MAX, 1),
        holder(u64::MAX - 1, 1),
        holder(u64::MAX, 4_000_000_000),
    ];
    let mut expected = Vec::new();
    for (amount, holder) in (1..).zip(holders) {
        for account in ["a", "b"] {
            let mut teller = Teller::new(account, 0);
            teller.holder = holder;
            assert_eq!(
                case.tell(&teller.borrow(amount)).await.allotment,
                NanoUsd(amount)
            );
        }
        expected.push((holder, amount, 1));
    }
    expected.sort_unstable();
    assert_eq!(allotments(&case.books("a").await), expected);
    case.balances().await;
}

/// One account may owe nine billion dollars, and no more: it got wrong figures before it was refused.
pub async fn what_cannot_be_counted_is_refused<S: Store>(case: Case<S>) {
    case.grant("a", "g", NanoUsd::MOST.0).await;
    let mut teller = Teller::new("a", 1);
    let before = case.tell(&teller.spend(NanoUsd::TOTAL.0)).await;
    assert_eq!(before.free, NanoUsd::MOST - NanoUsd::TOTAL);
    let fine = teller.next();
    let wrong = [
        spending(fine.clone(), 1_000_000),
        spending(fine.clone(), -1),
        spending(fine.clone(), i64::MAX),
        // Not what its daily totals say.
        Exchange {
            spent: NanoUsd::ZERO,
            ..spending(fine.clone(), 5)
        },
        Exchange {
            returned: NanoUsd(-1),
            ..fine.clone()
        },
        Exchange {
            need: NanoUsd(i64::MAX),
            want: NanoUsd(i64::MAX),
            ..fine.clone()
        },
    ];
    for message in wrong {
        let answer = case
            .bank()
            .exchange(std::slice::from_ref(&message))
            .await
            .remove(0);
        assert!(
            matches!(answer, Err(StoreError::Refused(_))),
            "{message:?}: {answer:?}"
        );
    }
    let books = case.books("a").await;
    assert_eq!(
        (books.spent, books.debt),
        (NanoUsd::TOTAL, NanoUsd::TOTAL - NanoUsd::MOST)
    );
    assert_eq!(
        case.tell(&fine).await.last,
        2,
        "nothing of them was applied"
    );
    case.balances().await;
}
