//! What nobody should send, and somebody will.

use proptest::prelude::*;
use proptest::sample::Index;

use super::laws::pairs;
use super::*;

/// JSON of the words that the dialects use.
fn wild() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 64] = [
        "model",
        "messages",
        "input",
        "role",
        "content",
        "type",
        "text",
        "system",
        "user",
        "assistant",
        "tool",
        "tools",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "tool_call_id",
        "call_id",
        "tool_use",
        "tool_result",
        "tool_use_id",
        "thinking",
        "signature",
        "redacted_thinking",
        "data",
        "image_url",
        "url",
        "source",
        "base64",
        "media_type",
        "file",
        "reasoning",
        "summary",
        "output",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "message",
        "input_text",
        "output_text",
        "choices",
        "delta",
        "finish_reason",
        "usage",
        "index",
        "content_block_start",
        "content_block",
        "content_block_delta",
        "text_delta",
        "message_start",
        "message_delta",
        "stop_reason",
        "response.output_item.added",
        "item",
        "output_index",
        "response.completed",
        "response",
        "status",
        "error",
        "tool_choice",
        "custom",
        "namespace",
        "partial_json",
    ];
    let word = prop::sample::select(&WORDS[..]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0..5u64).prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_request_makes_it_panic(list in prop::collection::vec(wild(), 0..4), rest in wild()) {
        for from in SURFACES {
            let mut body = rest.clone();
            if !body.is_object() {
                body = json!({});
            }
            body[if from == RESPONSES { "input" } else { "messages" }] = list.clone().into();
            for to in SURFACES {
                let target = Target::of_model(model(to), None);
                let Ok(written) = crate::translate::request(from, to, body.to_string().as_bytes(), &target) else {
                    continue;
                };
                prop_assert!(read(to, &written.body).is_ok(), "{}", String::from_utf8_lossy(&written.body));
            }
        }
    }

    #[test]
    fn no_answer_makes_it_panic(events in prop::collection::vec(wild(), 0..6)) {
        for (client, provider) in pairs() {
            let reply = reply(client, provider);
            let mut stream = String::new();
            for event in &events {
                drop(crate::translate::answer(&reply, event.to_string().as_bytes(), 0));
                stream += &format!("data: {event}\n\n");
            }
            drop(Collected::of(client, &streamed(&reply, &[stream.as_bytes()])));
        }
    }
}

/// Bytes of a fixture with some of them changed, taken out or said twice.
fn spoilt(text: &str, changes: &[(Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, kind, byte) in changes {
        let at = at.index(bytes.len());
        let end = (at + usize::from(*byte)).min(bytes.len());
        match kind % 3 {
            0 => bytes[at] = *byte,
            1 => drop(bytes.drain(at..end)),
            _ => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_broken_stream_makes_it_panic_or_write_what_is_no_json(
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..6),
    ) {
        for (_, provider, stream) in super::streams::STREAMS {
            let stream = spoilt(stream, &changes);
            for client in SURFACES.into_iter().filter(|client| *client != provider) {
                let seen = streamed(&reply(client, provider), &[&stream]);
                for data in seen.lines().filter_map(|line| line.strip_prefix("data: ")) {
                    let json = serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok();
                    prop_assert!(json || data == "[DONE]", "{}", data);
                }
                drop(Collected::of(client, &seen));
            }
        }
    }

    #[test]
    fn a_broken_request_is_refused_or_makes_sense(
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..4),
    ) {
        for (from, body) in super::bodies::bodies() {
            let body = spoilt(&body.to_string(), &changes);
            for to in SURFACES.into_iter().filter(|to| *to != from) {
                let target = Target::of_model(model(to), None);
                if let Ok(written) = crate::translate::request(from, to, &body, &target) {
                    prop_assert!(read(to, &written.body).is_ok(), "{}", String::from_utf8_lossy(&written.body));
                }
            }
        }
    }
}

/// Each of these took a step for each two of its parts: hours of one thread for what one message may hold.
#[test]
fn what_repeats_itself_is_read_once() {
    const MANY: usize = 10_000;
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"a": 1}});
    let names: Vec<String> = (0..MANY).map(|n| format!("n{n}")).collect();
    let keywords: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!(1))).collect();
    let union = json!({"type": "object", "anyOf": [{"required": names}, {"required": names}],
        "properties": {"a": keywords}});
    let tool =
        json!({"type": "function", "function": {"name": "f", "strict": true, "parameters": union}});
    let chosen: Vec<Value> = names
        .iter()
        .map(|name| json!({"type": "function", "function": {"name": name}}))
        .collect();
    for body in [
        json!({"messages": [{"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": vec![call; MANY]}]}),
        json!({"messages": [{"role": "user", "content": "hi"}], "tools": [tool],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": chosen}}}),
        json!({"messages": [{"role": "user", "content":
            names.iter().map(|name| json!({"type": format!("{name}_call")})).collect::<Vec<_>>()}]}),
    ] {
        for to in [MESSAGES, RESPONSES] {
            let target = Target::of_model(model(to), None);
            let written = crate::translate::request(CHAT, to, body.to_string().as_bytes(), &target);
            if let Ok(written) = written {
                let read = read(to, &written.body).unwrap();
                assert!(read.calls_are_answered(), "each call is one of its own");
            }
        }
    }
}

/// A part is looked for among all others, so there is a bound.
#[test]
fn an_answer_of_very_many_parts_is_not_read() {
    const MANY: usize = 30_000;
    for call in [
        json!({"id": "a", "function": {"name": "b", "arguments": "{}"}}),
        json!({"id": "a", "function": {"name": "b", "arguments": "{"}}),
        json!({"index": 0, "function": {"name": "b", "arguments": "{}{}"}}),
    ] {
        let calls = vec![call; MANY];
        let event = json!({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]});
        let stream = format!("data: {event}\n\ndata: [DONE]\n\n");
        for client in [MESSAGES, RESPONSES] {
            let end = streamed(&reply(client, CHAT), &[stream.as_bytes()]);
            assert!(end.contains("longer than can be translated"), "{client:?}");
        }
    }
    for (provider, events) in [
        (
            MESSAGES,
            vec![
                json!({"type": "content_block_start", "content_block": {"type": "text", "text": "a"}}),
            ],
        ),
        (
            RESPONSES,
            vec![
                json!({"type": "response.output_item.added", "item": {"type": "function_call", "name": "a"}}),
                json!({"type": "response.output_item.done", "item": {"type": "function_call", "name": "a", "arguments": "{}"}}),
            ],
        ),
    ] {
        let mut stream = String::new();
        for number in 0..MANY {
            for mut event in events.clone() {
                event["index"] = number.into();
                event["output_index"] = number.into();
                event["item"]["id"] = format!("item{number}").into();
                let kind = event["type"].as_str().unwrap().to_owned();
                stream += &format!("event: {kind}\ndata: {event}\n\n");
            }
        }
        let end = streamed(&reply(CHAT, provider), &[stream.as_bytes()]);
        assert!(
            end.contains("longer than can be translated"),
            "{provider:?}"
        );
    }
}

/// The encoder of a Responses stream says all of its text again at its end.
#[test]
fn a_translated_stream_has_an_end() {
    let text = "x".repeat(1 << 20);
    let event = format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": text}}]})
    );
    let mut stream = Stream::new(&reply(RESPONSES, CHAT), CREATED);
    let (mut parser, mut out, mut longest) = (Parser::new(), Vec::new(), 0);
    for _ in 0..100 {
        out.clear();
        let mut events = parser.feed(event.as_bytes());
        while let Some(event) = events.next() {
            stream.push(&event.unwrap(), &mut out);
        }
        longest += out.len();
    }
    assert!(longest < 40 << 20, "{longest}");
    out.clear();
    assert!(!stream.finish(&mut out), "it has failed");
    assert!(out.is_empty(), "and does not end");
}
