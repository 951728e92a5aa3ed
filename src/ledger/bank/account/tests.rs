use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::bank::{Measure, Per};

const LEASE: Duration = Duration::from_secs(60);

fn holder(replica: u64) -> Holder {
    Holder { replica, epoch: 1 }
}

fn message(replica: u64, number: u64) -> Exchange {
    Exchange {
        oldest: number,
        ..Exchange::empty("a".into(), holder(replica), number, LEASE)
    }
}

fn grant(id: &str, amount: i64, expires_after: Option<u64>) -> NewGrant {
    NewGrant {
        id: id.to_owned(),
        amount: NanoUsd(amount),
        expires_after: expires_after.map(Duration::from_secs),
        note: String::new(),
    }
}

fn check(account: &Account) {
    let books = account.books(account.spent, 0_u64);
    assert_eq!(books.faults(), Vec::<String>::new(), "{account:#?}");
}

#[test]
fn a_repeat_changes_nothing_and_is_answered_alike() {
    let mut account = Account::default();
    account.grant(&grant("g", 1000, None), 0_u64);
    assert!(
        !account.grant(&grant("g", 1000, None), 0_u64),
        "once per id"
    );
    let borrow = Exchange {
        need: NanoUsd(10),
        want: NanoUsd(100),
        ..message(1, 1)
    };
    let first = account.exchange(&borrow, 0_u64);
    assert_eq!((first.allotment, first.free), (NanoUsd(100), NanoUsd(900)));
    let before = account.clone();
    let again = account.exchange(&borrow, 1_u64);
    assert_eq!(again, Reply { now: 1, ..first });
    assert_eq!(account, before);
}

#[test]
fn a_missing_number_is_asked_for_unless_it_is_lost() {
    let mut account = Account::default();
    account.grant(&grant("g", 1000, None), 0_u64);
    let spend = |number, oldest| Exchange {
        spent: NanoUsd(7),
        oldest,
        ..message(1, number)
    };
    assert_eq!(
        account.exchange(&spend(3, 1_u64), 0).last,
        0,
        "1 is missing"
    );
    assert_eq!(account.spent, NanoUsd(0));
    assert_eq!(
        account.exchange(&spend(3, 3_u64), 0).last,
        3,
        "1 and 2 are lost"
    );
    assert_eq!(account.spent, NanoUsd(7));
    check(&account);
}

#[test]
fn the_grant_that_expires_first_is_spent_first_and_what_is_lent_does_not_expire() {
    let mut account = Account::default();
    account.grant(&grant("late", 100, Some(1000)), 0_u64);
    account.grant(&grant("soon", 100, Some(10)), 0_u64);
    account.grant(&grant("never", 100, None), 0_u64);
    let borrow = Exchange {
        need: NanoUsd(150),
        want: NanoUsd(150),
        ..message(1, 1)
    };
    account.exchange(&borrow, 0_u64);
    let spend = Exchange {
        spent: NanoUsd(30),
        ..message(1, 2)
    };
    account.exchange(&spend, 1_u64);
    let left = |account: &Account| {
        account
            .grants
            .iter()
            .map(|g| g.remaining.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(left(&account), [100, 70, 100]);
    account.tick(10_000_u64);
    assert_eq!(
        left(&account),
        [100, 0, 100],
        "150 were free, so all 70 expired"
    );
    account.tick(59_000_u64);
    assert_eq!(account.expired, NanoUsd(70));
    check(&account);
}

#[test]
fn debt_is_paid_by_the_next_grant() {
    let mut account = Account::default();
    let spend = Exchange {
        spent: NanoUsd(30),
        ..message(1, 1)
    };
    let reply = account.exchange(&spend, 0_u64);
    assert_eq!((reply.free, account.debt), (NanoUsd(-30), NanoUsd(30)));
    account.grant(&grant("g", 100, None), 0_u64);
    assert_eq!((account.free, account.debt), (NanoUsd(70), NanoUsd(0)));
    assert_eq!(account.grants[0].remaining, NanoUsd(70));
    check(&account);
}

#[test]
fn an_unmet_need_recalls_what_others_do_not_hold() {
    let mut account = Account::default();
    account.grant(&grant("g", 100, None), 0_u64);
    let ask = |replica, number, need| Exchange {
        need: NanoUsd(need),
        want: NanoUsd(need),
        ..message(replica, number)
    };
    assert!(!account.exchange(&ask(1, 1, 80), 0_u64).recall);
    let short = account.exchange(&ask(2, 1, 50), 0_u64);
    assert_eq!((short.allotment, short.recall), (NanoUsd(20), true));
    let back = Exchange {
        returned: NanoUsd(60),
        ..message(1, 2)
    };
    assert!(account.exchange(&back, 1_u64).recall);
    let served = account.exchange(&ask(2, 2, 30), 2_u64);
    assert_eq!(served.allotment, NanoUsd(50));
    check(&account);
}

#[test]
fn a_dead_holder_is_reaped_and_counted_when_it_comes_late() {
    let mut account = Account::default();
    account.grant(&grant("g", 100, None), 0_u64);
    let borrow = Exchange {
        need: NanoUsd(40),
        want: NanoUsd(40),
        ..message(1, 1)
    };
    account.exchange(&borrow, 0_u64);
    account.tick(60_000_u64);
    assert_eq!(account.free, NanoUsd(100), "the lease is over");
    let late = Exchange {
        spent: NanoUsd(25),
        close: true,
        ..message(1, 2)
    };
    for _ in 0..2 {
        let reply = account.exchange(&late, 61_000_u64);
        assert_eq!((reply.free, reply.last), (NanoUsd(75), 2));
    }
    check(&account);
}

#[test]
fn a_meter_lends_no_more_than_its_limit_and_begins_anew_with_its_window() {
    const NOW: u64 = 120_000;
    let mut account = Account::default();
    let meter = Meter {
        subject: "key:app".into(),
        measure: Measure::RequestsPerMinute,
    };
    let ask = |replica, number, window, used, need| Exchange {
        meters: vec![MeterExchange {
            meter: meter.clone(),
            window,
            limit: 10,
            used,
            returned: 0,
            need,
            want: need,
        }],
        ..message(replica, number)
    };
    assert_eq!(
        account.exchange(&ask(1, 1, 60, 0, 6), NOW).meters[0].allotment,
        6
    );
    let reply = account.exchange(&ask(2, 1, 60, 0, 6), NOW);
    assert_eq!(
        (
            reply.meters[0].allotment,
            reply.meters[0].lent,
            reply.meters[0].recall,
            reply.recall
        ),
        (4, 10, true, false)
    );
    let reply = account.exchange(&ask(1, 2, 60, 6, 1), NOW).meters[0];
    assert_eq!((reply.allotment, reply.used, reply.lent), (0, 6, 4));
    let reply = account.exchange(&ask(1, 3, 120, 0, 1), NOW).meters[0];
    assert_eq!((reply.window, reply.allotment, reply.used), (120, 1, 0));
    let behind = account.exchange(&ask(2, 2, 60, 3, 5), NOW).meters[0];
    assert_eq!(
        (behind.window, behind.allotment, behind.used),
        (120, 0, 0),
        "its clock is behind"
    );
    for (number, ahead) in (3..).zip([1, 60, 3_600, 400 * 86_400]) {
        let early = account.exchange(&ask(2, number, 120 + ahead, 3, 5), NOW);
        let early = early.meters[0];
        assert_eq!(
            (early.window, early.allotment, early.used),
            (120, 0, 0),
            "its clock is ahead"
        );
    }
}

const DAY: u64 = 24 * 60 * 60 * 1000;

fn borrow(replica: u64, number: u64, amount: i64) -> Exchange {
    Exchange {
        need: NanoUsd(amount),
        want: NanoUsd(amount),
        ..message(replica, number)
    }
}

/// By a clock that may be 400 days ahead.
fn doubtful(sure: u64) -> Moment {
    Moment {
        told: sure + 400 * DAY,
        sure,
    }
}

#[test]
fn what_has_ended_by_a_doubtful_clock_is_not_lent_and_not_lost() {
    let mut account = Account::default();
    account.grant(&grant("soon", 100, Some(100)), 0_u64);
    account.grant(&grant("never", 30, None), 0_u64);
    let living = account.exchange(&borrow(1, 1, 20), 0_u64);
    assert_eq!(living.allotment, NanoUsd(20));
    let reply = account.exchange(&borrow(2, 1, 50), doubtful(1_000));
    assert_eq!(
        (reply.allotment, reply.free),
        (NanoUsd(10), NanoUsd(0)),
        "of 110 free, the 100 of the grant that has ended by it are out of reach"
    );
    assert_eq!((account.expired, account.holders.len()), (NanoUsd(0), 2));
    let back = account.exchange(&borrow(2, 2, 50), 2_000_u64);
    assert_eq!((back.allotment, back.free), (NanoUsd(60), NanoUsd(50)));
    assert_eq!(account.holders[&holder(1)].allotment, NanoUsd(20));
    check(&account);
    account.tick(101_000_u64);
    assert_eq!(account.expired, NanoUsd(100), "all of it is free by then");
    check(&account);
}

#[test]
fn a_lease_that_a_clock_wrote_ahead_ends_within_a_day_of_the_true_one() {
    let mut account = Account::default();
    account.grant(&grant("g", 100, None), 0_u64);
    account.exchange(&borrow(1, 1, 20), doubtful(1_000));
    account.tick(doubtful(2_000));
    account.tick(2_000_u64);
    assert_eq!(account.free, NanoUsd(80), "it may live");
    account.tick(3_000 + DAY);
    assert_eq!(account.free, NanoUsd(100));
}

#[test]
fn who_lives_when_a_new_time_is_sure_keeps_its_allotment() {
    let mut account = Account::default();
    account.grant(&grant("g", 100, None), 0_u64);
    account.exchange(&borrow(1, 1, 20), doubtful(1_000));
    account.tick(400 * DAY + 30_000);
    assert_eq!(account.holders[&holder(1)].allotment, NanoUsd(20));
    account.tick(400 * DAY + 61_000);
    assert_eq!(account.free, NanoUsd(100), "and no longer than its lease");
}

#[test]
fn a_recall_and_a_window_of_a_clock_that_was_ahead_are_over_when_it_is_right() {
    let mut account = Account::default();
    account.grant(&grant("g", 100, None), 0_u64);
    let meter = |window, number| Exchange {
        meters: vec![MeterExchange {
            meter: Meter {
                subject: "key:app".into(),
                measure: Measure::budget(Per::Day),
            },
            window,
            limit: 10,
            used: 1,
            returned: 0,
            need: 0,
            want: 0,
        }],
        ..message(1, number)
    };
    let ahead = 400 * DAY;
    account.exchange(&borrow(1, 1, 20), ahead);
    account.exchange(&meter(ahead / 1_000, 2), ahead);
    assert!(account.exchange(&borrow(2, 1, 500), ahead).recall);
    let foreign = account.exchange(&meter(ahead / 1_000, 3), 1_000_u64);
    assert_eq!((foreign.meters[0].window, foreign.meters[0].used), (0, 0));
    let reply = account.exchange(&meter(0, 4), 1_000_u64);
    assert_eq!((reply.meters[0].window, reply.meters[0].used), (0, 1));
    assert!(!reply.recall);
}

/// Anything that may happen to an account.
#[derive(Clone, Debug)]
enum Happening {
    Grant(u8, i64, Option<u64>),
    Exchange {
        replica: u64,
        skip: bool,
        spent: i64,
        returned: i64,
        need: i64,
        want: i64,
        close: bool,
    },
    Wait(u64),
    /// The told time is so far ahead from now on.
    Jump(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (any::<u8>(), 1..1000i64, prop::option::of(0..100u64))
            .prop_map(|(id, amount, expires)| Happening::Grant(id, amount, expires)),
        (
            0..3u64,
            prop::bool::weighted(0.2),
            0..200i64,
            0..200i64,
            0..200i64,
            0..400i64,
            prop::bool::weighted(0.1)
        )
            .prop_map(|(replica, skip, spent, returned, need, more, close)| {
                Happening::Exchange {
                    replica,
                    skip,
                    spent,
                    returned,
                    need,
                    want: need + more,
                    close,
                }
            }),
        (0..70_000u64).prop_map(Happening::Wait),
        prop_oneof![Just(0), 0..100_000u64, Just(400 * DAY)].prop_map(Happening::Jump),
    ]
}

proptest! {
    #[test]
    fn the_books_balance_whatever_happens(happenings in prop::collection::vec(happening(), 0..60)) {
        let mut account = Account::default();
        let mut now = Moment::from(0);
        let mut numbers: BTreeMap<u64, u64> = BTreeMap::new();
        let mut spent_in_all = NanoUsd::ZERO;
        for happening in happenings {
            match happening {
                Happening::Grant(id, amount, expires) => {
                    account.grant(&grant(&id.to_string(), amount, expires), now);
                }
                Happening::Exchange { replica, skip, spent, returned, need, want, close } => {
                    let number = numbers.entry(replica).or_default();
                    let repeat = skip && *number > 0;
                    if !repeat {
                        *number += 1;
                        spent_in_all += NanoUsd(spent);
                    }
                    let before = account.clone();
                    let message = Exchange {
                        spent: NanoUsd(spent),
                        returned: NanoUsd(returned),
                        need: NanoUsd(need),
                        want: NanoUsd(want),
                        close,
                        ..message(replica, *number)
                    };
                    let reply = account.exchange(&message, now);
                    prop_assert_eq!(reply.last, *number);
                    prop_assert!(reply.allotment >= NanoUsd::ZERO);
                    if repeat {
                        let mut waited = before;
                        waited.tick(now);
                        prop_assert_eq!(&account, &waited, "a repeat only lets time pass");
                    }
                }
                Happening::Wait(ms) => {
                    now.told += ms;
                    now.sure += ms;
                    account.tick(now);
                }
                Happening::Jump(ahead) => now.told = now.sure + ahead,
            }
            let due = |grant: &&Grant| grant.expires.is_some_and(|at| at * 1000 <= now.sure);
            let lost: NanoUsd = account.grants.iter().filter(due).map(|grant| grant.expired).sum();
            prop_assert_eq!(account.expired, lost, "what is sure to have ended, and no more");
            prop_assert_eq!(account.spent, spent_in_all);
            check(&account);
        }
    }
}

#[test]
fn holders_print_and_read_back() {
    let holder = Holder {
        replica: 0xab,
        epoch: 12,
    };
    assert_eq!(holder.to_string(), "00000000000000ab.12");
    assert_eq!(holder.to_string().parse(), Ok(holder));
    assert!("x".parse::<Holder>().is_err());
    let subject: Arc<str> = "key:app".into();
    let meter = Meter {
        subject,
        measure: Measure::budget(Per::Day),
    };
    assert_eq!(meter.to_string(), "key:app/budget_per_day");
}
