//! Causes that lie in the quantities.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::super::outcome::{Cause, Finding};
use super::super::side::{Beside, Side};
use super::money::assumed;
use super::{Judge, amounts, count, finding};
use crate::unit::Unit;

/// How many times more some unit may be off than another, if whole requests are missing.
const UNEVEN: u128 = 100;

/// How many times more of the cost than of the requests may be missing with them.
const DEARER: u128 = 50;

impl Judge<'_> {
    /// The quantities differ.
    pub(super) fn by_quantity(
        &self,
        (ledger, billed): (&Side, &Side),
        units: &[Beside],
    ) -> Finding {
        if units.iter().all(|both| both.ledger.quantity == 0) {
            return self.outside(ledger, billed, units);
        }
        if units.iter().all(|both| both.billed.quantity == 0) {
            return self.nothing_billed(ledger);
        }
        let differ: Vec<&Beside> = units.iter().filter(|both| self.differ(both)).collect();
        let requests = ledger.requests.zip(billed.requests);
        if let Some(why) = self.told_apart(&differ) {
            return finding(Cause::UsageShape, why);
        }
        let lopsided = lopsided(units, &differ, requests);
        if let Some(why) = self.wholly(units, &differ, requests, lopsided) {
            return finding(Cause::UsageShape, why);
        }
        match lopsided {
            Some(Ordering::Greater) => return self.outside(ledger, billed, units),
            Some(_) => return not_billed(ledger, units),
            None => {}
        }
        let same = requests.map(|(ours, theirs)| self.tolerance().same(ours, theirs));
        // Without a count of requests, one unit among others that agree is another way of counting.
        if same == Some(true) || same.is_none() && differ.len() == 1 && units.len() > 1 {
            let with = if same == Some(true) {
                "as many requests on both sides, counted otherwise"
            } else {
                "counted otherwise"
            };
            return finding(Cause::UsageShape, format!("{with}: {}", said(&differ)));
        }
        let more = |both: &&&Beside| both.billed.quantity > both.ledger.quantity;
        match differ.iter().filter(more).count() {
            all if all == differ.len() => self.outside(ledger, billed, units),
            0 => not_billed(ledger, units),
            _ => finding(
                Cause::Unknown,
                format!("the quantities differ both ways: {}", said(&differ)),
            ),
        }
    }

    /// Whether whole requests that one side lacks are enough to make up the drift, though they are so few that the
    /// quantities agree within the tolerance.
    pub(super) fn few_requests(&self, (ledger, billed): (&Side, &Side), units: &[Beside]) -> bool {
        let requests = ledger.requests.zip(billed.requests);
        let Some((ours, theirs)) = requests.filter(|_| lopsided(units, &[], requests).is_some())
        else {
            return false;
        };
        let costs = [ledger.cost, billed.cost].map(|cost| cost.or_zero().0.unsigned_abs());
        let missing = share(ours, theirs) * DEARER;
        share(costs[0], costs[1]) <= missing
    }

    fn differ(&self, both: &Beside) -> bool {
        !self
            .tolerance()
            .same(both.ledger.quantity, both.billed.quantity)
    }

    /// The same tokens in all, but of other units.
    fn told_apart(&self, differ: &[&Beside]) -> Option<String> {
        let sum = |of: fn(&Beside) -> u64| {
            differ
                .iter()
                .fold(0u64, |sum, both| sum.saturating_add(of(both)))
        };
        let ours = sum(|both| both.ledger.quantity);
        let theirs = sum(|both| both.billed.quantity);
        (differ.len() > 1 && self.tolerance().same(ours, theirs)).then(|| {
            format!(
                "{} tokens in all on both sides, but told apart otherwise: {}",
                count(ours),
                said(differ)
            )
        })
    }

    /// A unit that one side does not count at all, or twice.
    fn wholly(
        &self,
        units: &[Beside],
        differ: &[&Beside],
        requests: Option<(u64, u64)>,
        lopsided: Option<Ordering>,
    ) -> Option<String> {
        // More requests explain more of everything.
        if requests.is_some() && lopsided.is_some() {
            return None;
        }
        let alone = units.len() > 1 || requests.is_some();
        match differ {
            [one] if one.ledger.quantity == 0 && alone => Some(format!(
                "the ledger has none of {} {}",
                count(one.billed.quantity),
                one.unit.words()
            )),
            [one] if one.billed.quantity == 0 && alone => Some(format!(
                "the provider has none of the ledger's {} {}",
                count(one.ledger.quantity),
                one.unit.words()
            )),
            _ => {
                let first = self.factor(differ.first()?)?;
                let alike = differ.iter().all(|both| self.factor(both) == Some(first));
                alike.then(|| format!("{first}: {}", said(differ)))
            }
        }
    }

    /// Whether one side has twice as much as the other.
    fn factor(&self, both: &Beside) -> Option<&'static str> {
        let (ours, theirs) = (both.ledger.quantity, both.billed.quantity);
        if self.tolerance().same(ours.saturating_mul(2), theirs) {
            Some("half as much in the ledger as at the provider")
        } else if self.tolerance().same(ours, theirs.saturating_mul(2)) {
            Some("twice as much in the ledger as at the provider")
        } else {
            None
        }
    }

    /// The provider has more.
    fn outside(&self, ledger: &Side, billed: &Side, units: &[Beside]) -> Finding {
        let more: BTreeMap<Unit, u64> = units
            .iter()
            .map(|both| {
                let more = both.billed.quantity.saturating_sub(both.ledger.quantity);
                (both.unit, more)
            })
            .filter(|(_, more)| *more > 0)
            .collect();
        let requests = match (ledger.requests, billed.requests) {
            (ours, Some(theirs)) if theirs > ours.unwrap_or(0) => {
                format!("{} requests, ", count(theirs - ours.unwrap_or(0)))
            }
            _ => String::new(),
        };
        let whose = self.whose(billed, &more);
        finding(
            Cause::OutsideTraffic,
            format!(
                "the provider has {requests}{} that did not come through the gateway{whose}",
                amounts(&more)
            ),
        )
    }

    /// Whose traffic it is: of keys that the gateway does not have, or of one that used just that much.
    fn whose(&self, billed: &Side, more: &BTreeMap<Unit, u64>) -> String {
        let strangers: Vec<&str> = billed
            .keys
            .keys()
            .filter(|key| self.sides.strangers.contains(*key))
            .map(String::as_str)
            .collect();
        if !strangers.is_empty() {
            return format!(
                "; the provider's key {}, which the gateway does not use, was used",
                strangers.join(", ")
            );
        }
        let alike = billed.keys.iter().find(|(_, units)| {
            let all = units.keys().chain(more.keys());
            all.into_iter().all(|unit| {
                let of = |side: &BTreeMap<Unit, u64>| side.get(unit).copied().unwrap_or(0);
                self.tolerance().same(of(units), of(more))
            })
        });
        match alike {
            Some((key, _)) => format!("; it is just what the provider's key {key} used"),
            None => String::new(),
        }
    }
}

/// The ledger has more.
fn not_billed(ledger: &Side, units: &[Beside]) -> Finding {
    let more: Vec<&Beside> = units
        .iter()
        .filter(|both| both.ledger.quantity > both.billed.quantity)
        .collect();
    finding(
        Cause::NotBilled,
        format!(
            "the ledger counted more of everything: {}{}",
            said(&more),
            assumed(ledger)
        ),
    )
}

/// Whether one side has more of everything, to the token, as if whole requests were missing on the other: `Greater` is
/// the provider's.
fn lopsided(
    units: &[Beside],
    differ: &[&Beside],
    requests: Option<(u64, u64)>,
) -> Option<Ordering> {
    let way = |both: &Beside| both.billed.quantity.cmp(&both.ledger.quantity);
    let ways: Vec<Ordering> = units.iter().map(way).filter(|way| way.is_ne()).collect();
    let first = *ways.first()?;
    if ways.iter().any(|way| *way != first) {
        return None;
    }
    match requests {
        Some((ours, theirs)) => (theirs.cmp(&ours) == first).then_some(first),
        None if ways.len() < 2 => None,
        // A unit that is off far more than all others is counted otherwise.
        None if differ.len() == 1 => {
            let shares = units
                .iter()
                .map(|both| share(both.ledger.quantity, both.billed.quantity));
            let shares: Vec<u128> = shares.filter(|share| *share > 0).collect();
            let (least, most) = (shares.iter().min()?, shares.iter().max()?);
            (least * UNEVEN >= *most).then_some(first)
        }
        None => Some(first),
    }
}

/// The part of the larger number by which it is larger, in parts per thousand million.
fn share(one: u64, other: u64) -> u128 {
    let apart = u128::from(one.abs_diff(other)) * 1_000_000_000;
    apart.checked_div(u128::from(one.max(other))).unwrap_or(0)
}

/// Units of both sides, in words.
fn said(units: &[&Beside]) -> String {
    let each = units.iter().map(|both| {
        format!(
            "{} {} at the provider and {} in the ledger",
            count(both.billed.quantity),
            both.unit.words(),
            count(both.ledger.quantity)
        )
    });
    each.collect::<Vec<_>>().join(", ")
}
