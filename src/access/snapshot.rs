//! Everything a request needs to know, in one value that never changes.
//!
//! A reload builds a new snapshot and swaps it in; requests under way keep theirs.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AccessKey, Configuration, KeyKind, Limit, ProviderKey, token};
use crate::catalog::Catalog;
use crate::config::types::{self, Auth};
use crate::config::{self, Config, Secret};

/// Keys, configurations, catalog and settings, as of one load of the configuration.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts loads, from 1.
    pub generation: u64,
    /// The settings.
    pub config: Arc<Config>,
    /// Providers and models.
    pub catalog: Arc<Catalog>,
    access_keys: HashMap<Arc<str>, Arc<AccessKey>>,
    configurations: HashMap<Arc<str>, Arc<Configuration>>,
    provider_keys: HashMap<Arc<str>, KeyRing>,
    by_id: HashMap<Arc<str>, Arc<ProviderKey>>,
}

/// One provider's keys, in the order of the YAML.
#[derive(Clone, Debug, Default)]
struct KeyRing {
    user: HashMap<Arc<str>, Vec<Arc<ProviderKey>>>,
    managed: Vec<Arc<ProviderKey>>,
    /// For a provider that needs no credential: the implicit key, which every account may use.
    keyless: Vec<Arc<ProviderKey>>,
}

/// Why a token was refused. The caller of the API is told the same for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It does not have a token's form.
    #[error("malformed access key")]
    Malformed,
    /// No access key has this id and secret.
    #[error("unknown access key")]
    Unknown,
}

impl Snapshot {
    /// Indexes a configuration and its catalog. Pure.
    pub fn build(config: Arc<Config>, catalog: Arc<Catalog>, generation: u64) -> Snapshot {
        let configurations: HashMap<Arc<str>, Arc<Configuration>> = config
            .configurations
            .iter()
            .map(|written| Arc::new(Configuration::from(written)))
            .map(|configuration| (configuration.id.clone(), configuration))
            .collect();
        // Equal account ids share one allocation with their keys.
        let accounts: HashMap<&str, Arc<str>> = config
            .accounts
            .iter()
            .map(|account| (account.id.as_str(), Arc::from(account.id.as_str())))
            .collect();
        let account = |id: &str| accounts.get(id).cloned().unwrap_or_else(|| Arc::from(id));

        let access_key = |key: &config::AccessKey| {
            let configuration = match &key.configuration {
                // A valid configuration has it. If not, the key must not come to allow everything.
                Some(id) => Some(configurations.get(id.as_str())?.clone()),
                None => None,
            };
            let own = Limit::of(&format!("key:{}", key.id), &key.limits);
            let limits = match &configuration {
                Some(configuration) => Limit::together(&own, &configuration.limits),
                None => own,
            };
            let id: Arc<str> = key.id.as_str().into();
            let (name, account, digest) = (key.name.clone(), account(&key.account), key.digest);
            Some((
                id.clone(),
                Arc::new(AccessKey {
                    id,
                    name,
                    account,
                    configuration,
                    digest,
                    limits,
                }),
            ))
        };
        let access_keys = config.access_keys.iter().filter_map(access_key).collect();

        let provider_keys: HashMap<Arc<str>, KeyRing> = config
            .providers
            .iter()
            .map(|provider| key_ring(provider, &account))
            .collect();
        let by_id = provider_keys
            .values()
            .flat_map(|ring| {
                ring.user
                    .values()
                    .flatten()
                    .chain(&ring.managed)
                    .chain(&ring.keyless)
            })
            .map(|key| (key.id.clone(), key.clone()))
            .collect();
        Snapshot {
            generation,
            config,
            catalog,
            access_keys,
            configurations,
            provider_keys,
            by_id,
        }
    }

    /// The access key that a token is for.
    ///
    /// # Errors
    ///
    /// When the token has the wrong form, or nobody has it. An unknown id costs the same hash and compare as a
    /// known one, so that time does not tell which ids exist.
    pub fn authenticate(&self, token: &str) -> Result<Arc<AccessKey>, AuthError> {
        const NOBODY: [u8; 32] = [0; 32];
        let parts = token::parse(token).ok_or(AuthError::Malformed)?;
        let digest = token::digest(token);
        let key = self.access_keys.get(parts.id);
        let same = token::same(key.map_or(&NOBODY, |key| &key.digest), &digest);
        key.filter(|_| same).cloned().ok_or(AuthError::Unknown)
    }

    /// The configuration with this id.
    pub fn configuration(&self, id: &str) -> Option<&Arc<Configuration>> {
        self.configurations.get(id)
    }

    /// A provider's keys of one kind that an account may use, in order; empty if there are none.
    pub fn provider_keys(
        &self,
        provider: &str,
        account: &str,
        kind: KeyKind,
    ) -> &[Arc<ProviderKey>] {
        let Some(ring) = self.provider_keys.get(provider) else {
            return &[];
        };
        match kind {
            KeyKind::Managed => &ring.managed,
            KeyKind::User => ring.user.get(account).unwrap_or(&ring.keyless),
        }
    }

    /// The provider key with this id, whoever may use it.
    pub fn provider_key(&self, id: &str) -> Option<&Arc<ProviderKey>> {
        self.by_id.get(id)
    }
}

fn key_ring(provider: &types::Provider, account: &dyn Fn(&str) -> Arc<str>) -> (Arc<str>, KeyRing) {
    let id: Arc<str> = provider.id.as_str().into();
    let key = |written: &types::ProviderKey, kind| {
        Arc::new(ProviderKey {
            id: written.id.as_str().into(),
            provider: id.clone(),
            kind,
            account: account(written.account.as_deref().unwrap_or("default")),
            value: written.value.clone(),
        })
    };
    let mut ring = KeyRing::default();
    for written in &provider.keys {
        let key = key(written, KeyKind::User);
        ring.user.entry(key.account.clone()).or_default().push(key);
    }
    ring.managed = provider
        .managed_keys
        .iter()
        .map(|written| key(written, KeyKind::Managed))
        .collect();
    if provider.auth == Some(Auth::None) && ring.user.is_empty() && ring.managed.is_empty() {
        ring.keyless.push(Arc::new(ProviderKey {
            id: format!("{id}-none").into(),
            provider: id.clone(),
            kind: KeyKind::User,
            account: account("default"),
            value: Secret::default(),
        }));
    }
    (id, ring)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Token;

    #[test]
    fn a_key_whose_configuration_is_gone_is_refused_rather_than_free() {
        let token = Token::generate("app").unwrap();
        let yaml = format!(
            "configurations: [{{ id: c, failover: false }}]\naccess_keys: [{{ id: app, configuration: c, sha256: '{}' }}]",
            token::to_hex(&token.digest())
        );
        let mut config = config::parse(&yaml, &|_| None).unwrap();
        let build = |config: &Config| Snapshot::build(Arc::new(config.clone()), Arc::default(), 1);
        let key = build(&config).authenticate(token.expose()).unwrap();
        assert_eq!(key.configuration.as_ref().unwrap().failover, Some(false));
        config.configurations.clear();
        assert_eq!(
            build(&config).authenticate(token.expose()).unwrap_err(),
            AuthError::Unknown
        );
    }

    #[test]
    fn only_a_provider_that_wants_no_credential_and_has_none_is_keyless() {
        let config = config::parse(
            "accounts: [{ id: a }]
providers:
  - { id: free, base_url: 'http://127.0.0.1:1', auth: none }
  - { id: with-key, base_url: 'http://127.0.0.1:1', auth: none, keys: [{ id: k, value: x, account: a }] }
  - { id: bearer, base_url: 'http://127.0.0.1:1' }
",
            &|_| None,
        )
        .unwrap();
        let snapshot = Snapshot::build(Arc::new(config), Arc::default(), 1);
        for (provider, account, want) in [
            ("free", "default", Some("free-none")),
            ("free", "a", Some("free-none")),
            ("with-key", "a", Some("k")),
            ("with-key", "default", None),
            ("bearer", "default", None),
        ] {
            let keys = snapshot.provider_keys(provider, account, KeyKind::User);
            assert_eq!(
                keys.first().map(|key| &*key.id),
                want,
                "{provider} for {account}"
            );
            assert!(
                snapshot
                    .provider_keys(provider, account, KeyKind::Managed)
                    .is_empty()
            );
        }
    }
}
