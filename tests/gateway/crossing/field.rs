//! Requests that were refused in the field, and what has to reach the provider instead of them.

use serde_json::{Value, json};

use super::{ask, well};
use crate::common::TOKEN;
use crate::common::client::Answer;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;

/// Each with the report that it stems from.
const REQUESTS: &str = include_str!("../../field/requests.json");

/// Providers that are built in, and some of one's own.
fn providers(at: &str) -> Vec<Value> {
    let built_in = ["openai", "deepseek", "google", "groq", "openrouter"];
    let key = |id: &str| json!([{"id": format!("{id}-key"), "value": format!("KEY-{id}")}]);
    let entry = |id: &str, more: Value| {
        let mut entry = json!({"id": id, "base_url": at, "keys": key(id)});
        for (name, value) in more.as_object().into_iter().flatten() {
            entry[name] = value.clone();
        }
        entry
    };
    let mut all: Vec<Value> = built_in.map(|id| entry(id, json!({}))).to_vec();
    all.push(entry("claude", json!({"surfaces": ["anthropic/messages"]})));
    all.push(entry("mistral", json!({"vendor": "mistral"})));
    all.push(entry(
        "chat",
        json!({"models": [
            {"id": "plain", "capabilities": {"reasoning": false}},
            {"id": "low", "capabilities": {"reasoning": true, "efforts": ["low"]}},
        ]}),
    ));
    all
}

async fn gateway(fake: &Fake) -> Gateway {
    let mut builder = Gateway::builder();
    for provider in providers(&fake.base_url()) {
        builder = builder.provider(provider);
    }
    builder.start().await
}

fn request(path: &str, body: &Value) -> Request {
    let request = Request::post(path, body.to_string());
    match path {
        "/v1/messages" => request
            .without("authorization")
            .header("x-api-key", TOKEN)
            .header("anthropic-version", "2023-06-01"),
        _ => request,
    }
}

#[tokio::test]
async fn what_was_refused_is_sent_as_it_is_taken() {
    let fake = Fake::answering(Wire::H1, well).await;
    let gateway = gateway(&fake).await;
    let cases: Vec<Value> = serde_json::from_str(REQUESTS).expect("JSON");
    for case in &cases {
        let mut body = case["body"].clone();
        body["model"] = case["model"].clone();
        let path = case["path"].as_str().expect("a path");
        let answer = ask(&gateway, &request(path, &body)).await;
        let told = format!("{}, {}: {}", case["from"], case["model"], answer.text());
        assert_eq!(answer.status(), 200, "{told}");
        let sent = fake.seen().pop().expect("a request").json();
        for (pointer, expected) in case["sent"].as_object().expect("an object") {
            let seen = sent.pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(seen, expected, "{told} {pointer} {sent}");
        }
        let dropped = answer.header("x-tollgate-dropped").unwrap_or_default();
        let dropped = dropped.replace(", ", " ");
        assert_eq!(dropped, case["dropped"], "{told}");
    }
}

/// A client that names further models writes for the first one.
#[tokio::test]
async fn what_was_written_for_one_claude_is_told_to_another_as_it_takes_it() {
    let fake = Fake::answering(Wire::H1, |seen| {
        match seen.json()["model"] == "claude-opus-4-8" {
            true => Script::json(
                529,
                &json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
            ),
            false => well(seen),
        }
    })
    .await;
    let gateway = gateway(&fake).await;
    let body = json!({
        "model": "claude:claude-opus-4-8", "models": ["claude:claude-haiku-4-5"], "max_tokens": 32000,
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"},
        "messages": [{"role": "user", "content": "hi"}],
    });
    let answer = ask(&gateway, &request("/v1/messages", &body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = fake.seen();
    let [first, second] = &seen[..] else {
        panic!("two attempts, not {}", seen.len())
    };
    assert_eq!(first.json()["thinking"], body["thinking"], "as it is");
    assert_eq!(
        second.json()["thinking"],
        json!({"type": "enabled", "budget_tokens": 4096})
    );
    let dropped = answer.header("x-tollgate-dropped");
    assert_eq!(dropped, Some("thinking, output_config.effort"));
}

/// A stream that calls a tool, with what Google or OpenRouter gives along with it.
fn calls(more: &Value, call: &Value) -> Script {
    let mut fragment = json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    for (key, value) in call.as_object().into_iter().flatten() {
        fragment[key] = value.clone();
    }
    let chunk = |delta: &Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!(
            "data: {}\n\n",
            json!({"id": "x", "model": "m", "choices": [choice]})
        )
    };
    let fragment = json!({"tool_calls": [fragment]});
    let end = chunk(&json!({}), json!("tool_calls"));
    let text = [chunk(more, Value::Null), chunk(&fragment, Value::Null), end].concat();
    Script::sse().data(text + "data: [DONE]\n\n")
}

/// The blocks that a client of messages has after a stream: what each begins with, and its deltas.
fn blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    for data in answer
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("data: ").map(str::to_owned))
    {
        let event: Value = serde_json::from_str(&data).expect("JSON");
        let delta = &event["delta"];
        match event["type"].as_str() {
            Some("content_block_start") => blocks.push(event["content_block"].clone()),
            Some("content_block_delta") => {
                let block = blocks.last_mut().expect("a block");
                for key in ["text", "thinking", "signature"] {
                    if let Some(more) = delta[key].as_str() {
                        block[key] =
                            (block[key].as_str().unwrap_or_default().to_owned() + more).into();
                    }
                }
            }
            _ => {}
        }
    }
    blocks
}

/// An agent's loop: what proves a provider's thoughts goes to the client sealed, and comes back as it was.
#[tokio::test]
async fn proofs_come_back_to_their_provider_in_an_agents_loop() {
    let signature = json!({"google": {"thought_signature": "SIG/+=="}});
    let details = json!([{"type": "reasoning.text", "text": "hm", "signature": "EqoBsig", "format": "anthropic-claude-v1", "index": 0}]);
    for (model, more, call, pointer, expected) in [
        (
            "google:gemini-3.5-flash",
            json!({}),
            json!({"extra_content": signature}),
            "/messages/1/tool_calls/0/extra_content",
            &signature,
        ),
        (
            "openrouter:anthropic/claude-sonnet-4.5",
            json!({"reasoning": "hm", "reasoning_details": details}),
            json!({}),
            "/messages/1/reasoning_details",
            &details,
        ),
    ] {
        let fake = Fake::answering(Wire::H1, move |seen| {
            match seen.json()["messages"].as_array().map(Vec::len) {
                Some(1) => calls(&more, &call),
                _ => well(seen),
            }
        })
        .await;
        let gateway = gateway(&fake).await;
        let user = json!({"role": "user", "content": "x"});
        let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
        let body = |messages: Value| json!({"model": model, "max_tokens": 99, "stream": true, "tools": tools, "messages": messages});
        let first = ask(&gateway, &request("/v1/messages", &body(json!([user])))).await;
        assert!(
            !first.text().contains("SIG"),
            "it is sealed: {}",
            first.text()
        );
        let result = json!([{"type": "tool_result", "tool_use_id": "c1", "content": "r"}]);
        let history = json!([user, {"role": "assistant", "content": blocks(&first)}, {"role": "user", "content": result}]);
        let second = ask(&gateway, &request("/v1/messages", &body(history.clone()))).await;
        assert_eq!(second.status(), 200, "{}", second.text());
        let sent = fake.seen().pop().expect("a request").json();
        assert_eq!(sent.pointer(pointer), Some(expected), "{sent}");
        // Nobody else sees it.
        let mut elsewhere = body(history);
        elsewhere["model"] = json!("claude:claude-opus-4-8");
        let third = ask(&gateway, &request("/v1/messages", &elsewhere)).await;
        let sent = fake.seen().pop().expect("a request").json();
        assert!(!sent.to_string().contains("tollgate."), "{sent}");
        assert_eq!(
            third.header("x-tollgate-dropped"),
            Some("messages.thinking")
        );
    }
}
