//! One provider of the YAML: changes to a built-in one, or a custom one.

use std::path::Path;
use std::sync::Arc;

use super::{Faults, added_parameters, deduplicated, models};
use crate::catalog::BaseUrl;
use crate::catalog::Catalog;
use crate::catalog::Model;
use crate::catalog::Provider;
use crate::catalog::{forbidden_address, plain_http_allowed};
use crate::yaml::nearest::did_you_mean;
use crate::yaml::types;
use tollgate_wire::Surface;

/// Headers that frame a message or belong to one connection: the gateway's own business.
const FRAMING: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that carry a credential: `keys` and `auth` are for those, and the client's own never
/// reaches a provider.
const CREDENTIALS: [&str; 5] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
];

/// The provider that `declared` makes; `None`, with faults, if it makes none.
pub(super) fn lay(
    catalog: &Catalog,
    declared: &types::Provider,
    path: &str,
    read_file: &impl Fn(&Path) -> Result<String, String>,
    faults: &mut Faults,
) -> Option<Provider> {
    let known = catalog.provider(&declared.id).map(Arc::as_ref);
    if known.is_none() {
        check_id(&declared.id, path, faults);
    }
    let base_url = base_url(catalog, declared, known, path, faults);
    let surfaces = surfaces(declared, known, path, faults);
    let mut about = |field: &str, surface: Surface, is_set: bool| {
        if is_set && !surfaces.contains(&surface) {
            let name = surface.name();
            let message =
                format!("it is about `{name}`, which is not among the provider's surfaces");
            faults.at(format!("{path}.{field}"), message);
        }
        is_set
    };
    let extended = declared.chat_extensions;
    let extended = extended.unwrap_or_else(|| known.is_some_and(|known| known.chat_extensions));
    let chat_extensions = about("chat_extensions", Surface::ChatCompletions, extended);
    let spoken = declared.websocket;
    let spoken = spoken.unwrap_or_else(|| known.is_some_and(|known| known.websocket));
    let websocket = about("websocket", Surface::Responses, spoken);
    let headers = headers(declared, known, path, faults);
    let forward_headers = forward_headers(declared, known, path, faults);
    let ca = match &declared.ca {
        Some(file) => certificates(file, path, read_file, faults),
        None => known.and_then(|known| known.ca.clone()),
    };
    let parameters = known.map_or(&[][..], |known| &known.unsupported_parameters);
    let parameters = added_parameters(parameters, &declared.unsupported_parameters, path, faults);
    let mut models: Vec<Model> = known.map_or_else(Vec::new, |known| {
        let models = known.models.iter();
        let moved = models.map(|model| moved(model, &known.surfaces, &surfaces));
        moved.collect()
    });
    let id = known.map_or_else(|| Arc::from(declared.id.as_str()), |known| known.id.clone());
    let price = |added: &mut Model| catalog.feeds().lay(&id, &added.id, &mut added.prices);
    models::lay(
        &mut models,
        &declared.models,
        &surfaces,
        path,
        price,
        faults,
    );
    Some(Provider {
        id,
        display_name: match (&declared.display_name, known) {
            (Some(name), _) => name.as_str().into(),
            (None, Some(known)) => known.display_name.clone(),
            (None, None) => declared.id.as_str().into(),
        },
        base_url: base_url?,
        auth: declared
            .auth
            .clone()
            .or_else(|| known.and_then(|known| known.auth.clone())),
        surfaces,
        headers,
        forward_headers,
        error_rules: declared.error_rules.clone(),
        ca,
        passthrough: declared
            .passthrough
            .unwrap_or_else(|| known.is_none_or(|known| known.passthrough)),
        vendor: declared
            .vendor
            .or_else(|| known.and_then(|known| known.vendor)),
        chat_extensions,
        websocket,
        unsupported_parameters: parameters,
        supported_parameters: known
            .map_or_else(Vec::new, |known| known.supported_parameters.clone()),
        public_only: false,
        owner: None,
        timeouts: declared
            .timeouts
            .overrides()
            .over(known.map_or_else(Default::default, |known| known.timeouts)),
        built_in: known.is_some_and(|known| known.built_in),
        managed_keys_possible: known.is_none_or(|known| known.managed_keys_possible),
        models: models.into_iter().map(Arc::new).collect(),
    })
}

fn check_id(id: &str, path: &str, faults: &mut Faults) {
    if !is_provider_id(id) {
        let message = format!(
            "`{id}` cannot be a provider's id; use lowercase letters, digits, `-`, `_` and `.`; `/` and `:` separate models"
        );
        faults.at(format!("{path}.id"), message);
    }
}

/// Returns whether it can be a custom provider's id: what stands before the first `:` or `/` of a model's.
pub fn is_provider_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    id.len() <= 63
        && id.bytes().next().is_some_and(plain)
        && id
            .bytes()
            .all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
}

fn base_url(
    catalog: &Catalog,
    declared: &types::Provider,
    known: Option<&Provider>,
    path: &str,
    faults: &mut Faults,
) -> Option<BaseUrl> {
    let place = format!("{path}.base_url");
    let Some(text) = &declared.base_url else {
        if known.is_none() {
            let ids = catalog.providers().iter().map(|known| &*known.id);
            let hint = did_you_mean(&declared.id, ids);
            let hint = hint.unwrap_or_else(|| "add `base_url`".to_owned());
            let message = format!(
                "`{}` is not built in, and has no `base_url`; {hint}",
                declared.id
            );
            faults.at(path, message);
        }
        return known.map(|known| known.base_url.clone());
    };
    let url = match BaseUrl::parse(text) {
        Ok(url) => url,
        Err(message) => {
            faults.at(place, message);
            return None;
        }
    };
    // A name is judged once it is resolved; an address can be judged now.
    if let Some(address) = url.address() {
        if let Some(reason) = forbidden_address(address) {
            faults.at(place, format!("{address} must not be called: {reason}"));
        } else if !url.tls && !plain_http_allowed(address) {
            faults.at(
                place,
                format!("{address} is neither loopback nor private, so it needs https"),
            );
        }
    }
    Some(url)
}

fn surfaces(
    declared: &types::Provider,
    known: Option<&Provider>,
    path: &str,
    faults: &mut Faults,
) -> Vec<Surface> {
    match (&declared.surfaces, known) {
        (Some(surfaces), _) => {
            if surfaces.is_empty() {
                faults.at(
                    format!("{path}.surfaces"),
                    "a provider without a surface cannot be called",
                );
            }
            deduplicated(surfaces)
        }
        (None, Some(known)) => known.surfaces.clone(),
        (None, None) => vec![Surface::ChatCompletions],
    }
}

/// A known model after its provider's surfaces changed: never more than the provider's, and a model that was
/// offered on every conversational surface stays so.
fn moved(model: &Model, before: &[Surface], after: &[Surface]) -> Model {
    let talks = |surface: &Surface| {
        matches!(
            surface,
            Surface::ChatCompletions | Surface::Responses | Surface::Messages
        )
    };
    let mut model = model.clone();
    if let Some(own) = &mut model.surfaces {
        let everywhere = own.iter().any(talks)
            && before
                .iter()
                .filter(|surface| talks(surface))
                .all(|surface| own.contains(surface));
        own.retain(|surface| after.contains(surface));
        for surface in after {
            if everywhere && talks(surface) && !own.contains(surface) {
                own.push(*surface);
            }
        }
    }
    model
}

fn headers(
    declared: &types::Provider,
    known: Option<&Provider>,
    path: &str,
    faults: &mut Faults,
) -> Vec<(String, String)> {
    let mut headers = known.map_or_else(Vec::new, |known| known.headers.clone());
    for (name, value) in &declared.headers {
        let place = format!("{path}.headers.{name}");
        let lower = name.to_ascii_lowercase();
        if CREDENTIALS.contains(&lower.as_str()) {
            let message = "a credential does not belong among the headers; put the credential under `keys`; `auth` says how it travels";
            faults.at(place, message);
        } else if FRAMING.contains(&lower.as_str()) {
            faults.at(place, "the gateway writes this header itself; remove it");
        } else if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
            faults.at(place, "this is not a header's name");
        } else if http::HeaderValue::from_str(value).is_err() {
            // The value may be a credential: it is not repeated.
            faults.at(place, "this is not a header's value");
        } else {
            headers.retain(|(other, _)| *other != lower);
            headers.push((lower, value.clone()));
        }
    }
    headers
}

fn forward_headers(
    declared: &types::Provider,
    known: Option<&Provider>,
    path: &str,
    faults: &mut Faults,
) -> Vec<String> {
    let mut names = known.map_or_else(Vec::new, |known| known.forward_headers.clone());
    for (number, name) in declared.forward_headers.iter().enumerate() {
        let place = format!("{path}.forward_headers[{number}]");
        let lower = name.to_ascii_lowercase();
        if http::HeaderName::from_bytes(lower.as_bytes()).is_err() || lower == "-" {
            faults.at(
                place,
                format!("`{name}` is neither a header's name nor the beginning of names, as `x-team-` is"),
            );
        } else if FRAMING.contains(&lower.as_str()) || CREDENTIALS.contains(&lower.as_str()) {
            faults.at(
                place,
                format!("`{name}` is never forwarded, since the gateway sets it itself: remove it"),
            );
        } else if !names.contains(&lower) {
            names.push(lower);
        }
    }
    names
}

fn certificates(
    file: &Path,
    path: &str,
    read_file: &impl Fn(&Path) -> Result<String, String>,
    faults: &mut Faults,
) -> Option<Arc<str>> {
    match read_file(file) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return Some(Arc::from(text)),
        Ok(_) => faults.at(
            format!("{path}.ca"),
            format!("{} holds no PEM certificate", file.display()),
        ),
        Err(message) => faults.at(format!("{path}.ca"), message),
    }
    None
}
