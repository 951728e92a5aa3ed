//! Damage: a record cut short at the very end is left out and reported; anything else is refused, and nothing changes.

use super::*;
use crate::journal::frame::{PREFIX, walk};
use crate::journal::segment::Header;

/// A life with records in several segments, ended.
struct Written {
    dir: TempDir,
    records: Vec<OwnedRecord>,
    /// For each record its segment and where it begins and ends.
    places: Vec<(u64, usize, usize)>,
}

impl Written {
    fn new(records: Vec<OwnedRecord>) -> Written {
        let dir = fast_dir();
        let (journal, _) = open(dir.path());
        let mut places = Vec::new();
        for record in &records {
            let Segment(number) = append(&journal, record);
            let length = size(record);
            let begin = match places.last() {
                Some((last, _, end)) if *last == number => *end,
                _ => HEADER,
            };
            places.push((number, begin, begin + length));
        }
        Written {
            dir,
            records,
            places,
        }
    }

    fn file(&self, number: u64) -> PathBuf {
        segment::path(&self.dir.path().join("1"), number)
    }

    fn last(&self) -> (u64, usize, usize) {
        *self.places.last().expect("a record")
    }

    /// Opens what was damaged: it must be refused, and nothing may change.
    fn refused(&self) -> JournalError {
        // Opening makes the lock's file at most; that is there.
        let before = contents(self.dir.path());
        let opened = Journal::open(self.dir.path(), SMALL);
        let error = opened.err().expect("a refusal");
        assert!(
            contents(self.dir.path()) == before,
            "nothing is changed: {error}"
        );
        error
    }
}

fn size(record: &OwnedRecord) -> usize {
    PREFIX + postcard::to_allocvec(record).expect("a record").len()
}

/// Records that fill about two segments and a half.
fn several() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let long = (20_000..50_000_usize, any::<u64>())
        .prop_map(|(long, number)| cut(&"x".repeat(long), number));
    let record = prop_oneof![3 => any_record(), 1 => long];
    prop::collection::vec(record, 12..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_file_cut_anywhere_gives_the_whole_records_before(
        records in several(),
        cut in any::<prop::sample::Index>(),
    ) {
        let written = Written::new(records);
        let (number, _, end) = written.last();
        // The next segment was never used: as if the crash had come before it was made, or after.
        let length = HEADER + cut.index(end + 100 - HEADER);
        let file = fs::OpenOptions::new().write(true).open(written.file(number)).unwrap();
        file.set_len(length as u64).unwrap();
        let whole = written.places.iter().take_while(|(of, _, end)| *of < number || *end <= length);
        let whole = whole.count();

        for again in 0..2 {
            let (_journal, lives) = open(written.dir.path());
            prop_assert_eq!(lives.len(), 1);
            prop_assert_eq!(records_of(&lives), &written.records[..whole], "time {}", again);
            let told = lives[0].truncated().expect("told");
            prop_assert_eq!(told.file, written.file(number));
            let kept = written.places[..whole].last().filter(|(of, ..)| *of == number);
            let kept = kept.map_or(HEADER, |(.., end)| *end);
            prop_assert_eq!(told.offset, kept as u64);
            // Zeros at the end of what is left do not count.
            prop_assert!(told.bytes <= (length - kept.min(length)) as u64);
        }
    }

    #[test]
    fn a_byte_changed_before_the_last_record_is_refused_and_nothing_is_lost(
        records in several(),
        place in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let written = Written::new(records);
        let (last, begin, _) = written.last();
        // Anywhere in a segment up to its seal; of the last one, up to the last record.
        let mut spots = Vec::new();
        for number in 1..=last {
            let end = match number == last {
                true => begin,
                false => written.places.iter().filter(|(of, ..)| *of == number).map(|(.., end)| *end)
                    .next_back().unwrap_or(HEADER) + PREFIX,
            };
            spots.push((number, end));
        }
        let mut spot = place.index(spots.iter().map(|(_, end)| end).sum());
        let (number, _) = *spots.iter().find(|(_, end)| {
            let here = spot < *end;
            if !here {
                spot -= end;
            }
            here
        }).expect("a spot");
        let file = written.file(number);
        let whole = fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        damaged[spot] ^= change;
        fs::write(&file, &damaged).unwrap();

        match written.refused() {
            JournalError::Corrupt { file: named, offset, life, .. } => {
                prop_assert_eq!(&named, &file, "names the file");
                prop_assert!(offset <= spot as u64, "{} is before the damage at {}", offset, spot);
                prop_assert_eq!(life, written.dir.path().join("1"));
            }
            JournalError::Newer { file: named, .. } => {
                prop_assert_eq!(&named, &file, "names the file");
                prop_assert!((8..12).contains(&spot), "the version is not at {}", spot);
            }
            other => prop_assert!(false, "{}", other),
        }
        fs::write(&file, &whole).unwrap();
        prop_assert_eq!(replayed(written.dir.path()), written.records, "restored");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_the_files_a_beginning_comes_back_or_a_refusal(
        records in several(),
        deeds in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..20_000_usize, 0..4_u8, any::<u8>()),
            1..4,
        ),
    ) {
        let written = Written::new(records);
        let (last, ..) = written.last();
        for (file, place, length, deed, byte) in deeds {
            // The prepared segment is one of them, too.
            let path = written.file(1 + file.index(usize::try_from(last).unwrap() + 1) as u64);
            let mut bytes = fs::read(&path).unwrap_or_default();
            let from = place.index(bytes.len() + 1);
            let to = (from + length).min(bytes.len());
            match deed {
                0 => bytes[from..to].fill(0),
                1 => bytes[from..to].fill(byte),
                2 => bytes.truncate(from),
                _ => bytes[from..to.min(from + 1)].fill(byte),
            }
            fs::write(&path, &bytes).unwrap();
        }
        let before = contents(written.dir.path());
        match Journal::open(written.dir.path(), SMALL) {
            Ok((_journal, lives)) => {
                let read = records_of(&lives);
                prop_assert!(written.records.starts_with(&read), "{} of {}", read.len(), written.records.len());
            }
            Err(_) => prop_assert!(contents(written.dir.path()) == before, "nothing is changed"),
        }
    }
}

fn records_of(lives: &[Life]) -> Vec<OwnedRecord> {
    lives.iter().flat_map(records).collect()
}

/// Three full segments, one record in the fourth.
fn four_segments() -> Written {
    let long = "x".repeat(20_000);
    Written::new((0..10).map(|number| cut(&long, number)).collect())
}

#[test]
fn a_missing_segment_is_refused_unless_it_is_the_first_or_was_never_used() {
    for (missing, named) in [(2, 3), (3, 4), (4, 5)] {
        let written = four_segments();
        let away = written.dir.path().join("away");
        fs::rename(written.file(missing), &away).unwrap();
        if missing == 4 {
            // The prepared one, too: nothing but the seal of the third tells of a fourth.
            fs::remove_file(written.file(5)).ok();
            assert!(!written.file(5).exists());
        }
        let error = written.refused();
        let text = error.to_string();
        let named = written.file(if missing == 4 { 4 } else { named });
        assert!(
            matches!(&error, JournalError::Corrupt { file, .. } if *file == named),
            "without {missing}: {text}"
        );
        assert!(
            text.contains("missing") && text.contains("Restore the file") && text.contains("away"),
            "{text}"
        );
        fs::rename(&away, written.file(missing)).unwrap();
        assert_eq!(replayed(written.dir.path()), written.records, "restored");
    }
    let written = four_segments();
    fs::remove_file(written.file(1)).unwrap();
    assert_eq!(replayed(written.dir.path()), written.records[3..]);
}

#[test]
fn an_earlier_segment_that_was_cut_is_refused_even_after_a_whole_record() {
    let written = four_segments();
    let whole = fs::read(written.file(2)).unwrap();
    let (_, _, end) = written.places[4];
    for length in [0, 10, HEADER, HEADER + 1, end, end + 1, end + PREFIX] {
        fs::write(written.file(2), &whole[..length]).unwrap();
        let error = written.refused();
        assert!(
            matches!(&error, JournalError::Corrupt { file, .. } if *file == written.file(2)),
            "cut to {length}: {error}"
        );
    }
    // Zeros in place of the end, too: that is what the seal is for.
    let mut zeros = whole.clone();
    zeros[end..].fill(0);
    fs::write(written.file(2), &zeros).unwrap();
    let text = written.refused().to_string();
    assert!(
        text.contains("the end of this segment is missing"),
        "{text}"
    );
}

#[test]
fn a_segment_of_a_newer_version_is_refused_and_says_so() {
    let written = four_segments();
    let mut newer = fs::read(written.file(3)).unwrap();
    newer[8..12].copy_from_slice(&(segment::VERSION + 1).to_le_bytes());
    fs::write(written.file(3), &newer).unwrap();
    let error = written.refused();
    assert!(
        matches!(&error, JournalError::Newer { found, .. } if *found == segment::VERSION + 1),
        "{error}"
    );
    assert!(error.to_string().contains("newer tollgate"), "{error}");
}

#[test]
fn a_segment_in_another_ones_place_is_refused() {
    let written = four_segments();
    fs::copy(written.file(1), written.file(2)).unwrap();
    let text = written.refused().to_string();
    assert!(text.contains("of another segment"), "{text}");
}

#[test]
fn a_last_record_that_is_damaged_is_left_out_and_told() {
    let written = four_segments();
    let (number, begin, end) = written.last();
    let whole = fs::read(written.file(number)).unwrap();
    for at in (begin..begin + 24).chain(end - 10..end) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        fs::write(written.file(number), &damaged).unwrap();
        let (journal, lives) = open(written.dir.path());
        assert_eq!(records_of(&lives), written.records[..9], "byte {at}");
        let told = lives[0].truncated().expect("told");
        assert_eq!(told.offset, begin as u64);
        assert_eq!(told.bytes, (end - begin) as u64);
        drop((journal, lives));
        // It is still as it was: nothing is changed before the life is finished.
        assert!(fs::read(written.file(number)).unwrap() == damaged);
    }
}

#[test]
fn a_frame_is_valid_in_its_own_place_only() {
    // Two equal records of one length: swapped, or one put in place of the other, they would pass without a check that
    // knows their place. A frame inside an account's name is no record either.
    let written = Written::new(vec![cut("a", 1), cut("b", 2), cut("c", 3)]);
    let whole = fs::read(written.file(1)).unwrap();
    let (_, first, second) = written.places[0];
    let (_, _, third) = written.places[1];
    let mut swapped = whole.clone();
    swapped[first..second].copy_from_slice(&whole[second..third]);
    swapped[second..third].copy_from_slice(&whole[first..second]);
    fs::write(written.file(1), &swapped).unwrap();
    written.refused();

    // The last record is damaged, and its text is a whole frame: still only a damaged last record.
    let mut torn = whole.clone();
    let (_, begin, _) = written.last();
    torn[begin] ^= 1;
    torn[begin + 100..begin + 100 + (second - first)].copy_from_slice(&whole[first..second]);
    fs::write(written.file(1), &torn).unwrap();
    assert_eq!(replayed(written.dir.path()), written.records[..2]);
}

#[test]
fn a_valid_frame_around_an_unknown_record_is_refused() {
    // Written by a version that knew more, but forgot to say so.
    let header = Header {
        holder: Holder {
            replica: 1,
            epoch: 1,
        },
        nonce: 1,
        number: 1,
        bytes: 4096,
    };
    let (bytes, seed) = header.encode();
    let mut segment = bytes.to_vec();
    let mut buffer = vec![0; PREFIX + MAX_RECORD];
    let record = Record::Cut {
        account: "a",
        number: 1,
    };
    let mut frame = Frame::new(&record, &mut buffer).unwrap();
    segment.extend_from_slice(frame.place(seed, HEADER as u64));
    assert_eq!(walk(&segment, seed).map(|walked| walked.records), Ok(1));
    let unknown = frame::around(&[99, 1, 2], seed, HEADER as u64);
    segment.splice(HEADER.., unknown);
    let invalid = walk(&segment, seed).unwrap_err();
    assert_eq!(invalid.offset, HEADER as u64);
    assert!(invalid.what.contains("cannot read"), "{}", invalid.what);
}

proptest! {
    #[test]
    fn no_bytes_whatever_make_the_walk_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), seed in any::<u32>()) {
        let walked = walk(&bytes, seed);
        prop_assert!(walked.is_ok(), "without a valid frame nothing comes after: {:?}", walked);
        prop_assert!(Header::decode(&bytes).is_err());
    }
}
