//! Who is calling, and what they may call.
//!
//! A [`Snapshot`] is everything a request needs to know, immutable and swapped whole when something changes: a request keeps
//! the one it began with. Invariant: tokens are compared in constant time, as digests, and never kept.

mod limits;
mod policy;
mod settings;
mod sharded;
mod snapshot;
mod used;

pub use settings::AccountSettings;
pub use snapshot::{AuthError, Contents, Snapshot, WrittenKey};
pub use used::Used;

use std::sync::{Arc, OnceLock};

use crate::catalog::{ModelRef, TimeoutOverrides};
use crate::yaml::types;
use tollgate_base::Secret;
use tollgate_ledger::KeyKind;
use tollgate_ledger::bank::Limit;
use tollgate_wire::mask::Mask;

/// What an application sends, as the gateway knows it: never the token, only its digest.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// The part of the token between `tg-` and `-g1-`.
    pub id: Arc<str>,
    /// For people.
    pub name: Option<String>,
    /// Whose credits and user keys it uses.
    pub account: Arc<str>,
    /// What holds for all of the account's requests.
    pub settings: Arc<AccountSettings>,
    /// What it may call; `None` allows all.
    pub configuration: Option<Arc<Configuration>>,
    /// SHA-256 of the whole token.
    pub digest: [u8; 32],
    /// What it may use over time, and its configuration may: all that its requests count towards.
    pub limits: Arc<[Limit]>,
    /// Whether it, its configuration or its account's settings say what only a newer gateway understands, so that its
    /// requests are refused.
    pub newer: bool,
    /// When it was last used.
    pub used: Used,
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
    /// Allowed paid options, as `access.options` has them; `None` allows all that has a price.
    pub options: Option<Vec<String>>,
    /// Routing rules.
    pub rules: Vec<Rule>,
    /// Overrides the global switch.
    pub failover: Option<bool>,
    /// Overrides the global retries.
    pub retry: types::Retry,
    /// When an answer begins to leave.
    pub commit: types::Commit,
    /// After which refusals no other model is tried.
    pub stop_on: Vec<types::StopOn>,
    /// Overrides of every other scope's timeouts.
    pub timeouts: TimeoutOverrides,
    /// Refuse longer prompts.
    pub max_input_tokens: Option<u64>,
    /// Lower the request's own limit.
    pub max_output_tokens: Option<u64>,
    /// Whether it was made at run time, so that it stays inside what holds without it.
    pub bounded: bool,
    /// What all its keys together may use over time, account by account.
    pub limits: Arc<[Limit]>,
    /// Whether it says what only a newer gateway understands, so that the requests of its keys are refused.
    pub newer: bool,
}

impl AccessKey {
    /// How long a prompt may be, if anything limits it.
    pub fn max_input_tokens(&self) -> Option<u64> {
        let common = self.settings.max_input_tokens;
        match self.configuration.as_deref() {
            Some(own) if own.bounded => least(own.max_input_tokens, common),
            Some(own) => own.max_input_tokens.or(common),
            None => common,
        }
    }

    /// How long an answer may be, whatever its model could say.
    pub fn max_output_tokens(&self) -> Option<u64> {
        let own = self.configuration.as_ref();
        let own = own.and_then(|configuration| configuration.max_output_tokens);
        least(own, self.settings.max_output_tokens)
    }
}

/// The lower of two limits, as far as there are any.
pub fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// A routing rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is for.
    pub target: RuleTarget,
    /// Tried in order.
    pub steps: Vec<Step>,
}

/// What a routing rule is for; a model's beats its provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleTarget {
    /// Every model of a provider.
    Provider(Arc<str>),
    /// One model.
    Model(ModelRef),
}

/// A step of a routing rule: keys of one kind, in order; `None` is all of the provider's.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whose keys.
    pub kind: KeyKind,
    /// Ids.
    pub keys: Option<Vec<Arc<str>>>,
}

/// An upstream credential.
#[derive(Clone, Debug)]
pub struct ProviderKey {
    /// Unique among all providers.
    pub id: Arc<str>,
    /// The provider it is for.
    pub provider: Arc<str>,
    /// Who pays.
    pub kind: KeyKind,
    /// The account that may use a user key.
    pub account: Arc<str>,
    /// Whether accounts share it: it is managed, or stands for no credential at all.
    pub shared: bool,
    /// The credential itself; empty for a provider that needs none.
    pub value: Secret,
    /// Takes it out of what clients read, once it was used.
    pub masked: OnceLock<Arc<Mask>>,
    /// When it was last used.
    pub used: Used,
}

impl ProviderKey {
    /// Takes the credential out of what clients read.
    pub fn mask(&self) -> &Arc<Mask> {
        let mask = || Arc::new(Mask::new(self.value.expose()));
        self.masked.get_or_init(mask)
    }
}
