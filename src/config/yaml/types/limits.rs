//! How much may be used: tokens of one request, requests and tokens of a minute, dollars of a budget.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::yaml::units::Usd;
pub use tollgate_ledger::bank::{Per, Weekday, Zone};

/// Token limits of one request. Limits of requests, tokens and dollars over time belong to access keys and
/// configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenLimits {
    /// Requests with more prompt tokens are refused with 413.
    pub max_input_tokens: Option<u64>,
    /// The request's own token limit is lowered to this.
    pub max_output_tokens: Option<u64>,
}

/// What a configuration limits. What is counted over time is shared by all keys of this configuration, account by
/// account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests with more prompt tokens are refused with 413. Overrides the global limit.
    pub max_input_tokens: Option<u64>,
    /// The request's own token limit is lowered to this, or to the global limit, whichever is less.
    pub max_output_tokens: Option<u64>,
    /// Requests in a minute, by the clock (UTC); further ones are refused with 429.
    pub requests_per_minute: Option<u64>,
    /// Tokens in a minute, by the clock (UTC), prompts and answers: a request counts as its estimate until it is
    /// done, and then as what it was.
    pub tokens_per_minute: Option<u64>,
    /// Requests under way at the same time.
    pub concurrent_requests: Option<u64>,
    /// What may be charged: one budget, or a list of them.
    pub budget: Budgets,
    /// By the name of a tag, what may be charged for each of its values. Requests without that tag are refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Budgets>,
}

impl Limits {
    /// Returns the part that is about one request.
    pub fn tokens(&self) -> TokenLimits {
        TokenLimits {
            max_input_tokens: self.max_input_tokens,
            max_output_tokens: self.max_output_tokens,
        }
    }

    /// Returns the part that is counted over time.
    pub fn rates(&self) -> RateLimits {
        RateLimits {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            concurrent_requests: self.concurrent_requests,
            budget: self.budget.clone(),
        }
    }
}

/// What an access key limits, besides its configuration's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// Requests in a minute, by the clock (UTC); further ones are refused with 429.
    pub requests_per_minute: Option<u64>,
    /// Tokens in a minute, by the clock (UTC), prompts and answers: a request counts as its estimate until it is
    /// done, and then as what it was.
    pub tokens_per_minute: Option<u64>,
    /// Requests under way at the same time.
    pub concurrent_requests: Option<u64>,
    /// What may be charged: one budget, or a list of them.
    pub budget: Budgets,
}

/// What may be charged in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// US dollars.
    pub usd: Option<Usd>,
    /// The time.
    pub per: Option<Per>,
    /// By whose clocks it begins, as in `Europe/Berlin`. Default UTC. With another one what was used counts from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
    /// The day that a week begins on. Default `monday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_starts: Option<Weekday>,
}

/// One budget, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budgets {
    /// Written as a mapping.
    One(Budget),
    /// Written as a list.
    List(Vec<Budget>),
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets::List(Vec::new())
    }
}

impl Budgets {
    /// Returns all of them.
    pub fn list(&self) -> &[Budget] {
        match self {
            Budgets::One(budget) => std::slice::from_ref(budget),
            Budgets::List(list) => list,
        }
    }
}

impl Serialize for Budgets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Budgets::One(budget) => budget.serialize(serializer),
            Budgets::List(list) => list.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Budgets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BudgetsVisitor)
    }
}

/// By hand, because a choice without a tag would forget which field was wrong.
struct BudgetsVisitor;

impl<'de> Visitor<'de> for BudgetsVisitor {
    type Value = Budgets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a budget such as { usd: 20, per: day }, or a list of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Budgets, A::Error> {
        Budget::deserialize(MapAccessDeserializer::new(map)).map(Budgets::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Budgets, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Budgets::List)
    }
}

/// By hand, because a flat schema finds the one field that is wrong where a choice of two would only say that
/// neither fits.
impl JsonSchema for Budgets {
    fn schema_name() -> Cow<'static, str> {
        "Budgets".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Budget::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["object", "array"]));
        let item = generator.subschema_for::<Budget>().to_value();
        schema.insert("items".to_owned(), item);
        schema
    }
}
