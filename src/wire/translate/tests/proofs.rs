//! What makes a provider believe its own thoughts comes back to it, through any client, and to nobody else.

use super::*;
use crate::capabilities::Capabilities;
use crate::vendor::Vendor;

fn target(vendor: Vendor) -> Target<'static> {
    Target::of_model("m", None).knowing(Capabilities::default(), Some(vendor))
}

/// A stream of these deltas, and the whole answer of the same message.
fn said(deltas: &[Value], message: &Value) -> [Vec<u8>; 2] {
    let chunk = |delta: &Value, finish: Value| json!({"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let mut stream: String = deltas
        .iter()
        .map(|delta| format!("data: {}\n\n", chunk(delta, Value::Null)))
        .collect();
    stream += &format!(
        "data: {}\n\ndata: [DONE]\n\n",
        chunk(&json!({}), json!("tool_calls"))
    );
    let whole = json!({"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
    [stream.into_bytes(), whole.to_string().into_bytes()]
}

/// The next request of a client that was answered by a chat provider: its history is what it received.
fn next(client: Surface, answer: &[u8]) -> Value {
    let reply = reply(client, CHAT);
    let told = match answer.starts_with(b"data:") {
        true => {
            let seen = streamed(&reply, &[answer]);
            write_answer(client, &Collected::of(client, &seen).answer)
        }
        false => crate::translate::answer(&reply, answer, CREATED).expect("an answer"),
    };
    let told = parsed(&told);
    let user = json!({"role": "user", "content": "x"});
    if client == MESSAGES {
        let calls = told["content"]
            .as_array()
            .expect("blocks")
            .iter()
            .filter(|block| block["type"] == "tool_use");
        let results: Vec<Value> = calls
            .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "r"}))
            .collect();
        return json!({"model": "m", "max_tokens": 9, "messages": [
            user, {"role": "assistant", "content": told["content"]}, {"role": "user", "content": results}]});
    }
    let mut input = vec![user];
    for item in told["output"].as_array().expect("items") {
        input.push(item.clone());
    }
    for item in told["output"].as_array().expect("items") {
        if item["type"] == "function_call" {
            input.push(
                json!({"type": "function_call_output", "call_id": item["call_id"], "output": "r"}),
            );
        }
    }
    json!({"model": "m", "input": input})
}

fn sent(client: Surface, to: Surface, body: &Value, target: &Target<'_>) -> (Value, Vec<String>) {
    let sent = crate::translate::request(client, to, body.to_string().as_bytes(), target)
        .unwrap_or_else(|refusal| panic!("{refusal}: {body}"));
    (parsed(&sent.body), sent.dropped)
}

fn call(id: &str, extra: Value) -> Value {
    let mut call =
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    if !extra.is_null() {
        call["extra_content"] = extra;
    }
    call
}

/// anomalyco/opencode#4832, cline/cline#7974: Gemini refuses a call without its signature.
#[test]
fn googles_signature_comes_back_on_its_call() {
    let signature = json!({"google": {"thought_signature": "SIG/1+"}});
    let calls = [
        call("function-call-12", signature.clone()),
        call("c2", Value::Null),
    ];
    let at = |index: usize| {
        let mut call = calls[index].clone();
        call["index"] = json!(index);
        call
    };
    let deltas = [
        json!({"tool_calls": [at(0)]}),
        json!({"tool_calls": [at(1)]}),
    ];
    for answer in said(&deltas, &json!({"role": "assistant", "tool_calls": calls})) {
        for client in [MESSAGES, RESPONSES] {
            let body = next(client, &answer);
            assert!(!body.to_string().contains("SIG/1+"), "it is sealed: {body}");
            let (back, dropped) = sent(client, CHAT, &body, &target(Vendor::Google));
            let calls = &back["messages"][1]["tool_calls"];
            assert_eq!(calls[0]["extra_content"], signature, "{client:?}: {back}");
            assert_eq!(calls[1].get("extra_content"), None, "{client:?}: {back}");
            assert_eq!(dropped, Vec::<String>::new());
            let other = Target::of_model("gpt-5.6-luna", None);
            for (to, vendor) in [
                (CHAT, other),
                (MESSAGES, Target::of_model("claude-opus-4-8", None)),
            ] {
                if to != client {
                    let (other, dropped) = sent(client, to, &body, &vendor);
                    assert!(!other.to_string().contains("extra_content"), "{other}");
                    assert_eq!(dropped.len(), 1, "{dropped:?}");
                }
            }
        }
    }
}

/// Providers that give no ids make calls of the same id turn after turn.
#[test]
fn a_signature_follows_its_call_when_that_is_renamed() {
    let signature = |text: &str| json!({"google": {"thought_signature": text}});
    let turn = |text: &str| {
        let seal = Proof::Extra {
            call: Some("call_0".to_owned()),
            content: signature(text).to_string(),
        }
        .seal();
        [
            json!({"role": "assistant", "content": [
                {"type": "redacted_thinking", "data": seal}, {"type": "tool_use", "id": "call_0", "name": "f", "input": {}}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": text}]}),
        ]
    };
    let mut messages = vec![json!({"role": "user", "content": "x"})];
    messages.extend(turn("one"));
    messages.extend(turn("two"));
    let body = json!({"model": "m", "max_tokens": 9, "messages": messages});
    let (sent, _) = sent(MESSAGES, CHAT, &body, &target(Vendor::Google));
    let messages = &sent["messages"];
    assert_eq!(
        messages[1]["tool_calls"][0]["extra_content"],
        signature("one")
    );
    assert_eq!(
        messages[3]["tool_calls"][0]["extra_content"],
        signature("two")
    );
    assert_ne!(
        messages[1]["tool_calls"][0]["id"],
        messages[3]["tool_calls"][0]["id"]
    );
    assert_eq!(
        messages[3]["tool_calls"][0]["id"],
        messages[4]["tool_call_id"]
    );
}

/// A history of another provider's model has none of Google's signatures.
#[test]
fn calls_of_others_are_told_to_google_as_such() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r"}]}]});
    let (google, _) = sent(MESSAGES, CHAT, &body, &target(Vendor::Google));
    let told =
        &google["messages"][1]["tool_calls"][0]["extra_content"]["google"]["thought_signature"];
    assert_eq!(told, "skip_thought_signature_validator");
    let (other, _) = sent(MESSAGES, CHAT, &body, &Target::of_model("m", None));
    assert_eq!(
        other["messages"][1]["tool_calls"][0].get("extra_content"),
        None
    );
}

/// maximhq/bifrost#5274: Claude's signature through OpenRouter.
#[test]
fn reasoning_details_come_back_whole() {
    let text = json!({"type": "reasoning.text", "text": "hmm", "signature": "EqoBsig", "format": "anthropic-claude-v1", "index": 0});
    let encrypted = json!({"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 1});
    let deltas = [
        json!({"reasoning": "h", "reasoning_details": [{"type": "reasoning.text", "text": "h", "format": "anthropic-claude-v1", "index": 0}]}),
        json!({"reasoning": "mm", "reasoning_details": [{"type": "reasoning.text", "text": "mm", "index": 0}]}),
        json!({"content": "", "reasoning_details": [{"type": "reasoning.text", "signature": "EqoBsig", "text": null, "index": 0}]}),
        json!({"reasoning_details": [encrypted]}),
        json!({"content": "Hi."}),
        json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}}]}),
    ];
    let message = json!({"role": "assistant", "content": "Hi.", "reasoning": "hmm", "reasoning_details": [text, encrypted],
        "tool_calls": [call("c1", Value::Null)]});
    for answer in said(&deltas, &message) {
        for client in [MESSAGES, RESPONSES] {
            let body = next(client, &answer);
            assert!(
                body.to_string().contains("hmm"),
                "the words are shown: {body}"
            );
            let extensions = Target {
                extensions: true,
                ..Target::of_model("m", None)
            };
            for target in [
                target(Vendor::Openrouter),
                extensions,
                Target::of_model("m", None),
            ] {
                let (back, dropped) = sent(client, CHAT, &body, &target);
                assert_eq!(
                    back["messages"][1]["reasoning_details"],
                    json!([text, encrypted]),
                    "{client:?}: {back}"
                );
                assert_eq!(dropped, Vec::<String>::new());
            }
            let (other, dropped) = sent(client, CHAT, &body, &target(Vendor::Deepseek));
            assert_eq!(
                other["messages"][1]["reasoning_content"], " ",
                "it is not its own"
            );
            assert_eq!(dropped.len(), 1, "{dropped:?}");
        }
    }
}

/// Details that prove nothing are words.
#[test]
fn details_without_a_proof_are_words() {
    let deltas = [
        json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm", "index": 0}]}),
        json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}}]}),
    ];
    let message = json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm", "index": 0}], "tool_calls": [call("c1", Value::Null)]});
    for answer in said(&deltas, &message) {
        let body = next(MESSAGES, &answer);
        assert_eq!(
            body["messages"][1]["content"][0],
            json!({"type": "thinking", "thinking": "hm", "signature": "tollgate.n"})
        );
        for (vendor, key) in [
            (Vendor::Openrouter, "reasoning"),
            (Vendor::Deepseek, "reasoning_content"),
        ] {
            let (back, _) = sent(MESSAGES, CHAT, &body, &target(vendor));
            assert_eq!(back["messages"][1][key], "hm", "{back}");
        }
    }
}

/// openai/codex#24500: DeepSeek refuses a turn with calls that has no thoughts.
#[test]
fn a_turn_of_another_provider_has_something_in_the_place_of_thoughts() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "EqoBsig"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}]},
        {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Thanks."}]});
    for vendor in [Vendor::Deepseek, Vendor::Moonshotai, Vendor::ZAi] {
        let (sent, dropped) = sent(MESSAGES, CHAT, &body, &target(vendor));
        assert_eq!(sent["messages"][1]["reasoning_content"], " ");
        assert_eq!(
            sent["messages"][3].get("reasoning_content"),
            None,
            "no call, no need"
        );
        assert_eq!(dropped, ["messages.thinking"]);
    }
    let no = Capabilities {
        reasoning: Some(false),
        ..Capabilities::default()
    };
    let chat = Target::of_model("m", None).knowing(no, Some(Vendor::Deepseek));
    let (sent, _) = sent(MESSAGES, CHAT, &body, &chat);
    assert_eq!(
        sent["messages"][1].get("reasoning_content"),
        None,
        "it does not think"
    );
}
