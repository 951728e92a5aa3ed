//! Who may call what, and what travels: a real gateway between exact clients and providers that remember.

mod access;
mod answers;
mod bodies;
mod failover_off;
mod headers;
mod keys;
mod local;
mod rules;
mod usage_chunk;

use serde_json::{Value, json};

use crate::common;
use crate::common::ask;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::access_key;
use crate::common::requests::{Request, from, token};
use crate::common::script::Script;

/// Every path that goes to a provider, with the least body it takes for a model.
const ENDPOINTS: [(&str, &str); 6] = [
    (
        "/v1/chat/completions",
        r#""messages":[{"role":"user","content":"hi"}]"#,
    ),
    ("/v1/completions", r#""prompt":"hi""#),
    ("/v1/responses", r#""input":"hi""#),
    ("/v1/embeddings", r#""input":"hi""#),
    (
        "/v1/messages",
        r#""max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#,
    ),
    (
        "/v1/messages/count_tokens",
        r#""messages":[{"role":"user","content":"hi"}]"#,
    ),
];

/// A request to one of [`ENDPOINTS`].
fn least((path, rest): (&str, &str), model: &str) -> Request {
    Request::post(path, format!(r#"{{"model":"{model}",{rest}}}"#))
}

/// A provider that answers every endpoint in its own shape.
async fn provider() -> Fake {
    Fake::answering(Wire::H1, |seen| Script::json(200, &shape(&seen.path))).await
}

/// The answer of an endpoint, chosen by the end of its path.
fn shape(path: &str) -> Value {
    let path = path.split('?').next().unwrap_or_default();
    if path.ends_with("/chat/completions") {
        common::script::chat_answer("hello")
    } else if path.ends_with("/completions") {
        json!({"id": "c", "object": "text_completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "text": "hello", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    } else if path.ends_with("/responses") {
        json!({"id": "r", "object": "response", "status": "completed", "model": "m",
            "output": [{"type": "message", "role": "assistant",
                "content": [{"type": "output_text", "text": "hello"}]}],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
    } else if path.ends_with("/embeddings") {
        json!({"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    } else if path.ends_with("/count_tokens") {
        json!({"input_tokens": 1})
    } else {
        json!({"id": "msg", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 1, "output_tokens": 1}})
    }
}
