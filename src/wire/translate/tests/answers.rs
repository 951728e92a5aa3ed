//! Whole answers, by example.

use super::*;

fn answered(reply: &Reply, body: &Value) -> Value {
    let body = crate::translate::answer(reply, body.to_string().as_bytes(), CREATED);
    parsed(&body.expect("an answer"))
}

/// docs.claude.com/en/api/messages and "Tool use" on platform.claude.com/docs.
fn from_messages() -> Value {
    json!({
        "id": "msg_01Aq9w938a90dw8q", "type": "message", "role": "assistant", "model": "claude-opus-4-8",
        "content": [
            {"type": "thinking", "thinking": "The user wants to know the weather.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA"},
            {"type": "text", "text": "I'll check the current weather in San Francisco for you."},
            {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "get_weather", "input": {"location": "San Francisco, CA"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 472, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 2000, "output_tokens": 89, "service_tier": "standard"},
    })
}

/// platform.openai.com/docs/api-reference/chat/object.
fn from_chat() -> Value {
    json!({
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion", "created": 1741570283, "model": "gpt-4.1-2025-04-14",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "Two at once.", "refusal": null, "annotations": [], "reasoning_content": "Hm.", "tool_calls": [
                {"id": "call_abc123", "type": "function", "function": {"name": "get_current_weather", "arguments": "{\n\"location\": \"Boston, MA\"\n}"}},
                {"id": "call_def456", "type": "function", "function": {"name": "now", "arguments": ""}},
            ]},
            "logprobs": {"content": [{"token": "Two", "logprob": -0.3, "bytes": [84, 119, 111], "top_logprobs": []}], "refusal": null},
            "finish_reason": "tool_calls",
        }],
        "usage": {"prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 0}},
        "service_tier": "default",
    })
}

/// platform.openai.com/docs/api-reference/responses/object and .../guides/reasoning.
fn from_responses() -> Value {
    json!({
        "id": "resp_67ccd3a9da748190baa7f1570fe91ac604becb25c45c1d41", "object": "response", "created_at": 1741476777, "status": "completed",
        "error": null, "incomplete_details": null, "instructions": null, "model": "gpt-4o-2024-08-06",
        "output": [
            {"type": "reasoning", "id": "rs_6876cf02e0bc8192b74af0fb64b715ff", "summary": [{"type": "summary_text", "text": "**Looking**"}, {"type": "summary_text", "text": "**Seeing**"}], "encrypted_content": "gAAAAABoISQ24OyVRYbkYfuk"},
            {"type": "message", "id": "msg_67ccd3acc8d48190a77525dc6de64b4104becb25c45c1d41", "status": "completed", "role": "assistant", "content": [
                {"type": "output_text", "text": "The image depicts a scenic landscape.", "annotations": []}]},
            {"type": "function_call", "id": "fc_12345xyz", "call_id": "call_12345xyz", "name": "get_weather", "arguments": "{\"location\":\"Paris, France\"}", "status": "completed"},
        ],
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "store": false, "service_tier": "default",
        "usage": {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 128}, "output_tokens": 52, "output_tokens_details": {"reasoning_tokens": 32}, "total_tokens": 380},
    })
}

#[test]
fn answers_in_every_other_dialect() {
    for (name, provider, body) in [
        ("messages", MESSAGES, from_messages()),
        ("chat", CHAT, from_chat()),
        ("responses", RESPONSES, from_responses()),
    ] {
        for client in SURFACES.into_iter().filter(|client| *client != provider) {
            let said = answered(&reply(client, provider), &body);
            let to = client.name().rsplit('/').next().unwrap_or_default();
            let said = serde_json::to_string_pretty(&said).expect("JSON");
            insta::assert_snapshot!(format!("{name}_to_{to}"), said);
        }
    }
}

/// What `stop_reason`, `finish_reason` and `status` become. Sources: "Handling stop reasons" on
/// platform.claude.com/docs; the reference of the chat completion object and of the response object.
#[test]
fn why_it_ended_is_told_in_the_clients_words() {
    let messages = |reason: &str| {
        json!({"content": [{"type": "text", "text": "a"}], "model": "m", "stop_reason": reason,
            "stop_sequence": (reason == "stop_sequence").then_some("END"), "usage": {"input_tokens": 1, "output_tokens": 1}})
    };
    let chat = |reason: &str| json!({"model": "m", "choices": [{"message": {"content": "a"}, "finish_reason": reason}]});
    for (reason, finish, status) in [
        ("end_turn", "stop", "completed"),
        ("stop_sequence", "stop", "completed"),
        ("max_tokens", "length", "incomplete"),
        ("model_context_window_exceeded", "length", "incomplete"),
        ("tool_use", "tool_calls", "completed"),
        ("pause_turn", "stop", "completed"),
        ("refusal", "content_filter", "incomplete"),
    ] {
        let said = answered(&reply(CHAT, MESSAGES), &messages(reason));
        assert_eq!(said["choices"][0]["finish_reason"], finish, "{reason}");
        let said = answered(&reply(RESPONSES, MESSAGES), &messages(reason));
        assert_eq!(said["status"], status, "{reason}");
    }
    for (finish, reason) in [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("something_new", "end_turn"),
    ] {
        let said = answered(&reply(MESSAGES, CHAT), &chat(finish));
        assert_eq!(said["stop_reason"], reason, "{finish}");
    }
}

#[test]
fn a_refusal_in_words_is_a_refusal_everywhere() {
    let body = json!({"model": "m", "choices": [{"message": {"content": null, "refusal": "I will not."}, "finish_reason": "stop"}]});
    let said = answered(&reply(MESSAGES, CHAT), &body);
    assert_eq!(said["stop_reason"], "refusal");
    assert_eq!(
        said["content"],
        json!([{"type": "text", "text": "I will not.", "citations": null}])
    );
    let said = answered(&reply(RESPONSES, CHAT), &body);
    assert_eq!(
        said["output"][0]["content"],
        json!([{"type": "refusal", "refusal": "I will not."}])
    );
}

/// Custom tools and tools in groups are functions at Anthropic, and themselves again for the client.
#[test]
fn calls_come_back_under_the_clients_names() {
    let body = json!({"model": "m", "input": "hi", "tools": [
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "files", "description": "", "tools": [{"type": "function", "name": "read"}]},
    ]});
    let sent = translated(RESPONSES, MESSAGES, &body);
    let names: Vec<Value> = parsed(&sent.body)["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| tool["name"].clone())
        .collect();
    assert_eq!(names, ["apply_patch", "files__read"]);
    let said = answered(
        &sent.reply,
        &json!({"model": "m", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {"input": "*** Begin\n*** End"}},
        {"type": "tool_use", "id": "toolu_2", "name": "files__read", "input": {"path": "a"}},
    ], "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}}),
    );
    let calls = said["output"].as_array().expect("items");
    assert_eq!(calls[0]["type"], "custom_tool_call");
    assert_eq!(calls[0]["input"], "*** Begin\n*** End");
    assert_eq!(calls[1]["name"], "read");
    assert_eq!(calls[1]["namespace"], "files");
    assert_eq!(calls[1]["arguments"], r#"{"path":"a"}"#);
}

#[test]
fn what_is_no_answer_is_not_translated() {
    for body in [
        "",
        "[]",
        "null",
        "{}",
        "<html>",
        r#"{"choices":[]}"#,
        r#"{"error":{"message":"no"}}"#,
    ] {
        for provider in SURFACES {
            for client in SURFACES.into_iter().filter(|client| *client != provider) {
                let said =
                    crate::translate::answer(&reply(client, provider), body.as_bytes(), CREATED);
                assert!(said.is_err(), "{body}");
            }
        }
    }
}
