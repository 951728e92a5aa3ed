//! From model ids to candidates: resolve, allow, find credentials, plan.

use std::sync::Arc;

use pingora_http::RequestHeader;

use super::context::Caller;
use super::conversation;
use super::names;
use tollgate_base::clock;
use tollgate_config::access::{AccessKey, Snapshot, Step};
use tollgate_config::catalog::{Provider, Resolved, Unknown};
use tollgate_failover::{Candidate, Class, Health, Selection, Target};
use tollgate_ledger::KeyKind;
use tollgate_wire::error::Code;
use tollgate_wire::request::RequestBody;
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// Returns the candidates for a parsed request, at least one.
pub fn plan(
    health: &Health,
    head: &RequestHeader,
    caller: &Caller,
    body: &RequestBody,
) -> Result<Vec<Candidate>, GatewayError> {
    let (snapshot, key, endpoint) = (&*caller.snapshot, &*caller.key, body.endpoint());
    let models = std::iter::once(body.model()).chain(body.fallbacks().iter().map(String::as_str));
    let mut resolved = Vec::with_capacity(1 + body.fallbacks().len());
    for (index, requested) in models.enumerate() {
        for found in allowed(snapshot, key, requested)? {
            resolved.push((index, requested, found));
        }
    }

    let mut targets = Vec::with_capacity(resolved.len());
    let mut lacking_key = None;
    let mut lacking_surface = None;
    for (index, requested, found) in &resolved {
        let mut served_by = endpoint.served_by().iter().copied();
        let Some(surface) = served_by.find(|surface| found.offers(*surface)) else {
            lacking_surface.get_or_insert((*requested, found));
            continue;
        };
        let target = target(snapshot, key, *index, found, surface);
        if target.user_keys.is_empty() && target.managed_keys.is_empty() {
            lacking_key.get_or_insert(found);
            continue;
        }
        targets.push(target);
    }

    let now = clock::now();
    let class = Class::from(endpoint);
    let cooling = |candidate: &Candidate| health.cooling(candidate, &key.account, class, now);
    let failover = failover_wanted(snapshot, key, head);
    let selection = Selection {
        otherwise: snapshot.config.key_selection,
        session: &conversation::once(head, caller, body),
    };
    let candidates = tollgate_failover::plan(&targets, &selection, cooling, now, failover);
    if !candidates.is_empty() {
        return Ok(candidates);
    }
    let lacking_key = lacking_key.or(targets_without_keys(&targets, &resolved));
    Err(match (lacking_key, lacking_surface) {
        (Some(found), _) => GatewayError::provider_key_missing(&found.provider.id),
        (None, Some((requested, found))) => {
            let (provider, offered) = (&found.provider.id, found.surfaces());
            GatewayError::surface_unavailable(requested, provider, endpoint.surface(), offered)
        }
        (None, None) => GatewayError::internal(),
    })
}

/// Returns the model, as its provider knows it, whose tokens are to be counted and whose provider has no endpoint for
/// that: one that messages are translated for. `refused` is why none of its providers can be asked to count: where one
/// that has the endpoint has no key, another must have one, or messages would be refused as well.
pub fn countable(caller: &Caller, body: &RequestBody, refused: Code) -> Option<Arc<str>> {
    if body.endpoint() != Endpoint::CountTokens {
        return None;
    }
    let (snapshot, key) = (&*caller.snapshot, &*caller.key);
    let found = allowed(snapshot, key, body.model()).ok()?;
    let translated = |found: &&Resolved| {
        let mut served_by = Surface::Messages.served_by().iter();
        !found.offers(Surface::Messages) && served_by.any(|surface| found.offers(*surface))
    };
    let has_key = |found: &&Resolved| {
        let keys = |kind| snapshot.provider_keys(&found.provider.id, &key.account, kind);
        !keys(KeyKind::User).is_empty() || !keys(KeyKind::Managed).is_empty()
    };
    let found = match refused {
        Code::ProviderKeyMissing => found
            .iter()
            .find(|found| translated(found) && has_key(found)),
        Code::SurfaceUnavailable => found.iter().find(translated),
        _ => None,
    };
    found.map(|found| found.upstream_id.clone())
}

/// A routing rule can name keys that this account does not have.
fn targets_without_keys<'a>(
    targets: &[Target<'_>],
    resolved: &'a [(usize, &str, Resolved)],
) -> Option<&'a Resolved> {
    let target = targets.first()?;
    resolved
        .iter()
        .map(|(_, _, found)| found)
        .find(|found| found.provider.id == target.provider.id)
}

/// What `requested` may be served by; a model that is not allowed is refused before anything goes upstream.
fn allowed(
    snapshot: &Snapshot,
    key: &AccessKey,
    requested: &str,
) -> Result<Vec<Resolved>, GatewayError> {
    let mut found = snapshot
        .catalog
        .resolve_among(requested, |provider| may_name(snapshot, key, provider))
        .map_err(|unknown| match &unknown {
            Unknown::Model { nearest } => GatewayError::model_unknown(requested, nearest),
            Unknown::NotPassedThrough { provider, nearest } => {
                GatewayError::model_not_passed_through(requested, provider, nearest)
            }
        })?;
    let Some(configuration) = &key.configuration else {
        return Ok(found);
    };
    let provider_refused = found
        .iter()
        .find(|f| !configuration.allows_provider(&f.provider.id))
        .map(|f| f.provider.id.clone());
    found.retain(|f| {
        let model = f.model.as_ref().map_or(&*f.upstream_id, |model| &*model.id);
        configuration.allows_provider(&f.provider.id)
            && configuration.allows_model(&f.provider.id, model)
    });
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match provider_refused {
        Some(provider) => GatewayError::provider_not_allowed(&provider, requested),
        None => GatewayError::model_not_allowed(requested),
    })
}

/// Whether the provider is the account's, or everybody's. One that another account made, and that has no managed key,
/// could serve nothing here, and its names must not stand in the way of others.
fn may_name(snapshot: &Snapshot, key: &AccessKey, provider: &Provider) -> bool {
    let own = |owner: &Arc<str>| *owner == key.account;
    let managed = || snapshot.provider_keys(&provider.id, &key.account, KeyKind::Managed);
    provider.owner.as_ref().is_none_or(own) || !managed().is_empty()
}

fn target<'a>(
    snapshot: &'a Snapshot,
    key: &'a AccessKey,
    index: usize,
    found: &'a Resolved,
    surface: Surface,
) -> Target<'a> {
    let provider = &found.provider;
    let keys = |kind| snapshot.provider_keys(&provider.id, &key.account, kind);
    let model = found
        .model
        .as_ref()
        .map_or(&*found.upstream_id, |model| &*model.id);
    let rule = key
        .configuration
        .as_ref()
        .and_then(|c| c.rule_for(&provider.id, model));
    Target {
        provider,
        model: found.model.as_ref(),
        upstream_model: &found.upstream_id,
        surface,
        model_index: index,
        user_keys: keys(KeyKind::User),
        managed_keys: keys(KeyKind::Managed),
        steps: rule.map(|rule| -> &[Step] { &rule.steps }),
    }
}

/// The configuration's switch, or else the global one; a request can only decline.
fn failover_wanted(snapshot: &Snapshot, key: &AccessKey, head: &RequestHeader) -> bool {
    let off = head
        .headers
        .get(&names::X_TOLLGATE_FAILOVER)
        .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"off"));
    let configured = key
        .configuration
        .as_ref()
        .and_then(|c| c.failover)
        .unwrap_or(snapshot.config.failover);
    configured && !off
}
