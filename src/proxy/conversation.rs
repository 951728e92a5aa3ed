//! Which conversation a request belongs to, so that its turns meet the prompt cache of the ones before.

use std::cell::OnceCell;

use http::{HeaderMap, HeaderName};
use pingora_http::RequestHeader;

use super::context::Caller;
use super::names;
use super::translation::CacheHints;
use tollgate_base::random;
use tollgate_failover::{Candidate, Session, SessionHasher};
use tollgate_wire::Endpoint;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tags::{SESSION, Tags, is_value};
use tollgate_wire::vendor::Vendor;

/// Headers in which agents name a conversation: Claude Code; Codex, new and old; OpenCode and others; xAI's clients.
static NAMED_BY: [HeaderName; 7] = [
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("session_id"),
    HeaderName::from_static("conversation-id"),
    HeaderName::from_static("conversation_id"),
    HeaderName::from_static("x-session-affinity"),
    HeaderName::from_static("x-grok-conv-id"),
];

/// Returns what tells the request's session, which is found out at the first call.
pub fn once<'a>(
    head: &'a RequestHeader,
    caller: &'a Caller,
    body: &'a RequestBody,
) -> impl Fn() -> Session + 'a {
    let found = OnceCell::new();
    move || *found.get_or_init(|| of(&head.headers, &caller.key.account, body))
}

/// Told by `x-tollgate-session`, else by `prompt_cache_key`, an agent's header or its `metadata.user_id`, else by what all
/// turns of a conversation begin with. What has no turns is alone. Of one account: no name means another one's session.
fn of(headers: &HeaderMap, account: &str, body: &RequestBody) -> Session {
    if let Some(name) = name(headers, body) {
        return Session::named(account, name);
    }
    let mut hasher = SessionHasher::of(account);
    match body.stable_prefix(&mut |piece| hasher.add(piece)) {
        true => hasher.session(),
        false => Session::alone(random::bits64()),
    }
}

/// What the client calls its session, if it says so.
fn name<'a>(headers: &'a HeaderMap, body: &'a RequestBody) -> Option<&'a [u8]> {
    let said = |name: &HeaderName| {
        let value = headers.get(name)?.as_bytes().trim_ascii();
        (!value.is_empty()).then_some(value)
    };
    said(&names::X_TOLLGATE_SESSION)
        .or_else(|| body.session_name())
        .or_else(|| NAMED_BY.iter().find_map(said))
}

/// Returns the request's tags, with its session if each has a budget: as the client calls it, where a tag may have that
/// value.
pub fn tags(headers: &HeaderMap, caller: &Caller, body: &RequestBody) -> Tags {
    let (key, tags) = (&caller.key, &caller.tags);
    let limited = key.configuration.as_ref();
    let limited = limited.is_some_and(|configuration| configuration.limits_sessions());
    let generates = matches!(body.endpoint(), Endpoint::Generate(_));
    if !limited || !generates || tags.get(SESSION).is_some() {
        return tags.clone();
    }
    let said = name(headers, body).and_then(|name| std::str::from_utf8(name).ok());
    match said.filter(|name| is_value(name)) {
        Some(name) => tags.with(SESSION, name),
        None => tags.with(SESSION, &of(headers, &key.account, body).to_string()),
    }
}

/// Returns what providers are told for the sake of their prompt caches, of a request that is translated for them.
pub fn hints(
    head: &RequestHeader,
    caller: &Caller,
    body: &RequestBody,
    planned: &[Candidate],
) -> CacheHints {
    let configuration = caller.key.configuration.as_ref();
    let configured = configuration.and_then(|configuration| configuration.cache_hints);
    let wanted = configured.unwrap_or(caller.snapshot.config.cache_hints);
    let called = body.endpoint().surface();
    let is_kept = |candidate: &Candidate| {
        candidate.surface != called && Vendor::rules(candidate.provider.vendor).cache_key
    };
    let session = wanted && planned.iter().any(is_kept);
    CacheHints {
        wanted,
        session: session.then(|| once(head, caller, body)()),
    }
}
