//! What the ledger charged, gathered while its events stream by.

use std::collections::BTreeMap;

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Day;

use crate::Unit;

/// Most rows of the ledger's side: hours × models × keys × variants. A bound, as callers may make up models' names.
const MOST_ROWS: usize = 2_000_000;

/// An hour of Unix time, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub u32);

impl Hour {
    /// Returns the hour of a Unix time (ms).
    pub fn of(ms: u64) -> Hour {
        Hour(u32::try_from(ms / 3_600_000).unwrap_or(u32::MAX))
    }

    /// Returns the day that it is in, where clocks are `ahead` hours ahead of UTC; negative where they are behind.
    pub(crate) fn day(self, ahead: i32) -> Day {
        let hour = i64::from(self.0) + i64::from(ahead);
        Day(u32::try_from(hour.div_euclid(24)).unwrap_or(0))
    }
}

/// What was used of a unit, and what that was charged at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How much.
    pub quantity: u64,
    /// Pico-dollars (10⁻¹² USD) charged for it; `None` if what the event keeps does not say.
    pub picos: Option<u128>,
}

/// What the ledger charged for one request's attempt, or for several of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The hour in which they ended.
    pub hour: Hour,
    /// The model, as the provider knows it.
    pub model: String,
    /// The operator's key that served it; `None` if that is not known.
    pub key: Option<String>,
    /// The context that it was charged for, as [`variant()`](crate::variant()) names it; `None` if that is not known.
    pub variant: Option<String>,
    /// How many they are; one that used nothing is not counted.
    pub requests: u64,
    /// What was used.
    pub units: BTreeMap<Unit, Used>,
    /// What was charged for the model, the processing fee not included.
    pub cost: NanoUsd,
    /// How much of `cost` rests on the gateway's own count, on an estimate, or on an assumed price.
    pub assumed: NanoUsd,
}

/// Why the ledger's charges cannot be compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overfull {
    /// Too many rows.
    #[error(
        "the ledger has more than {MOST_ROWS} different hours, models and keys in this time: compare fewer days at once"
    )]
    Rows,
    /// Too much money to be added up.
    #[error(
        "the ledger's charges of this time come to more than {}: compare fewer days at once",
        MOST_MONEY
    )]
    Money,
}

/// The most money that either side may come to, so that no sum, and no difference of both, overflows.
pub(crate) const MOST_MONEY: NanoUsd = NanoUsd(NanoUsd::TOTAL.0 / 4);

/// What distinguishes rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) hour: Hour,
    pub(crate) model: String,
    pub(crate) key: Option<String>,
    pub(crate) variant: Option<String>,
}

/// What rows of the same kind come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) units: BTreeMap<Unit, Used>,
    pub(crate) cost: NanoUsd,
    pub(crate) assumed: NanoUsd,
}

/// The ledger's side of a comparison, by hour, so that it can be put into the days of other time zones.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<Kind, Sum>,
    /// What all rows cost together, nano-dollars.
    money: i128,
}

impl Ledger {
    /// Adds what was charged.
    ///
    /// # Errors
    /// [`Overfull`] if there are too many rows, or is too much money; then the charge is left out.
    pub fn add(&mut self, charged: Charged) -> Result<(), Overfull> {
        let Charged {
            hour,
            model,
            key,
            variant,
            requests,
            units,
            cost,
            assumed,
        } = charged;
        let kind = Kind {
            hour,
            model,
            key,
            variant,
        };
        if self.rows.len() >= MOST_ROWS && !self.rows.contains_key(&kind) {
            return Err(Overfull::Rows);
        }
        self.money += i128::from(cost.0);
        if self.money > i128::from(MOST_MONEY.0) {
            return Err(Overfull::Money);
        }
        let sum = self.rows.entry(kind).or_default();
        sum.requests = sum.requests.saturating_add(requests);
        sum.cost += cost;
        sum.assumed += assumed;
        for (unit, used) in units {
            add(&mut sum.units, unit.compared(), used);
        }
        Ok(())
    }

    /// Returns its rows, the oldest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Kind, &Sum)> {
        self.rows.iter()
    }
}

/// Adds what was used of a unit; if what was charged for one part is not known, it is not known for the sum.
pub(crate) fn add(units: &mut BTreeMap<Unit, Used>, unit: Unit, used: Used) {
    if used.quantity == 0 && used.picos.unwrap_or(0) == 0 {
        return;
    }
    match units.get_mut(&unit) {
        None => {
            units.insert(unit, used);
        }
        Some(sum) => {
            sum.quantity = sum.quantity.saturating_add(used.quantity);
            sum.picos = sum
                .picos
                .zip(used.picos)
                .map(|(one, other)| one.saturating_add(other));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charged(hour: u32, unit: Unit, quantity: u64, picos: Option<u128>) -> Charged {
        Charged {
            hour: Hour(hour),
            model: "m".to_owned(),
            key: None,
            variant: None,
            requests: 1,
            units: BTreeMap::from([(unit, Used { quantity, picos })]),
            cost: NanoUsd(5),
            assumed: NanoUsd(1),
        }
    }

    #[test]
    fn rows_of_a_kind_are_added_and_thinking_is_part_of_the_answer() {
        let mut ledger = Ledger::default();
        ledger.add(charged(1, Unit::Output, 3, Some(30))).unwrap();
        ledger
            .add(charged(1, Unit::Reasoning, 4, Some(40)))
            .unwrap();
        ledger.add(charged(2, Unit::Output, 1, None)).unwrap();
        let rows: Vec<_> = ledger.rows().collect();
        assert_eq!(rows.len(), 2);
        let sum = rows[0].1;
        assert_eq!(
            (sum.requests, sum.cost, sum.assumed),
            (2, NanoUsd(10), NanoUsd(2))
        );
        let output = Used {
            quantity: 7,
            picos: Some(70),
        };
        assert_eq!(sum.units, BTreeMap::from([(Unit::Output, output)]));
    }

    #[test]
    fn more_than_can_be_counted_is_refused() {
        let mut ledger = Ledger::default();
        let of = |nanos: i64| Charged {
            cost: NanoUsd(nanos),
            ..charged(1, Unit::Output, 1, None)
        };
        assert_eq!(ledger.add(of(MOST_MONEY.0)), Ok(()));
        assert_eq!(ledger.add(of(1)), Err(Overfull::Money));
    }

    #[test]
    fn an_hour_is_in_another_day_elsewhere() {
        let late = Hour::of((24 * 3 + 23) * 3_600_000);
        assert_eq!(late.day(0), Day(3));
        assert_eq!(late.day(1), Day(4));
        assert_eq!(Hour(24 * 3 + 7).day(-8), Day(2));
        assert_eq!(Hour(0).day(-8), Day(0), "there is no day before the first");
    }
}
