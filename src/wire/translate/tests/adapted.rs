//! What requests are brought into, so that the provider's API takes them at all.

use super::*;

fn by(model: &str, from: Surface, to: Surface, body: &Value) -> Translated {
    let target = Target::of_model(model, Some(64_000));
    crate::translate::request(from, to, body.to_string().as_bytes(), &target)
        .unwrap_or_else(|refusal| panic!("{refusal}: {body}"))
}

fn chat(messages: Value) -> Value {
    json!({"model": "m", "messages": messages})
}

/// A turn that sums up what was done, as Codex's and Claude Code's compaction ask for, has no tools any more.
#[test]
fn calls_in_a_history_without_tools_are_still_valid_for_anthropic() {
    let input = json!({"model": "m", "store": false, "input": [
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{\"path\":\"a\"}"},
        {"type": "function_call", "call_id": "c2", "namespace": "mcp", "name": "read", "arguments": "{}"},
        {"type": "function_call", "call_id": "c3", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "b"},
        {"type": "function_call_output", "call_id": "c2", "output": "b"},
        {"type": "function_call_output", "call_id": "c3", "output": "b"},
        {"role": "user", "content": "Sum it up."},
    ]});
    let messages = chat(json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "b"},
        {"role": "user", "content": "Sum it up."},
    ]));
    let open = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
    for (from, body, tools) in [
        (RESPONSES, input, vec![open("read"), open("mcp__read")]),
        (CHAT, messages, vec![open("read")]),
    ] {
        let sent = translated(from, MESSAGES, &body);
        let value = parsed(&sent.body);
        assert_eq!(value["tools"], json!(tools));
        assert_eq!(
            value["tool_choice"],
            json!({"type": "none"}),
            "none may be called"
        );
        assert_eq!(sent.dropped, Vec::<String>::new());
    }
}

/// OpenAI's APIs take calls in a history without tools as they are.
#[test]
fn calls_in_a_history_without_tools_go_to_openai_as_they_are() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "b"}, {"type": "text", "text": "Sum it up."}]},
    ]});
    for to in [CHAT, RESPONSES] {
        let value = parsed(&translated(MESSAGES, to, &body).body);
        assert_eq!(value.get("tools"), None, "{value}");
        assert!(value.to_string().contains("\"read\""), "{value}");
    }
}

/// The Vercel AI SDK refers to what OpenAI keeps unless `store` is switched off.
#[test]
fn references_to_reasoning_are_dropped_and_others_say_what_to_do() {
    let body = |id: &str| json!({"model": "m", "input": [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": id}]});
    for to in [CHAT, MESSAGES] {
        let sent = translated(RESPONSES, to, &body("rs_1"));
        assert_eq!(sent.dropped, ["input.item_reference"]);
        let target = Target::of_model(model(to), None);
        let refusal =
            crate::translate::request(RESPONSES, to, body("msg_1").to_string().as_bytes(), &target);
        let refusal = refusal.expect_err("only its provider has it");
        assert!(refusal.why.contains("`store` to false"), "{refusal}");
    }
}

/// Responses take results anywhere after their calls; the others right behind them only.
#[test]
fn late_results_move_behind_their_calls() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": id});
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "hi"}, call("a"), call("b"), result("a"),
        {"role": "assistant", "content": "So far."}, {"role": "developer", "content": "Hurry."}, result("b"), call("c"), result("c"),
    ], "tools": [{"type": "function", "name": "f"}]});
    let roles = |to| -> Vec<String> {
        let value = parsed(&translated(RESPONSES, to, &body).body);
        let messages = value["messages"].as_array().expect("messages");
        messages
            .iter()
            .map(|message| message["role"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let expected = [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "developer",
        "assistant",
        "tool",
    ];
    assert_eq!(roles(CHAT), expected);
    assert_eq!(
        roles(MESSAGES),
        [
            "user",
            "assistant",
            "user",
            "assistant",
            "user",
            "assistant",
            "user"
        ]
    );
}

/// Anthropic wants the user first, text alone in the system prompt, and no message that is empty.
#[test]
fn the_users_turn_comes_first_and_roles_alternate_for_anthropic() {
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let body = chat(json!([
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "there"},
    ]));
    let value = parsed(&translated(CHAT, MESSAGES, &body).body);
    let roles: Vec<&Value> = value["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| &message["role"])
        .collect();
    assert_eq!(roles, ["user", "assistant", "user"], "{value}");
    let body =
        chat(json!([{"role": "system", "content": [image]}, {"role": "user", "content": "hi"}]));
    let value = parsed(&translated(CHAT, MESSAGES, &body).body);
    assert_eq!(value.get("system"), None);
    assert_eq!(value["messages"][0]["content"][0]["type"], "image");
    let body =
        chat(json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": [image]}]));
    assert_eq!(refused(CHAT, MESSAGES, &body), "messages");
}

/// "Prefilling assistant messages" is refused by Claude 4.6 and later.
#[test]
fn a_last_turn_of_the_assistant_is_followed_by_a_request_to_go_on_where_it_must() {
    let body =
        chat(json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Once"}]));
    for (model, last) in [
        ("claude-haiku-4-5", "assistant"),
        ("claude-opus-4-6", "user"),
        ("claude-sonnet-5", "user"),
        ("kimi-k2", "assistant"),
    ] {
        let value = parsed(&by(model, CHAT, MESSAGES, &body).body);
        let messages = value["messages"].as_array().expect("messages");
        assert_eq!(messages.last().expect("one")["role"], last, "{model}");
    }
}

/// Claude Code's telemetry is unlike each time: no prefix would be cached.
#[test]
fn claude_codes_billing_header_is_no_prompt() {
    let body = json!({"model": "m", "max_tokens": 9, "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cch=5f2a1;"},
        {"type": "text", "text": "You are Claude Code."},
    ], "messages": [{"role": "user", "content": "hi"}]});
    for to in [CHAT, RESPONSES] {
        let sent = translated(MESSAGES, to, &body);
        let text = String::from_utf8_lossy(&sent.body).into_owned();
        assert!(
            !text.contains("billing") && text.contains("You are Claude Code."),
            "{text}"
        );
        assert_eq!(sent.dropped, Vec::<String>::new(), "it is nothing to tell");
    }
}

/// Anthropic takes one of temperature and `top_p`; what is removed later must not cost the other.
#[test]
fn a_parameter_that_is_removed_costs_no_other() {
    let body = json!({"model": "m", "temperature": 0.5, "top_p": 0.9, "messages": [{"role": "user", "content": "hi"}]});
    let unsupported = ["temperature".to_owned()];
    for (lists, sent, dropped) in [
        ([&[][..], &[]], "temperature", "top_p"),
        ([&[], &unsupported[..]], "top_p", "temperature"),
        ([&unsupported[..], &[]], "top_p", "temperature"),
    ] {
        let target = Target {
            unsupported: lists,
            ..Target::of_model("claude-haiku-4-5", None)
        };
        let written =
            crate::translate::request(CHAT, MESSAGES, body.to_string().as_bytes(), &target)
                .expect("a request");
        let value = parsed(&written.body);
        let has = ["temperature", "top_p"].map(|key| value.get(key).is_some());
        assert_eq!(has, [sent == "temperature", sent == "top_p"], "{value}");
        assert_eq!(written.dropped, [dropped]);
    }
}

#[test]
fn more_stops_than_openai_takes_are_refused() {
    let body = json!({"model": "m", "max_tokens": 9, "stop_sequences": ["1", "2", "3", "4", "5"], "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(refused(MESSAGES, CHAT, &body), "stop_sequences");
    let value = parsed(&by("deepseek-chat", MESSAGES, CHAT, &body).body);
    assert_eq!(
        value["stop"].as_array().map(Vec::len),
        Some(5),
        "others may take more"
    );
}

/// A provider that begins twice, or not at all, still makes one stream.
#[test]
fn a_stream_begins_once_whatever_the_provider_says() {
    let start = r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}"#;
    let rest = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    for starts in [0, 1, 2] {
        let stream = format!("data: {start}\n\n").repeat(starts) + rest;
        for client in [CHAT, RESPONSES] {
            let seen = streamed(&reply(client, MESSAGES), &[stream.as_bytes()]);
            let collected = Collected::of(client, &seen);
            assert!(collected.ended, "{seen}");
            assert_eq!(collected.answer.parts.len(), 1, "{seen}");
            let begun = match client {
                CHAT => seen
                    .matches("\"role\":\"assistant\",\"content\":\"\"")
                    .count(),
                _ => seen.matches("event: response.created").count(),
            };
            assert_eq!(begun, 1, "{seen}");
        }
    }
}

/// An event's data may be on several lines, and so may what is copied out of it.
#[test]
fn probabilities_on_several_lines_become_one() {
    let stream = "event: response.created\n\
        data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"m\"}}\n\n\
        event: response.output_text.delta\n\
        data: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"item_id\":\"msg_1\",\"output_index\":0,\n\
        data: \"content_index\":0,\"delta\":\"Hi\",\"logprobs\":[{\"token\":\"Hi\",\n\
        data: \"logprob\":-0.5,\"top_logprobs\":[]}]}\n\n";
    let seen = streamed(&reply(CHAT, RESPONSES), &[stream.as_bytes()]);
    let lines = seen.lines().filter(|line| !line.is_empty());
    assert!(
        lines.clone().all(|line| line.starts_with("data: ")),
        "{seen}"
    );
    assert!(seen.contains("\"logprob\":-0.5"), "{seen}");
}
