//! What one side says of a model and a key in a time.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_ledger::NanoUsd;

use crate::charged::{Sum, Used, add};
use crate::unit::Unit;

/// Pico-dollars in a nano-dollar.
const PICOS: u128 = 1_000;

/// What one side says; of a provider, only as far as its reports go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    /// What was charged or billed.
    pub(super) cost: NanoUsd,
    /// By how much the cost may be off because it was rounded.
    pub(super) rounding: NanoUsd,
    /// Whether there is anything of money.
    pub(super) has_cost: bool,
    /// Whether there is anything of quantities.
    pub(super) has_usage: bool,
    /// How many requests, if that is said.
    pub(super) requests: Option<u64>,
    /// Quantities, and what was charged or billed for each.
    pub(super) units: BTreeMap<Unit, Used>,
    /// Whether a part of the cost is for no unit that is known.
    pub(super) undivided: bool,
    /// Quantities by the context that they were served in.
    pub(super) variants: BTreeMap<String, u64>,
    /// Contexts that costs are split by, but for the ordinary one.
    pub(super) billed_as: BTreeSet<String>,
    /// Quantities of which no context is said.
    pub(super) unsaid: u64,
    /// What of the cost is no more than an assumption.
    pub(super) assumed: NanoUsd,
    /// Quantities by the provider's key.
    pub(super) keys: BTreeMap<String, BTreeMap<Unit, u64>>,
}

impl Side {
    /// Whether it says nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.cost == NanoUsd::ZERO
            && self.requests.unwrap_or(0) == 0
            && self.units.values().all(|used| used.quantity == 0)
    }

    /// Adds a row of the ledger, with the units that `takes` says.
    pub(super) fn charge(
        &mut self,
        variant: Option<&str>,
        sum: &Sum,
        cost: NanoUsd,
        takes: impl Fn(Unit) -> bool,
    ) {
        self.has_cost = true;
        self.has_usage = true;
        self.cost += cost;
        self.assumed += sum.assumed;
        self.requests = Some(self.requests.unwrap_or(0).saturating_add(sum.requests));
        let units = sum.units.iter().filter(|(unit, _)| takes(**unit));
        for (unit, used) in units {
            add(&mut self.units, *unit, *used);
            self.served(variant, used.quantity);
        }
    }

    /// Adds a quantity that was served in a context.
    pub(super) fn served(&mut self, variant: Option<&str>, quantity: u64) {
        let sum = match variant {
            Some(variant) => self.variants.entry(variant.to_owned()).or_default(),
            None => &mut self.unsaid,
        };
        *sum = sum.saturating_add(quantity);
    }

    /// Adds another side of the same kind.
    pub(super) fn merge(&mut self, other: &Side) {
        self.cost += other.cost;
        self.rounding += other.rounding;
        self.has_cost |= other.has_cost;
        self.has_usage |= other.has_usage;
        self.undivided |= other.undivided;
        self.unsaid = self.unsaid.saturating_add(other.unsaid);
        self.assumed += other.assumed;
        if let Some(requests) = other.requests {
            self.requests = Some(self.requests.unwrap_or(0).saturating_add(requests));
        }
        self.billed_as.extend(other.billed_as.iter().cloned());
        for (unit, used) in &other.units {
            add(&mut self.units, *unit, *used);
        }
        for (variant, quantity) in &other.variants {
            self.served(Some(variant), *quantity);
        }
        for (key, units) in &other.keys {
            let own = self.keys.entry(key.clone()).or_default();
            for (unit, quantity) in units {
                let sum = own.entry(*unit).or_default();
                *sum = sum.saturating_add(*quantity);
            }
        }
    }

    /// Quantities by context, if the context of all of them is said.
    pub(super) fn contexts(&self) -> Option<&BTreeMap<String, u64>> {
        (self.unsaid == 0 && !self.variants.is_empty()).then_some(&self.variants)
    }
}

/// A unit on both sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    pub(super) unit: Unit,
    pub(super) ledger: Used,
    pub(super) billed: Used,
}

/// The units of both sides beside each other. If one side does not say for how long a cache was written, it is not
/// split on the other either.
pub(super) fn beside(ledger: &Side, billed: &Side) -> Vec<Beside> {
    let vague = [ledger, billed]
        .iter()
        .any(|side| side.units.contains_key(&Unit::CacheWriteAny));
    let place = |unit: Unit| {
        if vague && unit.is_cache_write() {
            Unit::CacheWriteAny
        } else {
            unit
        }
    };
    let mut found: BTreeMap<Unit, [BTreeMap<Unit, Used>; 2]> = BTreeMap::new();
    for (side, number) in [(ledger, 0), (billed, 1)] {
        for (unit, used) in &side.units {
            let unit = place(*unit);
            add(&mut found.entry(unit).or_default()[number], unit, *used);
        }
    }
    let none = Used {
        quantity: 0,
        picos: Some(0),
    };
    let both = found.into_iter().map(|(unit, [ledger, billed])| Beside {
        unit,
        ledger: ledger.get(&unit).copied().unwrap_or(none),
        billed: billed.get(&unit).copied().unwrap_or(none),
    });
    both.collect()
}

/// Nano-dollars as pico-dollars.
pub(super) fn picos(amount: NanoUsd) -> u128 {
    u128::from(amount.or_zero().0.unsigned_abs()) * PICOS
}

/// Pico-dollars as nano-dollars, rounded half up.
pub(super) fn nanos(picos: u128) -> NanoUsd {
    let nanos = picos.saturating_add(PICOS / 2) / PICOS;
    i64::try_from(nanos).map_or(NanoUsd::MOST, NanoUsd)
}
