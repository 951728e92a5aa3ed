//! Usage as files for other programs, written one row at a time to whatever takes bytes.
//!
//! - `focus`: the FinOps Open Cost and Usage Specification 1.2, as CSV;
//! - `csv`: a row an attempt;
//! - `jsonl`: an object an attempt, one a line.
//!
//! Amounts are decimal text and exact: the rows of an event add up to what the ledger charged for it. A text of CSV that a
//! spreadsheet would take for a formula has a `'` in front: ids and names are what callers and tenants made them.

mod csv;
mod focus;
mod jsonl;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use tollgate_ledger::NanoUsd;

use crate::unit::Unit;

/// How usage is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// FOCUS 1.2.
    Focus,
    /// Comma-separated values.
    Csv,
    /// JSON lines.
    Jsonl,
}

/// A part of what an attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What.
    pub unit: Unit,
    /// How much.
    pub quantity: u64,
    /// Pico-dollars (10⁻¹² USD) for one; `None` if the event does not say.
    pub rate: Option<u64>,
}

/// An attempt, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Unique among all events.
    pub id: &'a str,
    /// When it was over (Unix time, ms).
    pub at_ms: u64,
    /// Shared by the attempts of a request.
    pub request_id: &'a str,
    /// Who was charged.
    pub account: &'a str,
    /// The access key's id.
    pub access_key: &'a str,
    /// The API shape that was called.
    pub surface: &'a str,
    /// The provider's id.
    pub provider: &'a str,
    /// The provider's name, for people.
    pub provider_name: &'a str,
    /// The model's id.
    pub model: &'a str,
    /// The model's name, for people.
    pub model_name: &'a str,
    /// The context that was served, if it is known.
    pub variant: Option<&'a str>,
    /// The attempt's place in its request, from 1.
    pub attempt: u32,
    /// Whether the request ended with it.
    pub is_final: bool,
    /// The provider's HTTP status; 0 without an answer.
    pub status: u16,
    /// How it ended.
    pub outcome: &'a str,
    /// Whether it was a stream.
    pub streaming: bool,
    /// Whether the operator's key paid the provider.
    pub managed: bool,
    /// The provider key's id, if it may be named.
    pub provider_key: Option<&'a str>,
    /// What was used, nothing twice.
    pub parts: Vec<Part>,
    /// What the client says that the request is for: names and values.
    pub tags: Vec<(&'a str, &'a str)>,
    /// What was charged for the model.
    pub cost: NanoUsd,
    /// What was charged for the gateway.
    pub fee: NanoUsd,
    /// Pico-dollars of that for each token; `None` if the event does not say.
    pub fee_rate: Option<u64>,
    /// Whether the quantities are the gateway's own count.
    pub estimated: bool,
    /// Whether it was charged at its estimate because the process died.
    pub orphaned: bool,
    /// Whether a price was assumed.
    pub assumed: bool,
    /// From its start to its end (ms).
    pub latency_ms: u64,
}

impl Entry<'_> {
    /// How much of some units was used.
    fn sum(&self, takes: impl Fn(Unit) -> bool) -> u64 {
        let parts = self.parts.iter().filter(|part| takes(part.unit));
        parts.fold(0, |sum, part| sum.saturating_add(part.quantity))
    }

    /// Prompt and answer tokens together.
    fn tokens(&self) -> u64 {
        self.sum(Unit::is_tokens)
    }
}

impl Format {
    /// Writes what a file begins with.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn head(self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Format::Focus => focus::head(out),
            Format::Csv => csv::head(out),
            Format::Jsonl => Ok(()),
        }
    }

    /// Writes an attempt; how many rows it made.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(self, out: &mut impl Write, entry: &Entry<'_>) -> io::Result<u64> {
        match self {
            Format::Focus => focus::rows(out, entry),
            Format::Csv => csv::row(out, entry).map(|()| 1),
            Format::Jsonl => jsonl::line(out, entry).map(|()| 1),
        }
    }
}

/// Writes a line of cells, quoted where they must be.
fn line<'c>(out: &mut impl Write, cells: impl Iterator<Item = &'c str>) -> io::Result<()> {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        let guard = if is_formula(cell) { "'" } else { "" };
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{guard}{}\"", cell.replace('"', "\"\""))?;
        } else {
            write!(out, "{guard}{cell}")?;
        }
    }
    out.write_all(b"\n")
}

/// Whether a spreadsheet would take a cell for a formula; a number is none, negative as it may be.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err()
}

/// A Unix time (ms) as `2026-11-29T05:06:07.089Z`.
fn time(ms: u64) -> String {
    let since = std::time::Duration::from_millis(ms);
    let time = std::time::UNIX_EPOCH.checked_add(since);
    tollgate_base::Timestamp(time.unwrap_or(std::time::UNIX_EPOCH)).to_string()
}
