//! What a path asks for, and what is answered without a provider.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora_http::RequestHeader;
use serde_json::json;

use super::aside::Aside;
use super::context::Caller;
use super::{cors, count, names};
use tollgate_config::access::{AccessKey, Snapshot};
use tollgate_config::catalog::{Model, Provider};
use tollgate_ledger::KeyKind;
use tollgate_wire::models;
use tollgate_wire::models::{Listed, Page};
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::beside_text;
use tollgate_wire::{Dialect, Endpoint, GatewayError};

/// Where a request goes.
pub enum Destination {
    /// A provider's endpoint.
    Provider(Endpoint),
    /// `GET /v1/models`, or with an id `GET /v1/models/{id}`.
    Models(ModelsQuery),
}

/// What of the model list is asked for.
pub enum ModelsQuery {
    /// A page of it.
    List(String),
    /// One.
    One(String),
}

/// Returns whose errors and lists the client reads: the path says, and on `/v1/models` the `anthropic-version` header.
pub fn dialect(head: &RequestHeader) -> Dialect {
    match Endpoint::of_path(head.uri.path()) {
        Some(endpoint) => endpoint.surface().dialect(),
        None if head.headers.contains_key(&names::ANTHROPIC_VERSION) => Dialect::Anthropic,
        None => Dialect::OpenAi,
    }
}

/// Returns where the request goes, by path and method.
pub fn destination(head: &RequestHeader) -> Result<Destination, GatewayError> {
    let path = head.uri.path();
    if let Some(endpoint) = Endpoint::of_path(path) {
        return match head.method {
            Method::POST => Ok(Destination::Provider(endpoint)),
            // One that is served is not seen here. Codex falls back to POST at this very status.
            Method::GET if head.headers.contains_key(header::UPGRADE) => {
                Err(GatewayError::upgrade_required())
            }
            _ => Err(GatewayError::method_not_allowed("POST")),
        };
    }
    let query = match path {
        "/v1/models" => ModelsQuery::List(head.uri.query().unwrap_or_default().to_owned()),
        _ => ModelsQuery::One(models::id_of_path(path).ok_or_else(GatewayError::unknown_path)?),
    };
    match head.method {
        Method::GET | Method::HEAD => Ok(Destination::Models(query)),
        _ => Err(GatewayError::method_not_allowed("GET")),
    }
}

/// Returns what may be asked of the gateway as a whole (`OPTIONS *`; RFC 9110, 9.3.7).
pub fn options(head: &RequestHeader) -> Option<cors::Headers> {
    let asked = head.method == Method::OPTIONS && head.raw_path() == b"*";
    let methods = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
    asked.then(|| vec![(header::ALLOW, methods)])
}

/// Returns our own count of a prompt's tokens, for models whose providers do not count: of its texts, and of its
/// pictures, documents and tools as the vendors document them.
pub async fn count(
    aside: &Aside,
    model: &Arc<str>,
    body: &RequestBody,
) -> Result<Bytes, GatewayError> {
    let (of, bytes) = (model.clone(), body.bytes().clone());
    let beside = aside.run(move || beside_text(&of, &bytes)).await;
    let counted = count::prompt(aside, model, body, u64::MAX).await;
    let (Ok(beside), Ok(counted)) = (beside, counted) else {
        return Err(GatewayError::internal());
    };
    let tokens = counted.saturating_add(beside);
    Ok(json!({ "input_tokens": tokens }).to_string().into())
}

/// One line of the list: the id a client sends, and what it names.
struct Row<'a> {
    id: Cow<'a, str>,
    provider: &'a Provider,
    model: &'a Model,
}

impl Row<'_> {
    fn listed(&self) -> Listed<'_> {
        Listed {
            id: &self.id,
            provider: &self.provider.id,
            display_name: &self.model.display_name,
            context_window: self.model.context_window,
            max_output_tokens: self.model.max_output_tokens,
        }
    }
}

/// Returns the models that the caller may call, in the client's dialect.
pub fn models(
    caller: &Caller,
    dialect: Dialect,
    query: &ModelsQuery,
) -> Result<Bytes, GatewayError> {
    let rows = callable(&caller.snapshot, &caller.key);
    match query {
        ModelsQuery::List(query) => Ok(match dialect {
            Dialect::OpenAi => models::openai_list(rows.iter().map(Row::listed)),
            Dialect::Anthropic => {
                models::anthropic_list(rows.iter().map(Row::listed), &Page::of_query(query)?)?
            }
        }),
        ModelsQuery::One(id) => {
            let names = |row: &&Row<'_>| {
                let model = row.model;
                let here = id
                    .strip_prefix(&*row.provider.id)
                    .and_then(|rest| rest.strip_prefix([':', '/']));
                row.id.eq_ignore_ascii_case(id)
                    || (model.bare && model.has_alias(id))
                    || here
                        .is_some_and(|id| model.id.eq_ignore_ascii_case(id) || model.has_alias(id))
            };
            let row = rows
                .iter()
                .find(names)
                .ok_or_else(|| GatewayError::model_not_listed(id))?;
            Ok(match dialect {
                Dialect::OpenAi => models::openai_one(row.listed()),
                Dialect::Anthropic => models::anthropic_one(row.listed()),
            })
        }
    }
}

/// What this key may call: allowed, and with a credential to serve it. A model is listed under its bare
/// id; if several providers have it, under the bare id for the first and `provider:model` for the others, as one that
/// has no bare id is.
fn callable<'a>(snapshot: &'a Snapshot, key: &AccessKey) -> Vec<Row<'a>> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for provider in snapshot.catalog.providers() {
        let has_key = |kind| {
            !snapshot
                .provider_keys(&provider.id, &key.account, kind)
                .is_empty()
        };
        if !has_key(KeyKind::User) && !has_key(KeyKind::Managed) {
            continue;
        }
        for model in &provider.models {
            if key
                .configuration
                .as_ref()
                .is_some_and(|c| !c.allows_model(&provider.id, &model.id))
            {
                continue;
            }
            let id = if model.bare && seen.insert(&*model.id) {
                Cow::Borrowed(&*model.id)
            } else {
                Cow::Owned(format!("{}:{}", provider.id, model.id))
            };
            rows.push(Row {
                id,
                provider,
                model,
            });
        }
    }
    rows
}
