//! The prices of one model of the YAML.
//!
//! Only the named prices change. A price that a tier does not name stays what it was for prompts of that
//! length; a base price that changes also changes in the tiers where it was the same, that is, flat.

use super::Faults;
use crate::yaml::types;
use crate::yaml::units::Usd;
use tollgate_ledger::tariff::{Prices, Rates};

/// Lays `declared` over `prices`; `path` ends in `.prices`.
pub(super) fn lay(prices: &mut Prices, declared: &types::Prices, path: &str, faults: &mut Faults) {
    let before = prices.base;
    let named = rates([
        &declared.input,
        &declared.cached_read,
        &declared.cache_write,
        &declared.output,
    ]);
    prices.base = over(named, before);
    for (_, tier) in &mut prices.tiers {
        let flat = |tier: Option<u64>, before: Option<u64>, named: Option<u64>| {
            if tier == before { named } else { None }
        };
        let flat = Rates {
            input: flat(tier.input, before.input, named.input),
            cached_read: flat(tier.cached_read, before.cached_read, named.cached_read),
            cache_write: flat(tier.cache_write, before.cache_write, named.cache_write),
            output: flat(tier.output, before.output, named.output),
        };
        *tier = over(flat, *tier);
    }
    // By rising threshold, so that a new tier starts from the prices below it whatever the YAML's order.
    let mut tiers: Vec<(usize, &types::PriceTier)> = declared.tiers.iter().enumerate().collect();
    tiers.sort_by_key(|(_, tier)| tier.above);
    let mut last = None;
    for (position, tier) in tiers {
        if last == Some(tier.above) {
            faults.at(
                format!("{path}.tiers[{position}].above"),
                format!("there is another tier above {}", tier.above),
            );
        }
        last = Some(tier.above);
        let named = rates([
            &tier.input,
            &tier.cached_read,
            &tier.cache_write,
            &tier.output,
        ]);
        let laid = over(named, *prices.rates_for(tier.above.saturating_add(1)));
        match prices
            .tiers
            .binary_search_by_key(&tier.above, |(above, _)| *above)
        {
            Ok(known) => prices.tiers[known].1 = laid,
            Err(place) => prices.tiers.insert(place, (tier.above, laid)),
        }
    }
}

/// In the order input, cached read, cache write, output.
fn rates(prices: [&Option<Usd>; 4]) -> Rates {
    let [input, cached_read, cache_write, output] =
        prices.map(|price| price.as_ref().map(|usd| usd.pico_per_token()));
    Rates {
        input,
        cached_read,
        cache_write,
        output,
    }
}

fn over(named: Rates, known: Rates) -> Rates {
    Rates {
        input: named.input.or(known.input),
        cached_read: named.cached_read.or(known.cached_read),
        cache_write: named.cache_write.or(known.cache_write),
        output: named.output.or(known.output),
    }
}
