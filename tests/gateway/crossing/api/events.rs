//! How each API streams its answer.

use super::*;

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

pub(super) fn chat_events() -> Vec<String> {
    let mut events = vec![
        chunk(&json!({"role": "assistant", "content": ""}), None),
        chunk(&json!({"reasoning_content": THOUGHT}), None),
    ];
    events.extend(words().map(|word| chunk(&json!({"content": word}), None)));
    for (index, (id, name, _)) in CALLS.iter().enumerate() {
        let call = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        events.push(chunk(&json!({"tool_calls": [call]}), None));
    }
    // The calls' arguments come in turns.
    for half in 0..2 {
        for (index, (_, _, arguments)) in CALLS.iter().enumerate() {
            let call = json!({"index": index, "function": {"arguments": halves(arguments)[half]}});
            events.push(chunk(&json!({"tool_calls": [call]}), None));
        }
    }
    events.push(chunk(&json!({}), Some("tool_calls")));
    let usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": chat_usage()});
    events.push(format!("data: {usage}\n\n"));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn named(data: &Value) -> String {
    let name = data["type"].as_str().unwrap();
    format!("event: {name}\ndata: {data}\n\n")
}

pub(super) fn messages_events() -> Vec<String> {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": messages_usage(1)}});
    let mut events = vec![named(&start), named(&json!({"type": "ping"}))];
    let mut block = |index: usize, start: Value, deltas: Vec<Value>| {
        let start = json!({"type": "content_block_start", "index": index, "content_block": start});
        events.push(named(&start));
        for delta in deltas {
            let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
            events.push(named(&delta));
        }
        events.push(named(
            &json!({"type": "content_block_stop", "index": index}),
        ));
    };
    block(
        0,
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        vec![
            json!({"type": "thinking_delta", "thinking": THOUGHT}),
            json!({"type": "signature_delta", "signature": "EqoB"}),
        ],
    );
    let words = words().map(|word| json!({"type": "text_delta", "text": word}));
    block(1, json!({"type": "text", "text": ""}), words.collect());
    for (index, (id, name, arguments)) in CALLS.iter().enumerate() {
        let pieces = halves(arguments).into_iter();
        let deltas = pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        block(
            index + 2,
            json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
            deltas.collect(),
        );
    }
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
        "usage": messages_usage(20)});
    events.push(named(&end));
    events.push(named(&json!({"type": "message_stop"})));
    events
}

fn items() -> Vec<Value> {
    let mut items = vec![
        json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}],
            "encrypted_content": "gAAA"}),
        json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}),
    ];
    for (id, name, arguments) in CALLS {
        items.push(
            json!({"id": format!("fc_{id}"), "type": "function_call", "call_id": id, "name": name,
            "arguments": arguments, "status": "completed"}),
        );
    }
    items
}

pub(super) fn response(status: &str) -> Value {
    let done = status == "completed";
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "error": null,
        "incomplete_details": null, "output": if done { items() } else { Vec::new() },
        "usage": if done { responses_usage() } else { Value::Null },
    })
}

pub(super) fn responses_events() -> Vec<String> {
    let mut number = 0;
    let mut events = Vec::new();
    let mut push = |mut data: Value| {
        data["sequence_number"] = json!(number);
        number += 1;
        events.push(named(&data));
    };
    push(json!({"type": "response.created", "response": response("in_progress")}));
    for (at, item) in items().into_iter().enumerate() {
        let mut added = item.clone();
        let id = item["id"].clone();
        match item["type"].as_str().unwrap() {
            "reasoning" => {
                added["summary"] = json!([]);
                added["encrypted_content"] = json!("");
                push(
                    json!({"type": "response.output_item.added", "output_index": at, "item": added}),
                );
                push(
                    json!({"type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": at,
                    "summary_index": 0, "delta": THOUGHT}),
                );
            }
            "message" => {
                added["content"] = json!([]);
                push(
                    json!({"type": "response.output_item.added", "output_index": at, "item": added}),
                );
                push(
                    json!({"type": "response.content_part.added", "item_id": id, "output_index": at,
                    "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
                );
                for word in words() {
                    push(
                        json!({"type": "response.output_text.delta", "item_id": id, "output_index": at,
                        "content_index": 0, "delta": word}),
                    );
                }
                push(
                    json!({"type": "response.output_text.done", "item_id": id, "output_index": at,
                    "content_index": 0, "text": TEXT}),
                );
                push(
                    json!({"type": "response.content_part.done", "item_id": id, "output_index": at,
                    "content_index": 0, "part": item["content"][0]}),
                );
            }
            _ => {
                added["arguments"] = json!("");
                push(
                    json!({"type": "response.output_item.added", "output_index": at, "item": added}),
                );
                let arguments = item["arguments"].as_str().unwrap();
                for piece in halves(arguments) {
                    push(
                        json!({"type": "response.function_call_arguments.delta", "item_id": id,
                        "output_index": at, "delta": piece}),
                    );
                }
                push(
                    json!({"type": "response.function_call_arguments.done", "item_id": id,
                    "output_index": at, "arguments": arguments}),
                );
            }
        }
        push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    push(json!({"type": "response.completed", "response": response("completed")}));
    events
}
