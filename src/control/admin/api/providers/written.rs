//! A custom provider as clients write and see it; what they write becomes one that the catalog takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::models::{self, AIGatewayProviderModel, AIGatewayProviderModelCreate};
use super::surfaces::{self, SupportedAPISurface};
use crate::admin::Context;
use crate::admin::api::faults::{Faults, camel};
use crate::admin::error::ApiError;
use crate::admin::patch::Patch;
use crate::resource::{Open, Provider};
use tollgate_config::catalog::{Auth, BaseUrl, Vendor, is_public};
use tollgate_config::{Config, is_private_name, is_provider_id};

/// A custom provider, as it is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::admin::api) struct Sent {
    /// Provider identifier used as the address segment in model strings (for example "internal-vllm"): lowercase
    /// letters, digits, `-`, `_` and `.`. No other provider of the gateway may have it.
    #[schemars(length(min = 1, max = 255))]
    pub(super) provider_id: Option<String>,
    /// User-friendly label for this provider; without one its `providerId` is shown.
    #[schemars(length(min = 1, max = 255))]
    name: Patch<String>,
    /// Human-readable description.
    #[schemars(length(max = 255))]
    description: Patch<String>,
    /// Base URL of the provider's API endpoint: https, or http to loopback and private addresses. Without a path,
    /// `/v1` is appended.
    #[schemars(length(min = 1, max = 2048))]
    pub(super) base_url: Option<String>,
    /// Arbitrary user-defined metadata.
    #[schemars(length(max = 4096))]
    metadata: Patch<String>,
    /// API surfaces supported by this provider. Defaults to `openai/chat-completions`.
    supported_api_surfaces: Patch<Vec<SupportedAPISurface>>,
    /// The models exposed by this provider, all of them. Others can be called too, as `providerId:model`. A model id
    /// that other providers have goes to them first, unless it is called as `providerId:model`.
    models: Patch<Vec<AIGatewayProviderModelCreate>>,
    /// How a key travels to it. Defaults to what the surface's format does.
    auth: Patch<Auth>,
    /// Whose rules its API follows, so that requests are adapted to it as to that vendor's own API.
    vendor: Patch<Vendor>,
    /// Whether it has OpenAI's WebSocket mode beside its Responses API: turns of a client's WebSocket are asked over one as
    /// well then. Defaults to false.
    websocket: Patch<bool>,
}

/// A custom provider.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin::api) struct Own {
    /// Provider identifier used as the address segment in model strings (for example "internal-vllm").
    provider_id: String,
    /// Base URL of the provider's API endpoint.
    base_url: String,
    /// API surfaces supported by this provider; if none is said, `openai/chat-completions`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    supported_api_surfaces: Vec<SupportedAPISurface>,
    /// Models exposed by this provider.
    models: Vec<AIGatewayProviderModel>,
    /// How a key travels to it, if not as the surface's format has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Open<Auth>>,
    /// Whose rules its API follows, if any vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<Open<Vendor>>,
    /// Whether turns of a client's WebSocket are asked over a WebSocket, if that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    websocket: Option<bool>,
    /// The account it belongs to, if that is not `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

/// The provider with changes; all of it is checked, as the catalog will have it. What a caller who is `scoped` to one
/// account points it to must not be on our own network.
///
/// # Errors
/// 422 with every fault.
pub(super) fn applied(
    old: &Provider,
    changes: &Sent,
    config: &Config,
    scoped: bool,
) -> Result<Provider, ApiError> {
    let mut new = old.clone();
    let mut faults = Faults::default();
    if !is_provider_id(&new.spec.id) {
        faults.at(
            "providerId",
            "must be lowercase letters, digits, `-`, `_` and `.`, at most 63, a letter or digit first",
        );
    }
    changes.name.clone().apply(&mut new.meta.name);
    new.spec.display_name.clone_from(&new.meta.name);
    let description = changes.description.clone();
    description.apply(&mut new.meta.description);
    changes.metadata.clone().apply(&mut new.meta.metadata);
    changes.auth.clone().apply(&mut new.spec.auth);
    changes.vendor.clone().apply(&mut new.spec.vendor);
    changes.websocket.clone().apply(&mut new.spec.websocket);
    if let Some(url) = &changes.base_url {
        new.spec.base_url = Some(url.clone());
        new.public_only = scoped;
        if scoped && is_private(url) {
            faults.at(
                "baseUrl",
                "must be https to a public address: this API key acts for one account only",
            );
        }
    }
    match &changes.supported_api_surfaces {
        Patch::Absent => {}
        Patch::Null => new.surfaces = Vec::new(),
        Patch::Value(written) => new.surfaces = surfaces::read(written, &old.surfaces, &mut faults),
    }
    let offered = new.surfaces.iter().map(|one| one.surface.clone()).collect();
    new.spec.surfaces = Some(offered).filter(|offered: &Vec<_>| !offered.is_empty());
    match &changes.models {
        Patch::Absent => {}
        Patch::Null => models::replace(&mut new, &[], &mut faults),
        Patch::Value(written) => models::replace(&mut new, written, &mut faults),
    }
    let laid = config.catalog.made(&new.spec.laid());
    for fault in laid.err().into_iter().flatten() {
        faults.at(field(&fault.path), fault.message);
    }
    faults.none()?;
    Ok(new)
}

/// A provider as clients see it.
pub(super) fn own(provider: &Provider, context: &Context) -> Own {
    let spec = &provider.spec;
    Own {
        provider_id: spec.id.clone(),
        base_url: spec.base_url.clone().unwrap_or_default(),
        supported_api_surfaces: surfaces::shown(&provider.surfaces),
        models: models::shown(provider, &context.state.catalog()),
        auth: spec.auth.clone(),
        vendor: spec.vendor.clone(),
        websocket: spec.websocket,
        account_id: context.other_account(&provider.meta),
    }
}

/// Whether a base URL cannot be on the public internet: plain http is spoken on our own network only.
fn is_private(url: &str) -> bool {
    BaseUrl::parse(url).is_ok_and(|url| {
        !url.tls || url.address().is_some_and(|ip| !is_public(ip)) || is_private_name(&url.host)
    })
}

/// Whether a base URL is plain http to a name that may stand for anything.
pub(super) fn is_doubtful(url: &str) -> bool {
    BaseUrl::parse(url)
        .is_ok_and(|url| !url.tls && url.address().is_none() && !is_private_name(&url.host))
}

/// What the catalog calls `providers[0].models[1].max_output_tokens` is `models.1.maxOutputTokens` in a body.
fn field(path: &str) -> String {
    let path = path.split_once('.').map_or("", |(_, rest)| rest);
    let path = path.replace('[', ".").replace(']', "");
    let of_model = path.starts_with("models.");
    let names: Vec<String> = path
        .split('.')
        .map(|name| match name {
            "id" if of_model => "modelId".to_owned(),
            "" | "id" => "providerId".to_owned(),
            "surfaces" => "supportedApiSurfaces".to_owned(),
            name => camel(name),
        })
        .collect();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_the_catalog_are_fields_of_the_body() {
        for (path, want) in [
            ("providers[0]", "providerId"),
            ("providers[0].id", "providerId"),
            ("providers[0].base_url", "baseUrl"),
            ("providers[0].surfaces[1]", "supportedApiSurfaces.1"),
            ("providers[0].models[12].id", "models.12.modelId"),
            ("providers[0].models[0].aliases[3]", "models.0.aliases.3"),
            (
                "providers[0].models[0].max_output_tokens",
                "models.0.maxOutputTokens",
            ),
        ] {
            assert_eq!(field(path), want, "{path}");
        }
    }

    #[test]
    fn plain_http_to_any_name_is_doubtful() {
        for (url, doubtful) in [
            ("https://llm.example", false),
            ("http://llm.example", true),
            ("http://vllm:8000/v1", false),
            ("http://vllm.internal", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_doubtful(url), doubtful, "{url}");
        }
    }
}
