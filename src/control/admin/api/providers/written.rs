//! A custom provider as clients write it becomes one that the catalog takes.

use super::{Sent, models, surfaces};
use crate::admin::api::faults::Faults;
use crate::admin::error::ApiError;
use crate::admin::patch::Patch;
use crate::resource::Provider;
use tollgate_config::catalog::{BaseUrl, is_public};
use tollgate_config::{Config, is_private_name, is_provider_id};

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

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut all = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        all.push_str(&first.to_ascii_uppercase());
        all.push_str(rest);
    }
    all
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
