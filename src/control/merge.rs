//! Declared and stored resources, as one [`Snapshot`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::resource::forms::Form as _;
use super::resource::{
    self, AccessKey, Account, Document as _, Open, Provider, ProviderKey, Settings, SharedBudget,
};
use super::tables::Resources;
use super::view::{Found, View};
use tollgate_base::Secret;
use tollgate_config::access::{
    AccountSettings, Configuration, Contents, FormerToken, Snapshot, WrittenBudget, WrittenKey,
};
use tollgate_config::catalog::{Catalog, Provider as CatalogProvider, TimeoutOverrides};
use tollgate_config::{Config, types};

/// What a snapshot is made of besides the stored resources.
pub(super) struct Base<'a> {
    pub config: &'a Arc<Config>,
    pub declared: &'a Resources,
    pub stored: &'a Resources,
    /// Whether the store has been read.
    pub complete: bool,
    /// Opens provider keys.
    pub open: &'a Opening<'a>,
    /// The last catalog, to be laid over anew only where providers have changed.
    pub laid: &'a Mutex<Laid>,
}

/// The catalog with the custom providers of the store, as it was laid last: most changes are of other resources, and of
/// many providers one changes.
#[derive(Default)]
pub(super) struct Laid {
    config: Option<Arc<Config>>,
    /// The documents that it was made of, in order.
    documents: Vec<Arc<Provider>>,
    catalog: Arc<Catalog>,
    /// Each document's provider, by the id of the resource; `None` where it cannot be understood.
    each: HashMap<Arc<str>, LaidOne>,
}

/// A document, and the provider that it makes.
type LaidOne = (Arc<Provider>, Option<Arc<CatalogProvider>>);

/// Opens a provider key, by its id, for where this catalog says that it is sent; `None` if it does not open.
pub(super) type Opening<'a> = dyn Fn(&Catalog, &str, &ProviderKey) -> Option<Secret> + 'a;

impl Base<'_> {
    /// The configuration file may not declare a key's account any more. Nobody could see or delete such keys, so they
    /// must not work; they do again when the account is back.
    fn has_account(&self, account: &str) -> bool {
        let known = |state: &Resources| state.accounts.get(account).is_some();
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
            former: key.former.as_ref().map(|former| FormerToken {
                digest: former.sha256,
                until_ms: former.until,
            }),
            budget: key.limits.shared.as_deref(),
            limits: Cow::Owned(key.limits.own.read().unwrap_or_default()),
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
    let mut custom: Vec<Found<Provider>> = stored(view.all()).collect();
    // Of two with one id the elder counts: a gateway that cannot read the one may have let the other be made.
    let mut ids = HashSet::new();
    custom.reverse();
    custom.retain(|own| ids.insert(own.resource.spec.id.clone()));
    custom.reverse();
    let catalog = catalog(base, &custom);
    let declared_keys = base.config.access_keys.iter().map(WrittenKey::from);
    let hidden = &base.declared.access_keys;
    let own = base.stored.access_keys.iter();
    let own = own.filter(|(id, _)| hidden.is_empty() || hidden.get(id).is_none());
    let own = own.filter(|(_, key)| base.has_account(&key.meta.account));
    let own = own.map(|(id, key)| base.written(id, key));
    let contents = Contents {
        config: base.config.clone(),
        providers: providers(base, &view, &custom, &catalog),
        catalog,
        configurations: configurations(base),
        budgets: budgets(base),
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
        let spec = own.spec.read().unwrap_or_default();
        Configuration {
            newer: own.newer().is_some(),
            bounded: true,
            ..Configuration::from(&spec)
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

/// All budgets that access keys share. What counts towards one that cannot be understood is refused.
fn budgets<'a>(base: &Base<'a>) -> Vec<WrittenBudget<'a>> {
    let declared = base.config.budgets.iter().map(WrittenBudget::from);
    let hidden = &base.declared.budgets;
    let own = base.stored.budgets.iter();
    let own = own.filter(|(id, _)| hidden.get(id).is_none());
    let own = own.map(|(id, own)| WrittenBudget {
        id,
        name: own.meta.name.as_deref(),
        account: &own.meta.account,
        parent: own.parent.as_deref(),
        limits: Cow::Owned(own.limits.read().unwrap_or_default()),
        newer: own.newer().is_some(),
    });
    let unreadable = base.stored.unreadable(SharedBudget::KIND);
    let unreadable = unreadable.filter(|id| hidden.get(id).is_none());
    let unreadable = unreadable.map(|id| WrittenBudget {
        id,
        name: None,
        account: "",
        parent: None,
        limits: Cow::default(),
        newer: true,
    });
    declared.chain(own).chain(unreadable).collect()
}

/// The settings of the accounts that have their own.
fn settings<'a>(base: &Base<'a>) -> Vec<(&'a str, AccountSettings)> {
    let common = AccountSettings::common(base.config);
    let own = base.stored.settings.iter();
    let mut all: HashMap<&str, AccountSettings> = own
        .map(|(account, own)| (&**account, settings_of(own, base.config)))
        .collect();
    for account in base.stored.unreadable(Settings::KIND) {
        all.entry(account).or_insert(common).newer = true;
    }
    let declared = &base.declared.accounts;
    let own = base.stored.accounts.iter();
    let own = own.filter(|(id, _)| declared.get(id).is_none());
    for (id, account) in declared.iter().chain(own) {
        if let Some(weight) = account.weight {
            all.entry(id).or_insert(common).weight = weight;
        }
    }
    all.into_iter().collect()
}

/// Those that are not declared.
fn stored<T>(all: impl Iterator<Item = Found<T>>) -> impl Iterator<Item = Found<T>> {
    all.filter(|found| !found.declared)
}

/// The declared catalog with the custom providers of the store after all others. One that clashes with a declared
/// provider, or cannot be understood any more, is left out.
fn catalog(base: &Base<'_>, custom: &[Found<Provider>]) -> Arc<Catalog> {
    let config = base.config;
    let mut laid = base.laid.lock();
    let here = |own: &Arc<Config>| Arc::ptr_eq(own, config);
    let mut last = std::mem::take(&mut *laid);
    if !last.config.as_ref().is_some_and(here) {
        last = Laid::default();
    }
    laid.config = Some(config.clone());
    laid.documents = custom.iter().map(|own| own.resource.clone()).collect();
    let same = laid.documents.iter().zip(&last.documents);
    if last.config.is_some()
        && laid.documents.len() == last.documents.len()
        && same.into_iter().all(|(one, other)| Arc::ptr_eq(one, other))
    {
        *laid = last;
        return laid.catalog.clone();
    }
    let mut made = Vec::new();
    // The eldest first: a new provider takes no bare id away from one that had it.
    for own in custom.iter().rev() {
        if config.catalog.provider(&own.resource.spec.id).is_some() {
            log::debug!(
                "the stored provider {} is hidden by the configuration or the catalog",
                own.id
            );
            continue;
        }
        let known = last.each.remove(&own.id);
        let known = known.filter(|(document, _)| Arc::ptr_eq(document, &own.resource));
        let (document, provider) =
            known.unwrap_or_else(|| (own.resource.clone(), laid_over(config, own)));
        made.extend(provider.clone());
        laid.each.insert(own.id.clone(), (document, provider));
    }
    laid.catalog = match made.is_empty() {
        true => config.catalog.clone(),
        false => Arc::new(config.catalog.with_last(made)),
    };
    laid.catalog.clone()
}

/// A custom provider as the catalog has it.
fn laid_over(config: &Config, own: &Found<Provider>) -> Option<Arc<CatalogProvider>> {
    let document = &own.resource;
    let mut provider = match config.catalog.made(&document.spec.laid()) {
        Ok(provider) => provider,
        Err(faults) => {
            for fault in faults {
                let (path, message) = (fault.path, fault.message);
                log::error!(
                    "the stored provider {} is left out: {path}: {message}",
                    own.id
                );
            }
            return None;
        }
    };
    let listed = document.surfaces.iter().filter_map(|one| {
        let parameters = one.parameters.clone()?;
        Some((*one.surface.known()?, parameters))
    });
    provider.supported_parameters = listed.collect();
    provider.public_only = document.public_only;
    provider.owner = Some(document.meta.account.as_str().into());
    if !document.spec.is_callable() {
        provider.surfaces.clear();
    }
    Some(Arc::new(provider))
}

/// All providers with all their keys: the declared keys first, then the stored ones in the order of their creation.
fn providers<'a>(
    base: &'a Base<'_>,
    view: &View<'_>,
    custom: &'a [Found<Provider>],
    catalog: &Catalog,
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
    for Found { resource, .. } in custom.iter().rev() {
        if declared.iter().all(|one| one.id != resource.spec.id) {
            // What keys are kept for; the rest of it is in the catalog.
            let provider = types::Provider {
                id: resource.spec.id.clone(),
                auth: resource.spec.auth.as_ref().and_then(Open::known).cloned(),
                ..types::Provider::default()
            };
            all.push((Cow::Owned(provider), Some(&resource.meta.account)));
        }
    }
    for (provider, _) in &mut all {
        let Some(own) = keys.remove(&provider.id) else {
            continue;
        };
        add_keys(provider.to_mut(), own, catalog, base.open);
    }
    // What is left is for built-in providers that the configuration does not mention.
    for (id, own) in keys {
        let mut provider = types::Provider {
            id,
            ..types::Provider::default()
        };
        add_keys(&mut provider, own, catalog, base.open);
        all.push((Cow::Owned(provider), None));
    }
    all
}

fn add_keys(
    provider: &mut types::Provider,
    own: Vec<Found<ProviderKey>>,
    catalog: &Catalog,
    open: &Opening<'_>,
) {
    let known = catalog.provider(&provider.id);
    let is_tenants = known.is_some_and(|known| known.public_only);
    for found in own.into_iter().rev() {
        let key = &found.resource;
        // A key of the operator's never goes to where a tenant says.
        if key.managed && is_tenants {
            log::debug!(
                "the managed key {} is not used: its provider is a tenant's",
                found.id
            );
            continue;
        }
        let Some(value) = open(catalog, &found.id, key) else {
            continue;
        };
        let written = key.laid(&found.id, value);
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
        ..AccountSettings::common(config)
    }
}

#[cfg(test)]
mod tests;
