//! The attempt's request as it leaves: the client's, less what is ours or the connection's, plus the
//! candidate's address and credential.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, header};
use pingora_core::protocols::http::compression::ResponseCompressionCtx;
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::context::{Attempt, Context};
use super::flight::ended_by_gateway;
use super::names;
use tollgate_config::catalog::Auth;
use tollgate_wire::Surface;

/// What a provider that is called without a version gets: the one every Anthropic API serves.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Headers that we add at most, besides configured ones.
const OURS: usize = 6;

/// The client's credential, what belongs to its connection, and what we say ourselves.
fn is_dropped(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "x-api-key"
            | "api-key"
            | "cookie"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "expect"
            | "content-encoding"
            | "x-tollgate-failover"
            | "forwarded"
    )
}

/// How far a header stays behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// It says which version and which betas of an API are meant.
    WithTheApi,
    /// It says whose account it is, or what the vendor's own client is doing.
    WithTheVendor,
}

/// What is about the client's API or its vendor; a name that ends in `-` is the beginning of many.
const LEFT_BEHIND: [(&str, Leaves); 10] = [
    ("anthropic-", Leaves::WithTheApi),
    ("openai-beta", Leaves::WithTheApi),
    ("openai-", Leaves::WithTheVendor),
    ("x-openai-", Leaves::WithTheVendor),
    ("x-codex-", Leaves::WithTheVendor),
    ("x-claude-code-", Leaves::WithTheVendor),
    ("x-stainless-", Leaves::WithTheVendor),
    ("originator", Leaves::WithTheVendor),
    ("chatgpt-account-id", Leaves::WithTheVendor),
    ("x-app", Leaves::WithTheVendor),
];

/// Pingora's `upstream_request_filter`.
///
/// The head is made anew, which costs less than changing the client's in place, and without the client's
/// spelling of the names: HTTP/2 has none, and HTTP/1 asks for none.
pub fn head(session: &mut Session, head: &mut RequestHeader, ctx: &mut Context) -> Result<()> {
    let (Some(planned), Some(attempt), Some(called)) =
        (&ctx.planned, &mut ctx.attempt, ctx.endpoint)
    else {
        return Err(ended_by_gateway());
    };
    attempt.http2 = head.version == Version::HTTP_2;
    let candidate = &planned.candidates[attempt.candidate];
    let provider = &candidate.provider;
    let endpoint = attempt.endpoint;
    let crosses = endpoint != called;

    let mut headers = kept(&head.headers);
    if crosses {
        leave_behind(&mut headers, called.surface(), endpoint.surface());
    }
    headers.insert(header::HOST, value(&provider.base_url.authority)?);
    headers.insert(header::CONTENT_LENGTH, attempt.body.len().into());
    // The tap reads the answer; a compressed one would be opaque to it.
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    headers.insert(&names::X_REQUEST_ID, value(&ctx.request_id)?);
    authorize(
        &mut headers,
        &provider.auth_on(endpoint.surface()),
        candidate.key.value.expose(),
    )?;
    if endpoint.surface() == Surface::Messages {
        headers
            .entry(&names::ANTHROPIC_VERSION)
            .or_insert(ANTHROPIC_VERSION);
    }
    for (name, text) in &provider.headers {
        let name = HeaderName::try_from(name.as_str())
            .or_err(ErrorType::InvalidHTTPHeader, "a provider's header name")?;
        headers.insert(name, value(text)?);
    }
    // A query is about the API that the client called.
    let query = head.uri.query().filter(|_| !crosses);
    let target = provider.base_url.join(endpoint.upstream_path(), query);
    let uri = Uri::try_from(target).or_err(
        ErrorType::InvalidHTTPHeader,
        "the base URL and the client's query do not join",
    )?;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = head.method.clone();
    parts.version = head.version;
    parts.uri = uri;
    parts.headers = headers;
    *head = parts.into();
    // Pingora would read the `accept-encoding` that was just written: see `body`.
    session.upstream_compression = ResponseCompressionCtx::new(0, false, false);
    Ok(())
}

/// Pingora's `request_body_filter`: every attempt has its own body.
pub fn body(session: &mut Session, body: &mut Option<Bytes>, attempt: Option<&Attempt>) {
    if let Some(attempt) = attempt {
        *body = Some(attempt.body.clone());
    }
    // A provider that compresses all the same is undone before the tap. The head has left, and the answer
    // is not there before a body was sent.
    session.upstream_compression = ResponseCompressionCtx::new(0, true, false);
}

/// The client's headers, less what is not for a provider and what `Connection` says is for the client's
/// connection only.
fn kept(sent: &HeaderMap) -> HeaderMap {
    let named: Vec<&[u8]> = sent
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let is_named = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        named.iter().any(|named| named.eq_ignore_ascii_case(name))
    };
    let mut kept = HeaderMap::with_capacity(sent.len() + OURS);
    for (name, value) in sent {
        if !is_dropped(name) && !is_named(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Takes out what is about the client's API when another one is called, and what is about its vendor when it is
/// another vendor's.
fn leave_behind(headers: &mut HeaderMap, called: Surface, calls: Surface) {
    let other_vendor = called.dialect() != calls.dialect();
    let about: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            LEFT_BEHIND.iter().any(|(about, leaves)| {
                let is_about = name == *about || (about.ends_with('-') && name.starts_with(about));
                is_about && (other_vendor || *leaves == Leaves::WithTheApi)
            })
        })
        .cloned()
        .collect();
    for name in about {
        headers.remove(name);
    }
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).or_err(
        ErrorType::InvalidHTTPHeader,
        "a configured value has characters that no header may have",
    )
}

fn authorize(headers: &mut HeaderMap, auth: &Auth, key: &str) -> Result<()> {
    let (name, text) = match auth {
        Auth::Bearer => (&header::AUTHORIZATION, ["Bearer ", key].concat()),
        Auth::XApiKey => (&names::X_API_KEY, key.to_owned()),
        Auth::ApiKey => (&names::API_KEY, key.to_owned()),
        Auth::None => return Ok(()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        Error::explain(
            ErrorType::InvalidHTTPHeader,
            "the provider key has characters that no header may have",
        )
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_connections_or_the_callers_own_stays_here() {
        let mut sent = HeaderMap::new();
        for (name, value) in [
            ("host", "gateway"),
            ("content-type", "application/json"),
            ("authorization", "Bearer tg-key"),
            ("x-api-key", "tg-key"),
            ("connection", "keep-alive, X-Hop"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
            ("proxy-authenticate", "Basic"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("openai-beta", "a"),
            ("openai-beta", "b"),
        ] {
            sent.append(name, HeaderValue::from_static(value));
        }
        let kept = kept(&sent);
        let kept: Vec<_> = kept
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(
            kept,
            [
                ("host", b"gateway".as_slice()),
                ("content-type", b"application/json"),
                ("openai-beta", b"a"),
                ("openai-beta", b"b"),
            ]
        );
    }

    #[test]
    fn what_is_about_the_clients_api_stays_behind_when_it_crosses() {
        let cross = |called, calls| {
            let mut headers = HeaderMap::new();
            for name in [
                "anthropic-version",
                "anthropic-beta",
                "openai-beta",
                "openai-organization",
                "x-stainless-lang",
                "x-codex-turn-state",
                "x-openai-subagent",
                "x-claude-code-session-id",
                "originator",
                "originators",
                "chatgpt-account-id",
                "user-agent",
            ] {
                headers.append(name, HeaderValue::from_static("1"));
            }
            leave_behind(&mut headers, called, calls);
            assert_eq!(headers[header::CONTENT_TYPE], "application/json");
            headers.remove(header::CONTENT_TYPE);
            let mut left: Vec<_> = headers
                .keys()
                .map(|name| name.as_str().to_owned())
                .collect();
            left.sort_unstable();
            left.join(" ")
        };
        assert_eq!(
            cross(Surface::Messages, Surface::Responses),
            "originators user-agent"
        );
        assert_eq!(
            cross(Surface::Responses, Surface::ChatCompletions),
            "chatgpt-account-id openai-organization originator originators user-agent \
             x-claude-code-session-id x-codex-turn-state x-openai-subagent x-stainless-lang",
            "the same vendor's account and client"
        );
    }

    #[test]
    fn a_key_travels_as_its_provider_wants_it() {
        for (auth, expected) in [
            (Auth::Bearer, Some(("authorization", "Bearer sk-1"))),
            (Auth::XApiKey, Some(("x-api-key", "sk-1"))),
            (Auth::ApiKey, Some(("api-key", "sk-1"))),
            (Auth::None, None),
        ] {
            let mut headers = HeaderMap::new();
            authorize(&mut headers, &auth, "sk-1").expect("a key that a header may have");
            let sent = headers.iter().next();
            assert!(
                sent.is_none_or(|(_, value)| value.is_sensitive()),
                "{auth:?}"
            );
            let sent = sent.map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
            assert_eq!(sent, expected, "{auth:?}");
        }
    }
}
