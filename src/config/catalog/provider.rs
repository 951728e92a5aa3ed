//! A provider: where its API is and how to speak to it.

use std::sync::Arc;

use super::base_url::BaseUrl;
use super::error_rule::ErrorRule;
use super::model::Model;
use super::timeouts::TimeoutOverrides;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_wire::vendor::Vendor;
use tollgate_wire::{Dialect, Surface};

/// A provider that the gateway can call.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Exact id, as in `provider:model`.
    pub id: Arc<str>,
    /// For people.
    pub display_name: Arc<str>,
    /// Where its API is.
    pub base_url: BaseUrl,
    /// How a key travels; `None` follows the surface's dialect.
    pub auth: Option<Auth>,
    /// The API shapes it offers.
    pub surfaces: Vec<Surface>,
    /// Headers added to every upstream request; the names are lower-case.
    pub headers: Vec<(String, String)>,
    /// Headers of clients that are let through to it besides what its API reads: lower-case names, or beginnings of
    /// names that end in `-`.
    pub forward_headers: Vec<String>,
    /// What its errors mean, where the built-in table does not say it.
    pub error_rules: Vec<ErrorRule>,
    /// PEM text of the certificate authorities to trust instead of the system's.
    pub ca: Option<Arc<str>>,
    /// Whether models outside the catalog may be called as `provider:model`.
    pub passthrough: bool,
    /// Whose rules its API follows beyond what its surfaces say, if any are known.
    pub vendor: Option<Vendor>,
    /// Whether its chat completions take `thinking_blocks` and `cache_control`.
    pub chat_extensions: bool,
    /// Whether turns of a client's WebSocket to `openai/responses` are asked over a WebSocket.
    pub websocket: bool,
    /// Top-level request fields to remove.
    pub unsupported_parameters: Vec<String>,
    /// The only top-level request fields to send to a surface, besides [`Surface::essential_fields`]; a surface that
    /// is not here takes all.
    pub supported_parameters: Vec<(Surface, Vec<String>)>,
    /// Whether it is never called at a loopback or private address.
    pub public_only: bool,
    /// The account that made it at run time, which alone may name it without a managed key; `None`: everybody may.
    pub owner: Option<Arc<str>>,
    /// Overrides of the global timeouts.
    pub timeouts: TimeoutOverrides,
    /// Whether the catalog brought it, rather than the YAML.
    pub built_in: bool,
    /// Whether an operator may resell its models (the reference facts say which).
    pub managed_keys_possible: bool,
    /// Its models, in the catalog's order.
    pub models: Vec<Arc<Model>>,
}

impl Provider {
    /// Returns how a key travels on `surface`: the provider's own way, or else the dialect's.
    pub fn auth_on(&self, surface: Surface) -> Auth {
        match (&self.auth, surface.dialect()) {
            (Some(auth), _) => auth.clone(),
            (None, Dialect::OpenAi) => Auth::Bearer,
            (None, Dialect::Anthropic) => Auth::XApiKey,
        }
    }

    /// Returns whether a top-level request field goes to `surface`, as far as the list of supported ones says.
    pub fn takes(&self, surface: Surface, field: &str) -> bool {
        let list = self.supported_parameters.iter();
        let mut list = list.filter(|(listed, _)| *listed == surface);
        list.next().is_none_or(|(_, fields)| {
            surface.essential_fields().contains(&field) || fields.iter().any(|known| known == field)
        })
    }

    /// Returns whether a tenant says where it is: an account that is not the operator's own, or an API key of one
    /// account.
    pub fn is_tenants(&self) -> bool {
        let of_tenant = |owner: &Arc<str>| **owner != *crate::DEFAULT_ACCOUNT;
        self.public_only || self.owner.as_ref().is_some_and(of_tenant)
    }

    /// Returns whether calls need one of the provider's keys.
    pub fn needs_key(&self) -> bool {
        self.auth != Some(Auth::None)
    }

    /// Returns the model with this id or alias, compared without regard to ASCII case. Ids win over aliases.
    /// Scans the provider's models: for setup; requests go through [`super::Catalog::resolve`].
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        let by_id = self
            .models
            .iter()
            .find(|model| model.id.eq_ignore_ascii_case(name));
        by_id.or_else(|| self.models.iter().find(|model| model.has_alias(name)))
    }
}

/// How a provider's key travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `x-api-key: KEY`
    XApiKey,
    /// `api-key: KEY`, as Azure wants it.
    ApiKey,
    /// No credential is sent, and none is needed.
    None,
}
