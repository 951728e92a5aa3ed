//! Why a line is off.

use std::collections::BTreeMap;

use tollgate_ledger::bank::Day;

use super::Request;
use super::outcome::{Cause, Finding};
use super::series::{Series, Sides};
use super::side::{Beside, Side, beside};
use super::tolerance::Tolerance;
use crate::charged::Used;
use crate::day::show_day;
use crate::decimal::{self, show_count as count};
use crate::unit::Unit;

mod money;
mod quantity;

/// Hours that a place's time may be ahead of UTC, or behind it.
const HOURS: i32 = 14;

/// The most days that make up for each other: what ends on the other side of midnight needs two or three, and years of
/// drift would take hours with more.
const LONGEST_RUN: usize = 7;

/// How many times more costs differ than quantities that are not why.
const FAR_LESS: u128 = 5;

/// Judges lines.
pub(super) struct Judge<'a> {
    request: &'a Request<'a>,
    sides: &'a Sides,
    /// Days of which either side has anything, of any model.
    ledger_days: BTreeMap<Day, bool>,
    billed_days: BTreeMap<Day, bool>,
    /// A side that says nothing.
    pub(super) nothing: Side,
}

/// A series' days, each with the ledger's side and the provider's.
pub(super) type Days<'s> = BTreeMap<Day, (&'s Side, &'s Side)>;

impl<'a> Judge<'a> {
    pub(super) fn new(request: &'a Request<'a>, sides: &'a Sides) -> Judge<'a> {
        let series = || sides.series.values();
        let ledger = series().flat_map(|series| series.hours.keys());
        let ledger = ledger.map(|hour| (hour.day(0), true));
        let billed = series().flat_map(|series| &series.billed);
        let billed = billed.filter(|(_, side)| !side.is_nothing());
        Judge {
            request,
            sides,
            ledger_days: ledger.collect(),
            billed_days: billed.map(|(day, _)| (*day, true)).collect(),
            nothing: Side::default(),
        }
    }

    fn tolerance(&self) -> &Tolerance {
        &self.request.tolerance
    }

    /// Of the days of a series that do not match, why.
    pub(super) fn findings(
        &self,
        key: Option<&str>,
        series: &Series,
        days: &Days<'_>,
    ) -> BTreeMap<Day, Finding> {
        let off: Vec<Day> = days
            .iter()
            .filter(|(_, (ledger, billed))| !self.matches(ledger, billed))
            .map(|(day, _)| *day)
            .collect();
        if off.is_empty() {
            return BTreeMap::new();
        }
        let elsewhere = self.time_zone(series, days);
        let found = off.iter().map(|day| {
            let (ledger, billed) = days[day];
            let finding = elsewhere
                .clone()
                .or_else(|| self.neighbours(*day, &off, days))
                .or_else(|| self.stranger(key))
                .or_else(|| self.missing(*day))
                .unwrap_or_else(|| self.of_line(*day, (ledger, billed), &off, days));
            (*day, finding)
        });
        found.collect()
    }

    /// Whether both sides agree: in money if there is any, else in quantities and contexts.
    fn matches(&self, ledger: &Side, billed: &Side) -> bool {
        if self.request.reading.has_costs {
            return self
                .tolerance()
                .allows(ledger.cost, billed.cost, billed.rounding);
        }
        self.same_quantities(&beside(ledger, billed))
            && self.other_context(ledger, billed).is_none()
    }

    fn same_quantities(&self, units: &[Beside]) -> bool {
        units.iter().all(|both| {
            self.tolerance()
                .same(both.ledger.quantity, both.billed.quantity)
        })
    }

    /// Whether the quantities are the same, or differ by far less than the costs do: then they are not why.
    fn hardly_differ(&self, ledger: &Side, billed: &Side, units: &[Beside]) -> bool {
        let costs = [ledger.cost, billed.cost].map(|cost| u128::from(cost.0.unsigned_abs()));
        let (apart, larger) = (costs[0].abs_diff(costs[1]), costs[0].max(costs[1]));
        units.iter().all(|both| {
            let (ours, theirs) = (both.ledger.quantity, both.billed.quantity);
            let share = u128::from(ours.abs_diff(theirs)) * FAR_LESS * larger;
            self.tolerance().same(ours, theirs) || share < apart * u128::from(ours.max(theirs))
        })
    }

    /// One side has nothing of the day, whatever the model.
    fn missing(&self, day: Day) -> Option<Finding> {
        let first = self.ledger_days.keys().next();
        let why = if !self.billed_days.contains_key(&day) {
            format!(
                "the report has nothing of {} at all: it may not be complete yet, or it was exported without that day",
                show_day(day)
            )
        } else if first.is_some_and(|first| day < *first) {
            let first = first.map(|first| show_day(*first)).unwrap_or_default();
            format!(
                "the ledger's events begin on {first}: they are kept for ledger.retention, or the gateway was not used \
                 before"
            )
        } else {
            return None;
        };
        Some(Finding {
            cause: Cause::MissingDays,
            why,
        })
    }

    /// The ledger's hours, put into the days of another time zone, give what was billed.
    fn time_zone(&self, series: &Series, days: &Days<'_>) -> Option<Finding> {
        let mut hours: Vec<i32> = (-HOURS..=HOURS).filter(|ahead| *ahead != 0).collect();
        hours.sort_by_key(|ahead| ahead.abs());
        let fits = |ahead: &i32| {
            let shifted = series.ledger(*ahead);
            self.request.period.days().all(|day| {
                let ledger = shifted.get(&day).unwrap_or(&self.nothing);
                let billed = days.get(&day).map_or(&self.nothing, |(_, billed)| *billed);
                self.matches(ledger, billed)
            })
        };
        let ahead = hours.into_iter().find(fits)?;
        Some(Finding {
            cause: Cause::TimeZone,
            why: format!(
                "what was charged is what was billed on every day, if the provider's days are those of UTC{ahead:+}"
            ),
        })
    }

    /// Days beside each other make up for each other.
    fn neighbours(&self, day: Day, off: &[Day], days: &Days<'_>) -> Option<Finding> {
        let place = off.iter().position(|one| *one == day)?;
        let beside = |one: usize, other: usize| off[one].0 + 1 == off[other].0;
        let mut first = place;
        while first > 0 && place - first + 1 < LONGEST_RUN && beside(first - 1, first) {
            first -= 1;
        }
        let mut last = place;
        while last + 1 < off.len() && last - place + 1 < LONGEST_RUN && beside(last, last + 1) {
            last += 1;
        }
        // The shortest run with this day in it whose sums agree.
        let runs = (first..=place).flat_map(|from| (place..=last).map(move |to| (from, to)));
        let mut runs: Vec<_> = runs
            .filter(|(from, to)| from < to && to - from < LONGEST_RUN)
            .collect();
        runs.sort_by_key(|(from, to)| to - from);
        let (from, to) = runs.into_iter().find(|(from, to)| {
            let mut sums = (Side::default(), Side::default());
            for day in &off[*from..=*to] {
                let (ledger, billed) = days[day];
                sums.0.merge(ledger);
                sums.1.merge(billed);
            }
            self.matches(&sums.0, &sums.1)
        })?;
        Some(Finding {
            cause: Cause::TimeZone,
            why: format!(
                "from {} to {} the sums agree: requests ended on the other side of midnight, or the provider's days are \
                 not those of UTC",
                show_day(off[from]),
                show_day(off[to])
            ),
        })
    }

    /// A key that is not one of the gateway's.
    fn stranger(&self, key: Option<&str>) -> Option<Finding> {
        let key = key?;
        (self.sides.by_key && self.sides.strangers.contains(key)).then(|| Finding {
            cause: Cause::OutsideTraffic,
            why: format!(
                "the provider's key {key} is not one that the gateway uses: what it did, did not come through the gateway"
            ),
        })
    }

    /// What the line itself shows.
    fn of_line(
        &self,
        day: Day,
        (ledger, billed): (&Side, &Side),
        off: &[Day],
        days: &Days<'_>,
    ) -> Finding {
        if !self.quantities_known(billed) {
            return self.by_money(day, (ledger, billed), off, days);
        }
        let units = beside(ledger, billed);
        let few = self.few_requests((ledger, billed), &units);
        if self.hardly_differ(ledger, billed, &units) && !few {
            self.price_or_tier(day, (ledger, billed), off, days)
        } else {
            self.by_quantity((ledger, billed), &units)
        }
    }

    /// Whether the provider reports the quantities of a line.
    fn quantities_known(&self, billed: &Side) -> bool {
        billed.has_usage || self.request.reading.has_usage && !billed.has_cost
    }
}

fn finding(cause: Cause, why: impl Into<String>) -> Finding {
    Finding {
        cause,
        why: why.into(),
    }
}

/// A rate in US dollars per million, from what a quantity came to in pico-dollars.
fn rate(used: Used) -> Option<String> {
    let per_one = used.picos?.checked_div(u128::from(used.quantity))?;
    // A pico-dollar for one is a micro-dollar for a million.
    i128::try_from(per_one)
        .ok()
        .map(|micros| format!("${}", decimal::fixed(micros, 6)))
}

/// Units and how much of them, in words.
fn amounts(units: &BTreeMap<Unit, u64>) -> String {
    let each = units
        .iter()
        .map(|(unit, quantity)| format!("{} {}", count(*quantity), unit.words()));
    each.collect::<Vec<_>>().join(", ")
}

/// Whether two amounts of pico-dollars differ by no more than a part of the larger one, or by what rounding each
/// request to nano-dollars may come to.
fn close(one: u128, other: u128, ppm: u32) -> bool {
    let part = one.max(other).saturating_mul(u128::from(ppm)) / 1_000_000;
    one.abs_diff(other) <= part
}
