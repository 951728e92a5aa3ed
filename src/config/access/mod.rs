//! Who is calling, and what they may call.
//!
//! A [`Snapshot`] is everything a request needs to know, immutable and swapped whole when something changes: a request
//! keeps the one it began with. Invariant: callers' tokens are compared in constant time, as digests, and never kept.

mod accounts;
mod budgets;
mod key_ring;
mod limits;
mod policy;
mod settings;
mod sharded;
mod snapshot;
mod used;

pub use budgets::{SharedBudget, WrittenBudget};
pub use policy::WrongTag;
pub use settings::AccountSettings;
pub use snapshot::{AuthError, Contents, Snapshot, WrittenKey};
pub use used::Used;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::catalog::{ModelRef, TimeoutOverrides};
use crate::yaml::types;
use tollgate_base::Secret;
use tollgate_ledger::KeyKind;
use tollgate_ledger::bank::Limit;
use tollgate_wire::mask::Mask;
use tollgate_wire::tags::Tags;

/// The key that an application calls with, as the gateway knows it: never the token, only its digest.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// The part of the token between `tg-` and `-g1-`.
    pub id: Arc<str>,
    /// A name for people.
    pub name: Option<String>,
    /// The account whose credits and user keys it uses.
    pub account: Arc<str>,
    /// What holds for all of the account's requests.
    pub settings: Arc<AccountSettings>,
    /// What it may call; `None` allows all.
    pub configuration: Option<Arc<Configuration>>,
    /// SHA-256 of the whole token.
    pub digest: [u8; 32],
    /// The token before this one, which works for a while.
    pub former: Option<FormerToken>,
    /// All limits over time that its requests count towards: its own, its configuration's, and those of its shared
    /// budgets from the innermost on.
    pub limits: Arc<[Limit]>,
    /// Whether it, its configuration, its budgets or its account's settings hold something that only a newer gateway understands:
    /// its requests are refused then.
    pub newer: bool,
    /// When it was last used.
    pub used: Used,
}

/// A token that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormerToken {
    /// SHA-256 of the whole token.
    pub digest: [u8; 32],
    /// Until when it works (Unix time, ms).
    pub until_ms: u64,
}

/// What an access key may call, and which credentials serve it.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Its id.
    pub id: Arc<str>,
    /// Allowed provider ids; `None` allows all.
    pub providers: Option<Vec<Arc<str>>>,
    /// Allowed models; `None` allows all.
    pub models: Option<Vec<ModelRef>>,
    /// Allowed paid options, written as in `access.options`; `None` allows all that have a price.
    pub options: Option<Vec<String>>,
    /// Names of allowed tags; `None` allows all.
    pub tags: Option<Vec<Arc<str>>>,
    /// Which credentials serve which provider or model, and in which order.
    pub rules: Vec<Rule>,
    /// Whether failed requests go on to another candidate; `None` leaves it to the global `failover`.
    pub failover: Option<bool>,
    /// Whether providers are told what to keep of a translated prompt, where the client does not say; `None` leaves it to
    /// the global `cache_hints`.
    pub cache_hints: Option<bool>,
    /// Overrides the global retries.
    pub retry: types::Retry,
    /// When the next candidate is begun beside one that is slow to answer; `None` is never.
    pub hedge: Option<Hedge>,
    /// When an answer begins to leave: from then on no other candidate is tried.
    pub commit: types::Commit,
    /// After which refusals no other model is tried.
    pub stop_on: Vec<types::StopOn>,
    /// How soon answers are wanted.
    pub priority: types::Priority,
    /// Which requests that are sent again are answered again.
    pub idempotency: types::Idempotency,
    /// Timeouts that override the global ones, the account's, the provider's and the model's; see `bounded`.
    pub timeouts: TimeoutOverrides,
    /// The longest prompt, in tokens; longer ones are refused.
    pub max_input_tokens: Option<u64>,
    /// The longest answer, in tokens: the request's own limit is lowered to it.
    pub max_output_tokens: Option<u64>,
    /// Whether it was made at run time: it may then lower limits and timeouts that hold without it, never raise them.
    pub bounded: bool,
    /// Limits over time on all its keys together, counted for each account apart.
    pub limits: Arc<[Limit]>,
    /// Names of the tags that each request must have, and the limits of each of their values; a subject ends in it.
    pub each: Vec<(Arc<str>, Arc<[Limit]>)>,
    /// Whether it holds something that only a newer gateway understands. The requests of its keys are refused then.
    pub newer: bool,
}

/// When the next candidate is begun beside one that is slow to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// The shortest wait for the slow one.
    pub at_least: Duration,
    /// How many of 100 requests may be sent twice.
    pub percent: u32,
}

impl AccessKey {
    /// Returns how many tokens a prompt may have, if anything limits it. A declared configuration's limit replaces the
    /// account's; one made at run time can only lower it.
    pub fn max_input_tokens(&self) -> Option<u64> {
        let common = self.settings.max_input_tokens;
        match self.configuration.as_deref() {
            Some(own) if own.bounded => least(own.max_input_tokens, common),
            Some(own) => own.max_input_tokens.or(common),
            None => common,
        }
    }

    /// Returns how many tokens an answer may have, if anything but its model limits it: the lower of the
    /// configuration's limit and the account's.
    pub fn max_output_tokens(&self) -> Option<u64> {
        let own = self.configuration.as_ref();
        let own = own.and_then(|configuration| configuration.max_output_tokens);
        least(own, self.settings.max_output_tokens)
    }
}

impl AccessKey {
    /// Returns all limits over time of a request with these tags: those of their values, and then the key's.
    pub fn limits_of(&self, tags: &Tags) -> Arc<[Limit]> {
        let each = self.configuration.as_ref().map(|own| &*own.each);
        let of_values = limits::of_values(each.unwrap_or_default(), tags);
        limits::together(&of_values, &self.limits)
    }
}

/// Returns the lower of two limits, or the only one, if there is one.
pub fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// A routing rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is for.
    pub target: RuleTarget,
    /// Keys to try, in this order.
    pub steps: Vec<Step>,
}

/// What a routing rule is for; a model's rule beats its provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleTarget {
    /// Every model of a provider.
    Provider(Arc<str>),
    /// One model.
    Model(ModelRef),
}

/// A step of a routing rule: keys of one kind.
#[derive(Clone, Debug)]
pub struct Step {
    /// Who pays for these keys.
    pub kind: KeyKind,
    /// Their ids, in the order to try; `None`: all of this kind that the provider has.
    pub keys: Option<Vec<Arc<str>>>,
    /// Which of them is tried first; `None`: keys that are named in their order, of all as the global `key_selection` says.
    pub selection: Option<types::KeySelection>,
    /// Keys whose share of the sessions is not 1; 1 to 1,000.
    pub weights: Box<[(Arc<str>, u32)]>,
}

/// A credential that a provider accepts.
#[derive(Clone, Debug)]
pub struct ProviderKey {
    /// Unique among all providers.
    pub id: Arc<str>,
    /// The provider it is for.
    pub provider: Arc<str>,
    /// Who pays.
    pub kind: KeyKind,
    /// The account that may use it, if it is a user key.
    pub account: Arc<str>,
    /// Whether all accounts may use it: it is managed, or stands for no credential at all.
    pub shared: bool,
    /// The credential itself; empty for a provider that needs none.
    pub value: Secret,
    /// Hides the credential from clients; made at the first use.
    pub masked: OnceLock<Arc<Mask>>,
    /// When it was last used.
    pub used: Used,
}

impl ProviderKey {
    /// Returns the mask that hides the credential in what clients read.
    pub fn mask(&self) -> &Arc<Mask> {
        let mask = || Arc::new(Mask::new(self.value.expose()));
        self.masked.get_or_init(mask)
    }
}
