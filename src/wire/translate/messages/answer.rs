//! Whole answers.

use serde_json::{Value, json};

use super::super::chat::{thinking_block, thinking_value};
use super::super::json::{Fields, str_of};
use super::super::neutral::{Answer, Call, Part, Stop};
use super::super::{Dialect, names, usage};

/// Reads an answer; `None` if it is none.
pub(crate) fn read_answer(body: &[u8]) -> Option<Answer> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let content = value.get("content")?.as_array()?;
    let mut parts = Vec::new();
    for block in content {
        match str_of(block, "type") {
            "text" => parts.push(Part::Text(str_of(block, "text").to_owned(), Vec::new())),
            "tool_use" => parts.push(Part::Call(Call {
                id: str_of(block, "id").to_owned(),
                name: str_of(block, "name").to_owned(),
                namespace: None,
                arguments: block
                    .get("input")
                    .map_or_else(|| "{}".to_owned(), Value::to_string),
                custom: false,
            })),
            "thinking" | "redacted_thinking" => {
                let block = Fields::of(block.clone(), "").ok()?;
                parts.extend(thinking_block(block).ok().flatten().map(Part::Thinking));
            }
            _ => {}
        }
    }
    let sequence = value.get("stop_sequence").and_then(Value::as_str);
    Some(Answer {
        id: str_of(&value, "id").to_owned(),
        model: str_of(&value, "model").to_owned(),
        stop: stop(str_of(&value, "stop_reason"), sequence),
        parts,
        usage: usage::read(Dialect::Anthropic, value.get("usage")),
        tier: value
            .pointer("/usage/service_tier")
            .and_then(Value::as_str)
            .and_then(tier),
    })
}

/// The tier that served, in OpenAI's words.
pub(super) fn tier(name: &str) -> Option<String> {
    match name {
        "standard" => Some("default".to_owned()),
        "priority" => Some("priority".to_owned()),
        _ => None,
    }
}

/// Why it ended. Source: "Handling stop reasons" on platform.claude.com/docs.
pub(super) fn stop(reason: &str, sequence: Option<&str>) -> Stop {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "stop_sequence" => Stop::Sequence(sequence.map(str::to_owned)),
        "tool_use" => Stop::Calls,
        "refusal" => Stop::Refused,
        _ => Stop::Done,
    }
}

/// `stop_reason` and `stop_sequence`; `refused` says that the model said why it does not answer.
pub(super) fn stop_names(stop: &Stop, refused: bool) -> (&'static str, Option<&str>) {
    match stop {
        Stop::Done if refused => ("refusal", None),
        Stop::Done | Stop::Sequence(None) => ("end_turn", None),
        Stop::Sequence(Some(sequence)) => ("stop_sequence", Some(sequence)),
        Stop::Length => ("max_tokens", None),
        Stop::Calls => ("tool_use", None),
        Stop::Refused => ("refusal", None),
    }
}

/// `usage`, with the tier, which Anthropic tells inside.
pub(super) fn usage_value(usage: Option<crate::report::Usage>, tier: Option<&str>) -> Value {
    let mut value = usage::messages(usage.unwrap_or_default());
    match tier {
        Some("default") => value["service_tier"] = "standard".into(),
        Some("priority") => value["service_tier"] = "priority".into(),
        _ => {}
    }
    value
}

/// Writes an answer.
pub(crate) fn write_answer(answer: &Answer) -> Vec<u8> {
    let mut refused = false;
    let mut content = Vec::with_capacity(answer.parts.len());
    for part in &answer.parts {
        content.push(match part {
            Part::Text(text, _) => json!({"type": "text", "text": text}),
            Part::Refusal(text) => {
                refused = true;
                json!({"type": "text", "text": text})
            }
            Part::Thinking(thinking) => thinking_value(thinking),
            Part::Call(call) => {
                let input = match serde_json::from_str(&call.arguments) {
                    Ok(Value::Object(map)) if !call.custom => Value::Object(map),
                    _ => json!({ "input": call.arguments }),
                };
                json!({"type": "tool_use", "id": names::call_id(&call.id), "name": call.name, "input": input})
            }
        });
    }
    let (reason, sequence) = stop_names(&answer.stop, refused);
    let body = json!({
        "id": names::answer_id("msg_", &answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_value(answer.usage, answer.tier.as_deref()),
    });
    body.to_string().into_bytes()
}
