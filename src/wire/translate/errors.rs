//! Errors of providers in the client's dialect.

use serde_json::{Value, json};

use super::Dialect;
use super::neutral::Fault;
use crate::report::StreamFailure;
use crate::report::failure;
use crate::report::meaning::{CONTEXT_LENGTH_EXCEEDED, Meaning, Overlong};

/// Returns a provider's error body, whatever its dialect and shape, in the client's dialect. `status` is the answer's
/// HTTP status.
///
/// What clients act upon (a prompt that is too long, a key that is none, …) has their dialect's own name, and begins
/// with its own words; the provider's follow.
pub fn error(to: Dialect, status: u16, body: &[u8], request_id: &str) -> Vec<u8> {
    value(
        to,
        &of_stream(failure::of_body(status, body)),
        Some(request_id),
    )
    .to_string()
    .into_bytes()
}

/// Returns an error that a provider sent in a stream, as an error body of the client's dialect.
pub fn failure_body(to: Dialect, failure: &StreamFailure, request_id: &str) -> Vec<u8> {
    value(to, &of_stream(failure.clone()), Some(request_id))
        .to_string()
        .into_bytes()
}

/// A fault inside a stream.
pub(super) fn of_stream(failure: StreamFailure) -> Fault {
    match failure {
        StreamFailure::ErrorEvent {
            status,
            kind,
            message,
        } => Fault {
            status,
            kind,
            message,
        },
        StreamFailure::Malformed => Fault {
            status: 502,
            kind: "api_error".to_owned(),
            message: "the provider's stream is malformed".to_owned(),
        },
    }
}

/// The error as JSON.
pub(super) fn value(to: Dialect, fault: &Fault, request_id: Option<&str>) -> Value {
    let meaning = Meaning::of(fault.status, &fault.kind, &fault.message);
    // A status alone says little of what is meant; its type says as much.
    let told = Meaning::of(400, &fault.kind, &fault.message) == meaning;
    let message = match told {
        true => in_words(to, meaning, &fault.message),
        false => fault.message.clone(),
    };
    match to {
        Dialect::OpenAi => json!({
            "error": {
                "message": message,
                "type": openai_type(fault, meaning),
                "param": null,
                "code": code(fault, meaning),
            },
        }),
        Dialect::Anthropic => {
            let kind = match meaning {
                Meaning::Quota => "billing_error",
                Meaning::Authentication => "authentication_error",
                _ => anthropic_type(fault.status),
            };
            let mut value = json!({
                "type": "error",
                "error": {"type": kind, "message": message},
            });
            if let Some(id) = request_id {
                value["request_id"] = id.into();
            }
            value
        }
    }
}

/// OpenAI's `code`: its own word for what clients act upon, else the provider's, unless that is no more than a type.
fn code(fault: &Fault, meaning: Meaning) -> Value {
    match meaning {
        Meaning::ContextLength => CONTEXT_LENGTH_EXCEEDED.into(),
        Meaning::ContentPolicy => "content_policy_violation".into(),
        Meaning::Quota => "insufficient_quota".into(),
        Meaning::Authentication => "invalid_api_key".into(),
        Meaning::ModelNotFound => "model_not_found".into(),
        Meaning::RateLimit => "rate_limit_exceeded".into(),
        Meaning::Other => match fault.kind.as_str() {
            "error" | "api_error" | "invalid_request_error" | "server_error" => Value::Null,
            kind => kind.into(),
        },
    }
}

fn openai_type(fault: &Fault, meaning: Meaning) -> &'static str {
    match (fault.status, meaning) {
        (_, Meaning::Quota) => "insufficient_quota",
        (401, _) | (_, Meaning::Authentication) => "authentication_error",
        (402, _) => "insufficient_quota",
        (403, _) => "permission_error",
        (429, _) => "rate_limit_error",
        (400..=499, _) => "invalid_request_error",
        _ => "server_error",
    }
}

/// The provider's words, behind those by which clients of a dialect know what is meant. Sources: the messages of OpenAI's
/// and Anthropic's APIs; coding agents look for these.
fn in_words(to: Dialect, meaning: Meaning, said: &str) -> String {
    let openai = to == Dialect::OpenAi;
    let (known, words): (&[&str], String) = match (meaning, Overlong::of(said)) {
        (Meaning::ContextLength, figures) if openai => (
            &["maximum context length", "context window of this model"],
            match figures {
                Some(figures) => figures.in_words(to),
                None => "Your input exceeds the context window of this model".to_owned(),
            },
        ),
        (Meaning::ContextLength, figures) => (
            &["prompt is too long", "exceed context limit"],
            match figures {
                Some(figures) => figures.in_words(to),
                None => "prompt is too long".to_owned(),
            },
        ),
        (Meaning::ContentPolicy, _) if !openai => (
            &["content filtering policy"],
            "Output blocked by content filtering policy".to_owned(),
        ),
        (Meaning::Quota, _) if openai => (
            &["exceeded your current quota"],
            "You exceeded your current quota, please check your plan and billing details"
                .to_owned(),
        ),
        (Meaning::Quota, _) => (
            &["credit balance is too low"],
            "Your credit balance is too low".to_owned(),
        ),
        (Meaning::Authentication, _) if openai => (
            &["incorrect api key", "invalid api key"],
            "Incorrect API key provided".to_owned(),
        ),
        (Meaning::Authentication, _) => (&["x-api-key"], "invalid x-api-key".to_owned()),
        _ => return said.to_owned(),
    };
    let lower = said.to_ascii_lowercase();
    if known.iter().any(|known| lower.contains(known)) {
        return said.to_owned();
    }
    format!("{words}. The provider said: {said}")
}

/// Source: docs.claude.com/en/api/errors, "HTTP errors".
fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests;
