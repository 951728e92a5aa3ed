//! Prompt caches of providers stay warm across a translation: what begins alike is written alike, and marked.

use super::*;
use crate::vendor::Vendor;

/// A conversation of this many turns of the user, with an agent's system prompt and tools.
fn chat_of(turns: usize) -> Value {
    let system = "You are a coding agent. ".repeat(200);
    let mut messages = vec![json!({"role": "system", "content": system})];
    for turn in 0..turns {
        if turn > 0 {
            messages.push(json!({"role": "assistant", "content": format!("Done {turn}.")}));
        }
        messages.push(json!({"role": "user", "content": format!("Step {turn}, please.")}));
    }
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
            "type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "integer"}}}}})
    };
    json!({"model": "m", "messages": messages, "tools": [tool("write"), tool("ls")]})
}

/// What a model of this vendor is sent.
fn told(to: Surface, vendor: Vendor, body: &Value, from: Surface) -> Translated {
    let target = Target {
        cache_marks: true,
        cache_key: Some("tg-0123"),
        ..Target::of_model(model(to), Some(64_000)).knowing(Default::default(), Some(vendor))
    };
    let sent = super::super::request(from, to, body.to_string().as_bytes(), &target);
    sent.unwrap_or_else(|refusal| panic!("{refusal}: {body}"))
}

/// Where marks are.
fn marks(body: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) if map.contains_key("cache_control") => found.push(path.to_owned()),
            Value::Object(map) => map
                .iter()
                .for_each(|(key, value)| walk(value, &format!("{path}/{key}"), found)),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .for_each(|(at, value)| walk(value, &format!("{path}/{at}"), found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(body, "", &mut found);
    found.sort();
    found
}

#[test]
fn an_agent_s_conversation_is_marked_where_the_next_turn_reads_it() {
    let sent = told(MESSAGES, Vendor::Anthropic, &chat_of(3), CHAT);
    let expected = [
        "/messages/2/content/0",
        "/messages/4/content/0",
        "/system/0",
        "/tools/1",
    ];
    assert_eq!(marks(&parsed(&sent.body)), expected);
    assert_eq!(sent.dropped, Vec::<String>::new());
    let first = told(MESSAGES, Vendor::Anthropic, &chat_of(1), CHAT);
    let expected = ["/messages/0/content/0", "/system/0", "/tools/1"];
    assert_eq!(marks(&parsed(&first.body)), expected);
}

#[test]
fn nothing_is_marked_that_does_not_pay() {
    let quiet = |body: &Value| {
        let sent = told(MESSAGES, Vendor::Anthropic, body, CHAT);
        assert_eq!(marks(&parsed(&sent.body)), [""; 0], "{body}");
    };
    let mut once = chat_of(1);
    once.as_object_mut().unwrap().remove("tools");
    quiet(&once);
    let mut short = chat_of(3);
    short["messages"][0]["content"] = json!("You are a coding agent.");
    quiet(&short);
    // The client's own marks are all that there are, and its word that it counts on a cache is told as before.
    let mut own = chat_of(3);
    own["messages"][1]["content"] =
        json!([{"type": "text", "text": "Step", "cache_control": {"type": "ephemeral"}}]);
    let sent = told(MESSAGES, Vendor::Anthropic, &own, CHAT);
    assert_eq!(marks(&parsed(&sent.body)), ["/messages/0/content/0"]);
    let mut keyed = chat_of(3);
    keyed["prompt_cache_key"] = json!("0199");
    let sent = told(MESSAGES, Vendor::Anthropic, &keyed, CHAT);
    assert_eq!(marks(&parsed(&sent.body)), [""]);
    // Nor where the model is not Anthropic's, or nobody asked for it.
    let target = Target {
        cache_marks: true,
        ..Target::of_model("kimi-k2", None)
    };
    let other = chat_of(3).to_string();
    let sent = super::super::request(CHAT, MESSAGES, other.as_bytes(), &target).unwrap();
    assert_eq!(marks(&parsed(&sent.body)), [""; 0]);
    let sent = translated(CHAT, MESSAGES, &chat_of(3));
    assert_eq!(marks(&parsed(&sent.body)), [""; 0]);
}

/// Byte for byte, which is what caches compare; marks apart, which are no part of the prompt.
#[test]
fn a_turn_begins_with_the_bytes_of_the_one_before() {
    for (from, to) in [
        (CHAT, MESSAGES),
        (CHAT, RESPONSES),
        (MESSAGES, CHAT),
        (MESSAGES, RESPONSES),
    ] {
        let body = |turns| match from {
            Surface::Messages => {
                let target = Target::of_model(model(MESSAGES), Some(64_000));
                let chat = chat_of(turns).to_string();
                super::super::request(CHAT, MESSAGES, chat.as_bytes(), &target)
                    .unwrap()
                    .body
            }
            _ => chat_of(turns).to_string().into_bytes(),
        };
        let target = Target::of_model(model(to), Some(64_000));
        let sent = |turns| {
            let sent = super::super::request(from, to, &body(turns), &target).unwrap();
            String::from_utf8(sent.body).unwrap()
        };
        let texts: Vec<String> = (1..5).map(sent).collect();
        for pair in texts.windows(2) {
            let [before, after] = [&pair[0], &pair[1]].map(|text| parsed(text.as_bytes()));
            for part in ["tools", "system", "instructions"] {
                assert_eq!(
                    before.get(part).map(Value::to_string),
                    after.get(part).map(Value::to_string)
                );
            }
            let list = if to == RESPONSES { "input" } else { "messages" };
            let [before, after] =
                [before, after].map(|body| body[list].as_array().unwrap().clone());
            let same = &after[..before.len()];
            assert_eq!(
                json!(before).to_string(),
                json!(same).to_string(),
                "{from:?} to {to:?}"
            );
        }
    }
}

#[test]
fn openai_is_told_which_requests_belong_together() {
    let mut asked = chat_of(2);
    let key = |to, vendor, body: &Value, from| {
        parsed(&told(to, vendor, body, from).body)["prompt_cache_key"].clone()
    };
    assert_eq!(key(RESPONSES, Vendor::Openai, &asked, CHAT), "tg-0123");
    assert_eq!(key(RESPONSES, Vendor::Mistral, &asked, CHAT), Value::Null);
    asked["prompt_cache_key"] = json!("0199");
    assert_eq!(key(RESPONSES, Vendor::Openai, &asked, CHAT), "0199");
    let message =
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(key(CHAT, Vendor::Openai, &message, MESSAGES), "tg-0123");
    // A provider that does not take the parameter is not sent it, and the client misses nothing.
    let refuses = ["prompt_cache_key".to_owned()];
    let target = Target {
        cache_key: Some("tg-0123"),
        unsupported: [&refuses, &[]],
        ..Target::of_model("gpt-5.5", None).knowing(Default::default(), Some(Vendor::Openai))
    };
    let sent =
        super::super::request(MESSAGES, CHAT, message.to_string().as_bytes(), &target).unwrap();
    assert_eq!(parsed(&sent.body).get("prompt_cache_key"), None);
    assert_eq!(sent.dropped, Vec::<String>::new());
}
