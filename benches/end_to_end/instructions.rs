//! What a request and an event cost outside the kernel that no clock tells: instructions, lines that are not in the processor's
//! first caches, allocations, system calls and looks at the clock, on a busy machine as on a quiet one. Each proxy runs under Valgrind's `callgrind`,
//! which counts what its threads do while it is asked, and until it has told its bank of it. A request's are those of
//! the thread that answers. What the others do, the bank's messages above all, goes by the second and not by the request, of
//! which there are thirty times as many without Valgrind: it is said beside.
//!
//! By name only, since it wants `valgrind`. An instruction is no time: one that waits for memory takes as long as a hundred. A
//! copy by `rep movsb` counts as one for each byte, and digests without the processor's own instructions for them. Caches are
//! simulated, the same ones on every machine.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::lab::{Credits, Kind, Lab, Proxy};
use crate::load::{self, Conn};
use crate::measures::{BURST, as_f64, check_events};
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// The name of this measure.
pub const NAME: &str = "instructions";

/// As in the measure of 300 B prompts beside bare Pingora.
const CONNECTIONS: usize = 16;
/// As in the measure of unpaced streams.
const STREAMS: usize = 8;
/// Asked for so long before anything is counted: caches are filled, and an account has its allotment.
const WARM: Duration = Duration::from_secs(1);
/// A gateway has reported to its bank by then what it was asked last.
const BATCH: Duration = Duration::from_secs(1);
/// Valgrind, with 32 KiB of first-level cache for instructions and for data, in lines of 64 bytes.
const CALLGRIND: [&str; 7] = [
    "valgrind",
    "--tool=callgrind",
    "--instr-atstart=no",
    "--separate-threads=yes",
    "--cache-sim=yes",
    "--I1=32768,8,64",
    "--D1=32768,8,64",
];
/// The functions of jemalloc that the program's allocator calls.
const ALLOCATORS: [&str; 5] = [
    "_rjem_malloc",
    "_rjem_mallocx",
    "_rjem_calloc",
    "_rjem_realloc",
    "_rjem_rallocx",
];
/// The functions of the C library that are a system call each.
const SYSTEM: [&str; 22] = [
    "accept4",
    "close",
    "connect",
    "epoll_ctl",
    "epoll_wait",
    "fcntl",
    "getpeername",
    "getsockname",
    "getsockopt",
    "ioctl",
    "pwrite",
    "read",
    "readv",
    "recv",
    "recvmsg",
    "send",
    "sendmsg",
    "setsockopt",
    "socket",
    "syscall",
    "write",
    "writev",
];
/// The one that looks at a clock, which is none.
const CLOCK: [&str; 1] = ["clock_gettime"];
/// What is counted, in the order of [`Counts`].
const UNITS: [&str; 5] = [
    "instructions",
    "lines not in the first caches",
    "allocations",
    "system calls",
    "looks at the clock",
];

/// Of each of [`UNITS`].
type Counts = [f64; 5];

/// What is asked.
#[derive(Clone, Copy)]
enum Ask {
    Requests,
    Events,
}

/// The gateway without a ledger beside bare Pingora, and the gateways with one beside that.
pub async fn measure(lab: &Lab, options: &Options) -> Outcome<[Vec<Row>; 2]> {
    let redis = lab.start_redis().await?;
    let redis = redis.as_ref().map(|server| server.address);
    let mut ledgers = vec![
        ("SQLite", 1.08, Kind::Gateway(Credits::Sqlite)),
        ("SQLite, four levels of budgets", 1.15, Kind::Budgeted),
    ];
    ledgers.extend(redis.map(|address| ("Redis", 1.08, Kind::Gateway(Credits::Redis(address)))));

    let off = Kind::Gateway(Credits::Off);
    let mut beside_bare = Vec::new();
    let mut without = Counts::default();
    for (label, ask) in [("a request", Ask::Requests), ("an event", Ask::Events)] {
        let bare = counted(lab, Kind::Bare, ask, options).await?;
        let gateway = counted(lab, off, ask, options).await?;
        beside_bare.extend(rows(&format!("credits off: {label}"), 1.35, bare, gateway));
        if let Ask::Requests = ask {
            without = gateway;
        }
    }
    let mut beside_off = Vec::new();
    for (bank, most, kind) in ledgers {
        let with = counted(lab, kind, Ask::Requests, options).await?;
        beside_off.extend(rows(&format!("{bank}: a request"), most, without, with));
    }
    Ok([beside_bare, beside_off])
}

/// A row for each unit; `most` is the target of the first.
fn rows(what: &str, most: f64, first: Counts, second: Counts) -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, unit) in UNITS.into_iter().enumerate() {
        let target = (at == 0).then_some(most);
        let mut row = Row::new(Metric::ratio(what, unit, target));
        row.pairs.push((first[at], second[at]));
        rows.push(row);
    }
    rows
}

/// A proxy's, each.
async fn counted(lab: &Lab, kind: Kind, ask: Ask, options: &Options) -> Outcome<Counts> {
    let counts = lab.state()?.join("counts");
    let to = format!("--callgrind-out-file={}", counts.display());
    let by: Vec<&str> = CALLGRIND.into_iter().chain([to.as_str()]).collect();
    let proxy = lab.start_by(&by, kind).await?;
    let (request, connections): (Rc<[u8]>, usize) = match ask {
        Ask::Requests => (lab.request(300, None).into(), CONNECTIONS),
        Ask::Events => (lab.request(300, Some(BURST)).into(), STREAMS),
    };
    let mut conns = Conn::open_warm(proxy.address, connections, &request).await?;
    control(&proxy, "--instr=on")?;
    load::closed_loop(&mut conns, &request, WARM).await?;
    tokio::time::sleep(BATCH).await;
    control(&proxy, "--zero")?;
    let tally = load::closed_loop(&mut conns, &request, options.window()).await?;
    tokio::time::sleep(BATCH).await;
    control(&proxy, "--dump")?;
    let count = match ask {
        Ask::Requests => tally.answers,
        Ask::Events => {
            check_events(tally.events, tally.answers, BURST)?;
            tally.answers * BURST.count
        }
    };
    let mut threads = written(&counts)?;
    threads.sort_by(|one, other| one[0].total_cmp(&other[0]));
    let of_proxy = threads.pop().ok_or("no dump of a thread")?;
    let each = of_proxy.map(|sum| sum / as_f64(count));
    let besides: f64 = threads.iter().map(|sums| sums[0]).sum();
    eprintln!(
        "{NAME}: {kind:?}: {each:.1?} of {UNITS:?}, of {count}; by other threads {:.0} instructions a second",
        besides / (options.window() + BATCH).as_secs_f64()
    );
    Ok(each)
}

fn control(proxy: &Proxy, what: &str) -> Outcome<()> {
    let mut command = Command::new("callgrind_control");
    command.arg(what).arg(proxy.child.pid().to_string());
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !done.is_ok_and(|status| status.success()) {
        return Err("callgrind_control does not reach the proxy: is valgrind installed?".into());
    }
    Ok(())
}

/// The sums of the first dump, by thread; they are written when whoever asked for them hears so.
fn written(counts: &Path) -> Outcome<Vec<Counts>> {
    let (Some(folder), Some(name)) = (counts.parent(), counts.file_name()) else {
        return Err("counts have no folder".into());
    };
    let first = format!("{}.1-", name.display());
    let mut sums = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&first) {
            sums.push(read(&std::fs::read_to_string(entry.path())?)?);
        }
    }
    Ok(sums)
}

/// One thread's sums. A dump names what it counts and has their totals.
fn read(dump: &str) -> Outcome<Counts> {
    let list = |start: &str| {
        let line = dump.lines().find_map(|line| line.strip_prefix(start));
        let words = line.map(|line| line.split_ascii_whitespace());
        words.ok_or_else(|| format!("a dump without {start:?}"))
    };
    let mut sums = HashMap::new();
    for (name, total) in list("events: ")?.zip(list("totals: ")?) {
        sums.insert(name, total.parse::<u64>()?);
    }
    let sum = |of: &[&str]| as_f64(of.iter().filter_map(|name| sums.get(name)).sum());
    Ok([
        sum(&["Ir"]),
        sum(&["I1mr", "D1mr", "D1mw"]),
        as_f64(calls(dump, &ALLOCATORS)?),
        as_f64(calls(dump, &SYSTEM)?),
        as_f64(calls(dump, &CLOCK)?),
    ])
}

/// How often one of these functions was called. Of a function a dump says whom it called how often, by a number that stands for
/// a name once the name has been told; the C library's have a version behind it.
fn calls(dump: &str, of: &[&str]) -> Outcome<u64> {
    let (mut numbers, mut called, mut count) = (HashSet::new(), "", 0);
    for line in dump.lines() {
        let function = line.strip_prefix("cfn=").or(line.strip_prefix("fn="));
        if let Some(function) = function {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            called = number;
            if of.contains(&name.split('@').next().unwrap_or_default()) {
                numbers.insert(number);
            }
        } else if let Some(calls) = line.strip_prefix("calls=")
            && numbers.contains(called)
        {
            let (times, _) = calls.split_once(' ').unwrap_or((calls, ""));
            count += times.parse::<u64>()?;
        }
    }
    Ok(count)
}
