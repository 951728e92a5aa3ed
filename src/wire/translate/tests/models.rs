//! What is known of a model decides what is sent to it.

use super::*;
use crate::capabilities::Capabilities;
use crate::reasoning::Efforts;
use crate::vendor::Vendor;

/// What is sent to a target of thinking, and what got lost.
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

/// "Invalid 'tools': array too long. Expected an array with maximum length 128."
#[test]
fn openai_is_sent_no_more_tools_than_it_takes() {
    let tools: Vec<Value> = (0..140)
        .map(|n| json!({"name": format!("f{n}"), "input_schema": {}}))
        .collect();
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "tools": tools, "tool_choice": {"type": "tool", "name": "f139"}});
    for to in [CHAT, RESPONSES] {
        let sent = translated(MESSAGES, to, &body);
        let value = parsed(&sent.body);
        let names = value["tools"].to_string();
        assert!(
            value["tools"]
                .as_array()
                .is_some_and(|tools| tools.len() == 128),
            "{value}"
        );
        assert!(
            names.contains("\"f139\"") && !names.contains("\"f138\""),
            "the one that is to be called stays"
        );
        assert_eq!(sent.dropped, ["tools"]);
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
