//! `tollgate reconcile`.

mod fetch;
mod show;

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tollgate_base::clock;
use tollgate_config::Config;
use tollgate_ledger::bank::Day;
use tollgate_ledger::events::stored::StoredEvent;
use tollgate_ledger::{KeyKind, NanoUsd};
use tollgate_reconcile::compare::Tolerance;
use tollgate_reconcile::report::{self, Reading};
use tollgate_reconcile::{
    Charged, Ledger, Outcome, Period, Request, compare, day_of, parse_day, parse_usd, show_count,
    show_day,
};

use super::events::{Read, every};
use super::export::period;
use super::ledger::{Failure, Opened, with_bank};
use super::progress::Progress;
use super::table::{date, plain};
use super::{From, ended, failed};

/// What could not be compared, ends with this; clap's own exit code for a wrong command line is the same.
const FAILED: u8 = 2;

/// Most bytes of all of a report's files together.
const REPORT: u64 = 512 << 20;

/// Most days that are compared at once.
const DAYS: u32 = 366;

/// Milliseconds in a day.
const DAY_MS: u64 = 86_400_000;

/// What to compare.
#[derive(Debug, Args)]
pub struct Reconcile {
    #[command(flatten)]
    pub config: From,
    /// The provider, by its id in the configuration.
    #[arg(long, value_name = "ID")]
    pub provider: String,
    /// The first day, UTC.
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub from: Day,
    /// The last day, UTC.
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub to: Day,
    /// The provider's figures: pages of its API, saved as JSON, or tables that its console exports; costs, usage, or
    /// better both.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        required_unless_present = "fetch",
        conflicts_with = "fetch"
    )]
    pub report: Vec<PathBuf>,
    /// Fetch the figures from the provider's API, with an admin key.
    #[arg(long)]
    pub fetch: bool,
    /// Whose API it is, where the provider's id does not say so.
    #[arg(long, value_enum, requires = "fetch")]
    pub api: Option<Api>,
    /// The environment variable that has the admin key; OPENAI_ADMIN_KEY or ANTHROPIC_ADMIN_KEY unless this says
    /// otherwise.
    #[arg(
        long,
        value_name = "NAME",
        requires = "fetch",
        conflicts_with = "key_file"
    )]
    pub key_env: Option<String>,
    /// A file that has the admin key.
    #[arg(long, value_name = "FILE", requires = "fetch")]
    pub key_file: Option<PathBuf>,
    /// Where the API is, if not at the provider's own address; https only.
    #[arg(long, value_name = "URL", requires = "fetch")]
    pub url: Option<String>,
    /// A file with the certificate authorities to trust for it (PEM), instead of the system's.
    #[arg(long, value_name = "FILE", requires = "fetch")]
    pub ca: Option<PathBuf>,
    /// What is no drift, in per cent of a line.
    #[arg(long, value_name = "PERCENT", default_value = "0.1", value_parser = Tolerance::parse_percent)]
    pub tolerance: u32,
    /// What is no drift, in US dollars, however small the line.
    #[arg(long, value_name = "USD", default_value = "0.00001", value_parser = floor)]
    pub floor: NanoUsd,
    /// Which of the provider's keys is which of the gateway's, where they are not found by name or by use; may be
    /// repeated.
    #[arg(long = "key", value_name = "OURS=THEIRS", value_parser = pair)]
    pub keys: Vec<(String, String)>,
    /// Show the lines that match as well.
    #[arg(long)]
    pub all: bool,
    /// Leave a report as JSON, with every line and what speaks for its cause.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// An API of usage and costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// OpenAI's organization costs and usage.
    Openai,
    /// Anthropic's usage and cost reports.
    Anthropic,
}

fn floor(text: &str) -> Result<NanoUsd, String> {
    let floor = parse_usd(text)?;
    if floor < NanoUsd::ZERO {
        return Err("it cannot be below zero".to_owned());
    }
    Ok(floor)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((ours, theirs)) if !ours.is_empty() && !theirs.is_empty() => {
            Ok((ours.to_owned(), theirs.to_owned()))
        }
        _ => Err(
            "expected the gateway's id of a key and the provider's, such as house=key_abc"
                .to_owned(),
        ),
    }
}

pub fn run(asked: &Reconcile) -> io::Result<ExitCode> {
    // The report comes first: what cannot be read is refused before anything is opened.
    let reading = match read(asked) {
        Ok(reading) => reading,
        Err(words) => return failed(words, ExitCode::from(FAILED)),
    };
    with_bank(
        &asked.config.config,
        ExitCode::from(FAILED),
        async |opened, config| {
            let period = period(asked.from, asked.to).map_err(Failure::Words)?;
            let gathered = gather(asked, period, opened, config).await?;
            known(asked, config, &gathered)?;
            let mut outcome = compare(&Request {
                provider: &asked.provider,
                ledger: &gathered.ledger,
                reading: &reading,
                period,
                tolerance: Tolerance {
                    ppm: asked.tolerance,
                    floor: asked.floor,
                },
                keys: &asked.keys,
            });
            if gathered.own > 0 {
                outcome.notes.push(format!(
                    "{} attempts used callers' own keys, which their owners are billed for, and are not compared",
                    show_count(gathered.own)
                ));
            }
            let today = day_of(clock::unix().as_secs());
            if period.to >= today {
                outcome.notes.push(format!(
                    "{} is not over, and providers' reports are some time behind",
                    show_day(today)
                ));
            }
            if let Some(path) = &asked.json {
                leave(path, &outcome)?;
            }
            let text = show::text(&outcome, asked.all);
            let written = writeln!(io::stdout(), "{text}");
            let code = ExitCode::from(u8::from(!outcome.agrees()));
            Ok(ended(written, code)?)
        },
    )
}

/// The provider's side.
fn read(asked: &Reconcile) -> Result<Reading, String> {
    let period = period(asked.from, asked.to)?;
    if period.to.0 - period.from.0 >= DAYS {
        return Err(format!("at most {DAYS} days are compared at once"));
    }
    let files = if asked.fetch {
        fetch::files(asked, period)?
    } else {
        saved(&asked.report)?
    };
    let files: Vec<report::File<'_>> = files
        .iter()
        .map(|(name, text)| report::File { name, text })
        .collect();
    report::read(&files, period).map_err(|fault| fault.to_string())
}

/// The texts of files, by their names.
fn saved(paths: &[PathBuf]) -> Result<Vec<(String, String)>, String> {
    let mut left = REPORT;
    let mut files = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let wrong = |error: &dyn std::fmt::Display| format!("{name}: it cannot be read: {error}");
        let file = File::open(path).map_err(|error| wrong(&error))?;
        let mut bytes = Vec::new();
        let read = file.take(left + 1).read_to_end(&mut bytes);
        read.map_err(|error| wrong(&error))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(size).ok_or_else(|| {
            wrong(&format_args!(
                "the report is longer than {} MiB: compare fewer days",
                REPORT >> 20
            ))
        })?;
        let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not UTF-8 text"))?;
        files.push((name, text));
    }
    Ok(files)
}

/// The ledger's side.
struct Gathered {
    ledger: Ledger,
    /// Attempts that went to the provider on the operator's keys, and on callers' own.
    managed: u64,
    own: u64,
}

async fn gather(
    asked: &Reconcile,
    period: Period,
    opened: &Opened,
    config: &Config,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered {
        ledger: Ledger::default(),
        managed: 0,
        own: 0,
    };
    let (from, to) = period.seconds();
    // A day before and after it, for providers whose days are not those of UTC.
    let time = (
        (from * 1_000).saturating_sub(DAY_MS),
        to * 1_000 + DAY_MS - 1,
    );
    let fee = config.ledger.processing_fee;
    let mut progress = Progress::begin();
    let mut read = 0u64;
    for account in opened.bank.accounts().await? {
        let show = |event: &StoredEvent<'_>| -> Option<(bool, Option<Charged>)> {
            (event.attempt.provider.id == asked.provider).then(|| {
                let own = event.attempt.key_kind() == KeyKind::User;
                (own, Read::of(event, fee).charged())
            })
        };
        every(&*opened.bank, &account, time, show, |page, oldest| {
            for (own, charged) in page.into_iter().flatten() {
                gathered.own += u64::from(own);
                gathered.managed += u64::from(!own);
                if let Some(charged) = charged {
                    let added = gathered.ledger.add(charged);
                    added.map_err(|error| Failure::Words(error.to_string()))?;
                }
                read += 1;
            }
            progress.say(|| {
                let back = date(oldest / 1_000);
                format!(
                    "{} events of {} read, back to {back}",
                    show_count(read),
                    plain(&asked.provider)
                )
            });
            Ok(())
        })
        .await?;
    }
    Ok(gathered)
}

/// Refuses a provider that neither the configuration nor the ledger knows.
fn known(asked: &Reconcile, config: &Config, gathered: &Gathered) -> Result<(), Failure> {
    let there = gathered.managed > 0
        || gathered.own > 0
        || config.catalog.provider(&asked.provider).is_some();
    if there {
        return Ok(());
    }
    let ids = config.providers.iter().map(|provider| provider.id.as_str());
    let ids: Vec<String> = ids.map(plain).collect();
    Err(Failure::Words(format!(
        "there is no provider `{}`, in the configuration or in the ledger; the configuration has: {}",
        plain(&asked.provider),
        ids.join(", ")
    )))
}

/// Writes the report.
fn leave(path: &Path, outcome: &Outcome) -> Result<(), Failure> {
    let wrong =
        |error: io::Error| Failure::Words(format!("{} cannot be written: {error}", path.display()));
    let mut text =
        serde_json::to_string_pretty(outcome).map_err(|error| Failure::Words(error.to_string()))?;
    text.push('\n');
    std::fs::write(path, text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_paired_by_an_equals_sign() {
        assert_eq!(
            pair("house=key_abc=1"),
            Ok(("house".to_owned(), "key_abc=1".to_owned()))
        );
        for text in ["", "house", "=key", "house="] {
            assert!(pair(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_floor_is_an_amount() {
        assert_eq!(floor("0.001"), Ok(NanoUsd(1_000_000)));
        assert!(floor("-1").is_err() && floor("much").is_err());
    }
}
