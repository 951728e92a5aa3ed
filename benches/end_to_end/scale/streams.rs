//! Open streams, by their number.

use std::rc::Rc;
use std::time::Duration;

use super::thousands;
use crate::lab::{Credits, Kind, Lab};
use crate::load::OpenStreams;
use crate::measures::{as_f64, per};
use crate::procfs::{self, Cpu};
use crate::prompts::Events;
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// Events a second of all open streams together, so that only their number differs.
const EVENTS: u64 = 1_000;
/// Files that a process needs besides two a stream.
const OTHER_FILES: u64 = 300;
/// The most repetitions of open streams: opening them takes longer than measuring.
const OPENINGS: u32 = 3;
/// After all are open until memory is read.
const SETTLED: Duration = Duration::from_secs(1);

/// Streams that bring as many events together, however many they are.
pub(super) async fn open_streams(lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    let most = procfs::files()?.saturating_sub(OTHER_FILES) / 2;
    let counts: Vec<u64> = [1, 100, 1_000, 10_000_u64]
        .map(|count| count.min(most))
        .into();
    if most < 10_000 {
        eprintln!(
            "open-streams: a process may open {} files here, so there are {most} streams at most; raise the hard limit (`ulimit -Hn`) for 10,000",
            procfs::files()?
        );
    }
    let mut rows: Vec<[Row; 2]> = Vec::new();
    for count in &counts {
        let label = format!("{} open streams", thousands(*count));
        rows.push([
            Row::new(Metric::ratio(format!("{label}: CPU per event"), "µs", None)),
            Row::new(Metric::alone(
                format!("{label}: memory a stream"),
                "KiB",
                None,
            )),
        ]);
    }
    for repetition in 0..options.repetitions().min(OPENINGS) {
        let mut first = f64::NAN;
        for (count, [cpu, memory]) in counts.iter().zip(&mut rows) {
            let (event, kib) = with_streams(lab, *count, options.window()).await?;
            if first.is_nan() {
                first = event;
            }
            eprintln!(
                "open-streams {}: {count}: {event:.2} µs an event, {kib:.1} KiB a stream",
                repetition + 1
            );
            cpu.pairs.push((first, event));
            memory.pairs.push((f64::NAN, kib));
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

/// CPU time an event, µs, and resident memory a stream, KiB.
async fn with_streams(lab: &Lab, count: u64, window: Duration) -> Outcome<(f64, f64)> {
    let pace = Duration::from_secs(1) / u32::try_from(EVENTS)? * u32::try_from(count)?;
    let events = Events {
        // More than are asked for while all are opened and measured.
        count: 300 * EVENTS / count + 10,
        pace_us: u64::try_from(pace.as_micros())?,
    };
    let proxy = lab.start(Kind::Gateway(Credits::Off)).await?;
    let pid = proxy.child.pid();
    let before = procfs::resident_kib(pid)?;
    let request: Rc<[u8]> = lab.request(300, Some(events)).into();
    let mut streams = OpenStreams::open(proxy.address, &request, count, 1).await?;
    tokio::time::sleep(SETTLED).await;
    let open = procfs::resident_kib(pid)?;
    let (cpu, seen) = (Cpu::read(pid)?, streams.seen());
    tokio::time::sleep(window).await;
    let used = Cpu::read(pid)?.since(&cpu).total;
    let seen = streams.seen() - seen;
    streams.check()?;
    if seen == 0 {
        return Err(format!("{count} open streams brought no event").into());
    }
    Ok((per(used, seen), (open - before) / as_f64(count)))
}
