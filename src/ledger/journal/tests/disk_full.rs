//! A full disk is noticed ahead; what is under way is still settled; and it ends by itself.
//!
//! The full disk is a limit on the length of files, which needs no privileges: beyond it, both making a segment and
//! writing fail. It is one of a process, so a child process has it.

use std::env;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const DIR: &str = "TOLLGATE_TEST_JOURNAL_DISK_FULL";

const SEGMENT: u64 = 256 * 1024;

/// A disk that has no room for another segment, but for most of the one that is there.
fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: bytes.or(maximum),
        maximum,
    };
    setrlimit(Resource::Fsize, limit).unwrap();
}

/// Runs under its own limit. Not a test by itself.
#[test]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let options = Options {
        segment_bytes: SEGMENT,
        ..SMALL
    };
    let (journal, _) = Journal::open(Path::new(&dir), options).unwrap();
    let account = "x".repeat(1_000);
    let mut number = 0;
    let mut next = || {
        let record = Record::Cut {
            account: &account,
            number,
        };
        let appended = journal.append(&record);
        number += u64::from(appended.is_ok());
        appended
    };
    assert!(journal.ready());
    let first = next().unwrap();
    while next().unwrap() == first {}

    limit(Some(SEGMENT - 50_000));
    assert!(
        journal.ready(),
        "nobody has tried to make a third segment yet"
    );
    let fault = journal.maintain().fault.expect("no room");
    assert!(fault.to_string().contains("3.log"), "{fault}");
    assert!(!journal.ready(), "no new promises");

    let mut settled = 0;
    let error = loop {
        match next() {
            Ok(_) => settled += 1,
            Err(error) => break error,
        }
        assert!(!journal.ready());
    };
    assert!(settled > 180, "settled {settled}, then {error}");
    assert!(journal.maintain().fault.is_some(), "still full");
    assert!(!journal.ready());

    limit(None);
    let done = journal.maintain();
    assert!(done.fault.is_none() && done.prepared, "{done:?}");
    assert!(journal.ready(), "there is room again");
    for _ in 0..1_000 {
        next().unwrap();
        if journal.lag().segments > 3 {
            assert!(journal.maintain().fault.is_none());
        }
    }
    println!("settled on a full disk: {settled}, appended in all: <{number}>");
}

#[test]
fn a_full_disk_is_noticed_ahead_and_ends_by_itself() {
    let dir = dir();
    // Ignored signals stay ignored in what a shell executes. Otherwise the first write beyond the limit kills.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "journal::tests::disk_full::child"])
        .arg("--nocapture")
        .env(DIR, dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let appended = said.split_once("in all: <").and_then(|(_, rest)| {
        let (number, _) = rest.split_once('>')?;
        number.parse::<u64>().ok()
    });
    let appended = appended.unwrap_or_else(|| panic!("the child did not run: {said}"));
    let account = "x".repeat(1_000);
    let expected: Vec<_> = (0..appended).map(|number| cut(&account, number)).collect();
    assert!(replayed(dir.path()) == expected, "whatever was appended");
    let left = contents(&dir.path().join("1"));
    let is_whole =
        |path: &Path| path.ends_with("lock") || path.extension().is_some_and(|it| it == "log");
    assert!(
        left.iter().all(|(path, _)| is_whole(path)),
        "nothing half made"
    );
}

#[test]
fn when_no_segment_can_be_made_the_current_one_is_used_up_then_appends_fail() {
    let dir = dir();
    let (journal, _) = open(dir.path());
    let long = "x".repeat(30_000);
    for number in 0..3 {
        append(&journal, &cut(&long, number));
    }
    // Without its directory, the third segment cannot be made.
    let (life, away) = (dir.path().join("1"), dir.path().join("away"));
    fs::rename(&life, &away).unwrap();
    assert!(journal.maintain().fault.is_some());
    assert!(!journal.ready());
    append(&journal, &cut(&long, 3));
    let refused = journal.append(&Record::Cut {
        account: &long,
        number: 4,
    });
    let error = refused.expect_err("two fit into a segment");
    assert!(
        error.to_string().contains("make the next segment"),
        "{error}"
    );
    append(&journal, &cut("short", 4));
    assert!(!journal.ready(), "a short one still fitted");

    fs::rename(&away, &life).unwrap();
    assert!(!journal.ready(), "nobody has tried");
    assert!(journal.maintain().fault.is_none());
    assert!(journal.ready());
    append(&journal, &cut(&long, 5));
    drop(journal);
    let expected = [
        cut(&long, 0),
        cut(&long, 1),
        cut(&long, 2),
        cut(&long, 3),
        cut("short", 4),
        cut(&long, 5),
    ];
    assert!(replayed(dir.path()) == expected);
}
