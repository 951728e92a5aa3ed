//! Which providers an account may name, and whose keys it may use.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::View;
use crate::admin::Context;
use crate::admin::error::{ApiError, Code};
use crate::resource::{Open, Provider, ProviderKey};
use tollgate_config::catalog::Auth;
use tollgate_config::{Config, did_you_mean};

/// Whose keys, as clients write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeySourceWrite {
    /// The account's own (bring your own key).
    User,
    /// The operator's, so that credits also pay the model's price.
    Managed,
    /// The same as `managed`.
    Ngrok,
}

impl KeySourceWrite {
    /// Whether they are the operator's.
    pub(super) fn is_managed(self) -> bool {
        self != KeySourceWrite::User
    }
}

/// Whose keys, as it is answered.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeySource {
    /// The account's own (bring your own key).
    User,
    /// The operator's, so that credits also pay the model's price.
    Managed,
}

impl Context {
    /// Whether the caller may manage keys that serve every account.
    ///
    /// # Errors
    /// 403.
    pub(super) fn may_manage(&self) -> Result<(), ApiError> {
        match self.caller.account {
            None => Ok(()),
            Some(_) => Err(ApiError::new(
                Code::OtherAccount,
                "a managed key serves every account: only an API key for all accounts may create or change one",
            )),
        }
    }
}

/// What the acting account knows of providers at one moment.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) context: &'a Context,
    /// Asked for before the view, which is under a lock of its own.
    pub(super) config: &'a Config,
    pub(super) view: View<'a>,
}

/// A provider that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownProvider {
    /// The word in `provider:model`.
    pub(super) id: Arc<str>,
    pub(super) built_in: bool,
    pub(super) needs_key: bool,
    /// Whether a tenant says where it is.
    pub(super) tenants: bool,
}

impl Known<'_> {
    /// The provider that `name` names: by its `providerId`, or a custom one by its resource's id.
    pub(super) fn provider(&self, name: &str) -> Option<KnownProvider> {
        if let Some(known) = self.config.catalog.provider(name) {
            return Some(KnownProvider {
                id: known.id.clone(),
                built_in: known.built_in,
                needs_key: known.needs_key(),
                tenants: false,
            });
        }
        let mut own = self.own();
        own.find(|(id, provider)| **id == *name || provider.spec.id == name)
            .map(|(_, provider)| KnownProvider {
                id: provider.spec.id.as_str().into(),
                built_in: false,
                needs_key: provider.spec.auth != Some(Open::Known(Auth::None)),
                tenants: provider.public_only,
            })
    }

    /// What to say about a name that names no provider; which it may mean is said among the first `faults` only.
    pub(super) fn unknown(&self, name: &str, faults: &Faults) -> String {
        const WHAT: &str = "names no provider that this gateway knows";
        if !faults.explains() {
            return WHAT.to_owned();
        }
        let own: Vec<Arc<Provider>> = self.own().map(|(_, provider)| provider).collect();
        let declared = self.config.catalog.providers().iter();
        let ids = declared
            .map(|known| &*known.id)
            .chain(own.iter().map(|one| &*one.spec.id));
        let hint = did_you_mean(name, ids)
            .unwrap_or_else(|| "GET /catalog/providers lists those that there are".to_owned());
        format!("{WHAT}; {hint}")
    }

    /// Whether the provider has a key of the operator's.
    pub(super) fn has_managed_keys(&self, provider: &str) -> bool {
        let mut keys = self.view.all::<ProviderKey>();
        keys.any(|key| key.resource.managed && key.resource.provider == provider)
    }

    fn own(&self) -> impl Iterator<Item = (Arc<str>, Arc<Provider>)> {
        let all = self.view.all::<Provider>();
        all.filter(|found| !found.declared && self.context.owns(&found.resource.meta))
            .map(|found| (found.id, found.resource))
    }
}
