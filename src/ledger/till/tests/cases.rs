//! What a till does in the situations that have names.

use super::*;
use crate::bank::{Measure, Meter};

#[test]
fn a_request_is_held_settled_and_told() {
    let (dir, clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    credit(&mut bank, "g", 1_000, clock);
    assert_eq!(
        till.admit_now(&request.ask(100), clock).err(),
        Some(Refusal::OutOfCredits {
            estimate: NanoUsd(100),
            left: NanoUsd(0)
        }),
        "nothing is known of the account yet"
    );
    let cache = till.cache(&request.account);
    let ask = request.ask(100);
    let waiting = cache.wait(&ask, ENFORCED, 0);
    assert!(till.exchange(Occasion::Urgent, &mut bank, clock));
    drop(waiting);
    let hold = till.admit_now(&ask, clock).unwrap();
    assert_eq!(cache.figures().held, NanoUsd(100));
    hold.settle(&[charge(40)]);
    let figures = cache.figures();
    assert_eq!((figures.held, figures.untold), (NanoUsd(0), NanoUsd(40)));
    assert!(till.exchange(Occasion::Flush, &mut bank, clock));
    assert_eq!(bank.spent, NanoUsd(40));
    assert!(till.exchange(Occasion::Close, &mut bank, clock));
    assert_eq!(bank.free, NanoUsd(960), "the allotment is back");
}

#[test]
fn a_lost_answer_is_repeated_and_counted_once() {
    let (dir, clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    credit(&mut bank, "g", 1_000, clock);
    let waiting_ask = request.ask(100);
    let cache = till.cache(&request.account);
    till.wait_once(&waiting_ask, &mut bank, clock);
    till.admit_now(&waiting_ask, clock)
        .unwrap()
        .settle(&[charge(60)]);
    let message = till.outgoing(Occasion::Flush, clock).unwrap();
    bank.exchange(&message, clock.ms);
    till.acknowledge(Err(StoreError::Away("lost".to_owned())), clock.now());
    assert!(cache.is_away());
    let again = till.outgoing(Occasion::Flush, clock).unwrap();
    assert_eq!((again.number, again.spent), (message.number, message.spent));
    let reply = bank.exchange(&again, clock.ms);
    till.acknowledge(Ok(reply), clock.now());
    assert_eq!((bank.spent, cache.is_away()), (NanoUsd(60), false));
}

#[test]
fn orphans_are_charged_at_their_estimates_once() {
    let (dir, clock) = (scratch(), Clock::new());
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    credit(&mut bank, "g", 1_000, clock);
    {
        let till = till(open(dir.path()).0, ENFORCED);
        let ask = request.ask(100);
        let three = request.ask(300);
        till.wait_once(&three, &mut bank, clock);
        till.admit_now(&ask, clock).unwrap().settle(&[charge(30)]);
        // The bank has applied it, and the till has died before it heard so.
        let message = till.outgoing(Occasion::Flush, clock).unwrap();
        bank.exchange(&message, clock.ms);
        till.admit_now(&ask, clock).unwrap().forget();
        let held = till.admit_now(&ask, clock).unwrap();
        held.settle(&[charge(1)]);
    }
    // Died again while it was reporting.
    {
        let (_journal, lives) = open(dir.path());
        let history = History::of(&lives[0]).unwrap();
        assert_eq!(history.counts(), (2, 1), "30 and 1 settled, one orphan");
        let messages = replay(&lives[0], RHYTHM.lease).unwrap();
        let first = &messages[0][0];
        bank.exchange(first, clock.ms);
    }
    recover(dir.path(), &mut bank, clock);
    assert_eq!(bank.spent, NanoUsd(131));
    assert_eq!(bank.free, NanoUsd(869), "the dead till's allotment is back");
    recover(dir.path(), &mut bank, clock);
    assert_eq!(bank.spent, NanoUsd(131));
}

/// A gateway that was killed within an answer charged what it had held, and the request, which was sent again by its
/// `Idempotency-Key`, was charged once more.
#[test]
fn what_may_be_sent_again_by_its_name_is_the_houses_where_its_end_is_not_known() {
    let (dir, clock) = (scratch(), Clock::new());
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    credit(&mut bank, "g", 1_000, clock);
    {
        let till = till(open(dir.path()).0, ENFORCED);
        let ask = Ask {
            named: true,
            ..request.ask(100)
        };
        till.wait_once(&request.ask(300), &mut bank, clock);
        till.admit_now(&ask, clock).unwrap().settle(&[charge(30)]);
        let panicked = till.admit_now(&ask, clock).unwrap();
        drop(panicked);
        till.admit_now(&ask, clock).unwrap().forget();
    }
    let (_journal, lives) = open(dir.path());
    let messages = replay(&lives[0], RHYTHM.lease).unwrap().concat();
    let of = |account: &str| {
        let own = messages
            .iter()
            .filter(|message| *message.account == *account);
        own.map(|message| message.spent.0).sum::<i64>()
    };
    assert_eq!((of("a"), of(HOUSE)), (30, 200));
}

#[test]
fn without_enforcement_everything_is_counted_and_nothing_refused() {
    let (dir, clock) = (scratch(), Clock::new());
    let metered = Policy {
        enforced: false,
        ..ENFORCED
    };
    let till = till(open(dir.path()).0, metered);
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    till.admit_now(&request.ask(500), clock)
        .unwrap()
        .settle(&[charge(123)]);
    till.exchange(Occasion::Flush, &mut bank, clock);
    assert_eq!((bank.spent, bank.debt), (NanoUsd(123), NanoUsd(123)));
}

#[test]
fn while_the_bank_is_away_the_allotment_goes_on_and_then_the_overdraft() {
    let (dir, mut clock) = (scratch(), Clock::new());
    let allow = Policy {
        when_away: WhenAway::Allow(NanoUsd(50)),
        ..ENFORCED
    };
    let till = till(open(dir.path()).0, allow);
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    credit(&mut bank, "g", 100, clock);
    let ask = request.ask(10);
    till.wait_once(&ask, &mut bank, clock);
    let allotment = bank.holders.values().map(|b| b.allotment.0).sum::<i64>();
    till.admit_now(&ask, clock).unwrap().settle(&[charge(10)]);
    till.outgoing(Occasion::Flush, clock).unwrap();
    till.acknowledge(Err(StoreError::Away("gone".to_owned())), clock.now());
    let mut served = 10;
    while let Ok(hold) = till.admit_now(&ask, clock) {
        hold.settle(&[charge(10)]);
        served += 10;
        assert!(served <= 200, "it must end");
    }
    assert_eq!(
        served,
        allotment + 50,
        "the allotment, and what is allowed beyond it"
    );
    // After the lease nothing of the allotment may be used.
    clock.ms += 61_000;
    assert!(till.admit_now(&ask, clock).is_err());
    for _ in 0..3 {
        till.exchange(Occasion::Flush, &mut bank, clock);
    }
    assert_eq!(
        bank.spent,
        NanoUsd(served),
        "nothing that was settled is lost"
    );
}

/// What a life had reported is deleted from its journal, segment by segment, and with it how far it had counted its
/// messages. What it had not reported was then sent as message 1, which the bank took for a repeat.
#[test]
fn what_was_not_told_is_charged_even_if_nothing_shows_how_far_its_life_had_counted() {
    let (dir, clock) = (scratch(), Clock::new());
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    credit(&mut bank, "g", 1_000, clock);
    {
        let till = till(open(dir.path()).0, ENFORCED);
        let ask = request.ask(10);
        for _ in 0..5 {
            spend(&till, &mut bank, &ask, clock);
        }
        // Other accounts fill the segment, and are reported.
        let other = Record::Acked {
            account: "b",
            number: 1,
        };
        while till.journal.lag().segments == 1 {
            let segment = till.journal.append(&other).unwrap();
            till.journal.release(segment, 1);
        }
        assert_eq!(till.journal.maintain().deleted, 1, "all of it was told");
        till.admit_now(&ask, clock).unwrap().settle(&[charge(7)]);
        till.admit_now(&ask, clock).unwrap().forget();
    }
    let before = bank.spent;
    // The first recovery dies before its journal is deleted.
    let (journal, lives) = open(dir.path());
    for message in replay(&lives[0], RHYTHM.lease).unwrap().concat() {
        bank.exchange(&message, clock.ms);
    }
    drop((journal, lives));
    assert_eq!(bank.spent - before, NanoUsd(17), "7, and an orphan of 10");
    recover(dir.path(), &mut bank, clock);
    assert_eq!(bank.spent - before, NanoUsd(17), "once");
    assert_eq!(
        bank.books(bank.spent, clock.ms).faults(),
        Vec::<String>::new()
    );
}

/// A bank fails over to a copy that is behind, and is sent again what that forgot. Meanwhile it says nothing of what
/// is left; requests were decided by what had been said before, as if they had waited for an answer.
#[test]
fn a_bank_that_is_told_again_is_away_until_it_is_in_step() {
    let (dir, clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    credit(&mut bank, "g", 1_000, clock);
    let ask = request.ask(10);
    let cache = till.cache(&request.account);
    spend(&till, &mut bank, &ask, clock);
    let mut behind = bank.clone();
    for _ in 0..3 {
        spend(&till, &mut bank, &ask, clock);
    }
    till.admit_now(&ask, clock).unwrap().settle(&[charge(7)]);
    till.outgoing(Occasion::Flush, clock).unwrap();
    till.acknowledge(Err(StoreError::Away("gone".to_owned())), clock.now());
    let mut told = 0;
    while behind.spent < NanoUsd(35) {
        assert!(cache.is_away(), "told {told}");
        till.exchange(Occasion::Urgent, &mut behind, clock);
        told += 1;
    }
    assert!(!cache.is_away() && told > 3, "told {told}");
    let waiting = cache.wait(&ask, ENFORCED, 0);
    assert!(waiting.answered().now_or_never().is_none(), "not in any");
    till.exchange(Occasion::Urgent, &mut behind, clock);
    assert!(waiting.answered().now_or_never().is_some());
}

/// Requests that come one after another took what the bank had lent for those who waited, again and again, until these
/// were refused by an account that had plenty.
#[test]
fn a_newcomer_leaves_what_others_wait_for() {
    let (dir, clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000, clock);
    let meter = Meter {
        subject: "key:app".into(),
        measure: Measure::TokensPerMinute,
    };
    let limited = Request::new(vec![Limit::new(meter, 200)]);
    let money = Request::new(Vec::new());
    for request in [&money, &limited] {
        let ask = request.ask(30);
        let cache = till.cache(ask.account);
        let take = |round| cache.take(&ask, ENFORCED, round, clock.now(), clock.wall());
        assert!(take(0).is_err(), "nothing is lent");
        let waiting = [0, 1].map(|round| cache.wait(&ask, ENFORCED, round));
        till.exchange(Occasion::Urgent, &mut bank, clock);
        assert!(take(0).is_err(), "all of it is waited for");
        let mut taken = Vec::new();
        for one in waiting {
            assert!(one.answered().now_or_never().is_some());
            drop(one);
            taken.push(take(1).expect("lent for it"));
        }
        taken.iter().for_each(|taken| cache.give_back(taken));
        assert!(take(0).is_ok(), "nobody waits");
    }
}

/// A request that ended without an attempt has nothing to report; but its records kept their segment of the journal,
/// and all after it, for as long as the account was not used again.
#[test]
fn a_hold_that_was_dropped_does_not_keep_the_journal() {
    let (dir, clock) = (scratch(), Clock::new());
    let metered = Policy {
        enforced: false,
        ..ENFORCED
    };
    let till = till(open(dir.path()).0, metered);
    let (mut bank, request) = (Account::default(), Request::new(Vec::new()));
    till.admit_now(&request.ask(500), clock)
        .unwrap()
        .settle(&[]);
    till.exchange(Occasion::Flush, &mut bank, clock);
    assert_eq!(till.journal.lag().records, 0);
    assert!(!till.exchange(Occasion::Flush, &mut bank, clock), "idle");
}

/// A request whose task panicked was free of charge, and could be repeated at will.
#[test]
fn a_hold_that_is_dropped_is_charged_as_after_a_crash() {
    let (dir, clock) = (scratch(), Clock::new());
    let till = till(open(dir.path()).0, ENFORCED);
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000, clock);
    let request = Request::new(Vec::new());
    till.wait_once(&request.ask(30), &mut bank, clock);
    drop(till.admit_now(&request.ask(30), clock).unwrap());
    let message = till
        .outgoing(Occasion::Flush, clock)
        .expect("something was settled");
    assert_eq!(
        (message.spent, message.rollups[0].orphaned),
        (NanoUsd(30), 1)
    );
    let events = message.events.expect("its event goes with it");
    let told = crate::events::stored::decode(&events).unwrap();
    let told = &told[0].attempt;
    assert!(told.is(Flag::Orphaned) && told.is(Flag::Held) && told.cost == NanoUsd(30));
}

/// What failed attempts cost on managed keys is charged to an account of its own, without a hold.
#[test]
fn what_nothing_was_held_for_is_charged_once_whatever_dies() {
    let (dir, clock) = (scratch(), Clock::new());
    let mut bank = Account::default();
    {
        let till = till(open(dir.path()).0, ENFORCED);
        till.charge(&charge(7));
        till.exchange(Occasion::Flush, &mut bank, clock);
        till.charge(&charge(5));
        assert_eq!((bank.spent, bank.free), (NanoUsd(7), NanoUsd(-7)));
    }
    recover(dir.path(), &mut bank, clock);
    recover(dir.path(), &mut bank, clock);
    assert_eq!((bank.spent, bank.free), (NanoUsd(12), NanoUsd(-12)));
}
