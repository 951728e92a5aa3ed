//! Errors of providers in the client's dialect.

use serde_json::{Value, json};

use super::Dialect;
use super::neutral::Fault;
use crate::report::StreamFailure;
use crate::report::failure::{Body, Fault as Read};
use crate::report::lenient::Maybe;

/// A provider's error body, whatever its dialect, in the client's. `status` is the answer's HTTP status.
///
/// A body that is no error object of any dialect is told as an error with the status's own type, and without
/// the body's words: it may be a proxy's HTML.
pub fn error(to: Dialect, status: u16, body: &[u8], request_id: &str) -> Vec<u8> {
    value(to, &fault(status, body), Some(request_id))
        .to_string()
        .into_bytes()
}

/// What an error body says, with the status that it came with.
fn fault(status: u16, body: &[u8]) -> Fault {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Whole<'a> {
        #[serde(borrow)]
        error: Read<'a>,
        #[serde(borrow, flatten)]
        bare: Bare<'a>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Bare<'a> {
        #[serde(borrow)]
        message: crate::report::lenient::Text<'a>,
    }
    let whole: Whole<'_> = serde_json::from_slice::<Maybe<Whole<'_>>>(body)
        .ok()
        .and_then(|whole| whole.0)
        .unwrap_or_default();
    let bare = Body {
        message: whole.bare.message,
        ..Body::default()
    };
    match whole.error.failure().or_else(|| bare.failure()) {
        Some(StreamFailure::ErrorEvent { kind, message, .. }) => Fault {
            status,
            kind,
            message,
        },
        _ => Fault {
            status,
            kind: anthropic_type(status).to_owned(),
            message: format!("the provider answered with status {status}"),
        },
    }
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
    match to {
        Dialect::OpenAi => json!({
            "error": {
                "message": fault.message,
                "type": openai_type(fault),
                "param": null,
                "code": code(fault),
            },
        }),
        Dialect::Anthropic => {
            let mut value = json!({
                "type": "error",
                "error": {"type": anthropic_type(fault.status), "message": fault.message},
            });
            if let Some(id) = request_id {
                value["request_id"] = id.into();
            }
            value
        }
    }
}

/// OpenAI's `code`: the provider's own word, unless it is no more than a type.
fn code(fault: &Fault) -> Value {
    match fault.kind.as_str() {
        "error" | "api_error" | "invalid_request_error" | "server_error" => Value::Null,
        "authentication_error" => "invalid_api_key".into(),
        "rate_limit_error" => "rate_limit_exceeded".into(),
        kind => kind.into(),
    }
}

fn openai_type(fault: &Fault) -> &'static str {
    match fault.status {
        _ if fault.kind == "insufficient_quota" => "insufficient_quota",
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
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
mod tests {
    use super::*;

    fn said(to: Dialect, status: u16, body: &str) -> Value {
        serde_json::from_slice(&error(to, status, body.as_bytes(), "req_1")).expect("JSON")
    }

    /// Bodies as in docs.claude.com/en/api/errors and platform.openai.com/docs/guides/error-codes.
    #[test]
    fn errors_change_their_dialect() {
        let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"x"}"#;
        let error = said(Dialect::OpenAi, 529, body);
        assert_eq!(
            error,
            json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": "overloaded_error"}})
        );
        let body = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
        let error = said(Dialect::Anthropic, 429, body);
        assert_eq!(
            error,
            json!({"type": "error", "error": {"type": "rate_limit_error", "message": "You exceeded your current quota"}, "request_id": "req_1"})
        );
    }

    #[test]
    fn what_is_no_error_object_is_told_by_its_status() {
        for body in ["<html>502 Bad Gateway</html>", "", "[]", "7", "{}"] {
            let error = said(Dialect::Anthropic, 502, body);
            assert_eq!(error["error"]["type"], "api_error", "{body}");
            assert_eq!(
                error["error"]["message"], "the provider answered with status 502",
                "{body}"
            );
        }
    }
}
