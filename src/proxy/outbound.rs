//! The attempt's request as it leaves: the client's, less what is ours or the connection's, plus the
//! candidate's address and credential.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri, header};
use pingora_core::protocols::http::compression::ResponseCompressionCtx;
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::context::Context;
use super::flight::ended_by_gateway;
use crate::config::types::Auth;
use crate::dialect::Surface;

/// What a provider that is called without a version gets: the one every Anthropic API serves.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// The client's credential, what belongs to its connection, and what we say ourselves.
fn is_dropped(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "x-api-key"
            | "api-key"
            | "cookie"
            | "proxy-authorization"
            | "proxy-connection"
            | "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "content-encoding"
            | "x-tollgate-failover"
            | "forwarded"
    )
}

/// Pingora's `upstream_request_filter`.
pub fn head(session: &mut Session, head: &mut RequestHeader, ctx: &mut Context) -> Result<()> {
    let (Some(planned), Some(attempt), Some(endpoint)) = (&ctx.planned, &ctx.attempt, ctx.endpoint)
    else {
        return Err(ended_by_gateway());
    };
    let candidate = &planned.candidates[attempt.candidate];
    let provider = &candidate.provider;

    drop_named_by_connection(head);
    let dropped: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| is_dropped(name))
        .cloned()
        .collect();
    for name in &dropped {
        head.remove_header(name);
    }
    let target = provider
        .base_url
        .join(endpoint.upstream_path(), head.uri.query());
    head.set_uri(Uri::try_from(target).or_err(
        ErrorType::InvalidHTTPHeader,
        "the base URL and the client's query do not join",
    )?);
    head.insert_header(header::HOST, provider.base_url.authority.as_str())?;
    head.insert_header(
        header::CONTENT_LENGTH,
        HeaderValue::from(attempt.body.len()),
    )?;
    // The tap reads the answer; a compressed one would be opaque to it.
    head.insert_header(header::ACCEPT_ENCODING, "identity")?;
    head.insert_header("x-request-id", &*ctx.request_id)?;
    authorize(
        head,
        &provider.auth_on(endpoint.surface()),
        candidate.key.value.expose(),
    )?;
    if endpoint.surface() == Surface::Messages && !head.headers.contains_key("anthropic-version") {
        head.insert_header("anthropic-version", ANTHROPIC_VERSION)?;
    }
    for (name, value) in &provider.headers {
        let name = HeaderName::try_from(name.as_str())
            .or_err(ErrorType::InvalidHTTPHeader, "a provider's header name")?;
        head.insert_header(name, value.as_str())?;
    }
    // A provider that compresses all the same is undone before the tap.
    session.upstream_compression = ResponseCompressionCtx::new(0, true, false);
    Ok(())
}

/// Pingora's `request_body_filter`: every attempt has its own body.
pub fn body(body: &mut Option<Bytes>, ctx: &Context) {
    if let Some(attempt) = &ctx.attempt {
        *body = Some(attempt.body.clone());
    }
}

/// Headers that `Connection` names are for the client's connection only.
fn drop_named_by_connection(head: &mut RequestHeader) {
    let Some(value) = head
        .headers
        .get(header::CONNECTION)
        .and_then(|v| v.to_str().ok())
    else {
        return;
    };
    let named: Vec<String> = value
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named {
        head.remove_header(name.as_str());
    }
}

fn authorize(head: &mut RequestHeader, auth: &Auth, key: &str) -> Result<()> {
    let (name, text) = match auth {
        Auth::Bearer => ("authorization", format!("Bearer {key}")),
        Auth::XApiKey => ("x-api-key", key.to_owned()),
        Auth::ApiKey => ("api-key", key.to_owned()),
        Auth::None => return Ok(()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        Error::explain(
            ErrorType::InvalidHTTPHeader,
            "the provider key has characters that no header may have",
        )
    })?;
    value.set_sensitive(true);
    head.insert_header(name, value)
}
