//! What a program takes before it is asked anything, and after: its file, its start, its memory, beside bare Pingora's.
//!
//! By name only: it waits a minute for memory to be given back.

use std::rc::Rc;
use std::time::Duration;

use crate::lab::{Credits, Kind, Lab, Proxy};
use crate::load::OpenStreams;
use crate::measures::{OPEN, STREAMS};
use crate::procfs;
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// The name of this measure.
pub const NAME: &str = "footprint";

/// After a start until memory is read: what is done at the start is done.
const SETTLED: Duration = Duration::from_secs(2);
/// How long memory may take to be given back.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Bare Pingora beside the gateway with credits enforced on SQLite.
pub async fn measure(lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    let mut binary = Row::new(Metric::alone("the program's file", "MB", Some(20.0)));
    let bytes = std::fs::metadata(lab.binary())?.len();
    binary.pairs.push((f64::NAN, megabytes(bytes)));

    let kinds = [Kind::Bare, Kind::Gateway(Credits::Sqlite)];
    let mut ready = Row::new(Metric::alone(
        "from its start to its first answer",
        "ms",
        Some(100.0),
    ));
    let mut idle = Row::new(Metric::ratio("resident, idle", "MB", None));
    for repetition in 0..options.repetitions() {
        let (bare, gateway) = started(lab, kinds).await?;
        let times = [&bare, &gateway].map(|proxy| proxy.ready_after.as_secs_f64() * 1e3);
        eprintln!(
            "{NAME} {}/{}: ready in {:.1} and {:.1} ms",
            repetition + 1,
            options.repetitions(),
            times[0],
            times[1]
        );
        ready.pairs.push((times[0], times[1]));
        tokio::time::sleep(SETTLED).await;
        idle.pairs.push((resident(&bare)?, resident(&gateway)?));
    }

    let (bare, gateway) = started(lab, kinds).await?;
    let request: Rc<[u8]> = lab.request(300, Some(OPEN)).into();
    let mut open = Row::new(Metric::ratio("resident with 1,000 streams", "MB", None));
    let mut after = Row::new(Metric::ratio("resident a minute after them", "MB", None));
    let mut streams = Vec::new();
    for proxy in [&bare, &gateway] {
        streams.push(OpenStreams::open(proxy.address, &request, STREAMS, 6).await?);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    open.pairs.push((resident(&bare)?, resident(&gateway)?));
    for streams in &mut streams {
        streams.check()?;
    }
    drop(streams);
    tokio::time::sleep(AFTERWARDS).await;
    after.pairs.push((resident(&bare)?, resident(&gateway)?));
    Ok(vec![binary, ready, idle, open, after])
}

async fn started(lab: &Lab, [bare, gateway]: [Kind; 2]) -> Outcome<(Proxy, Proxy)> {
    Ok((lab.start(bare).await?, lab.start(gateway).await?))
}

/// MB.
fn resident(proxy: &Proxy) -> Outcome<f64> {
    Ok(procfs::resident_kib(proxy.child.pid())? * 1024.0 / 1e6)
}

/// Programs stay far below 2^53 bytes, where this is exact.
fn megabytes(bytes: u64) -> f64 {
    crate::measures::as_f64(bytes) / 1e6
}
