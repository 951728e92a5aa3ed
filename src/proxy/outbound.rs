//! The attempt's request as it leaves: what of the client's its provider may read, plus the candidate's address and
//! credential.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, header};
use pingora_error::{Error, ErrorType, OrErr, Result};
use pingora_http::RequestHeader;

use super::context::{Attempt, Context};
use super::gate::ended_by_gateway;
use super::names;
use super::shared::Shared;
use crate::metrics::traces::{TRACEPARENT, TRACESTATE, Trace};
use tollgate_config::catalog::Auth;
use tollgate_failover::Candidate;
use tollgate_wire::{Endpoint, Surface, headers};

/// What a provider that is called without a version gets: the one every Anthropic API serves.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Headers that we add at most, besides configured ones.
const OURS: usize = 7;

/// Pingora's `upstream_request_filter`.
pub fn head(shared: &Shared, head: &mut RequestHeader, ctx: &mut Context) -> Result<()> {
    let (Some(planned), Some(attempt), Some(called)) =
        (&ctx.planned, &mut ctx.attempt, ctx.endpoint)
    else {
        return Err(ended_by_gateway());
    };
    if attempt.early.is_some() {
        // What was begun beside another attempt was sent; here its answer is read.
        *head = RequestHeader::build(head.method.clone(), b"/", Some(2))?;
        head.insert_header(header::HOST, "early")?;
        return head.insert_header(header::CONTENT_LENGTH, attempt.body.len());
    }
    attempt.http2 = head.version == Version::HTTP_2;
    if let (Some(connection), false, false) =
        (attempt.connection, attempt.http2, attempt.body.is_empty())
    {
        planned.gate.cork(connection);
    }
    let outgoing = Outgoing {
        shared,
        called,
        candidate: &planned.candidates[attempt.candidate],
        request_id: &ctx.request_id,
        trace: ctx.trace.as_ref(),
    };
    *head = outgoing.head(head, attempt)?;
    Ok(())
}

/// What the head of an attempt's request is made of, besides the client's.
pub struct Outgoing<'a> {
    /// What all requests share.
    pub shared: &'a Shared,
    /// The endpoint that the client calls.
    pub called: Endpoint,
    /// Who is asked.
    pub candidate: &'a Candidate,
    /// The request's id.
    pub request_id: &'a str,
    /// Its place in its trace.
    pub trace: Option<&'a Trace>,
}

impl Outgoing<'_> {
    /// Returns the head of an attempt's request; it is of the version of HTTP that `head`, which is the client's, says.
    ///
    /// The head is made anew, which costs less than changing the client's in place, and without the client's
    /// spelling of the names: HTTP/2 has none, and HTTP/1 asks for none.
    pub fn head(&self, head: &RequestHeader, attempt: &mut Attempt) -> Result<RequestHeader> {
        let provider = &self.candidate.provider;
        let endpoint = attempt.endpoint;
        let crosses = endpoint != self.called;
        let surfaces = (self.called.surface(), endpoint.surface());
        let forwarded = &provider.forward_headers;
        let mut left_out = 0;
        let mut headers = headers::asked(&head.headers, surfaces, forwarded, OURS, |name| {
            log::debug!("the header `{name}` is not sent to {}", provider.id);
            left_out += 1;
        });
        attempt.forwards = !forwarded.is_empty() && headers::forwards(&head.headers, forwarded);
        if left_out > 0 {
            self.shared.metrics.headers_left_out(left_out);
        }
        if crosses {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        headers.insert(header::HOST, value(&provider.base_url.authority)?);
        headers.insert(header::CONTENT_LENGTH, attempt.body.len().into());
        // The observer reads the answer; a compressed one would be opaque to it.
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        headers.insert(&names::X_REQUEST_ID, value(self.request_id)?);
        self.trace(&mut headers, attempt.span);
        authorize(
            &mut headers,
            &provider.auth_on(endpoint.surface()),
            self.candidate.key.value.expose(),
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
        Ok(parts.into())
    }

    /// Puts the attempt's span into a head.
    fn trace(&self, headers: &mut HeaderMap, span: u64) {
        let Some(trace) = self.trace else { return };
        if let Some(parent) = trace.traceparent(span) {
            headers.insert(&TRACEPARENT, parent);
        }
        // It belongs to a trace that this one is not part of.
        if trace.parent.is_none() {
            headers.remove(&TRACESTATE);
        }
    }
}

/// Pingora's `request_body_filter`: every attempt has its own body.
pub fn body(body: &mut Option<Bytes>, attempt: Option<&Attempt>) {
    if let Some(attempt) = attempt {
        *body = Some(attempt.body.clone());
    }
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
