//! How the gateway itself ends a stream whose credits are gone: as a provider does at a token limit, so that
//! clients keep what they have and see why it ended.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Surface;

/// What is known of the stream that ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopped<'a> {
    /// The answer's id; empty if it gave none.
    pub id: &'a str,
    /// The model, as the answer names it.
    pub model: &'a str,
    /// When (Unix time, s).
    pub created: u64,
    /// The content block of a message that has begun and has not ended.
    pub open_block: Option<u64>,
    /// The number of the last event, of a Responses stream.
    pub number: u64,
    /// Prompt tokens.
    pub input: u64,
    /// Answer tokens, as far as it came.
    pub output: u64,
    /// Whether the client asked for a usage chunk.
    pub wants_usage: bool,
}

/// Returns the events that end the stream, the protocol's own end included.
pub fn stop(surface: Surface, at: &Stopped<'_>) -> Bytes {
    match surface {
        Surface::ChatCompletions | Surface::Embeddings => {
            let choice =
                json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": "length"});
            chunks("chat.completion.chunk", &choice, at)
        }
        Surface::Completions => {
            let choice =
                json!({"index": 0, "text": "", "logprobs": null, "finish_reason": "length"});
            chunks("text_completion", &choice, at)
        }
        Surface::Messages => message(at),
        Surface::Responses => response(at),
    }
    .into()
}

fn chunks(object: &str, choice: &Value, at: &Stopped<'_>) -> String {
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": at.id, "object": object, "created": at.created, "model": at.model, "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let mut events = chunk(json!([choice]), None);
    if at.wants_usage {
        let usage = json!({
            "prompt_tokens": at.input, "completion_tokens": at.output, "total_tokens": at.input + at.output,
        });
        events += &chunk(json!([]), Some(usage));
    }
    events + "data: [DONE]\n\n"
}

fn message(at: &Stopped<'_>) -> String {
    let event = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let close = at
        .open_block
        .map(|index| event("content_block_stop", json!({ "index": index })));
    let delta = json!({
        "delta": {"stop_reason": "max_tokens", "stop_sequence": null},
        "usage": {"output_tokens": at.output},
    });
    close.unwrap_or_default() + &event("message_delta", delta) + &event("message_stop", json!({}))
}

fn response(at: &Stopped<'_>) -> String {
    let data = json!({
        "type": "response.incomplete",
        "sequence_number": at.number,
        "response": {
            "id": at.id, "object": "response", "created_at": at.created, "model": at.model,
            "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
            "error": null, "instructions": null, "metadata": {}, "output": [], "parallel_tool_calls": true,
            "temperature": null, "tool_choice": "auto", "tools": [], "top_p": null,
            "usage": {
                "input_tokens": at.input, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": at.output, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": at.input + at.output,
            },
        },
    });
    format!("event: response.incomplete\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Observer;

    #[test]
    fn every_surface_ends_as_its_protocol_does() {
        for surface in Surface::ALL {
            if surface == Surface::Embeddings {
                continue; // it has no streams
            }
            for wants_usage in [false, true] {
                let at = Stopped {
                    id: "x-1",
                    model: "m",
                    created: 1,
                    open_block: Some(2),
                    number: 5,
                    input: 7,
                    output: 3,
                    wants_usage,
                };
                let mut observer = Observer::stream(surface, false);
                let end = stop(surface, &at);
                if surface == Surface::Responses {
                    let text = String::from_utf8_lossy(&end);
                    assert!(text.contains("\"sequence_number\":5"), "{text}");
                }
                let seen = observer.feed(end);
                assert_eq!(seen.failure, None, "{surface:?}");
                assert!(observer.complete() && observer.at_boundary(), "{surface:?}");
                let reason = observer.finish_reason();
                assert!(
                    matches!(
                        reason,
                        Some("length" | "max_tokens" | "max_output_tokens" | "incomplete")
                    ),
                    "{surface:?}: {reason:?}"
                );
            }
        }
    }
}
