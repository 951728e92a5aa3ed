//! Error bodies and in-protocol error events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::GatewayError;
use crate::{Dialect, Surface};

/// The body of an error response.
pub(crate) fn body(dialect: Dialect, error: &GatewayError, request_id: &str) -> Bytes {
    Bytes::from(value(dialect, error, request_id).to_string())
}

/// The server-sent event that ends a stream which has already begun. No `[DONE]` follows it.
///
/// The Responses event carries the fields of OpenAI's reference at its top level, and also the `error`
/// object that OpenAI really sends and that its SDKs raise on. `sequence` is its place among the events of a
/// stream that numbers them, from 0; other surfaces do not.
pub(crate) fn stream_event(
    surface: Surface,
    error: &GatewayError,
    request_id: &str,
    sequence: u64,
) -> Bytes {
    let named = match surface {
        Surface::Messages | Surface::Responses => "event: error\n",
        Surface::ChatCompletions | Surface::Completions | Surface::Embeddings => "",
    };
    let mut data = value(surface.dialect(), error, request_id);
    if surface == Surface::Responses {
        data = json!({
            "type": "error",
            "code": error.code.code(),
            "message": error.message,
            "param": error.param,
            "sequence_number": sequence,
            "error": data["error"],
        });
    }
    // JSON text has no line break, so it is one `data` line.
    Bytes::from(format!("{named}data: {data}\n\n"))
}

fn value(dialect: Dialect, error: &GatewayError, request_id: &str) -> Value {
    match dialect {
        Dialect::OpenAi => json!({
            "error": {
                "message": error.message,
                "type": error.code.openai_type(),
                "param": error.param,
                "code": error.code.code(),
            },
        }),
        Dialect::Anthropic => json!({
            "type": "error",
            "error": {
                "type": error.code.anthropic_type(),
                "message": error.message,
                "code": error.code.code(),
            },
            "request_id": request_id,
        }),
    }
}
