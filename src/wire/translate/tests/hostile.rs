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
