//! How each API's client reads an answer.

use serde_json::{Value, json};

use super::Said;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Arguments without the liberties of JSON.
fn arguments(value: &Value) -> String {
    let value = match value {
        Value::String(text) => serde_json::from_str(text)
            .unwrap_or_else(|_| panic!("arguments that are no JSON: {text}")),
        value => value.clone(),
    };
    value.to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn chat_said(body: &Value) -> Said {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    let calls = list(&message["tool_calls"]).iter().map(|call| {
        let function = &call["function"];
        (
            text(&call["id"]),
            text(&function["name"]),
            arguments(&function["arguments"]),
        )
    });
    Said {
        text: text(&message["content"]),
        thought: text(&message["reasoning_content"]),
        calls: calls.collect(),
        stop: text(&choice["finish_reason"]),
        model: text(&body["model"]),
    }
}

/// A chat stream's chunks as one completion.
pub(super) fn chat_joined(chunks: &[Value]) -> Value {
    let (mut content, mut thought, mut finish) = (String::new(), String::new(), Value::Null);
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for chunk in chunks {
        let choice = &chunk["choices"][0];
        content += &text(&choice["delta"]["content"]);
        thought += &text(&choice["delta"]["reasoning_content"]);
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
        for call in list(&choice["delta"]["tool_calls"]) {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if calls.len() <= at {
                calls.resize(at + 1, Default::default());
            }
            calls[at].0 += &text(&call["id"]);
            calls[at].1 += &text(&call["function"]["name"]);
            calls[at].2 += &text(&call["function"]["arguments"]);
        }
    }
    let calls: Vec<Value> = calls
        .into_iter()
        .map(|(id, name, arguments)| json!({"id": id, "function": {"name": name, "arguments": arguments}}))
        .collect();
    let model = chunks.first().map(|chunk| chunk["model"].clone());
    json!({"model": model, "choices": [{"finish_reason": finish,
        "message": {"content": content, "reasoning_content": thought, "tool_calls": calls}}]})
}

pub(super) fn message_said(body: &Value) -> Said {
    let mut said = Said {
        stop: text(&body["stop_reason"]),
        model: text(&body["model"]),
        ..Said::default()
    };
    for block in list(&body["content"]) {
        match block["type"].as_str().unwrap() {
            "text" => said.text += &text(&block["text"]),
            "thinking" => said.thought += &text(&block["thinking"]),
            "tool_use" => said.calls.push((
                text(&block["id"]),
                text(&block["name"]),
                arguments(&block["input"]),
            )),
            other => panic!("a block of the type {other}"),
        }
    }
    said
}

/// A message's events as one message; checks that blocks follow one another.
pub(super) fn message_joined(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut content: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let mut open = None;
    for event in events {
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(open, None, "one block at a time: {event}");
                assert_eq!(event["index"], json!(content.len()), "{event}");
                open = Some(content.len());
                content.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let at = open.expect("an open block");
                assert_eq!(event["index"], json!(at), "{event}");
                for key in ["text", "thinking"] {
                    if let Some(more) = event["delta"][key].as_str() {
                        content[at][key] = json!(text(&content[at][key]) + more);
                    }
                }
                inputs[at] += &text(&event["delta"]["partial_json"]);
            }
            "content_block_stop" => {
                assert_eq!(event["index"], json!(open.take()), "{event}");
            }
            "message_delta" => message["stop_reason"] = event["delta"]["stop_reason"].clone(),
            _ => {}
        }
    }
    for (block, input) in content.iter_mut().zip(inputs) {
        if block["type"] == "tool_use" {
            block["input"] = json!(input);
        }
    }
    message["content"] = json!(content);
    message
}

pub(super) fn response_said(body: &Value) -> Said {
    let mut said = Said {
        stop: text(&body["status"]),
        model: text(&body["model"]),
        ..Said::default()
    };
    for item in list(&body["output"]) {
        match item["type"].as_str().unwrap() {
            "message" => {
                for part in list(&item["content"]) {
                    said.text += &text(&part["text"]);
                }
            }
            "reasoning" => {
                for part in list(&item["summary"]) {
                    said.thought += &text(&part["text"]);
                }
            }
            "function_call" => said.calls.push((
                text(&item["call_id"]),
                text(&item["name"]),
                arguments(&item["arguments"]),
            )),
            other => panic!("an item of the type {other}"),
        }
    }
    said
}

/// What the fragments say; it must be what the last event says.
pub(super) fn responses_stream_said(events: &[Value]) -> Said {
    let mut fragments = (String::new(), String::new(), String::new());
    let mut last = Said::default();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(at), "{event}");
        let delta = text(&event["delta"]);
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" => fragments.0 += &delta,
            "response.reasoning_summary_text.delta" => fragments.1 += &delta,
            "response.function_call_arguments.delta" => fragments.2 += &delta,
            "response.completed" | "response.incomplete" => {
                last = response_said(&event["response"])
            }
            _ => {}
        }
    }
    if last.stop.is_empty() {
        return Said {
            text: fragments.0,
            thought: fragments.1,
            ..last
        };
    }
    assert_eq!(fragments.0, last.text, "fragments and the whole text");
    assert_eq!(fragments.1, last.thought, "fragments and the whole thought");
    last
}
