//! Declared and stored resources, as one [`Snapshot`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::resource::forms::Form as _;
use super::resource::{self, AccessKey, Account, Document as _, Provider, ProviderKey, Settings};
use super::state::State;
use super::view::{Found, View};
use tollgate_base::Secret;
use tollgate_config::access::{AccountSettings, Configuration, Contents, Snapshot, WrittenKey};
use tollgate_config::catalog::{Catalog, TimeoutOverrides};
use tollgate_config::{Config, types};

/// What a snapshot is made of besides the stored resources.
pub(super) struct Base<'a> {
    pub config: &'a Arc<Config>,
    pub declared: &'a State,
    pub stored: &'a State,
    /// Whether the store has been read.
    pub complete: bool,
    /// The clear text of a provider key, if its master key is there.
    pub open: &'a dyn Fn(&str, &ProviderKey) -> Option<Secret>,
}

impl Base<'_> {
    /// The configuration file may not declare a key's account any more. Nobody could see or delete such keys, so they
    /// must not work; they do again when the account is back.
    fn has_account(&self, account: &str) -> bool {
        let known = |state: &State| state.accounts.get(account).is_some();
        known(self.declared) || known(self.stored) || self.is_unreadable_account(account)
    }

    fn is_unreadable_account(&self, account: &str) -> bool {
        self.stored.is_unreadable(Account::KIND, account)
    }

    fn written<'k>(&self, id: &'k str, key: &'k AccessKey) -> WrittenKey<'k> {
        WrittenKey {
            id,
            name: key.meta.name.as_deref(),
            account: &key.meta.account,
            configuration: key.configuration.as_deref(),
            digest: &key.sha256,
            limits: Cow::Owned(key.limits.read().unwrap_or_default()),
            newer: key.newer().is_some() || self.is_unreadable_account(&key.meta.account),
        }
    }
}

/// Everything that requests need to know now.
pub(super) fn snapshot(base: &Base<'_>, generation: u64, last: Option<&Snapshot>) -> Snapshot {
    let view = View {
        declared: base.declared,
        stored: base.stored,
    };
    let mut custom: Vec<Custom> = stored(view.all()).map(Custom::from).collect();
    // Of two with one id the elder counts: a gateway that cannot read the one may have let the other be made.
    let mut ids = HashSet::new();
    custom.reverse();
    custom.retain(|own| ids.insert(own.says.id.clone()));
    custom.reverse();
    let catalog = catalog(base.config, &custom);
    let declared_keys = base.config.access_keys.iter().map(WrittenKey::from);
    let hidden = &base.declared.access_keys;
    let own = base.stored.access_keys.iter();
    let own = own.filter(|(id, _)| hidden.is_empty() || hidden.get(id).is_none());
    let own = own.filter(|(_, key)| base.has_account(&key.meta.account));
    let own = own.map(|(id, key)| base.written(id, key));
    let contents = Contents {
        config: base.config.clone(),
        catalog,
        providers: providers(base, &view, &custom),
        configurations: configurations(base),
        access_keys: declared_keys.chain(own).collect(),
        settings: settings(base),
        complete: base.complete,
    };
    Snapshot::of(contents, generation, last)
}

/// The `last` snapshot, but with these access keys as they are now: the same as [`snapshot`] where nothing else of it
/// changed since.
pub(super) fn with_access_keys<'a>(
    base: &'a Base<'_>,
    ids: &[&'a str],
    generation: u64,
    last: &Snapshot,
) -> Snapshot {
    let hidden = &base.declared.access_keys;
    let changed = ids.iter().filter(|id| hidden.get(id).is_none());
    let changed = changed.map(|id| {
        let own = base.stored.access_keys.get(id);
        let own = own.filter(|key| base.has_account(&key.meta.account));
        (*id, own.map(|key| base.written(id, key)))
    });
    last.with_access_keys(changed, generation)
}

/// All configurations. One that cannot be read serves nobody.
fn configurations(base: &Base<'_>) -> Vec<Configuration> {
    let declared = base.config.configurations.iter().map(Configuration::from);
    let is_free = |id: &str| base.declared.configurations.get(id).is_none();
    let own = base.stored.configurations.iter();
    let own = own.filter(|(id, _)| is_free(id)).map(|(_, own)| {
        let says = own.says.read().unwrap_or_default();
        Configuration {
            newer: own.newer().is_some(),
            bounded: true,
            ..Configuration::from(&says)
        }
    });
    let unreadable = base.stored.unreadable(resource::Configuration::KIND);
    let unreadable = unreadable.filter(|id| is_free(id)).map(|id| {
        let id = id.to_owned();
        let nothing = types::Configuration {
            id,
            ..Default::default()
        };
        Configuration {
            newer: true,
            ..Configuration::from(&nothing)
        }
    });
    declared.chain(own).chain(unreadable).collect()
}

/// The settings of the accounts that have their own.
fn settings<'a>(base: &Base<'a>) -> Vec<(&'a str, AccountSettings)> {
    let own = base.stored.settings.iter();
    let own = own.map(|(account, own)| (&**account, settings_of(own, base.config)));
    let unreadable = base.stored.unreadable(Settings::KIND).map(|account| {
        let newer = AccountSettings {
            newer: true,
            ..AccountSettings::common(base.config)
        };
        (account, newer)
    });
    own.chain(unreadable).collect()
}

fn stored<T>(all: impl Iterator<Item = Found<T>>) -> impl Iterator<Item = Found<T>> {
    all.filter(|found| !found.declared)
}

/// A custom provider, and what this gateway understands of it.
struct Custom {
    found: Found<Provider>,
    says: types::Provider,
}

impl From<Found<Provider>> for Custom {
    fn from(found: Found<Provider>) -> Custom {
        let says = found.resource.says.laid();
        Custom { found, says }
    }
}

/// The declared catalog with the custom providers of the store after all others. One that clashes with a declared
/// provider, or cannot be understood any more, is left out.
fn catalog(config: &Config, custom: &[Custom]) -> Arc<Catalog> {
    let is_free = |own: &&Custom| {
        let free = config.catalog.provider(&own.says.id).is_none();
        if !free {
            log::debug!(
                "the stored provider {} is hidden by the configuration or the catalog",
                own.found.id
            );
        }
        free
    };
    // The eldest first: a new provider takes no bare id away from one that had it.
    let mut custom: Vec<&Custom> = custom.iter().rev().filter(is_free).collect();
    if custom.is_empty() {
        return config.catalog.clone();
    }
    let lay = |custom: &[&Custom]| {
        let says: Vec<types::Provider> = custom.iter().map(|own| own.says.clone()).collect();
        config.catalog.with_last(&says)
    };
    let mut catalog = lay(&custom).unwrap_or_else(|_| {
        // One of them cannot be understood any more: the others are not to suffer.
        custom.retain(|own| match lay(&[own]) {
            Ok(_) => true,
            Err(faults) => {
                for fault in faults {
                    let (path, message) = (fault.path, fault.message);
                    log::error!(
                        "the stored provider {} is left out: {path}: {message}",
                        own.found.id
                    );
                }
                false
            }
        });
        lay(&custom).unwrap_or_else(|_| Catalog::clone(&config.catalog))
    });
    for Custom { found, says } in custom {
        let own = &found.resource;
        let listed = own.surfaces.iter().filter_map(|one| {
            let parameters = one.parameters.clone()?;
            Some((*one.surface.known()?, parameters))
        });
        catalog.change(&says.id, |provider| {
            provider.supported_parameters = listed.collect();
            provider.public_only = own.public_only;
            provider.owner = Some(own.meta.account.as_str().into());
            if !own.says.is_callable() {
                provider.surfaces.clear();
            }
        });
    }
    Arc::new(catalog)
}

/// All providers with all their keys: the declared keys first, then the stored ones in the order of their creation.
fn providers<'a>(
    base: &'a Base<'_>,
    view: &View<'_>,
    custom: &'a [Custom],
) -> Vec<(Cow<'a, types::Provider>, Option<&'a str>)> {
    let mut keys: HashMap<String, Vec<Found<ProviderKey>>> = HashMap::new();
    for key in stored(view.all::<ProviderKey>()) {
        keys.entry(key.resource.provider.clone())
            .or_default()
            .push(key);
    }
    let mut all: Vec<(Cow<'_, types::Provider>, Option<&str>)> = Vec::new();
    let declared = &base.config.providers;
    all.extend(declared.iter().map(|one| (Cow::Borrowed(one), None)));
    for Custom { found, says } in custom.iter().rev() {
        if declared.iter().all(|one| one.id != says.id) {
            all.push((Cow::Borrowed(says), Some(&found.resource.meta.account)));
        }
    }
    for (provider, _) in &mut all {
        let Some(own) = keys.remove(&provider.id) else {
            continue;
        };
        add_keys(provider.to_mut(), own, base.open);
    }
    // What is left is for built-in providers that the configuration does not mention.
    for (id, own) in keys {
        let mut provider = types::Provider {
            id,
            ..types::Provider::default()
        };
        add_keys(&mut provider, own, base.open);
        all.push((Cow::Owned(provider), None));
    }
    all
}

fn add_keys(
    provider: &mut types::Provider,
    own: Vec<Found<ProviderKey>>,
    open: &dyn Fn(&str, &ProviderKey) -> Option<Secret>,
) {
    for found in own.into_iter().rev() {
        let key = &found.resource;
        let Some(value) = open(&found.id, key) else {
            continue;
        };
        let written = types::ProviderKey {
            id: found.id.to_string(),
            value,
            account: Some(key.meta.account.clone()),
        };
        if key.managed {
            provider.managed_keys.push(written);
        } else {
            provider.keys.push(written);
        }
    }
}

fn settings_of(own: &Settings, config: &Config) -> AccountSettings {
    let held = own.held(config);
    let changed = |time: Duration, common: Duration| (time != common).then_some(time);
    AccountSettings {
        timeouts: TimeoutOverrides {
            per_request: changed(held.per_request, config.timeouts.per_request),
            total: changed(held.total, config.timeouts.total),
            ..TimeoutOverrides::default()
        },
        max_input_tokens: held.max_input_tokens,
        max_output_tokens: held.max_output_tokens,
        newer: own.newer().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::declared::declared;
    use crate::resource::{Cap, Meta, forms};
    use tollgate_config::secrets::token;

    /// What becomes of the access key `k<number>`: gone, or with this account, configuration and digest.
    type Change = (u8, Option<(u8, Option<u8>, u8)>);

    fn change() -> impl Strategy<Value = Change> {
        let key = (0..3_u8, proptest::option::of(0..3_u8), any::<u8>());
        (0..8_u8, proptest::option::weighted(0.7, key))
    }

    fn meta(account: u8) -> Meta {
        Meta {
            account: format!("a{account}"),
            ..Meta::default()
        }
    }

    fn all(snapshot: &Snapshot) -> Vec<String> {
        let mut all: Vec<String> = snapshot
            .access_keys()
            .map(|key| format!("{key:?}"))
            .collect();
        all.sort_unstable();
        all
    }

    fn base<'a>(config: &'a Arc<Config>, declared: &'a State, stored: &'a State) -> Base<'a> {
        Base {
            config,
            declared,
            stored,
            complete: true,
            open: &|_, _| None,
        }
    }

    proptest! {
        /// Of three configurations one is missing, one account has settings, and one access key is declared.
        #[test]
        fn changed_access_keys_make_the_same_as_building_anew(
            rounds in proptest::collection::vec(proptest::collection::vec(change(), 1..6), 1..8),
        ) {
            let yaml = format!("access_keys: [{{ id: k0, sha256: '{}' }}]", token::to_hex(&[9; 32]));
            let config = Arc::new(tollgate_config::parse(&yaml, &|_| None).unwrap());
            let declared = declared(&config, 1);
            let mut stored = State::default();
            for number in 0..2 {
                let id = format!("c{number}");
                let says = forms::Configuration { id: id.clone(), failover: Some(number == 0), ..Default::default() };
                stored.configurations.insert(&id, resource::Configuration { meta: meta(0), says });
            }
            let own = Settings { meta: meta(1), max_input_tokens: Cap::from(5).into(), ..Settings::default() };
            stored.settings.insert("a1", own);
            let empty = stored.clone();
            let mut last = snapshot(&base(&config, &declared, &empty), 1, None);
            for (round, changes) in (2..).zip(rounds) {
                let mut ids = Vec::new();
                for (number, key) in changes {
                    let id = format!("k{number}");
                    let body = key.map(|(account, configuration, digest)| {
                        let key = AccessKey {
                            meta: meta(account),
                            configuration: configuration.map(|number| format!("c{number}")),
                            sha256: [digest; 32],
                            ..AccessKey::default()
                        };
                        serde_json::to_string(&key).unwrap()
                    });
                    stored.access_keys.put(&id, body.as_deref()).unwrap();
                    ids.push(id);
                }
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let base = base(&config, &declared, &stored);
                let whole = snapshot(&base, round, Some(&last));
                let patched = with_access_keys(&base, &ids, round, &last);
                prop_assert_eq!(all(&patched), all(&whole));
                prop_assert_eq!(patched.generation, round);
                for key in patched.access_keys() {
                    let same = whole.access_key(&key.id).map(|same| &same.id);
                    prop_assert_eq!(same, Some(&key.id), "found by its id");
                    key.used.mark(round);
                    if last.access_key(&key.id).is_some() {
                        let noted = whole.access_key(&key.id).and_then(|same| same.used.last());
                        prop_assert_eq!(noted, Some(round), "one key, one note");
                    }
                }
                last = patched;
            }
        }
    }
}
