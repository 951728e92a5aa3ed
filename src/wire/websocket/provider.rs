//! What a provider is sent over a WebSocket to its `/v1/responses`, and what it says: the other side of what a client
//! sends and hears.
//!
//! Sources: OpenAI's guide "WebSocket mode" (developers.openai.com/api/docs/guides/websocket-mode) for
//! `previous_response_id`, which goes on from the last response of the same connection, and for the errors; openai/codex
//! for `status_code` as another name of an error's `status`, and for events that are not a response's.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Typed, error_message};
use crate::request::{BadRequest, Part, parts};

/// Members of a request's body that an event does not have.
const CUT: [&str; 4] = ["type", "stream", "background", "previous_response_id"];

/// Most headers of an error that are read.
const MOST_HEADERS: usize = 64;

/// What a turn continues: its provider knows what was said until then.
#[derive(Clone, Debug)]
pub struct Continued {
    /// The response's id.
    pub previous: String,
    /// The items with which the turn's whole input begins, as [`Create::body`](super::Create::body) was given them.
    pub said: Vec<Bytes>,
}

/// Returns the event that asks for what the body of a request asks for. What the provider knows already is left out, if
/// the input begins with just that; else all of it is sent.
///
/// # Errors
///
/// [`BadRequest`] if the body is no JSON object.
pub fn asked(body: &[u8], continued: Option<&Continued>) -> Result<Bytes, BadRequest> {
    let members = parts(body)?;
    let value = |part: &Part| body.get(part.value.clone()).unwrap_or_default();
    let inputs = || members.iter().filter(|part| part.key == "input");
    let new = match (continued, inputs().count()) {
        (Some(continued), 1) => inputs().next().and_then(|part| {
            let new = unsaid(value(part), &continued.said)?;
            Some((continued, new))
        }),
        _ => None,
    };
    let mut event = Vec::with_capacity(body.len() + 64);
    event.extend_from_slice(br#"{"type":"response.create""#);
    for part in &members {
        if CUT.contains(&part.key.as_str()) || (new.is_some() && part.key == "input") {
            continue;
        }
        event.push(b',');
        event.extend_from_slice(body.get(part.all.clone()).unwrap_or_default());
    }
    if let Some((continued, new)) = new {
        event.extend_from_slice(br#","previous_response_id":"#);
        event.extend_from_slice(json!(continued.previous).to_string().as_bytes());
        event.extend_from_slice(br#","input":["#);
        event.extend_from_slice(new);
    }
    event.push(b'}');
    Ok(event.into())
}

/// What of a list of items, up to its end, follows those that were said; `None` if it does not begin with them.
fn unsaid<'a>(input: &'a [u8], said: &[Bytes]) -> Option<&'a [u8]> {
    let mut rest = input.strip_prefix(b"[")?;
    for items in said.iter().filter(|items| !items.is_empty()) {
        rest = rest.strip_prefix(&items[..])?;
        rest = match rest {
            [b',', more @ ..] => more,
            [b']'] => rest,
            _ => return None,
        };
    }
    Some(rest)
}

/// What a provider says.
#[derive(Debug, PartialEq, Eq)]
pub enum ProviderEvent<'a> {
    /// An event that is no response's, as one about limits is not.
    Aside(Cow<'a, str>),
    /// An event of the response, by its type.
    Event(Cow<'a, str>),
    /// The response's last event, by its type; with its id, if it can be continued.
    Ended(Cow<'a, str>, Option<String>),
    /// The request is refused, or its response has failed.
    Error(ProviderFailure),
}

/// An error as it would be answered over HTTP.
#[derive(Debug, PartialEq, Eq)]
pub struct ProviderFailure {
    /// The status, 400 to 599.
    pub status: u16,
    /// Its headers, as far as they are not about a body.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    code: Option<String>,
}

impl ProviderFailure {
    /// Returns whether the connection has lived for as long as one may.
    pub fn is_of_age(&self) -> bool {
        self.code.as_deref() == Some("websocket_connection_limit_reached")
    }

    /// Returns whether the response that was to be continued is not remembered.
    pub fn is_forgotten(&self) -> bool {
        self.code.as_deref() == Some("previous_response_not_found")
    }
}

#[derive(Deserialize)]
struct Last {
    response: Id,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// Reads a message; `None` if it is no event.
pub fn heard(text: &str) -> Option<ProviderEvent<'_>> {
    let kind = serde_json::from_str::<Typed<'_>>(text).ok()?.kind;
    Some(match &*kind {
        "" => return None,
        "error" => ProviderEvent::Error(failure(text)),
        "response.completed" | "response.incomplete" => {
            let last: Option<Last> = serde_json::from_str(text).ok();
            ProviderEvent::Ended(kind, last.map(|last| last.response.id))
        }
        "response.failed" => ProviderEvent::Ended(kind, None),
        name if name.starts_with("response.") => ProviderEvent::Event(kind),
        _ => ProviderEvent::Aside(kind),
    })
}

/// An error event, told in the words that clients are told it, and taken apart again.
fn failure(text: &str) -> ProviderFailure {
    let told = error_message(text.as_bytes(), None);
    let mut event: Map<String, Value> = serde_json::from_str(&told).unwrap_or_default();
    let said: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let status = said.get("status").or_else(|| said.get("status_code"));
    let status = status
        .or_else(|| event.get("status"))
        .and_then(Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let headers = event.get("headers").and_then(Value::as_object);
    let headers = headers.into_iter().flatten().take(MOST_HEADERS);
    let error = event.get("error").cloned().unwrap_or_default();
    let code = error.get("code").and_then(Value::as_str).map(str::to_owned);
    let headers = headers.filter_map(header).collect();
    event.retain(|name, _| name == "error");
    ProviderFailure {
        status: status
            .filter(|status| (400..600).contains(status))
            .unwrap_or(500),
        headers,
        body: Value::from(event).to_string().into(),
        code,
    }
}

/// A header of an error, unless it is about a body or a connection.
fn header((name, value): (&String, &Value)) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::try_from(name.as_str()).ok()?;
    let framing = [
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if framing.contains(&name.as_str()) || name.as_str().starts_with("content-") {
        return None;
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some((name, HeaderValue::try_from(text).ok()?))
}

/// Returns an event as a stream over HTTP has it.
pub fn streamed(kind: &str, text: &str) -> Bytes {
    let mut event = Vec::with_capacity(kind.len() + text.len() + 24);
    if kind.bytes().all(|byte| byte.is_ascii_graphic()) {
        event.extend_from_slice(b"event: ");
        event.extend_from_slice(kind.as_bytes());
        event.push(b'\n');
    }
    // A line of data ends where the text has a line's end, which in JSON is white space.
    for line in text.split(['\r', '\n']) {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line.as_bytes());
        event.push(b'\n');
    }
    event.push(b'\n');
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::Parser;
    use crate::websocket::create::tests::create;

    fn continued(said: &[&'static str]) -> Continued {
        let said = said
            .iter()
            .map(|items| Bytes::from_static(items.as_bytes()));
        Continued {
            previous: "resp_1".to_owned(),
            said: said.collect(),
        }
    }

    fn event(body: &str, continued: Option<&Continued>) -> String {
        let event = asked(body.as_bytes(), continued).unwrap();
        let parsed: Result<Value, _> = serde_json::from_slice(&event);
        assert!(parsed.is_ok(), "{event:?}");
        String::from_utf8(event.to_vec()).unwrap()
    }

    #[test]
    fn a_body_becomes_an_event_with_all_of_it_or_what_is_new() {
        let whole = r#"{"model" : "m","input":"hi","stream":true,"background":false,"top_p":1.50}"#;
        assert_eq!(
            event(whole, None),
            r#"{"type":"response.create","model" : "m","input":"hi","top_p":1.50}"#
        );
        assert_eq!(event(whole, Some(&continued(&["1"]))), event(whole, None));
        for (said, own, new) in [
            (&["{},1", "", "2"][..], r#"[3, "x"]"#, r#"3, "x""#),
            (&["1", "2"], "[]", ""),
            (&[""], "[7]", "7"),
            (&[], "[7]", "7"),
        ] {
            let text = format!(r#"{{"type":"response.create","model":"m","input":{own}}}"#);
            let continued = continued(said);
            let body = create(&text).body(&continued.said).unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert_eq!(
                event(&body, Some(&continued)),
                format!(
                    r#"{{"type":"response.create","model":"m","previous_response_id":"resp_1","input":[{new}]}}"#
                ),
                "{body}"
            );
        }
    }

    #[test]
    fn what_does_not_begin_with_what_is_known_is_sent_whole() {
        for input in [
            "[12]",
            "[2,1]",
            "[]",
            "[ 1]",
            "{}",
            "\"1\"",
            "[1],\"input\":[1]",
        ] {
            let body = format!(r#"{{"model":"m","input":{input}}}"#);
            let event = event(&body, Some(&continued(&["1"])));
            assert!(event.contains(&format!(r#""input":{input}"#)), "{event}");
            assert!(!event.contains("previous_response_id"), "{event}");
        }
        assert!(asked(b"[]", None).is_err());
    }

    #[test]
    fn what_a_provider_says_is_told_apart() {
        let event =
            |kind: &str| format!(r#"{{"type":"{kind}","response":{{"id":"r","output":[]}}}}"#);
        for (kind, id) in [
            ("response.completed", Some("r")),
            ("response.incomplete", Some("r")),
            ("response.failed", None),
        ] {
            let text = event(kind);
            let expected = ProviderEvent::Ended(kind.into(), id.map(str::to_owned));
            assert_eq!(heard(&text), Some(expected));
        }
        let text = event("response.created");
        assert_eq!(
            heard(&text),
            Some(ProviderEvent::Event("response.created".into()))
        );
        let text = event("codex.rate_limits");
        assert_eq!(
            heard(&text),
            Some(ProviderEvent::Aside("codex.rate_limits".into()))
        );
        for nothing in ["", "x", "[]", "{}", r#"{"type":""}"#] {
            assert_eq!(heard(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_error_is_what_it_would_be_over_http() {
        let told = |text: &str| match heard(text) {
            Some(ProviderEvent::Error(failure)) => failure,
            other => panic!("{other:?}"),
        };
        let limited = told(
            r#"{"type":"error","status":429,"error":{"type":"rate_limit_error","code":"c","message":"m"},
                "headers":{"retry-after":"7","x-count":3,"content-length":"9","a b":"c","x-list":[]}}"#,
        );
        let body: Value = serde_json::from_slice(&limited.body).unwrap();
        assert_eq!(
            (limited.status, body),
            (
                429,
                json!({"error": {"type": "rate_limit_error", "code": "c", "message": "m"}})
            )
        );
        let mut names: Vec<&str> = limited.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            (names, &limited.headers["retry-after"]),
            (vec!["retry-after", "x-count"], &"7".parse().unwrap())
        );
        for (text, status) in [
            (
                r#"{"type":"error","status_code":503,"error":{"code":"c","message":"m"}}"#,
                503,
            ),
            (
                r#"{"type":"error","status":200,"error":{"message":"m"}}"#,
                500,
            ),
            (
                r#"{"type":"error","code":"rate_limit_exceeded","message":"m"}"#,
                429,
            ),
            (r#"{"type":"error"}"#, 500),
        ] {
            assert_eq!(told(text).status, status, "{text}");
        }
        let code = |code: &str| {
            told(&format!(
                r#"{{"type":"error","status":400,"error":{{"code":"{code}"}}}}"#
            ))
        };
        assert!(code("websocket_connection_limit_reached").is_of_age());
        assert!(code("previous_response_not_found").is_forgotten());
        assert!(!code("x").is_of_age() && !code("x").is_forgotten());
    }

    #[test]
    fn an_event_is_streamed_as_it_came() {
        for (kind, text, name) in [
            ("response.created", "{\"a\":\n 1}", "response.created"),
            ("odd\nname", "{\"a\":1}", ""),
        ] {
            let mut parser = Parser::new();
            let streamed = streamed(kind, text);
            let mut events = parser.feed(&streamed);
            let event = events.next().unwrap().unwrap();
            assert_eq!((event.name, event.data), (name.as_bytes(), text.as_bytes()));
            assert!(events.next().is_none());
        }
    }
}
