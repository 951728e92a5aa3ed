//! What a request costs. Pure.
//!
//! ```text
//! fee × (input + output)               every request that is answered
//! + Σ over units: quantity × rate      a managed key's, at the rates of what was served, when it was admitted
//! ```
//!
//! The sum is one of whole pico-dollars (10⁻¹² USD), exact in 128 bits, and is rounded to nano-dollars once, half
//! up. Invariant: an unknown price is never zero; a [`Sheet`] and a usage give the charge again, to the nano-dollar.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::NanoUsd;
use crate::tariff::{Found, Holds, Prices, Rates};
use tollgate_wire::report::{Context, Unit, Usage};

/// Pico-dollars in a nano-dollar.
const PICOS: u128 = 1_000;

/// A price that is needed is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price of the model's {0} tokens is not known")]
pub struct UnknownPrice(
    /// Which: `input` or `output`.
    pub &'static str,
);

/// What is paid for an answer, and by which prices.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The model's, for a managed key; `None` for a user's own, which its provider bills.
    pub prices: Option<&'a Prices>,
    /// When the request was admitted (Unix time, s): later prices are not its own.
    pub at: u64,
    /// Pico-dollars for each token of prompt and answer.
    pub fee: u64,
}

/// The rates of one charge: with the usage they explain it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sheet {
    /// Where the prices come from; empty if none were needed.
    pub source: Arc<str>,
    /// From when they hold (Unix time, s); 0 if always.
    pub since: u64,
    /// What it was priced as.
    pub served: Context,
    /// Pico-dollars for each token of prompt and answer.
    pub fee: u64,
    /// Pico-dollars of each unit that was used.
    pub rates: Vec<(Unit, u64)>,
}

/// A charge with its rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// At least 0, at most [`NanoUsd::MOST`], whatever a provider reports.
    pub cost: NanoUsd,
    /// What it is for; the request itself is among it where it has a price.
    pub usage: Usage,
    /// Its rates.
    pub sheet: Sheet,
    /// Some of what was served has no price: the dearest known was taken.
    pub assumed: bool,
    /// It comes to more than one charge may be, which is charged.
    pub beyond: bool,
}

impl Sheet {
    /// Returns what this usage costs at these rates.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        rounded(self.picos(usage))
    }

    fn picos(&self, usage: &Usage) -> u128 {
        let fee = u128::from(usage.total()) * u128::from(self.fee);
        let parts = self.rates.iter().map(|(unit, pico)| {
            // The product of two 64-bit numbers fits.
            u128::from(usage[*unit]) * u128::from(*pico)
        });
        // A sum beyond 128 bits is beyond one charge, too.
        parts.fold(fee, u128::saturating_add)
    }
}

/// Nano-dollars of pico-dollars, half up, no more than one charge may be.
fn rounded(picos: u128) -> NanoUsd {
    exact(picos).unwrap_or(NanoUsd::MOST)
}

/// The same; `None` if it is more than one charge may be.
fn exact(picos: u128) -> Option<NanoUsd> {
    let nanos = picos.checked_add(PICOS / 2)? / PICOS;
    let nanos = i64::try_from(nanos).ok().map(NanoUsd)?;
    (nanos <= NanoUsd::MOST).then_some(nanos)
}

impl Terms<'_> {
    /// Returns what this usage is charged, served so.
    ///
    /// # Errors
    /// When the model has no price at all.
    pub fn bill(&self, usage: &Usage, served: &Context) -> Result<Bill, UnknownPrice> {
        let mut sheet = Sheet {
            fee: self.fee,
            ..Sheet::default()
        };
        let mut assumed = false;
        if let Some(prices) = self.prices {
            self.each(prices, usage, served, |unit, _, found| {
                assumed |= found.assumed;
                sheet.rates.push((unit, found.pico));
            })?;
            sheet.source = prices.source.0.clone();
            sheet.served = served.clone();
            sheet.since = self.since(prices, served);
        }
        let mut usage = *usage;
        let standard = self.prices.and_then(|prices| prices.standard_at(self.at));
        if let Some((unit, one)) = standard.and_then(|period| request(&period.rates, &usage)) {
            usage[unit] = one;
        }
        let cost = exact(sheet.picos(&usage));
        Ok(Bill {
            cost: cost.unwrap_or(NanoUsd::MOST),
            beyond: cost.is_none(),
            usage,
            sheet,
            assumed,
        })
    }

    /// Returns the most that this usage is charged, if the request may be served as usual or as it asks.
    ///
    /// # Errors
    /// When the model has no price at all.
    pub fn most(&self, usage: &Usage, asked: &Context) -> Result<NanoUsd, UnknownPrice> {
        let usual = self.cost(usage, &Context::STANDARD)?;
        if asked.is_standard() {
            return Ok(usual);
        }
        Ok(usual.max(self.cost(usage, asked)?))
    }

    /// [`Terms::bill`] without the rates.
    ///
    /// # Errors
    /// When the model has no price at all.
    pub fn cost(&self, usage: &Usage, served: &Context) -> Result<NanoUsd, UnknownPrice> {
        let mut picos = u128::from(usage.total()) * u128::from(self.fee);
        if let Some(prices) = self.prices {
            self.each(prices, usage, served, |_, quantity, found| {
                picos = picos.saturating_add(u128::from(quantity) * u128::from(found.pico));
            })?;
        }
        Ok(rounded(picos))
    }

    /// Looks up what each unit of a usage costs, the request itself among them.
    fn each(
        &self,
        prices: &Prices,
        usage: &Usage,
        served: &Context,
        mut note: impl FnMut(Unit, u64, Found),
    ) -> Result<(), UnknownPrice> {
        let prompt = usage.input();
        let standard = prices.standard_at(self.at).map(|period| &period.rates);
        let request = standard.and_then(|rates| request(rates, usage));
        for (unit, quantity) in usage.units().chain(request) {
            let found = standard
                .and_then(|standard| prices.find_beside(standard, unit, served, prompt, self.at));
            note(unit, quantity, found.ok_or_else(|| unknown(unit))?);
        }
        Ok(())
    }

    fn since(&self, prices: &Prices, served: &Context) -> u64 {
        let start = |holds: Holds| match holds {
            Holds::From(start) => start,
            Holds::Always | Holds::Daily(..) => 0,
        };
        let standard = prices
            .standard_at(self.at)
            .map_or(0, |period| start(period.holds));
        let variants = prices.variants_at(served, self.at);
        variants.fold(standard, |since, variant| since.max(start(variant.holds)))
    }
}

/// Returns what tokens `read` from a provider's cache saved beside a prompt without it, less what those `written` cost more:
/// below zero where what was kept was not read again. At the standard prices of short prompts at `at` (Unix time, s);
/// `None` if these are not known.
pub fn cache_savings(prices: &Prices, read: u64, written: u64, at: u64) -> Option<NanoUsd> {
    let rate = |unit| {
        let found = prices.find(unit, &Context::STANDARD, 0, at)?;
        (!found.assumed).then_some(i128::from(found.pico))
    };
    let plain = rate(Unit::Input)?;
    let saved = i128::from(read).checked_mul(plain - rate(Unit::CachedRead)?)?;
    let spent = i128::from(written).checked_mul(rate(Unit::CacheWrite)? - plain)?;
    let nanos = saved.checked_sub(spent)? / 1_000;
    i64::try_from(nanos).ok().map(NanoUsd)
}

/// The request itself, where it has a price and is not counted yet.
fn request(rates: &Rates, usage: &Usage) -> Option<(Unit, u64)> {
    let billed = rates.get(Unit::Request).is_some() && usage[Unit::Request] == 0;
    (billed && usage.total() > 0).then_some((Unit::Request, 1))
}

fn unknown(unit: Unit) -> UnknownPrice {
    UnknownPrice(if unit.is_answer() { "output" } else { "input" })
}

/// Returns whether any request to a model can be priced, before its tokens are known: a managed request to one that
/// cannot is refused. `answers` is whether the answer has tokens of its own, as all have but embeddings.
///
/// # Errors
/// Which price is missing, for a prompt of whatever length, at any time.
pub fn priced(prices: &Prices, answers: bool) -> Result<(), UnknownPrice> {
    if prices.standard.is_empty() {
        return Err(UnknownPrice("input"));
    }
    prices.standard.iter().try_for_each(|period| {
        let known = |unit| {
            period
                .rates
                .get(unit)
                .is_some_and(|rate| rate.base.is_some())
        };
        match (known(Unit::Input), known(Unit::Output)) {
            (false, _) => Err(UnknownPrice("input")),
            (_, false) if answers => Err(UnknownPrice("output")),
            _ => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests;
