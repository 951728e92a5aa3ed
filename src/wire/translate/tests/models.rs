//! What is known of a model decides what it is told.

use super::*;
use crate::capabilities::Capabilities;
use crate::reasoning::Efforts;
use crate::vendor::Vendor;

/// What a target is told of thinking, and what got lost.
fn told(from: Surface, to: Surface, more: &Value, target: &Target<'_>) -> (Value, String) {
    let mut body = match from {
        RESPONSES => json!({"model": "m", "input": "hi"}),
        _ => {
            json!({"model": "m", "max_tokens": 32_000, "messages": [{"role": "user", "content": "hi"}]})
        }
    };
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    let sent = crate::translate::request(from, to, body.to_string().as_bytes(), target)
        .expect("a request");
    let value = parsed(&sent.body);
    let keys = [
        "thinking",
        "reasoning",
        "reasoning_effort",
        "include",
        "output_config",
        "temperature",
    ];
    let kept: serde_json::Map<String, Value> = keys
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), value.get(key)?.clone())))
        .collect();
    (Value::Object(kept), sent.dropped.join(" "))
}

fn efforts(text: &str) -> Option<Efforts> {
    Some(text.parse().expect("efforts"))
}

/// Claude Code's every request (BerriAI/litellm#38842 is Codex's).
#[test]
fn efforts_go_only_to_models_that_reason_and_only_those_that_they_take() {
    let code = json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}});
    let effort =
        |name: &str| json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": name}});
    let no = Capabilities {
        reasoning: Some(false),
        ..Capabilities::default()
    };
    let some = |text| Capabilities {
        reasoning: Some(true),
        efforts: efforts(text),
        ..Capabilities::default()
    };
    let unknown = Capabilities::default();
    let both = "output_config.effort thinking";
    for (known, more, responses, chat, dropped) in [
        (no, &code, json!(null), json!(null), both),
        (unknown, &code, json!("high"), json!("high"), ""),
        (
            some("low,medium,high"),
            &code,
            json!("high"),
            json!("high"),
            "",
        ),
        (
            some("low,medium"),
            &code,
            json!("medium"),
            json!("medium"),
            "output_config.effort",
        ),
        (
            some("medium"),
            &effort("max"),
            json!("medium"),
            json!("medium"),
            "output_config.effort",
        ),
        (
            some("none,low,xhigh"),
            &effort("max"),
            json!("xhigh"),
            json!("xhigh"),
            "output_config.effort",
        ),
    ] {
        let target = Target::of_model("m", None).knowing(known, None);
        let (seen, lost) = told(MESSAGES, RESPONSES, more, &target);
        assert_eq!(
            seen.pointer("/reasoning/effort").unwrap_or(&Value::Null),
            &responses,
            "{seen}"
        );
        assert_eq!(
            seen.get("include").is_some(),
            !responses.is_null(),
            "{seen}"
        );
        assert_eq!(lost, dropped);
        let (seen, lost) = told(MESSAGES, CHAT, more, &target);
        assert_eq!(
            seen.get("reasoning_effort").unwrap_or(&Value::Null),
            &chat,
            "{seen}"
        );
        assert_eq!(lost, dropped);
    }
    let old = Target::of_model("claude-3-5-sonnet-20241022", None);
    let (seen, lost) = told(CHAT, MESSAGES, &json!({"reasoning_effort": "low"}), &old);
    assert_eq!((seen, lost.as_str()), (json!({}), "reasoning_effort"));
}

#[test]
fn thinking_that_is_switched_off_stays_off() {
    let off = json!({"thinking": {"type": "disabled"}});
    let some = |text| Capabilities {
        reasoning: Some(true),
        efforts: efforts(text),
        ..Capabilities::default()
    };
    let toggle = Capabilities {
        reasoning: Some(true),
        toggle: Some(true),
        ..Capabilities::default()
    };
    let no = Capabilities {
        reasoning: Some(false),
        ..Capabilities::default()
    };
    let always = Capabilities {
        reasoning: Some(true),
        ..Capabilities::default()
    };
    for (known, vendor, chat, dropped) in [
        (Capabilities::default(), None, json!({}), ""),
        (no, Some(Vendor::Openai), json!({}), ""),
        (
            some("none,low"),
            Some(Vendor::Openai),
            json!({"reasoning_effort": "none"}),
            "",
        ),
        (
            some("low,high"),
            Some(Vendor::Openai),
            json!({"reasoning_effort": "low"}),
            "thinking",
        ),
        (
            toggle,
            Some(Vendor::Google),
            json!({"reasoning_effort": "none"}),
            "",
        ),
        (always, Some(Vendor::Moonshotai), json!({}), "thinking"),
        (
            toggle,
            Some(Vendor::Deepseek),
            json!({"thinking": {"type": "disabled"}}),
            "",
        ),
        (
            Capabilities::default(),
            Some(Vendor::ZAi),
            json!({"thinking": {"type": "disabled"}}),
            "",
        ),
        (
            toggle,
            Some(Vendor::Openrouter),
            json!({"reasoning": {"enabled": false}}),
            "",
        ),
    ] {
        let target = Target::of_model("m", None).knowing(known, vendor);
        assert_eq!(
            told(MESSAGES, CHAT, &off, &target),
            (chat, dropped.to_owned()),
            "{vendor:?} {known:?}"
        );
    }
    let openai = Target::of_model("m", None).knowing(some("none,low"), Some(Vendor::Openai));
    let (seen, _) = told(MESSAGES, RESPONSES, &off, &openai);
    assert_eq!(seen["reasoning"], json!({"effort": "none"}));
    for (model, more, expected, dropped) in [
        (
            "claude-sonnet-5",
            json!({"reasoning_effort": "none"}),
            json!({"thinking": {"type": "disabled"}}),
            "",
        ),
        (
            "claude-opus-4-8",
            json!({"reasoning_effort": "none"}),
            json!({}),
            "",
        ),
        (
            "claude-opus-5-5",
            json!({"reasoning_effort": "none"}),
            json!({"output_config": {"effort": "low"}}),
            "reasoning_effort",
        ),
        (
            "claude-sonnet-5",
            json!({"reasoning_effort": "low", "tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}),
            json!({"thinking": {"type": "disabled"}}),
            "reasoning_effort",
        ),
    ] {
        let target = Target::of_model(model, None);
        assert_eq!(
            told(CHAT, MESSAGES, &more, &target),
            (expected, dropped.to_owned()),
            "{model}"
        );
    }
}

#[test]
fn openrouter_is_told_budgets_and_switches() {
    let target =
        Target::of_model("m", None).knowing(Capabilities::default(), Some(Vendor::Openrouter));
    for (more, expected) in [
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 5000}}),
            json!({"reasoning": {"max_tokens": 5000}}),
        ),
        (
            json!({"thinking": {"type": "adaptive"}}),
            json!({"reasoning": {"enabled": true}}),
        ),
        (
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
            json!({"reasoning_effort": "low"}),
        ),
    ] {
        assert_eq!(
            told(MESSAGES, CHAT, &more, &target),
            (expected, String::new())
        );
    }
}

#[test]
fn a_model_that_takes_no_temperature_gets_none() {
    let known = Capabilities {
        temperature: Some(false),
        ..Capabilities::default()
    };
    let target = Target::of_model("m", None).knowing(known, None);
    let more = json!({"temperature": 0.2, "top_p": 1});
    for to in [CHAT, RESPONSES] {
        assert_eq!(
            told(MESSAGES, to, &more, &target),
            (json!({}), "temperature".to_owned())
        );
    }
}

/// supernovae-st/nika#264: Anthropic's strict schemas may have optional members.
#[test]
fn schemas_that_strict_mode_refuses_are_hints_there() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a"], "additionalProperties": false});
    let body = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
        "tools": [{"name": "f", "strict": true, "input_schema": schema}]});
    for (to, tool, format) in [
        (
            CHAT,
            "/tools/0/function/strict",
            "/response_format/json_schema/strict",
        ),
        (RESPONSES, "/tools/0/strict", "/text/format/strict"),
    ] {
        let sent = translated(MESSAGES, to, &body);
        let value = parsed(&sent.body);
        assert_eq!(value.pointer(tool), Some(&json!(false)), "{value}");
        assert_eq!(value.pointer(format), Some(&json!(false)), "{value}");
        let mut dropped = sent.dropped.clone();
        dropped.sort();
        assert_eq!(dropped, ["output_config.format", "tools.strict"]);
    }
}

#[test]
fn a_model_without_schemas_is_asked_for_one() {
    let known = Capabilities {
        structured_output: Some(false),
        ..Capabilities::default()
    };
    let target = Target::of_model("m", None).knowing(known, None);
    let body = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"city": {}}}}}});
    for (to, place) in [
        (CHAT, "/messages/0/content"),
        (RESPONSES, "/input/0/content"),
    ] {
        let sent = crate::translate::request(MESSAGES, to, body.to_string().as_bytes(), &target)
            .expect("a request");
        let value = parsed(&sent.body);
        assert!(
            value
                .pointer(place)
                .is_some_and(|text| text.to_string().contains("city")),
            "{value}"
        );
        assert_eq!(sent.dropped, ["output_config.format"]);
    }
}

/// vercel/ai#12876: "Schema type 'oneOf' is not supported".
#[test]
fn one_of_is_any_of_for_anthropic() {
    let one = json!({"type": "object", "properties": {"b": {"const": "x"}}, "required": ["b"]});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "response_format": {
        "type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": {
            "type": "object", "properties": {"car": {"oneOf": [one]}}, "required": ["car"]}}}});
    let sent = translated(CHAT, MESSAGES, &body);
    let schema = parsed(&sent.body)["output_config"]["format"]["schema"].clone();
    assert_eq!(
        schema.pointer("/properties/car/anyOf/0/properties/b/const"),
        Some(&json!("x")),
        "{schema}"
    );
    assert_eq!(schema.pointer("/properties/car/oneOf"), None);
    assert_eq!(sent.dropped, ["response_format.json_schema"]);
    // What cannot be closed is asked for.
    let mut map = body.clone();
    map["response_format"]["json_schema"]["schema"] =
        json!({"type": "object", "additionalProperties": {"type": "string"}});
    let sent = translated(CHAT, MESSAGES, &map);
    assert_eq!(parsed(&sent.body).get("output_config"), None);
    assert_eq!(sent.dropped, ["response_format"]);
}

/// jwadow/kiro-gateway#177.
#[test]
fn what_hosted_tools_did_is_left_out_and_named() {
    let user = json!({"role": "user", "content": "hi"});
    let hosted = json!([
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "f", "server_name": "s", "input": {}},
        {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "content": []},
        {"type": "text", "text": "found"},
    ]);
    let body = json!({"model": "m", "max_tokens": 99, "messages": [user, {"role": "assistant", "content": hosted}, user]});
    for to in [CHAT, RESPONSES] {
        let sent = translated(MESSAGES, to, &body);
        assert!(String::from_utf8_lossy(&sent.body).contains("found"));
        let names = [
            "server_tool_use",
            "web_search_tool_result",
            "mcp_tool_use",
            "mcp_tool_result",
        ];
        assert_eq!(sent.dropped, names.map(|name| format!("messages.{name}")));
    }
    for (kind, item) in [
        (
            "image_generation_call",
            json!({"id": "ig_1", "result": "AAAA"}),
        ),
        (
            "mcp_call",
            json!({"id": "mcp_1", "name": "x", "arguments": "{}", "output": "o", "server_label": "s"}),
        ),
        (
            "mcp_approval_request",
            json!({"id": "mcpr_1", "name": "x", "arguments": "{}"}),
        ),
        (
            "mcp_approval_response",
            json!({"approval_request_id": "mcpr_1", "approve": true}),
        ),
        ("web_search_call", json!({"id": "ws"})),
        ("code_interpreter_call", json!({"id": "ci"})),
    ] {
        let mut item = item.clone();
        item["type"] = kind.into();
        let body = json!({"model": "m", "input": [user, item, {"role": "assistant", "content": "t"}, user]});
        for to in [CHAT, MESSAGES] {
            assert_eq!(
                translated(RESPONSES, to, &body).dropped,
                [format!("input.{kind}")]
            );
        }
    }
}

/// Anthropic passes over all that was said before a summary of its own.
#[test]
fn a_summary_stands_for_what_was_before_it() {
    let body = |content: Value| {
        json!({"model": "m", "max_tokens": 99, "system": "Be brief.", "messages": [
            {"role": "user", "content": "old"},
            {"role": "assistant", "content": [{"type": "text", "text": "older"}, {"type": "compaction", "content": content}, {"type": "text", "text": "then"}]},
            {"role": "user", "content": "new"}]})
    };
    for to in [CHAT, RESPONSES] {
        let sent = translated(MESSAGES, to, &body(json!("the summary")));
        let text = String::from_utf8_lossy(&sent.body).into_owned();
        assert!(
            ["Be brief.", "the summary", "then", "new"]
                .iter()
                .all(|said| text.contains(said)),
            "{text}"
        );
        assert!(!text.contains("old"), "{text}");
        assert_eq!(sent.dropped, Vec::<String>::new());
        let failed = translated(MESSAGES, to, &body(Value::Null));
        assert!(String::from_utf8_lossy(&failed.body).contains("older"));
    }
}

/// The client runs it, so that others may call it as well.
#[test]
fn a_computers_screen_is_a_result() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "hi"},
        {"type": "computer_call", "call_id": "c1", "action": {"type": "screenshot"}, "pending_safety_checks": []},
        {"type": "computer_call_output", "call_id": "c1", "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgo="}},
    ]});
    let value = parsed(&translated(RESPONSES, MESSAGES, &body).body);
    assert_eq!(value["messages"][1]["content"][0]["name"], "computer");
    assert_eq!(
        value["messages"][2]["content"][0]["content"][0]["type"],
        "image"
    );
}

/// anomalyco/opencode#31259, vercel/ai#2124.
#[test]
fn white_space_is_no_text_for_anthropic() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "\n"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "\n\n", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": " "},
        {"role": "assistant", "content": "<out>\n"}]});
    let value = parsed(&translated(CHAT, MESSAGES, &body).body);
    assert_eq!(value.get("system"), None);
    assert_eq!(
        value["messages"][1]["content"].as_array().map(Vec::len),
        Some(1),
        "the call stays"
    );
    assert_eq!(value["messages"][2]["content"][0]["content"], json!([]));
    assert_eq!(value["messages"][3]["content"][0]["text"], "<out>");
    // A user who says nothing asks to go on; the answer before is none to be gone on with.
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": " "}]});
    let value = parsed(&translated(CHAT, MESSAGES, &body).body);
    assert_eq!(value["messages"][2]["role"], "user");
}

#[test]
fn pictures_are_what_their_bytes_are() {
    let image = |url: &str| {
        json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": url}}]}]})
    };
    let value = parsed(
        &translated(
            CHAT,
            MESSAGES,
            &image("data:image/jpeg;base64,iVBORw0KGgo="),
        )
        .body,
    );
    assert_eq!(
        value["messages"][0]["content"][1]["source"]["media_type"],
        "image/png"
    );
    for url in [
        "data:image/tiff;base64,SUkqAA==",
        "http://example.com/a.png",
    ] {
        assert_eq!(refused(CHAT, MESSAGES, &image(url)), "messages");
    }
    let svg = parsed(&translated(CHAT, MESSAGES, &image("data:image/svg+xml,%3Csvg/%3E")).body);
    assert_eq!(
        svg["messages"][0]["content"][1]["source"]["data"], "<svg/>",
        "a picture in text"
    );
}

/// "A maximum of 4 blocks with cache_control may be provided. Found 5."
#[test]
fn more_cache_marks_than_anthropic_takes_are_taken_out() {
    let part =
        |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let parts: Vec<Value> = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .map(|text| part(text))
        .collect();
    let sent = translated(
        CHAT,
        MESSAGES,
        &json!({"model": "m", "messages": [{"role": "user", "content": parts}]}),
    );
    let value = parsed(&sent.body);
    let content = value["messages"][0]["content"].as_array().expect("blocks");
    let marked: Vec<&Value> = content
        .iter()
        .filter(|block| block.get("cache_control").is_some())
        .map(|block| &block["text"])
        .collect();
    assert_eq!(marked, ["a", "d", "e", "f"]);
    assert_eq!(sent.dropped, ["prompt_cache_breakpoint"]);
}

/// BerriAI/litellm#10106: "user_id appears to contain an email address".
#[test]
fn an_address_is_no_id_of_a_user_for_anthropic() {
    let body = |user: &str| json!({"model": "m", "user": user, "messages": [{"role": "user", "content": "hi"}]});
    for (user, kept) in [
        ("user-1", true),
        ("0123456789abcdef", true),
        ("a@example.com", false),
        ("+44 20 7946 0958", false),
    ] {
        let value = parsed(&translated(CHAT, MESSAGES, &body(user)).body);
        assert_eq!(value["metadata"]["user_id"] == user, kept, "{value}");
        assert!(value["metadata"]["user_id"].is_string());
    }
}

/// Histories that were cut, or answered by providers that give every call the same id.
#[test]
fn calls_and_results_are_paired_for_everybody() {
    let call = |id: &str| json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result =
        |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let body = json!({"model": "m", "messages": [
        result("gone", "stray"), {"role": "user", "content": "hi"}, call("c"), result("c", "one"), call("c"), result("c", "two"), call("open"),
        {"role": "user", "content": "and?"}]});
    let sent = translated(CHAT, MESSAGES, &body);
    let value = parsed(&sent.body);
    let text = value.to_string();
    assert!(
        text.contains("stray") && text.contains("not answered"),
        "{text}"
    );
    let id = |message: usize| value["messages"][message]["content"][0].clone();
    assert_ne!(id(1)["id"], id(3)["id"]);
    assert_eq!(
        (id(1)["id"].clone(), id(3)["id"].clone()),
        (id(2)["tool_use_id"].clone(), id(4)["tool_use_id"].clone())
    );
    assert_eq!(sent.dropped, ["messages.tool_calls"]);
}
