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
use crate::cost::Sheet;
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
        account: account.to_owned(),
        number,
    }
}

fn append(journal: &Journal, record: &OwnedRecord) -> Segment {
    let subjects = match record {
        Entry::Hold { subjects, .. } => subjects.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    journal
        .append(&borrowed(record, &subjects))
        .unwrap_or_else(|error| panic!("cannot append: {error}"))
}

fn borrowed<'a>(record: &'a OwnedRecord, subjects: &'a [&'a str]) -> Record<'a> {
    match record {
        Entry::Hold {
            id,
            at_ms,
            account,
            access_key,
            request_id,
            surface,
            provider,
            model,
            estimate,
            prompt_tokens,
            ..
        } => Entry::Hold {
            id: *id,
            at_ms: *at_ms,
            account,
            access_key,
            request_id,
            surface,
            provider,
            model,
            estimate: *estimate,
            prompt_tokens: *prompt_tokens,
            subjects,
        },
        Entry::Settle {
            id,
            at_ms,
            cost,
            provider,
            model,
            managed,
            estimated,
            status,
            usage,
        } => Entry::Settle {
            id: *id,
            at_ms: *at_ms,
            cost: *cost,
            provider,
            model,
            managed: *managed,
            estimated: *estimated,
            status: *status,
            usage: *usage,
        },
        Entry::Cut { account, number } => Entry::Cut {
            account,
            number: *number,
        },
        Entry::Acked { account, number } => Entry::Acked {
            account,
            number: *number,
        },
        Entry::Settled { id, at_ms, attempt } => Entry::Settled {
            id: *id,
            at_ms: *at_ms,
            attempt: attempt.as_ref().map(borrowed_attempt),
        },
        Entry::Charged {
            at_ms,
            account,
            access_key,
            request_id,
            surface,
            attempt,
        } => Entry::Charged {
            at_ms: *at_ms,
            account,
            access_key,
            request_id,
            surface,
            attempt: borrowed_attempt(attempt),
        },
        Entry::Told {
            account,
            replica,
            number,
            marks,
            total,
        } => Entry::Told {
            account,
            replica: *replica,
            number: *number,
            marks: *marks,
            total: *total,
        },
        Entry::Heard {
            account,
            replica,
            number,
        } => Entry::Heard {
            account,
            replica: *replica,
            number: *number,
        },
        Entry::Renamed {
            account,
            replica,
            nonce,
            after,
        } => Entry::Renamed {
            account,
            replica: *replica,
            nonce: *nonce,
            after: *after,
        },
    }
}

fn borrowed_attempt(attempt: &Attempt<String, Arc<Sheet>>) -> Attempt<&str, &Sheet> {
    fn pair((one, other): &(String, String)) -> (&str, &str) {
        (one, other)
    }
    Attempt {
        id: attempt.id,
        provider: pair(&attempt.provider),
        model: pair(&attempt.model),
        key: pair(&attempt.key),
        number: attempt.number,
        flags: attempt.flags,
        status: attempt.status,
        outcome: &attempt.outcome,
        stop_reason: &attempt.stop_reason,
        usage: attempt.usage,
        served: attempt.served.clone(),
        cost: attempt.cost,
        sheet: attempt.sheet.as_deref(),
        latency_ms: attempt.latency_ms,
    }
}

fn any_attempt() -> impl Strategy<Value = Attempt<String, Arc<Sheet>>> {
    let text = || "[ -~é€]{0,20}";
    let pair = || (text(), text());
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
    let numbers = any::<((u64, u64), u32, u16, u16, i64, (Option<u64>, u64))>();
    let served = prop::sample::select(vec!["standard", "service_tier=priority", "speed=fast"]);
    let parts = (
        pair(),
        pair(),
        pair(),
        pair(),
        usage,
        prop::option::of(sheet),
        numbers,
        served,
    );
    parts.prop_map(
        |(provider, model, key, (outcome, stop_reason), usage, sheet, numbers, served)| Attempt {
            id: numbers.0,
            provider,
            model,
            key,
            number: numbers.1,
            flags: numbers.2,
            status: numbers.3,
            outcome,
            stop_reason,
            usage,
            served: served.parse().unwrap(),
            cost: numbers.4,
            sheet: sheet.map(Arc::new),
            latency_ms: numbers.5,
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
    let text = || "[ -~é€]{0,40}";
    let usage = any::<[u64; 5]>();
    let hold = (
        any::<(u64, u64, i64, u64)>(),
        [text(), text(), text(), text(), text(), text()],
        prop::collection::vec(text(), 0..4),
    );
    let hold = hold.prop_map(|(numbers, texts, subjects)| {
        let [account, access_key, request_id, surface, provider, model] = texts;
        Entry::Hold {
            id: numbers.0,
            at_ms: numbers.1,
            account,
            access_key,
            request_id,
            surface,
            provider,
            model,
            estimate: numbers.2,
            prompt_tokens: numbers.3,
            subjects,
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
        account: "x".repeat(long),
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
            account,
            access_key,
            request_id,
            surface,
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
