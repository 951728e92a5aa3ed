//! Banks that have forgotten: an old dump, a replica that lagged, an empty server.

use super::*;
use crate::events::OwnedEvent;

/// More messages than a till has under way at any time.
const MANY: i64 = 60;

/// A till that has reported this many charges of 7, and its bank after each.
fn told(dir: &Path, many: i64, clock: Clock) -> (Arc<Till>, Vec<Account>) {
    let till = till(open(dir).0, ENFORCED);
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000_000, clock);
    let mut banks = vec![bank.clone()];
    for _ in 0..many {
        till.serve(7, &mut bank, clock);
        till.flush(&mut bank, clock);
        banks.push(bank.clone());
    }
    assert_eq!(bank.spent, NanoUsd(7 * many));
    (till, banks)
}

#[test]
fn all_that_the_journal_has_is_told_again() {
    let clock = Clock::new();
    for back in [0, 1, 17, MANY] {
        let dir = scratch();
        let (till, banks) = told(dir.path(), MANY, clock);
        let mut bank = banks[usize::try_from(MANY - back).unwrap()].clone();
        till.charge(&charge(7));
        till.flush(&mut bank, clock);
        assert_eq!(bank.spent, NanoUsd(7 * (MANY + 1)), "{back} forgotten");
        assert_eq!(till.lost(), NanoUsd::ZERO);
        balanced(&bank, clock);
    }
}

#[test]
fn an_empty_bank_is_told_all_of_it() {
    let (dir, clock) = (scratch(), Clock::new());
    let (till, _) = told(dir.path(), MANY, clock);
    let mut bank = Account::default();
    // What needs no credits, as there are none any more.
    till.charge(&charge(7));
    till.flush(&mut bank, clock);
    assert_eq!(bank.spent, NanoUsd(7 * (MANY + 1)));
    assert_eq!(bank.debt, bank.spent, "grants are gone");
    balanced(&bank, clock);
}

#[test]
fn who_has_nothing_to_say_asks_on_a_new_connection_and_after_half_a_lease() {
    let mut clock = Clock::new();
    for pass in [0, 31_000] {
        let dir = scratch();
        let (till, mut banks) = told(dir.path(), MANY, clock);
        let latest = banks.last_mut().unwrap();
        // Until nothing is kept in reserve any more.
        while till.exchange(Occasion::Flush, latest, clock) {
            clock.ms += 10_000;
        }
        let mut bank = banks[3].clone();
        let more = till.outgoing(Occasion::Flush, clock);
        assert_eq!(more, None, "there is nothing to say");
        clock.ms += pass;
        if pass == 0 {
            clock.connection += 1;
        }
        till.flush(&mut bank, clock);
        assert_eq!(bank.spent, NanoUsd(7 * MANY), "after {pass} ms");
        // What it had borrowed when this bank's memory ends is returned.
        while till.exchange(Occasion::Flush, &mut bank, clock) {}
        let mut waited = bank.clone();
        waited.tick(clock.ms + pass);
        clock.ms += pass;
        till.flush(&mut bank, clock);
        assert_eq!(bank.spent, waited.spent, "a question changes nothing");
        assert_eq!(bank.holders, waited.holders, "a question changes nothing");
    }
}

#[test]
fn a_life_that_has_ended_is_told_again_by_the_next() {
    let (dir, clock) = (scratch(), Clock::new());
    let (till, banks) = told(dir.path(), MANY, clock);
    let mut bank = banks[5].clone();
    till.charge(&charge(7));
    drop(till);
    let (journal, lives, lost) = recover_and_keep(dir.path(), &mut bank, clock);
    assert_eq!((bank.spent, lost), (NanoUsd(7 * (MANY + 1)), NanoUsd::ZERO));
    balanced(&bank, clock);
    // And once more, by when the bank has forgotten that, too.
    drop((journal, lives));
    let mut bank = banks[9].clone();
    let (_, lost) = recover(dir.path(), &mut bank, clock);
    assert_eq!((bank.spent, lost), (NanoUsd(7 * (MANY + 1)), NanoUsd::ZERO));
}

/// A charge whose record is so long that a few fill a segment.
fn long(cost: i64) -> OwnedEvent {
    let mut event = charge(cost).owned();
    event.request.id = "r".repeat(9_000).into();
    event
}

#[test]
fn what_cannot_be_had_any_more_is_reported_with_its_amount() {
    let clock = Clock::new();
    for restart in [false, true] {
        let dir = scratch();
        let till = till(open(dir.path()).0, ENFORCED);
        let mut bank = Account::default();
        till.charge(&charge(7));
        till.flush(&mut bank, clock);
        let old = bank.clone();
        for cost in 1..=MANY {
            till.charge(&long(cost).borrowed());
            till.flush(&mut bank, clock);
            assert!(till.journal.maintain().fault.is_none());
        }
        let spent = bank.spent;
        bank = old;
        let lost = if restart {
            drop(till);
            recover(dir.path(), &mut bank, clock).1
        } else {
            till.flush(&mut bank, clock);
            assert_eq!(bank.spent, NanoUsd(7), "nothing was asked");
            till.charge(&charge(1_000));
            till.flush(&mut bank, clock);
            bank.spent -= NanoUsd(1_000);
            till.charge(&charge(0));
            till.flush(&mut bank, clock);
            till.lost()
        };
        assert!(lost > NanoUsd::ZERO, "the first segments are gone");
        assert!(bank.spent > NanoUsd(7), "the last ones are not");
        assert_eq!(bank.spent + lost, spent);
    }
}

#[test]
fn a_segment_is_kept_for_a_lease_after_it_was_told() {
    let (dir, clock) = (scratch(), Clock::new());
    let options = Options {
        segment_bytes: 64 * 1024,
        keep: RHYTHM.lease,
        ..Options::default()
    };
    let journal = Journal::open(dir.path(), options).unwrap().0;
    let till = till(Arc::new(journal), ENFORCED);
    let mut bank = Account::default();
    for cost in 1..=MANY {
        till.charge(&long(cost).borrowed());
        till.flush(&mut bank, clock);
        assert_eq!(till.journal.maintain().deleted, 0);
    }
    let spent = std::mem::take(&mut bank).spent;
    till.charge(&charge(1));
    till.flush(&mut bank, clock);
    assert_eq!(bank.spent, spent + NanoUsd(1));
    assert_eq!(till.lost(), NanoUsd::ZERO);
}

/// What version 2 left: numbers without marks, and what was settled after them.
#[test]
fn a_life_of_an_older_version_is_told_once_whatever_the_bank_has() {
    fn written<'a>(event: &'a UsageEvent<'static>) -> Record<'a> {
        Record::Charged {
            at_ms: event.at_ms,
            request: event.request.clone(),
            attempt: &event.attempt,
        }
    }
    let clock = Clock::new();
    let holder = crate::bank::Holder {
        replica: 7,
        epoch: 41,
    };
    let [one, two, three] = [1, 20, 300].map(charge);
    let cut = |number| Record::Cut {
        account: "a",
        number,
    };
    let acked = Record::Acked {
        account: "a",
        number: 1,
    };
    let records = [
        written(&one),
        cut(1),
        acked,
        written(&two),
        cut(2),
        written(&three),
    ];
    let told = |number: u64, spent: i64| Exchange {
        oldest: number,
        spent: NanoUsd(spent),
        ..Exchange::empty("a".into(), holder, number, RHYTHM.lease)
    };
    for known in 0..=3 {
        let dir = scratch();
        crate::journal::tests::older(dir.path(), 2, holder, &records);
        let mut bank = Account::default();
        credit(&mut bank, "g", 1_000, clock);
        for (number, spent) in (1..).zip([1, 20, 300]).take(known) {
            bank.exchange(&told(number, spent), clock.ms);
        }
        for _ in 0..2 {
            let (journal, _, lost) = recover_and_keep(dir.path(), &mut bank, clock);
            assert_eq!((bank.spent, lost), (NanoUsd(321), NanoUsd::ZERO), "{known}");
            drop(journal);
        }
        balanced(&bank, clock);
    }
}
