//! Declared and stored resources, as one [`Snapshot`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::resource::{Provider, ProviderKey, Settings};
use super::state::State;
use super::view::{Found, View};
use crate::access::{AccountSettings, Contents, Snapshot, WrittenKey};
use crate::catalog::{Catalog, TimeoutOverrides};
use crate::config::{Config, Secret, types};

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

/// Everything that requests need to know now.
pub(super) fn snapshot(base: &Base<'_>, generation: u64, last: Option<&Snapshot>) -> Snapshot {
    let view = View {
        declared: base.declared,
        stored: base.stored,
    };
    let custom: Vec<Found<Provider>> = stored(view.all()).collect();
    let catalog = catalog(base.config, &custom);
    let mut configurations: Vec<&types::Configuration> =
        base.config.configurations.iter().collect();
    let hidden = &base.declared.configurations;
    let own = base.stored.configurations.iter();
    configurations.extend(
        own.filter(|(id, _)| hidden.get(id).is_none())
            .map(|(_, own)| &own.says),
    );

    let declared_keys = base.config.access_keys.iter().map(WrittenKey::from);
    let hidden = &base.declared.access_keys;
    let own = base.stored.access_keys.iter();
    let own = own.filter(|(id, _)| hidden.is_empty() || hidden.get(id).is_none());
    // The configuration file may not declare their account any more. Nobody could see or delete such keys, so they
    // must not work; they do again when the account is back.
    let has_account = |account: &str| {
        let known = |state: &State| state.accounts.get(account).is_some();
        known(base.declared) || known(base.stored)
    };
    let own = own.filter(|(_, key)| has_account(&key.meta.account));
    let own = own.map(|(id, key)| WrittenKey {
        id,
        name: key.meta.name.as_deref(),
        account: &key.meta.account,
        configuration: key.configuration.as_deref(),
        digest: &key.sha256,
        limits: &key.limits,
    });
    let settings = base.stored.settings.iter();
    let settings = settings.map(|(account, own)| (&**account, settings_of(own, base.config)));
    let contents = Contents {
        config: base.config.clone(),
        catalog,
        providers: providers(base, &view, &custom),
        configurations,
        access_keys: declared_keys.chain(own).collect(),
        settings: settings.collect(),
        complete: base.complete,
    };
    Snapshot::of(contents, generation, last)
}

fn stored<T>(all: impl Iterator<Item = Found<T>>) -> impl Iterator<Item = Found<T>> {
    all.filter(|found| !found.declared)
}

/// The declared catalog with the custom providers of the store laid over it. One that clashes with a declared
/// provider, or cannot be understood any more, is left out.
fn catalog(config: &Config, custom: &[Found<Provider>]) -> Arc<Catalog> {
    let is_free = |found: &&Found<Provider>| {
        let free = config.catalog.provider(&found.resource.says.id).is_none();
        if !free {
            log::debug!(
                "the stored provider {} is hidden by the configuration or the catalog",
                found.id
            );
        }
        free
    };
    let mut custom: Vec<&Found<Provider>> = custom.iter().filter(is_free).collect();
    if custom.is_empty() {
        return config.catalog.clone();
    }
    let lay = |custom: &[&Found<Provider>]| {
        let says = custom.iter().map(|found| found.resource.says.clone());
        let says: Vec<types::Provider> = says.collect();
        let no_files = |_: &std::path::Path| Err("a stored provider has no files".to_owned());
        config.catalog.with(&says, no_files)
    };
    let mut catalog = lay(&custom).unwrap_or_else(|_| {
        // One of them cannot be understood any more: the others are not to suffer.
        custom.retain(|found| match lay(&[found]) {
            Ok(_) => true,
            Err(faults) => {
                for fault in faults {
                    let (path, message) = (fault.path, fault.message);
                    log::error!(
                        "the stored provider {} is left out: {path}: {message}",
                        found.id
                    );
                }
                false
            }
        });
        lay(&custom).unwrap_or_else(|_| Catalog::clone(&config.catalog))
    });
    for found in custom {
        let listed = found.resource.surfaces.iter().filter_map(|one| {
            let parameters = one.parameters.clone()?;
            Some((one.surface, parameters))
        });
        catalog.change(&found.resource.says.id, |provider| {
            provider.supported_parameters = listed.collect();
            provider.public_only = found.resource.public_only;
            provider.owner = Some(found.resource.meta.account.as_str().into());
        });
    }
    Arc::new(catalog)
}

/// All providers with all their keys: the declared keys first, then the stored ones in the order of their creation.
fn providers<'a>(
    base: &'a Base<'_>,
    view: &View<'_>,
    custom: &'a [Found<Provider>],
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
    for found in custom.iter().rev() {
        let says = &found.resource.says;
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
    let common = AccountSettings::common(config);
    AccountSettings {
        timeouts: TimeoutOverrides {
            per_request: own.per_request_timeout.map(Duration::from_millis),
            total: own.total_timeout.map(Duration::from_millis),
            ..TimeoutOverrides::default()
        },
        max_input_tokens: own.max_input_tokens.or(common.max_input_tokens),
        max_output_tokens: own.max_output_tokens.or(common.max_output_tokens),
    }
}
