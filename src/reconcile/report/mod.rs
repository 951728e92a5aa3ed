//! The providers' own figures: pages of their administrative APIs, as they were saved or fetched, and the tables that
//! their consoles export; in one form.
//!
//! Each file says by itself what it is. Files of costs and of usage may be given together, and are better together:
//! costs say what drifts, quantities say why. A report in another currency, with a page or a day that is missing, or
//! with a figure that cannot be read, is refused as a whole.

mod anthropic;
mod console;
mod csv;
mod fault;
mod json;
mod money;
mod openai;
mod page;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;

pub use fault::Fault;

use crate::billed::{Billed, Vendor};
use crate::charged::MOST_MONEY;
use crate::day::{DAY, Period, day_of, show_day};
use fault::shown;
use json::{Fields, Source, documents};
use page::{Kind, Page};

/// A report's file.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// All of its text.
    pub text: &'a str,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Whose reports they are.
    pub vendor: Vendor,
    /// Their figures, of the days that were asked for.
    pub rows: Vec<Billed>,
    /// Whether there is a cost report among them.
    pub has_costs: bool,
    /// Whether there is a usage report among them.
    pub has_usage: bool,
    /// What is worth knowing about them.
    pub notes: Vec<String>,
}

/// Reads the files of a report.
///
/// # Errors
/// The first fault that is found: what cannot be read, another currency, a missing page or day, a page given twice.
pub fn read(files: &[File<'_>], period: Period) -> Result<Reading, Fault> {
    let mut pages: Vec<Page> = Vec::new();
    let mut notes = Vec::new();
    for file in files {
        let text = file.text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with(['{', '[']) {
            let source = Source {
                name: file.name,
                text,
            };
            for document in documents(source)? {
                pages.push(of_api(&document.fields()?, &mut notes)?);
            }
        } else {
            pages.push(console::page(file.name, text)?);
        }
    }
    let Some(first) = pages.first() else {
        return Err(Fault::of("the report", "no file was given"));
    };
    let vendor = first.vendor;
    if let Some(other) = pages.iter().find(|page| page.vendor != vendor) {
        return Err(other.fault(format!(
            "this is a report of {}, and {} is one of {}: compare one provider at a time",
            other.vendor.name(),
            first.file,
            vendor.name()
        )));
    }
    page::check(&pages, period)?;
    let file = first.file.clone();
    let reading = gather(vendor, pages, period, notes);
    countable(&file, &reading.rows)?;
    Ok(reading)
}

/// A page of one of the APIs.
fn of_api(document: &Fields<'_>, notes: &mut Vec<String>) -> Result<Page, Fault> {
    if let Some(error) = document.get("error") {
        let message = match error.fields() {
            Ok(fields) => fields.text("message")?,
            Err(_) => error.text().ok(),
        };
        let message = shown(&message.unwrap_or_default());
        return Err(error.fault(format!(
            "this is not a report but the answer to a request that failed: {message}"
        )));
    }
    let data = document.required("data")?.items()?;
    let first = data.first().map(|bucket| bucket.fields()).transpose()?;
    let starts = |name: &str| first.as_ref().is_some_and(|bucket| bucket.has(name));
    if starts("start_time") || first.is_none() && document.has("object") {
        openai::API.page(document, notes)
    } else if starts("starting_at") {
        anthropic::API.page(document, notes)
    } else {
        Err(document.node.fault(
            "expected a page of OpenAI's organization costs or usage (buckets with `start_time`), or of Anthropic's \
             usage or cost report (buckets with `starting_at`)",
        ))
    }
}

/// Refuses what overflows when it is added up.
fn countable(file: &str, rows: &[Billed]) -> Result<(), Fault> {
    let money = rows.iter().map(|row| {
        let cost = row.cost.unwrap_or_default();
        i128::from(cost.0).abs() + i128::from(row.rounding.0)
    });
    let used = rows
        .iter()
        .map(|row| u128::from(row.quantity.unwrap_or(0)) + u128::from(row.requests.unwrap_or(0)));
    let what = if money.sum::<i128>() > i128::from(MOST_MONEY.0) {
        "the costs"
    } else if used.sum::<u128>() > u128::from(u64::MAX / 4) {
        "the quantities"
    } else {
        return Ok(());
    };
    Err(Fault::of(
        file,
        format!(
            "{what} of this report come to more than can be counted: compare fewer days at once"
        ),
    ))
}

fn gather(vendor: Vendor, pages: Vec<Page>, period: Period, mut notes: Vec<String>) -> Reading {
    let is_usage = |page: &Page| matches!(page.kind, Some(Kind::Usage(_)));
    let has_usage = pages.iter().any(is_usage);
    // A report in which nothing was used at all is one of costs.
    let has_costs = !has_usage || pages.iter().any(|page| page.kind == Some(Kind::Costs));
    let buckets = pages.into_iter().flat_map(|page| page.buckets);
    let mut rows = Vec::new();
    let mut skewed = None;
    for bucket in buckets {
        let day = day_of(bucket.start);
        if !period.has(day) {
            continue;
        }
        if bucket.start % DAY != 0 && bucket.end - bucket.start == DAY {
            skewed = skewed.or(Some((day, bucket.start % DAY)));
        }
        rows.extend(bucket.entries.into_iter().flat_map(|entry| entry.rows));
    }
    if let Some((day, seconds)) = skewed {
        notes.push(format!(
            "the report's {} begins at {:02}:{:02} UTC, not at midnight",
            show_day(day),
            seconds / 3_600,
            seconds / 60 % 60
        ));
    }
    let notes: BTreeSet<String> = notes.into_iter().collect();
    Reading {
        vendor,
        rows,
        has_costs,
        has_usage,
        notes: notes.into_iter().collect(),
    }
}
