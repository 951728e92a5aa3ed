//! What a client sends over a WebSocket to `/v1/responses`: events that ask for responses, each of which becomes the
//! body of a request.
//!
//! Sources: OpenAI's guide "WebSocket mode" (developers.openai.com/api/docs/guides/websocket-mode), and the client in
//! openai/codex (`codex-rs/codex-api/src/endpoint/responses_websocket.rs`). An event is the body of `POST
//! /v1/responses` with a `type`, not wrapped into anything; `stream` and `background` are not used in it; `stream_id`,
//! `previous_response_id` and `generate` are the connection's affair.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Refusal, is_stream_id};
use crate::GatewayError;
use crate::request::{BadRequest, Part, parts};

/// What a client says.
#[derive(Debug)]
pub enum ClientEvent {
    /// `response.create`.
    Create(Create),
    /// `response.processed`: codex says that it has read a response. Nothing is to be done.
    Processed,
}

/// An event that asks for a response.
#[derive(Debug)]
pub struct Create {
    text: Bytes,
    /// What goes into the request, in the event's order.
    members: Vec<Part>,
    /// Which of the client's ordered lanes it is on; `None` is the one without a name.
    pub stream_id: Option<String>,
    /// Which earlier response it continues.
    pub previous: Option<String>,
    /// Whether an answer is wanted; without one it only prepares what is to be continued.
    pub generate: bool,
    /// Whether the provider is to keep the response.
    pub store: bool,
}

/// Members that are not the request's.
const CUT: [&str; 6] = [
    "type",
    "stream_id",
    "previous_response_id",
    "generate",
    "stream",
    "background",
];

const INPUT: &str = "input";

impl ClientEvent {
    /// Reads a client's event.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and on which lane, as far as that can be known.
    pub fn parse(text: Bytes) -> Result<ClientEvent, (Refusal, Option<String>)> {
        let refused = |bad: BadRequest| -> (Refusal, Option<String>) {
            (Refusal::from(&GatewayError::from(bad)), None)
        };
        let members = parts(&text).map_err(refused)?;
        // The last of several with the same name counts.
        let last = |name: &str| {
            let part = members.iter().rev().find(|part| part.key == name)?;
            let raw = text.get(part.value.clone()).unwrap_or_default();
            (raw != b"null").then_some(raw)
        };
        let said = |name: &'static str| -> Result<Option<String>, BadRequest> {
            let wrong = |_| {
                BadRequest::param(
                    name,
                    format!("Invalid type for '{name}': expected a string."),
                )
            };
            last(name)
                .map(serde_json::from_slice)
                .transpose()
                .map_err(wrong)
        };
        let stream_id = said("stream_id").map_err(refused)?;
        if stream_id.as_deref().is_some_and(|id| !is_stream_id(id)) {
            return Err((Refusal::stream_id(), None));
        }
        let refused =
            |bad: BadRequest| (Refusal::from(&GatewayError::from(bad)), stream_id.clone());
        match said("type").map_err(refused)?.as_deref() {
            Some("response.create") => {}
            Some("response.processed") => return Ok(ClientEvent::Processed),
            _ => {
                let message = "Invalid 'type': this WebSocket takes `response.create` events, which are the body of \
                               `POST /v1/responses` with a `type`.";
                return Err(refused(BadRequest::param("type", message)));
            }
        }
        let previous = said("previous_response_id").map_err(refused)?;
        let generate = last("generate") != Some(&b"false"[..]);
        let store = last("store") != Some(&b"false"[..]);
        let mut kept = members;
        kept.retain(|part| !CUT.contains(&part.key.as_str()));
        Ok(ClientEvent::Create(Create {
            text,
            members: kept,
            stream_id,
            previous,
            generate,
            store,
        }))
    }
}

impl Create {
    /// Returns how many bytes it keeps.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// Returns the model that it names; empty if it names none.
    pub fn model(&self) -> String {
        let model = self.last("model");
        let model = model.and_then(|raw| serde_json::from_slice(raw).ok());
        model.unwrap_or_default()
    }

    /// Returns the items of its input: JSON values with commas between them. A text is what a user says.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] if the input is neither a text nor a list.
    pub fn items(&self) -> Result<Cow<'_, [u8]>, BadRequest> {
        let raw = self.last(INPUT).unwrap_or(b"null");
        match raw {
            b"null" => Ok(Cow::Borrowed(b"")),
            [b'[', inner @ .., b']'] => Ok(Cow::Borrowed(inner.trim_ascii())),
            [b'"', ..] => {
                let item = [br#"{"type":"message","role":"user","content":"#, raw, b"}"];
                Ok(Cow::Owned(item.concat()))
            }
            _ => Err(BadRequest::param(
                "input",
                "Invalid type for 'input': expected a string or an array of items.",
            )),
        }
    }

    /// Returns the body of the request: what the event says, streamed, its own items behind those that came before,
    /// which are given as [`items`](Self::items) gives them. What is not concerned keeps its bytes and its order.
    ///
    /// # Errors
    ///
    /// As of [`items`](Self::items), if anything came before; and if there is the result of a call that nobody made.
    pub fn body(&self, before: &[Bytes]) -> Result<Bytes, BadRequest> {
        let earlier: usize = before.iter().map(|items| items.len() + 1).sum();
        let mut body = Vec::with_capacity(self.text.len() + earlier + 32);
        body.push(b'{');
        for part in &self.members {
            if part.key != INPUT || before.is_empty() {
                body.extend_from_slice(self.text.get(part.all.clone()).unwrap_or_default());
                body.push(b',');
            }
        }
        if !before.is_empty() {
            body.extend_from_slice(br#""input":["#);
            let own = self.items()?;
            check_results(&own, before)?;
            let all = before.iter().map(|items| &items[..]).chain([&own[..]]);
            let mut first = true;
            for items in all.filter(|items| !items.is_empty()) {
                if !std::mem::take(&mut first) {
                    body.push(b',');
                }
                body.extend_from_slice(items);
            }
            body.extend_from_slice(b"],");
        }
        body.extend_from_slice(br#""stream":true}"#);
        Ok(body.into())
    }

    /// The value of the last member of this name.
    fn last(&self, name: &str) -> Option<&[u8]> {
        let part = self.members.iter().rev().find(|part| part.key == name)?;
        self.text.get(part.value.clone())
    }
}

/// An item, as far as it tells whose result it is.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    call_id: &'a RawValue,
}

/// Looks for the call of each result: a continuation without it fails, as OpenAI has it, whichever API is asked. An id
/// that stands anywhere before it is taken for its call's.
fn check_results(own: &[u8], before: &[Bytes]) -> Result<(), BadRequest> {
    if memmem::find(own, b"_output\"").is_none() {
        return Ok(());
    }
    let list = [b"[", own, b"]"].concat();
    let items: Vec<&RawValue> = serde_json::from_slice(&list).unwrap_or_default();
    let mut earlier = String::new();
    for raw in items {
        let item: Option<Item> = serde_json::from_str(raw.get()).ok();
        if let Some(item) = item.filter(|item| item.kind.ends_with("_output")) {
            let id = item.call_id.get();
            let finder = memmem::Finder::new(id);
            // Others may be spelled in more than one way.
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"\"_-".contains(&byte);
            if id.starts_with('"')
                && id.bytes().all(is_plain)
                && finder.find(earlier.as_bytes()).is_none()
                && before.iter().all(|items| finder.find(items).is_none())
            {
                let message = "No tool call found for a result in 'input': its 'call_id' must be that of a call before it.";
                return Err(BadRequest::param(INPUT, message));
            }
        }
        earlier.push_str(raw.get());
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn create(text: &str) -> Create {
        match ClientEvent::parse(Bytes::copy_from_slice(text.as_bytes())) {
            Ok(ClientEvent::Create(create)) => create,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn body(text: &str, before: &[&'static str]) -> String {
        let before: Vec<Bytes> = before
            .iter()
            .map(|items| Bytes::from_static(items.as_bytes()))
            .collect();
        let body = create(text).body(&before).unwrap();
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        assert!(parsed.is_ok(), "{body:?}");
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_a_body_less_what_is_the_connection_s() {
        let text = r#"{"type":"response.create", "model" : "m","stream":false,"background":null,"stream_id":"a.b",
            "input":"hi","generate":true,"previous_response_id":null,"top_p":1.50}"#;
        assert_eq!(
            body(text, &[]),
            r#"{"model" : "m","input":"hi","top_p":1.50,"stream":true}"#
        );
        let event = create(text);
        assert_eq!(event.stream_id.as_deref(), Some("a.b"));
        assert_eq!((event.previous.as_deref(), event.generate), (None, true));
        assert_eq!(event.model(), "m");
        assert!(event.store && !create(r#"{"type":"response.create","store":false}"#).store);
        assert_eq!(
            body(r#"{"type":"response.create"}"#, &[]),
            r#"{"stream":true}"#
        );
    }

    #[test]
    fn earlier_items_come_first() {
        for (input, after) in [
            (
                r#","input":"hi""#,
                r#",{"type":"message","role":"user","content":"hi"}"#,
            ),
            (r#","input": [ 2, 3 ] "#, ",2, 3"),
            (r#","input":[]"#, ""),
            (r#","input":null"#, ""),
            ("", ""),
            (r#","input":"first","input":[9]"#, ",9"),
        ] {
            let text = format!(r#"{{"type":"response.create"{input},"model":"m"}}"#);
            let body = body(&text, &["0,1", ""]);
            assert!(
                body.ends_with(&format!(
                    r#""model":"m","input":[0,1{after}],"stream":true}}"#
                )),
                "{body}"
            );
        }
        let odd = create(r#"{"type":"response.create","input":{}}"#);
        assert_eq!(
            odd.body(&[Bytes::from_static(b"1")]).unwrap_err().param,
            Some("input")
        );
        assert!(odd.body(&[]).is_ok(), "that is its provider's to refuse");
        assert_eq!(
            body(r#"{"type":"response.create"}"#, &[""]),
            r#"{"input":[],"stream":true}"#
        );
    }

    #[test]
    fn a_result_goes_on_from_its_call_only() {
        let call = r#"{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}"#;
        let before = [Bytes::from_static(b"{}"), Bytes::from(call)];
        let checked = |own: &str| check_results(own.as_bytes(), &before);
        let result =
            |id: &str| format!(r#"{{"type":"function_call_output","call_id":{id},"output":"x"}}"#);
        let own_call = call.replace("call_1", "call_2");
        for fine in [
            String::new(),
            result(r#""call_1""#),
            format!("{own_call}, {}", result(r#""call_2""#)),
            r#"{"type":"message","role":"user","content":"call_3 and _output\""}"#.to_owned(),
            // Not told apart here: its API will see to it.
            result("null"),
            result(r#""call\u005f1""#),
            result(r#""call/3""#),
            r#"7, {"type":"tool_search_output"}"#.to_owned(),
        ] {
            assert!(checked(&fine).is_ok(), "{fine}");
        }
        for none in [
            result(r#""call_3""#),
            format!("{}, {own_call}", result(r#""call_2""#)),
        ] {
            assert_eq!(checked(&none).unwrap_err().param, Some("input"), "{none}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_on_its_lane() {
        for (text, code, lane) in [
            ("", "ERR_TOLLGATE_3801", None),
            ("[]", "ERR_TOLLGATE_3801", None),
            (r#"{"type":"response.create""#, "ERR_TOLLGATE_3801", None),
            (
                r#"{"type":1,"stream_id":"l"}"#,
                "ERR_TOLLGATE_3801",
                Some("l"),
            ),
            (
                r#"{"model":"m","stream_id":"l"}"#,
                "ERR_TOLLGATE_3801",
                Some("l"),
            ),
            (r#"{"type":"response.cancel"}"#, "ERR_TOLLGATE_3801", None),
            (
                r#"{"type":"response.create","stream_id":""}"#,
                "invalid_stream_id",
                None,
            ),
            (
                r#"{"type":"response.create","stream_id":"a b"}"#,
                "invalid_stream_id",
                None,
            ),
            (
                r#"{"type":"response.create","stream_id":"l","previous_response_id":1}"#,
                "ERR_TOLLGATE_3801",
                Some("l"),
            ),
        ] {
            let parsed = ClientEvent::parse(Bytes::copy_from_slice(text.as_bytes()));
            let (refusal, on) = parsed.map(|_| ()).unwrap_err();
            let event: serde_json::Value =
                serde_json::from_str(&refusal.event(on.as_deref())).unwrap();
            assert_eq!(
                (event["status"].as_u64(), event["error"]["code"].as_str()),
                (Some(400), Some(code)),
                "{text}"
            );
            assert_eq!(event["stream_id"].as_str(), lane, "{text}");
        }
        let read = ClientEvent::parse(Bytes::from_static(
            br#"{"type":"response.processed","response_id":"r"}"#,
        ));
        assert!(matches!(read, Ok(ClientEvent::Processed)));
    }
}
