//! Error bodies and in-protocol error events.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Value, json};

use super::GatewayError;
use crate::report::meaning::CONTEXT_LENGTH_EXCEEDED;
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
            "code": openai_code(error),
            "message": openai_message(error),
            "param": error.param,
            "sequence_number": sequence,
            "error": data["error"],
        });
    }
    // JSON text has no line break, so it is one `data` line.
    Bytes::from(format!("{named}data: {data}\n\n"))
}

/// A prompt that is too long is told in OpenAI's own words.
fn openai_message(error: &GatewayError) -> Cow<'_, str> {
    match error.overlong {
        Some(overlong) => {
            let words = overlong.in_words(Dialect::OpenAi);
            format!("{words}. `max_input_tokens` allows no more.").into()
        }
        None => error.message.as_str().into(),
    }
}

/// The code, or what OpenAI's clients look for in its place.
fn openai_code(error: &GatewayError) -> &'static str {
    match error.overlong {
        Some(_) => CONTEXT_LENGTH_EXCEEDED,
        None => error.code.code(),
    }
}

fn value(dialect: Dialect, error: &GatewayError, request_id: &str) -> Value {
    match dialect {
        Dialect::OpenAi => json!({
            "error": {
                "message": openai_message(error),
                "type": error.code.openai_type(),
                "param": error.param,
                "code": openai_code(error),
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
