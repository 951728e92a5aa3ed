//! Puts what the ledger charged beside what a provider billed, and says why they differ.
//!
//! Lines are split by day and model, and by key where the provider's costs are. What decides is money, if there is a
//! cost report, else quantities. Of each line that is off, the most probable cause is named; what is asked, in order:
//!
//! 1. Do the ledger's hours, put into the days of another time zone, give what was billed on every day? Or do days beside
//!    each other make up for each other? *Time zone of the day.*
//! 2. Is it a key that the gateway does not have? *Traffic outside the gateway.*
//! 3. Has one side nothing at all of that day? *Missing days.*
//! 4. Do the quantities agree? Then it is what they are multiplied with: a *tier or variant*, if the provider names
//!    another one than the ledger, or if neither says and the costs are in a ratio that tiers are in; else the *price*.
//! 5. Are whole requests missing, that is, has one side more requests and more of everything? If the provider has, it is
//!    *traffic outside the gateway*; if the ledger has, it is *charged, not billed*.
//! 6. Does a single unit differ, or all while the requests agree? *Usage shape.*

mod cause;
mod keys;
mod names;
mod outcome;
mod series;
mod side;
#[cfg(test)]
mod tests;
mod tolerance;

use std::collections::BTreeMap;

pub use outcome::{Cause, Finding, Line, Outcome, Quantity, Total};
pub use tolerance::{Tolerance, show_percent};

use crate::charged::Ledger;
use crate::day::Period;
use crate::report::Reading;
use cause::Judge;
use series::{Sides, Thing};
use side::{Side, beside};
use tollgate_ledger::bank::Day;

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The gateway's id of the provider.
    pub provider: &'a str,
    /// The ledger's side: of the period, and a day before and after it for other time zones.
    pub ledger: &'a Ledger,
    /// The provider's side.
    pub reading: &'a Reading,
    /// The days.
    pub period: Period,
    /// What is no drift.
    pub tolerance: Tolerance,
    /// Which of the provider's keys is which of the gateway's: its id, and the provider's.
    pub keys: &'a [(String, String)],
}

/// Compares.
pub fn compare(request: &Request<'_>) -> Outcome {
    let sides = Sides::of(request);
    let judge = Judge::new(request, &sides);
    let mut lines = Vec::new();
    for ((thing, key), series) in &sides.series {
        let ledger = series.ledger(0);
        let days: BTreeMap<Day, (&Side, &Side)> = request
            .period
            .days()
            .filter_map(|day| {
                let ledger = ledger.get(&day).unwrap_or(&judge.nothing);
                let billed = series.billed.get(&day).unwrap_or(&judge.nothing);
                let used = !ledger.is_nothing() || !billed.is_nothing();
                used.then_some((day, (ledger, billed)))
            })
            .collect();
        let findings = judge.findings(key.as_deref(), series, &days);
        for (day, (ledger, billed)) in &days {
            let finding = findings.get(day).cloned();
            lines.push(line(
                request,
                *day,
                thing,
                key.clone(),
                (ledger, billed),
                finding,
            ));
        }
    }
    lines.sort_by(|one, other| {
        (one.day, &one.model, &one.key).cmp(&(other.day, &other.model, &other.key))
    });
    let mut notes: Vec<String> = request.reading.notes.clone();
    for note in &sides.notes {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    let mut outcome = Outcome {
        provider: request.provider.to_owned(),
        vendor: request.reading.vendor,
        period: request.period,
        tolerance: request.tolerance,
        total: Total::default(),
        models: BTreeMap::new(),
        causes: BTreeMap::new(),
        notes,
        lines,
    };
    outcome.add_up();
    outcome
}

fn line(
    request: &Request<'_>,
    day: Day,
    thing: &Thing,
    key: Option<String>,
    (ledger, billed): (&Side, &Side),
    finding: Option<Finding>,
) -> Line {
    let cost = request.reading.has_costs.then_some(billed.cost);
    let units = beside(ledger, billed).into_iter().map(|both| Quantity {
        unit: both.unit,
        ledger: both.ledger.quantity,
        billed: billed.has_usage.then_some(both.billed.quantity),
    });
    Line {
        day,
        model: match thing {
            Thing::Model(model) => model.clone(),
            Thing::Tools => "(tools)".to_owned(),
            Thing::All => "(all)".to_owned(),
        },
        key,
        ledger: ledger.cost,
        billed: cost,
        drift: cost.map(|cost| cost - ledger.cost),
        ppm: cost.and_then(|cost| outcome::ppm(ledger.cost, cost)),
        ledger_requests: ledger.requests.unwrap_or(0),
        billed_requests: billed.requests,
        units: units.collect(),
        matched: finding.is_none(),
        finding,
    }
}
