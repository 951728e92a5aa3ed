//! What limits and the overdraft leave of what a till admits.

use super::*;
use crate::bank::{Measure, Meter, Per};

#[test]
fn limits_hold_across_two_tills() {
    let (one, two, clock) = (scratch(), scratch(), Clock::new());
    let tills = [
        till(open(one.path()).0, ENFORCED),
        till(open(two.path()).0, ENFORCED),
    ];
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000_000, clock);
    let limit = Limit::new(
        Meter {
            subject: "key:app".into(),
            measure: Measure::RequestsPerMinute,
        },
        10,
    );
    let request = Request::new(vec![limit]);
    let ask = request.ask(1);
    let mut served = 0;
    let mut refused = None;
    for round in 0..30 {
        let till = &tills[round % 2];
        // What a waiting request does.
        let admitted = till.admit_now(&ask, clock).or_else(|_| {
            till.wait_once(&ask, &mut bank, clock);
            till.admit_now(&ask, clock)
        });
        match admitted {
            Ok(hold) => {
                served += 1;
                hold.settle(&[charge(1)]);
            }
            Err(refusal) => refused = Some(refusal),
        }
        tills.iter().for_each(|till| {
            till.exchange(Occasion::Flush, &mut bank, clock);
        });
    }
    assert_eq!(served, 10);
    match refused {
        Some(Refusal::Limit {
            left: 0,
            reset,
            retry_after,
            ..
        }) => {
            assert!(reset.is_some() && reset == retry_after);
        }
        other => panic!("{other:?}"),
    }
}

/// Two limits, and two requests that wait for them at the same time: the first one to go on used to make the
/// second limit's bucket, and the other one then took out of it what it had never put in. What was needed stayed
/// negative for ever, so that nothing was borrowed for that limit again.
#[test]
fn what_requests_need_of_a_second_limit_is_counted_in_and_out() {
    let (dir, clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000_000, clock);
    let limit = |measure| {
        Limit::new(
            Meter {
                subject: "key:app".into(),
                measure,
            },
            100,
        )
    };
    let request = Request::new(vec![
        limit(Measure::RequestsPerMinute),
        limit(Measure::TokensPerMinute),
    ]);
    let ask = request.ask(1);
    let cache = till.cache(&request.account);
    assert!(till.admit_now(&ask, clock).is_err());
    let one = cache.wait(&ask, ENFORCED, 0);
    assert!(till.admit_now(&ask, clock).is_err());
    let two = cache.wait(&ask, ENFORCED, 0);
    till.exchange(Occasion::Urgent, &mut bank, clock);
    drop(one);
    let first = till.admit_now(&ask, clock);
    drop(two);
    let second = till.admit_now(&ask, clock);
    assert!(
        first.is_ok() && second.is_ok(),
        "one exchange is enough for both: {:?}, {:?}",
        first.err(),
        second.err()
    );
    drop((first, second));
    let message = till.outgoing(Occasion::Flush, clock).unwrap();
    for part in &message.meters {
        assert!(
            part.need == 0 && part.returned == 0,
            "no one waits: {part:?}"
        );
    }
}

/// Refusals that no answer of the bank could change cost no message to it.
#[test]
fn a_limit_that_is_used_up_is_refused_without_asking() {
    let (dir, mut clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000, clock);
    let limits = |measure, most| {
        let subject = "key:app".into();
        let meter = Meter { subject, measure };
        Request::new(vec![Limit::new(meter, most)])
    };
    let request = limits(Measure::RequestsPerMinute, 2);
    let ask = request.ask(1);
    let decide = |ask: &Ask<'_>, clock: Clock| {
        let cache = till.cache(ask.account);
        cache.take(ask, ENFORCED, 0, clock.now(), clock.wall())
    };
    let short = decide(&ask, clock).err().unwrap();
    assert!(!short.is_final(), "the bank has not been asked");
    spend(&till, &mut bank, &ask, clock);
    spend(&till, &mut bank, &ask, clock);
    assert!(decide(&ask, clock).err().unwrap().is_final(), "2 of 2");
    clock.ms += 60_000;
    assert!(!decide(&ask, clock).err().unwrap().is_final(), "a new one");

    let slots = limits(Measure::ConcurrentRequests, 1);
    let ask = slots.ask(1);
    let cache = till.cache(ask.account);
    let waiting = cache.wait(&ask, ENFORCED, 0);
    assert!(decide(&ask, clock).is_err());
    drop(waiting);
    till.wait_once(&ask, &mut bank, clock);
    let _held = till.admit_now(&ask, clock).unwrap();
    let short = decide(&ask, clock).err().unwrap();
    assert!(!short.is_final(), "it may be given back at any time");
    let Refusal::Limit { left, .. } = short.refusal() else {
        panic!("a limit");
    };
    assert_eq!(left, 0, "the one place is taken");
}

/// Without enforcement nothing is borrowed but places under limits, and these were only leased once.
#[test]
fn places_that_are_held_stay_leased_without_money() {
    let (one, two, mut clock) = (scratch(), scratch(), Clock::new());
    let metered = Policy {
        enforced: false,
        ..ENFORCED
    };
    let tills = [&one, &two].map(|dir| till(open(dir.path()).0, metered));
    let mut bank = Account::default();
    let meter = Meter {
        subject: "key:app".into(),
        measure: Measure::ConcurrentRequests,
    };
    let request = Request::new(vec![Limit::new(meter, 1)]);
    let ask = request.ask(5);
    let admit = |till: &Arc<Till>, bank: &mut Account, clock| {
        till.admit_now(&ask, clock).or_else(|_| {
            till.wait_once(&ask, bank, clock);
            till.admit_now(&ask, clock)
        })
    };
    let _held = admit(&tills[0], &mut bank, clock).ok().unwrap();
    for _ in 0..300 {
        clock.ms += 500;
        let before = tills[0].exchange(Occasion::Flush, &mut bank, clock);
        let other = admit(&tills[1], &mut bank, clock);
        assert!(other.is_err(), "{} ms, {before}", clock.ms % 1_000_000);
    }
}

/// What an answer is extended by was given back to its budget as well, out of which it had never been taken: each
/// such answer left the budget larger.
#[test]
fn an_extended_hold_takes_from_its_budget_what_it_gives_back() {
    let (dir, clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000, clock);
    let meter = Meter {
        subject: "key:app".into(),
        measure: Measure::budget(Per::Total),
    };
    let request = Request::new(vec![Limit::new(meter, 100)]);
    let ask = request.ask(10);
    let mut spent = 0;
    for _ in 0..50 {
        let unused = till.admit_now(&ask, clock).map(|hold| hold.settle(&[]));
        assert!(unused.is_err() || spent > 0);
        till.wait_once(&ask, &mut bank, clock);
        let Ok(mut hold) = till.admit_now(&ask, clock) else {
            break;
        };
        while hold.extend(NanoUsd(5)) != Extension::Granted {
            till.exchange(Occasion::Flush, &mut bank, clock);
        }
        hold.settle(&[charge(15)]);
        spent += 15;
        till.exchange(Occasion::Flush, &mut bank, clock);
    }
    assert!((91..=105).contains(&spent), "{spent} of 100");
}

/// Twenty-five tiny answers taught the estimate, and two hundred large ones at once overdrew a quarter of a dollar by
/// three hundred.
#[test]
fn what_requests_in_flight_may_cost_beyond_their_holds_is_bounded_over_all_replicas() {
    let clock = Clock::new();
    let policy = Policy {
        overdraft: NanoUsd(1_000),
        ..ENFORCED
    };
    let dirs = [scratch(), scratch()];
    let tills = [&dirs[0], &dirs[1]].map(|dir| till(open(dir.path()).0, policy));
    let mut bank = Account::default();
    credit(&mut bank, "g", 250, clock);
    let request = Request::new(Vec::new());
    let ask = Ask {
        worst: NanoUsd(301),
        ..request.ask(1)
    };
    let mut holds = Vec::new();
    for round in 0..200 {
        let till = &tills[round % 2];
        for attempt in 0..3 {
            match till.admit_now(&ask, clock) {
                Ok(hold) => {
                    holds.push(hold);
                    break;
                }
                Err(refusal) => {
                    assert!(
                        attempt < 2 || matches!(refusal, Refusal::Exposed { .. }),
                        "{refusal:?}"
                    );
                    let cache = till.cache(ask.account);
                    let waiting = cache.wait(&ask, policy, attempt);
                    till.exchange(Occasion::Urgent, &mut bank, clock);
                    drop(waiting);
                }
            }
        }
    }
    assert_eq!(holds.len(), 3, "3 x 300 beyond their holds fit into 1,000");
    for hold in holds.drain(..) {
        hold.settle(&[charge(301)]);
    }
    for till in &tills {
        till.exchange(Occasion::Close, &mut bank, clock);
    }
    assert_eq!(bank.free, NanoUsd(250 - 3 * 301));
    assert!(bank.free >= NanoUsd(-1_000));
}

/// An account that can pay for the worst is served however little it may be overdrawn; so is one whose budget covers it.
#[test]
fn what_does_not_fit_into_the_overdraft_is_held_at_its_worst_case() {
    let budget = Limit::new(
        Meter {
            subject: "key:app".into(),
            measure: Measure::budget(Per::Total),
        },
        1_000,
    );
    for limits in [Vec::new(), vec![budget]] {
        let (dir, clock) = (scratch(), Clock::new());
        let till = till(open(dir.path()).0, ENFORCED);
        let mut bank = Account::default();
        credit(&mut bank, "g", 1_000, clock);
        let request = Request::new(limits);
        let ask = Ask {
            worst: NanoUsd(300),
            ..request.ask(10)
        };
        // As a request does: it looks, waits for the bank once, and looks again.
        assert!(till.admit_now(&ask, clock).is_err(), "nothing is lent yet");
        till.wait_once(&ask, &mut bank, clock);
        let hold = till.admit_now(&ask, clock).expect("all of it is there");
        assert_eq!(
            (hold.estimate(), till.cache(ask.account).figures().held),
            (NanoUsd(10), NanoUsd(300))
        );
        hold.settle(&[charge(299)]);
        assert_eq!(till.worst(), NanoUsd::ZERO);
        till.exchange(Occasion::Close, &mut bank, clock);
        assert_eq!((bank.spent, bank.free), (NanoUsd(299), NanoUsd(701)));
    }
}
