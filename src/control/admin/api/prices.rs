//! What a model costs, as the API shows and takes it: names in `camelCase`, exact decimals as text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::faults::Faults;
use crate::resource::{Rest, forms};
use tollgate_base::clock;
use tollgate_config::types;
use tollgate_config::units::Usd;
use tollgate_ledger::tariff::{self, Rates, show_rate};
use tollgate_wire::report::Unit;

/// US dollars per million tokens, and per thousand of what is no token; exact decimals as in `0.0375`. A price that is
/// absent is unknown, not zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ModelPrices {
    #[serde(flatten)]
    units: UnitPrices,
    /// Prices that replace the ones above for a whole request once its prompt is longer than `above` tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    tiers: Option<Vec<Tier>>,
    /// Prices of answers that are served otherwise than usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<Variant>>,
    /// Prices that hold from a day on, or at some hours of every day.
    #[serde(skip_serializing_if = "Option::is_none")]
    periods: Option<Vec<Period>>,
}

/// Prices of long prompts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PriceTier")]
pub(super) struct Tier {
    /// Holds for prompts of more tokens than this.
    above: u64,
    #[serde(flatten)]
    units: UnitPrices,
}

/// Prices of answers that are served in a certain way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PriceVariant")]
struct Variant {
    /// How, in the provider's own names and values: `{"service_tier": "priority"}`.
    when: BTreeMap<String, String>,
    /// What it costs then; what is absent costs what it does otherwise.
    prices: ModelPrices,
}

/// Prices that do not hold always.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PricePeriod")]
struct Period {
    /// The first day on which they hold (UTC), as in `2027-01-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The hours at which they hold (UTC), of every day as in `01:00-04:00`, or of some as in `Mon-Fri 01:00-04:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    daily: Option<String>,
    /// What it costs then; what is absent costs what it did before.
    prices: ModelPrices,
}

/// The price of each unit, by its name.
#[derive(Clone, Debug, Default)]
struct UnitPrices(BTreeMap<Unit, String>);

/// A unit's name in `camelCase`.
fn name(unit: Unit) -> String {
    let mut name = String::new();
    let mut words = unit.name().split('_');
    name.push_str(words.next().unwrap_or_default());
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn named(name: &str) -> Option<Unit> {
    Unit::ALL.into_iter().find(|unit| self::name(*unit) == name)
}

impl Serialize for UnitPrices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(unit, price)| (name(*unit), price)))
    }
}

impl<'de> Deserialize<'de> for UnitPrices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Units;
        impl<'de> Visitor<'de> for Units {
            type Value = UnitPrices;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("prices of units")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UnitPrices, A::Error> {
                let mut prices = UnitPrices::default();
                while let Some(key) = map.next_key::<String>()? {
                    match named(&key) {
                        Some(unit) => {
                            if let Some(price) = map.next_value::<Option<String>>()? {
                                prices.0.insert(unit, price);
                            }
                        }
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(prices)
            }
        }
        deserializer.deserialize_map(Units)
    }
}

impl JsonSchema for UnitPrices {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "UnitPrices".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let price = |unit: Unit| {
            let per = if unit.is_tokens() {
                "million tokens"
            } else {
                "thousand"
            };
            let schema = serde_json::json!({
                "type": ["string", "null"],
                "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?$",
                "description": format!("US dollars per {per}, of `{}`.", unit.name()),
            });
            (name(unit), schema)
        };
        let properties: serde_json::Map<String, serde_json::Value> =
            Unit::ALL.into_iter().map(price).collect();
        json_schema!({"type": "object", "properties": properties})
    }
}

impl ModelPrices {
    /// As it is stored, in the place of the `old` ones, of which what is not known here stays; faults are noted by their place, of which `at` is the beginning.
    pub(super) fn stored(
        &self,
        old: Option<forms::Prices>,
        at: &str,
        faults: &mut Faults,
    ) -> forms::Prices {
        let units = self.units.stored(at, faults);
        let tier = |(place, tier): (usize, &Tier)| forms::PriceTier {
            above: Some(tier.above),
            units: tier.units.stored(&format!("{at}.tiers.{place}"), faults),
            ..forms::PriceTier::default()
        };
        let tiers = self.tiers.iter().flatten().enumerate();
        let tiers = tiers.map(tier).collect();
        let variant = |(place, variant): (usize, &Variant)| forms::PriceVariant {
            when: variant.when.clone(),
            prices: variant
                .prices
                .stored(None, &format!("{at}.variants.{place}.prices"), faults),
            ..forms::PriceVariant::default()
        };
        let variants = self.variants.iter().flatten().enumerate();
        let variants = variants.map(variant).collect();
        let period = |(place, period): (usize, &Period)| forms::PricePeriod {
            from: period.from.clone(),
            daily: period.daily.clone(),
            prices: period
                .prices
                .stored(None, &format!("{at}.periods.{place}.prices"), faults),
            ..forms::PricePeriod::default()
        };
        let periods = self.periods.iter().flatten().enumerate();
        let periods = periods.map(period).collect();
        forms::Prices {
            units,
            tiers,
            variants,
            periods,
            // The whole object is replaced: what would stay of the old one would be charged and not shown.
            rest: old.map_or_else(Rest::default, |old| old.rest),
        }
    }

    /// As it is shown.
    pub(super) fn shown(prices: &forms::Prices) -> ModelPrices {
        let list = |empty: bool| (!empty).then_some(());
        ModelPrices {
            units: UnitPrices::shown(&prices.units),
            tiers: list(prices.tiers.is_empty()).map(|()| {
                let tiers = prices.tiers.iter();
                let tier = |tier: &forms::PriceTier| {
                    let units = UnitPrices::shown(&tier.units);
                    Some(Tier {
                        above: tier.above?,
                        units,
                    })
                };
                tiers.filter_map(tier).collect()
            }),
            variants: list(prices.variants.is_empty()).map(|()| {
                let variant = |variant: &forms::PriceVariant| Variant {
                    when: variant.when.clone(),
                    prices: ModelPrices::shown(&variant.prices),
                };
                prices.variants.iter().map(variant).collect()
            }),
            periods: list(prices.periods.is_empty()).map(|()| {
                let period = |period: &forms::PricePeriod| Period {
                    from: period.from.clone(),
                    daily: period.daily.clone(),
                    prices: ModelPrices::shown(&period.prices),
                };
                prices.periods.iter().map(period).collect()
            }),
        }
    }
}

impl UnitPrices {
    fn stored(&self, at: &str, faults: &mut Faults) -> types::UnitPrices {
        let price = |(unit, text): (&Unit, &String)| {
            let usd: Result<Usd, _> = text.parse();
            if usd.is_err() {
                let per = if unit.is_tokens() {
                    "million tokens"
                } else {
                    "thousand"
                };
                faults.at(
                    format!("{at}.{}", name(*unit)),
                    format!("must be US dollars per {per}, as in 0.0375"),
                );
            }
            Some((*unit, usd.ok()?))
        };
        types::UnitPrices(self.0.iter().filter_map(price).collect())
    }

    fn shown(prices: &types::UnitPrices) -> UnitPrices {
        let shown = prices.0.iter().map(|(unit, usd)| (*unit, usd.to_string()));
        UnitPrices(shown.collect())
    }

    /// Those of prompts that have so many tokens.
    fn of(rates: &Rates, prompt: u64) -> UnitPrices {
        let priced = rates
            .iter()
            .filter_map(|(unit, rate)| Some((unit, show_rate(unit, rate.at(prompt)?))));
        UnitPrices(priced.collect())
    }
}

/// US dollars per million tokens, and per thousand of what is no token; exact decimals. A price that is null or absent
/// is unknown, not zero.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CatalogPrices {
    /// Prompt tokens.
    input: Option<String>,
    /// Prompt tokens read from the provider's cache.
    cached_read: Option<String>,
    /// Prompt tokens written to the provider's cache.
    cache_write: Option<String>,
    /// Answer tokens.
    output: Option<String>,
    /// The prices of other units that have one.
    #[serde(flatten)]
    others: UnitPrices,
    /// For long prompts, by rising length; the last tier that the prompt exceeds prices the whole request.
    tiers: Vec<Tier>,
    /// Where the prices come from.
    source: String,
    /// What is served otherwise than usual; of those that fit, the first one that names a unit counts.
    variants: Vec<OtherPrices>,
    /// What holds from a day on, or at some hours; the last one that holds counts.
    periods: Vec<OtherPrices>,
}

/// Prices of what is served otherwise, or of other times.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CatalogOtherPrices")]
struct OtherPrices {
    /// How it is served, as in `service_tier=priority`; `standard` is as usual.
    when: String,
    /// From when (`2027-01-01`), or at which hours (`01:00-04:00`), UTC; absent if always.
    #[serde(skip_serializing_if = "String::is_empty")]
    holds: String,
    #[serde(flatten)]
    units: UnitPrices,
    /// For long prompts.
    tiers: Vec<Tier>,
}

impl CatalogPrices {
    /// As they are in force now.
    pub(super) fn of(prices: &tariff::Prices) -> CatalogPrices {
        let now = clock::unix_ms(clock::wall()) / 1_000;
        let none = Rates::default();
        let usual = prices
            .standard_at(now)
            .map_or(&none, |period| &period.rates);
        let UnitPrices(mut others) = UnitPrices::of(usual, 0);
        let other = |when: String, holds: tariff::Holds, rates: &Rates| OtherPrices {
            when,
            holds: holds.to_string(),
            units: UnitPrices::of(rates, 0),
            tiers: tiers(rates),
        };
        let variants = prices.variants.iter();
        let periods = prices.standard.iter().filter(|_| prices.standard.len() > 1);
        CatalogPrices {
            input: others.remove(&Unit::Input),
            cached_read: others.remove(&Unit::CachedRead),
            cache_write: others.remove(&Unit::CacheWrite),
            output: others.remove(&Unit::Output),
            others: UnitPrices(others),
            tiers: tiers(usual),
            source: prices.source.0.to_string(),
            variants: variants
                .map(|it| other(it.when.to_string(), it.holds, &it.rates))
                .collect(),
            periods: periods
                .map(|it| other("standard".to_owned(), it.holds, &it.rates))
                .collect(),
        }
    }
}

fn tiers(rates: &Rates) -> Vec<Tier> {
    let tier = |above: u64| Tier {
        above,
        units: UnitPrices::of(rates, above.saturating_add(1)),
    };
    rates.thresholds().into_iter().map(tier).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prices_are_replaced_as_a_whole() {
        let mut faults = Faults::default();
        let mut stored = |old: Option<forms::Prices>, sent: serde_json::Value| {
            let sent: ModelPrices = serde_json::from_value(sent).unwrap();
            sent.stored(old, "prices", &mut faults)
        };
        let price = json!({"input": "1"});
        let mut all = stored(
            None,
            json!({
                "input": "2", "tiers": [{"above": 9, "input": "3"}],
                "variants": [{"when": {"service_tier": "priority"}, "prices": price}],
                "periods": [{"daily": "01:00-02:00", "prices": price}],
            }),
        );
        assert_eq!(
            (all.tiers.len(), all.variants.len(), all.periods.len()),
            (1, 1, 1)
        );
        all.rest = serde_json::from_value(json!({"newer": 1})).unwrap();
        let left = stored(Some(all.clone()), price.clone());
        assert_eq!(
            left,
            forms::Prices {
                rest: all.rest,
                ..stored(None, price)
            }
        );
        assert!(faults.none().is_ok());
    }
}
