//! What providers send that keep to no reference: the inputs of `tests/field`, and members that are anything but what they
//! should be, which streams and whole answers say alike.

use proptest::prelude::*;

use super::*;
use crate::Dialect;

const ERRORS: &str = include_str!("../../../../tests/field/errors.json");
const STREAMS: &str = include_str!("../../../../tests/field/streams.json");

fn list(json: &str) -> Vec<Value> {
    serde_json::from_str(json).expect("a list")
}

#[test]
fn errors_are_told_in_the_words_that_clients_act_upon() {
    for case in list(ERRORS) {
        let (report, body) = (&case["report"], case["body"].to_string());
        let status = u16::try_from(case["status"].as_u64().expect("a status")).expect("a status");
        let said = |to| {
            parsed(&crate::translate::error(
                to,
                status,
                body.as_bytes(),
                "req_1",
            ))
        };
        let anthropic = said(Dialect::Anthropic);
        let message = anthropic["error"]["message"].as_str().expect("words");
        let beginning = case["anthropic"].as_str().expect("words");
        assert!(message.starts_with(beginning), "{report}: {message}");
        assert_eq!(
            said(Dialect::OpenAi)["error"]["code"],
            case["code"],
            "{report}"
        );
    }
}

/// The names and arguments of an answer's calls, and its text.
fn said(answer: &Answer) -> (Vec<(String, Value)>, String) {
    let (mut calls, mut all, mut ids) = (Vec::new(), String::new(), Vec::new());
    for part in &answer.parts {
        match part {
            Part::Call(call) => {
                calls.push((call.name.clone(), parsed(call.arguments.as_bytes())));
                assert!(
                    !call.id.is_empty() && !ids.contains(&call.id),
                    "{:?}",
                    answer.parts
                );
                ids.push(call.id.clone());
            }
            Part::Text(text, _) => all.push_str(text),
            Part::Refusal(_) | Part::Thinking(_) => {}
        }
    }
    (calls, all)
}

#[test]
fn streams_say_what_they_mean() {
    for case in list(STREAMS) {
        let report = &case["report"];
        let provider = match case["provider"].as_str() {
            Some("chat") => CHAT,
            Some("responses") => RESPONSES,
            _ => MESSAGES,
        };
        let events = case["events"].as_array().expect("events");
        let stream: String = events
            .iter()
            .map(|event| format!("data: {event}\n\n"))
            .collect();
        let calls: Vec<(String, Value)> =
            serde_json::from_value(case["calls"].clone()).expect("calls");
        let text = case["text"].as_str().unwrap_or_default().to_owned();
        for client in SURFACES {
            let mut reply = reply(client, if client == CHAT { MESSAGES } else { CHAT });
            reply.provider = provider;
            let seen = streamed(&reply, &[stream.as_bytes()]);
            let collected = Collected::of(client, &seen);
            assert!(collected.ended, "{report}: {seen}");
            assert_eq!(
                said(&collected.answer),
                (calls.clone(), text.clone()),
                "{report}: {seen}"
            );
            let whole = crate::translate::answer_of_stream(&reply, stream.as_bytes(), CREATED);
            let whole = whole.unwrap_or_else(|refusal| panic!("{report}: {refusal}"));
            let whole = read_answer(client, &whole);
            assert_eq!(said(&whole), (calls.clone(), text.clone()), "{report}");
            assert_eq!(whole.stop, Stop::Calls, "{report}");
        }
    }
}

/// Ids that were given in an earlier turn, or are none, are not given again.
#[test]
fn no_call_has_the_id_of_another() {
    let request = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "call_0", "name": "f", "input": {}},
            {"type": "tool_use", "id": "f_0", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_0", "content": "1"},
            {"type": "tool_result", "tool_use_id": "f_0", "content": "2"},
        ]},
    ]});
    let reply = translated(MESSAGES, CHAT, &request).reply;
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let message =
        json!({"tool_calls": [call(""), call("f_0"), call("call_0"), call("own"), call("own")]});
    let body = json!({"model": "m", "choices": [{"message": message}]}).to_string();
    let whole = crate::translate::answer(&reply, body.as_bytes(), CREATED).expect("an answer");
    let ids = |answer: &Answer| -> Vec<String> {
        let id = |part: &Part| match part {
            Part::Call(call) => call.id.clone(),
            _ => String::new(),
        };
        answer.parts.iter().map(id).collect()
    };
    let given = ["call_1", "f_0_0", "call_0_0", "own", "own_0"];
    assert_eq!(ids(&read_answer(MESSAGES, &whole)), given);
    let stream = format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({"model": "m", "choices": [{"message": message}]})
    );
    let seen = streamed(&reply, &[stream.as_bytes()]);
    assert_eq!(ids(&Collected::of(MESSAGES, &seen).answer), given, "{seen}");
}

/// What may stand in the place of a text.
fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(7)),
        Just(json!("")),
        "[a-z]{1,4}".prop_map(Value::from),
        "[a-z]{1,4}".prop_map(|text| json!([{"type": "text", "text": text}, text, null, 3])),
        "[a-z]{1,4}".prop_map(|text| json!({"type": "text", "text": text})),
        "[a-z]{1,4}".prop_map(|text| json!([{"type": "thinking", "thinking": [{"type": "text", "text": text}]}, {"type": "text", "text": "x"}])),
    ]
}

/// What may stand in the place of arguments.
fn arguments() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!("{}")),
        Just(json!({})),
        Just(json!(3)),
        (0..9).prop_map(|n| json!({ "n": n })),
        (0..9).prop_map(|n| json!(json!({ "n": n }).to_string())),
        (0..9).prop_map(|n| json!(["{\"n\":", format!("{n}}}")])),
    ]
}

fn call() -> impl Strategy<Value = Value> {
    let id = prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        "[a-z]{3}".prop_map(Value::from)
    ];
    (id, "[fg]", arguments(), 0..3u8).prop_map(|(id, name, arguments, shape)| match shape {
        0 => json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}),
        1 => json!({"id": id, "function": {"name": name, "arguments": arguments}}),
        _ => json!({"id": id, "name": name, "arguments": arguments}),
    })
}

fn members() -> impl Strategy<Value = (Value, Value, Value)> {
    let calls = prop_oneof![
        Just(Value::Null),
        Just(json!("none")),
        call(),
        prop::collection::vec(call(), 0..4).prop_map(Value::from),
    ];
    let finish = prop_oneof![
        Just(Value::Null),
        Just(json!(1)),
        Just(json!("stop")),
        Just(json!("length")),
        Just(json!("tool_calls"))
    ];
    let usage = prop_oneof![
        Just(Value::Null),
        Just(json!("none")),
        Just(json!([])),
        (1..9).prop_map(
            |n| json!({"prompt_tokens": n, "completion_tokens": "2", "total_tokens": null})
        ),
        (1..9).prop_map(|n| json!([{"prompt_tokens": n, "completion_tokens": 2}])),
    ];
    let message = (text(), text(), text(), calls).prop_map(|(content, reasoning, refusal, calls)| {
        json!({"role": "assistant", "content": content, "reasoning_content": reasoning, "refusal": refusal, "tool_calls": calls})
    });
    (message, finish, usage)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn odd_members_are_told_alike_in_streams_and_whole_answers((message, finish, usage) in members(), single: bool) {
        let choices = |said: &str| {
            let choice = json!({"index": 0, said: message, "finish_reason": finish});
            if single { choice } else { json!([choice]) }
        };
        let whole = json!({"id": "x", "model": "m", "choices": choices("message"), "usage": usage}).to_string();
        let chunk = json!({"id": "x", "model": "m", "choices": choices("delta"), "usage": usage});
        let stream = format!("data: {chunk}\n\ndata: [DONE]\n\n");
        for client in [MESSAGES, RESPONSES] {
            let reply = reply(client, CHAT);
            let whole = crate::translate::answer(&reply, whole.as_bytes(), CREATED).expect("an answer");
            let seen = streamed(&reply, &[stream.as_bytes()]);
            let collected = Collected::of(client, &seen);
            prop_assert!(collected.ended, "{}", seen);
            prop_assert_eq!(&collected.answer, &read_answer(client, &whole), "{}", seen);
            for part in &collected.answer.parts {
                if let Part::Call(call) = part {
                    prop_assert!(parsed(call.arguments.as_bytes()).is_object(), "{}", call.arguments);
                }
            }
        }
    }

    /// Whatever a whole answer says, its stream says.
    #[test]
    fn an_answer_whose_form_was_not_asked_for_is_the_same_in_the_other((message, finish, usage) in members()) {
        let whole = json!({"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}).to_string();
        for client in [MESSAGES, RESPONSES] {
            let reply = reply(client, CHAT);
            let stream = crate::translate::stream_of_answer(&reply, whole.as_bytes(), CREATED).expect("an answer");
            let streamed = Collected::of(client, &String::from_utf8(stream).expect("UTF-8"));
            prop_assert!(streamed.ended);
            let whole = crate::translate::answer(&reply, whole.as_bytes(), CREATED).expect("an answer");
            prop_assert_eq!(&streamed.answer, &read_answer(client, &whole));
        }
    }
}
