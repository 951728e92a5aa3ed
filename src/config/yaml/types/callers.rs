//! Who calls, what they may call, and which credentials serve them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Limits, RateLimits, Retry, Timeouts};
use crate::yaml::expiry::Expiry;
use crate::yaml::units::{Span, Usd};

/// Who owns keys and credits.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// Referred to by `access_keys[].account`. The account `default` always exists.
    pub id: String,
    /// Credits that the account is given, once each.
    pub grants: Vec<Grant>,
    /// Its share of the turns beside other accounts', where requests wait for quota: 1 to 1000. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// Credits that an account is given once, when a gateway first sees them here.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grant {
    /// Unique within the account. A grant that the account has had is not given again, whatever else changes here.
    pub id: String,
    /// How much: US dollars.
    pub usd: Option<Usd>,
    /// How long it may be spent from then on: a duration, or `never`. Default 365d.
    pub expires_after: Option<Expiry>,
    /// For people.
    pub note: Option<String>,
}

/// What an application sends. Make one with `tollgate key new`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessKey {
    /// The part of the token between `tg-` and `-g1-`.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// The account it belongs to. Default `default`.
    pub account: Option<String>,
    /// The configuration it is held to; absent allows all.
    pub configuration: Option<String>,
    /// SHA-256 of the whole token, as 64 hexadecimal digits.
    pub sha256: String,
    /// What it may use over time, besides what its configuration limits.
    pub limits: RateLimits,
    /// The shared budget that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
}

/// What access keys of an account may use together: of a project, a team, an organisation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SharedBudget {
    /// Referred to by `access_keys[].budget` and `budgets[].parent`.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// The account it belongs to. Default `default`.
    pub account: Option<String>,
    /// The budget that it is part of: what it uses counts there, too. At most 8 stand above each other.
    pub parent: Option<String>,
    /// What may be used over time by all that is part of it.
    pub limits: RateLimits,
}

impl SharedBudget {
    /// Returns the account it belongs to.
    pub fn account(&self) -> &str {
        self.account.as_deref().unwrap_or(crate::DEFAULT_ACCOUNT)
    }
}

/// What an access key may call, and which credentials serve it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// Referred to by `access_keys[].configuration`.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// Allow lists; absent allows all.
    pub access: Access,
    /// Which credentials serve; without rules, the account's user keys and then managed keys.
    pub router: Router,
    /// Overrides the global `failover`.
    pub failover: Option<bool>,
    /// Overrides the global `cache_hints`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_hints: Option<bool>,
    /// Overrides the global `retry`.
    #[serde(skip_serializing_if = "Retry::says_nothing")]
    pub retry: Retry,
    /// Begins the next candidate beside one that is slow to answer; `{}` takes the defaults. Absent is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// When an answer begins to leave. Default `first`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// After which refusals no other model is tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_on: Vec<StopOn>,
    /// How soon answers are wanted, where requests wait for quota. Default `interactive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Which requests that are sent again are answered again, and not charged.
    #[serde(skip_serializing_if = "Idempotency::says_nothing")]
    pub idempotency: Idempotency,
    /// Overrides for callers with this configuration.
    pub timeouts: Timeouts,
    /// What may be used, by one request and over time.
    pub limits: Limits,
}

/// Which requests that are sent again are answered again instead of being carried out twice. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Idempotency {
    /// How long the answer of a request with an `Idempotency-Key` is kept in the ledger's database, sealed with the
    /// master key; at most 30d. Without it the header means nothing here, and no answer is kept.
    pub store: Option<Span>,
    /// Whether a request that an SDK sends again (`x-stainless-retry-count`) gets the answer of the first one while that
    /// is under way. Default false.
    pub join_retries: Option<bool>,
}

/// The longest that an answer is kept.
const LONGEST_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Idempotency {
    fn says_nothing(&self) -> bool {
        *self == Idempotency::default()
    }

    /// Returns the members that are out of their range, each with what it must be.
    pub fn wrong(&self) -> Vec<(&'static str, String)> {
        let what = match self.store.map(Span::duration) {
            Some(Duration::ZERO) => "must be more than 0".to_owned(),
            Some(store) if store > LONGEST_KEPT => {
                format!("must be at most {}", Span(LONGEST_KEPT))
            }
            _ => return Vec::new(),
        };
        vec![("store", what)]
    }
}

/// When the next candidate is begun beside one of which nothing has come. The first content wins, the other is cancelled,
/// and what it cost is the operator's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hedge {
    /// The shortest wait, 10ms to 60s: usually it is the 95th percentile of how long the candidate took before. Default 500ms.
    pub at_least: Option<Span>,
    /// How many of 100 requests may be sent twice, 1 to 100. Default 2.
    pub budget_percent: Option<u32>,
}

/// How long the next candidate may wait for a slow one at least.
const HEDGE_AFTER: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

impl Hedge {
    /// Returns the members that are out of their range, each with what it must be.
    pub fn wrong(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let at_least = self.at_least.map(Span::duration);
        if at_least.is_some_and(|at_least| !HEDGE_AFTER.contains(&at_least)) {
            wrong.push(("at_least", "must be from 10ms to 60s".to_owned()));
        }
        let percent = self.budget_percent;
        if percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            wrong.push(("budget_percent", "must be from 1 to 100".to_owned()));
        }
        wrong
    }
}

/// When an answer begins to leave: from then on no other candidate is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Commit {
    /// With its first content.
    #[default]
    First,
    /// When it is whole: a stream is held to its end, with comments meanwhile, and then sent at once.
    Whole,
}

/// How soon an answer is wanted, where requests wait for quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// Nobody does: eight interactive requests go for one.
    Batch,
}

/// A refusal after which no other model is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    /// What the request says was refused by a content filter.
    ContentFilter,
}

/// Allow lists.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Provider ids.
    pub providers: AllowList,
    /// `provider/model` or `provider:model`.
    pub models: AllowList,
    /// What requests may order besides text, where it costs more: `service_tier`, `speed`, `inference_geo`,
    /// `search_type`, `web_search`, `file_search`, `code_container`, `audio`, `images`, `tools` (hosted ones that this
    /// gateway does not know), `background`; of the first four also one value, as in `service_tier=flex`. Default: all
    /// that has a price; `tools` and `background` only if they are listed.
    #[serde(skip_serializing_if = "AllowList::says_nothing")]
    pub options: AllowList,
    /// Names of the tags that requests may have (`x-tollgate-tags`).
    #[serde(skip_serializing_if = "AllowList::says_nothing")]
    pub tags: AllowList,
}

/// A list of what is allowed; absent allows all, empty allows nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllowList {
    /// What is allowed.
    pub allow: Option<Vec<String>>,
}

impl AllowList {
    fn says_nothing(&self) -> bool {
        self.allow.is_none()
    }
}

/// Which credentials serve.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Router {
    /// A rule for a model beats a rule for its provider.
    pub rules: Vec<Rule>,
}

/// A routing rule: for a provider, or for one of its models.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// A provider's id.
    pub provider: Option<String>,
    /// `provider/model` or `provider:model`.
    pub model: Option<String>,
    /// Tried in order.
    pub steps: Vec<Step>,
}

/// A step of a routing rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Step {
    /// The account's own keys: the provider's `keys`.
    User(StepKeys),
    /// The operator's keys: the provider's `managed_keys`.
    #[serde(alias = "ngrok")]
    Managed(StepKeys),
}

/// The keys of a step, and which of them is tried first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepKeys {
    /// Their ids; without it, all that the provider has of the kind.
    pub keys: Option<Vec<String>>,
    /// Which is tried first. Default: those of `keys` in their order, of all as the global `key_selection` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_selection: Option<KeySelection>,
    /// Shares of the sessions by key, 1 to 1000; of a key that is not named, 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
}

/// Which of a step's keys is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeySelection {
    /// The first, and the others in their order.
    #[default]
    Ordered,
    /// One for each session, so that its prompt cache is met; sessions are spread over the keys by their weights.
    Session,
}

/// By hand, because a flat schema finds the one field that is wrong where a choice of two would only say that
/// neither fits.
impl JsonSchema for Step {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A step of a routing rule: keys of one kind.",
            "properties": {
                "type": {
                    "description": "`user`: the account's own keys. `managed`: the operator's.",
                    "type": "string",
                    "enum": ["user", "managed", "ngrok"],
                },
                "keys": {
                    "description": "Ids of the provider's `keys` (or `managed_keys`); without it, all of them.",
                    "type": ["array", "null"],
                    "items": { "type": "string" },
                },
                "key_selection": {
                    "description": "Which is tried first. `ordered`: in their order. `session`: one for each session. \
                        Default: those of `keys` in their order, of all as the global `key_selection` says.",
                    "type": "string",
                    "enum": ["ordered", "session"],
                },
                "weights": {
                    "description": "Shares of the sessions by key; of a key that is not named, 1.",
                    "type": "object",
                    "additionalProperties": { "type": "integer", "minimum": 1, "maximum": 1000 },
                },
            },
            "required": ["type"],
            "additionalProperties": false,
        })
    }
}
