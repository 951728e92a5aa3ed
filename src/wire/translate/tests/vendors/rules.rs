//! The rules of each vendor's API, each as its error says it.

use std::collections::HashSet;

use super::*;

/// Everything inside a value.
fn inside<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    found.push(value);
    match value {
        Value::Array(list) => list.iter().for_each(|each| inside(each, found)),
        Value::Object(map) => map.values().for_each(|each| inside(each, found)),
        _ => {}
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The rules of Anthropic's messages, each as its error says it.
pub(super) fn anthropic_takes(body: &Value) {
    let messages = list(&body["messages"]);
    assert_eq!(
        messages[0]["role"], "user",
        "first message must use the user role"
    );
    let mut used = HashSet::new();
    for (at, message) in messages.iter().enumerate() {
        let content = list(&message["content"]);
        assert!(!content.is_empty(), "messages must have non-empty content");
        let results: Vec<&Value> = content
            .iter()
            .filter(|block| block["type"] == "tool_result")
            .collect();
        for block in content {
            match block["type"].as_str().expect("a type") {
                "tool_use" => {
                    assert!(
                        used.insert(block["id"].clone()),
                        "`tool_use` ids must be unique"
                    );
                    let after = messages
                        .get(at + 1)
                        .map_or(&[][..], |next| list(&next["content"]));
                    let answered = after.iter().any(|next| next["tool_use_id"] == block["id"]);
                    assert!(
                        answered,
                        "`tool_use` ids were found without `tool_result` blocks immediately after"
                    );
                    assert!(
                        block["input"].is_object(),
                        "Input should be a valid dictionary"
                    );
                }
                "tool_result" => {
                    let before = at
                        .checked_sub(1)
                        .map_or(&[][..], |at| list(&messages[at]["content"]));
                    let called = before.iter().any(|call| {
                        call["type"] == "tool_use" && call["id"] == block["tool_use_id"]
                    });
                    assert!(
                        called,
                        "unexpected `tool_use_id` found in `tool_result` blocks"
                    );
                    let empty = list(&block["content"]).is_empty();
                    assert!(
                        !empty || block["is_error"] != true,
                        "content cannot be empty if `is_error` is true"
                    );
                }
                "thinking" => assert_eq!(
                    block["signature"], "EqoB",
                    "Invalid `signature` in `thinking` block"
                ),
                "redacted_thinking" => panic!("none of it is Anthropic's"),
                _ => {}
            }
        }
        assert!(
            content
                .iter()
                .take(results.len())
                .all(|block| block["type"] == "tool_result"),
            "results come first"
        );
        if let Some(next) = messages.get(at + 1) {
            assert_ne!(next["role"], message["role"], "roles must alternate");
        }
    }
    let last = messages.last().expect("a message");
    if last["role"] == "assistant" {
        let ending = list(&last["content"]).last().expect("a block");
        let text = ending["text"]
            .as_str()
            .unwrap_or_else(|| panic!("the final block cannot be {ending}"));
        assert_eq!(
            text,
            text.trim_end(),
            "final assistant content cannot end with trailing whitespace"
        );
        assert_eq!(
            body["output_config"].get("format"),
            None,
            "no prefill with a format"
        );
    }
    let mut all = Vec::new();
    inside(body, &mut all);
    for value in &all {
        if value["type"] == "text" && value.get("text").is_some() {
            let text = value["text"].as_str().expect("a text");
            assert!(
                !text.trim().is_empty(),
                "text content blocks must contain non-whitespace text"
            );
        }
        if value["type"] == "base64" {
            let known = [
                "image/jpeg",
                "image/png",
                "image/gif",
                "image/webp",
                "application/pdf",
            ];
            assert!(
                known.iter().any(|known| value["media_type"] == *known),
                "{value}"
            );
        }
    }
    let mut marks: Vec<&Value> = Vec::new();
    for part in ["tools", "system", "messages"] {
        let mut all = Vec::new();
        inside(&body[part], &mut all);
        marks.extend(all.iter().filter_map(|value| value.get("cache_control")));
    }
    marks.extend(body.get("cache_control"));
    assert!(
        marks.len() <= 4,
        "A maximum of 4 blocks with cache_control may be provided"
    );
    let short = marks
        .iter()
        .position(|mark| mark.get("ttl").is_none_or(|ttl| ttl == "5m"));
    let long = marks
        .iter()
        .rposition(|mark| mark.get("ttl").is_some_and(|ttl| ttl == "1h"));
    assert!(
        short.is_none() || long < short,
        "a ttl='1h' block must not come after a ttl='5m' block: {marks:?}"
    );
    let mut names = HashSet::new();
    for tool in list(&body["tools"]) {
        assert!(names.insert(&tool["name"]), "Tool names must be unique");
        assert_eq!(tool["input_schema"]["type"], "object");
        for join in ["oneOf", "anyOf", "allOf"] {
            assert_eq!(
                tool["input_schema"].get(join),
                None,
                "input_schema does not support {join} at the top level"
            );
        }
        if tool["strict"] == true {
            closed(&tool["input_schema"]);
        }
    }
    closed(&body["output_config"]["format"]["schema"]);
    if body["thinking"]["type"] == "enabled" {
        let first = |message: &Value| {
            message["content"][0]["type"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let answered = messages.len() > 1 && first(last) == "tool_result";
        assert!(
            !answered || first(&messages[messages.len() - 2]) == "thinking",
            "Expected `thinking`, but found `tool_use`"
        );
        let budget = body["thinking"]["budget_tokens"]
            .as_u64()
            .expect("a budget");
        assert!((1024..body["max_tokens"].as_u64().expect("a limit")).contains(&budget));
    }
    assert!(
        !body["metadata"].to_string().contains('@'),
        "user_id appears to contain an email address"
    );
}

/// Schemas of structured outputs.
fn closed(schema: &Value) {
    let mut all = Vec::new();
    inside(schema, &mut all);
    for value in all {
        for word in ["oneOf", "minLength"] {
            assert!(
                value
                    .get(word)
                    .is_none_or(|it| !it.is_array() && !it.is_number()),
                "'{word}' is not supported"
            );
        }
        if value["type"] == "object" {
            assert_eq!(value["additionalProperties"], false, "{schema}");
        }
    }
}

/// The rules of OpenAI's chat completions and of those who follow them.
pub(super) fn chat_takes(body: &Value, vendor: Option<Vendor>) {
    let mut open: Vec<&Value> = Vec::new();
    let mut before = "";
    for message in list(&body["messages"]) {
        let role = message["role"].as_str().expect("a role");
        if role == "tool" {
            let id = &message["tool_call_id"];
            let at = open.iter().position(|known| *known == id);
            open.remove(at.unwrap_or_else(|| panic!("no call of `tool_call_id` {id}: {body}")));
        } else {
            assert!(
                open.is_empty(),
                "An assistant message with 'tool_calls' must be followed by tool messages"
            );
        }
        let calls = list(&message["tool_calls"]);
        open.extend(calls.iter().map(|call| &call["id"]));
        match vendor {
            Some(Vendor::Mistral) => {
                for call in calls {
                    let id = call["id"].as_str().expect("an id");
                    let nine = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
                    assert!(
                        nine,
                        "Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9"
                    );
                }
                assert!(
                    before != "tool" || role != "user",
                    "Unexpected role 'user' after role 'tool'"
                );
            }
            Some(Vendor::Google) if !calls.is_empty() => {
                assert!(
                    calls.iter().any(|call| call.get("extra_content").is_some()),
                    "missing a thought_signature"
                );
            }
            Some(Vendor::Deepseek) if !calls.is_empty() => {
                assert!(
                    message["reasoning_content"].is_string(),
                    "reasoning_content must be passed back"
                );
            }
            Some(Vendor::Openai | Vendor::Groq) => {
                for key in [
                    "reasoning_content",
                    "reasoning_details",
                    "thinking_blocks",
                    "extra_content",
                ] {
                    assert_eq!(message.get(key), None, "property '{key}' is unsupported");
                }
            }
            _ => {}
        }
        before = role;
    }
    assert!(open.is_empty(), "every call has its message");
    let schemas = list(&body["tools"]).iter().map(|tool| &tool["function"]);
    for function in schemas {
        let parameters = &function["parameters"];
        assert_eq!(
            parameters["type"], "object",
            "schema must be of type object"
        );
        assert!(
            parameters["properties"].is_object(),
            "object schema missing properties"
        );
        for word in ["oneOf", "anyOf", "allOf", "enum", "not"] {
            assert_eq!(
                parameters.get(word),
                None,
                "must not have {word} at the top level"
            );
        }
        if function["strict"] == true {
            strict(parameters);
        }
    }
    let format = &body["response_format"]["json_schema"];
    if format["strict"] == true {
        strict(&format["schema"]);
    }
}

fn strict(schema: &Value) {
    let required = list(&schema["required"]);
    for name in schema["properties"].as_object().expect("properties").keys() {
        assert!(
            required.iter().any(|known| known == name),
            "'required' must include every key in properties"
        );
    }
    assert!(
        !schema.to_string().contains("oneOf"),
        "'oneOf' is not permitted"
    );
}
