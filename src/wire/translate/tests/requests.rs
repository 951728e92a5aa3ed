//! Requests, by example.

use super::bodies::{chat_agent, chat_schema, messages_agent, responses_agent};
use super::*;

/// What a request becomes, and what is lost.
fn shown(from: Surface, to: Surface, body: &Value) -> String {
    let translated = translated(from, to, body);
    let dropped = translated.dropped.join(", ");
    let body = serde_json::to_string_pretty(&parsed(&translated.body)).expect("JSON");
    format!("dropped: {dropped}\n{body}")
}

#[test]
fn requests_in_every_other_dialect() {
    for (name, from, body) in [
        ("chat_agent", CHAT, chat_agent()),
        ("chat_schema", CHAT, chat_schema()),
        ("messages_agent", MESSAGES, messages_agent()),
        ("responses_agent", RESPONSES, responses_agent()),
    ] {
        for to in SURFACES {
            // Stop sequences have no equal in responses: see `what_would_change_the_meaning_is_refused`.
            let mut body = body.clone();
            if to == RESPONSES {
                for key in ["stop", "stop_sequences"] {
                    body.as_object_mut().expect("an object").remove(key);
                }
            }
            if from != to {
                let to_name = to.name().rsplit('/').next().unwrap_or_default();
                insta::assert_snapshot!(format!("{name}_to_{to_name}"), shown(from, to, &body));
            }
        }
    }
}

#[test]
fn what_would_change_the_meaning_is_refused() {
    let user = json!([{"role": "user", "content": "hi"}]);
    let with = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "max_tokens": 9, "messages": user});
        body[key] = value;
        body
    };
    let item =
        |value: Value| json!({"model": "m", "input": [{"role": "user", "content": "hi"}, value]});
    let responses = |key: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "hi"});
        body[key] = value;
        body
    };
    for (from, to, body, field) in [
        (CHAT, MESSAGES, with("n", json!(2)), "n"),
        (CHAT, RESPONSES, with("n", json!(2)), "n"),
        (CHAT, RESPONSES, with("stop", json!("END")), "stop"),
        (
            MESSAGES,
            RESPONSES,
            with("stop_sequences", json!(["END"])),
            "stop_sequences",
        ),
        (
            CHAT,
            MESSAGES,
            with("modalities", json!(["text", "audio"])),
            "modalities",
        ),
        (
            CHAT,
            MESSAGES,
            with("functions", json!([{"name": "f"}])),
            "functions",
        ),
        (
            CHAT,
            MESSAGES,
            with("web_search_options", json!({"search_context_size": "low"})),
            "web_search_options",
        ),
        (
            CHAT,
            MESSAGES,
            with(
                "messages",
                json!([{"role": "user", "content": [
                    {"type": "text", "text": "hear"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                ]}]),
            ),
            "messages[0].content[1].input_audio",
        ),
        (
            CHAT,
            MESSAGES,
            with(
                "messages",
                json!([{"role": "user", "content": [
                    {"type": "file", "file": {"file_id": "file-6F2ksmvXxt4VdoqmHRw6kL"}},
                ]}]),
            ),
            "messages",
        ),
        (
            CHAT,
            MESSAGES,
            with("temperature", json!("hot")),
            "temperature",
        ),
        (
            CHAT,
            MESSAGES,
            with("messages", json!([{"role": "user", "content": 7}])),
            "messages[0].content",
        ),
        (
            MESSAGES,
            CHAT,
            with(
                "mcp_servers",
                json!([{"type": "url", "url": "https://x", "name": "x"}]),
            ),
            "mcp_servers",
        ),
        (
            MESSAGES,
            CHAT,
            with(
                "tools",
                json!([{"type": "web_search_20250305", "name": "web_search"}]),
            ),
            "tools",
        ),
        (
            MESSAGES,
            CHAT,
            with("inference_geo", json!("us")),
            "inference_geo",
        ),
        (
            MESSAGES,
            CHAT,
            with(
                "messages",
                json!([{"role": "user", "content": [
                    {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
                ]}]),
            ),
            "messages",
        ),
        (
            RESPONSES,
            MESSAGES,
            responses("previous_response_id", json!("resp_1")),
            "previous_response_id",
        ),
        (
            RESPONSES,
            CHAT,
            responses("conversation", json!("conv_1")),
            "conversation",
        ),
        (
            RESPONSES,
            CHAT,
            responses("prompt", json!({"id": "pmpt_1"})),
            "prompt",
        ),
        (
            RESPONSES,
            CHAT,
            responses("background", json!(true)),
            "background",
        ),
        (
            RESPONSES,
            CHAT,
            item(json!({"type": "item_reference", "id": "msg_1"})),
            "input[1].type",
        ),
        (
            RESPONSES,
            CHAT,
            item(json!({"type": "compaction_trigger"})),
            "input[1].type",
        ),
        (
            RESPONSES,
            CHAT,
            item(json!({"type": "compaction", "encrypted_content": "gAAA"})),
            "input[1].type",
        ),
        (
            RESPONSES,
            CHAT,
            item(json!({"type": "hologram", "call_id": "c", "output": {}})),
            "input[1].type",
        ),
        (
            RESPONSES,
            MESSAGES,
            responses("tools", json!([{"type": "web_search"}])),
            "tools",
        ),
    ] {
        assert_eq!(refused(from, to, &body), field, "{body}");
    }
}

/// A forced tool that the provider runs cannot be called elsewhere.
#[test]
fn hosted_tools_are_dropped_beside_others_unless_they_are_forced() {
    let mut body = json!({"model": "m", "input": "hi", "tools": [
        {"type": "web_search"},
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
    ]});
    assert_eq!(translated(RESPONSES, MESSAGES, &body).dropped, ["tools"]);
    body["tool_choice"] = json!({"type": "web_search_preview"});
    assert_eq!(refused(RESPONSES, MESSAGES, &body), "tool_choice");
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}, {"name": "f", "input_schema": {}}]});
    for to in [CHAT, RESPONSES] {
        body["tool_choice"] = json!({"type": "auto"});
        assert_eq!(translated(MESSAGES, to, &body).dropped, ["tools"]);
        body["tool_choice"] = json!({"type": "tool", "name": "web_search"});
        assert_eq!(refused(MESSAGES, to, &body), "tool_choice");
    }
}

/// A field of a request for Anthropic, by the model.
#[test]
fn thinking_follows_the_models_version() {
    let sent = |model: &str, body: &Value| {
        let target = Target::of_model(model, Some(64_000));
        let sent = crate::translate::request(CHAT, MESSAGES, body.to_string().as_bytes(), &target)
            .expect("a request");
        let body = parsed(&sent.body);
        let keep = ["thinking", "output_config", "temperature", "max_tokens"];
        let kept: serde_json::Map<String, Value> = keep
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), body.get(key)?.clone())))
            .collect();
        (Value::Object(kept), sent.dropped.join(","))
    };
    let body = |effort: &str, more: Value| {
        let mut body = json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": effort,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        body
    };
    for (model, body, expected, dropped) in [
        (
            "claude-opus-4-8",
            body("high", json!({"temperature": 0.5})),
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}, "max_tokens": 64000}),
            "temperature",
        ),
        (
            "claude-opus-4-8",
            body("xhigh", json!({})),
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}, "max_tokens": 64000}),
            "",
        ),
        (
            "claude-opus-4-6",
            body("xhigh", json!({})),
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}, "max_tokens": 64000}),
            "reasoning_effort",
        ),
        (
            "claude-haiku-4-5",
            body("medium", json!({})),
            json!({"thinking": {"type": "enabled", "budget_tokens": 10240}, "max_tokens": 64000}),
            "",
        ),
        (
            "claude-haiku-4-5",
            body("high", json!({"max_tokens": 4000})),
            json!({"thinking": {"type": "enabled", "budget_tokens": 3999}, "max_tokens": 4000}),
            "",
        ),
        (
            "claude-haiku-4-5",
            body("high", json!({"max_tokens": 500})),
            json!({"max_tokens": 500}),
            "reasoning_effort",
        ),
        (
            "claude-haiku-4-5",
            body("none", json!({"temperature": 0.5})),
            json!({"temperature": 0.5, "max_tokens": 64000}),
            "",
        ),
        (
            "claude-haiku-4-5",
            body(
                "low",
                json!({"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}),
            ),
            json!({"max_tokens": 64000}),
            "reasoning_effort",
        ),
    ] {
        assert_eq!(
            sent(model, &body),
            (expected, dropped.to_owned()),
            "{model}: {body}"
        );
    }
}

/// A budget for thinking is refused by Anthropic if the turn that called the tools has no thought of its own,
/// which it has not after another provider's turn.
#[test]
fn no_budget_is_set_in_the_middle_of_another_providers_turn() {
    let body = json!({"model": "m", "reasoning_effort": "high", "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ], "tools": [{"type": "function", "function": {"name": "f"}}]});
    let sent = translated(CHAT, MESSAGES, &body);
    assert_eq!(parsed(&sent.body).get("thinking"), None);
    assert_eq!(sent.dropped, ["reasoning_effort"]);
}

/// Signed and redacted thoughts go out to a client of any dialect and come back as they were.
#[test]
fn anthropics_thoughts_survive_a_round_trip_through_any_client() {
    let thoughts = [
        json!({"type": "thinking", "thinking": "Let me see.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA"}),
        json!({"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}),
    ];
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [thoughts[0], thoughts[1], {"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    for client in [CHAT, RESPONSES] {
        let reply = reply(client, MESSAGES);
        let said = crate::translate::answer(&reply, answer.to_string().as_bytes(), CREATED)
            .expect("an answer");
        let said = parsed(&said);
        let body = if client == CHAT {
            json!({"model": "m", "messages": [
                {"role": "user", "content": "hi"}, said["choices"][0]["message"], {"role": "user", "content": "go on"},
            ]})
        } else {
            let mut input = vec![json!({"role": "user", "content": "hi"})];
            input.extend(said["output"].as_array().expect("items").iter().cloned());
            input.push(json!({"role": "user", "content": "go on"}));
            json!({"model": "m", "input": input})
        };
        let sent = translated(client, MESSAGES, &body);
        let content = parsed(&sent.body)["messages"][1]["content"].clone();
        assert_eq!(
            content,
            json!([thoughts[0], thoughts[1], {"type": "text", "text": "Hello"}]),
            "{client:?}"
        );
        assert_eq!(sent.dropped, Vec::<String>::new());
        // OpenAI would not believe them.
        let other = if client == CHAT { RESPONSES } else { CHAT };
        let sent = translated(client, other, &body);
        assert!(
            !String::from_utf8_lossy(&sent.body).contains("tollgate."),
            "{client:?}"
        );
        assert_eq!(sent.dropped.len(), 1, "{:?}", sent.dropped);
    }
}

/// OpenAI's encrypted reasoning comes back from a client of messages, and is not given to Anthropic.
#[test]
fn openais_reasoning_survives_a_round_trip_through_messages() {
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAAAABo"});
    let answer = json!({
        "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5.6-luna",
        "output": [item, {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "Hello", "annotations": []}]}],
    });
    let reply = reply(MESSAGES, RESPONSES);
    let said = crate::translate::answer(&reply, answer.to_string().as_bytes(), CREATED)
        .expect("an answer");
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": parsed(&said)["content"]}, {"role": "user", "content": "go on"},
    ]});
    let back = translated(MESSAGES, RESPONSES, &body);
    assert_eq!(parsed(&back.body)["input"][1], item);
    let claude = Target::of_model("claude-opus-4-8", None);
    let native = crate::translate::adapted(MESSAGES, body.to_string().as_bytes(), &claude, false);
    let native = parsed(&native.expect("there is a foreign thought").body);
    assert_eq!(
        native["messages"][1]["content"],
        json!([{"type": "text", "text": "Hello", "citations": null}])
    );
}
