//! Many at once: nothing is lost, nothing counted twice, nothing promised twice.

use std::sync::Arc;

use futures::future::try_join_all;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Exchange};

use super::{Case, Store, Teller, spending, tell};

const TASKS: u64 = 8;
const GRANTED: i64 = 10_000;

/// Borrows and spends what was lent, never more, and closes; says what it spent.
async fn customer(bank: Arc<dyn Bank>, account: &str, replica: u64, rounds: i64) -> i64 {
    let mut teller = Teller::new(account, replica);
    let (mut allotment, mut all) = (0, 0);
    for round in 0..rounds {
        let spent = (1 + round % 7).min(allotment);
        let message = Exchange {
            returned: NanoUsd(round % 3),
            need: NanoUsd(1 + round % 5),
            want: NanoUsd(40),
            ..spending(teller.next(), spent)
        };
        let reply = tell(&*bank, &message).await;
        assert_eq!(reply.last, message.number);
        assert!(
            reply.free >= NanoUsd::ZERO,
            "spent within allotments, never below zero: {reply:?}"
        );
        all += spent;
        allotment = reply.allotment.0;
        if round % 6 == 0 {
            let again = tell(&*bank, &message).await;
            assert_eq!((again.last, again.allotment), (reply.last, reply.allotment));
        }
    }
    tell(&*bank, &teller.close()).await;
    all
}

pub async fn one_account<S: Store>(case: Case<S>) {
    case.grant("a", "g", GRANTED).await;
    let customers = (1..=TASKS).map(|replica| {
        let bank = case.bank().clone();
        tokio::spawn(async move { customer(bank, "a", replica, 40).await })
    });
    let spent: i64 = try_join_all(customers).await.unwrap().iter().sum();
    let books = case.books("a").await;
    assert_eq!(
        (books.spent, books.free, books.lent()),
        (NanoUsd(spent), NanoUsd(GRANTED - spent), NanoUsd::ZERO)
    );
    assert!(spent > 0, "something was lent");
    case.balances().await;
}

pub async fn many_accounts<S: Store>(case: Case<S>) {
    let accounts: Vec<String> = (0..10).map(|index| format!("a{index}")).collect();
    for account in &accounts {
        case.grant(account, "g", GRANTED).await;
    }
    let tasks = (1..=TASKS).map(|replica| {
        let (bank, accounts) = (case.bank().clone(), accounts.clone());
        tokio::spawn(async move {
            let mut tellers: Vec<Teller> = accounts
                .iter()
                .map(|account| Teller::new(account, replica))
                .collect();
            for _ in 0..15 {
                let messages: Vec<Exchange> = tellers
                    .iter_mut()
                    .map(|teller| Exchange {
                        want: NanoUsd(50),
                        ..teller.spend(3)
                    })
                    .collect();
                let replies = bank.exchange(&messages).await;
                assert_eq!(replies.len(), messages.len());
                for (message, reply) in messages.iter().zip(replies) {
                    assert_eq!(reply.unwrap().last, message.number);
                }
            }
        })
    });
    try_join_all(tasks).await.unwrap();
    for account in &accounts {
        let books = case.books(account).await;
        assert_eq!(books.spent, NanoUsd(3 * 15 * 8), "{account}");
        assert_eq!(books.allotments.len(), 8, "{account}");
    }
    case.balances().await;
}

pub async fn one_message_many_times<S: Store>(case: Case<S>) {
    case.grant("a", "g", GRANTED).await;
    let mut teller = Teller::new("a", 1);
    for number in 1..=10 {
        let message = Exchange {
            need: NanoUsd(10),
            want: NanoUsd(10),
            ..spending(teller.next(), 7)
        };
        let tellings = (0..TASKS).map(|_| {
            let (bank, message) = (case.bank().clone(), message.clone());
            tokio::spawn(async move { tell(&*bank, &message).await })
        });
        let replies = try_join_all(tellings).await.unwrap();
        assert!(
            replies.iter().all(|reply| *reply == replies[0]),
            "{replies:?}"
        );
        assert_eq!(case.books("a").await.spent, NanoUsd(7 * number));
    }
    case.balances().await;
}

pub async fn one_grant_many_times<S: Store>(case: Case<S>) {
    for id in ["x", "y"] {
        let grants = (0..TASKS).map(|_| {
            let bank = case.bank().clone();
            let new = super::new_grant(id, 5, None);
            tokio::spawn(async move { bank.grant("a", &new).await.unwrap() })
        });
        let new = try_join_all(grants).await.unwrap();
        assert_eq!(new.iter().filter(|new| **new).count(), 1, "{id}");
    }
    assert_eq!(case.books("a").await.granted, NanoUsd(10));
    case.balances().await;
}
