//! Settings that run side by side, and what each costs beside the first.

use std::fmt::Write as _;
use std::time::Duration;

use super::Setting;
use crate::ledger::{Asked, Asking};
use crate::load::{self, Conn, Tally};
use crate::measures::{as_f64, per};
use crate::procfs::{self, Cpu};
use crate::report::{Metric, Row};
use crate::{Options, Outcome};

/// Slices of a repetition.
const SLICES: u32 = 12;
/// A gateway has told its bank by then what it was asked last.
const BATCH: Duration = Duration::from_secs(1);

/// What a setting used in a repetition.
struct Sample {
    /// CPU time a request of all gateways, µs.
    cpu: f64,
    /// Resident memory of a gateway, MB.
    resident: f64,
    redis: Option<Asked>,
}

/// Rows of every setting beside the first.
pub(super) async fn side_by_side(
    name: &str,
    settings: &[Setting],
    connections: usize,
    options: &Options,
) -> Outcome<Vec<Row>> {
    let mut rows: Vec<[Row; 5]> = settings.iter().map(Setting::rows).collect();
    for repetition in 0..options.repetitions() {
        let samples = one_repetition(settings, connections, options.window() / SLICES).await?;
        let first = samples.first().ok_or("a table without rows")?;
        let mut line = format!(
            "{name} {}/{}: {:.2} µs a request with {}",
            repetition + 1,
            options.repetitions(),
            first.cpu,
            settings.first().map_or("nothing", |setting| &setting.label),
        );
        for (sample, setting) in samples.iter().zip(settings).skip(1) {
            let ratio = sample.cpu / first.cpu;
            write!(line, ", × {ratio:.3} with {}", setting.label)?;
        }
        eprintln!("{line}");
        for ((rows, sample), setting) in rows.iter_mut().zip(&samples).zip(settings) {
            rows[0].pairs.push((first.cpu, sample.cpu));
            rows[1].pairs.push((first.resident, sample.resident));
            if setting.most.is_some() {
                rows[4].pairs.push((first.cpu, sample.cpu));
            }
            if let Some((first, asked)) = first.redis.zip(sample.redis) {
                rows[2].pairs.push((first.sent, asked.sent));
                rows[3].pairs.push((first.cpu, asked.cpu));
            }
        }
    }
    let taken = rows.into_iter().flatten();
    Ok(taken.filter(|row| !row.pairs.is_empty()).collect())
}

impl Setting {
    /// As [`side_by_side`] fills them.
    fn rows(&self) -> [Row; 5] {
        let label = &self.label;
        [
            Metric::ratio(format!("{label}: CPU per request"), "µs", None),
            Metric::ratio(format!("{label}: resident, each gateway"), "MB", None),
            Metric::ratio(
                format!("{label}: Redis commands per 1,000 requests"),
                "sent",
                None,
            ),
            Metric::ratio(format!("{label}: Redis's own CPU per request"), "µs", None),
            Metric::difference(format!("{label}: CPU more per request"), "µs", self.most),
        ]
        .map(Row::new)
    }

    /// Connections, spread over the gateways, each of which has been answered.
    async fn connect(&self, connections: usize) -> Outcome<Vec<Conn>> {
        let mut conns = Vec::with_capacity(connections);
        let each = connections.div_ceil(self.proxies.len().max(1));
        let request = self.requests.first().ok_or("a setting without requests")?;
        for proxy in &self.proxies {
            conns.extend(Conn::open_warm(proxy.address, each, request).await?);
        }
        Ok(conns)
    }

    fn cpu(&self) -> Outcome<Vec<Cpu>> {
        let proxies = self.proxies.iter();
        proxies.map(|proxy| Cpu::read(proxy.child.pid())).collect()
    }

    /// MB, of a gateway.
    fn resident(&self) -> Outcome<f64> {
        let mut sum = 0.0;
        for proxy in &self.proxies {
            sum += procfs::resident_kib(proxy.child.pid())?;
        }
        Ok(sum * 1024.0 / 1e6 / as_f64(u64::try_from(self.proxies.len())?))
    }
}

async fn one_repetition(
    settings: &[Setting],
    connections: usize,
    window: Duration,
) -> Outcome<Vec<Sample>> {
    let mut turns = Vec::new();
    for (index, setting) in settings.iter().enumerate() {
        let mut conns = setting.connect(connections).await?;
        load::closed_loop_of(&mut conns, &setting.requests, window).await?;
        turns.push((index, setting, conns, Tally::default()));
    }
    tokio::time::sleep(BATCH).await;
    let mut before = Vec::new();
    for setting in settings {
        let asking = setting.redis.as_ref().map(Asking::of).transpose()?;
        before.push((setting.cpu()?, asking));
    }
    for _ in 0..SLICES {
        for (_, setting, conns, sum) in &mut turns {
            let tally = load::closed_loop_of(conns, &setting.requests, window).await?;
            sum.answers += tally.answers;
        }
        turns.rotate_left(1);
    }
    tokio::time::sleep(BATCH).await;
    turns.sort_by_key(|(index, ..)| *index);
    let mut samples = Vec::new();
    for ((_, setting, _, tally), (before, asking)) in turns.iter().zip(before) {
        let after = setting.cpu()?;
        let used = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after.since(before).total);
        let redis = match (asking, &setting.redis) {
            (Some(asking), Some(redis)) => {
                Some(Asked::between(&asking, &Asking::of(redis)?, tally.answers))
            }
            _ => None,
        };
        samples.push(Sample {
            cpu: per(used.sum(), tally.answers),
            resident: setting.resident()?,
            redis,
        });
    }
    Ok(samples)
}
