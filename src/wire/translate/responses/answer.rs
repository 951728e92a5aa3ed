//! Whole answers.

use serde_json::{Value, json};

use super::super::json::str_of;
use super::super::neutral::{Answer, Call, Part, Proof, Stop, Thinking};
use super::super::{Dialect, Reply, names, usage};
use super::items::proof;

/// Reads an answer; `None` if it is none.
pub(crate) fn read_answer(body: &[u8]) -> Option<Answer> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let output = value.get("output")?.as_array()?;
    let mut parts = Vec::new();
    for item in output {
        read_item(item, &mut parts);
    }
    let calls = parts.iter().any(|part| matches!(part, Part::Call(_)));
    let reason = value
        .pointer("/incomplete_details/reason")
        .and_then(Value::as_str);
    Some(Answer {
        id: str_of(&value, "id").to_owned(),
        model: str_of(&value, "model").to_owned(),
        stop: stop(str_of(&value, "status"), reason, calls),
        parts,
        usage: usage::read(Dialect::OpenAi, value.get("usage")),
        tier: value
            .get("service_tier")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

/// Why it ended.
pub(super) fn stop(status: &str, reason: Option<&str>, calls: bool) -> Stop {
    match (status, reason) {
        ("incomplete", Some("content_filter")) => Stop::Refused,
        ("incomplete", _) => Stop::Length,
        _ if calls => Stop::Calls,
        _ => Stop::Done,
    }
}

fn read_item(item: &Value, parts: &mut Vec<Part>) {
    let kind = str_of(item, "type");
    let list = |key: &str| {
        item.get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    match kind {
        "message" => {
            for part in list("content") {
                match str_of(part, "type") {
                    "output_text" => {
                        let logprobs = part.get("logprobs").and_then(Value::as_array);
                        let text = str_of(part, "text").to_owned();
                        parts.push(Part::Text(text, logprobs.cloned().unwrap_or_default()));
                    }
                    "refusal" => parts.push(Part::Refusal(str_of(part, "refusal").to_owned())),
                    _ => {}
                }
            }
        }
        "reasoning" => {
            let texts = |key| {
                list(key)
                    .map(|part| str_of(part, "text"))
                    .collect::<Vec<_>>()
            };
            let mut words = texts("summary");
            if words.is_empty() {
                words = texts("content");
            }
            parts.push(Part::Thinking(Thinking {
                text: words.join("\n\n"),
                proof: proof(str_of(item, "id"), str_of(item, "encrypted_content")),
            }));
        }
        "function_call" | "custom_tool_call" => {
            let custom = kind == "custom_tool_call";
            let arguments = match str_of(item, if custom { "input" } else { "arguments" }) {
                "" if !custom => "{}",
                text => text,
            };
            parts.push(Part::Call(Call {
                id: str_of(item, "call_id").to_owned(),
                name: str_of(item, "name").to_owned(),
                namespace: item
                    .get("namespace")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                arguments: arguments.to_owned(),
                custom,
            }));
        }
        _ => {}
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
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": head.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": head.tier.unwrap_or("default"),
        "store": false,
        "temperature": null,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
        "usage": null,
    });
    for (key, said) in &reply.echo {
        value[key] = said.clone();
    }
    value
}
