//! What a model's units cost, exactly: integers of pico-dollars (10⁻¹² USD), no floats.
//!
//! A tariff has a rate for each unit, which may differ for long prompts (*tiers*), from a day on or at some hours
//! (*periods*), and by how an answer is served (*variants*: a service tier, fast mode, a region, a batch).
//!
//! The invariant: an unknown price is `None`, never zero. US dollars per million tokens with six decimals are exact
//! (one is 10⁶ pico-dollars per token), and so are US dollars per thousand searches (one is 10⁹ each).

mod dollars;
mod holds;
mod rates;

use std::sync::Arc;

use tollgate_wire::report::{Context, Unit};

pub use dollars::{rate_of, show_rate};
pub use holds::{Days, Holds};
pub use rates::{Rate, Rates};

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Where they come from, for people: `catalog`, `configuration`, a feed's name with its day.
    pub source: Source,
    /// What an answer costs that is served as usual; the last one that holds counts. Empty is unknown.
    pub standard: Vec<Period>,
    /// What an answer costs that is served otherwise: of those that fit and hold, the first one that has a rate for
    /// a unit counts, and the standard where none has.
    pub variants: Vec<Variant>,
}

/// Where prices come from, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(pub Arc<str>);

impl Default for Source {
    fn default() -> Source {
        Source("catalog".into())
    }
}

/// Rates, and when they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// When.
    pub holds: Holds,
    /// What is charged then.
    pub rates: Rates,
}

/// Rates of answers that are served in a certain way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// How; never the standard.
    pub when: Context,
    /// When they hold.
    pub holds: Holds,
    /// What is charged then. A unit that is not here costs what it does otherwise.
    pub rates: Rates,
}

/// A rate, as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Pico-dollars each.
    pub pico: u64,
    /// There is no price for what was served: it is the dearest one known.
    pub assumed: bool,
}

impl Prices {
    /// Prices that hold always, for what is served as usual.
    pub fn flat(rates: Rates) -> Prices {
        Prices {
            standard: vec![Period {
                holds: Holds::Always,
                rates,
            }],
            ..Prices::default()
        }
    }

    /// Returns what is charged as usual at a moment (Unix time, s); `None` if no price is known.
    pub fn standard_at(&self, now: u64) -> Option<&Period> {
        let holding = self
            .standard
            .iter()
            .rev()
            .find(|period| period.holds.at(now));
        holding.or_else(|| self.standard.first())
    }

    /// Returns the variants that hold at a moment for what is served so.
    pub fn variants_at(&self, served: &Context, now: u64) -> impl Iterator<Item = &Variant> {
        let fits = move |variant: &&Variant| {
            !served.is_standard() && variant.holds.at(now) && served.includes(&variant.when)
        };
        self.variants.iter().filter(fits)
    }

    /// Returns whether everything that is not standard about `served` has a price of its own.
    pub fn covers(&self, served: &Context, now: u64) -> bool {
        served.iter().all(|(dimension, _)| {
            let mut fitting = self.variants_at(served, now);
            fitting.any(|variant| variant.when.get(dimension).is_some())
        })
    }

    /// Returns what a unit costs that is served so, at a moment (Unix time, s), with a prompt of so many tokens. `None`
    /// if the model has no price at all.
    ///
    /// What has no price costs the dearest that is known: of the unit in any variant and tier, or of the model's
    /// tokens; and where it is served in a way that has none, no less than what that way costs at most elsewhere.
    pub fn find(
        &self,
        unit: Unit,
        served: &Context,
        prompt_tokens: u64,
        now: u64,
    ) -> Option<Found> {
        let standard = &self.standard_at(now)?.rates;
        self.find_beside(standard, unit, served, prompt_tokens, now)
    }

    /// The same, where what is charged as usual is known.
    pub(crate) fn find_beside(
        &self,
        standard: &Rates,
        unit: Unit,
        served: &Context,
        prompt_tokens: u64,
        now: u64,
    ) -> Option<Found> {
        let usual = standard.price(unit, prompt_tokens);
        if served.is_standard()
            && let Some(pico) = usual
        {
            return Some(Found {
                pico,
                assumed: false,
            });
        }
        if self.covers(served, now) {
            let own = self
                .variants_at(served, now)
                .find_map(|variant| variant.rates.own(unit, prompt_tokens));
            if let Some(pico) = own
                .or_else(|| self.derived(unit, served, prompt_tokens, now))
                .or(usual)
            {
                return Some(Found {
                    pico,
                    assumed: false,
                });
            }
        }
        let pico = self.dearest(unit, served, usual)?;
        Some(Found {
            pico,
            assumed: true,
        })
    }

    /// A unit that no rate names, by the rates of the variants that name what stands in for it.
    fn derived(&self, unit: Unit, served: &Context, prompt_tokens: u64, now: u64) -> Option<u64> {
        let standard = &self.standard_at(now)?.rates;
        if standard.own(unit, prompt_tokens).is_some() {
            return None;
        }
        let mut laid = standard.clone();
        let fitting: Vec<&Variant> = self.variants_at(served, now).collect();
        for variant in fitting.into_iter().rev() {
            for (unit, rate) in variant.rates.iter() {
                *laid.entry(unit) = rate.clone();
            }
        }
        laid.price(unit, prompt_tokens)
    }

    fn dearest(&self, unit: Unit, served: &Context, usual: Option<u64>) -> Option<u64> {
        let all = || {
            let standard = self.standard.iter().map(|period| &period.rates);
            standard.chain(self.variants.iter().map(|variant| &variant.rates))
        };
        let of_unit = all()
            .filter_map(|rates| rates.get(unit)?.dearest())
            .max()
            .or(usual);
        let known = match of_unit {
            Some(known) => known,
            None if unit.is_tokens() => all()
                .flat_map(Rates::iter)
                .filter(|(unit, _)| unit.is_tokens())
                .filter_map(|(_, rate)| rate.dearest())
                .max()?,
            None => dearest_count(unit),
        };
        let (numerator, denominator) = premium(served);
        let base = usual.unwrap_or(known);
        let with_premium = match unit.is_tokens() && !served.is_standard() {
            true => base.saturating_mul(numerator).div_ceil(denominator),
            false => base,
        };
        Some(known.max(with_premium))
    }
}

/// What is charged for a search or a container whose price is not known: the dearest that is published. Sources: the
/// price pages of Google (grounding, 35 USD per thousand), OpenAI (file search 2.50 USD per thousand, containers of
/// 64 GB 1.92 USD each).
const fn dearest_count(unit: Unit) -> u64 {
    match unit {
        Unit::WebSearch => 35_000_000_000,
        Unit::FileSearch => 2_500_000_000,
        Unit::CodeContainer => 1_920_000_000_000,
        _ => 0,
    }
}

/// The most that a way of serving costs, as a multiple of the standard, where a model has no price for it. Sources:
/// the price pages of OpenAI (priority: 2.5) and Anthropic (fast mode: 6; inference in the US: 1.1; a batch: 0.5).
fn premium(served: &Context) -> (u64, u64) {
    use tollgate_wire::report::Dimension;
    served
        .iter()
        .fold((1, 1), |(numerator, denominator), (dimension, value)| {
            let (more, per) = match (dimension, value) {
                (Dimension::Processing, _) | (Dimension::ServiceTier, "flex") => (1, 1),
                (Dimension::ServiceTier, "priority") => (5, 2),
                (Dimension::InferenceGeo, _) => (11, 10),
                (Dimension::Speed, _) => (6, 1),
                _ => (5, 2),
            };
            (numerator * more, denominator * per)
        })
}

#[cfg(test)]
mod tests;
