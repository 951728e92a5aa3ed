//! What the configuration files declare, as resources: the admin API shows them and does not change them.

use super::DECLARED;
use super::resource::forms::{self, Form as _};
use super::resource::{
    AccessKey, Account, ApiKey, Configuration, Meta, Provider, ProviderKey, Rest, SupportedSurface,
};
use super::tables::Resources;
use tollgate_config::{Config, DEMO_PROVIDER, types};
use tollgate_wire::Surface;

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
        let meta = meta(&account.id, None);
        state.accounts.insert(&account.id, Account { meta });
    }
    for key in &config.access_keys {
        let resource = AccessKey {
            meta: meta(&key.account, key.name.as_deref()),
            configuration: key.configuration.clone(),
            limits: forms::RateLimits::of(&key.limits),
            // The files hold digests only.
            ..AccessKey::of(key.digest, format!("tg-{}-g1-***", key.id))
        };
        state.access_keys.insert(&key.id, resource);
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
            let resource = ProviderKey {
                meta: meta(account, Some(&key.id)),
                provider: provider.id.clone(),
                managed,
                sealed: None,
                redacted: key.value.redacted().to_string(),
            };
            state.provider_keys.insert(&key.id, resource);
        }
        if !built_in(&provider.id) {
            state
                .providers
                .insert(&provider.id, custom(provider, &meta));
        }
    }
    for key in &config.admin.api_keys {
        let account = key.account.as_deref();
        let resource = ApiKey {
            meta: meta(
                account.unwrap_or(super::DEFAULT_ACCOUNT),
                Some(key.name.as_deref().unwrap_or(&key.id)),
            ),
            sha256: key.digest,
            redacted: format!("{}***", key.id),
            role: key.role.into(),
            scope: account.map(str::to_owned),
        };
        state.declare_api_key(&key.id, resource);
    }
    state
}

fn custom(provider: &types::Provider, meta: &impl Fn(&str, Option<&str>) -> Meta) -> Provider {
    let name = provider.display_name.as_deref().unwrap_or(&provider.id);
    let surfaces = provider.surfaces.clone();
    let surfaces = surfaces.unwrap_or_else(|| vec![Surface::ChatCompletions]);
    let spec = forms::Provider::of(provider);
    Provider {
        meta: meta(super::DEFAULT_ACCOUNT, Some(name)),
        model_ids: spec.models.iter().map(|model| model.id.clone()).collect(),
        spec,
        public_only: false,
        surfaces: surfaces
            .into_iter()
            .map(|surface| SupportedSurface {
                surface: surface.into(),
                whole_format: false,
                parameters: None,
                rest: Rest::default(),
            })
            .collect(),
    }
}
