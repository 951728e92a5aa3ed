//! Everything a request needs to know, in one value that never changes.
//!
//! A change builds a new snapshot and swaps it in; requests under way keep theirs. Where only access keys changed,
//! the new one shares everything else with the old one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::accounts::Accounts;
use super::budgets::{BUDGET, Budgets, SharedBudget, WrittenBudget, budgets};
use super::key_ring::{KeyRing, KeysById};
use super::sharded::ShardedKeys;
use super::{AccessKey, AccountSettings, Configuration, FormerToken, ProviderKey, Used, limits};
use crate::catalog::Catalog;
use crate::secrets::token;
use crate::yaml;
use crate::yaml::Config;
use crate::yaml::types;
use tollgate_base::clock;
use tollgate_ledger::KeyKind;

/// Keys, configurations, catalog and settings, as of one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts snapshots, from 1.
    pub generation: u64,
    /// The settings.
    pub config: Arc<Config>,
    /// Providers and models.
    pub catalog: Arc<Catalog>,
    /// Whether all keys are known: not before the store has been read.
    complete: bool,
    access_keys: ShardedKeys,
    /// Whether they are of more than one account.
    several: bool,
    configurations: Arc<Configurations>,
    budgets: Arc<Budgets>,
    accounts: Arc<Accounts>,
    provider_keys: Arc<HashMap<Arc<str>, KeyRing>>,
    by_id: Arc<KeysById>,
}

type Configurations = HashMap<Arc<str>, Arc<Configuration>>;

/// What a snapshot is made of.
pub struct Contents<'a> {
    /// The settings.
    pub config: Arc<Config>,
    /// Providers and models.
    pub catalog: Arc<Catalog>,
    /// Providers with their keys; and the account that alone may use one without a credential, if it has an owner.
    pub providers: Vec<(Cow<'a, types::Provider>, Option<&'a str>)>,
    /// What access keys may call.
    pub configurations: Vec<Configuration>,
    /// Budgets that access keys share.
    pub budgets: Vec<WrittenBudget<'a>>,
    /// What applications send.
    pub access_keys: Vec<WrittenKey<'a>>,
    /// Accounts with settings of their own.
    pub settings: Vec<(&'a str, AccountSettings)>,
    /// Whether these are all.
    pub complete: bool,
}

/// An access key, as it is written.
#[derive(Clone, Debug)]
pub struct WrittenKey<'a> {
    /// Unique.
    pub id: &'a str,
    /// For people.
    pub name: Option<&'a str>,
    /// Whose it is.
    pub account: &'a str,
    /// What it is held to; `None` allows all.
    pub configuration: Option<&'a str>,
    /// SHA-256 of the whole token.
    pub digest: &'a [u8; 32],
    /// The token before this one, which works for a while.
    pub former: Option<FormerToken>,
    /// The shared budget that it is part of.
    pub budget: Option<&'a str>,
    /// What it may use over time.
    pub limits: Cow<'a, types::RateLimits>,
    /// Whether it says what only a newer gateway understands, so that its requests are refused.
    pub newer: bool,
}

impl<'a> From<&'a yaml::AccessKey> for WrittenKey<'a> {
    fn from(key: &'a yaml::AccessKey) -> Self {
        WrittenKey {
            id: &key.spec.id,
            name: key.spec.name.as_deref(),
            account: key.account(),
            configuration: key.spec.configuration.as_deref(),
            digest: &key.digest,
            former: None,
            budget: key.spec.budget.as_deref(),
            limits: Cow::Borrowed(&key.spec.limits),
            newer: false,
        }
    }
}

/// Why a token was refused. The caller of the API gets the same answer for the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It does not have a token's form.
    #[error("malformed access key")]
    Malformed,
    /// No access key has this id and secret.
    #[error("unknown access key")]
    Unknown,
    /// It is not known yet whether one has.
    #[error("access keys are still being read")]
    NotYet,
    /// One has, and what it is held to only a newer gateway understands.
    #[error("the access key is held to what this gateway does not understand")]
    Newer,
}

impl Snapshot {
    /// Indexes what a configuration declares. Pure.
    pub fn build(config: Arc<Config>, catalog: Arc<Catalog>, generation: u64) -> Snapshot {
        let declared = config.clone();
        let contents = Contents {
            config,
            catalog,
            providers: declared
                .providers
                .iter()
                .map(|one| (Cow::Borrowed(one), None))
                .collect(),
            configurations: declared
                .configurations
                .iter()
                .map(Configuration::from)
                .collect(),
            budgets: declared.budgets.iter().map(WrittenBudget::from).collect(),
            access_keys: declared.access_keys.iter().map(WrittenKey::from).collect(),
            settings: declared
                .accounts
                .iter()
                .filter_map(|account| {
                    let weight = account.spec.weight?;
                    let common = AccountSettings::common(&declared);
                    Some((&*account.spec.id, AccountSettings { weight, ..common }))
                })
                .collect(),
            complete: true,
        };
        Snapshot::of(contents, generation, None)
    }

    /// Indexes contents. Keys that were in the `last` snapshot remember when they were used. Pure.
    pub fn of(contents: Contents<'_>, generation: u64, last: Option<&Snapshot>) -> Snapshot {
        let Contents {
            config, catalog, ..
        } = contents;
        let configurations: Configurations = contents
            .configurations
            .into_iter()
            .map(|configuration| (configuration.id.clone(), Arc::new(configuration)))
            .collect();
        let budgets = budgets(&contents.budgets);
        let mut accounts = Accounts::new(&config, contents.settings);
        let mut access_keys = ShardedKeys::default();
        for key in contents.access_keys {
            let known = last.and_then(|last| last.access_keys.entry(key.id));
            let account = accounts.get(key.account);
            if let Some(key) = access_key(key, (&configurations, &budgets), account, known) {
                access_keys.insert(key);
            }
        }

        let last = last.map(|last| &*last.by_id);
        let provider_keys: HashMap<Arc<str>, KeyRing> = contents
            .providers
            .iter()
            .map(|(provider, owner)| {
                let ring = KeyRing::of(provider, *owner, &mut accounts, last);
                (provider.id.as_str().into(), ring)
            })
            .collect();
        let by_id = provider_keys
            .values()
            .flat_map(KeyRing::all)
            .map(|key| (key.id.clone(), key.clone()))
            .collect();
        Snapshot {
            generation,
            config,
            catalog,
            complete: contents.complete,
            several: access_keys.of_several_accounts(),
            access_keys,
            configurations: Arc::new(configurations),
            budgets: Arc::new(budgets),
            accounts: Arc::new(accounts),
            provider_keys: Arc::new(provider_keys),
            by_id: Arc::new(by_id),
        }
    }

    /// Returns the same with these access keys changed, or taken away where there is `None`; all else stays as it is.
    /// Costs as much as the changed ones, not as all. Pure.
    #[must_use]
    pub fn with_access_keys<'a>(
        &self,
        changed: impl IntoIterator<Item = (&'a str, Option<WrittenKey<'a>>)>,
        generation: u64,
    ) -> Snapshot {
        let mut access_keys = self.access_keys.clone();
        let mut several = self.several;
        for (id, key) in changed {
            let key = key.and_then(|key| {
                let known = self.access_keys.entry(id);
                let account = self.accounts.look(key.account);
                let above = (&*self.configurations, &*self.budgets);
                access_key(key, above, account, known)
            });
            match key {
                Some(key) => {
                    let one = access_keys.values().next();
                    several |= one.is_some_and(|one| one.account != key.account);
                    access_keys.insert(key);
                }
                None => access_keys.remove(id),
            }
        }
        Snapshot {
            generation,
            several,
            access_keys,
            ..self.clone()
        }
    }

    /// Returns the access key that a token is for.
    ///
    /// # Errors
    ///
    /// When the token has the wrong form, nobody has it, or its key must not be used here. An unknown id costs the same hash and compare as a
    /// known one, so that time does not show which ids exist.
    pub fn authenticate(&self, token: &str) -> Result<Arc<AccessKey>, AuthError> {
        const NOBODY: [u8; 32] = [0; 32];
        let parts = token::parse(token).ok_or(AuthError::Malformed)?;
        let digest = token::digest(token);
        let key = self.access_keys.get(parts.id);
        let same = token::same(key.map_or(&NOBODY, |key| &key.digest), &digest);
        let former = key.and_then(|key| key.former.as_ref());
        let was = token::same(former.map_or(&NOBODY, |former| &former.digest), &digest);
        let same = same || was && former.is_some_and(|former| former.until_ms > clock::wall_ms());
        let unknown = || {
            if self.complete {
                AuthError::Unknown
            } else {
                AuthError::NotYet
            }
        };
        match key.filter(|_| same) {
            Some(key) if key.newer => Err(AuthError::Newer),
            Some(key) => Ok(key.clone()),
            None => Err(unknown()),
        }
    }

    /// Returns whether more than one account has access keys, as far as is known.
    pub fn has_several_accounts(&self) -> bool {
        self.several
    }

    /// Returns the configuration with this id.
    pub fn configuration(&self, id: &str) -> Option<&Arc<Configuration>> {
        self.configurations.get(id)
    }

    /// Returns the shared budget that is counted under a meter's subject, and its id, if it is one.
    pub fn budget<'a>(&self, subject: &'a str) -> Option<(&'a str, Option<&SharedBudget>)> {
        let id = subject.strip_prefix(BUDGET)?;
        Some((id, self.budgets.get(id)))
    }

    /// Returns a provider's keys of one kind that an account may use, in order; empty if there are none.
    pub fn provider_keys(
        &self,
        provider: &str,
        account: &str,
        kind: KeyKind,
    ) -> &[Arc<ProviderKey>] {
        let ring = self.provider_keys.get(provider);
        ring.map_or(&[], |ring| ring.usable(account, kind))
    }

    /// Returns the provider key with this id, whoever may use it.
    pub fn provider_key(&self, id: &str) -> Option<&Arc<ProviderKey>> {
        self.by_id.get(id)
    }

    /// Returns whether all keys are known.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns the access key with this id.
    pub fn access_key(&self, id: &str) -> Option<&Arc<AccessKey>> {
        self.access_keys.get(id)
    }

    /// Returns all access keys, in no particular order.
    pub fn access_keys(&self) -> impl Iterator<Item = &Arc<AccessKey>> {
        self.access_keys.values()
    }

    /// Returns all provider keys, in no particular order.
    pub fn all_provider_keys(&self) -> impl Iterator<Item = &Arc<ProviderKey>> {
        self.by_id.values()
    }
}

/// `None` if its configuration or its budget is not there. One that was `known` remembers when it was used.
fn access_key(
    written: WrittenKey<'_>,
    (configurations, budgets): (&Configurations, &Budgets),
    (account, settings): (Arc<str>, Arc<AccountSettings>),
    known: Option<(&Arc<str>, &Arc<AccessKey>)>,
) -> Option<AccessKey> {
    let configuration = match written.configuration {
        // Whoever wrote it saw to it that it exists. If not, the key must not come to allow everything.
        Some(id) => Some(configurations.get(id)?.clone()),
        None => None,
    };
    let budget = match written.budget {
        Some(id) => Some(
            budgets
                .get(id)
                .filter(|one| one.newer || one.account == account)?,
        ),
        None => None,
    };
    let mut limits = limits::of_key(written.id, &written.limits);
    let above = configuration.iter().map(|one| &one.limits);
    for above in above.chain(budget.map(|one| &one.limits)) {
        limits = limits::together(&limits, above);
    }
    let (id, used) = match known {
        Some((id, known)) => (id.clone(), known.used.clone()),
        None => (Arc::from(written.id), Used::default()),
    };
    let held_to_newer = configuration.as_ref().is_some_and(|held| held.newer)
        || budget.is_some_and(|budget| budget.newer);
    Some(AccessKey {
        newer: written.newer || settings.newer || held_to_newer,
        id,
        name: written.name.map(str::to_owned),
        account,
        settings,
        configuration,
        digest: *written.digest,
        former: written.former,
        limits,
        used,
    })
}

#[cfg(test)]
mod tests;
