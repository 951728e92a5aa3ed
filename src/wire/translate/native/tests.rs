//! What a request on the client's own surface loses, and what it gets.

use serde_json::json;

use super::*;
use crate::capabilities::Capabilities;
use crate::vendor::Vendor;

fn of(vendor: Vendor) -> Target<'static> {
    Target::of_model("m", None).knowing(Capabilities::default(), Some(vendor))
}

fn changed(surface: Surface, body: &Value, target: &Target<'_>) -> (Value, Vec<String>) {
    let adapted = adapted(surface, body.to_string().as_bytes(), target, false);
    let adapted = adapted.unwrap_or_else(|| panic!("nothing is changed: {body}"));
    let value = serde_json::from_slice(&adapted.body).expect("JSON");
    (value, adapted.dropped)
}

fn unchanged(surface: Surface, body: &Value, target: &Target<'_>) {
    let adapted = adapted(surface, body.to_string().as_bytes(), target, false);
    assert!(adapted.is_none(), "{adapted:?}");
}

fn assistant(more: Value) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]});
    for (key, value) in more.as_object().into_iter().flatten() {
        message[key] = value.clone();
    }
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, message]})
}

#[test]
fn only_sealed_thoughts_are_taken_out() {
    let claude = Target::of_model("claude-opus-4-8", None);
    let body = json!({"messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "a", "signature": Proof::None.seal()},
        {"type": "thinking", "thinking": "b", "signature": "EqoB"},
        {"type": "redacted_thinking", "data": Proof::Details("[]".to_owned()).seal()},
        {"type": "text", "text": "c"},
    ]}]});
    let (clean, dropped) = changed(Surface::Messages, &body, &claude);
    let left = clean["messages"][0]["content"].as_array().map(Vec::len);
    assert_eq!(left, Some(2), "{clean}");
    assert_eq!(dropped, ["messages.thinking"]);
    let none = json!({"messages": [{"role": "user", "content": "hi"}]});
    unchanged(Surface::Messages, &none, &claude);
}

/// anomalyco/opencode#3077: "Expected `thinking` or `redacted_thinking`, but found `tool_use`".
#[test]
fn a_budget_for_thinking_goes_with_the_thought_of_the_turn() {
    let body = |thinking: Value, signature: &str| {
        json!({
            "model": "m", "max_tokens": 9000, "thinking": thinking,
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "t", "signature": signature},
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r"}]},
            ],
        })
    };
    let claude = Target::of_model("claude-sonnet-4-5", None);
    let (enabled, adaptive) = (
        json!({"type": "enabled", "budget_tokens": 4000}),
        json!({"type": "adaptive"}),
    );
    let (sent, dropped) = changed(
        Surface::Messages,
        &body(enabled.clone(), "tollgate.n"),
        &claude,
    );
    assert_eq!(
        (sent.get("thinking"), sent.get("context_management")),
        (None, None),
        "{sent}"
    );
    assert_eq!(
        dropped,
        ["messages.thinking", "thinking", "context_management"]
    );
    let (sent, _) = changed(
        Surface::Messages,
        &body(adaptive.clone(), "tollgate.n"),
        &claude,
    );
    assert_eq!(
        sent["thinking"], adaptive,
        "it asks for no thought in front"
    );
    unchanged(Surface::Messages, &body(enabled, "EqoB"), &claude);
}

#[test]
fn members_of_messages_go_to_those_who_take_them() {
    let told = json!({
        "reasoning_content": "a", "reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a"}],
        "thinking_blocks": [], "extra_content": {"google": {"thought_signature": "s"}},
    });
    for (vendor, kept) in [
        (Vendor::Openai, &[][..]),
        (Vendor::Groq, &["reasoning"]),
        (Vendor::Deepseek, &["reasoning_content"]),
        (
            Vendor::Openrouter,
            &["reasoning_content", "reasoning", "reasoning_details"],
        ),
        (Vendor::Google, &["extra_content"]),
    ] {
        let (sent, dropped) = changed(
            Surface::ChatCompletions,
            &assistant(told.clone()),
            &of(vendor),
        );
        for key in told.as_object().expect("an object").keys() {
            let is_kept = sent["messages"][1].get(key).is_some();
            assert_eq!(is_kept, kept.contains(&key.as_str()), "{vendor:?}: {key}");
            assert_eq!(
                dropped.contains(&format!("messages.{key}")),
                !is_kept,
                "{vendor:?}: {key}"
            );
        }
    }
    let unknown = Target::of_model("m", None);
    unchanged(Surface::ChatCompletions, &assistant(told), &unknown);
}

/// openai/codex#24500, cline/cline#7974.
#[test]
fn calls_without_thoughts_get_what_stands_for_them() {
    let (sent, dropped) = changed(
        Surface::ChatCompletions,
        &assistant(json!({})),
        &of(Vendor::Deepseek),
    );
    assert_eq!(sent["messages"][1]["reasoning_content"], " ");
    assert_eq!(dropped, Vec::<String>::new());
    let (sent, _) = changed(
        Surface::ChatCompletions,
        &assistant(json!({})),
        &of(Vendor::Google),
    );
    let calls = &sent["messages"][1]["tool_calls"];
    let signature = "skip_thought_signature_validator";
    assert_eq!(
        calls[0]["extra_content"]["google"]["thought_signature"],
        signature
    );
    assert_eq!(calls[1].get("extra_content"), None, "one is enough");
    unchanged(Surface::ChatCompletions, &sent, &of(Vendor::Google));
    unchanged(
        Surface::ChatCompletions,
        &assistant(json!({})),
        &of(Vendor::Openai),
    );
    let no = Capabilities {
        reasoning: Some(false),
        ..Capabilities::default()
    };
    let chat = Target::of_model("m", None).knowing(no, Some(Vendor::Deepseek));
    unchanged(Surface::ChatCompletions, &assistant(json!({})), &chat);
}

/// BerriAI/litellm#38842: Codex asks for a summary of thoughts whatever the model.
#[test]
fn a_model_that_cannot_think_is_not_told_how_hard() {
    let no = Capabilities {
        reasoning: Some(false),
        ..Capabilities::default()
    };
    let target = Target::of_model("gpt-4o", None).knowing(no, Some(Vendor::Openai));
    let body = json!({"model": "m", "input": "hi", "reasoning": {"summary": "auto"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"]});
    let (sent, dropped) = changed(Surface::Responses, &body, &target);
    assert_eq!(
        sent,
        json!({"model": "m", "input": "hi", "include": ["message.output_text.logprobs"]})
    );
    assert_eq!(dropped, ["reasoning", "include"]);
    let body = json!({"model": "m", "messages": [], "reasoning_effort": "low"});
    let (sent, dropped) = changed(Surface::ChatCompletions, &body, &target);
    assert_eq!(
        (sent.get("reasoning_effort"), dropped),
        (None, vec!["reasoning_effort".to_owned()])
    );
    let claude = Target::of_model("claude-3-5-sonnet-20241022", None);
    let body = json!({"model": "m", "messages": [], "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}});
    let (_, dropped) = changed(Surface::Messages, &body, &claude);
    assert_eq!(dropped, ["thinking", "output_config.effort"]);
    let body = json!({"model": "m", "messages": [], "output_config": {"effort": "low"}});
    let (_, dropped) = changed(Surface::Messages, &body, &claude);
    assert_eq!(dropped, ["output_config.effort"]);
    let plain = json!({"model": "m", "messages": [], "thinking": {"type": "disabled"}});
    unchanged(Surface::Messages, &plain, &claude);
    unchanged(
        Surface::Responses,
        &json!({"model": "m", "input": "reasoning"}),
        &target,
    );
}

/// Claude Code names further models, and writes for the first.
#[test]
fn a_model_that_was_named_second_is_told_as_it_takes_it() {
    let sent = |surface, body: &Value, target: &Target<'_>| {
        let adapted = super::adapted(surface, body.to_string().as_bytes(), target, true);
        let adapted = adapted.unwrap_or_else(|| panic!("nothing is changed: {body}"));
        (
            serde_json::from_slice::<Value>(&adapted.body).expect("JSON"),
            adapted.dropped,
        )
    };
    let user = json!([{"role": "user", "content": "hi"}]);
    let code = json!({"model": "m", "max_tokens": 32000, "messages": user, "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"}});
    let haiku = Target::of_model("claude-haiku-4-5", None);
    let (value, dropped) = sent(Surface::Messages, &code, &haiku);
    assert_eq!(
        value["thinking"],
        json!({"type": "enabled", "budget_tokens": 20480})
    );
    assert_eq!(value.get("output_config"), None);
    assert_eq!(dropped, ["thinking", "output_config.effort"]);
    unchanged(Surface::Messages, &code, &haiku);
    let mut short = code.clone();
    short["max_tokens"] = json!(100);
    short["context_management"] =
        json!({"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]});
    let (value, _) = sent(Surface::Messages, &short, &haiku);
    assert_eq!(
        (value.get("thinking"), value.get("context_management")),
        (None, None)
    );
    let budget = json!({"model": "m", "max_tokens": 32000, "messages": user, "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let (value, dropped) = sent(
        Surface::Messages,
        &budget,
        &Target::of_model("claude-opus-4-8", None),
    );
    assert_eq!(
        (value["thinking"].clone(), dropped),
        (json!({"type": "adaptive"}), vec!["thinking".to_owned()])
    );
    let known = Capabilities {
        reasoning: Some(true),
        efforts: "none,low,high".parse().ok(),
        ..Capabilities::default()
    };
    let gpt = Target::of_model("gpt-5.1", None).knowing(known, Some(Vendor::Openai));
    for (surface, body, place) in [
        (
            Surface::Responses,
            json!({"model": "m", "input": "hi", "reasoning": {"effort": "xhigh"}}),
            "/reasoning/effort",
        ),
        (
            Surface::ChatCompletions,
            json!({"model": "m", "messages": user, "reasoning_effort": "xhigh"}),
            "/reasoning_effort",
        ),
    ] {
        let (value, dropped) = sent(surface, &body, &gpt);
        assert_eq!(value.pointer(place), Some(&json!("high")));
        assert_eq!(dropped.len(), 1);
    }
}
