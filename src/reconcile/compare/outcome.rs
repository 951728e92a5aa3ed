//! What a comparison came to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Day;

use super::tolerance::{Tolerance, show_percent, usd};
use crate::billed::Vendor;
use crate::day::{self, Period};
use crate::unit::Unit;

/// What most probably caused a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Another tier, speed or place was billed than was charged.
    TierOrVariant,
    /// The ledger's price is not the provider's.
    Price,
    /// A unit was counted otherwise: not at all, twice, or as another one.
    UsageShape,
    /// The provider served what did not come through the gateway.
    OutsideTraffic,
    /// The ledger charged what the provider did not bill.
    NotBilled,
    /// The provider's days are not those of UTC, or requests ended on the other side of midnight.
    TimeZone,
    /// One side has nothing of the day.
    MissingDays,
    /// What is known does not decide it.
    Unknown,
}

impl Cause {
    /// Returns its name, for people.
    pub fn words(self) -> &'static str {
        match self {
            Cause::TierOrVariant => "tier or variant",
            Cause::Price => "price",
            Cause::UsageShape => "usage shape",
            Cause::OutsideTraffic => "traffic outside the gateway",
            Cause::NotBilled => "charged, not billed",
            Cause::TimeZone => "time zone of the day",
            Cause::MissingDays => "missing days",
            Cause::Unknown => "not known",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// A cause, and what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it is.
    pub cause: Cause,
    /// What speaks for it, in a sentence.
    pub why: String,
}

/// A quantity on both sides; `None` is what a side does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantity {
    /// Of what.
    pub unit: Unit,
    /// As the ledger counted it.
    pub ledger: u64,
    /// As the provider reports it.
    pub billed: Option<u64>,
}

/// A day of a model and a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The day, UTC.
    #[serde(serialize_with = "day::serialize")]
    pub day: Day,
    /// The model; `(tools)` are those that no model is named for, `(all)` is everything.
    pub model: String,
    /// The key, if lines are split by it: the gateway's id, or the provider's if it is none of the gateway's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the ledger charged for the model, without the processing fee.
    #[serde(rename = "ledgerUsd", serialize_with = "usd")]
    pub ledger: NanoUsd,
    /// What the provider billed; `None` without a cost report.
    #[serde(rename = "billedUsd", serialize_with = "maybe_usd")]
    pub billed: Option<NanoUsd>,
    /// Billed less charged: above zero, the provider bills more than was charged.
    #[serde(rename = "driftUsd", serialize_with = "maybe_usd")]
    pub drift: Option<NanoUsd>,
    /// The drift in parts per million of what was billed; of what was charged, if nothing was.
    #[serde(rename = "driftPercent", serialize_with = "maybe_percent")]
    pub ppm: Option<i64>,
    /// Requests that the ledger counted.
    pub ledger_requests: u64,
    /// Requests that the provider counted.
    pub billed_requests: Option<u64>,
    /// Quantities of both sides.
    pub units: Vec<Quantity>,
    /// Whether both sides agree within the tolerance.
    pub matched: bool,
    /// Why they do not.
    #[serde(flatten)]
    pub finding: Option<Finding>,
}

/// Sums of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    /// Lines that match.
    pub matched: usize,
    /// Lines that do not.
    pub drifted: usize,
    /// What the ledger charged.
    #[serde(rename = "ledgerUsd", serialize_with = "usd")]
    pub ledger: NanoUsd,
    /// What the provider billed; `None` without a cost report.
    #[serde(rename = "billedUsd", serialize_with = "maybe_usd")]
    pub billed: Option<NanoUsd>,
    /// Billed less charged, of all lines.
    #[serde(rename = "driftUsd", serialize_with = "maybe_usd")]
    pub drift: Option<NanoUsd>,
    /// The same in parts per million of what was billed.
    #[serde(rename = "driftPercent", serialize_with = "maybe_percent")]
    pub ppm: Option<i64>,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The gateway's id of the provider.
    pub provider: String,
    /// Whose reports they were.
    pub vendor: Vendor,
    /// The days.
    #[serde(flatten)]
    pub period: Period,
    /// What is no drift.
    pub tolerance: Tolerance,
    /// Everything together.
    pub total: Total,
    /// By model.
    pub models: BTreeMap<String, Total>,
    /// Lines that do not match, and what they drift by, by cause.
    pub causes: BTreeMap<Cause, Total>,
    /// Day by day.
    pub lines: Vec<Line>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Adds lines up.
    pub(super) fn add_up(&mut self) {
        for line in &self.lines {
            self.total.add(line);
            self.models.entry(line.model.clone()).or_default().add(line);
            if let Some(finding) = &line.finding {
                self.causes.entry(finding.cause).or_default().add(line);
            }
        }
        let sums = self.models.values_mut().chain(self.causes.values_mut());
        for sum in sums.chain([&mut self.total]) {
            sum.ppm = sum.billed.and_then(|billed| ppm(sum.ledger, billed));
        }
    }

    /// Returns whether every line is within the tolerance.
    pub fn agrees(&self) -> bool {
        self.total.drifted == 0
    }
}

impl Total {
    fn add(&mut self, line: &Line) {
        if line.matched {
            self.matched += 1;
        } else {
            self.drifted += 1;
        }
        self.ledger += line.ledger;
        if let Some(billed) = line.billed {
            self.billed = Some(self.billed.unwrap_or_default() + billed);
        }
        if let Some(drift) = line.drift {
            self.drift = Some(self.drift.unwrap_or_default() + drift);
        }
    }
}

/// By how much `billed` is more than `ledger`, in parts per million of it; of the ledger's, if it is zero.
pub(super) fn ppm(ledger: NanoUsd, billed: NanoUsd) -> Option<i64> {
    let drift = i128::from(billed.0) - i128::from(ledger.0);
    let whole = if billed.0 == 0 { ledger.0 } else { billed.0 };
    let whole = i128::from(whole).abs();
    (whole > 0).then(|| i64::try_from(drift * 1_000_000 / whole).unwrap_or(i64::MAX))
}

fn maybe_usd<S: serde::Serializer>(
    amount: &Option<NanoUsd>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => usd(amount, serializer),
        None => serializer.serialize_none(),
    }
}

fn maybe_percent<S: serde::Serializer>(
    ppm: &Option<i64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match ppm {
        Some(ppm) => serializer.collect_str(&show_percent(*ppm)),
        None => serializer.serialize_none(),
    }
}
