//! Whole answers.

use serde_json::{Value, json};

use super::super::neutral::{Answer, Call, Part, Proof, Stop, Thinking};
use super::super::{Reply, names, usage};

/// Why it ended.
pub(super) fn stop(status: &str, reason: Option<&str>, calls: bool) -> Stop {
    match (status, reason) {
        ("incomplete", Some("content_filter")) => Stop::Refused,
        ("incomplete", _) => Stop::Length,
        _ if calls => Stop::Calls,
        _ => Stop::Done,
    }
}

/// An item's id: the answer's, its kind's prefix and its place.
pub(super) fn item_id(prefix: &str, answer: &str, at: usize) -> String {
    format!("{prefix}{}_{at}", names::answer_id("", answer))
}

/// The item of a thought.
pub(super) fn reasoning_item(id: &str, thinking: &Thinking) -> Value {
    let summary = match thinking.text.as_str() {
        "" => json!([]),
        text => json!([{"type": "summary_text", "text": text}]),
    };
    let (id, content) = match &thinking.proof {
        Proof::Encrypted { id: own, content } => (
            if own.is_empty() { id } else { own.as_str() },
            content.clone(),
        ),
        proof => (id, proof.seal()),
    };
    json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": content})
}

/// The item of a call.
pub(super) fn call_item(id: &str, call: &Call, status: &str) -> Value {
    let mut item = if call.custom {
        json!({
            "id": id, "type": "custom_tool_call", "call_id": call.id, "name": call.name,
            "input": call.arguments,
        })
    } else {
        json!({
            "id": id, "type": "function_call", "status": status, "call_id": call.id,
            "name": call.name, "arguments": call.arguments,
        })
    };
    if let Some(namespace) = &call.namespace {
        item["namespace"] = namespace.as_str().into();
    }
    item
}

/// The item of a message with one part.
pub(super) fn message_item(id: &str, part: &Value, status: &str) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": [part]})
}

/// The prefix of the ids of calls.
pub(super) fn call_prefix(custom: bool) -> &'static str {
    if custom { "ctc_" } else { "fc_" }
}

/// Writes an answer.
pub(crate) fn write_answer(answer: &Answer, reply: &Reply, created: u64) -> Vec<u8> {
    let mut output = Vec::with_capacity(answer.parts.len());
    for (at, part) in answer.parts.iter().enumerate() {
        output.push(match part {
            Part::Text(text, logprobs) => {
                let part = json!({
                    "type": "output_text", "annotations": [], "logprobs": logprobs, "text": text,
                });
                message_item(&item_id("msg_", &answer.id, at), &part, "completed")
            }
            Part::Refusal(text) => {
                let part = json!({"type": "refusal", "refusal": text});
                message_item(&item_id("msg_", &answer.id, at), &part, "completed")
            }
            Part::Thinking(thinking) => reasoning_item(&item_id("rs_", &answer.id, at), thinking),
            Part::Call(call) => {
                let id = item_id(call_prefix(call.custom), &answer.id, at);
                call_item(&id, call, "completed")
            }
        });
    }
    let head = Head {
        id: &answer.id,
        model: &answer.model,
        tier: answer.tier.as_deref(),
        created,
    };
    let (status, details) = status(&answer.stop);
    let mut value = response(&head, reply, status, output);
    value["incomplete_details"] = details;
    value["usage"] = answer.usage.map_or(Value::Null, usage::responses);
    value.to_string().into_bytes()
}

/// `status` and `incomplete_details`.
pub(super) fn status(stop: &Stop) -> (&'static str, Value) {
    match stop {
        Stop::Done | Stop::Sequence(_) | Stop::Calls => ("completed", Value::Null),
        Stop::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        Stop::Refused => ("incomplete", json!({"reason": "content_filter"})),
    }
}

/// What every response object says of its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub id: &'a str,
    pub model: &'a str,
    pub tier: Option<&'a str>,
    pub created: u64,
}

/// A response object, without its usage.
pub(super) fn response(head: &Head<'_>, reply: &Reply, status: &str, output: Vec<Value>) -> Value {
    let mut value = json!({
        "id": names::answer_id("resp_", head.id),
        "object": "response",
        "created_at": head.created,
        "completed_at": (status == "completed").then_some(head.created),
        "status": status,
        "background": false,
        "error": null,
        "frequency_penalty": 0.0,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "metadata": {},
        "model": head.model,
        "output": output,
        "parallel_tool_calls": true,
        "presence_penalty": 0.0,
        "previous_response_id": null,
        "prompt_cache_key": null,
        "reasoning": {"effort": null, "summary": null},
        "safety_identifier": null,
        "service_tier": head.tier.unwrap_or("default"),
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
    });
    for (key, said) in reply.echo.iter() {
        value[key] = said.clone();
    }
    value
}
