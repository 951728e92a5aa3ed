//! What is said over a WebSocket to `/v1/responses`. Here is what a server says: each event of a response's stream as one
//! text message, and errors as events with a status. What clients send is in `create`, what providers are sent and say
//! in `provider`.
//!
//! Sources: OpenAI's guide "WebSocket mode" (developers.openai.com/api/docs/guides/websocket-mode) for the errors'
//! shapes and words and for `stream_id`; openai/codex for what is read of them: an `error` without `status` is passed
//! over there, and `headers` are taken for those of an answer.

mod create;
mod provider;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::GatewayError;
use crate::error::Code;
use crate::report::meaning::CONTEXT_LENGTH_EXCEEDED;
pub use create::{ClientEvent, Create};
pub use provider::{Continued, ProviderEvent, ProviderFailure, asked, heard, streamed};

/// Most lanes with names on one connection.
pub const MOST_STREAM_IDS: usize = 32;

/// Longest name of a lane, in bytes.
const LONGEST_STREAM_ID: usize = 256;

/// Whether a text may name a lane.
pub(crate) fn is_stream_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=LONGEST_STREAM_ID).contains(&id.len()) && id.bytes().all(allowed)
}

/// Why a turn is not served, or not to its end.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: u16,
    kind: &'static str,
    code: &'static str,
    message: String,
    param: Option<String>,
}

impl From<&GatewayError> for Refusal {
    fn from(error: &GatewayError) -> Refusal {
        Refusal {
            status: error.status().as_u16(),
            kind: error.code.openai_type(),
            code: error.code.code(),
            message: error.message.clone(),
            param: error.param.clone(),
        }
    }
}

impl Refusal {
    fn invalid(code: &'static str, message: String, param: Option<&str>) -> Refusal {
        Refusal {
            status: 400,
            kind: "invalid_request_error",
            code,
            message,
            param: param.map(str::to_owned),
        }
    }

    /// The response to be continued is not remembered here. Only the beginning of a long id is said again.
    pub fn previous(id: &str) -> Refusal {
        let id: String = id.chars().take(100).collect();
        let message = format!("Previous response with id '{id}' not found.");
        let param = Some("previous_response_id");
        Refusal::invalid("previous_response_not_found", message, param)
    }

    /// The connection has lived for as long as one may.
    pub fn too_old(age: Duration) -> Refusal {
        let minutes = age.as_secs() / 60;
        let age = match age.as_secs() % 60 {
            0 => format!("{minutes} minutes"),
            _ => format!("{} seconds", age.as_secs()),
        };
        let message = format!(
            "Responses websocket connection limit reached ({age}). Create a new websocket connection to continue."
        );
        Refusal::invalid("websocket_connection_limit_reached", message, None)
    }

    /// The connection has as many named lanes as one may.
    pub fn too_many_streams() -> Refusal {
        let message = format!(
            "This WebSocket connection has reached its maximum number of distinct stream IDs ({MOST_STREAM_IDS}). Reuse \
             an existing stream_id or open a new WebSocket connection."
        );
        Refusal::invalid("websocket_stream_limit_reached", message, Some("stream_id"))
    }

    /// That is no name of a lane.
    pub fn stream_id() -> Refusal {
        let message = format!(
            "The 'stream_id' field must be a non-empty string with at most {LONGEST_STREAM_ID} characters and may only \
             contain letters, numbers, underscores, hyphens, and periods."
        );
        Refusal::invalid("invalid_stream_id", message, Some("stream_id"))
    }

    /// More wait on the connection than may.
    pub fn too_many_waiting(most: usize) -> Refusal {
        Refusal {
            status: 429,
            kind: "rate_limit_error",
            code: "websocket_queue_full",
            message: format!(
                "Too many `response.create` events wait on this WebSocket connection: {most} may, and no more bytes than \
                 `max_body` allows. Send the next one when a response has ended, or open a new connection."
            ),
            param: None,
        }
    }

    /// Returns the event that says so.
    pub fn event(&self, stream_id: Option<&str>) -> String {
        let error = json!({
            "type": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
        });
        error_event(self.status, error, stream_id, None)
    }
}

/// Returns the event for an answer that is an error: its status, what its `body` says, and those of its headers that its
/// reader acts upon. A prompt that is too long is told as the end of a response that has failed, as OpenAI's own streams tell it:
/// agents shorten it then.
pub fn relayed(status: u16, body: &[u8], headers: &HeaderMap, stream_id: Option<&str>) -> String {
    let said = serde_json::from_slice::<Map<String, Value>>(body).ok();
    let error = said.and_then(|mut body| body.remove("error").filter(Value::is_object));
    let error = error.unwrap_or_else(|| {
        let message = format!("The request failed with status {status}.");
        json!({"type": kind_of(status), "code": null, "message": message, "param": null})
    });
    if error["code"] == CONTEXT_LENGTH_EXCEEDED {
        return failed(&error, stream_id);
    }
    let told = headers.iter().filter(|(name, _)| is_told(name.as_str()));
    let told = told.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let told: Map<String, Value> = told
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    error_event(status, error, stream_id, Some(told))
}

fn failed(error: &Value, stream_id: Option<&str>) -> String {
    let mut event = json!({"type": "response.failed", "sequence_number": 0});
    if let Some(id) = stream_id {
        event["stream_id"] = id.into();
    }
    event["response"] = json!({
        "id": "", "object": "response", "status": "failed", "output": [],
        "error": {"code": error["code"], "message": error["message"]},
    });
    event.to_string()
}

fn is_told(name: &str) -> bool {
    matches!(name, "retry-after" | "retry-after-ms" | "x-request-id")
        || name.starts_with("x-ratelimit-")
        || name.starts_with("x-tollgate-")
}

fn error_event(
    status: u16,
    error: Value,
    stream_id: Option<&str>,
    headers: Option<Map<String, Value>>,
) -> String {
    let mut event = json!({"type": "error", "status": status});
    if let Some(id) = stream_id {
        event["stream_id"] = id.into();
    }
    event["error"] = error;
    if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
        event["headers"] = headers.into();
    }
    event.to_string()
}

/// OpenAI's `type` of an error with this status.
fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        429 => "rate_limit_error",
        ..500 => "invalid_request_error",
        _ => "server_error",
    }
}

/// An event of a response's stream, as far as a WebSocket has to know it.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing that it has to know.
    Event,
    /// An item of the output is complete.
    Item(Bytes),
    /// The response has ended, and can be continued.
    Ended {
        /// Its id.
        id: String,
        /// The items of its output; empty if it does not repeat them.
        output: Vec<Bytes>,
    },
    /// The response has failed.
    Failed,
    /// An error has ended the stream.
    Error,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Done<'a> {
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct Terminal<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: String,
    #[serde(borrow, default)]
    output: Option<Vec<&'a RawValue>>,
}

/// Looks at an event; its name may be empty.
pub fn read(name: &[u8], data: &[u8]) -> Told {
    let kind = match str::from_utf8(name) {
        Ok(name) if !name.is_empty() => Cow::Borrowed(name),
        _ => match serde_json::from_slice::<Typed<'_>>(data) {
            Ok(typed) => typed.kind,
            Err(_) => return Told::Event,
        },
    };
    let copy = |raw: &RawValue| Bytes::copy_from_slice(raw.get().as_bytes());
    match &*kind {
        "response.output_item.done" => match serde_json::from_slice::<Done<'_>>(data) {
            Ok(done) => Told::Item(copy(done.item)),
            Err(_) => Told::Event,
        },
        "response.completed" | "response.incomplete" => {
            match serde_json::from_slice::<Terminal<'_>>(data) {
                Ok(Terminal { response }) => Told::Ended {
                    id: response.id,
                    output: response
                        .output
                        .iter()
                        .flatten()
                        .map(|raw| copy(raw))
                        .collect(),
                },
                Err(_) => Told::Failed,
            }
        }
        "response.failed" => Told::Failed,
        "error" => Told::Error,
        _ => Told::Event,
    }
}

/// Returns the message for an event of a stream: as it came, and on which lane. `None` if it is no JSON object, as
/// `[DONE]` is not.
pub fn message(data: &[u8], stream_id: Option<&str>) -> Option<String> {
    let data = str::from_utf8(data).ok()?.trim();
    let inner = data.strip_prefix('{')?;
    let Some(id) = stream_id else {
        return Some(data.to_owned());
    };
    // A lane's name needs no escapes.
    let comma = if inner.trim_start() == "}" { "" } else { "," };
    Some(format!(r#"{{"stream_id":"{id}"{comma}{inner}"#))
}

/// Returns the message for an error inside a stream, with the status and the object that its reader looks for.
pub fn error_message(data: &[u8], stream_id: Option<&str>) -> String {
    let mut event: Map<String, Value> = serde_json::from_slice(data).unwrap_or_default();
    if !event.get("error").is_some_and(Value::is_object) {
        let mut error = Map::new();
        for name in ["code", "message", "param"] {
            let value = event.get(name).cloned().unwrap_or_default();
            error.insert(name.to_owned(), value);
        }
        event.insert("error".to_owned(), error.into());
    }
    let said = |name: &str| event["error"].get(name).and_then(Value::as_str);
    let known = Code::ALL
        .iter()
        .find(|code| said("code") == Some(code.code()));
    let status = known.map_or_else(
        || status_of(said("type").or(said("code"))),
        |code| code.status().as_u16(),
    );
    if said("type").is_none()
        && let Some(Value::Object(error)) = event.get_mut("error")
    {
        error.insert("type".to_owned(), kind_of(status).into());
    }
    event.insert("type".to_owned(), "error".into());
    event.entry("status").or_insert_with(|| status.into());
    if let Some(id) = stream_id {
        event.insert("stream_id".to_owned(), id.into());
    }
    Value::from(event).to_string()
}

/// The status that OpenAI's `type` of an error stands for.
fn status_of(kind: Option<&str>) -> u16 {
    match kind.unwrap_or_default() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "tokens"
        | "requests" => 429,
        "overloaded_error" => 503,
        _ => 500,
    }
}

/// Returns the items of a response's output as they can be sent back, with commas between them. A thought without what
/// proves it is found again only where it is kept: of a response that is not, it is left out, and nothing else refers
/// to it then.
pub fn carried(output: &[Bytes], kept: bool) -> Vec<u8> {
    let is_lost = |item: &Bytes| {
        let item: Map<String, Value> = serde_json::from_slice(item).unwrap_or_default();
        let proof = item.get("encrypted_content").and_then(Value::as_str);
        item.get("type").and_then(Value::as_str) == Some("reasoning") && proof.is_none()
    };
    let lost: Vec<bool> = output.iter().map(|item| !kept && is_lost(item)).collect();
    let some_lost = lost.contains(&true);
    let mut items = Vec::new();
    for (item, _) in output.iter().zip(&lost).filter(|(_, lost)| !**lost) {
        if !items.is_empty() {
            items.push(b',');
        }
        let nameless = some_lost.then(|| without_id(item)).flatten();
        items.extend_from_slice(nameless.as_deref().unwrap_or(item));
    }
    items
}

/// An item without its id, where one is not needed.
fn without_id(item: &[u8]) -> Option<Vec<u8>> {
    let mut item: Map<String, Value> = serde_json::from_slice(item).ok()?;
    let kind = item.get("type").and_then(Value::as_str)?;
    if !["message", "function_call", "custom_tool_call"].contains(&kind) {
        return None;
    }
    item.shift_remove("id")?;
    serde_json::to_vec(&item).ok()
}

/// Returns the events of a turn that only prepares what is to be continued, and has no output. `created` is Unix time
/// in seconds.
pub fn prepared(
    id: &str,
    model: &str,
    previous: Option<&str>,
    created: u64,
    stream_id: Option<&str>,
) -> [String; 2] {
    let event = |kind: &str, status: &str, sequence: u8| {
        let usage = (status == "completed").then(|| {
            json!({
                "input_tokens": 0,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 0,
            })
        });
        let event = json!({
            "type": kind,
            "sequence_number": sequence,
            "response": {
                "id": id,
                "object": "response",
                "created_at": created,
                "status": status,
                "error": null,
                "incomplete_details": null,
                "model": model,
                "output": [],
                "previous_response_id": previous,
                "usage": usage,
            },
        });
        let text = event.to_string();
        message(text.as_bytes(), stream_id).unwrap_or(text)
    };
    [
        event("response.created", "in_progress", 0),
        event("response.completed", "completed", 1),
    ]
}

#[cfg(test)]
mod tests;
