//! What the configuration files declare, as resources: the admin API shows them and does not change them.

use super::DECLARED;
use super::resource::forms::{self, Form as _};
use super::resource::{
    AccessKey, Account, ApiKey, Configuration, Meta, Provider, ProviderKey, SharedBudget,
};
use super::tables::Resources;
use tollgate_config::{Config, DEMO_PROVIDER};

/// The resources of a configuration that was loaded at `loaded_ms` (Unix time).
pub(crate) fn declared(config: &Config, loaded_ms: u64) -> Resources {
    let meta = |account: &str, name: Option<&str>| Meta {
        account: account.to_owned(),
        name: name.map(str::to_owned),
        created_at: loaded_ms,
        updated_at: loaded_ms,
        created_by: DECLARED.to_owned(),
        last_updated_by: DECLARED.to_owned(),
        ..Meta::default()
    };
    let mut state = Resources::default();
    for account in &config.accounts {
        let id = &account.spec.id;
        let resource = Account::declared(meta(id, None), account);
        state.accounts.insert(id, resource);
    }
    for key in &config.access_keys {
        let meta = meta(key.account(), key.spec.name.as_deref());
        let resource = AccessKey::declared(meta, key);
        state.access_keys.insert(&key.spec.id, resource);
    }
    for budget in &config.budgets {
        let name = budget.name.as_deref().unwrap_or(&budget.id);
        let resource = SharedBudget::declared(meta(budget.account(), Some(name)), budget);
        state.budgets.insert(&budget.id, resource);
    }
    for spec in &config.configurations {
        let meta = meta(
            super::DEFAULT_ACCOUNT,
            Some(spec.name.as_deref().unwrap_or(&spec.id)),
        );
        let id = &spec.id;
        let spec = forms::Configuration::of(spec);
        state
            .configurations
            .insert(id, Configuration { meta, spec });
    }
    let built_in = |id: &str| {
        // The demo provider is nobody's custom one either.
        id == DEMO_PROVIDER
            || config
                .catalog
                .provider(id)
                .is_some_and(|known| known.built_in)
    };
    for provider in &config.providers {
        let keys = provider.keys.iter().map(|key| (key, false));
        let managed = provider.managed_keys.iter().map(|key| (key, true));
        for (key, managed) in keys.chain(managed) {
            let account = key.account.as_deref().unwrap_or(super::DEFAULT_ACCOUNT);
            let meta = meta(account, Some(&key.id));
            let resource = ProviderKey::declared(meta, &provider.id, key, managed);
            state.provider_keys.insert(&key.id, resource);
        }
        if !built_in(&provider.id) {
            let name = provider.display_name.as_deref().unwrap_or(&provider.id);
            let meta = meta(super::DEFAULT_ACCOUNT, Some(name));
            let resource = Provider::declared(meta, provider);
            state.providers.insert(&provider.id, resource);
        }
    }
    for key in &config.admin.api_keys {
        let account = key.spec.account.as_deref();
        let name = key.spec.name.as_deref().unwrap_or(&key.id);
        let meta = meta(account.unwrap_or(super::DEFAULT_ACCOUNT), Some(name));
        state.declare_api_key(&key.id, ApiKey::declared(meta, key));
    }
    state
}
