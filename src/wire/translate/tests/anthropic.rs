//! What Anthropic refuses, one by one.

use super::*;
use crate::capabilities::Capabilities;
use crate::vendor::Vendor;

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

/// anthropics/claude-code#79418: "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'".
#[test]
fn names_of_properties_are_plain_for_anthropic() {
    let target = Target::of_model("claude-sonnet-4-5", None);
    let anthropic = target.knowing(Capabilities::default(), Some(Vendor::Anthropic));
    let (long, longest) = ("x".repeat(65), "x".repeat(64));
    let tool = |name: &str, inner: &str| {
        let inner = json!({"type": "object", "properties": {inner: {"type": "string"}}});
        json!({"type": "object", "properties": {"plain": {"type": "string"}, name: inner}})
    };
    for (name, inner, is_taken) in [
        ("a.b-c_D9", "x", true),
        (longest.as_str(), "x", true),
        ("a", "filter[x]", true),
        (long.as_str(), "x", false),
        ("filter[x]", "x", false),
        ("$top", "x", false),
        ("Account Number", "x", false),
        ("naïve", "x", false),
        ("", "x", false),
    ] {
        let schema = tool(name, inner);
        let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]});
        let responses = json!({"model": "m", "input": "hi",
            "tools": [{"type": "function", "name": "f", "parameters": schema, "strict": false}]});
        for (from, body, field) in [
            (CHAT, &chat, "tools.function.parameters"),
            (RESPONSES, &responses, "tools.parameters"),
        ] {
            let body = body.to_string();
            let sent = super::super::request(from, MESSAGES, body.as_bytes(), &anthropic);
            let refused = sent.err().map(|refusal| refusal.field);
            assert_eq!(refused.as_deref(), (!is_taken).then_some(field), "{body}");
            // A compatible provider is not known to refuse them.
            let other = super::super::request(from, MESSAGES, body.as_bytes(), &target);
            assert!(other.is_ok(), "{body}");
        }
    }
}
