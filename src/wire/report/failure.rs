//! What goes wrong inside an answer whose status said 200.
//!
//! Every dialect's error object is read into one value with the HTTP status that says the same, so
//! that an error inside a stream moves on, cools down or is relayed as that status would be. The bodies of other
//! statuses are read the same way. Shapes beside the vendors' own: Google's lists, FastAPI's `detail`, Cloudflare's
//! `errors`, Baidu's `error_msg`, OpenRouter's `metadata.raw`, texts and HTML of what stands between.

mod text;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::floor_boundary;

/// A failure that a provider reports, or shows, inside its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFailure {
    /// The provider says so, in its dialect's error event or error body.
    ErrorEvent {
        /// The HTTP status that says the same, 400 to 599: 529 for `overloaded_error`, 429 for
        /// `rate_limit_error` and `insufficient_quota`, 500 where nothing better is known.
        status: u16,
        /// The provider's own name for it (`code`, else `type`), at most 128 bytes.
        kind: String,
        /// The provider's own words, at most 4 KiB.
        message: String,
    },
    /// What came is not what the dialect allows: data that is no JSON.
    Malformed,
}

/// What stands where a dialect has its error: an object, a text, or a list of them.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fault(Value);

impl Fault {
    /// The failure, if it says anything; an empty or null error is none.
    pub(crate) fn failure(&self) -> Option<StreamFailure> {
        Some(ErrorDetails::of(&self.0, 0)?.into_failure(500))
    }
}

/// The failure in JSON that has no place for an answer: under any name that providers have for it.
pub(crate) fn of_document(json: &[u8]) -> Option<StreamFailure> {
    let document: Value = serde_json::from_slice(json).ok()?;
    let tells = match &document {
        Value::Array(list) => list.iter().any(tells_failure),
        document => tells_failure(document),
    };
    Some(
        ErrorDetails::of(&document, 0)
            .filter(|_| tells)?
            .into_failure(500),
    )
}

fn tells_failure(document: &Value) -> bool {
    const ERRORS: [&str; 5] = ["error", "errors", "detail", "error_msg", "error_message"];
    let has = |key: &&str| document.get(*key).is_some_and(|value| !value.is_null());
    let is_error = |key| document.get(key).is_some_and(|kind| kind == "error");
    let is_bare = has(&"code") && has(&"message");
    is_bare || ERRORS.iter().any(has) || is_error("object") || is_error("type")
}

/// What an error's body says, whatever its shape: `status` is what it came with. A body without words is described by
/// its status.
pub(crate) fn of_body(status: u16, body: &[u8]) -> StreamFailure {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => ErrorDetails::of(&value, 0).or_else(|| match &value {
            Value::Object(map) if !map.is_empty() => Some(ErrorDetails::words(value.to_string())),
            _ => None,
        }),
        Err(_) => text::words(body).map(|text| ErrorDetails::of_text(&text, 0)),
    };
    let mut said = said.unwrap_or_default();
    if said.message.is_empty() {
        said.message = format!("the provider answered with status {status}");
    }
    said.into_failure(status)
}

/// Errors inside errors are read so deep.
const DEPTH: usize = 4;

/// Problems of one list that are passed on.
const PROBLEMS: usize = 8;

/// What an error says, wherever it stands.
#[derive(Debug, Default)]
struct ErrorDetails {
    /// `code`, unless it is a number.
    code: Option<String>,
    /// `type`.
    kind: Option<String>,
    /// `status` in words, as Google has it.
    state: Option<String>,
    /// A number that is an HTTP status.
    status: Option<u16>,
    message: String,
}

impl ErrorDetails {
    fn words(message: impl Into<String>) -> ErrorDetails {
        ErrorDetails {
            message: message.into(),
            ..ErrorDetails::default()
        }
    }

    /// What a value says; `None` if that is nothing.
    fn of(value: &Value, depth: usize) -> Option<ErrorDetails> {
        if depth > DEPTH {
            return None;
        }
        match value {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(ErrorDetails::of_text(text, depth)),
            Value::Array(list) => ErrorDetails::of_list(list, depth),
            Value::Object(map) => ErrorDetails::of_object(map, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }

    /// A text, which may be the JSON of somebody else's error.
    fn of_text(text: &str, depth: usize) -> ErrorDetails {
        let inner = || {
            let json = text.trim_start().starts_with(['{', '[']);
            let value: Value = serde_json::from_str(text).ok().filter(|_| json)?;
            ErrorDetails::of(&value, depth + 1)
        };
        inner().unwrap_or_else(|| ErrorDetails::words(text.trim()))
    }

    /// The first that says what kind of error it is, with the words of all.
    fn of_list(list: &[Value], depth: usize) -> Option<ErrorDetails> {
        let mut all = list
            .iter()
            .filter_map(|value| ErrorDetails::of(value, depth + 1));
        let mut first = all.next()?;
        for other in all.take(PROBLEMS - 1) {
            if !other.message.is_empty() && !first.message.contains(&other.message) {
                first.message = format!("{}; {}", first.message, other.message);
            }
        }
        Some(first)
    }

    fn of_object(map: &Map<String, Value>, depth: usize) -> Option<ErrorDetails> {
        let text = |keys: &[&str]| {
            let texts = keys.iter().filter_map(|key| map.get(*key)?.as_str());
            texts.map(str::trim).find(|text| !text.is_empty())
        };
        let number = |keys: &[&str]| {
            let numbers = keys.iter().filter_map(|key| {
                let value = map.get(*key)?;
                value.as_u64().or_else(|| value.as_str()?.parse().ok())
            });
            numbers.filter_map(as_status).next()
        };
        let words = |text: Option<&str>| {
            let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
            text.filter(|text| !is_number(text)).map(str::to_owned)
        };
        let mut said = ErrorDetails {
            code: words(text(&["code", "error_code"])),
            // A problem with a place has a kind of its own.
            kind: words(text(&["type"])).filter(|_| !map.contains_key("loc")),
            state: words(text(&["status"])),
            status: number(&["code", "error_code", "status", "status_code"]),
            message: text(&MESSAGES).unwrap_or_default().to_owned(),
        };
        if said.message.starts_with(['{', '[']) {
            let inner = ErrorDetails::of_text(&std::mem::take(&mut said.message), depth);
            said = inner.or(said);
        }
        if let Some(place) = place(map.get("loc"))
            && !said.message.is_empty()
        {
            said.message = format!("{place}: {}", said.message);
        }
        for key in ["error", "errors", "detail", "details", "message"] {
            let inner = match map.get(key) {
                // A name beside words is what the error is called.
                Some(Value::String(name)) if !said.message.is_empty() => {
                    let is_name = key == "error" && !name.contains(char::is_whitespace);
                    said.code = said.code.or_else(|| words(is_name.then_some(name)));
                    None
                }
                // Beside words it says more of the same.
                Some(_) if key == "details" && !said.message.is_empty() => None,
                value => value.and_then(|value| ErrorDetails::of(value, depth + 1)),
            };
            if let Some(inner) = inner {
                said = inner.or(said);
            }
        }
        // OpenRouter hands on what its provider wrote.
        let raw = map.get("metadata").and_then(|metadata| metadata.get("raw"));
        if let Some(raw) = raw.and_then(|raw| ErrorDetails::of(raw, depth + 1)) {
            if !raw.message.is_empty() {
                said.message = format!("{}: {}", said.message, raw.message);
            }
            said = said.or(raw);
        }
        let says = !said.message.is_empty() || said.code.is_some() || said.status.is_some();
        (says || said.kind.is_some() || said.state.is_some()).then_some(said)
    }

    /// The same, with what only the other one says.
    fn or(self, other: ErrorDetails) -> ErrorDetails {
        ErrorDetails {
            code: self.code.or(other.code),
            kind: self.kind.or(other.kind),
            state: self.state.or(other.state),
            status: self.status.or(other.status),
            message: match self.message.is_empty() {
                true => other.message,
                false => self.message,
            },
        }
    }

    /// `otherwise` is the status of what has none of its own.
    fn into_failure(self, otherwise: u16) -> StreamFailure {
        let of_name = |name: &Option<String>| name.as_deref().and_then(status_of);
        let status = of_name(&self.code)
            .or(self.status)
            .or_else(|| of_name(&self.kind))
            .or_else(|| of_name(&self.state))
            .unwrap_or(otherwise);
        let kind = self.code.or(self.kind).or(self.state);
        event(status, kind.as_deref().unwrap_or("error"), &self.message)
    }
}

/// Where providers put their words.
const MESSAGES: [&str; 10] = [
    "message",
    "msg",
    "error_msg",
    "error_message",
    "errorMessage",
    "error_description",
    "detail",
    "description",
    "reason",
    "title",
];

/// Where in the request a problem is, as FastAPI says it.
fn place(loc: Option<&Value>) -> Option<String> {
    let steps = loc?.as_array()?.iter().take(16).map(|step| match step {
        Value::String(text) => text.clone(),
        step => step.to_string(),
    });
    let place = steps.collect::<Vec<_>>().join(".");
    (!place.is_empty()).then_some(place)
}

/// An error event with its texts held to their limits.
pub(crate) fn event(status: u16, kind: &str, message: &str) -> StreamFailure {
    StreamFailure::ErrorEvent {
        status,
        kind: cut(kind, 128).to_owned(),
        message: cut(message, 4096).to_owned(),
    }
}

/// A text up to a limit, whole words if there are any: half of a credential would not be found any more.
fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let kept = &text[..floor_boundary(text, most)];
    let gap = kept.rfind(char::is_whitespace);
    gap.filter(|gap| *gap >= most / 2)
        .map_or(kept, |gap| &kept[..gap])
}

fn as_status(number: u64) -> Option<u16> {
    u16::try_from(number)
        .ok()
        .filter(|status| (400..600).contains(status))
}

/// The HTTP status of an error's name, from the error references of Anthropic and OpenAI and from
/// what compatible providers send.
fn status_of(name: &str) -> Option<u16> {
    Some(match name {
        "invalid_request_error"
        | "INVALID_ARGUMENT"
        | "FAILED_PRECONDITION"
        | "exceed_context_size_error"
        | "context_length_exceeded"
        | "invalid_prompt"
        | "content_filter"
        | "content_policy_violation"
        | "BadRequestError"
        | "invalid_value" => 400,
        "authentication_error"
        | "invalid_api_key"
        | "invalid_authentication_error"
        | "UNAUTHENTICATED" => 401,
        "billing_error" | "billing_not_active" | "insufficient_balance" => 402,
        "permission_error"
        | "permission_denied"
        | "PERMISSION_DENIED"
        | "unsupported_country_region_territory" => 403,
        "not_found_error" | "model_not_found" | "NotFoundError" | "NOT_FOUND" => 404,
        "request_too_large" => 413,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "too_many_requests"
        | "rate_limit"
        | "requests"
        | "tokens"
        | "engine_overloaded_error"
        | "exceeded_current_quota_error"
        | "RESOURCE_EXHAUSTED" => 429,
        "api_error"
        | "server_error"
        | "internal_server_error"
        | "internal_error"
        | "InternalServerError"
        | "INTERNAL" => 500,
        "bad_gateway" | "upstream_error" => 502,
        "service_unavailable"
        | "service_unavailable_error"
        | "server_is_overloaded"
        | "slow_down"
        | "model_overloaded"
        | "server_overloaded"
        | "UNAVAILABLE" => 503,
        "timeout_error" | "timeout" | "gateway_timeout" | "DEADLINE_EXCEEDED" => 504,
        "overloaded_error" | "overloaded" => 529,
        _ => return None,
    })
}
