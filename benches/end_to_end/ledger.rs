//! What the ledger costs: the gateway with `credits: off` beside itself with credits enforced, on SQLite and on Redis, and on
//! SQLite with a tree of budgets above the access key.
//!
//! Invariant: every repetition is made of short slices, in each of which all gateways take their turns, each time
//! beginning with another, so drift of the machine falls on all. Comparisons are made within a repetition. CPU is that
//! of the whole gateway, the ledger's own thread included; Redis's is shown, but is not the gateway's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use crate::lab::{Credits, Kind, Lab, Proxy};
use crate::load::{self, Conn, Tally};
use crate::measures::{as_f64, per, rate};
use crate::procfs::Cpu;
use crate::redis_server::{Commands, Redis};
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// The name of this measure.
pub const NAME: &str = "ledger";

/// As in the measure of 300 B prompts beside bare Pingora.
const CONNECTIONS: usize = 16;
/// Slices of a repetition: a neighbour of this machine may be busy for seconds, and seldom changes faster.
const SLICES: u32 = 12;
/// A gateway has reported to its bank by then what it was asked last.
const BATCH: Duration = Duration::from_secs(1);
/// A second, where the load is steady: slow enough that what Redis is asked by the clock shows.
const STEADY: u32 = 500;
/// How long one answer of an admin listener may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The gateways, running, and how long to measure.
struct Bench<'a> {
    off: Proxy,
    sqlite: Proxy,
    /// On SQLite, too.
    tree: Proxy,
    redis: Option<(Proxy, Redis)>,
    request: Rc<[u8]>,
    options: &'a Options,
}

/// One gateway's figures for a repetition.
#[derive(Clone, Copy)]
struct Sample {
    /// CPU time a request, µs.
    total: f64,
    /// Of it outside the kernel.
    user: f64,
    /// Requests a second.
    requests: f64,
    /// Exchanges for a second of load, one for each account of a call of the bank.
    exchanges: f64,
    redis: Option<Asked>,
}

/// What Redis was asked, and what it took.
#[derive(Clone, Copy)]
pub struct Asked {
    /// CPU time a request, µs.
    pub cpu: f64,
    /// Commands for 1,000 requests.
    pub sent: f64,
    /// Those, and what scripts ran.
    all: f64,
}

/// Rows of every gateway with a ledger beside the one without.
pub async fn measure(lab: &Lab, options: &Options) -> Outcome<Vec<Row>> {
    let bench = Bench::open(lab, options).await?;
    let mut rows = Vec::new();
    let [mut sqlite, mut tree, mut redis] = [
        ("SQLite", 1.1),
        ("SQLite, four levels of budgets", 1.15),
        ("Redis", 1.1),
    ]
    .map(|(bank, most)| compared(bank, most));
    let mut at_redis = asked("at full speed");
    for repetition in 0..options.repetitions() {
        let samples = bench.repetition().await?;
        let [off, on, on_tree, on_redis] = samples;
        let off = off.ok_or("the gateway without a ledger was not measured")?;
        let mut line = format!(
            "{NAME} {}/{}: {:.2} µs a request without",
            repetition + 1,
            options.repetitions(),
            off.total
        );
        for (name, rows, on) in [
            ("SQLite", &mut sqlite, on),
            ("budgets", &mut tree, on_tree),
            ("Redis", &mut redis, on_redis),
        ] {
            let Some(on) = on else { continue };
            push(rows, off, on);
            line += &format!(", × {:.3} with {name}", on.total / off.total);
        }
        if let Some(asked) = on_redis.and_then(|sample| sample.redis) {
            push_alone(&mut at_redis, asked);
        }
        eprintln!("{line}");
    }
    rows.extend(sqlite);
    rows.extend(tree);
    if bench.redis.is_some() {
        rows.extend(redis);
        rows.extend(at_redis);
        rows.extend(bench.steady().await?);
    }
    Ok(rows)
}

impl<'a> Bench<'a> {
    async fn open(lab: &Lab, options: &'a Options) -> Outcome<Bench<'a>> {
        let off = lab.start(Kind::Gateway(Credits::Off)).await?;
        let sqlite = lab.start(Kind::Gateway(Credits::Sqlite)).await?;
        let tree = lab.start(Kind::Budgeted).await?;
        let redis = match lab.start_redis().await? {
            Some(server) => {
                let kind = Kind::Gateway(Credits::Redis(server.address));
                Some((lab.start(kind).await?, server))
            }
            None => {
                eprintln!(
                    "{NAME}: redis-server is not installed: the rows with Redis are left out"
                );
                None
            }
        };
        eprintln!(
            "{NAME}: the gateway without a ledger is process {}, with SQLite {}, with budgets {}, with Redis {}",
            off.child.pid(),
            sqlite.child.pid(),
            tree.child.pid(),
            redis.as_ref().map_or_else(
                || "none".to_owned(),
                |(proxy, _)| proxy.child.pid().to_string()
            ),
        );
        Ok(Bench {
            off,
            sqlite,
            tree,
            redis,
            request: lab.request(300, None).into(),
            options,
        })
    }

    /// Without a ledger, with SQLite, with budgets, with Redis; each slice begins with the next one. What a gateway does while the
    /// others are asked, as to tell its bank of its last slice, is counted too.
    async fn repetition(&self) -> Outcome<[Option<Sample>; 4]> {
        let on_redis = self.redis.as_ref();
        let gateways = [
            Some((&self.off, None)),
            Some((&self.sqlite, None)),
            Some((&self.tree, None)),
            on_redis.map(|(proxy, server)| (proxy, Some(server))),
        ];
        let window = self.options.window() / SLICES;
        let mut turns = Vec::new();
        for (which, gateway) in gateways.into_iter().enumerate() {
            let Some((proxy, server)) = gateway else {
                continue;
            };
            let mut conns = Conn::open_warm(proxy.address, CONNECTIONS, &self.request).await?;
            load::closed_loop(&mut conns, &self.request, window).await?;
            turns.push((which, proxy, server, conns, Tally::default()));
        }
        tokio::time::sleep(BATCH).await;
        let mut before = Vec::new();
        for (which, proxy, server, ..) in &turns {
            before.push((*which, Reading::of(proxy, *server)?));
        }
        for _ in 0..SLICES {
            for (_, _, _, conns, sum) in &mut turns {
                let tally = load::closed_loop(conns, &self.request, window).await?;
                sum.answers += tally.answers;
                sum.elapsed += tally.elapsed;
            }
            turns.rotate_left(1);
        }
        tokio::time::sleep(BATCH).await;
        let mut samples = [None; 4];
        for (which, before) in before {
            let turn = turns.iter().find(|turn| turn.0 == which);
            let Some((_, proxy, server, _, tally)) = turn else {
                continue;
            };
            let sample = Sample::of(&before, &Reading::of(proxy, *server)?, tally);
            samples[which] = Some(sample);
        }
        Ok(samples)
    }

    /// What Redis is asked under a load that leaves the gateway time.
    async fn steady(&self) -> Outcome<Vec<Row>> {
        let mut rows = asked(&format!("at {STEADY} requests/s"));
        let Some((proxy, server)) = &self.redis else {
            return Ok(rows);
        };
        let mut conns = Conn::open_warm(proxy.address, CONNECTIONS, &self.request).await?;
        let window = self.options.window();
        load::paced(&mut conns, &self.request, STEADY, window / 2).await?;
        for _ in 0..self.options.repetitions() {
            let before = Asking::of(server)?;
            let tally = load::paced(&mut conns, &self.request, STEADY, window).await?;
            let asked = Asked::between(&before, &Asking::of(server)?, tally.answers);
            push_alone(&mut rows, asked);
        }
        Ok(rows)
    }
}

/// The counters of a gateway and its Redis at one moment.
struct Reading {
    cpu: Cpu,
    exchanges: f64,
    redis: Option<Asking>,
}

/// The counters of a Redis at one moment.
pub struct Asking {
    commands: Commands,
    cpu: Cpu,
}

impl Reading {
    fn of(proxy: &Proxy, server: Option<&Redis>) -> Outcome<Reading> {
        Ok(Reading {
            exchanges: exchanges(proxy)?,
            redis: server.map(Asking::of).transpose()?,
            cpu: Cpu::read(proxy.child.pid())?,
        })
    }
}

impl Asking {
    /// Now.
    pub fn of(server: &Redis) -> Outcome<Asking> {
        Ok(Asking {
            commands: server.commands()?,
            cpu: Cpu::read(server.child.pid())?,
        })
    }
}

impl Sample {
    fn of(before: &Reading, after: &Reading, tally: &Tally) -> Sample {
        let used = after.cpu.since(&before.cpu);
        let exchanges = after.exchanges - before.exchanges;
        let redis = before.redis.as_ref().zip(after.redis.as_ref());
        Sample {
            total: per(used.total, tally.answers),
            user: per(used.user, tally.answers),
            requests: rate(tally.answers, tally.elapsed),
            exchanges: exchanges / tally.elapsed.as_secs_f64(),
            redis: redis.map(|(before, after)| Asked::between(before, after, tally.answers)),
        }
    }
}

impl Asked {
    /// For so many `requests`.
    pub fn between(before: &Asking, after: &Asking, requests: u64) -> Asked {
        let of_1000 = |count: u64| as_f64(count) * 1000.0 / as_f64(requests);
        Asked {
            cpu: per(after.cpu.since(&before.cpu).total, requests),
            sent: of_1000(after.commands.sent - before.commands.sent),
            all: of_1000(after.commands.all - before.commands.all),
        }
    }
}

/// The rows of a gateway with a ledger, whose CPU should be `most` times that of one without.
fn compared(bank: &str, most: f64) -> Vec<Row> {
    [
        Metric::ratio(format!("{bank}: CPU per request"), "µs", Some(most)),
        Metric::ratio(format!("{bank}: of it outside the kernel"), "µs", None),
        Metric::ratio(format!("{bank}: throughput"), "/s", None),
        Metric::alone(format!("{bank}: exchanges"), "/s", None),
    ]
    .map(Row::new)
    .into()
}

fn push(rows: &mut [Row], off: Sample, on: Sample) {
    let pairs = [
        (off.total, on.total),
        (off.user, on.user),
        (off.requests, on.requests),
        (f64::NAN, on.exchanges),
    ];
    for (row, pair) in rows.iter_mut().zip(pairs) {
        row.pairs.push(pair);
    }
}

/// The rows of a Redis.
fn asked(load: &str) -> Vec<Row> {
    [
        Metric::alone(
            format!("Redis {load}: commands per 1,000 requests"),
            "sent",
            Some(20.0),
        ),
        Metric::alone(
            format!("Redis {load}: with those its scripts run"),
            "in all",
            None,
        ),
        Metric::alone(format!("Redis {load}: its own CPU per request"), "µs", None),
    ]
    .map(Row::new)
    .into()
}

fn push_alone(rows: &mut [Row], asked: Asked) {
    for (row, figure) in rows.iter_mut().zip([asked.sent, asked.all, asked.cpu]) {
        row.pairs.push((f64::NAN, figure));
    }
}

/// How many exchanges a gateway has sent its bank.
fn exchanges(proxy: &Proxy) -> Outcome<f64> {
    counted(proxy, "tollgate_ledger_bank_messages_total ")
}

/// A counter that a gateway shows, of this name and these labels; 0 if there is none.
pub fn counted(proxy: &Proxy, series: &str) -> Outcome<f64> {
    let admin = proxy.admin.ok_or("bare Pingora has no metrics")?;
    let told = metrics(admin)?;
    let count = told.lines().find_map(|line| line.strip_prefix(series));
    Ok(count.map_or(Ok(0.0), str::parse)?)
}

/// Waits for the whole answer: nothing else is being asked meanwhile.
fn metrics(admin: SocketAddr) -> Outcome<String> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    Ok(told)
}
