//! Whole answers.

use serde_json::{Value, json};

use super::super::chat::thinking_value;
use super::super::neutral::{Answer, Part, Stop};
use super::super::{names, usage};

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

/// `usage`, with the tier, which Anthropic puts inside.
pub(super) fn usage_value(usage: Option<crate::report::Usage>, tier: Option<&str>) -> Value {
    let mut value = usage::messages(usage.unwrap_or_default());
    value["service_tier"] = match tier {
        Some("default") => "standard".into(),
        Some("priority") => "priority".into(),
        _ => Value::Null,
    };
    value
}

/// A block of text.
pub(super) fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text, "citations": null})
}

/// The block of a call that the model itself makes.
pub(super) fn call_block(id: &str, name: &str, input: &Value) -> Value {
    json!({"type": "tool_use", "id": id, "name": name, "input": input, "caller": {"type": "direct"}})
}

/// Writes an answer.
pub(crate) fn write_answer(answer: &Answer) -> Vec<u8> {
    let mut refused = false;
    let mut content = Vec::with_capacity(answer.parts.len());
    for part in &answer.parts {
        content.push(match part {
            Part::Text(text, _) => text_block(text),
            Part::Refusal(text) => {
                refused = true;
                text_block(text)
            }
            Part::Thinking(thinking) => thinking_value(thinking),
            Part::Call(call) => {
                let input = match serde_json::from_str(&call.arguments) {
                    Ok(Value::Object(map)) if !call.custom => Value::Object(map),
                    _ => json!({ "input": call.arguments }),
                };
                call_block(&names::call_id(&call.id), &call.name, &input)
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
        "stop_details": null,
        "container": null,
        "usage": usage_value(answer.usage, answer.tier.as_deref()),
    });
    body.to_string().into_bytes()
}
