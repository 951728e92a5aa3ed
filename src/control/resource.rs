//! The resources, as they are stored: one JSON document each, which gateways of several versions read and write at the
//! same time.
//!
//! What a newer gateway has written and this one does not know is kept and ignored, except where ignoring it would
//! allow more than it says:
//!
//! | not known                                   | what this gateway does                                          |
//! |---------------------------------------------|-----------------------------------------------------------------|
//! | a member that is `null`                     | ignores it: it is not set                                       |
//! | a member of `access` or `limits`, a budget  | refuses the requests of the key or configuration (503)          |
//! | when a budget begins, an account's limits   | the same: a limit that is not understood is not none            |
//! | another member                              | ignores it                                                      |
//! | an API key's role                           | grants nothing                                                  |
//! | a step's type                               | skips the step; a rule without known steps serves nothing       |
//! | what a rule is for                          | never applies the rule                                          |
//! | a provider's `auth`, all of its surfaces    | never calls the provider                                        |
//! | a surface, a modality                       | does not offer it                                               |
//! | a tier of a price                           | does not know the price, so that credits do not pay for it      |
//! | a kind of resource                          | lets it be                                                      |
//! | a document that cannot be read at all       | refuses who depends on it, and changes nothing about it         |
//!
//! So what a later version adds to forbid something belongs into `access` or `limits`, or is a new role.
//!
//! Invariant: no document holds a secret in clear text. Tokens are SHA-256 digests, provider keys are sealed.

mod budget;
mod form;
pub(crate) mod forms;
mod hex;
mod newer;
mod settings;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use budget::KeyLimits;
pub use budget::SharedBudget;
use forms::Form as _;
pub(crate) use newer::{Open, Rest};
pub use settings::Settings;
pub(crate) use settings::{Cap, Held};
use tollgate_base::Secret;
use tollgate_config::secrets::{Role, Sealed};
use tollgate_config::types;
use tollgate_wire::Surface;

/// What all resources have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// Whose it is; of an account, its own id.
    pub account: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For its owner's programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// Unix time, ms.
    pub created_at: u64,
    /// Unix time, ms.
    pub updated_at: u64,
    /// The id of an API key, or `DECLARED`.
    pub created_by: String,
    /// The same, of the last change.
    pub last_updated_by: String,
    /// What is not known here, of the resource's own members.
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// A kind of resource.
pub trait Document: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in the store and in the audit log, as in `access-key`.
    const KIND: &'static str;
    /// What new ids begin with.
    const PREFIX: &'static str;

    /// What all resources have.
    fn meta(&self) -> &Meta;
    /// The same, to change it.
    fn meta_mut(&mut self) -> &mut Meta;
    /// What becomes of a resource of which this gateway does not know all that it must know; `None` if it does.
    fn newer(&self) -> Option<&'static str>;

    /// How many models it brings.
    fn models(&self) -> usize {
        0
    }

    /// What the audit log keeps: everything but digests, sealed values, and what may be either.
    fn audited(&self) -> Value {
        let mut known = self.clone();
        known.meta_mut().rest = Rest::default();
        let mut value = serde_json::to_value(known).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| name != "sha256" && name != "sealed");
            if let Some(former) = fields.get_mut("former").and_then(Value::as_object_mut) {
                former.retain(|name, _| name == "until");
            }
        }
        value
    }
}

macro_rules! documents {
    ($($type:ident: $kind:literal, $prefix:literal $(, unless $understood:expr => $newer:literal)? $(, models $models:expr)?;)+) => {
        $(impl Document for $type {
            const KIND: &'static str = $kind;
            const PREFIX: &'static str = $prefix;

            fn meta(&self) -> &Meta {
                &self.meta
            }

            fn meta_mut(&mut self) -> &mut Meta {
                &mut self.meta
            }

            fn newer(&self) -> Option<&'static str> {
                $(let understood: fn(&Self) -> bool = $understood;
                if !understood(self) {
                    return Some($newer);
                })?
                None
            }

            $(fn models(&self) -> usize {
                let models: fn(&Self) -> usize = $models;
                models(self)
            })?
        })+
    };
}

documents! {
    Account: "account", "acct_";
    AccessKey: "access-key", "ak_", unless |key| key.limits.own.are_understood() => "its requests are refused";
    SharedBudget: "budget", "bud_", unless |budget| budget.limits.are_understood()
        => "the requests of its access keys are refused";
    Configuration: "configuration", "akc_", unless |own| own.spec.is_understood()
        => "the requests of its access keys are refused";
    Provider: "provider", "prov_", unless |own| own.spec.is_callable() => "it is not called",
        models |own| own.model_ids.len();
    ProviderKey: "provider-key", "pk_";
    ApiKey: "api-key", "api_", unless |key| key.role.known().is_some() => "it may do nothing";
    Settings: "settings", "", unless Settings::are_understood => "the account's requests are refused";
    CoolDownCleared: "cool-down-cleared", "";
}

/// Who owns keys and credits. Its id is what other resources call `account`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
    /// Its share of the turns, where requests wait for quota; `None` is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<u32>,
}

impl Account {
    /// One that the configuration files declare.
    pub(crate) fn declared(meta: Meta, account: &tollgate_config::Account) -> Account {
        let weight = account.spec.weight;
        Account { meta, weight }
    }
}

/// What an application sends, by its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessKey {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
    /// The id of the configuration it is held to; `None` allows all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// SHA-256 of the whole token.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    /// How the token is shown.
    pub redacted: String,
    /// The token before this one, which works for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// What it may use over time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) limits: KeyLimits,
}

/// A token that was replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// SHA-256 of the whole token.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    /// Until when it works (Unix time, ms).
    pub until: u64,
    /// What is not known here.
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

impl AccessKey {
    /// One that the configuration files declare: they hold digests only.
    pub(crate) fn declared(meta: Meta, key: &tollgate_config::AccessKey) -> AccessKey {
        AccessKey {
            meta,
            configuration: key.spec.configuration.clone(),
            sha256: key.digest,
            redacted: format!("tg-{}-g1-***", key.spec.id),
            former: None,
            limits: KeyLimits {
                shared: key.spec.budget.clone(),
                own: forms::RateLimits::of(&key.spec.limits),
            },
        }
    }
}

/// What access keys may call, and which credentials serve them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Configuration {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
    /// Its specification, with the same id, as in the YAML. Steps name provider keys by id.
    #[serde(rename = "says")]
    pub(crate) spec: forms::Configuration,
}

/// A custom provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
    /// What it is, as in the YAML, without keys. Its id is the `providerId`: the word in `provider:model`.
    #[serde(rename = "says")]
    pub(crate) spec: forms::Provider,
    /// The API shapes as they were written, with their parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surfaces: Vec<SupportedSurface>,
    /// Whether it is never called at a loopback or private address, because whoever made it may act for one account
    /// only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub public_only: bool,
    /// The ids of the models as resources, in the order of `says.models`.
    #[serde(default)]
    pub model_ids: Vec<String>,
}

impl Provider {
    /// One that the configuration files declare.
    pub(crate) fn declared(meta: Meta, provider: &types::Provider) -> Provider {
        let spec = forms::Provider::of(provider);
        let surfaces = provider.surfaces.clone();
        let surfaces = surfaces.unwrap_or_else(|| vec![Surface::ChatCompletions]);
        Provider {
            meta,
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
}

/// An API shape of a custom provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedSurface {
    /// Which; one that is not known here is not offered here.
    pub(crate) surface: Open<Surface>,
    /// Whether it was written as its format alone, which stands for all surfaces of that format.
    #[serde(default, skip_serializing_if = "is_default")]
    pub whole_format: bool,
    /// The only top-level fields that are sent to it, besides those that every request needs; `None` sends all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Vec<String>>,
    /// What is not known here.
    #[serde(flatten)]
    pub(crate) rest: Rest,
}

/// An upstream credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderKey {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
    /// The provider it is for: the word in `provider:model`.
    pub provider: String,
    /// Whether it is the operator's, so that credits pay the model's price.
    #[serde(default, skip_serializing_if = "is_default")]
    pub managed: bool,
    /// The value, sealed for where it is sent; absent where the YAML has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// How the value is shown.
    pub redacted: String,
}

impl ProviderKey {
    /// One that the configuration files declare for a provider.
    pub(crate) fn declared(
        meta: Meta,
        provider: &str,
        key: &types::ProviderKey,
        managed: bool,
    ) -> ProviderKey {
        ProviderKey {
            meta,
            provider: provider.to_owned(),
            managed,
            sealed: None,
            redacted: key.value.redacted().to_string(),
        }
    }

    /// The same as the configuration files would have it.
    pub(crate) fn laid(&self, id: &str, value: Secret) -> types::ProviderKey {
        types::ProviderKey {
            id: id.to_owned(),
            value,
            account: Some(self.meta.account.clone()),
        }
    }
}

/// What a program sends to the admin API, by its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// What all resources have; the account is whose API keys list it.
    #[serde(flatten)]
    pub meta: Meta,
    /// SHA-256 of the whole token.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    /// How the token is shown.
    pub redacted: String,
    /// What it may do; nothing, if the role is not known here.
    pub(crate) role: Open<Role>,
    /// The one account it may act for; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl ApiKey {
    /// One that the configuration files or the environment declare.
    pub(crate) fn declared(meta: Meta, key: &tollgate_config::ApiKey) -> ApiKey {
        ApiKey {
            meta,
            sha256: key.digest,
            redacted: format!("{}***", key.id),
            role: key.spec.role.unwrap_or_default().into(),
            scope: key.spec.account.clone(),
        }
    }
}

/// Says that replicas should forget a provider key's cool-down; its id is the key's, or `*` for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoolDownCleared {
    /// What all resources have.
    #[serde(flatten)]
    pub meta: Meta,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
