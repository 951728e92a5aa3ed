//! What units cost at one time, for what is served in one way; and its text.

use std::fmt;
use std::str::FromStr;

use tollgate_wire::report::Unit;

use super::dollars::{parse_rate, show_rate};

/// What each unit costs; a unit that is not here has no price of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(Vec<(Unit, Rate)>);

/// What a unit costs, in pico-dollars (10⁻¹² USD) each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// For prompts that no tier covers; `None` is unknown.
    pub base: Option<u64>,
    /// For long prompts, by rising threshold; the last one that the prompt exceeds counts, for the whole request.
    pub tiers: Vec<(u64, u64)>,
}

impl Rate {
    /// Returns the same for prompts of every length.
    pub const fn flat(pico: u64) -> Rate {
        Rate {
            base: Some(pico),
            tiers: Vec::new(),
        }
    }

    /// Returns what it is for a prompt that has so many tokens, cached ones included. A tier holds *above* its
    /// threshold: a prompt of exactly that length is not in it.
    pub fn at(&self, prompt_tokens: u64) -> Option<u64> {
        let mut tiers = self.tiers.iter().rev();
        let reached = tiers.find(|(above, _)| prompt_tokens > *above);
        reached.map(|(_, pico)| *pico).or(self.base)
    }

    /// Gives prompts longer than `above` another price, up to the next tier.
    pub fn set_tier(&mut self, above: u64, pico: u64) {
        match self.tiers.binary_search_by_key(&above, |(above, _)| *above) {
            Ok(known) => self.tiers[known].1 = pico,
            Err(place) => self.tiers.insert(place, (above, pico)),
        }
    }

    /// Changes the base price, and every tier that had the same: that is, what was flat stays flat.
    pub fn set_base(&mut self, pico: u64) {
        let before = self.base.replace(pico);
        for (_, tier) in &mut self.tiers {
            if Some(*tier) == before {
                *tier = pico;
            }
        }
    }

    /// Returns the highest price for prompts of any length.
    pub(super) fn dearest(&self) -> Option<u64> {
        let tiers = self.tiers.iter().map(|(_, pico)| *pico);
        tiers.chain(self.base).max()
    }
}

impl Rates {
    /// Returns a unit's rate.
    pub fn get(&self, unit: Unit) -> Option<&Rate> {
        let found = self.0.binary_search_by_key(&unit, |(unit, _)| *unit).ok();
        found.map(|place| &self.0[place].1)
    }

    /// Returns a unit's rate, to change it; an unknown one if it has none yet.
    pub fn entry(&mut self, unit: Unit) -> &mut Rate {
        let place = match self.0.binary_search_by_key(&unit, |(unit, _)| *unit) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (unit, Rate::default()));
                place
            }
        };
        &mut self.0[place].1
    }

    /// Returns every unit that has a rate, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Unit, &Rate)> {
        self.0.iter().map(|(unit, rate)| (*unit, rate))
    }

    /// Returns the prompt lengths above which something costs otherwise, rising.
    pub fn thresholds(&self) -> Vec<u64> {
        let tiers = self.0.iter().flat_map(|(_, rate)| &rate.tiers);
        let mut all: Vec<u64> = tiers.map(|(above, _)| *above).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns whether no unit has a rate.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a unit without a base price for this prompt is charged at, by the price of another: what providers do
    /// that publish no price of its own. Sources: the price pages of Anthropic (writing to a cache for an hour is
    /// twice the price of input), OpenAI and Google (images and video of a prompt cost what its text does).
    fn stand_in(&self, unit: Unit, prompt_tokens: u64) -> Option<u64> {
        let of = |unit| self.price(unit, prompt_tokens);
        match unit {
            Unit::CachedRead | Unit::CacheWrite | Unit::InputImage | Unit::InputVideo => {
                of(Unit::Input)
            }
            Unit::CacheWrite1h if self.own(Unit::CacheWrite, prompt_tokens).is_some() => {
                of(Unit::Input)?.checked_mul(2)
            }
            Unit::CacheWrite1h => of(Unit::Input),
            Unit::CachedAudio => self.own(Unit::InputAudio, prompt_tokens),
            Unit::CachedImage => of(Unit::CachedRead),
            Unit::Reasoning | Unit::Citation => of(Unit::Output),
            _ => None,
        }
    }

    /// Returns what a unit's own rate says.
    pub(super) fn own(&self, unit: Unit, prompt_tokens: u64) -> Option<u64> {
        self.get(unit)?.at(prompt_tokens)
    }

    /// Returns what a unit costs when the prompt has so many tokens; `None` if it is not known.
    pub fn price(&self, unit: Unit, prompt_tokens: u64) -> Option<u64> {
        self.own(unit, prompt_tokens)
            .or_else(|| self.stand_in(unit, prompt_tokens))
    }
}

/// `input=5;>272000:10 output=30`: units and prices as price lists have them, tiers behind the base price.
impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Rates, String> {
        let mut rates = Rates::default();
        for entry in text.split_whitespace() {
            let fault = |what: &str| format!("`{entry}`: {what}");
            let (name, prices) = entry
                .split_once('=')
                .ok_or_else(|| fault("is no unit=price"))?;
            let unit = Unit::named(name).ok_or_else(|| fault("is of no known unit"))?;
            if rates.get(unit).is_some() {
                return Err(fault("has a second price"));
            }
            let rate = rates.entry(unit);
            let mut prices = prices.split(';');
            if let Some(base) = prices.next().filter(|base| !base.is_empty()) {
                rate.base = Some(parse_rate(unit, base).map_err(|what| fault(&what))?);
            }
            for tier in prices {
                let parts = tier.strip_prefix('>').and_then(|tier| tier.split_once(':'));
                let parsed =
                    parts.and_then(|(above, price)| Some((above.parse::<u64>().ok()?, price)));
                let (above, price) =
                    parsed.ok_or_else(|| fault("has a tier that is no >tokens:price"))?;
                if rate.tiers.iter().any(|(known, _)| *known == above) {
                    return Err(fault("has two tiers above the same length"));
                }
                rate.set_tier(above, parse_rate(unit, price).map_err(|what| fault(&what))?);
            }
        }
        Ok(rates)
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (unit, rate)) in self.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            let base = rate
                .base
                .map(|pico| show_rate(unit, pico))
                .unwrap_or_default();
            write!(f, "{gap}{}={base}", unit.name())?;
            for (above, pico) in &rate.tiers {
                write!(f, ";>{above}:{}", show_rate(unit, *pico))?;
            }
        }
        Ok(())
    }
}
