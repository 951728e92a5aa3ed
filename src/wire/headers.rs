//! Which headers cross the gateway: of a request only what its provider's API is known to read, of an answer only what
//! its client's SDK is known to read. Everything else stays here: it says who the caller is, where it calls from or
//! whose account is meant, or it is about a connection.
//!
//! Sources: the released SDKs and coding agents of OpenAI and Anthropic, recorded; the API references of OpenAI,
//! Anthropic, OpenRouter and xAI; the W3C's Trace Context.

use crate::{Dialect, Surface};
use http::{HeaderMap, HeaderName, header};

/// Whom a header of a request is for.
#[derive(Clone, Copy)]
enum For {
    /// Any provider.
    All,
    /// The vendor of this dialect, by the very API that was called: which version and which betas of it are meant.
    Api(Dialect),
    /// The vendor of this dialect, by any of its APIs: what its own clients send it.
    Vendor(Dialect),
    /// Whoever speaks the dialect that the client speaks.
    SameDialect,
}

/// Whom a header of a request is for; `None`: for nobody but this gateway, or nobody knows.
fn whom(name: &str) -> Option<For> {
    let (openai, anthropic) = (Dialect::OpenAi, Dialect::Anthropic);
    Some(match name {
        "accept"
        | "content-type"
        | "idempotency-key"
        | "traceparent"
        | "tracestate"
        | "user-agent"
        | "x-client-request-id"
        | "x-session-affinity" => For::All,
        "openai-beta" => For::Api(openai),
        "x-app" => For::Vendor(anthropic),
        // Codex.
        "conversation-id" | "conversation_id" | "originator" | "session-id" | "session_id"
        | "thread-id" | "version" => For::Vendor(openai),
        // OpenRouter: whose application calls. xAI: whose conversation's cache to meet.
        "http-referer" | "x-title" | "x-grok-conv-id" => For::Vendor(openai),
        _ => {
            let (_, whom) = BEGINNINGS
                .iter()
                .find(|(beginning, _)| name.starts_with(beginning))?;
            *whom
        }
    })
}

/// The beginnings of many names.
const BEGINNINGS: [(&str, For); 6] = [
    ("x-stainless-", For::SameDialect),
    ("anthropic-", For::Api(Dialect::Anthropic)),
    ("x-claude-code-", For::Vendor(Dialect::Anthropic)),
    ("x-codex-", For::Vendor(Dialect::OpenAi)),
    ("x-openai-", For::Vendor(Dialect::OpenAi)),
    ("x-openrouter-", For::Vendor(Dialect::OpenAi)),
];

/// What is taken out of every request and worth no word: the client's credential, what belongs to its connection, and
/// what the gateway says itself.
fn is_own(name: &str) -> bool {
    matches!(
        name,
        "accept-encoding"
            | "api-key"
            | "authorization"
            | "connection"
            | "content-encoding"
            | "content-length"
            | "cookie"
            | "expect"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "x-api-key"
            | "x-request-id"
            | "x-tollgate-commit"
            | "x-tollgate-failover"
            | "x-tollgate-priority"
            | "x-tollgate-session"
            | "x-tollgate-stop-on"
            | "x-tollgate-tags"
    )
}

/// Returns the client's headers as its provider gets them, from the API that was called to the one that is. `forwarded`
/// are the names that the configuration lets through besides; one that ends in `-` is the beginning of many. What is
/// left out is handed to `left_out`.
pub fn asked(
    sent: &HeaderMap,
    (called, calls): (Surface, Surface),
    forwarded: &[String],
    room: usize,
    mut left_out: impl FnMut(&HeaderName),
) -> HeaderMap {
    let named: Vec<&[u8]> = sent
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let mut kept = HeaderMap::with_capacity(sent.len() + room);
    for (name, value) in sent {
        let text = name.as_str();
        if is_own(text) {
            continue;
        }
        let passes = match whom(text) {
            Some(For::All) => true,
            Some(For::Api(dialect)) => called == calls && calls.dialect() == dialect,
            Some(For::Vendor(dialect)) => called.dialect() == dialect && calls.dialect() == dialect,
            Some(For::SameDialect) => called.dialect() == calls.dialect(),
            None => false,
        };
        let is_named = || {
            let text = text.as_bytes();
            named.iter().any(|named| named.eq_ignore_ascii_case(text))
        };
        if (passes || forwarded.iter().any(|known| is(known, text))) && !is_named() {
            kept.append(name, value.clone());
        } else {
            left_out(name);
        }
    }
    kept
}

/// Returns whether the client sent a header that is let through for this provider's sake.
pub fn forwards(sent: &HeaderMap, forwarded: &[String]) -> bool {
    sent.keys()
        .any(|name| forwarded.iter().any(|known| is(known, name.as_str())))
}

fn is(known: &str, name: &str) -> bool {
    known == name || (known.ends_with('-') && name.starts_with(known))
}

/// Returns whether the client may read this header of a provider's answer; `own_key` is whether the key that was used
/// is its account's own, so that the provider's limits are.
pub fn may_return(name: &HeaderName, own_key: bool) -> bool {
    match name.as_str() {
        // No `content-encoding`: a body leaves as it would be without.
        "cache-control"
        | "content-language"
        | "content-length"
        | "content-type"
        | "openai-model"
        | "openai-processing-ms"
        | "openai-version"
        | "retry-after"
        | "retry-after-ms"
        | "transfer-encoding"
        | "x-codex-turn-state"
        | "x-models-etag"
        | "x-reasoning-included"
        | "x-should-retry" => true,
        name => own_key && LIMITS.iter().any(|beginning| name.starts_with(beginning)),
    }
}

/// What a provider says of a key's limits.
const LIMITS: [&str; 5] = [
    "anthropic-ratelimit-",
    "ratelimit",
    "x-codex-",
    "x-ratelimit-",
    "x-tokenlimit-",
];

#[cfg(test)]
mod tests;
