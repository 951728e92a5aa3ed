//! What is kept of a price feed, and how it is laid over the prices that are built in.
//!
//! A feed is a layer: it has prices of models by their provider and id, and nothing else. Laying it changes prices of
//! models that are there; it adds no model, name, address or capability, so no feed can change where a request goes.

mod kept;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::periods::{begin, dated, order};
use tollgate_base::time::civil;
use tollgate_ledger::tariff::{Holds, Period, Prices, Rates, Source, Variant};

/// The most rows that the prices of one model have: periods and variants together.
const ROWS: usize = 16;

/// The most prices of long prompts that a unit has.
const TIERS: usize = 4;

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The provider's id.
    pub provider: Arc<str>,
    /// The model's id, as the catalog writes it.
    pub model: Arc<str>,
}

impl Name {
    /// Returns the name of a model.
    pub fn of(provider: &Arc<str>, model: &Arc<str>) -> Name {
        Name {
            provider: provider.clone(),
            model: model.clone(),
        }
    }
}

/// `openai:gpt-5`
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.model)
    }
}

/// Prices of models.
pub type Models = BTreeMap<Name, Entry>;

/// What a feed says a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When that was taken in, or held back (Unix time, s).
    pub since: u64,
    /// What it says; what it does not name stays as it is known otherwise.
    pub prices: Prices,
}

/// The last good prices of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Those that hold.
    pub taken: Models,
    /// Those that differ so much from what holds that somebody has to accept them.
    pub held: Models,
}

/// A feed's prices that hold, under the feed's id.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The feed's id.
    pub feed: Arc<str>,
    /// Its prices.
    pub kept: Arc<Kept>,
}

/// All feeds of a catalog, the later ones above the earlier ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers(Arc<[Layer]>);

impl Layers {
    /// Lays what the feeds say of a model over what is known of it.
    pub(crate) fn lay(&self, provider: &Arc<str>, model: &Arc<str>, prices: &mut Prices) {
        let name = Name::of(provider, model);
        for layer in self.0.iter() {
            if let Some(entry) = layer.kept.taken.get(&name) {
                entry.lay(&layer.feed, prices);
            }
        }
    }

    /// Some feeds, the lowest first.
    pub(super) fn of(layers: Vec<Layer>) -> Layers {
        Layers(layers.into())
    }

    /// Whether a feed says something of a model.
    pub(super) fn name(&self, name: &Name) -> bool {
        let mut layers = self.0.iter();
        layers.any(|layer| layer.kept.taken.contains_key(name))
    }

    /// What the feeds say of a model, the topmost first, each with what it calls itself.
    pub(super) fn entries(&self, name: &Name) -> impl Iterator<Item = (String, &Entry)> {
        let entries = self.0.iter().rev().map(move |layer| {
            let entry = layer.kept.taken.get(name)?;
            Some((entry.source(&layer.feed), entry))
        });
        entries.flatten()
    }
}

impl Entry {
    /// Lays these prices over what is known of the model.
    ///
    /// A unit that is named is replaced, with its prices of long prompts. Prices without days or hours change what
    /// holds when they are taken in: what is known of later days and of hours stays. Prices with them are all periods
    /// that there are.
    pub(crate) fn lay(&self, feed: &str, prices: &mut Prices) {
        let own = &self.prices;
        match &own.standard[..] {
            [] => {}
            [
                Period {
                    holds: Holds::Always,
                    rates,
                },
            ] => {
                let now = dated(prices, self.since).cloned().unwrap_or_default();
                let rates = over(now, rates);
                let later = |period: &Period| match period.holds {
                    Holds::Always => false,
                    Holds::From(start) => start > self.since,
                    Holds::Daily(..) => true,
                };
                prices.standard.retain(later);
                let holds = Holds::Always;
                prices.standard.insert(0, Period { holds, rates });
            }
            periods => {
                // What holds before the first of them.
                let before =
                    dated(prices, self.since).filter(|_| periods[0].holds != Holds::Always);
                let before = before.map(|rates| Period {
                    holds: Holds::Always,
                    rates: rates.clone(),
                });
                let laid = periods.iter().map(|period| Period {
                    holds: period.holds,
                    rates: over(begin(prices, period.holds), &period.rates),
                });
                prices.standard = before.into_iter().chain(laid).collect();
            }
        }
        for variant in own.variants.iter().rev() {
            self.lay_variant(variant, &mut prices.variants);
        }
        prices.source = Source(self.source(feed).into());
    }

    /// Puts a variant in the place of what it replaces: of what is served so, what has the same time, or holds now as it
    /// does. A new one comes before others, but behind those that say more of how something is served, or hold later.
    fn lay_variant(&self, variant: &Variant, known: &mut Vec<Variant>) {
        let now = |holds: Holds| match holds {
            Holds::Daily(..) => false,
            always_or_from => always_or_from.at(self.since),
        };
        let replaced = |other: &Variant| {
            let same_time = other.holds == variant.holds;
            other.when == variant.when && (same_time || now(other.holds) && now(variant.holds))
        };
        let before = |other: &Variant| match other.when == variant.when {
            true => order(&other.holds) > order(&variant.holds),
            false => other.when.includes(&variant.when),
        };
        let place = known.iter().position(replaced);
        let place = place.unwrap_or_else(|| {
            let last = known.iter().rposition(before);
            last.map_or(0, |last| last + 1)
        });
        let mut rates = Rates::default();
        for other in known.iter().filter(|other| replaced(other)).rev() {
            rates = over(rates, &other.rates);
        }
        known.retain(|other| !replaced(other));
        let laid = Variant {
            rates: over(rates, &variant.rates),
            ..variant.clone()
        };
        known.insert(place, laid);
    }

    /// Returns what the prices call themselves: `feed litellm 2026-11-29`.
    pub fn source(&self, feed: &str) -> String {
        let (year, month, day) = civil(self.since / 86_400);
        format!("feed {feed} {year:04}-{month:02}-{day:02}")
    }
}

/// Rates with others laid over them, unit by unit.
fn over(mut known: Rates, rates: &Rates) -> Rates {
    for (unit, rate) in rates.iter() {
        *known.entry(unit) = rate.clone();
    }
    known
}

/// Whether prices are such as a feed may have: in their order, within bounds, and with a price for short prompts
/// wherever there is one for long ones. Sorts the periods.
///
/// # Errors
/// Says what is wrong.
pub(crate) fn sound(prices: &mut Prices) -> Result<(), String> {
    let rows = prices.standard.len() + prices.variants.len();
    if rows == 0 {
        return Err("it has no price".to_owned());
    }
    if rows > ROWS {
        return Err(format!("it has more than {ROWS} periods and variants"));
    }
    prices.standard.sort_by_key(|period| order(&period.holds));
    let twice = (prices.standard.windows(2)).any(|pair| pair[0].holds == pair[1].holds);
    let seen = |place: usize, variant: &Variant| {
        let before = prices.variants[..place].iter();
        let mut same =
            before.filter(|known| known.when == variant.when && known.holds == variant.holds);
        same.next().is_some()
    };
    if twice || (prices.variants.iter().enumerate()).any(|(place, variant)| seen(place, variant)) {
        return Err("it has two prices for the same".to_owned());
    }
    if prices
        .variants
        .iter()
        .any(|variant| variant.when.is_standard())
    {
        return Err("it has a variant that is the standard".to_owned());
    }
    let standard = prices.standard.iter().map(|period| &period.rates);
    let all = standard.chain(prices.variants.iter().map(|variant| &variant.rates));
    for rates in all {
        if rates.is_empty() {
            return Err("it has no price".to_owned());
        }
        for (unit, rate) in rates.iter() {
            if rate.base.is_none() {
                let name = unit.name();
                return Err(format!(
                    "{name} has a price for long prompts and none for short ones"
                ));
            }
            if rate.tiers.len() > TIERS {
                return Err(format!(
                    "{} has more than {TIERS} prices of long prompts",
                    unit.name()
                ));
            }
        }
    }
    Ok(())
}

impl Kept {
    /// Returns the same with the models of these providers only.
    #[must_use]
    pub fn of(mut self, providers: Option<&[String]>) -> Kept {
        if let Some(providers) = providers {
            let is_one = |name: &Name| providers.iter().any(|one| **one == *name.provider);
            self.taken.retain(|name, _| is_one(name));
            self.held.retain(|name, _| is_one(name));
        }
        self
    }

    /// Takes in what was held back of these models, or of all if none is named; says of which.
    pub fn accept(&mut self, models: &[String], now: u64) -> Vec<Name> {
        let is_one = |name: &Name| {
            let text = name.to_string();
            models.is_empty()
                || models
                    .iter()
                    .any(|one| **one == *text || **one == *name.model)
        };
        let accepted: Vec<Name> = self
            .held
            .keys()
            .filter(|name| is_one(name))
            .cloned()
            .collect();
        for name in &accepted {
            if let Some(entry) = self.held.remove(name) {
                self.taken.insert(
                    name.clone(),
                    Entry {
                        since: now,
                        ..entry
                    },
                );
            }
        }
        accepted
    }
}

#[cfg(test)]
mod tests;
