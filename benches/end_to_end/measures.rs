//! What is measured of the gateway beside bare Pingora, and how a pair of samples comes about. The gateway has no
//! ledger here (`credits: off`) but where everything is on; what a ledger costs by itself is in `ledger.rs`.
//!
//! Invariant: every repetition measures both proxies one right after the other, and every other repetition
//! the other way round, so drift of the machine falls on both. Comparisons are made within a repetition.

use std::rc::Rc;
use std::time::Duration;

use crate::lab::{Credits, Kind, Lab, Proxy};
use crate::load::{self, Asks as _, Conn, OpenStreams, Tally};
use crate::procfs::{self, Cpu};
use crate::prompts::{Asked, Events};
use crate::report::{Compare, Metric, Row};
use crate::{Options, Outcome};

/// Streams open at once in the measures of memory.
pub const STREAMS: u64 = 1000;
/// Content events of an unpaced stream.
pub const BURST: Events = Events {
    count: 500,
    pace_us: 0,
};
/// A stream at the pace of a fast model: 50 events a second.
const PACED: Events = Events {
    count: 150,
    pace_us: 20_000,
};
/// Connections of the paced measure: 256 × 50 is 12,800 events a second.
const PACED_CONNECTIONS: usize = 256;
/// A stream for the time to its first event.
pub const SHORT: Events = Events {
    count: 3,
    pace_us: 0,
};
/// A stream that is still open when memory is read.
pub const OPEN: Events = Events {
    count: 1000,
    pace_us: 250_000,
};

/// Bytes of a prompt of some 75,000 tokens, as the largest deployments see them.
const LONG: usize = 288 * 1024;

/// Plain answers to prompts of one length.
struct Prompts {
    label: &'static str,
    /// Bytes of a request's body.
    length: usize,
    /// Tools that it offers.
    tools: usize,
    asked: Asked,
    connections: usize,
    /// Requests a second, answered or not; `None`: as many as are answered.
    pace: Option<u32>,
    /// What is asked, on the gateway's side.
    gateway: Kind,
    target: f64,
}

impl Prompts {
    /// Requests of 300 B over 16 connections, as fast as they are answered.
    const SHORT: Prompts = Prompts {
        label: "300 B prompt",
        length: 300,
        tools: 0,
        asked: Asked::Whole,
        connections: 16,
        pace: None,
        gateway: Kind::Gateway(Credits::Off),
        target: 1.3,
    };

    fn named(name: &str) -> Option<Prompts> {
        Some(match name {
            "prompt-300" => Prompts::SHORT,
            "prompt-300-wide" => Prompts {
                label: "300 B, 64 connections",
                connections: 64,
                ..Prompts::SHORT
            },
            "prompt-300-paced" => Prompts {
                label: "300 B, 3,000 a second",
                connections: 64,
                pace: Some(3_000),
                ..Prompts::SHORT
            },
            "everything" => Prompts {
                label: "300 B, everything on",
                gateway: Kind::Limited,
                ..Prompts::SHORT
            },
            "crowded" => Prompts {
                label: "300 B, 10,000 keys, 50 providers",
                gateway: Kind::Crowded,
                ..Prompts::SHORT
            },
            "agent" => Prompts {
                label: "40 KiB with 12 tools",
                length: 40 * 1024,
                tools: 12,
                ..Prompts::SHORT
            },
            "prompt-128k" => Prompts {
                label: "128 KiB prompt",
                length: 128 * 1024,
                connections: 8,
                ..Prompts::SHORT
            },
            "prompt-1m" => Prompts {
                label: "1 MiB prompt",
                length: 1024 * 1024,
                connections: 4,
                target: 1.5,
                ..Prompts::SHORT
            },
            "long" => Prompts {
                label: "75,000 tokens, everything on",
                length: LONG,
                connections: 4,
                gateway: Kind::Limited,
                ..Prompts::SHORT
            },
            "long-counted" => Prompts {
                label: "75,000 tokens, everything on, counted here",
                length: LONG,
                asked: Asked::Uncounted,
                connections: 4,
                gateway: Kind::Limited,
                ..Prompts::SHORT
            },
            _ => return None,
        })
    }
}

/// The measures by name, in the order in which they run.
pub const NAMES: [&str; 14] = [
    "prompt-300",
    "prompt-300-wide",
    "prompt-300-paced",
    "everything",
    "crowded",
    "agent",
    "prompt-128k",
    "prompt-1m",
    "long",
    "long-counted",
    "stream-burst",
    "stream-paced",
    "first-event",
    "memory",
];

/// One of the two.
#[derive(Clone, Copy)]
enum Side {
    Bare,
    Gateway,
}

/// Both proxies, running, and how long to measure.
pub struct Bench<'a> {
    lab: &'a Lab,
    bare: Proxy,
    gateway: Proxy,
    repetitions: u32,
    /// The length of one closed loop.
    window: Duration,
}

impl<'a> Bench<'a> {
    /// Starts both proxies.
    pub async fn open(lab: &'a Lab, options: &Options) -> Outcome<Bench<'a>> {
        let bare = lab.start(Kind::Bare).await?;
        let gateway = lab.start_compared().await?;
        eprintln!(
            "bare Pingora is process {}, the gateway {}",
            bare.child.pid(),
            gateway.child.pid()
        );
        Ok(Bench {
            lab,
            bare,
            gateway,
            repetitions: options.repetitions(),
            window: options.window(),
        })
    }

    /// Runs the measure called `name`, one of [`NAMES`].
    pub async fn run(&self, name: &str) -> Outcome<Vec<Row>> {
        if let Some(prompts) = Prompts::named(name) {
            return self.prompts(name, &prompts).await;
        }
        match name {
            "stream-burst" => self.stream_burst(name).await,
            "stream-paced" => self.stream_paced(name).await,
            "first-event" => self.first_event(name).await,
            "memory" => self.memory(name).await,
            _ => Err(format!("no measure is called {name:?}; there are {NAMES:?}").into()),
        }
    }

    async fn prompts(&self, name: &str, prompts: &Prompts) -> Outcome<Vec<Row>> {
        let Prompts { label, pace, .. } = *prompts;
        let request: Rc<[u8]> = self
            .lab
            .request_with_tools(prompts.length, prompts.tools, prompts.asked)
            .into();
        let other = match prompts.gateway {
            Kind::Gateway(Credits::Off) => None,
            kind => Some(self.lab.start_beside(kind).await?),
        };
        let mut metrics = vec![
            Metric::ratio(
                format!("{label}: CPU per request"),
                "µs",
                Some(prompts.target),
            ),
            Metric::ratio(format!("{label}: of it outside the kernel"), "µs", None),
            Metric::ratio(format!("{label}: requests for a second of CPU"), "", None),
        ];
        // At a given pace it says nothing.
        if pace.is_none() {
            metrics.push(Metric::ratio(format!("{label}: throughput"), "/s", None));
        }
        self.interleave(name, metrics, async |side| {
            let proxy = match (side, &other) {
                (Side::Gateway, Some(other)) => other,
                _ => self.proxy(side),
            };
            let mut conns = Conn::open_warm(proxy.address, prompts.connections, &request).await?;
            ask(&mut conns, &request, pace, self.window / 10).await?;
            let before = Cpu::read(proxy.child.pid())?;
            let tally = ask(&mut conns, &request, pace, self.window).await?;
            let used = Cpu::read(proxy.child.pid())?.since(&before);
            Ok(vec![
                per(used.total, tally.answers),
                per(used.user, tally.answers),
                rate(tally.answers, used.total),
                rate(tally.answers, tally.elapsed),
            ])
        })
        .await
    }

    /// Streams whose provider writes event after event without a pause.
    async fn stream_burst(&self, name: &str) -> Outcome<Vec<Row>> {
        let request: Rc<[u8]> = self.lab.request(300, Some(BURST)).into();
        let metrics = vec![
            Metric::ratio("unpaced streams: CPU per event", "µs", Some(1.2)),
            Metric::ratio("unpaced streams: of it outside the kernel", "µs", None),
            Metric::ratio("unpaced streams: throughput, events", "/s", None),
        ];
        self.interleave(name, metrics, async |side| {
            let proxy = self.proxy(side);
            let mut conns = Conn::open_warm(proxy.address, 8, &request).await?;
            load::closed_loop(&mut conns, &request, self.window / 10).await?;
            let before = Cpu::read(proxy.child.pid())?;
            let tally = load::closed_loop(&mut conns, &request, self.window).await?;
            let used = Cpu::read(proxy.child.pid())?.since(&before);
            check_events(tally.events, tally.answers, BURST)?;
            let events = tally.answers * BURST.count;
            Ok(vec![
                per(used.total, events),
                per(used.user, events),
                rate(events, tally.elapsed),
            ])
        })
        .await
    }

    /// Many streams at a model's pace, where every event is a wake-up, a read and a write of its own.
    async fn stream_paced(&self, name: &str) -> Outcome<Vec<Row>> {
        let plain = self.lab.request(300, None);
        let request: Rc<[u8]> = self.lab.request(300, Some(PACED)).into();
        let spread = Duration::from_micros(PACED.pace_us) * 10;
        let metrics = vec![
            Metric::ratio("paced streams: CPU per event", "µs", Some(1.2)),
            Metric::ratio("paced streams: of it outside the kernel", "µs", None),
        ];
        self.interleave(name, metrics, async |side| {
            let proxy = self.proxy(side);
            let mut conns = Conn::open_warm(proxy.address, PACED_CONNECTIONS, &plain).await?;
            let before = Cpu::read(proxy.child.pid())?;
            let tally = load::once_each(&mut conns, &request, spread).await?;
            let used = Cpu::read(proxy.child.pid())?.since(&before);
            check_events(tally.events, tally.answers, PACED)?;
            let events = tally.answers * PACED.count;
            Ok(vec![per(used.total, events), per(used.user, events)])
        })
        .await
    }

    /// One connection, one stream after the other, from writing the request to reading the first event.
    async fn first_event(&self, name: &str) -> Outcome<Vec<Row>> {
        let request = self.lab.request(300, Some(SHORT));
        let metrics = vec![
            Metric::difference("time to first event, median", "µs", Some(50.0)),
            Metric::difference("time to first event, 99th percentile", "µs", None),
        ];
        self.interleave(name, metrics, async |side| {
            let mut conn = Conn::open(self.proxy(side).address).await?;
            load::first_events(&mut conn, &request, self.window / 10).await?;
            let mut times = load::first_events(&mut conn, &request, self.window / 2).await?;
            times.sort_unstable();
            Ok(vec![hundredth(&times, 50), hundredth(&times, 99)])
        })
        .await
    }

    /// Resident memory of a fresh proxy before and while many streams are open.
    async fn memory(&self, name: &str) -> Outcome<Vec<Row>> {
        let plain = self.lab.request(300, None);
        let short = self.lab.request(300, Some(SHORT));
        let request: Rc<[u8]> = self.lab.request(300, Some(OPEN)).into();
        let metrics = vec![
            Metric::ratio("memory per open stream", "KiB", Some(1.25)),
            Metric::ratio("memory with 1,000 open streams", "KiB", None),
            Metric::ratio("memory before them", "KiB", None),
        ];
        self.interleave(name, metrics, async |side| {
            let proxy = match side {
                Side::Bare => self.lab.start(Kind::Bare).await?,
                Side::Gateway => self.lab.start_compared().await?,
            };
            let mut conn = Conn::open(proxy.address).await?;
            for _ in 0..50 {
                conn.ask(&plain).await?;
                conn.ask(&short).await?;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            let before = procfs::resident_kib(proxy.child.pid())?;
            let mut streams = OpenStreams::open(proxy.address, &request, STREAMS, 6).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            let open = procfs::resident_kib(proxy.child.pid())?;
            streams.check()?;
            Ok(vec![(open - before) / as_f64(STREAMS), open, before])
        })
        .await
    }

    fn proxy(&self, side: Side) -> &Proxy {
        match side {
            Side::Bare => &self.bare,
            Side::Gateway => &self.gateway,
        }
    }

    /// Measures both sides again and again; `sample` returns a figure for each metric.
    async fn interleave(
        &self,
        name: &str,
        metrics: Vec<Metric>,
        mut sample: impl AsyncFnMut(Side) -> Outcome<Vec<f64>>,
    ) -> Outcome<Vec<Row>> {
        let mut rows: Vec<Row> = metrics.into_iter().map(Row::new).collect();
        for repetition in 0..self.repetitions {
            let (bare, gateway) = if repetition % 2 == 0 {
                let bare = sample(Side::Bare).await?;
                (bare, sample(Side::Gateway).await?)
            } else {
                let gateway = sample(Side::Gateway).await?;
                (sample(Side::Bare).await?, gateway)
            };
            for (row, pair) in rows.iter_mut().zip(bare.into_iter().zip(gateway)) {
                row.pairs.push(pair);
            }
            if let Some((row, (bare, gateway))) =
                rows.first().and_then(|row| Some((row, *row.pairs.last()?)))
            {
                eprintln!(
                    "{name} {}/{}: {bare:.2} and {gateway:.2} {}: {}",
                    repetition + 1,
                    self.repetitions,
                    row.metric.unit,
                    match row.metric.compare {
                        Compare::Ratio => format!("× {:.3}", gateway / bare),
                        Compare::Difference | Compare::Alone => format!("{:+.1}", gateway - bare),
                    }
                );
            }
        }
        Ok(rows)
    }
}

/// Asks over all connections until `window` has passed: at a pace, or as fast as answers come.
async fn ask(
    conns: &mut Vec<Conn>,
    request: &Rc<[u8]>,
    pace: Option<u32>,
    window: Duration,
) -> Outcome<Tally> {
    match pace {
        Some(per_second) => load::paced(conns, request, per_second, window).await,
        None => load::closed_loop(conns, request, window).await,
    }
}

/// Microseconds each.
pub fn per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / as_f64(count)
}

/// This percentile of times in ascending order, µs; NaN of none.
pub fn hundredth(times: &[Duration], hundredths: usize) -> f64 {
    let index = (times.len() * hundredths / 100).min(times.len().saturating_sub(1));
    times
        .get(index)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// How many a second.
pub fn rate(count: u64, time: Duration) -> f64 {
    as_f64(count) / time.as_secs_f64()
}

/// Counts here stay far below 2^53, where this is exact.
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A proxy that drops the header asking for events, or loses events, is measured as something it is not.
pub fn check_events(seen: u64, streams: u64, asked: Events) -> Outcome<()> {
    if seen < streams * asked.count {
        return Err(format!(
            "{streams} streams of {} events each brought {seen} in all: are unknown request headers passed on?",
            asked.count
        )
        .into());
    }
    Ok(())
}
