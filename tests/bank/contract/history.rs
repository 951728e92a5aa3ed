//! Random histories: a bank answers as the reference does, and has the same books.
//!
//! Leases are far away and nothing expires, so that the time of day plays no part; only a recall ends by itself,
//! after two seconds, so a history that takes as long (on a machine that is very busy) is not looked at further.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::account::{Account, RECALL};
use tollgate_ledger::bank::{
    Bank, Exchange, Holder, Mark, Measure, Meter, MeterExchange, Per, Reply,
};

use super::{Case, Store, Teller, new_grant, spending, tell, timeless};

/// When all of it happens (Unix time, ms): after every window in it.
const AT: u64 = 1_000_000_000;

/// Random histories for each bank.
const HISTORIES: u32 = 200;

#[derive(Clone, Debug)]
enum Happening {
    Grant {
        id: u8,
        amount: i64,
    },
    Exchange {
        replica: u64,
        how: How,
        /// Which marks it has: of the message before, and its own.
        marks: (u64, u64),
        figures: [i64; 4],
        close: bool,
        meters: Vec<Part>,
    },
}

/// How a message is numbered.
#[derive(Clone, Debug)]
enum How {
    Next,
    /// The number that was this many before the next one.
    Repeat(u64),
    /// This many numbers are left out, and may be repeated or not.
    Skip(u64, bool),
}

#[derive(Clone, Debug)]
struct Part {
    which: usize,
    window: u64,
    limit: i64,
    figures: [i64; 4],
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        2 => Just(0),
        6 => 0..300i64,
        1 => Just(NanoUsd::MOST.0 - 1),
        1 => 0..NanoUsd::MOST.0,
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let how = prop_oneof![
        8 => Just(How::Next),
        1 => (1..3u64).prop_map(How::Repeat),
        1 => (1..3u64, any::<bool>()).prop_map(|(by, lost)| How::Skip(by, lost)),
    ];
    let part = (0..4usize, 0..3u64, 0..40i64, [0..9i64, 0..9, 0..20, 0..20]).prop_map(
        |(which, window, limit, figures)| Part {
            which,
            window,
            limit,
            figures,
        },
    );
    prop_oneof![
        1 => (0..12u8, amount()).prop_map(|(id, amount)| Happening::Grant { id, amount: amount + 1 }),
        4 => (
            0..4u64,
            how,
            (0..3u64, 0..3u64),
            [amount(), amount(), amount(), amount()],
            prop::bool::weighted(0.08),
            prop::collection::vec(part, 0..3),
        )
            .prop_map(|(replica, how, marks, figures, close, meters)| {
                Happening::Exchange { replica, how, marks, figures, close, meters }
            }),
    ]
}

/// Each meter at most once, as the trait demands.
fn meters(parts: &[Part]) -> Vec<MeterExchange> {
    const MEASURES: [Measure; 2] = [Measure::TokensPerMinute, Measure::budget(Per::Day)];
    let mut meters: Vec<MeterExchange> = Vec::new();
    for part in parts {
        let meter = Meter {
            subject: ["key:app", "configuration:team"][part.which / 2].into(),
            measure: MEASURES[part.which % 2],
        };
        if meters.iter().all(|other| other.meter != meter) {
            let [used, returned, need, more] = part.figures;
            meters.push(MeterExchange {
                meter,
                window: part.window * 60,
                limit: part.limit,
                used,
                returned,
                need,
                want: need + more,
            });
        }
    }
    meters
}

/// Plays a history to the bank and to the reference; `account` is one that nobody used before.
async fn play(
    bank: &dyn Bank,
    account: Arc<str>,
    history: &[Happening],
) -> Result<(), TestCaseError> {
    let began = clock::now();
    let mut reference = Account::default();
    let mut numbers: BTreeMap<u64, u64> = BTreeMap::new();
    let mut rolled_up = NanoUsd::ZERO;
    let mut touched = false;
    for happening in history {
        match happening {
            Happening::Grant { id, amount } => {
                let new = new_grant(&format!("g{id}"), (*amount).min(NanoUsd::MOST.0), None);
                let expected = reference.grant(&new, AT);
                touched = true;
                prop_assert_eq!(bank.grant(&account, &new).await, Ok(expected));
            }
            Happening::Exchange {
                replica,
                how,
                marks: (before, mark),
                figures,
                close,
                meters: parts,
            } => {
                // Two lives each of two replicas.
                let holder = Holder {
                    replica: (replica / 2).wrapping_sub(1),
                    epoch: 3 + replica % 2,
                };
                let last = numbers.entry(*replica).or_default();
                let (number, oldest) = match how {
                    How::Next => (*last + 1, *last + 1),
                    How::Repeat(before) => ((*last + 1).saturating_sub(*before).max(1), 1),
                    How::Skip(by, true) => (*last + 1 + by, *last + 1 + by),
                    How::Skip(by, false) => (*last + 1 + by, 1),
                };
                let [spent, returned, need, more] = *figures;
                let message = Exchange {
                    account: account.clone(),
                    holder,
                    number,
                    oldest,
                    before: Mark::kept(*before),
                    mark: Mark::kept(*mark),
                    returned: NanoUsd(returned),
                    need: NanoUsd(need),
                    want: NanoUsd(need + more).min(NanoUsd::MOST),
                    close: *close,
                    meters: meters(parts),
                    ..spending(Teller::new("", 0).next(), spent)
                };
                let was = *last;
                let expected = reference.exchange(&message, AT);
                touched = true;
                let reply = tell(bank, &message).await;
                *last = reply.last;
                if reply.last != was {
                    rolled_up += message.spent;
                }
                if clock::now() > began + RECALL - Duration::from_millis(100) {
                    return Ok(());
                }
                prop_assert_eq!(reply, Reply { now: 0, ..expected }, "{:?}", message);
            }
        }
    }
    if touched {
        let books = bank.books(&account).await.unwrap();
        prop_assert_eq!(books.faults(), Vec::<String>::new());
        let expected = reference.books(rolled_up, AT);
        prop_assert_eq!(timeless(books), timeless(expected));
    }
    Ok(())
}

pub async fn same_as_the_reference<S: Store>(case: Case<S>) {
    let mut runner = TestRunner::new(Config {
        cases: HISTORIES,
        ..Config::default()
    });
    let strategy = prop::collection::vec(happening(), 0..40);
    for number in 0..HISTORIES {
        let history = strategy.new_tree(&mut runner).unwrap().current();
        let account = format!("history {number}").into();
        if let Err(error) = play(&**case.bank(), account, &history).await {
            panic!("{error}\nin history {number}: {history:#?}");
        }
    }
    case.balances().await;
}
