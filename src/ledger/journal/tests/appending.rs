//! What is appended comes back; what is released goes away.

use std::thread;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn all_records_come_back_in_order(written in prop::collection::vec(any_record(), 0..60)) {
        let dir = fast_dir();
        let (journal, _) = open(dir.path());
        for record in &written {
            append(&journal, record);
        }
        drop(journal);
        let (_journal, lives) = open(dir.path());
        let read: Vec<_> = lives.iter().flat_map(records).collect();
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(lives.iter().map(Life::len).sum::<u64>(), written.len() as u64);
        prop_assert!(lives.iter().all(|life| life.truncated().is_none()), "nothing was cut short");
    }
}

#[test]
fn four_threads_append_at_once_and_each_ones_order_is_kept() {
    const EACH: u64 = 3_000;
    for fsync in [Fsync::Never, Fsync::Always] {
        let each = if fsync == Fsync::Always { 150 } else { EACH };
        let dir = dir();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (journal, _) = Journal::open(dir.path(), Options { fsync, ..SMALL }).unwrap();
        let journal = Arc::new(journal);
        thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let (journal, runtime) = (&journal, runtime.handle());
                scope.spawn(move || {
                    for number in 0..each {
                        append(journal, &cut(name, number));
                        runtime.block_on(journal.on_disk()).unwrap();
                    }
                });
            }
            // Segments are made both by the background thread and, when it is late, by those who append.
            for _ in 0..20 {
                let done = journal.maintain();
                assert!(done.fault.is_none(), "{done:?}");
                thread::yield_now();
            }
        });
        assert_eq!(journal.lag().records, 4 * each);
        // The last `fdatasync` holds the journal for a moment after its end is known.
        drop(runtime);
        drop(journal);
        let read = replayed(dir.path());
        assert_eq!(read.len() as u64, 4 * each, "{fsync:?}");
        for name in ["a", "b", "c", "d"] {
            let of_one: Vec<_> = read
                .iter()
                .filter(|record| matches!(record, Entry::Cut { account, .. } if **account == *name))
                .collect();
            let expected: Vec<_> = (0..each).map(|number| cut(name, number)).collect();
            assert!(of_one.into_iter().eq(&expected), "thread {name}, {fsync:?}");
        }
    }
}

#[test]
fn only_a_released_beginning_is_deleted_and_never_the_current_segment() {
    let dir = dir();
    let (journal, _) = open(dir.path());
    let long = "x".repeat(20_000);
    // Three to a segment: 1 1 1 2 2 2 3 3 3 4.
    let segments: Vec<_> = (0..10)
        .map(|number| append(&journal, &cut(&long, number)))
        .collect();
    let there = |number: u64| segment::path(&dir.path().join("1"), number).exists();
    assert_eq!(journal.lag().segments, 4, "{:?}", journal.lag());

    journal.release(segments[3], 3);
    assert_eq!(journal.maintain().deleted, 0, "the first is still needed");
    journal.release(segments[0], 2);
    assert_eq!(journal.maintain().deleted, 0, "one record of it is");
    journal.release(segments[2], 1);
    assert_eq!(journal.maintain().deleted, 2, "the first and the second");
    assert!(!there(1) && !there(2) && there(3) && there(4));
    assert_eq!(journal.lag().segments, 2);
    assert_eq!(journal.lag().records, 4);

    journal.release(segments[6], 4);
    assert_eq!(
        journal.maintain().deleted,
        0,
        "more than it has: rather none"
    );
    journal.release(segments[6], 3);
    journal.release(segments[9], 1);
    assert_eq!(journal.maintain().deleted, 1);
    assert!(!there(3) && there(4), "the current one stays");
    assert_eq!(
        append(&journal, &cut("later", 1)),
        segments[9],
        "and is appended to"
    );
    drop(journal);
    assert_eq!(
        replayed(dir.path()),
        [cut(&long, 9), cut("later", 1)],
        "what was not deleted is read from the middle on"
    );
}

#[test]
fn the_next_segment_is_made_ahead_at_its_full_length() {
    let dir = dir();
    let options = Options {
        segment_bytes: 1 << 20,
        ..SMALL
    };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let length = |number| {
        let path = segment::path(&dir.path().join("1"), number);
        fs::metadata(path).map(|file| file.len()).ok()
    };
    assert_eq!(
        [length(1), length(2), length(3)],
        [Some(1 << 20), Some(1 << 20), None]
    );
    let long = "x".repeat(60_000);
    for number in 0..18 {
        append(&journal, &cut(&long, number));
    }
    assert_eq!(length(3), None, "not by those who append");
    assert!(journal.maintain().prepared);
    assert_eq!(length(3), Some(1 << 20));
    assert!(!journal.maintain().prepared, "one is enough");
}

#[test]
fn a_record_that_is_too_long_is_refused_and_nothing_else_happens() {
    let dir = dir();
    let (journal, _) = open(dir.path());
    let error = journal
        .append(&Record::Cut {
            account: &"x".repeat(MAX_RECORD),
            number: 1,
        })
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    assert!(journal.ready(), "the disk is well");
    let longest = cut(&"x".repeat(MAX_RECORD - 5), 1);
    append(&journal, &longest);
    append(&journal, &longest);
    drop(journal);
    assert_eq!(
        replayed(dir.path()),
        [longest.clone(), longest],
        "the longest fits into the shortest segment"
    );
}

/// Version 3 ended a hold with its budgets.
#[test]
fn a_hold_of_version_3_has_no_name() {
    let subjects = vec!["key:app/budget_per_day".to_owned()];
    let mut hold: OwnedRecord = Entry::Hold {
        id: 1,
        at_ms: 2,
        who: Held {
            request: Request {
                account: Arc::default(),
                access_key: Arc::from("app"),
                id: Arc::default(),
                surface: Arc::default(),
            },
            provider: Arc::from("openai"),
            model: Arc::default(),
        },
        estimate: 3,
        prompt_tokens: 4,
        subjects,
        named: true,
    };
    let mut bytes = postcard::to_stdvec(&hold).unwrap();
    assert_eq!(bytes.pop(), Some(1));
    assert!(record::is_record(&bytes));
    if let Entry::Hold { named, .. } = &mut hold {
        *named = false;
    }
    assert_eq!(record::decode(&bytes), Some(hold));
}

proptest! {
    #[test]
    fn what_an_attempt_of_a_version_that_knew_less_ends_without_is_zero(mut attempt in any_attempt()) {
        attempt.latency = Latency::default();
        attempt.tags = None;
        let record: OwnedRecord = Entry::Settled {
            id: 1,
            at_ms: 2,
            attempt: Some(attempt),
        };
        let mut bytes = postcard::to_stdvec(&record).unwrap();
        for _ in 0..2 {
            prop_assert_eq!(bytes.pop(), Some(0));
            prop_assert!(record::is_record(&bytes));
            let read = record::decode(&bytes);
            prop_assert_eq!(read.as_ref(), Some(&record));
        }
    }
}
