//! What a model costs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::yaml::units::Usd;
use tollgate_wire::report::Unit;

/// US dollars per million tokens, and per thousand of what is no token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(transform = closed)]
pub struct Prices {
    /// The price of each unit.
    #[serde(flatten)]
    pub units: UnitPrices,
    /// Prices that replace the ones above for a whole request once its prompt is longer than `above` tokens.
    #[schemars(default)]
    pub tiers: Vec<PriceTier>,
    /// Prices of answers that are served otherwise than usual: in a service tier, in fast mode, in a region. The first
    /// one that fits counts; a unit that it does not name costs what it does otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub variants: Vec<PriceVariant>,
    /// Prices that hold from a day on, or at some hours of every day; the last one that holds counts. What one does
    /// not name costs what it did before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub periods: Vec<PricePeriod>,
}

/// Prices of long prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(transform = closed)]
pub struct PriceTier {
    /// The tier holds for prompts of more tokens than this.
    pub above: u64,
    /// The price of each unit.
    #[serde(flatten)]
    pub units: UnitPrices,
}

/// Prices of answers that are served in a certain way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceVariant {
    /// How: the names and values that the provider uses, as in `{ service_tier: priority }`. Names are
    /// `service_tier`, `speed`, `inference_geo`, `processing`, `search_type` and `route`; all given must fit.
    pub when: BTreeMap<String, String>,
    /// What it costs then.
    pub prices: Prices,
}

/// Prices that do not hold always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PricePeriod {
    /// The first day on which they hold (UTC), as in `2027-01-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The hours at which they hold (UTC), of every day as in `01:00-04:00`, or of some as in `Mon-Fri 01:00-04:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<String>,
    /// What it costs then.
    pub prices: Prices,
}

/// The price of each unit, by its name; what is absent is unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitPrices(pub BTreeMap<Unit, Usd>);

const NAMES: [&str; Unit::ALL.len()] = {
    let mut names = [""; Unit::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Unit::ALL[at].name();
        at += 1;
    }
    names
};

/// What a price is for, as the editor shows it.
const fn description(unit: Unit) -> &'static str {
    match unit {
        Unit::Input => "Prompt tokens.",
        Unit::CachedRead => {
            "Prompt tokens read from the provider's cache. Default: the price of input."
        }
        Unit::CacheWrite => {
            "Prompt tokens written to the provider's cache. Default: the price of input."
        }
        Unit::CacheWrite1h => {
            "Prompt tokens written to the provider's cache for an hour. Default: twice the price of input where writing has a price, else the price of input."
        }
        Unit::InputAudio => "Prompt tokens of audio. Without a price, audio is refused.",
        Unit::InputImage => "Prompt tokens of images. Default: the price of input.",
        Unit::InputVideo => "Prompt tokens of video. Default: the price of input.",
        Unit::CachedAudio => {
            "Prompt tokens of audio read from the provider's cache. Default: the price of input_audio."
        }
        Unit::CachedImage => {
            "Prompt tokens of images read from the provider's cache. Default: the price of cached_read."
        }
        Unit::Output => "Answer tokens.",
        Unit::Reasoning => "Answer tokens spent on reasoning. Default: the price of output.",
        Unit::OutputAudio => "Answer tokens of audio. Without a price, audio is refused.",
        Unit::OutputImage => "Answer tokens of images. Without a price, images are refused.",
        Unit::OutputVideo => "Answer tokens of video.",
        Unit::Citation => "Answer tokens of citations. Default: the price of output.",
        Unit::WebSearch => {
            "US dollars per thousand searches of the web by the provider. Without a price, they are refused."
        }
        Unit::FileSearch => {
            "US dollars per thousand searches of files by the provider. Without a price, they are refused."
        }
        Unit::CodeContainer => {
            "US dollars per thousand containers of 1 GB in which the provider runs code; one of 4 GB counts as four. Without a price, they are refused."
        }
        Unit::Request => "US dollars per thousand requests, besides their tokens.",
    }
}

impl Serialize for UnitPrices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(unit, usd)| (unit.name(), usd)))
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
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    prices.member(&name, &mut map)?;
                }
                Ok(prices)
            }
        }
        // Beside other members it takes those with these names, and leaves the rest.
        deserializer.deserialize_struct("UnitPrices", &NAMES, Units)
    }
}

impl UnitPrices {
    /// Takes a member if it is a unit's price, and passes over any other: the shape was checked.
    fn member<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let Some(unit) = Unit::named(name) else {
            return map.next_value::<IgnoredAny>().map(drop);
        };
        if let Some(usd) = map.next_value::<Option<Usd>>()? {
            self.0.insert(unit, usd);
        }
        Ok(())
    }
}

// By hand, and not flattened: so a fault is reported with the price at which it is.
impl<'de> Deserialize<'de> for Prices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Prices;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("prices")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prices, A::Error> {
                let mut prices = Prices::default();
                while let Some(name) = map.next_key::<String>()? {
                    match &*name {
                        "tiers" => prices.tiers = map.next_value()?,
                        "variants" => prices.variants = map.next_value()?,
                        "periods" => prices.periods = map.next_value()?,
                        unit => prices.units.member(unit, &mut map)?,
                    }
                }
                Ok(prices)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for PriceTier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = PriceTier;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a tier's prices")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PriceTier, A::Error> {
                let (mut above, mut units) = (None, UnitPrices::default());
                while let Some(name) = map.next_key::<String>()? {
                    match &*name {
                        "above" => above = Some(map.next_value()?),
                        unit => units.member(unit, &mut map)?,
                    }
                }
                let above = above.ok_or_else(|| serde::de::Error::missing_field("above"))?;
                Ok(PriceTier { above, units })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl JsonSchema for UnitPrices {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "UnitPrices".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let price = |unit: Unit, generator: &mut SchemaGenerator| {
            let mut schema = generator.subschema_for::<Option<Usd>>();
            schema.insert("description".to_owned(), description(unit).into());
            schema.insert("default".to_owned(), serde_json::Value::Null);
            (unit.name().to_owned(), schema.into())
        };
        let properties: serde_json::Map<String, serde_json::Value> = Unit::ALL
            .into_iter()
            .map(|unit| price(unit, generator))
            .collect();
        json_schema!({"type": "object", "properties": properties})
    }
}

/// Nothing else may stand there. (Serde's own way does not go together with flattened members; the shape is checked
/// by this schema.)
fn closed(schema: &mut Schema) {
    schema.insert("additionalProperties".to_owned(), false.into());
}
