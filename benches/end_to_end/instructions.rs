//! Instructions outside the kernel: what a request costs, on a busy machine as on a quiet one. Each proxy runs under Valgrind's
//! `callgrind`, which counts what its threads do while it is asked, and until it has told its bank of it. A request's are those of
//! the thread that answers. What the others do, the bank's messages above all, goes by the second and not by the request, of
//! which there are thirty times as many without Valgrind: it is said beside.
//!
//! By name only, since it wants `valgrind`. An instruction is no time: one that waits for memory takes as long as a hundred. A
//! copy by `rep movsb` counts as one for each byte, and digests without the processor's own instructions for them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::lab::{Credits, Kind, Lab, Proxy};
use crate::load::{self, Conn};
use crate::measures::as_f64;
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// The name of this measure.
pub const NAME: &str = "instructions";

/// As in the measure of 300 B prompts beside bare Pingora.
const CONNECTIONS: usize = 16;
/// Asked for so long before anything is counted: caches are filled, and an account has its allotment.
const WARM: Duration = Duration::from_secs(1);
/// A gateway has reported to its bank by then what it was asked last.
const BATCH: Duration = Duration::from_secs(1);

/// The gateway without a ledger beside bare Pingora; and the gateways with one beside that.
pub async fn measure(lab: &Lab, options: &Options) -> Outcome<[Vec<Row>; 2]> {
    let redis = lab.start_redis().await?;
    let redis = redis.as_ref().map(|server| server.address);
    let mut beside_bare = row("credits off", 1.35);
    let mut ledgers = vec![
        (row("SQLite", 1.08), Kind::Gateway(Credits::Sqlite)),
        (row("SQLite, four levels of budgets", 1.15), Kind::Budgeted),
    ];
    let on_redis = |address| (row("Redis", 1.08), Kind::Gateway(Credits::Redis(address)));
    ledgers.extend(redis.map(on_redis));

    let bare = counted(lab, Kind::Bare, options).await?;
    let off = counted(lab, Kind::Gateway(Credits::Off), options).await?;
    beside_bare.pairs.push((bare, off));
    let mut rows = Vec::new();
    for (mut row, kind) in ledgers {
        row.pairs.push((off, counted(lab, kind, options).await?));
        rows.push(row);
    }
    Ok([vec![beside_bare], rows])
}

fn row(what: &str, most: f64) -> Row {
    let label = format!("{what}: per request");
    Row::new(Metric::ratio(label, "instructions", Some(most)))
}

/// A proxy's instructions a request.
async fn counted(lab: &Lab, kind: Kind, options: &Options) -> Outcome<f64> {
    let counts = lab.state()?.join("counts");
    let to = format!("--callgrind-out-file={}", counts.display());
    let apart = "--separate-threads=yes";
    let by = [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        apart,
        &to,
    ];
    let proxy = lab.start_by(&by, kind).await?;
    let request: Rc<[u8]> = lab.request(300, None).into();
    let mut conns = Conn::open_warm(proxy.address, CONNECTIONS, &request).await?;
    control(&proxy, "--instr=on")?;
    load::closed_loop(&mut conns, &request, WARM).await?;
    tokio::time::sleep(BATCH).await;
    control(&proxy, "--zero")?;
    let tally = load::closed_loop(&mut conns, &request, options.window()).await?;
    tokio::time::sleep(BATCH).await;
    control(&proxy, "--dump")?;
    let mut threads = written(&counts)?;
    threads.sort_unstable();
    let of_proxy = threads.pop().ok_or("no dump of a thread")?;
    let each = as_f64(of_proxy) / as_f64(tally.answers);
    let besides = as_f64(threads.iter().sum()) / (options.window() + BATCH).as_secs_f64();
    eprintln!(
        "{NAME}: {kind:?}: {each:.0}, of {} requests; by other threads {besides:.0} a second",
        tally.answers
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
fn written(counts: &Path) -> Outcome<Vec<u64>> {
    let (Some(folder), Some(name)) = (counts.parent(), counts.file_name()) else {
        return Err("counts have no folder".into());
    };
    let first = format!("{}.1-", name.display());
    let mut sums = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&first) {
            let dump = std::fs::read_to_string(entry.path())?;
            let sum = dump.lines().find_map(|line| line.strip_prefix("totals: "));
            sums.push(sum.ok_or("a dump without its sum")?.trim().parse()?);
        }
    }
    Ok(sums)
}
