//! Causes that lie in what quantities are multiplied with.

use std::collections::BTreeMap;

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Day;

use super::super::outcome::{Cause, Finding};
use super::super::side::{Beside, Side, beside};
use super::{Days, Judge, count, finding, rate};
use crate::billed::Vendor;
use crate::day::show_day;
use crate::decimal;
use crate::variant::STANDARD;

/// Ratios, in parts per million, in which tiers are to the standard one, and which ones: of OpenAI's and Anthropic's
/// price lists. Where the place matters it is named by the report, and its ratio (1.1) is that of many a price change.
const RATIOS: [(i64, &str); 6] = [
    (500_000, "batch or flex"),
    (1_700_000, "priority"),
    (1_750_000, "priority"),
    (2_000_000, "priority"),
    (2_500_000, "fast"),
    (6_000_000, "fast"),
];

impl Judge<'_> {
    /// The quantities agree, and the costs do not.
    pub(super) fn price_or_tier(
        &self,
        day: Day,
        (ledger, billed): (&Side, &Side),
        off: &[Day],
        days: &Days<'_>,
    ) -> Finding {
        if let Some(why) = self.other_context(ledger, billed) {
            return finding(Cause::TierOrVariant, why);
        }
        let units = beside(ledger, billed);
        let rates = self.rates(billed, &units);
        // That of the day, for the sentence; a price that changed has another before.
        let times = times(ledger.cost, billed.cost);
        let when = self.when(day, off, days);
        let same_contexts = billed.contexts().is_some();
        let part = rates.iter().any(|rate| rate.off) && rates.iter().any(|rate| !rate.off);
        if !same_contexts && !part {
            if let Some((ratio, tier)) = known(ledger.cost, billed.cost) {
                return finding(
                    Cause::TierOrVariant,
                    format!(
                        "the quantities agree, and {} times as much was billed as charged, as of the tier {tier}; the \
                         report does not say which tier served",
                        decimal::fixed(i128::from(ratio), 6)
                    ),
                );
            }
            if self.wavers(off, days) {
                return finding(
                    Cause::TierOrVariant,
                    format!(
                        "the quantities agree, and the ratio of billed to charged is another on every day ({times} on \
                         {}): some requests were billed as of another tier or variant",
                        show_day(day)
                    ),
                );
            }
        }
        let differing: Vec<String> = rates
            .into_iter()
            .filter(|rate| rate.off)
            .map(|rate| rate.said)
            .collect();
        let detail = if differing.is_empty() {
            format!("{times} as much was billed as charged")
        } else {
            differing.join("; ")
        };
        finding(
            Cause::Price,
            format!("the quantities agree: {detail} {when}"),
        )
    }

    /// Costs only: nothing is known of quantities.
    pub(super) fn by_money(
        &self,
        day: Day,
        (ledger, billed): (&Side, &Side),
        off: &[Day],
        days: &Days<'_>,
    ) -> Finding {
        if ledger.is_nothing() {
            return finding(
                Cause::OutsideTraffic,
                "the provider billed it, and nothing of it came through the gateway",
            );
        }
        if billed.cost == NanoUsd::ZERO {
            return self.nothing_billed(ledger);
        }
        if let Some(why) = on_one_side(ledger, billed) {
            return finding(Cause::UsageShape, why);
        }
        if let Some(why) = self.other_context(ledger, billed) {
            return finding(Cause::TierOrVariant, why);
        }
        let when = self.when(day, off, days);
        let times = times(ledger.cost, billed.cost);
        if billed.contexts().is_none()
            && let Some((ratio, tier)) = known(ledger.cost, billed.cost)
        {
            return finding(
                Cause::TierOrVariant,
                format!(
                    "{} times as much was billed as charged, as of the tier {tier}; give the usage report as well, to \
                     be sure",
                    decimal::fixed(i128::from(ratio), 6)
                ),
            );
        }
        if off.len() > 1 && !self.wavers(off, days) {
            return finding(
                Cause::Price,
                format!(
                    "{times} as much was billed as charged {when}, always in the same ratio; give the usage report as \
                     well, to be sure"
                ),
            );
        }
        finding(
            Cause::Unknown,
            "costs alone do not tell: give the provider's usage report of these days as well",
        )
    }

    /// The ledger charged, the provider did not bill.
    pub(super) fn nothing_billed(&self, ledger: &Side) -> Finding {
        let priority = ledger
            .variants
            .keys()
            .any(|variant| variant.contains("priority"));
        if priority && self.request.reading.vendor == Vendor::Anthropic {
            return finding(
                Cause::TierOrVariant,
                "Anthropic's cost report leaves the Priority Tier out: it is not billed by the token",
            );
        }
        finding(
            Cause::NotBilled,
            format!(
                "the ledger charged {} requests, and the provider billed nothing{}",
                count(ledger.requests.unwrap_or(0)),
                assumed(ledger)
            ),
        )
    }

    /// How the contexts differ that both sides name; a provider's own that is not the standard one counts if the ledger
    /// names none.
    pub(super) fn other_context(&self, ledger: &Side, billed: &Side) -> Option<String> {
        let charged = |variant: &&String| ledger.variants.contains_key(*variant);
        let strange: Vec<&str> = billed
            .billed_as
            .iter()
            .filter(|variant| !charged(variant))
            .map(String::as_str)
            .collect();
        if !strange.is_empty() {
            return Some(format!(
                "the provider billed some of it as {}, which the ledger did not charge",
                strange.join(", ")
            ));
        }
        let theirs = billed.contexts()?;
        let said = |contexts: &BTreeMap<String, u64>| {
            let each = contexts
                .iter()
                .map(|(variant, quantity)| format!("{variant} {}", count(*quantity)));
            each.collect::<Vec<_>>().join(", ")
        };
        match ledger.contexts() {
            Some(ours) => {
                let all = ours.keys().chain(theirs.keys());
                let differ = all.into_iter().any(|variant| {
                    let of = |side: &BTreeMap<String, u64>| side.get(variant).copied().unwrap_or(0);
                    !self.tolerance().same(of(ours), of(theirs))
                });
                differ.then(|| {
                    format!(
                        "by tier or variant, the provider served {}; the ledger charged {}",
                        said(theirs),
                        said(ours)
                    )
                })
            }
            None => theirs.keys().any(|variant| variant != STANDARD).then(|| {
                format!(
                    "by tier or variant, the provider served {}; the ledger does not say which it charged",
                    said(theirs)
                )
            }),
        }
    }

    /// The rates of units of which both sides say what they came to.
    fn rates(&self, billed: &Side, units: &[Beside]) -> Vec<Rate> {
        if billed.undivided || !billed.has_cost {
            return Vec::new();
        }
        let both = units.iter().filter(|both| both.ledger.quantity > 0);
        let rates = both.filter_map(|both| {
            let (ours, theirs) = (both.ledger.picos?, both.billed.picos?);
            let off = !super::close(ours, theirs, self.tolerance().ppm);
            let (ledger, billed) = (rate(both.ledger)?, rate(both.billed)?);
            Some(Rate {
                off,
                said: format!(
                    "{} were billed at {billed} per million and charged at {ledger}",
                    both.unit.words()
                ),
            })
        });
        rates.collect()
    }

    /// Whether the ratio of billed to charged is another on other days.
    fn wavers(&self, off: &[Day], days: &Days<'_>) -> bool {
        let ratios = off.iter().filter_map(|day| {
            let (ledger, billed) = days[day];
            ratio(ledger.cost, billed.cost)
        });
        let ratios: Vec<i64> = ratios.collect();
        let (least, most) = (ratios.iter().min(), ratios.iter().max());
        least
            .zip(most)
            .is_some_and(|(least, most)| !near(*least, *most))
    }

    /// On which days, in words.
    fn when(&self, day: Day, off: &[Day], days: &Days<'_>) -> String {
        match (off.first(), off.len()) {
            (_, 1) if days.len() == 1 => format!("on {}", show_day(day)),
            (_, 1) => format!("on {} only, of {} days", show_day(day), days.len()),
            (_, many) if many == days.len() => format!("on all {many} days"),
            (Some(first), many) if days.range(*first..).count() == many => {
                format!("from {} on", show_day(*first))
            }
            (_, many) => format!("on {many} of {} days", days.len()),
        }
    }
}

/// Tells of a unit that costs something on one side and stands on that side only.
fn on_one_side(ledger: &Side, billed: &Side) -> Option<String> {
    let missing = ledger.units.iter().find(|(unit, used)| {
        let cost = billed.units.get(unit).and_then(|used| used.picos);
        used.picos.unwrap_or(0) > 0 && cost.unwrap_or(0) == 0 && !billed.undivided
    });
    if let Some((unit, _)) = missing {
        let words = unit.words();
        return Some(format!(
            "the ledger charged {words}, and the provider billed none"
        ));
    }
    let strange = (billed.units.iter())
        .find(|(unit, used)| used.picos.unwrap_or(0) > 0 && !ledger.units.contains_key(unit));
    let words = strange.map(|(unit, _)| unit.words())?;
    Some(format!(
        "the provider billed {words}, of which the ledger has none"
    ))
}

/// A unit's rate on both sides.
struct Rate {
    off: bool,
    said: String,
}

/// Parts per million that `billed` is of `ledger`.
fn ratio(ledger: NanoUsd, billed: NanoUsd) -> Option<i64> {
    if ledger <= NanoUsd::ZERO || billed <= NanoUsd::ZERO {
        return None;
    }
    let ratio = i128::from(billed.0) * 1_000_000 / i128::from(ledger.0);
    i64::try_from(ratio).ok()
}

/// The same, in words.
fn times(ledger: NanoUsd, billed: NanoUsd) -> String {
    match ratio(ledger, billed) {
        Some(ratio) => format!(
            "{} times",
            decimal::fixed(i128::from((ratio + 50) / 100), 4)
        ),
        None => "another amount".to_owned(),
    }
}

/// The tier whose ratio it is.
fn known(ledger: NanoUsd, billed: NanoUsd) -> Option<(i64, &'static str)> {
    let ratio = ratio(ledger, billed)?;
    RATIOS.into_iter().find(|(known, _)| near(ratio, *known))
}

/// Whether two ratios are within half a per cent.
fn near(one: i64, other: i64) -> bool {
    u128::from(one.abs_diff(other)) * 200 <= u128::from(other.unsigned_abs())
}

/// How much of a cost is no more than an assumption, in words.
pub(super) fn assumed(ledger: &Side) -> String {
    if ledger.assumed <= NanoUsd::ZERO {
        return String::new();
    }
    format!(
        "; {} of the {} rest on the gateway's own count, an estimate or an assumed price",
        ledger.assumed, ledger.cost
    )
}
