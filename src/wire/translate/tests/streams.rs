//! Streams, by example.

use super::*;

/// platform.claude.com/docs/en/build-with-claude/streaming, "Streaming request with tool use" and "with
/// extended thinking", shortened.
const FROM_MESSAGES: &str = include_str!("streams/messages.sse");

/// platform.openai.com/docs/api-reference/chat-streaming and .../guides/function-calling, "Streaming".
const FROM_CHAT: &str = include_str!("streams/chat.sse");

/// platform.openai.com/docs/api-reference/responses-streaming, brought together.
const FROM_RESPONSES: &str = include_str!("streams/responses.sse");

pub(super) const STREAMS: [(&str, Surface, &str); 3] = [
    ("messages", MESSAGES, FROM_MESSAGES),
    ("chat", CHAT, FROM_CHAT),
    ("responses", RESPONSES, FROM_RESPONSES),
];

fn others(provider: Surface) -> impl Iterator<Item = Surface> {
    SURFACES
        .into_iter()
        .filter(move |client| *client != provider)
}

#[test]
fn streams_in_every_other_dialect() {
    for (name, provider, stream) in STREAMS {
        for client in others(provider) {
            let seen = streamed(&reply(client, provider), &[stream.as_bytes()]);
            let to = client.name().rsplit('/').next().unwrap_or_default();
            insta::assert_snapshot!(format!("{name}_to_{to}"), seen);
        }
    }
}

#[test]
fn every_split_gives_the_same_stream() {
    for (_, provider, stream) in STREAMS {
        for client in others(provider) {
            let reply = reply(client, provider);
            let whole = streamed(&reply, &[stream.as_bytes()]);
            for at in (0..stream.len()).step_by(7) {
                let (a, b) = stream.as_bytes().split_at(at);
                assert_eq!(streamed(&reply, &[a, b]), whole, "{at}");
            }
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(streamed(&reply, &bytes), whole);
        }
    }
}

/// The text of each event goes out with it, not later.
#[test]
fn nothing_waits_for_what_follows() {
    for (_, provider, stream) in STREAMS {
        for client in others(provider) {
            let mut translation = Stream::new(&reply(client, provider), CREATED);
            let mut parser = Parser::new();
            let mut fragments = 0;
            for chunk in stream.split_inclusive("\n\n") {
                let mut out = Vec::new();
                let mut events = parser.feed(chunk.as_bytes());
                while let Some(event) = events.next() {
                    translation.push(&event.expect("short"), &mut out);
                }
                let out = String::from_utf8(out).expect("UTF-8");
                for word in [
                    "I need to find ",
                    "the weather.",
                    "Okay, let's",
                    "San Francisco",
                    "Hello",
                    "Paris",
                    "Greeting",
                    "Nicely",
                    "Hi there!",
                ] {
                    // Not in an event that says everything again.
                    let fragment = chunk.contains("delta") && !chunk.contains(".done\"");
                    if chunk.contains(word) && fragment {
                        fragments += 1;
                        assert!(
                            out.contains(word),
                            "{client:?} from {provider:?}: {word}: {out}"
                        );
                    }
                }
            }
            assert!(fragments >= 2, "{fragments}");
        }
    }
}

fn call(index: u32, more: &str) -> String {
    format!(
        r#"data: {{"model":"m","choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{index},{more}}}]}}}}]}}"#
    ) + "\n\n"
}

/// Anthropic has one block open at a time: the first call's fragments go on, and the second's wait for it.
#[test]
fn calls_that_come_interleaved_go_out_one_after_the_other() {
    let pieces = [
        call(0, r#""id":"a","function":{"name":"f","arguments":""}"#),
        call(1, r#""id":"b","function":{"name":"g","arguments":""}"#),
        call(0, r#""function":{"arguments":"{\"x\":"}"#),
        call(1, r#""function":{"arguments":"{\"y\":"}"#),
        call(0, r#""function":{"arguments":"1}"}"#),
        call(1, r#""function":{"arguments":"2}"}"#),
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n".to_owned(),
    ];
    let chunks: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    let seen = streamed(&reply(MESSAGES, CHAT), &chunks);
    let kinds: Vec<&str> = seen
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ],
        "{seen}"
    );
    let answer = Collected::of(MESSAGES, &seen).answer;
    let arguments: Vec<&str> = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Call(call) => Some(call.arguments.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, [r#"{"x":1}"#, r#"{"y":2}"#]);
}

/// A call whose arguments are whole is over once the next one begins, so that the next one need not wait.
#[test]
fn calls_that_come_in_turn_are_not_held_back() {
    let pieces = [
        call(
            0,
            r#""id":"a","function":{"name":"f","arguments":"{\"x\":1}"}"#,
        ),
        call(
            1,
            r#""id":"b","function":{"name":"g","arguments":"{\"y\":"}"#,
        ),
    ];
    let chunks: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    let seen = streamed(&reply(MESSAGES, CHAT), &chunks);
    assert!(seen.contains(r#"{\"y\":"#), "{seen}");
}

/// Some compatible providers give every call the index 0.
#[test]
fn calls_of_one_index_are_told_apart_by_their_ids() {
    let pieces = [
        call(0, r#""id":"a","function":{"name":"f","arguments":"{}"}"#),
        call(0, r#""id":"b","function":{"name":"g","arguments":"{}"}"#),
        "data: [DONE]\n\n".to_owned(),
    ];
    let chunks: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    let seen = streamed(&reply(RESPONSES, CHAT), &chunks);
    assert_eq!(
        Collected::of(RESPONSES, &seen).answer.parts.len(),
        2,
        "{seen}"
    );
}

#[test]
fn custom_tools_stream_their_text() {
    let body = json!({"model": "m", "input": "hi", "stream": true, "tools": [{"type": "custom", "name": "apply_patch"}]});
    let sent = translated(RESPONSES, MESSAGES, &body);
    let delta = |json: &str| {
        let data = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": json}});
        format!("data: {data}\n\n")
    };
    let stream = [
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n".to_owned(),
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"apply_patch\",\"input\":{}}}\n\n".to_owned(),
        delta("{\"inp"), delta("ut\": \"*** Begin\\"), delta("n*** \\u00e9"), delta("\"}"),
        "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":5}}\n\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
    ].concat();
    let seen = streamed(&sent.reply, &[stream.as_bytes()]);
    let deltas = seen
        .matches("event: response.custom_tool_call_input.delta")
        .count();
    assert_eq!(deltas, 2, "{seen}");
    let answer = Collected::of(RESPONSES, &seen).answer;
    let expected = Call {
        id: "toolu_1".to_owned(),
        name: "apply_patch".to_owned(),
        namespace: None,
        arguments: "*** Begin\n*** é".to_owned(),
        custom: true,
    };
    assert_eq!(answer.parts, [Part::Call(expected)]);
}

#[test]
fn usage_is_told_only_to_chat_clients_that_ask() {
    let mut reply = reply(CHAT, MESSAGES);
    assert!(streamed(&reply, &[FROM_MESSAGES.as_bytes()]).contains("\"usage\":{"));
    reply.include_usage = false;
    let seen = streamed(&reply, &[FROM_MESSAGES.as_bytes()]);
    assert!(
        !seen.contains("usage") && !seen.contains("\"choices\":[]"),
        "{seen}"
    );
}

/// "Error events" in platform.claude.com/docs/en/build-with-claude/streaming; the `error` event of
/// platform.openai.com/docs/api-reference/responses-streaming.
#[test]
fn an_error_in_a_stream_is_told_in_the_clients_words_and_ends_it() {
    let errors = [
        (
            MESSAGES,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        ),
        (
            CHAT,
            "data: {\"error\":{\"message\":\"Overloaded\",\"type\":\"overloaded_error\",\"code\":529}}\n\n",
        ),
        (
            RESPONSES,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"overloaded_error\",\"message\":\"Overloaded\",\"param\":null,\"sequence_number\":1}\n\n",
        ),
        (
            RESPONSES,
            "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"overloaded_error\",\"message\":\"Overloaded\"}}}\n\n",
        ),
    ];
    for (provider, error) in errors {
        for client in others(provider) {
            let seen = streamed(
                &reply(client, provider),
                &[error.as_bytes(), b"data: [DONE]\n\n"],
            );
            let collected = Collected::of(client, &seen);
            assert!(!collected.ended, "{seen}");
            let fault = collected
                .failed
                .unwrap_or_else(|| panic!("an error: {seen}"));
            assert_eq!(
                (fault.status, fault.message.as_str()),
                (529, "Overloaded"),
                "{seen}"
            );
        }
    }
}

/// Providers may end without `[DONE]`; what counts is that the answer said why it ended.
#[test]
fn an_end_without_done_is_an_end() {
    let stream = FROM_CHAT.replace("data: [DONE]\n\n", "");
    for client in others(CHAT) {
        let seen = streamed(&reply(client, CHAT), &[stream.as_bytes()]);
        assert_eq!(
            seen,
            streamed(&reply(client, CHAT), &[FROM_CHAT.as_bytes()])
        );
    }
}

/// Each event that a strict client reads has its number, in order, and what it refers to.
#[test]
fn responses_are_numbered_and_say_everything_again_at_the_end() {
    let seen = streamed(&reply(RESPONSES, MESSAGES), &[FROM_MESSAGES.as_bytes()]);
    let events: Vec<Value> = seen
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| parsed(data.as_bytes()))
        .collect();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at, "{event}");
    }
    let last = events.last().expect("an end");
    let output: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| &event["item"])
        .collect();
    assert_eq!(
        last["response"]["output"]
            .as_array()
            .map(|items| items.iter().collect()),
        Some(output)
    );
}

/// As when credits run out.
#[test]
fn a_stream_that_the_gateway_ends_is_whole() {
    for (_, provider, stream) in STREAMS {
        for client in others(provider) {
            for (at, _) in stream.match_indices("\n\n").take(12) {
                let mut translation = Stream::new(&reply(client, provider), CREATED);
                let mut parser = Parser::new();
                let mut out = Vec::new();
                let mut events = parser.feed(&stream.as_bytes()[..at + 2]);
                let mut last = false;
                while let Some(event) = events.next() {
                    let event = event.expect("short");
                    last |= event.data.starts_with(b"[DONE]");
                    translation.push(&event, &mut out);
                }
                if last {
                    continue;
                }
                translation.cut(None, &mut out);
                let seen = String::from_utf8(out).expect("UTF-8");
                let collected = Collected::of(client, &seen);
                assert!(collected.ended, "{seen}");
                assert_eq!(collected.answer.stop, Stop::Length, "{seen}");
            }
        }
    }
}
