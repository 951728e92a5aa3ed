//! Provider keys that are written inside a configuration, and are created with it.

use std::collections::BTreeMap;

use super::router::{RouterStepKeyWrite, RouterWrite};
use crate::Document;
use crate::admin::Context;
use crate::admin::api::faults::Faults;
use crate::admin::api::known::KeySourceWrite;
use crate::admin::api::provider_keys::sealed;
use crate::admin::error::ApiError;
use crate::resource::{Meta, ProviderKey};
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_config::Config;

/// The keys, by their place in the body: `router.rules.0.steps.1.keys.0`. Sealed once, however often the change is
/// decided.
#[derive(Debug, Default)]
pub(super) struct Inline(BTreeMap<String, (String, ProviderKey)>);

impl Inline {
    /// Seals all keys with a value.
    ///
    /// # Errors
    /// 403 when the caller may not create one; 500.
    pub(super) fn sealed(
        context: &Context,
        config: &Config,
        router: &RouterWrite,
        faults: &mut Faults,
    ) -> Result<Inline, ApiError> {
        let mut all = BTreeMap::new();
        for (rule_place, rule) in router.rules().iter().enumerate() {
            for (step_place, step) in rule.steps.iter().enumerate() {
                for (key_place, key) in step.keys.iter().flatten().enumerate() {
                    let place =
                        format!("router.rules.{rule_place}.steps.{step_place}.keys.{key_place}");
                    if let Some(made) = made(context, config, step.r#type, key, &place, faults)? {
                        all.insert(place, made);
                    }
                }
            }
        }
        Ok(Inline(all))
    }

    /// The id and the key at a place, for this provider.
    pub(super) fn at(&self, place: &str, provider: &str) -> Option<(String, ProviderKey)> {
        let (id, key) = self.0.get(place)?;
        let key = ProviderKey {
            provider: provider.to_owned(),
            ..key.clone()
        };
        Some((id.clone(), key))
    }
}

fn made(
    context: &Context,
    config: &Config,
    source: KeySourceWrite,
    key: &RouterStepKeyWrite,
    place: &str,
    faults: &mut Faults,
) -> Result<Option<(String, ProviderKey)>, ApiError> {
    let (Some(name), Some(value), None) = (&key.name, &key.value, &key.id) else {
        return Ok(None);
    };
    if source.is_managed() {
        context.may_manage()?;
    }
    let id = id::new(ProviderKey::PREFIX, clock::wall_ms());
    let sealed = faults.take(sealed(config, &id, value, &format!("{place}.value")));
    let meta = Meta {
        name: Some(name.clone()),
        ..context.meta()
    };
    let key = ProviderKey {
        meta,
        provider: String::new(),
        managed: source.is_managed(),
        sealed,
        redacted: value.redacted().to_string(),
    };
    Ok(Some((id, key)))
}
