//! The prices of one model of the YAML.
//!
//! Only the named prices change. A price that a tier does not name stays what it was for prompts of that length; a
//! base price that changes also changes in the tiers where it was the same, that is, flat; and it holds whatever
//! periods the catalog knows. A new period begins with the prices before it, a new variant with none.

use super::Faults;
use crate::catalog::{begin, order};
use crate::yaml::types;
use tollgate_ledger::tariff::{Holds, Period, Prices, Rates, Source, Variant, rate_of};
use tollgate_wire::report::{Context, Dimension};

/// Lays `declared` over `prices`; `path` ends in `.prices`.
pub(super) fn lay(prices: &mut Prices, declared: &types::Prices, path: &str, faults: &mut Faults) {
    if *declared == types::Prices::default() {
        return;
    }
    prices.source = Source("configuration".into());
    if prices.standard.is_empty() {
        prices.standard.push(Period::default());
    }
    for period in &mut prices.standard {
        lay_rates(&mut period.rates, declared, path, faults);
    }
    // Each begins with the prices before it.
    for (holds, declared, path) in periods(declared, path, faults) {
        let known = prices
            .standard
            .iter()
            .position(|known| known.holds == holds);
        let at = known.unwrap_or_else(|| {
            let rates = begin(prices, holds);
            let all = &mut prices.standard;
            let at = all.partition_point(|known| order(&known.holds) <= order(&holds));
            all.insert(at, Period { holds, rates });
            at
        });
        lay_rates(&mut prices.standard[at].rates, declared, &path, faults);
    }
    let mut seen = Vec::new();
    let contexts: Vec<Option<Context>> = (declared.variants.iter().enumerate())
        .map(|(place, variant)| {
            let path = format!("{path}.variants[{place}]");
            let when = context(&variant.when, &path, faults)?;
            once(&mut seen, when.clone(), &format!("{path}.when"), faults);
            Some(when)
        })
        .collect();
    // The last one first: each is put before those that are there.
    for ((place, variant), when) in declared.variants.iter().enumerate().zip(contexts).rev() {
        let path = format!("{path}.variants[{place}]");
        if let Some(when) = when {
            lay_variant(
                prices,
                &when,
                &variant.prices,
                &format!("{path}.prices"),
                faults,
            );
        }
    }
}

/// Lays a variant, and its own periods.
fn lay_variant(
    prices: &mut Prices,
    when: &Context,
    declared: &types::Prices,
    path: &str,
    faults: &mut Faults,
) {
    refuse_nested(declared, path, false, faults);
    let mut lay = |holds: Holds, rates: &types::Prices, path: &str, faults: &mut Faults| {
        let same = |known: &Variant| known.when == *when && known.holds == holds;
        let at = prices.variants.iter().position(same).unwrap_or_else(|| {
            // The first that holds counts: what holds at some time only comes first, but behind what holds later still.
            let later =
                |known: &Variant| known.when == *when && order(&known.holds) > order(&holds);
            let at = (prices.variants.iter().rposition(later)).map_or(0, |last| last + 1);
            let rates = Rates::default();
            let when = when.clone();
            prices.variants.insert(at, Variant { when, holds, rates });
            at
        });
        lay_rates(&mut prices.variants[at].rates, rates, path, faults);
    };
    lay(Holds::Always, declared, path, faults);
    for (holds, declared, path) in periods(declared, path, faults) {
        lay(holds, declared, &path, faults);
    }
}

/// The periods that are declared, each with its prices and their path: by rising day, and those of some hours last.
fn periods<'d>(
    declared: &'d types::Prices,
    path: &str,
    faults: &mut Faults,
) -> Vec<(Holds, &'d types::Prices, String)> {
    let mut seen = Vec::new();
    let mut periods = Vec::new();
    for (place, period) in declared.periods.iter().enumerate() {
        let path = format!("{path}.periods[{place}]");
        if let Some(holds) = holds(period, &path, faults) {
            once(&mut seen, holds, &path, faults);
            let path = format!("{path}.prices");
            refuse_nested(&period.prices, &path, true, faults);
            periods.push((holds, &period.prices, path));
        }
    }
    periods.sort_by_key(|(holds, ..)| order(holds));
    periods
}

fn lay_rates(rates: &mut Rates, declared: &types::Prices, path: &str, faults: &mut Faults) {
    let mut pico =
        |unit, usd: crate::yaml::units::Usd, at: String| match rate_of(unit, usd.micros()) {
            Ok(pico) => Some(pico),
            Err(fault) => {
                faults.at(at, fault);
                None
            }
        };
    for (unit, usd) in &declared.units.0 {
        if let Some(pico) = pico(*unit, *usd, format!("{path}.{}", unit.name())) {
            rates.entry(*unit).set_base(pico);
        }
    }
    for (position, tier) in declared.tiers.iter().enumerate() {
        for (unit, usd) in &tier.units.0 {
            let at = format!("{path}.tiers[{position}].{}", unit.name());
            if let Some(pico) = pico(*unit, *usd, at) {
                rates.entry(*unit).set_tier(tier.above, pico);
            }
        }
    }
    let mut thresholds: Vec<u64> = declared.tiers.iter().map(|tier| tier.above).collect();
    thresholds.sort_unstable();
    for pair in thresholds.windows(2).filter(|pair| pair[0] == pair[1]) {
        let same = |tier: &types::PriceTier| tier.above == pair[0];
        if let Some(position) = declared.tiers.iter().rposition(same) {
            let at = format!("{path}.tiers[{position}].above");
            faults.at(at, format!("there is another tier above {}", pair[0]));
        }
    }
}

/// Faults what stands for the same as something before it.
fn once<T: PartialEq>(seen: &mut Vec<T>, this: T, path: &str, faults: &mut Faults) {
    if seen.contains(&this) {
        faults.at(
            path.to_owned(),
            "there is another one for the same".to_owned(),
        );
    }
    seen.push(this);
}

fn refuse_nested(prices: &types::Prices, path: &str, in_period: bool, faults: &mut Faults) {
    if !prices.variants.is_empty() {
        let what = "a variant cannot stand here: write it beside, with all that it depends on in its `when`";
        faults.at(format!("{path}.variants"), what.to_owned());
    }
    if in_period && !prices.periods.is_empty() {
        let what = "a period cannot stand inside a period: write both side by side";
        faults.at(format!("{path}.periods"), what.to_owned());
    }
}

fn context(
    when: &std::collections::BTreeMap<String, String>,
    path: &str,
    faults: &mut Faults,
) -> Option<Context> {
    let mut context = Context::default();
    let mut sound = true;
    for (name, value) in when {
        match Dimension::named(name) {
            Some(dimension) => context.set(dimension, value),
            None => {
                let known = Dimension::ALL.map(Dimension::name).join(", ");
                faults.at(format!("{path}.when.{name}"), format!("is none of {known}"));
                sound = false;
            }
        }
    }
    if sound && context.iter().count() < when.len().max(1) {
        let what = "says nothing that is not standard, so that this variant can never apply: put its prices beside `variants`";
        faults.at(format!("{path}.when"), what.to_owned());
        sound = false;
    }
    sound.then_some(context)
}

fn holds(period: &types::PricePeriod, path: &str, faults: &mut Faults) -> Option<Holds> {
    let found = match (&period.from, &period.daily) {
        (Some(day), None) => match day.parse() {
            Ok(holds @ Holds::From(_)) => Ok(holds),
            _ => Err(("from", "is not a day: write it as in 2027-01-01")),
        },
        (None, Some(hours)) => match hours.parse() {
            Ok(holds @ Holds::Daily(..)) => Ok(holds),
            _ => Err((
                "daily",
                "are not two times of a day: write them as in 01:00-04:00, or Mon-Fri 01:00-04:00",
            )),
        },
        _ => Err((
            "from",
            "a period needs either `from`, a day, or `daily`, some hours",
        )),
    };
    match found {
        Ok(holds) => Some(holds),
        Err((member, what)) => {
            faults.at(format!("{path}.{member}"), what.to_owned());
            None
        }
    }
}
