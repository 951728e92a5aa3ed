//! `tollgate usage`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_base::clock;
use tollgate_config::catalog::Catalog;
use tollgate_config::units::Span;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::{Bank, Day, Events, Rollup};
use tollgate_ledger::cost::cache_savings;
use tollgate_ledger::events::stored;
use tollgate_ledger::events::stored::StoredEvent;
use tollgate_store::StoreError;
use tollgate_wire::tags::is_name;

use super::From;
use super::explain::Explain;
use super::export::Export;
use super::ledger::{Failure, accounts, with_bank};
use super::table::{date, plain, table, usd};

/// Events listed unless another limit is given.
const EVENTS: usize = 50;

/// What to list.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Usage {
    #[command(subcommand)]
    pub command: Option<UsageCommand>,
    #[command(flatten)]
    pub from: From,
    /// Only this account.
    #[arg(long, short)]
    pub account: Option<String>,
    /// How far back: a duration such as 7d or 12h. Totals are kept by day, UTC: its first day counts whole.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub since: Span,
    /// What to add up by: `day`, newest first, or `key`, `model`, `provider` or a tag that configurations list, as in
    /// `tag:customer`, the most expensive first.
    #[arg(long, value_parser = By::parse, default_value = "day", conflicts_with = "events")]
    pub by: By,
    /// The single events instead, newest first; they are kept for `ledger.retention`.
    #[arg(long)]
    pub events: bool,
    /// At most this many lines; of events, 50 unless this says otherwise.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// As JSON; events as the admin API shows them.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// Write every attempt of some days to a file, for other programs.
    #[command(
        after_help = "Attempts are written while they are read, the newest first, an account after the other.
They are kept for `ledger.retention`. Amounts are exact: what is written of an attempt
adds up to what it was charged.

Examples:
  tollgate usage export --format focus --from 2026-11-01 --to 2026-11-30 -o november.csv
  tollgate usage export --format jsonl --from 2026-11-29 --to 2026-11-29 | jq ."
    )]
    Export(Box<Export>),
    /// Print what a request was charged, line by line: unit, quantity, rate, fee and sum.
    #[command(after_help = "Examples:
  tollgate usage explain req_89b9e82c9edd3b2e3ccafb09
  tollgate usage explain req_89b9e82c9edd3b2e3ccafb09 --json | jq .")]
    Explain(Explain),
}

/// What totals are added up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The day.
    Day,
    /// The access key.
    Key,
    /// The model.
    Model,
    /// The provider.
    Provider,
    /// The value of the tag with this name.
    Tag(String),
}

impl By {
    /// Reads it as it is written on the command line.
    ///
    /// # Errors
    /// When it is none, in words.
    fn parse(text: &str) -> Result<By, String> {
        match (text, text.strip_prefix("tag:")) {
            ("day", _) => Ok(By::Day),
            ("key", _) => Ok(By::Key),
            ("model", _) => Ok(By::Model),
            ("provider", _) => Ok(By::Provider),
            (_, Some(name)) if is_name(name) => Ok(By::Tag(name.to_owned())),
            _ => Err("write day, key, model, provider, or a tag as in tag:customer".to_owned()),
        }
    }

    /// Returns the field in JSON.
    fn field(&self) -> &'static str {
        match self {
            By::Day => "day",
            By::Key => "key",
            By::Model => "model",
            By::Provider => "provider",
            By::Tag(_) => "tag",
        }
    }

    /// Returns the table's heading.
    fn heading(&self) -> String {
        match self {
            By::Tag(name) => name.to_uppercase(),
            other => other.field().to_uppercase(),
        }
    }

    /// Returns the totals of an account from a day on.
    async fn rollups(
        &self,
        bank: &dyn Bank,
        account: &str,
        first: Day,
    ) -> Result<Vec<Rollup>, StoreError> {
        let last = Day(u32::MAX);
        match self {
            By::Tag(name) => bank.tag_rollups(account, name, first, last).await,
            _ => bank.rollups(account, first, last).await,
        }
    }

    /// Returns the day, key, model, provider or tag that a rollup is of.
    fn value_of(&self, rollup: &Rollup) -> String {
        match self {
            By::Day => date(u64::from(rollup.day.0) * 86_400),
            By::Key => rollup.access_key.to_string(),
            By::Model => format!("{}:{}", rollup.provider, rollup.model),
            By::Provider => rollup.provider.to_string(),
            By::Tag(_) => rollup
                .tag
                .split_once('=')
                .map_or("", |tag| tag.1)
                .to_owned(),
        }
    }
}

pub fn run(usage: &Usage) -> io::Result<ExitCode> {
    match &usage.command {
        Some(UsageCommand::Export(export)) => return super::export::run(export),
        Some(UsageCommand::Explain(explain)) => return super::explain::run(explain),
        None => {}
    }
    with_bank(
        &usage.from.config,
        ExitCode::FAILURE,
        async |opened, config| {
            let bank = &*opened.bank;
            let accounts = accounts(opened, config, usage.account.as_deref()).await?;
            let start = clock::unix().saturating_sub(usage.since.duration());
            let text = if usage.events {
                events(bank, &accounts, start, usage).await?
            } else {
                totals(bank, &config.catalog, &accounts, start, usage).await?
            };
            writeln!(io::stdout(), "{text}")?;
            Ok(ExitCode::SUCCESS)
        },
    )
}

/// The sums of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Total {
    requests: u64,
    failed: u64,
    orphaned: u64,
    input: u64,
    cached_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    cost: NanoUsd,
    /// What caches of providers saved, of the models whose prices are known.
    saved: NanoUsd,
}

impl Total {
    fn add(&mut self, rollup: &Rollup, catalog: &Catalog) {
        for (sum, part) in [
            (&mut self.requests, rollup.requests),
            (&mut self.failed, rollup.failed),
            (&mut self.orphaned, rollup.orphaned),
            (&mut self.input, rollup.input),
            (&mut self.cached_read, rollup.cached_read),
            (&mut self.cache_write, rollup.cache_write),
            (&mut self.output, rollup.output),
            (&mut self.reasoning, rollup.reasoning),
        ] {
            *sum = sum.saturating_add(part);
        }
        self.cost += rollup.cost;
        let provider = catalog.provider(&rollup.provider);
        let model = provider.and_then(|provider| provider.model(&rollup.model));
        let saved = model.and_then(|model| {
            let at = u64::from(rollup.day.0) * 86_400;
            cache_savings(&model.prices, rollup.cached_read, rollup.cache_write, at)
        });
        let saved = saved.unwrap_or_default();
        self.saved = NanoUsd(self.saved.0.saturating_add(saved.0));
    }

    /// Returns the share of the prompts' tokens that caches had, 0 to 1.
    fn hits(&self) -> f64 {
        match self.input {
            0 => 0.0,
            input => self.cached_read as f64 / input as f64,
        }
    }
}

/// A line of totals: the day, key, model or provider, with the account; and the sums.
type Line = ((String, String), Total);

/// Returns the totals from the day of `start` on (Unix time), as text.
async fn totals(
    bank: &dyn Bank,
    catalog: &Catalog,
    accounts: &[String],
    start: Duration,
    usage: &Usage,
) -> Result<String, Failure> {
    let first = Day(u32::try_from(start.as_secs() / 86_400).unwrap_or(u32::MAX));
    let mut sums: BTreeMap<(String, String), Total> = BTreeMap::new();
    for account in accounts {
        for rollup in usage.by.rollups(bank, account, first).await? {
            let group = (usage.by.value_of(&rollup), account.clone());
            sums.entry(group).or_default().add(&rollup, catalog);
        }
    }
    let mut sums: Vec<Line> = sums.into_iter().collect();
    match usage.by {
        By::Day => sums.sort_by(|((one, _), _), ((other, _), _)| other.cmp(one)),
        _ => sums.sort_by_key(|(_, total)| Reverse(total.cost)),
    }
    sums.truncate(usage.limit.unwrap_or(usize::MAX));
    if usage.json {
        return Ok(totals_as_json(&usage.by, &sums));
    }
    if sums.is_empty() {
        return Ok(format!("nothing was used since {}", date(start.as_secs())));
    }
    Ok(totals_as_table(&usage.by, &sums))
}

fn totals_as_json(by: &By, sums: &[Line]) -> String {
    let all = sums.iter().map(|((value, account), total)| {
        json!({
            "account": account,
            by.field(): value,
            "requests": total.requests,
            "failed": total.failed,
            "orphaned": total.orphaned,
            "inputTokens": total.input,
            "cacheReadTokens": total.cached_read,
            "cacheWriteTokens": total.cache_write,
            "cacheHitRatio": (total.hits() * 1e4).round() / 1e4,
            "cacheSavings": usd(total.saved),
            "outputTokens": total.output,
            "reasoningTokens": total.reasoning,
            "totalCost": usd(total.cost),
        })
    });
    format!("{:#}", Value::from(all.collect::<Vec<_>>()))
}

fn totals_as_table(by: &By, sums: &[Line]) -> String {
    let heading = by.heading();
    let head = [
        "ACCOUNT",
        &heading,
        "REQUESTS",
        "FAILED",
        "INPUT",
        "CACHED",
        "HITS",
        "SAVED",
        "OUTPUT",
        "REASONING",
        "COST",
    ];
    let rows: Vec<_> = sums
        .iter()
        .map(|((value, account), total)| {
            [
                plain(account),
                plain(value),
                total.requests.to_string(),
                total.failed.to_string(),
                total.input.to_string(),
                total.cached_read.to_string(),
                format!("{:.1} %", total.hits() * 100.0),
                total.saved.to_string(),
                total.output.to_string(),
                total.reasoning.to_string(),
                total.cost.to_string(),
            ]
        })
        .collect();
    table(head, &rows, &[2, 3, 4, 5, 6, 7, 8, 9, 10])
}

/// Returns the newest events from `start` on (Unix time), as text.
async fn events(
    bank: &dyn Bank,
    accounts: &[String],
    start: Duration,
    usage: &Usage,
) -> Result<String, Failure> {
    let from_ms = u64::try_from(start.as_millis()).unwrap_or(u64::MAX);
    let limit = usage.limit.unwrap_or(EVENTS);
    let mut batches = Vec::new();
    for account in accounts {
        batches.extend(newest(bank, account, from_ms, limit).await?);
    }
    let mut all = read(&batches, from_ms)?;
    all.truncate(limit);
    if usage.json {
        let shown: Vec<_> = all.iter().map(StoredEvent::shown).collect();
        return serde_json::to_string_pretty(&shown)
            .map_err(|error| Failure::Words(error.to_string()));
    }
    if all.is_empty() {
        return Ok("no event is kept of that time".to_owned());
    }
    let rows: Vec<_> = all
        .iter()
        .map(|event| {
            let when = super::table::time(event.at_ms / 1_000);
            let (request, attempt) = (&event.request, &event.attempt);
            [
                when,
                plain(request.account),
                plain(request.access_key),
                plain(&format!("{}:{}", attempt.provider.id, attempt.model.id)),
                attempt.status.to_string(),
                plain(attempt.outcome),
                attempt.usage.input().to_string(),
                attempt.usage.output().to_string(),
                attempt.cost.to_string(),
                plain(request.id),
            ]
        })
        .collect();
    let head = [
        "WHEN", "ACCOUNT", "KEY", "MODEL", "STATUS", "OUTCOME", "INPUT", "OUTPUT", "COST",
        "REQUEST",
    ];
    Ok(table(head, &rows, &[4, 6, 7, 8]))
}

/// Reads batches of one account that surely hold its `limit` newest events. Batches come by their ends, the latest
/// first, and those of several gateways overlap in time: one that was not read may hold newer events than one that was.
/// It holds none of the newest `limit` if the last of these is no older than the end of the last batch that was read.
async fn newest(
    bank: &dyn Bank,
    account: &str,
    from_ms: u64,
    limit: usize,
) -> Result<Vec<Events>, Failure> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut at_least = limit;
    loop {
        let batches = bank.events(account, from_ms, u64::MAX, at_least).await?;
        let count: u64 = batches.iter().map(|batch| u64::from(batch.count)).sum();
        let all_there_are = count < u64::try_from(at_least).unwrap_or(u64::MAX);
        let oldest_end = batches.last().map_or(0, |batch| batch.to_ms);
        let last_wanted = limit.saturating_sub(1);
        let events = read(&batches, from_ms)?;
        let decided = events
            .get(last_wanted)
            .is_some_and(|last| last.at_ms >= oldest_end);
        if all_there_are || decided || at_least == usize::MAX {
            return Ok(batches);
        }
        at_least = at_least.saturating_mul(2);
    }
}

/// Reads the events of some batches, from `from_ms` on (Unix time, ms), newest first.
fn read(batches: &[Events], from_ms: u64) -> Result<Vec<StoredEvent<'_>>, Failure> {
    let mut all = Vec::new();
    for batch in batches {
        let events = stored::decode(batch).map_err(|error| Failure::Words(error.to_string()))?;
        all.extend(events.into_iter().filter(|event| event.at_ms >= from_ms));
    }
    all.sort_by_key(|event| Reverse((event.at_ms, event.attempt.id)));
    // A journal that is replayed may report an event again.
    all.dedup_by_key(|event| event.attempt.id);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use tollgate_ledger::events::stored::Writer;

    use super::*;
    use crate::cli::events::tests::event;

    #[test]
    fn an_event_that_was_told_twice_is_shown_once() {
        let batches = [(); 2].map(|()| {
            let mut batch = Writer::default();
            batch.push(&event().borrowed());
            batch.finish().unwrap()
        });
        assert_eq!(read(&batches, 0).unwrap().len(), 1);
    }
}
