//! Histories that no provider has made alone.

use super::*;

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
