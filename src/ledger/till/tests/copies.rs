//! Directories and machines that were copied: both are charged for what they serve, and know that they are two.

use super::*;

fn world() -> (Account, Clock) {
    let clock = Clock::new();
    let mut bank = Account::default();
    credit(&mut bank, "g", 1_000_000, clock);
    (bank, clock)
}

/// In whose name the till speaks of the account.
fn name(till: &Till, bank: &mut Account, clock: Clock) -> crate::bank::Holder {
    till.charge(&charge(0));
    let message = till.outgoing(Occasion::Flush, clock).unwrap();
    let reply = bank.exchange(&message, clock.ms);
    till.acknowledge(Ok(reply), clock.now());
    message.holder
}

/// All names in which somebody has spoken.
fn names(bank: &Account) -> usize {
    bank.holders.len()
}

#[test]
fn copies_that_start_in_the_same_second_are_told_apart() {
    let (mut bank, clock) = world();
    let first = scratch();
    drop(open(first.path()));
    let second = copied(first.path());
    let tills = [&first, &second].map(|dir| till(open(dir.path()).0, ENFORCED));
    assert_eq!(tills[0].holder(), tills[1].holder(), "the same name");
    for _ in 0..3 {
        for till in &tills {
            till.serve(7, &mut bank, clock);
            till.flush(&mut bank, clock);
        }
    }
    assert_eq!(bank.spent, NanoUsd(42), "each of both");
    let own = tills.clone().map(|till| name(&till, &mut bank, clock));
    assert_ne!(own[0], own[1]);
    balanced(&bank, clock);
    // Each has a name of its own from now on.
    drop(tills);
    let replicas = [first, second].map(|dir| open(dir.path()).0.holder().replica);
    assert_ne!(replicas[0], replicas[1]);
}

#[test]
fn what_a_life_left_counts_once_though_two_tell_it() {
    let (mut bank, clock) = world();
    let dir = scratch();
    {
        let till = till(open(dir.path()).0, ENFORCED);
        till.serve(1, &mut bank, clock);
        till.flush(&mut bank, clock);
        let request = Request::new(Vec::new());
        till.wait_once(&request.ask(50), &mut bank, clock);
        let orphan = till.admit_now(&request.ask(5), clock);
        orphan.unwrap().forget();
        till.charge(&charge(20));
        till.outgoing(Occasion::Flush, clock).unwrap();
        till.charge(&charge(300));
    }
    let copy = copied(dir.path());
    for dir in [&dir, &copy] {
        let (journal, lost) = recover(dir.path(), &mut bank, clock);
        assert_eq!(lost, NanoUsd::ZERO);
        let till = till(journal, ENFORCED);
        till.serve(4_000, &mut bank, clock);
        till.flush(&mut bank, clock);
    }
    assert_eq!(bank.spent, NanoUsd(326 + 2 * 4_000));
    balanced(&bank, clock);
}

/// Whoever of a running gateway and its copy speaks first, what both serve afterwards is charged, and what they had
/// in common is charged once.
#[test]
fn a_copy_of_a_running_gateway_is_another_one() {
    for copy_first in [true, false] {
        for after in [0, 1, 3] {
            let (mut bank, clock) = world();
            let dir = scratch();
            let original = till(open(dir.path()).0, ENFORCED);
            original.serve(1, &mut bank, clock);
            original.flush(&mut bank, clock);
            let copy = copied(dir.path());
            let mut owed = 1;
            let mut go_on = |bank: &mut Account| {
                for _ in 0..after {
                    original.serve(20, bank, clock);
                    original.flush(bank, clock);
                    owed += 20;
                }
            };
            if !copy_first {
                go_on(&mut bank);
            }
            let (journal, _) = recover(copy.path(), &mut bank, clock);
            let other = till(journal, ENFORCED);
            for _ in 0..2 {
                other.serve(300, &mut bank, clock);
                other.flush(&mut bank, clock);
            }
            if copy_first {
                go_on(&mut bank);
            }
            original.serve(20, &mut bank, clock);
            original.flush(&mut bank, clock);
            let owed = owed + 20 + 600;
            assert_eq!(
                bank.spent,
                NanoUsd(owed),
                "first: {copy_first}, then {after}"
            );
            balanced(&bank, clock);
            let own = original.journal.name().0;
            assert_ne!(own, original.holder(), "it knows that there is another one");
        }
    }
}

#[test]
fn what_both_had_not_told_when_they_parted_is_never_lost() {
    for copy_first in [true, false] {
        let (mut bank, clock) = world();
        let dir = scratch();
        let original = till(open(dir.path()).0, ENFORCED);
        original.charge(&charge(1));
        let copy = copied(dir.path());
        original.charge(&charge(20));
        if !copy_first {
            original.flush(&mut bank, clock);
        }
        recover(copy.path(), &mut bank, clock);
        original.flush(&mut bank, clock);
        assert_eq!(bank.spent, NanoUsd(22), "what both had, twice at most");
        balanced(&bank, clock);
    }
}

/// A machine whose memory was copied: both go on with the same till.
#[test]
fn twins_are_told_apart_by_what_they_serve() {
    let (mut bank, clock) = world();
    let dir = scratch();
    let till = till(open(dir.path()).0, ENFORCED);
    till.serve(1, &mut bank, clock);
    till.flush(&mut bank, clock);
    // The twin's next message, as the bank hears it first.
    till.charge(&charge(20));
    let mut message = till.outgoing(Occasion::Flush, clock).unwrap();
    till.acknowledge(Err(StoreError::Away("not sent".to_owned())), clock.now());
    message.mark = message.before.then(message.number, 4_711);
    message.spent = NanoUsd(20);
    bank.exchange(&message, clock.ms);
    till.flush(&mut bank, clock);
    assert_eq!(bank.spent, NanoUsd(41), "of equal cost, and not the same");
    assert_eq!(names(&bank), 2);
    balanced(&bank, clock);
}

#[test]
fn a_gateway_that_took_another_name_is_replayed_in_it() {
    for told in [false, true] {
        let (mut bank, clock) = world();
        let dir = scratch();
        {
            let original = till(open(dir.path()).0, ENFORCED);
            original.serve(1, &mut bank, clock);
            original.flush(&mut bank, clock);
            let copy = copied(dir.path());
            recover(copy.path(), &mut bank, clock);
            original.charge(&charge(20));
            // Not it, it hears; and writes its new name down.
            assert!(original.exchange(Occasion::Flush, &mut bank, clock));
            assert_eq!(bank.spent, NanoUsd(1));
            if told {
                original.exchange(Occasion::Flush, &mut bank, clock);
            }
            original.charge(&charge(300));
            if told {
                original.flush(&mut bank, clock);
                original.charge(&charge(4_000));
            }
        }
        let (journal, lost) = recover(dir.path(), &mut bank, clock);
        let owed = if told { 4_321 } else { 321 };
        assert_eq!((bank.spent, lost), (NanoUsd(owed), NanoUsd::ZERO));
        drop(journal);
        recover(dir.path(), &mut bank, clock);
        assert_eq!(bank.spent, NanoUsd(owed));
        balanced(&bank, clock);
    }
}

#[test]
fn a_newer_life_of_the_same_replica_shows_that_there_is_a_copy() {
    let (mut bank, clock) = world();
    let dir = scratch();
    drop(open(dir.path()));
    let copy = copied(dir.path());
    let first = till(open(dir.path()).0, ENFORCED);
    drop(open(copy.path()));
    let second = till(open(copy.path()).0, ENFORCED);
    assert_eq!(first.holder().replica, second.holder().replica);
    assert!(first.holder().epoch < second.holder().epoch);
    for till in [&first, &second, &first, &second] {
        till.serve(7, &mut bank, clock);
        till.flush(&mut bank, clock);
    }
    assert_eq!(bank.spent, NanoUsd(28));
    assert_eq!(names(&bank), 2, "they were two all the time");
    let (own, _) = first.journal.name();
    assert_ne!(
        own.replica,
        first.holder().replica,
        "as the older one knows"
    );
    assert_eq!(second.journal.name().0, second.holder());
}
