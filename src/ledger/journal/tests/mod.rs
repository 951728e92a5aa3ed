//! What a journal promises, tried on real files.

mod appending;
mod corruption;
mod crash;
mod disk_full;
mod lives;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::NanoUsd;
use crate::cost::Sheet;
use crate::events::{Attempt, EventId, Flag, Flags, Latency, Named, Request};
use std::sync::Arc;
use tollgate_wire::report::{Context, Unit, Usage};

/// The shortest segments: they fill fast.
const SMALL: Options = Options {
    segment_bytes: 0,
    fsync: Fsync::Never,
    least_epoch: 0,
    keep: Duration::ZERO,
};

/// A life as version 1 or 2 left it: one segment with these records.
pub(crate) fn older(dir: &Path, version: u32, holder: Holder, records: &[Record<'_>]) {
    const BYTES: u64 = 128 * 1024;
    let mut segment = b"tgjournl".to_vec();
    segment.extend(version.to_le_bytes());
    for field in [BYTES, holder.replica, holder.epoch, 1] {
        segment.extend(field.to_le_bytes());
    }
    let seed = crc32fast::hash(&segment);
    segment.extend(seed.to_le_bytes());
    for record in records {
        let mut buffer = vec![0; PREFIX + MAX_RECORD];
        let mut frame = Frame::new(record, &mut buffer).expect("a short record");
        let at = segment.len() as u64;
        segment.extend_from_slice(frame.place(seed, at));
    }
    segment.resize(usize::try_from(BYTES).expect("a length"), 0);
    let life = dir.join(holder.epoch.to_string());
    fs::create_dir_all(&life).expect("a directory");
    fs::write(life.join("1.log"), segment).expect("a segment");
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// In memory where that is possible: for tests that make hundreds of segments, each of which waits for the disk.
fn fast_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| dir())
}

fn open(dir: &Path) -> (Journal, Vec<Life>) {
    Journal::open(dir, SMALL).unwrap_or_else(|error| panic!("cannot open: {error}"))
}

/// A record whose account is as long as one likes.
fn cut(account: &str, number: u64) -> OwnedRecord {
    Entry::Cut {
        account: account.into(),
        number,
    }
}

fn append(journal: &Journal, record: &OwnedRecord) -> Segment {
    journal
        .append(record)
        .unwrap_or_else(|error| panic!("cannot append: {error}"))
}

fn any_attempt() -> impl Strategy<Value = Attempt<Arc<str>, Arc<Sheet>>> {
    let text = || "[ -~é€]{0,20}";
    let shared = || text().prop_map(Arc::from);
    let pair = || (shared(), shared());
    let named = || pair().prop_map(|(id, name)| Named { id, name });
    let usage = any::<[u64; 5]>().prop_map(|n| Usage::of(n[0], n[1], n[2], n[3], n[4]));
    let rates = prop::collection::vec((0..Unit::ALL.len(), any::<u64>()), 0..4);
    let sheet =
        (text(), any::<(u64, u64)>(), rates).prop_map(|(source, (since, fee), rates)| Sheet {
            source: source.into(),
            since,
            served: Context::STANDARD,
            fee,
            rates: rates
                .into_iter()
                .map(|(unit, pico)| (Unit::ALL[unit], pico))
                .collect(),
        });
    let numbers = any::<((u64, u64), u32, [bool; 3], u16, i64, (Option<u64>, u64))>();
    let served = prop::sample::select(vec!["standard", "service_tier=priority", "speed=fast"]);
    let parts = (
        named(),
        named(),
        named(),
        pair(),
        usage,
        prop::option::of(sheet),
        numbers,
        served,
    );
    parts.prop_map(
        |(provider, model, key, (outcome, stop_reason), usage, sheet, numbers, served)| {
            let (id, number, [streaming, managed, orphaned], status, cost, latency) = numbers;
            let mut attempt = Attempt {
                id: EventId::made_up(id.0, id.1),
                provider,
                model,
                key,
                number,
                flags: Flags::default()
                    .with(Flag::Streaming, streaming)
                    .with(Flag::Managed, managed)
                    .with(Flag::Orphaned, orphaned),
                status,
                outcome,
                stop_reason,
                usage,
                served: served.parse().unwrap(),
                cost: NanoUsd(cost),
                sheet: sheet.map(Arc::new),
                tags: managed.then(|| "customer=42".into()),
                ..Attempt::default()
            };
            attempt.latency = Latency {
                to_commit_ms: latency.0,
                total_ms: latency.1,
            };
            attempt
        },
    )
}

fn records(life: &Life) -> Vec<OwnedRecord> {
    let records = life.records().expect("a life that was examined");
    records
        .collect::<Result<_, _>>()
        .expect("records that were examined")
}

/// The only earlier life's records, after the death of what had it open.
fn replayed(dir: &Path) -> Vec<OwnedRecord> {
    let (_journal, lives) = open(dir);
    assert_eq!(lives.len(), 1, "one earlier life");
    records(&lives[0])
}

/// Every file below a directory, with what is in it.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.push((path.clone(), Vec::new()));
            files.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

fn any_record() -> impl Strategy<Value = OwnedRecord> {
    let text = || "[ -~é€]{0,40}".prop_map(Arc::from);
    let usage = any::<[u64; 5]>();
    let hold = (
        any::<(u64, u64, i64, u64)>(),
        [text(), text(), text(), text(), text(), text()],
        prop::collection::vec("[ -~é€]{0,40}", 0..4),
        any::<bool>(),
    );
    let hold = hold.prop_map(|(numbers, texts, subjects, named)| {
        let [account, access_key, request_id, surface, provider, model] = texts;
        Entry::Hold {
            id: numbers.0,
            at_ms: numbers.1,
            who: Held {
                request: Request {
                    account,
                    access_key,
                    id: request_id,
                    surface,
                },
                provider,
                model,
            },
            estimate: numbers.2,
            prompt_tokens: numbers.3,
            subjects,
            named,
        }
    });
    let settle = (
        any::<(u64, u64, i64, bool, bool, u16)>(),
        text(),
        text(),
        usage,
    );
    let settle = settle.prop_map(|(numbers, provider, model, usage)| Entry::Settle {
        id: numbers.0,
        at_ms: numbers.1,
        cost: numbers.2,
        managed: numbers.3,
        estimated: numbers.4,
        status: numbers.5,
        provider,
        model,
        usage,
    });
    // Up to lengths of which only a few fit into a segment.
    let long = prop_oneof![9 => 0..100_usize, 1 => 0..60_000_usize];
    let cut = (long, any::<u64>()).prop_map(|(long, number)| Entry::Cut {
        account: "x".repeat(long).into(),
        number,
    });
    let acked =
        (text(), any::<u64>()).prop_map(|(account, number)| Entry::Acked { account, number });
    let settled = (any::<(u64, u64)>(), prop::option::of(any_attempt()))
        .prop_map(|((id, at_ms), attempt)| Entry::Settled { id, at_ms, attempt });
    let charged = (
        any::<u64>(),
        [text(), text(), text(), text()],
        any_attempt(),
    );
    let charged = charged.prop_map(|(at_ms, texts, attempt)| {
        let [account, access_key, request_id, surface] = texts;
        Entry::Charged {
            at_ms,
            request: Request {
                account,
                access_key,
                id: request_id,
                surface,
            },
            attempt,
        }
    });
    let told = (text(), any::<(u64, u64, (u64, u64), i64)>());
    let told = told.prop_map(|(account, (replica, number, marks, total))| Entry::Told {
        account,
        replica,
        number,
        marks,
        total,
    });
    let heard = (text(), any::<(u64, u64)>());
    let heard = heard.prop_map(|(account, (replica, number))| Entry::Heard {
        account,
        replica,
        number,
    });
    let renamed = (text(), any::<[u64; 3]>());
    let renamed = renamed.prop_map(|(account, [replica, nonce, after])| Entry::Renamed {
        account,
        replica,
        nonce,
        after,
    });
    prop_oneof![
        4 => hold, 1 => settle, 4 => settled, 2 => charged, 2 => cut, 1 => acked, 2 => told, 1 => heard, 1 => renamed,
    ]
}
