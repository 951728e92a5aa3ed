//! Whole answers.

use serde_json::{Map, Value, json};

use super::super::json::{Fields, put, str_of};
use super::super::neutral::{Answer, Call, Part, Proof, Stop, Thinking};
use super::super::{Dialect, names, usage};
use super::parts::{thinking_block, thinking_value};

/// Reads an answer; `None` if it is none.
pub(crate) fn read_answer(body: &[u8]) -> Option<Answer> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let choice = value.get("choices")?.get(0)?;
    let message = choice.get("message")?;
    let mut parts = Vec::new();
    for block in message
        .get("thinking_blocks")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let block = Fields::of(block.clone(), "").ok()?;
        parts.extend(thinking_block(block).ok().flatten().map(Part::Thinking));
    }
    let words = [message.get("reasoning_content"), message.get("reasoning")];
    let words = words
        .into_iter()
        .flatten()
        .find_map(Value::as_str)
        .unwrap_or_default();
    if parts.is_empty() && !words.is_empty() {
        parts.push(Part::Thinking(Thinking {
            text: words.to_owned(),
            proof: Proof::None,
        }));
    }
    let text = text_of(message.get("content"));
    if !text.is_empty() {
        let logprobs = choice
            .pointer("/logprobs/content")
            .and_then(Value::as_array);
        parts.push(Part::Text(text, logprobs.cloned().unwrap_or_default()));
    }
    let refusal = str_of(message, "refusal");
    if !refusal.is_empty() {
        parts.push(Part::Refusal(refusal.to_owned()));
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (at, call) in calls.into_iter().flatten().enumerate() {
        parts.push(Part::Call(read_call(at, call)));
    }
    let stop = stop_of(str_of(choice, "finish_reason"), &parts);
    Some(Answer {
        id: str_of(&value, "id").to_owned(),
        model: str_of(&value, "model").to_owned(),
        stop,
        parts,
        usage: usage::read(Dialect::OpenAi, value.get("usage")),
        tier: value
            .get("service_tier")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().map(|part| str_of(part, "text")).collect(),
        _ => String::new(),
    }
}

fn read_call(at: usize, call: &Value) -> Call {
    let custom = str_of(call, "type") == "custom";
    let inner = call.get(if custom { "custom" } else { "function" });
    let inner = inner.unwrap_or(&Value::Null);
    let id = match str_of(call, "id") {
        "" => format!("call_{at}"),
        id => id.to_owned(),
    };
    let arguments = match inner.get(if custom { "input" } else { "arguments" }) {
        Some(Value::String(text)) if text.is_empty() && !custom => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        // Some compatible providers give the object itself.
        Some(Value::Object(map)) => Value::Object(map.clone()).to_string(),
        _ => "{}".to_owned(),
    };
    Call {
        id,
        name: str_of(inner, "name").to_owned(),
        namespace: None,
        arguments,
        custom,
    }
}

/// Why it ended, by the name that is given and by what it holds.
fn stop_of(reason: &str, parts: &[Part]) -> Stop {
    let calls = parts.iter().any(|part| matches!(part, Part::Call(_)));
    stop(reason, calls)
}

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
