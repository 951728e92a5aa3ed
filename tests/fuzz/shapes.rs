//! What each API demands of a request, and of the order of a stream's events, beyond being JSON. Sources: the
//! providers' API references, as their SDKs' types have them.

use serde_json::Value;
use tollgate_wire::Surface;
use tollgate_wire::sse::Parser;

const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    match value.get(key) {
        None => &[],
        Some(Value::Array(list)) => {
            assert!(!list.is_empty(), "`{key}` is left out rather than empty");
            list
        }
        Some(other) => panic!("`{key}` is a list: {other}"),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("`{key}` is a text: {value}"))
}

fn one_of(value: &Value, key: &str, known: &[&str]) {
    if value.get(key).is_some() {
        let text = text(value, key);
        assert!(
            known.contains(&text),
            "`{key}` is none that is known: {text}"
        );
    }
}

fn plain(name: &str) {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let short = (1..=64).contains(&name.len());
    assert!(short && name.bytes().all(fit), "a name or id: {name:?}");
}

/// A request is what the surface's reference demands, whatever the client's was; `answered` says whether the
/// client's calls and results went together.
pub fn request(surface: Surface, body: &Value, answered: bool) {
    match surface {
        Surface::Messages => messages(body, answered),
        Surface::Responses => responses(body),
        _ => chat(body),
    }
}

fn messages(body: &Value, answered: bool) {
    let max = body["max_tokens"].as_u64().expect("`max_tokens` is there");
    assert!(max >= 1);
    for block in list(body, "system") {
        assert_eq!(text(block, "type"), "text", "the system prompt is text");
        assert!(!text(block, "text").is_empty(), "no text is empty");
    }
    let tools = list(body, "tools");
    for tool in tools {
        plain(text(tool, "name"));
        assert_eq!(tool["input_schema"]["type"], "object");
    }
    let mut last = "assistant";
    let messages = list(body, "messages");
    assert!(!messages.is_empty(), "there is something to answer");
    for message in messages {
        let role = text(message, "role");
        assert!(["user", "assistant"].contains(&role), "{role}");
        assert_ne!(role, last, "roles alternate, the user's first: {body}");
        last = role;
        let content = list(message, "content");
        assert!(!content.is_empty(), "no message is empty");
        let mut before = true;
        for block in content {
            let of = |role_of: &str| assert_eq!(role, role_of, "{block}");
            match text(block, "type") {
                "text" => assert!(!text(block, "text").is_empty(), "no text is empty"),
                "image" => of("user"),
                "document" => of("user"),
                "thinking" | "redacted_thinking" => of("assistant"),
                "tool_use" => {
                    of("assistant");
                    plain(text(block, "id"));
                    plain(text(block, "name"));
                    assert!(block["input"].is_object(), "{block}");
                    assert!(!tools.is_empty(), "calls go with tools");
                }
                "tool_result" => {
                    of("user");
                    plain(text(block, "tool_use_id"));
                    assert!(before, "results come first");
                    assert!(!tools.is_empty() || !answered, "results go with tools");
                }
                other => panic!("no block: {other}"),
            }
            before = block["type"] == "tool_result";
        }
    }
    if let Some(choice) = body.get("tool_choice") {
        assert!(!tools.is_empty(), "a choice goes with tools");
        one_of(choice, "type", &["auto", "any", "tool", "none"]);
    }
    let thinks = body.get("thinking").is_some();
    if let Some(budget) = body.pointer("/thinking/budget_tokens") {
        let budget = budget.as_u64().expect("a count");
        assert!((1024..max).contains(&budget), "{budget} of {max}");
    }
    let sampled = ["temperature", "top_p"].map(|key| body.get(key).is_some());
    assert!(sampled != [true, true], "one of temperature and top_p");
    assert!(
        !thinks || sampled == [false, false],
        "neither with thinking"
    );
    if let Some(temperature) = body.get("temperature") {
        assert!(temperature.as_f64().is_some_and(|t| t <= 1.0));
    }
    one_of(body, "service_tier", &["auto", "standard_only"]);
    if let Some(config) = body.get("output_config") {
        one_of(config, "effort", &["low", "medium", "high", "xhigh", "max"]);
    }
}

fn chat(body: &Value) {
    let messages = list(body, "messages");
    assert!(!messages.is_empty(), "there is something to answer");
    for message in messages {
        let content = message.get("content");
        match text(message, "role") {
            "system" | "developer" | "user" => match content {
                Some(Value::String(_)) => {}
                _ => assert!(!list(message, "content").is_empty(), "{message}"),
            },
            "tool" => {
                plain(text(message, "tool_call_id"));
                assert!(content.is_some_and(Value::is_string), "{message}");
            }
            "assistant" => {
                let calls = list(message, "tool_calls");
                for call in calls {
                    plain(text(call, "id"));
                    let kind = text(call, "type");
                    plain(text(&call[kind], "name"));
                    let arguments = match kind {
                        "function" => "arguments",
                        _ => "input",
                    };
                    text(&call[kind], arguments);
                }
                let says = content.is_some_and(Value::is_string);
                let refuses = message.get("refusal").is_some();
                assert!(says || refuses || !calls.is_empty(), "{message}");
            }
            other => panic!("no role: {other}"),
        }
    }
    for tool in list(body, "tools") {
        let kind = text(tool, "type");
        assert!(["function", "custom"].contains(&kind), "{kind}");
        plain(text(&tool[kind], "name"));
    }
    if body.get("tools").is_none() {
        assert!(body.get("tool_choice").is_none() && body.get("parallel_tool_calls").is_none());
    }
    assert!(list(body, "stop").len() <= 4, "at most four stops");
    one_of(body, "reasoning_effort", &EFFORTS);
    if let Some(format) = body.get("response_format") {
        one_of(format, "type", &["json_object", "json_schema"]);
        if format["type"] == "json_schema" {
            plain(text(&format["json_schema"], "name"));
        }
    }
}

fn responses(body: &Value) {
    let input = list(body, "input");
    assert!(!input.is_empty(), "there is something to answer");
    for item in input {
        match text(item, "type") {
            "message" => {
                one_of(item, "role", &["system", "developer", "user", "assistant"]);
                let said = item.get("content").is_some_and(Value::is_string);
                assert!(said || !list(item, "content").is_empty(), "{item}");
            }
            "function_call" | "custom_tool_call" => {
                plain(text(item, "call_id"));
                plain(text(item, "name"));
            }
            "function_call_output" | "custom_tool_call_output" => {
                plain(text(item, "call_id"));
                assert!(item["output"].is_string() || item["output"].is_array());
            }
            "reasoning" => {
                text(item, "encrypted_content");
                assert!(item["summary"].is_array(), "{item}");
            }
            other => panic!("no item: {other}"),
        }
    }
    for tool in list(body, "tools") {
        one_of(tool, "type", &["function", "custom"]);
        plain(text(tool, "name"));
    }
    if body.get("tools").is_none() {
        assert!(body.get("tool_choice").is_none() && body.get("parallel_tool_calls").is_none());
    }
    if let Some(limit) = body.get("max_output_tokens") {
        assert!(limit.as_u64().is_some_and(|limit| limit >= 16));
    }
    if let Some(reasoning) = body.get("reasoning") {
        one_of(reasoning, "effort", &EFFORTS);
    }
    if let Some(format) = body.pointer("/text/format") {
        one_of(format, "type", &["json_object", "json_schema"]);
        if format["type"] == "json_schema" {
            plain(text(format, "name"));
        }
    }
    assert_eq!(
        body["store"], false,
        "nothing is kept that cannot be fetched"
    );
}

/// A stream's events come in the order of the surface's reference, however broken the provider's were. A whole
/// stream has one end and nothing after it; one that broke off has none.
pub fn stream(surface: Surface, bytes: &[u8], whole: bool) {
    let mut parser = Parser::new();
    let mut events = parser.feed(bytes);
    let mut values = Vec::new();
    let mut done = 0;
    while let Some(event) = events.next() {
        let event = event.expect("short events");
        assert_eq!(done, 0, "nothing follows [DONE]");
        if event.data == b"[DONE]" {
            done += 1;
            continue;
        }
        let value: Value = serde_json::from_slice(event.data)
            .unwrap_or_else(|_| panic!("JSON: {:?}", String::from_utf8_lossy(event.data)));
        if surface != Surface::ChatCompletions {
            let kind = value["type"].as_str().map(str::as_bytes);
            assert_eq!(Some(event.name), kind, "the event's name");
        }
        values.push(value);
    }
    let ended = match surface {
        Surface::Messages => messages_stream(&values),
        Surface::Responses => responses_stream(&values),
        _ => chat_stream(&values, done == 1),
    };
    assert!(!whole || ended, "a whole stream ends: {values:?}");
}

fn messages_stream(events: &[Value]) -> bool {
    let (mut started, mut ended, mut told) = (false, false, false);
    let (mut open, mut next) = (None, 0);
    for event in events {
        assert!(!ended, "nothing follows the end: {event}");
        let kind = text(event, "type");
        match kind {
            "error" => {
                text(&event["error"], "message");
                ended = true;
                told = true;
                continue;
            }
            "ping" => continue,
            "message_start" => {
                assert!(!started, "one start");
                started = true;
                continue;
            }
            _ => assert!(started, "message_start is first: {event}"),
        }
        match kind {
            "content_block_start" => {
                assert!(open.is_none(), "one block at a time");
                assert_eq!(event["index"], next, "blocks count up");
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => assert_eq!(event["index"].as_u64(), open, "an open block's"),
            "content_block_stop" => assert_eq!(event["index"].as_u64(), open.take()),
            "message_delta" => {
                assert!(open.is_none() && !told, "blocks end before the answer");
                text(&event["delta"], "stop_reason");
                told = true;
            }
            "message_stop" => {
                assert!(told, "message_delta comes before message_stop");
                ended = true;
            }
            other => panic!("no event: {other}"),
        }
    }
    ended
}

fn responses_stream(events: &[Value]) -> bool {
    let (mut started, mut ended) = (false, false);
    let (mut open, mut next): (Vec<u64>, u64) = (Vec::new(), 0);
    for (at, event) in events.iter().enumerate() {
        assert!(!ended, "nothing follows the end: {event}");
        assert_eq!(event["sequence_number"], at, "{event}");
        let place = event["output_index"].as_u64();
        match text(event, "type") {
            "error" => ended = true,
            "response.created" => {
                assert!(!std::mem::replace(&mut started, true), "one start");
            }
            _ if !started => panic!("response.created is first: {event}"),
            "response.in_progress" => {}
            "response.output_item.added" => {
                assert_eq!(place, Some(next), "items count up");
                open.push(next);
                next += 1;
            }
            "response.output_item.done" => {
                let found = open.iter().position(|open| Some(*open) == place);
                open.remove(found.expect("an open item"));
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert!(open.is_empty(), "items end before the answer");
                let output = event["response"]["output"].as_array().expect("items");
                assert!(output.iter().all(Value::is_object), "{event}");
                ended = true;
            }
            _ => assert!(
                open.iter().any(|open| Some(*open) == place),
                "an open item's: {event}"
            ),
        }
    }
    ended
}

fn chat_stream(events: &[Value], done: bool) -> bool {
    let (mut finished, mut failed) = (false, false);
    for (at, event) in events.iter().enumerate() {
        assert!(!failed, "nothing follows an error: {event}");
        if event.get("error").is_some() {
            failed = true;
            continue;
        }
        assert_eq!(text(event, "object"), "chat.completion.chunk");
        let choices = event["choices"].as_array().expect("choices");
        let Some(choice) = choices.first() else {
            assert!(finished, "the usage comes last");
            continue;
        };
        assert!(!finished, "nothing follows the reason of the end: {event}");
        assert!(at > 0 || choice["delta"]["role"] == "assistant", "{event}");
        finished = !choice["finish_reason"].is_null();
    }
    assert!(!done || finished, "[DONE] is said of an answer that ended");
    done || failed
}
