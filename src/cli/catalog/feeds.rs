//! `tollgate catalog diff` and `accept`: what price feeds would change, and taking in what was held back.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tollgate_base::clock;
use tollgate_config::catalog::{Catalog, Kept};
use tollgate_config::feeds::{Change, LARGEST, Taken, read, take};
use tollgate_config::sources::read_linked;
use tollgate_config::types::PriceFormat;
use tollgate_config::{Config, PriceFeed};
use tollgate_ledger::tariff::{Holds, show_rate};

use crate::boot::feeds::{below, look};
use crate::boot::kept::{self, KeptPrices};
use crate::cli::failed;
use crate::cli::table::{plain, table};

/// The most faulty models that are named, for each feed.
const NAMED: usize = 20;

/// Which feed to compare with what holds.
#[derive(Debug, Args)]
pub struct Diff {
    /// A feed of the configuration, by its id. Default: all.
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    feed: Option<String>,
    /// A file instead, compared with what holds now.
    #[arg(long, value_name = "PATH", requires = "format")]
    file: Option<PathBuf>,
    /// How the file is written.
    #[arg(long, value_enum, requires = "file")]
    format: Option<Format>,
}

/// How a list of prices is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    GenaiPrices,
    Litellm,
    #[value(name = "models.dev")]
    ModelsDev,
    Tollgate,
}

impl From<Format> for PriceFormat {
    fn from(format: Format) -> PriceFormat {
        match format {
            Format::GenaiPrices => PriceFormat::GenaiPrices,
            Format::Litellm => PriceFormat::Litellm,
            Format::ModelsDev => PriceFormat::ModelsDev,
            Format::Tollgate => PriceFormat::Tollgate,
        }
    }
}

/// What to take in.
#[derive(Debug, Args)]
pub struct Accept {
    /// Of this feed of the configuration only, by its id.
    #[arg(long, value_name = "ID")]
    feed: Option<String>,
    /// Of these models only: `provider:model`, or an id. Default: all that are held back.
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
}

/// A configuration, and those of its feeds that the command is for, with their positions among all.
type Chosen<'c> = (&'c Config, Vec<(usize, &'c PriceFeed)>);

/// Returns the feed of this id, or all feeds if there is no id; or why there are none.
fn chosen<'c>(config: Option<&'c Config>, feed: Option<&str>) -> Result<Chosen<'c>, String> {
    let config = config.ok_or("which configuration's feeds? Name it with --config")?;
    let all = config.feeds.feeds.iter().enumerate();
    let chosen: Vec<_> = all
        .filter(|(_, known)| feed.is_none_or(|feed| *known.id == *feed))
        .collect();
    if chosen.is_empty() {
        let ids: Vec<&str> = config.feeds.feeds.iter().map(|feed| &*feed.id).collect();
        return Err(match (feed, &ids[..]) {
            (_, []) => {
                "the configuration has no price feeds: write them under `catalog.feeds`".to_owned()
            }
            (feed, ids) => format!(
                "there is no feed `{}`: there are {}",
                feed.unwrap_or_default(),
                ids.join(", ")
            ),
        });
    }
    Ok((config, chosen))
}

impl Diff {
    /// Prints what would change. The exit code is 1 if anything would, 2 if a feed cannot be read.
    pub fn run(&self, config: Option<&Config>, as_json: bool) -> io::Result<ExitCode> {
        let compared = match (&self.file, self.format) {
            (Some(file), Some(format)) => {
                of_file(config, file, format.into()).map(|taken| vec![taken])
            }
            _ => chosen(config, self.feed.as_deref()).and_then(|(config, chosen)| {
                let compared = chosen.into_iter().map(|(place, feed)| {
                    let with_id = |fault| format!("the price feed `{}`: {fault}", feed.id);
                    of_feed(config, place, feed).map_err(with_id)
                });
                compared.collect()
            }),
        };
        let compared: Vec<(String, Taken)> = match compared {
            Ok(compared) => compared,
            Err(fault) => return failed(plain(&fault), ExitCode::from(2)),
        };
        let changes = || {
            compared
                .iter()
                .flat_map(|(feed, taken)| taken.changes.iter().map(move |it| (feed, taken, it)))
        };
        let is_held = |taken: &Taken, change: &Change| taken.kept.held.contains_key(&change.name);
        if as_json {
            let all: Value = changes()
                .map(|(feed, taken, it)| as_value(feed, it, is_held(taken, it)))
                .collect();
            writeln!(io::stdout(), "{all:#}")?;
        } else {
            let rows: Vec<[String; 10]> = changes()
                .map(|(feed, taken, it)| row(feed, it, is_held(taken, it)))
                .collect();
            let head = [
                "FEED", "MODEL", "SERVED", "HOLDS", "UNIT", "PROMPT", "OLD", "NEW", "FACTOR",
                "HELD",
            ];
            if !rows.is_empty() {
                // From PROMPT to FACTOR.
                let flush_right = [5, 6, 7, 8];
                writeln!(io::stdout(), "{}\n", table(head, &rows, &flush_right))?;
            }
            for (feed, taken) in &compared {
                writeln!(io::stdout(), "{}", summary(feed, taken))?;
            }
        }
        for (feed, taken) in &compared {
            for (name, fault) in taken.faulty.iter().take(NAMED) {
                let line = format!("the price feed `{feed}`: {name} stays as it is: {fault}");
                writeln!(io::stderr(), "tollgate: {}", plain(&line))?;
            }
        }
        // A model with too many ways of serving to compare is held back without a single change in the list.
        let any = compared
            .iter()
            .any(|(_, taken)| !taken.changes.is_empty() || !taken.kept.held.is_empty());
        Ok(if any {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// Compares a feed with what holds: the feeds before `place`, and what is kept of itself.
fn of_feed(config: &Config, place: usize, feed: &PriceFeed) -> Result<(String, Taken), String> {
    let kept = kept::read(&config.feeds, &feed.id)?.unwrap_or_default();
    let prices = look(config, feed)?;
    let below = below(&config.feeds, place);
    let taken = take(&feed.id, &below, &kept, prices, clock::unix().as_secs());
    Ok((feed.id.to_string(), taken))
}

/// Compares a file with what holds: all feeds of the configuration, or what is built in if there is none.
fn of_file(
    config: Option<&Config>,
    file: &Path,
    format: PriceFormat,
) -> Result<(String, Taken), String> {
    let with_path = |fault: String| format!("{}: {fault}", file.display());
    let bytes = read_linked(file, LARGEST).map_err(|error| with_path(error.to_string()))?;
    let (known, below) = match config {
        Some(config) => {
            let feeds = &config.feeds;
            (config.catalog.clone(), below(feeds, feeds.feeds.len()))
        }
        None => (Arc::new(Catalog::built_in()), Catalog::built_in()),
    };
    let prices = read(format, &bytes, &known, None).map_err(with_path)?;
    let name = format.name();
    let taken = take(
        name,
        &below,
        &Kept::default(),
        prices,
        clock::unix().as_secs(),
    );
    Ok((name.to_owned(), taken))
}

/// Returns a price (pico-dollars each) as text; `?` where there is none.
fn price(change: &Change, pico: Option<u64>) -> String {
    pico.map_or_else(|| "?".to_owned(), |pico| show_rate(change.unit, pico))
}

/// Returns the new price divided by the old one, to the thousandth; `None` where one of them is zero or not known.
fn factor(change: &Change) -> Option<String> {
    let (old, new) = (
        change.old.filter(|old| *old > 0)?,
        change.new.filter(|new| *new > 0)?,
    );
    let thousandths = (u128::from(new) * 1_000 + u128::from(old) / 2) / u128::from(old);
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

fn row(feed: &str, change: &Change, held: bool) -> [String; 10] {
    let mark = match (held, change.wild) {
        (true, true) => "held",
        // Held back because another price of the same model is wild.
        (true, false) => "with it",
        (false, _) => "",
    };
    [
        feed.to_owned(),
        change.name.to_string(),
        match change.when.is_standard() {
            true => "usual".to_owned(),
            false => change.when.to_string(),
        },
        match change.holds {
            Holds::Always => "now".to_owned(),
            Holds::From(_) => format!("from {}", change.holds),
            Holds::Daily(..) => change.holds.to_string(),
        },
        change.unit.name().to_owned(),
        change
            .above
            .map_or_else(String::new, |above| format!("> {above}")),
        price(change, change.old),
        price(change, change.new),
        factor(change).map_or_else(String::new, |factor| format!("× {factor}")),
        mark.to_owned(),
    ]
}

fn as_value(feed: &str, change: &Change, held: bool) -> Value {
    let rate = |pico: Option<u64>| pico.map(|pico| show_rate(change.unit, pico));
    json!({
        "feed": feed,
        "model": change.name.to_string(),
        "when": change.when.to_string(),
        "holds": change.holds.to_string(),
        "unit": change.unit.name(),
        "above": change.above,
        "old": rate(change.old),
        "new": rate(change.new),
        "factor": factor(change),
        "wild": change.wild,
        "held": held,
    })
}

fn summary(feed: &str, taken: &Taken) -> String {
    let mut models: Vec<_> = taken.changes.iter().map(|change| &change.name).collect();
    // The changes of one model stand together.
    models.dedup();
    let changed = models
        .iter()
        .filter(|name| !taken.kept.held.contains_key(**name))
        .count();
    format!(
        "{feed}: {changed} models would change, {} would be held back, {} are not understood, {} are no longer in it",
        taken.kept.held.len(),
        taken.faulty.len(),
        taken.gone
    )
}

impl Accept {
    /// Takes in what was held back, and prints of which models. The exit code is 1 if there is nothing to take in, 2 if
    /// what is kept cannot be read or written.
    pub fn run(&self, config: Option<&Config>, as_json: bool) -> io::Result<ExitCode> {
        let mut accepted = Vec::new();
        let done = chosen(config, self.feed.as_deref()).and_then(|(config, chosen)| {
            let prices = KeptPrices::open(&config.feeds)?;
            for (_, feed) in chosen {
                let mut kept = prices.read(&feed.id)?.unwrap_or_default();
                let names = kept.accept(&self.models, clock::unix().as_secs());
                if !names.is_empty() {
                    prices.write(&feed.id, &kept)?;
                }
                accepted.extend(names.into_iter().map(|name| (feed.id.clone(), name)));
            }
            Ok(())
        });
        if as_json {
            let all = accepted.iter();
            let all: Value = all
                .map(|(feed, name)| json!({"feed": **feed, "model": name.to_string()}))
                .collect();
            writeln!(io::stdout(), "{all:#}")?;
        } else {
            for (feed, name) in &accepted {
                writeln!(io::stdout(), "{feed}: {name} taken in")?;
            }
        }
        if let Err(fault) = done {
            return failed(plain(&fault), ExitCode::from(2));
        }
        if accepted.is_empty() {
            return failed("nothing of that is held back", ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}
