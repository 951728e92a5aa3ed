//! Starts and restarts.

use super::*;

#[test]
fn a_second_open_is_refused_while_the_first_lives() {
    let dir = dir();
    let (first, _) = open(dir.path());
    append(&first, &cut("a", 1));
    let error = Journal::open(dir.path(), SMALL).err().expect("a refusal");
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(dir.path().to_str().unwrap()) && text.contains("ledger.journal"),
        "says which and what to do: {text}"
    );
    drop(first);
    let (second, lives) = open(dir.path());
    drop(second);
    Journal::open(dir.path(), SMALL)
        .err()
        .expect("a life is still being read");
    drop(lives);
    open(dir.path());
}

#[test]
fn epochs_are_never_used_twice_even_when_all_else_is_deleted() {
    let dir = dir();
    let (first, lives) = open(dir.path());
    assert!(lives.is_empty());
    let replica = first.holder().replica;
    drop(first);
    for epoch in 2..6 {
        let (journal, lives) = open(dir.path());
        assert_eq!(journal.holder(), Holder { replica, epoch });
        append(&journal, &cut("a", epoch));
        for life in lives {
            life.finish().unwrap();
        }
        drop(journal);
        if epoch == 4 {
            fs::remove_dir_all(dir.path().join("4")).unwrap();
        }
    }
}

#[test]
fn a_replica_file_that_is_gone_makes_a_new_replica_which_replays_the_old_ones_lives() {
    let dir = dir();
    let (first, _) = open(dir.path());
    let old = first.holder();
    append(&first, &cut("a", 1));
    drop(first);
    fs::remove_file(dir.path().join("replica")).unwrap();
    let (second, lives) = open(dir.path());
    assert_ne!(second.holder().replica, old.replica);
    assert_eq!(second.holder().epoch, 2, "its directory is its own");
    assert_eq!(lives[0].holder(), old);
    assert_eq!(records(&lives[0]), [cut("a", 1)]);
}

#[test]
fn lives_are_kept_until_they_are_finished_and_listed_oldest_first() {
    let dir = dir();
    for epoch in 1..=12 {
        let (journal, lives) = open(dir.path());
        let epochs: Vec<_> = lives.iter().map(|life| life.holder().epoch).collect();
        assert_eq!(epochs, (1..epoch).collect::<Vec<_>>(), "before {epoch}");
        for life in &lives {
            assert_eq!(records(life), [cut("a", life.holder().epoch)]);
        }
        append(&journal, &cut("a", epoch));
    }
    let (journal, mut lives) = open(dir.path());
    lives.swap_remove(3).finish().unwrap();
    drop((journal, lives));
    let (_journal, lives) = open(dir.path());
    let epochs: Vec<_> = lives.iter().map(|life| life.holder().epoch).collect();
    assert_eq!(epochs, [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
}

#[test]
fn a_life_without_records_leaves_nothing() {
    let dir = dir();
    for _ in 0..5 {
        let (_journal, lives) = open(dir.path());
        assert!(lives.is_empty());
    }
    let (_journal, _) = open(dir.path());
    let names: Vec<_> = contents(dir.path())
        .into_iter()
        .map(|(path, _)| path.strip_prefix(dir.path()).unwrap().to_owned())
        .collect();
    let expected = ["6", "6/1.log", "6/2.log", "6/lock", "lock", "replica"].map(PathBuf::from);
    assert_eq!(names, expected);
}

#[test]
fn what_is_lived_beside_a_successor_is_its_to_replay_at_the_end() {
    let dir = dir();
    let (old, _) = open(dir.path());
    append(&old, &cut("a", 1));
    let succeed = |lock| Journal::succeed(dir.path(), SMALL, lock).unwrap();
    let (new, lives, mut living) = succeed(old.lock().unwrap());
    let own = old.holder();
    assert!(lives.is_empty() && living.len() == 1);
    assert_ne!(new.holder().replica, own.replica);
    assert!(new.holder().epoch > own.epoch);
    let first = living.remove(0);
    assert!(!first.has_ended());
    append(&old, &cut("a", 2));
    let (newest, lives, living) = succeed(new.lock().unwrap());
    assert!(lives.is_empty() && living.len() == 2);
    drop(old);
    assert!(first.has_ended());
    let life = first.left().unwrap().unwrap();
    assert_eq!(life.holder(), own);
    assert_eq!(records(&life), [cut("a", 1), cut("a", 2)]);
    assert!(
        living.iter().all(|living| !living.has_ended()),
        "it is being replayed"
    );
    life.set_aside().unwrap();
    drop(new);
    for living in living {
        assert!(living.has_ended());
        assert!(
            living.left().unwrap().is_none(),
            "nothing was recorded, or it was dealt with"
        );
    }
    let taken = Journal::open(dir.path(), SMALL).err();
    assert!(
        matches!(taken, Some(JournalError::InUse { .. })),
        "{taken:?}"
    );
    drop(newest);
}

#[test]
fn half_a_deleted_life_is_never_replayed() {
    // A crash in the middle of `finish`: the directory has its new name, and some of its segments are gone.
    let dir = dir();
    let (journal, _) = open(dir.path());
    append(&journal, &cut("a", 1));
    drop(journal);
    fs::rename(dir.path().join("1"), dir.path().join("1.finished")).unwrap();
    let (journal, lives) = open(dir.path());
    assert!(lives.is_empty());
    assert!(!dir.path().join("1.finished").exists(), "it is deleted now");
    assert_eq!(journal.holder().epoch, 2);
}

#[test]
fn lives_of_older_versions_are_read_and_have_no_nonce() {
    for version in [1, 2] {
        let dir = dir();
        let holder = Holder {
            replica: 7,
            epoch: 41,
        };
        let cut = Record::Cut {
            account: "a",
            number: 3,
        };
        older(dir.path(), version, holder, &[cut]);
        let (journal, lives) = open(dir.path());
        assert_eq!((lives[0].holder(), lives[0].nonce()), (holder, 0));
        assert_eq!(records(&lives[0]), [super::cut("a", 3)]);
        assert_eq!(journal.holder().epoch, 42);
        append(&journal, &super::cut("a", 1));
        drop((journal, lives));
        let (_journal, lives) = open(dir.path());
        assert_eq!(lives[0].nonce(), 0);
        assert_ne!(lives[1].nonce(), 0);
    }
}

#[test]
fn another_name_is_taken_once_and_begins_the_next_life() {
    let dir = dir();
    let (journal, _) = open(dir.path());
    let own = journal.holder();
    let (first, nonce) = journal.name();
    assert_eq!(first, own);
    let other = journal.rename(own).unwrap();
    assert_eq!(journal.rename(own).unwrap(), other, "it is taken");
    assert_eq!((journal.holder(), journal.name()), (own, other));
    assert_ne!((other.0.replica, other.1), (own.replica, nonce));
    let again = journal.rename(other.0).unwrap();
    assert_ne!(again.0, other.0, "and another one if that is in use, too");
    append(&journal, &cut("a", 1));
    drop(journal);
    let (next, lives) = open(dir.path());
    assert_eq!(next.holder().replica, again.0.replica);
    assert_eq!(lives[0].holder(), own);
}

#[test]
fn what_is_released_is_kept_for_a_while_and_gives_way() {
    let dir = fast_dir();
    let options = Options {
        keep: Duration::from_secs(3_600),
        ..SMALL
    };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let long = "x".repeat(60_000);
    let mut written = 0;
    while written < 40 {
        let record = cut(&long, written);
        journal.release(append(&journal, &record), 1);
        written += 1;
        let done = journal.maintain();
        assert!(done.fault.is_none());
    }
    let numbers = |journal: &Journal| {
        let read = journal.read(|pages| pages.records()?.collect::<Result<Vec<_>, _>>());
        let records = read.unwrap().into_iter();
        records
            .map(|record| match record {
                Entry::Cut { number, .. } => number,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let kept = numbers(&journal);
    assert_eq!(kept.last(), Some(&(written - 1)), "up to the present");
    assert!(kept.len() >= MOST_KEPT, "{kept:?}");
    assert!(journal.lag().segments <= MOST_KEPT + 2);
}
