//! Lives: whose history a message belongs to, and what a bank says of it.

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Exchange, Holder, Mark};

use super::{Case, Store, Teller, spending};

/// A teller that marks its messages, as gateways do.
#[derive(Clone)]
struct Marked {
    teller: Teller,
    mark: Mark,
}

impl Marked {
    fn new(replica: u64, nonce: u64) -> Marked {
        Marked {
            teller: Teller::new("a", replica),
            mark: Mark::first(nonce),
        }
    }

    fn spend(&mut self, nanos: i64) -> Exchange {
        let before = self.mark;
        let message = self.teller.next();
        self.mark = before.then(message.number, nanos.cast_unsigned());
        Exchange {
            before,
            mark: self.mark,
            oldest: 1,
            ..spending(message, nanos)
        }
    }
}

pub async fn another_history_changes_nothing<S: Store>(mut case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut one = Marked::new(1, 7);
    case.tell(&one.spend(10)).await;
    let mut other = one.clone();
    let theirs = case.tell(&one.spend(20)).await;
    case.reopen().await;
    // Both went on from the first message, and had another second one; the third does not follow it.
    other.spend(21);
    let books = case.books("a").await;
    let third = other.spend(300);
    let reply = case.tell(&third).await;
    assert_eq!((reply.last, reply.mark), (2, theirs.mark), "not applied");
    assert_eq!(reply.mark, one.mark);
    assert_eq!(case.books("a").await, books, "nothing has changed");
    assert_eq!(case.tell(&one.spend(4)).await.last, 3, "theirs goes on");
    assert_eq!(case.books("a").await.spent, NanoUsd(34));
    case.balances().await;
}

pub async fn a_repeat_of_another_history_is_seen<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let (mut one, mut other) = (Marked::new(1, 7), Marked::new(1, 8));
    let (first, second) = (one.spend(10), other.spend(10));
    assert_ne!(
        first.mark, second.mark,
        "lives of one name, with other nonces"
    );
    let told = case.tell(&first).await;
    assert_eq!((told.last, told.mark), (1, first.mark));
    let reply = case.tell(&second).await;
    assert_eq!((reply.last, reply.mark), (1, first.mark));
    assert_eq!(case.tell(&first).await, told, "a repeat is known");
    assert_eq!(case.books("a").await.spent, NanoUsd(10));
    case.balances().await;
}

pub async fn who_has_no_marks_is_taken_as_it_is<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut old = Teller::new("a", 1);
    assert_eq!(case.tell(&old.spend(1)).await.mark, Mark::NONE);
    let mut new = Marked {
        teller: old.clone(),
        mark: Mark::first(7),
    };
    let reply = case.tell(&new.spend(20)).await;
    assert_eq!((reply.last, reply.mark), (2, new.mark), "it has one now");
    old.number = 2;
    let reply = case.tell(&old.spend(300)).await;
    assert_eq!((reply.last, reply.mark), (3, new.mark), "it keeps it");
    assert_eq!(case.books("a").await.spent, NanoUsd(321));
    case.balances().await;
}

pub async fn what_was_charged_is_said<S: Store>(mut case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let (mut one, mut other) = (Marked::new(1, 7), Marked::new(2, 8));
    let mut said = Vec::new();
    for nanos in [5, 0, 700] {
        let message = one.spend(nanos);
        said.push(case.tell(&message).await.charged.0);
        said.push(case.tell(&message).await.charged.0);
        case.tell(&other.spend(1_000)).await;
    }
    assert_eq!(said, [5, 5, 5, 5, 705, 705]);
    case.reopen().await;
    one.spend(1); // is lost
    let after = Exchange {
        oldest: 5,
        ..one.spend(20)
    };
    let reply = case.tell(&after).await;
    assert_eq!((reply.last, reply.mark), (5, after.mark), "passed over");
    assert_eq!(reply.charged, NanoUsd(725), "without what is lost");
    case.balances().await;
}

pub async fn a_newer_life_is_said<S: Store>(mut case: Case<S>) {
    let life = |replica, epoch| {
        let mut life = Marked::new(replica, epoch);
        life.teller.holder = Holder { replica, epoch };
        life
    };
    let (mut old, mut new, mut other) = (life(1, 9), life(1, 10), life(2, 11));
    assert_eq!(case.tell(&old.spend(1)).await.newest, 9, "itself");
    case.tell(&other.spend(1)).await;
    assert_eq!(case.tell(&new.spend(1)).await.newest, 10);
    case.tell(&Exchange {
        close: true,
        ..new.spend(0)
    })
    .await;
    case.reopen().await;
    let reply = case.tell(&old.spend(1)).await;
    assert_eq!((reply.last, reply.newest), (2, 10), "applied all the same");
    assert_eq!(case.tell(&old.spend(1)).await.newest, 10);
    case.balances().await;
}

pub async fn a_question_changes_nothing<S: Store>(case: Case<S>) {
    case.grant("a", "g", 1_000).await;
    let mut one = Marked::new(1, 7);
    let told = case.tell(&one.spend(10)).await;
    let books = case.books("a").await;
    for number in [3, 4] {
        let question = Exchange {
            number,
            oldest: 1,
            before: one.mark,
            mark: one.mark,
            ..Teller::new("a", 1).next()
        };
        assert_eq!(case.tell(&question).await, told, "number {number}");
    }
    assert_eq!(case.books("a").await, books);
    case.balances().await;
}
