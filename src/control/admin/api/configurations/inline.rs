//! Provider keys that are written inside a configuration, and are created with it.

use std::collections::BTreeMap;

use super::router::{RouterStepKeyWrite, RouterWrite};
use crate::Document;
use crate::admin::Context;
use crate::admin::api::faults::Faults;
use crate::admin::api::known::{KeySourceWrite, Known};
use crate::admin::api::provider_keys::storable;
use crate::admin::error::ApiError;
use crate::resource::{Meta, ProviderKey};
use tollgate_base::Secret;
use tollgate_base::clock;
use tollgate_base::id;
use tollgate_config::Config;

/// The keys and their values, by their place in the body: `router.rules.0.steps.1.keys.0`.
#[derive(Debug, Default)]
pub(super) struct Inline(BTreeMap<String, Made>);

/// A key's id, the key, and its value.
type Made = (String, ProviderKey, Secret);

impl Inline {
    /// All keys with a value.
    ///
    /// # Errors
    /// 403 when the caller may not create one; 500.
    pub(super) fn of(
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

    /// The id and the key at a place, sealed for this provider.
    ///
    /// # Errors
    /// As [`Known::seal`].
    pub(super) fn at(
        &self,
        known: &Known<'_>,
        place: &str,
        provider: &str,
    ) -> Result<Option<(String, ProviderKey)>, ApiError> {
        let Some((id, key, value)) = self.0.get(place) else {
            return Ok(None);
        };
        let mut key = key.clone();
        provider.clone_into(&mut key.provider);
        key.sealed = Some(known.seal(id, &key, value)?);
        Ok(Some((id.clone(), key)))
    }
}

fn made(
    context: &Context,
    config: &Config,
    source: KeySourceWrite,
    key: &RouterStepKeyWrite,
    place: &str,
    faults: &mut Faults,
) -> Result<Option<Made>, ApiError> {
    let (Some(name), Some(value), None) = (&key.name, &key.value, &key.id) else {
        return Ok(None);
    };
    if source.is_managed() {
        context.may_manage()?;
    }
    let id = id::new(ProviderKey::PREFIX, clock::wall_ms());
    let storable = faults.take(storable(config, value, &format!("{place}.value")));
    if storable.is_none() {
        return Ok(None);
    }
    let meta = Meta {
        name: Some(name.clone()),
        ..context.meta()
    };
    let key = ProviderKey {
        meta,
        managed: source.is_managed(),
        redacted: value.redacted().to_string(),
        ..ProviderKey::default()
    };
    Ok(Some((id, key, value.clone())))
}
