//! `kill -9` at any moment loses nothing that was appended.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

/// Where the child keeps its journal; without it, the child is not one.
const DIR: &str = "TOLLGATE_TEST_JOURNAL_CRASH";

/// Appends until it is killed, and reports each append when it has returned. Not a test by itself.
#[test]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let (journal, _) = open(Path::new(&dir));
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let journal = &journal;
            scope.spawn(move || {
                // Different lengths, so that segments end everywhere.
                let padding = "x".repeat(500);
                for number in 0.. {
                    let padding = &padding[..usize::try_from(number % 500).unwrap()];
                    append(journal, &cut(&format!("{name}{padding}"), number));
                    let line = format!("{name} {number}\n");
                    io::stderr().write_all(line.as_bytes()).unwrap();
                }
            });
        }
        loop {
            assert!(journal.maintain().fault.is_none());
            thread::sleep(Duration::from_millis(1));
        }
    });
}

/// Runs the child for a random while, and returns how many appends each thread has reported.
fn reported(dir: &Path) -> [u64; 2] {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "journal::tests::crash::child"])
        .arg("--nocapture")
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = BufReader::new(child.stderr.take().unwrap());
    let (begun, first) = mpsc::channel();
    let reader = thread::spawn(move || {
        let (mut counts, mut line) = ([0; 2], String::new());
        while pipe.read_line(&mut line).unwrap() > 0 {
            let parts = line
                .strip_suffix('\n')
                .and_then(|line| line.split_once(' '));
            if let Some((name @ ("a" | "b"), number)) = parts {
                let count = &mut counts[usize::from(name == "b")];
                assert_eq!(number, count.to_string(), "{line}");
                *count += 1;
            }
            line.clear();
            begun.send(()).ok();
        }
        counts
    });
    first.recv().expect("the child begins to append");
    thread::sleep(Duration::from_micros(
        tollgate_base::random::bits64() % 40_000,
    ));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn whatever_was_reported_before_a_kill_is_there() {
    const KILLS: u64 = 20;
    let dir = dir();
    let (mut all, mut unreported, mut truncated) = (0, 0, 0);
    let mut counts = Vec::new();
    for _ in 0..KILLS {
        counts.push(reported(dir.path()));
    }
    let (_journal, lives) = open(dir.path());
    assert_eq!(lives.len() as u64, KILLS);
    for (life, counts) in lives.iter().zip(counts) {
        truncated += u64::from(life.truncated().is_some());
        let mut found = [0; 2];
        for record in records(life) {
            let Entry::Cut { account, number } = record else {
                panic!("{record:?} was never appended");
            };
            let count = &mut found[usize::from(account.starts_with('b'))];
            assert_eq!(number, *count, "in order, without a gap");
            *count += 1;
        }
        for (found, reported) in found.into_iter().zip(counts) {
            assert!(
                found == reported || found == reported + 1,
                "{reported} reported, {found} found, in {}",
                life.holder()
            );
            all += found;
            unreported += found - reported;
        }
    }
    println!(
        "{KILLS} kills: {all} records found, none lost, {unreported} not reported yet, {truncated} cut short"
    );
}
