use super::*;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// As the guide shows them.
#[test]
fn errors_have_the_documented_shapes() {
    let not_found = parsed(&Refusal::previous("resp_abc").event(Some("main")));
    assert_eq!(
        not_found,
        json!({
            "type": "error",
            "status": 400,
            "stream_id": "main",
            "error": {
                "type": "invalid_request_error",
                "code": "previous_response_not_found",
                "message": "Previous response with id 'resp_abc' not found.",
                "param": "previous_response_id",
            },
        })
    );
    let old = parsed(&Refusal::too_old(Duration::from_secs(3600)).event(None));
    assert_eq!(old["error"]["code"], "websocket_connection_limit_reached");
    let message = old["error"]["message"].as_str().unwrap();
    assert!(message.contains("(60 minutes)"), "{message}");
    let many = parsed(&Refusal::too_many_streams().event(Some("agent_33")));
    assert_eq!(many["error"]["code"], "websocket_stream_limit_reached");
    let long = Refusal::previous(&"é".repeat(1 << 20)).event(None);
    assert!(long.len() < 1000);
}

#[test]
fn an_error_that_was_answered_keeps_its_words_its_status_and_what_is_acted_upon() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("retry-after", "7"),
        ("x-request-id", "r-1"),
        ("server", "s"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let body = br#"{"error":{"type":"rate_limit_error","code":"c","message":"m","param":null}}"#;
    let event = parsed(&relayed(429, body, &headers, None));
    assert_eq!(
        (&event["type"], &event["status"]),
        (&json!("error"), &json!(429))
    );
    assert_eq!(event["error"]["message"], "m");
    assert_eq!(
        event["headers"],
        json!({"retry-after": "7", "x-request-id": "r-1"})
    );
    for body in [&b""[..], b"<html>", br#"{"error":"text"}"#, b"[]"] {
        let event = parsed(&relayed(502, body, &HeaderMap::new(), Some("l")));
        assert_eq!(event["error"]["type"], "server_error");
        assert_eq!(event["stream_id"], "l");
    }
}

/// openai/codex shortens its prompt at this event only, whatever the status.
#[test]
fn a_prompt_that_is_too_long_is_a_response_that_has_failed() {
    let theirs = br#"{"error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"m"}}"#;
    let error = crate::GatewayError::input_too_large(9000, 8192);
    let ours = error.body(crate::Dialect::OpenAi, "r");
    for (status, body) in [(400, &theirs[..]), (413, &ours)] {
        let event = parsed(&relayed(status, body, &HeaderMap::new(), Some("l")));
        assert_eq!(
            (&event["type"], &event["stream_id"]),
            (&json!("response.failed"), &json!("l"))
        );
        assert_eq!(
            event["response"]["error"]["code"],
            "context_length_exceeded"
        );
    }
}

#[test]
fn an_error_inside_a_stream_gets_the_status_that_it_stands_for() {
    for (data, status) in [
        (
            r#"{"type":"error","code":"ERR_TOLLGATE_3832","message":"m","error":{"type":"server_error","code":"ERR_TOLLGATE_3832"}}"#,
            502,
        ),
        (
            r#"{"type":"error","code":"rate_limit_exceeded","message":"m","param":null}"#,
            429,
        ),
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#,
            429,
        ),
        (
            r#"{"type":"error","status":418,"error":{"message":"m"}}"#,
            418,
        ),
        ("no JSON", 500),
    ] {
        let event = parsed(&error_message(data.as_bytes(), Some("l")));
        assert_eq!(event["status"], status, "{data}");
        assert_eq!(
            (&event["type"], &event["stream_id"]),
            (&json!("error"), &json!("l"))
        );
        assert!(event["error"]["type"].is_string(), "{data}: {event}");
    }
}

#[test]
fn events_pass_as_they_came_and_are_told_by_name_or_type() {
    let delta = r#"{"type":"response.output_text.delta","delta":"response.completed"}"#;
    assert_eq!(message(delta.as_bytes(), None).as_deref(), Some(delta));
    let on_lane = message(delta.as_bytes(), Some("a")).unwrap();
    assert_eq!(on_lane, format!(r#"{{"stream_id":"a",{}"#, &delta[1..]));
    assert_eq!(
        message(b"{ }", Some("a")).as_deref(),
        Some(r#"{"stream_id":"a" }"#)
    );
    assert_eq!(message(b"[DONE]", None), None);
    assert_eq!(read(b"", delta.as_bytes()), Told::Event);
    let done = br#"{"type":"response.completed","response":{"id":"resp_1","output":[{"a":1.0}]}}"#;
    let ended = Told::Ended {
        id: "resp_1".to_owned(),
        output: vec![Bytes::from_static(br#"{"a":1.0}"#)],
    };
    for name in [&b""[..], b"response.completed"] {
        assert_eq!(read(name, done), ended);
    }
    let bare = br#"{"type":"response.incomplete","response":{"id":"r","output":null}}"#;
    assert!(matches!(read(b"", bare), Told::Ended { output, .. } if output.is_empty()));
    let item = br#"{"type":"response.output_item.done","item":{"b":2}}"#;
    assert_eq!(
        read(b"", item),
        Told::Item(Bytes::from_static(br#"{"b":2}"#))
    );
    assert_eq!(read(b"response.failed", b"{}"), Told::Failed);
    assert_eq!(read(b"error", b"{}"), Told::Error);
    assert_eq!(read(b"", b"[DONE]"), Told::Event);
}

#[test]
fn what_nobody_keeps_is_not_referred_to() {
    let items = |texts: &[&'static str]| -> Vec<Bytes> {
        texts
            .iter()
            .map(|text| Bytes::from_static(text.as_bytes()))
            .collect()
    };
    let bare = r#"{"id":"rs_1","type":"reasoning","summary":[]}"#;
    let proven = r#"{"id":"rs_1","type":"reasoning","encrypted_content":"x"}"#;
    let call = r#"{"id":"fc_1","type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let search = r#"{"id":"ws_1","type":"web_search_call","status":"completed"}"#;
    let text = |output: &[Bytes], kept| String::from_utf8(carried(output, kept)).unwrap();
    let all = items(&[bare, call]);
    assert_eq!(text(&all, true), format!("{bare},{call}"));
    assert_eq!(
        text(&items(&[bare, call, search]), false),
        format!(
            r#"{{"type":"function_call","call_id":"c","name":"f","arguments":"{{}}"}},{search}"#
        )
    );
    let all = items(&[proven, call]);
    assert_eq!(text(&all, false), format!("{proven},{call}"));
    assert_eq!(text(&[], false), "");
}

#[test]
fn a_turn_without_an_answer_completes_with_an_id() {
    let [created, completed] =
        prepared("resp_1", "m", None, 7, Some("l")).map(|text| parsed(&text));
    assert_eq!(created["type"], "response.created");
    assert_eq!(
        (&completed["type"], &completed["stream_id"]),
        (&json!("response.completed"), &json!("l"))
    );
    assert_eq!(completed["response"]["id"], "resp_1");
    assert_eq!(completed["response"]["usage"]["total_tokens"], 0);
}
