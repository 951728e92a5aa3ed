//! From model ids to candidates: resolve, allow, find credentials, plan.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use pingora_http::RequestHeader;

use super::context::Caller;
use super::conversation;
use super::names;
use super::quota::Asking;
use super::shared::Shared;
use tollgate_base::clock;
use tollgate_config::access::{AccessKey, Configuration, Snapshot, Step};
use tollgate_config::catalog::{Provider, Resolved, Unknown};
use tollgate_failover::{Candidate, Selection, Session, Target, Wait};
use tollgate_ledger::KeyKind;
use tollgate_wire::error::Code;
use tollgate_wire::request::RequestBody;
use tollgate_wire::{Endpoint, GatewayError, Surface};

/// Who asks for what: what a plan is made of besides the models.
pub struct Wanted<'a> {
    /// What holds for the request.
    pub snapshot: &'a Snapshot,
    /// Who sends it.
    pub key: &'a AccessKey,
    /// What is called.
    pub endpoint: Endpoint,
    /// Whether a failed candidate is followed by the next one.
    pub failover: bool,
    /// The session that it belongs to; asked for where it decides which key is first.
    pub session: &'a dyn Fn() -> Session,
    /// Why a candidate had better be left alone by it, and until when; asked for in order.
    pub wait: &'a dyn Fn(&Candidate) -> Option<Wait>,
}

/// Returns the candidates for a parsed request, at least one.
pub fn plan(
    shared: &Shared,
    head: &RequestHeader,
    caller: &Caller,
    body: &RequestBody,
) -> Result<Vec<Candidate>, GatewayError> {
    let (snapshot, key) = (&*caller.snapshot, &*caller.key);
    let asking = Asking {
        shared,
        caller,
        body,
    };
    let now = clock::now();
    let (spared, found) = (RefCell::new(Vec::new()), Cell::new(false));
    let wait = |candidate: &Candidate| {
        let wait = asking.wait(candidate, now);
        match wait {
            None => found.set(true),
            Some(Wait::Quota(_)) if !found.get() => spared.borrow_mut().push(candidate.clone()),
            Some(_) => {}
        }
        wait
    };
    let wanted = Wanted {
        snapshot,
        key,
        endpoint: body.endpoint(),
        failover: failover(snapshot, key) && !declines_failover(head),
        session: &conversation::once(head, caller, body),
        wait: &wait,
    };
    let models = std::iter::once(body.model()).chain(body.fallbacks().iter().map(String::as_str));
    let candidates = planned(&wanted, models)?;
    if found.get() {
        let spared = spared.borrow();
        spared
            .iter()
            .for_each(|candidate| asking.avoided(candidate));
    }
    Ok(candidates)
}

/// Returns the candidates for these models, at least one.
pub fn planned<'m>(
    wanted: &Wanted<'_>,
    models: impl Iterator<Item = &'m str>,
) -> Result<Vec<Candidate>, GatewayError> {
    let (key, endpoint) = (wanted.key, wanted.endpoint);
    let mut resolved = Vec::with_capacity(models.size_hint().0);
    for (index, requested) in models.enumerate() {
        for found in allowed(wanted.snapshot, key, requested)? {
            resolved.push((index, requested, found));
        }
    }

    let mut targets = Vec::with_capacity(resolved.len());
    let mut lacking_key = None;
    let mut lacking_surface = None;
    for (index, requested, found) in &resolved {
        let Some(target) = wanted.target(*index, found) else {
            lacking_surface.get_or_insert((*requested, found));
            continue;
        };
        if target.user_keys.is_empty() && target.managed_keys.is_empty() {
            lacking_key.get_or_insert(found);
            continue;
        }
        targets.push(target);
    }

    let (now, wait) = (clock::now(), wanted.wait);
    let selection = Selection {
        otherwise: wanted.snapshot.config.key_selection,
        session: wanted.session,
    };
    let candidates = tollgate_failover::plan(&targets, &selection, wait, now, wanted.failover);
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
    let mut found = named(snapshot, key, requested).map_err(|unknown| match &unknown {
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
    found.retain(|f| allows(Some(configuration), f));
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match provider_refused {
        Some(provider) => GatewayError::provider_not_allowed(&provider, requested),
        None => GatewayError::model_not_allowed(requested),
    })
}

/// Returns whether a configuration, if there is one, allows what a model id was resolved to.
pub fn allows(configuration: Option<&Configuration>, found: &Resolved) -> bool {
    let id = model_id(found);
    configuration.is_none_or(|configuration| configuration.allows_model(&found.provider.id, id))
}

/// The model as allow lists and rules name it.
fn model_id(found: &Resolved) -> &str {
    let known = found.model.as_ref();
    known.map_or(&*found.upstream_id, |model| &*model.id)
}

/// What a model id names for this key, whether it is allowed or not.
fn named(snapshot: &Snapshot, key: &AccessKey, requested: &str) -> Result<Vec<Resolved>, Unknown> {
    let may = |provider: &Provider| may_name(snapshot, key, provider);
    snapshot.catalog.resolve_among(requested, may)
}

/// Whether the provider is the account's, or everybody's. One that another account made, and that has no managed key,
/// could serve nothing here, and its names must not stand in the way of others.
fn may_name(snapshot: &Snapshot, key: &AccessKey, provider: &Provider) -> bool {
    let own = |owner: &Arc<str>| *owner == key.account;
    let managed = || snapshot.provider_keys(&provider.id, &key.account, KeyKind::Managed);
    provider.owner.as_ref().is_none_or(own) || !managed().is_empty()
}

impl<'a> Wanted<'a> {
    /// Returns what a model id names for this key, whether it is allowed or not.
    pub fn named(&self, requested: &str) -> Result<Vec<Resolved>, Unknown> {
        named(self.snapshot, self.key, requested)
    }

    /// Returns what was resolved, with the keys that may serve it; `None` if it is not offered on the API that is called.
    pub fn target(&self, index: usize, found: &'a Resolved) -> Option<Target<'a>> {
        let mut served_by = self.endpoint.served_by().iter().copied();
        let surface = served_by.find(|surface| found.offers(*surface))?;
        let provider = &found.provider;
        let keys = |kind| {
            let account = &self.key.account;
            self.snapshot.provider_keys(&provider.id, account, kind)
        };
        let configuration = self.key.configuration.as_ref();
        let rule = configuration.and_then(|c| c.rule_for(&provider.id, model_id(found)));
        Some(Target {
            provider,
            model: found.model.as_ref(),
            upstream_model: &found.upstream_id,
            surface,
            model_index: index,
            user_keys: keys(KeyKind::User),
            managed_keys: keys(KeyKind::Managed),
            steps: rule.map(|rule| -> &[Step] { &rule.steps }),
        })
    }
}

/// Returns whether a failed candidate is followed by the next one, unless the request declines: the configuration's switch, or
/// else the global one.
pub fn failover(snapshot: &Snapshot, key: &AccessKey) -> bool {
    let configuration = key.configuration.as_ref();
    configuration
        .and_then(|configuration| configuration.failover)
        .unwrap_or(snapshot.config.failover)
}

fn declines_failover(head: &RequestHeader) -> bool {
    let asked = head.headers.get(&names::X_TOLLGATE_FAILOVER);
    asked.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"off"))
}
