//! The journal: what a request pays for its records, and what a restart pays to read them.

use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::events::Request;
use tollgate_ledger::journal::{Held, Journal, Options, Record};
use tollgate_ledger::till::replay;

const RECOVERED: u64 = 100_000;
/// Nano-dollars of one settlement.
const COST: i64 = 2_345_678;

fn hold(id: u64) -> Record<'static> {
    Record::Hold {
        id,
        at_ms: 1_760_000_000_000,
        who: Held {
            request: Request {
                account: "default",
                access_key: "app",
                id: "req_0f8fad5bd9cb469fa165708686728000",
                surface: "openai/chat-completions",
            },
            provider: "anthropic",
            model: "claude-sonnet-4-5-20250929",
        },
        estimate: 12_345_678,
        prompt_tokens: 1_234,
        subjects: &["key:app", "configuration:team-a"],
        named: false,
    }
}

fn settle(id: u64) -> Record<'static> {
    Record::Settle {
        id,
        at_ms: 1_760_000_001_234,
        cost: COST,
        provider: "anthropic",
        model: "claude-sonnet-4-5-20250929",
        managed: true,
        estimated: false,
        status: 200,
        usage: [1_234, 1_000, 0, 321, 0],
    }
}

/// A journal whose segments are made ahead and deleted behind, as in the gateway.
struct Kept {
    _dir: TempDir,
    journal: Journal,
}

fn kept() -> Kept {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (journal, _) = Journal::open(dir.path(), Options::default()).expect("a journal");
    Kept { _dir: dir, journal }
}

/// Appends holds and settlements in turn, releasing each at once.
fn append(journal: &Journal, count: u64) {
    for id in 0..count {
        let record = if id % 2 == 0 { hold(id) } else { settle(id) };
        let segment = journal.append(black_box(&record)).expect("room");
        journal.release(segment, 1);
    }
}

/// The time that `threads` threads take to append `count` records between them.
fn timed(journal: &Journal, threads: u64, count: u64) -> Duration {
    let start = clock::now();
    thread::scope(|scope| {
        let work = || {
            append(journal, count.div_ceil(threads));
            clock::now()
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            assert!(journal.maintain().fault.is_none(), "room on the disk");
            thread::sleep(Duration::from_millis(1));
        }
        let ends = workers
            .into_iter()
            .map(|worker| worker.join().expect("room"));
        ends.max().map_or(Duration::ZERO, |end| end - start)
    })
}

fn appending(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal/append");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2] {
        let kept = kept();
        group.bench_function(format!("{threads}_threads"), |bencher| {
            bencher.iter_custom(|count| timed(&kept.journal, threads, count));
        });
    }
    group.finish();
}

fn fill(dir: &Path) {
    let (journal, _) = Journal::open(dir, Options::default()).expect("a journal");
    for id in 0..RECOVERED / 2 {
        journal.append(&hold(id)).expect("room");
        journal.append(&settle(id)).expect("room");
    }
}

/// Reads the records, and, as a restart does, makes up what it tells the bank: here everything, as if the bank had
/// been away all the while.
fn recovering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal/recover");
    group.sample_size(10);
    group.throughput(Throughput::Elements(RECOVERED));
    let dir = tempfile::tempdir().expect("a temporary directory");
    fill(dir.path());
    group.bench_function("100000_records", |bencher| {
        bencher.iter(|| {
            let (_journal, lives) = Journal::open(dir.path(), Options::default()).expect("whole");
            let records = lives.iter().flat_map(|life| life.records().expect("whole"));
            let read = records.map(|record| record.expect("whole"));
            assert_eq!(read.map(black_box).count() as u64, RECOVERED);
        });
    });
    group.bench_function("100000_records_to_messages", |bencher| {
        bencher.iter(|| {
            let (_journal, lives) = Journal::open(dir.path(), Options::default()).expect("whole");
            let messages = lives
                .iter()
                .flat_map(|life| replay(life, Duration::from_secs(60)).expect("whole"))
                .flatten();
            let spent: NanoUsd = messages.map(|message| black_box(message).spent).sum();
            assert_eq!(spent, NanoUsd(COST * RECOVERED.cast_signed() / 2));
        });
    });
    group.finish();
}

criterion_group!(benches, appending, recovering);
criterion_main!(benches);
