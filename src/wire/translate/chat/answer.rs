//! Whole answers.

use serde_json::{Map, Value, json};

use super::super::json::put;
use super::super::neutral::{Answer, Part, Stop};
use super::super::{names, usage};
use super::parts::thinking_value;

/// Why it ended. Some providers say `stop` though they call.
pub(super) fn stop(reason: &str, calls: bool) -> Stop {
    match reason {
        "length" => Stop::Length,
        "content_filter" => Stop::Refused,
        "tool_calls" | "function_call" => Stop::Calls,
        _ if calls => Stop::Calls,
        _ => Stop::Done,
    }
}

/// The name of why it ended.
pub(super) fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::Done | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Calls => "tool_calls",
        Stop::Refused => "content_filter",
    }
}

/// Writes an answer.
pub(crate) fn write_answer(answer: &Answer, created: u64) -> Vec<u8> {
    let (mut text, mut refusal, mut words) = (String::new(), String::new(), String::new());
    let (mut calls, mut thoughts, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for part in &answer.parts {
        match part {
            Part::Text(more, logprobs) => {
                text.push_str(more);
                probabilities.extend(logprobs.iter().cloned());
            }
            Part::Refusal(more) => refusal.push_str(more),
            Part::Thinking(thinking) => {
                words.push_str(&thinking.text);
                thoughts.push(thinking_value(thinking));
            }
            Part::Call(call) if call.custom => calls.push(json!({
                "id": call.id, "type": "custom",
                "custom": {"name": call.name, "input": call.arguments},
            })),
            Part::Call(call) => calls.push(json!({
                "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            })),
        }
    }
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    message.insert("content".to_owned(), some(text).into());
    message.insert("refusal".to_owned(), some(refusal).into());
    message.insert("annotations".to_owned(), Value::Array(Vec::new()));
    put(&mut message, "reasoning_content", some(words));
    for (key, list) in [("thinking_blocks", thoughts), ("tool_calls", calls)] {
        if !list.is_empty() {
            message.insert(key.to_owned(), list.into());
        }
    }
    let logprobs = match probabilities.is_empty() {
        true => Value::Null,
        false => json!({"content": probabilities, "refusal": null}),
    };
    let mut body = json!({
        "id": names::answer_id("chatcmpl-", &answer.id),
        "object": "chat.completion",
        "created": created,
        "model": answer.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": logprobs,
            "finish_reason": finish_reason(&answer.stop),
        }],
    });
    if let Some(usage) = answer.usage {
        body["usage"] = usage::chat(usage);
    }
    if let Some(tier) = &answer.tier {
        body["service_tier"] = tier.as_str().into();
    }
    body.to_string().into_bytes()
}
