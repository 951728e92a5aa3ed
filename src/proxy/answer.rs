//! Decides by the head of an attempt's answer what it is (a success to hold and look at, an error to relay, or a
//! failure), and makes the head that the client gets.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use pingora_error::{Error, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::context::{Attempt, Context, Planned, Received};
use super::gate::{Answer, Gathered, Judged, Phase, Relays, Unseen, ended_by_gateway, is_stream};
use super::shared::Shared;
use super::{names, opening, quota};
use tollgate_base::clock;
use tollgate_config::catalog::ErrorCause;
use tollgate_failover::cause::is_told;
use tollgate_failover::{Limits, Outcome, retry_after};
use tollgate_ledger::KeyKind;
use tollgate_wire::coding::Coding;
use tollgate_wire::mask::{Mask, Masking};
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::Observer;
use tollgate_wire::{Dialect, Endpoint, Surface, headers};

/// Room for the headers that we add, those for a browser among them, and for Pingora's `date` and `connection`.
const OURS: usize = 12;

/// An error that is put into the client's words is read up to this length, in bytes.
const LONGEST_ERROR: usize = 1 << 20;

/// A provider's id of a request is kept up to this length, in bytes.
const LONGEST_ID: usize = 128;

/// The list of dropped fields is about this long at most, in bytes.
const LONGEST_LIST: usize = 1024;

/// Pingora's `upstream_response_filter`. An error fails the attempt.
pub async fn head(shared: &Shared, head: &mut ResponseHeader, ctx: &mut Context) -> Result<()> {
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    if head.status.is_informational() && !switches {
        return Ok(());
    }
    let hedging = ctx
        .planned
        .as_ref()
        .and_then(|planned| planned.hedging.as_ref());
    let attempts = ctx.past.len() + 1 + hedging.map_or(0, |hedging| hedging.beside());
    let (Some(caller), Some(received), Some(planned), Some(attempt)) = (
        &ctx.caller,
        &ctx.received,
        &mut ctx.planned,
        &mut ctx.attempt,
    ) else {
        return Err(ended_by_gateway());
    };
    let candidate = &planned.candidates[attempt.candidate];
    let mut names = head.headers.keys();
    if let Some(begun) = &attempt.begun
        && names.any(|name| Limits::may_have(name.as_str()))
    {
        quota::learn(shared, candidate, begun, |name| text(head, name));
    }
    let coding = Coding::of(&head.headers);
    if switches || coding.is_err() {
        return Err(unreadable(head, attempt));
    }
    let coding = coding.ok().flatten();
    if !head.status.is_success() {
        // An error is relayed if no other candidate is left: those that cannot take the request must not count.
        let (aside, body, key) = (&caller.aside, &received.body, &caller.key);
        let (candidates, machine) = (&planned.candidates, &mut planned.machine);
        let prune = (ctx.translation).prune(aside, body, key, candidates, machine);
        prune.await;
    }
    let max_body = caller.snapshot.config.proxy.max_body;
    let client = (ctx.dialect, &ctx.request_id);
    let answer = judge(head, attempt, received, planned, max_body, client)?;
    // The client may come back as soon as one of those that were tried takes requests again.
    if head.status == StatusCode::TOO_MANY_REQUESTS {
        let earlier = planned.machine.attempts().iter();
        let waits = earlier.filter_map(|attempt| attempt.outcome.retry_after());
        if let Some(shortest) = waits.chain(attempt.retry_after).min() {
            head.insert_header(header::RETRY_AFTER, whole_seconds(shortest))?;
        }
    }

    let candidate = &planned.candidates[attempt.candidate];
    let upstream = clock::now().duration_since(attempt.started);
    let own_key = candidate.key.kind == KeyKind::User;
    let mask = candidate.key.mask();
    let mut headers = theirs(head, attempt, own_key, (&answer, coding), mask);
    for name in opening::id_headers(ctx.dialect) {
        headers.insert(name, header_value(&ctx.request_id));
    }
    for (name, value) in &ctx.cors {
        headers.insert(name, value.clone());
    }
    let provider = header_value(&candidate.provider.id);
    let model = header_value(&candidate.upstream_model);
    let timing = server_timing(ctx.answered.overhead, upstream);
    headers.insert(&names::X_TOLLGATE_PROVIDER, provider);
    headers.insert(&names::X_TOLLGATE_MODEL, model);
    headers.insert(&names::X_TOLLGATE_ATTEMPTS, attempts.into());
    headers.insert(&names::SERVER_TIMING, header_value(&timing));
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = head.status;
    parts.version = head.version;
    parts.headers = headers;
    *head = parts.into();
    let masking = Masking::new(mask.clone());
    let gate = &planned.gate;
    gate.answering(answer, coding, masking, clock::now());
    Ok(())
}

/// A header's value, if it is text.
fn text<'a>(head: &'a ResponseHeader, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

/// Fails an attempt whose answer nobody can use: it switches the protocol, or its compression is unknown, so that its
/// body can be neither read nor masked.
fn unreadable(head: &ResponseHeader, attempt: &mut Attempt) -> Box<Error> {
    let status = head.status.as_u16();
    attempt.status = Some(status);
    attempt.outcome = Outcome::of_status(status, None).or(Some(Outcome::Malformed));
    ended_by_gateway()
}

/// Says what to make of the answer. An error is returned only if it may be relayed to the client; else it fails the
/// attempt. `dialect` is the client's, `id` the request's.
fn judge(
    head: &ResponseHeader,
    attempt: &mut Attempt,
    received: &Received,
    planned: &Planned,
    max_body: usize,
    (dialect, id): (Dialect, &Arc<str>),
) -> Result<Answer> {
    let (status, phase) = (head.status.as_u16(), planned.gate.phase());
    note(
        head,
        attempt,
        planned.candidates[attempt.candidate].key.mask(),
    );
    planned.bill.named(attempt.provider_request_id.clone());
    let Some(outcome) = Outcome::of_status(status, attempt.retry_after) else {
        // The client may have been promised events.
        return match looked_at(head, attempt, &received.body, max_body) {
            Some(answer) => Ok(answer),
            None if phase != Phase::Held => Err(ended_by_gateway()),
            None => Ok(Answer::Whole(Observer::whole(attempt.endpoint))),
        };
    };
    // An error is relayed only if the client was sent nothing yet. Tokens we can count ourselves: then only an error
    // that says that the request is at fault.
    let counted_here =
        attempt.endpoint == Endpoint::CountTokens && !matches!(status, 400 | 413 | 422);
    let may_relay = phase == Phase::Held && !counted_here;
    let now = clock::now();
    let relays = |outcome: &Outcome| may_relay && planned.machine.would_relay(outcome, now);
    let candidate = &planned.candidates[attempt.candidate];
    let is_read_first = is_told(status, &candidate.provider.error_rules);
    planned.bill.refused(status, &outcome);
    attempt.outcome = Some(outcome.clone());
    if !is_read_first && !relays(&outcome) {
        return Err(ended_by_gateway());
    }
    let relay = if dialect == attempt.endpoint.surface().dialect() {
        Answer::Relay
    } else {
        let error = Gathered::error(dialect, id.clone(), status, LONGEST_ERROR);
        Answer::Gathered(Box::new(error))
    };
    if !is_read_first {
        return Ok(relay);
    }
    let relays_because = |cause| relays(&outcome.clone().because(Some(cause)));
    Ok(Answer::Judged(Box::new(Judged {
        relays: Relays {
            plain: relays(&outcome),
            keys: relays_because(ErrorCause::Key),
            filter: relays_because(ErrorCause::Filter),
        },
        outcome,
        relay: Box::new(relay),
        provider: candidate.provider.clone(),
        model: candidate.upstream_model.clone(),
        asked: attempt.body.clone(),
        body: BytesMut::new(),
    })))
}

/// Headers in which providers name a request: OpenAI's and most others', Anthropic's, Azure's, Amazon's, OpenRouter's.
const REQUEST_IDS: [&str; 5] = [
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-generation-id",
];

/// Returns the provider's own id of the request, masked since it is logged, unless it is too long to keep.
fn request_id(head: &ResponseHeader, mask: &Mask) -> Option<Arc<str>> {
    let id = REQUEST_IDS.iter().find_map(|name| text(head, name))?;
    if id.is_empty() || id.len() > LONGEST_ID {
        return None;
    }
    Some(match mask.text(id.as_bytes()) {
        Some(masked) => String::from_utf8_lossy(&masked).into(),
        None => id.into(),
    })
}

/// Returns the provider's headers as the client gets them, changed where the body is, with the list of dropped fields.
/// `own_key` is whether the client's own key was used.
fn theirs(
    head: &ResponseHeader,
    attempt: &Attempt,
    own_key: bool,
    (answer, coding): (&Answer, Option<Coding>),
    mask: &Mask,
) -> HeaderMap {
    // The length is not the provider's any more once its usage chunk is taken out, its words are changed, its
    // compression is undone, or comments may stand between its events.
    let is_reworded = answer.is_reworded();
    let is_resized = match answer {
        Answer::Unseen(unseen) => unseen.streams || attempt.reply.is_some(),
        _ => is_reworded,
    };
    let length_changes = attempt.strip_usage || is_resized || coding.is_some();
    let mut headers = kept(head, own_key, length_changes, mask);
    if is_reworded {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    if let Some(dropped) = list(&attempt.dropped) {
        headers.insert(&names::X_TOLLGATE_DROPPED, dropped);
    }
    headers
}

/// Returns the provider's headers that are for our client, masked, with room for ours. They are a new map, without the
/// letter case of the names: changing the provider's head in place costs several times as much.
fn kept(head: &ResponseHeader, own_key: bool, length_changes: bool, mask: &Mask) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(head.headers.len() + OURS);
    for (name, value) in &head.headers {
        let wrong_length = length_changes && *name == header::CONTENT_LENGTH;
        if headers::may_return(name, own_key) && !wrong_length {
            let masked = mask.text(value.as_bytes());
            let masked = masked.and_then(|value| HeaderValue::from_bytes(&value).ok());
            kept.append(name, masked.unwrap_or_else(|| value.clone()));
        }
    }
    kept
}

/// Pingora's `response_filter`. A client of HTTP/1.0 knows no chunks: the end of its connection ends the body.
pub fn last_touch(session: &Session, head: &mut ResponseHeader) {
    if session.req_header().version == Version::HTTP_10 {
        head.remove_header(&header::TRANSFER_ENCODING);
    }
}

/// Takes note of what the head of an attempt's answer says of it.
pub fn note(head: &ResponseHeader, attempt: &mut Attempt, mask: &Mask) {
    attempt.status = Some(head.status.as_u16());
    attempt.provider_request_id = request_id(head, mask);
    if !head.status.is_success() {
        attempt.retry_after = retry_after(|name| text(head, name), clock::wall());
    }
}

/// Returns how a success is looked at that generates, which is known by its first byte; `None` for anything else, which
/// is a document.
pub fn looked_at(
    head: &ResponseHeader,
    attempt: &Attempt,
    body: &RequestBody,
    max_body: usize,
) -> Option<Answer> {
    let Endpoint::Generate(surface) = attempt.endpoint else {
        return None;
    };
    if surface == Surface::Embeddings {
        return None;
    }
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let says_stream = content_type.is_some_and(|kind| is_stream(kind.as_bytes()));
    Some(Answer::Unseen(Box::new(Unseen {
        surface,
        says_stream,
        streams: body.stream(),
        strip_usage: attempt.strip_usage,
        close_delimited: head.version != Version::HTTP_2
            && !head.headers.contains_key(header::CONTENT_LENGTH)
            && !head.headers.contains_key(header::TRANSFER_ENCODING),
        reply: attempt.reply.clone(),
        request: body.bytes().clone(),
        created: clock::unix().as_secs(),
        most: max_body,
        blank: BytesMut::new(),
    })))
}

/// Returns the names of fields as a header's value; `None` without any. They are the client's own text, so there may be
/// any number of them, and anything in them.
fn list(names: &[String]) -> Option<HeaderValue> {
    let mut text = String::new();
    for name in names {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        if text.len() + name.len() > LONGEST_LIST {
            text.push_str(", ...");
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.extend(
            name.bytes()
                .map(|b| if plain(b) { char::from(b) } else { '?' }),
        );
    }
    (!text.is_empty()).then(|| header_value(&text))
}

/// Returns a `Retry-After`, rounded up to seconds so that the client does not come back too early.
fn whole_seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

/// Returns a `Server-Timing`, in ms: the time in our own hands before the first attempt, and that from the start of the
/// last attempt to the head of its answer.
fn server_timing(gateway: Duration, upstream: Duration) -> String {
    let mut text = String::with_capacity(48);
    for (name, time) in [("gateway;dur=", gateway), (", upstream;dur=", upstream)] {
        text.push_str(name);
        text.push_str(itoa::Buffer::new().format(time.as_millis()));
        // The leading 1 keeps the zeros after the point; it is left out below.
        let micros = 1000 + time.subsec_micros() % 1000;
        text.push('.');
        text.push_str(&itoa::Buffer::new().format(micros)[1..]);
    }
    text
}

/// Returns a header's value; `other` for what no header may carry. Model ids are the operator's or the client's own
/// text.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("other"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_with_three_places() {
        let micros = Duration::from_micros;
        for (gateway, upstream, expected) in [
            (
                micros(0),
                micros(7),
                "gateway;dur=0.000, upstream;dur=0.007",
            ),
            (
                micros(24),
                micros(13_140),
                "gateway;dur=0.024, upstream;dur=13.140",
            ),
            (
                micros(999_999),
                micros(61_000_050),
                "gateway;dur=999.999, upstream;dur=61000.050",
            ),
        ] {
            assert_eq!(server_timing(gateway, upstream), expected);
        }
    }
}
