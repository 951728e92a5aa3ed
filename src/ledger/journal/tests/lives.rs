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
    let expected = ["6", "6/1.log", "6/2.log", "lock", "replica"].map(PathBuf::from);
    assert_eq!(names, expected);
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
