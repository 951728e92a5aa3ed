//! What turns come to, at the client and at the provider.

use super::*;
use crate::common::gateway;
use crate::crossing::api::{Api, CALLS, TEXT};

#[tokio::test]
async fn a_turn_is_told_event_by_event_and_reaches_the_provider_as_a_request() {
    let fake = provider().await;
    // With more than one, the thread that watched a connection while it was idle may not have let go of it yet when the
    // next turn asks for it; Pingora makes another one then.
    let one_thread = json!({"proxy": {"threads": 1}});
    let gateway = builder(&fake).config(one_thread).start().await;
    let authorization = format!("Bearer {TOKEN}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("openai-beta", "responses_websockets=2026-02-06"),
        ("user-agent", "agent/1"),
        ("x-test-kept", "yes"),
        ("x-request-id", "s"),
    ];
    let (mut socket, _) = Socket::try_open(&gateway, &headers).await.ok().unwrap();
    for number in 1..=3_usize {
        let more = json!({"input": "hi", "stream": false, "background": false, "temperature": 0.5});
        socket.create(more).await;
        let told = socket.turn().await;
        let sent: Vec<Value> = events(number)
            .iter()
            .map(|event| serde_json::from_str(event.split_once("data: ").unwrap().1).unwrap())
            .collect();
        assert_eq!(told, sent, "as they came, in their order");
        let seen = fake.seen().pop().unwrap();
        assert_eq!(seen.path, "/v1/responses");
        assert_eq!(
            seen.json(),
            json!({"model": "m", "store": false, "input": "hi", "temperature": 0.5, "stream": true})
        );
        for (name, value) in [
            ("authorization", Some("Bearer KEY-p")),
            ("user-agent", Some("agent/1")),
            ("x-test-kept", Some("yes")),
            ("content-type", Some("application/json")),
            ("openai-beta", None),
            ("upgrade", None),
            ("sec-websocket-key", None),
        ] {
            assert_eq!(seen.header(name), value, "{name}");
        }
    }
    assert_eq!(
        fake.connections(),
        1,
        "turns share a connection to the provider"
    );
}

#[tokio::test]
async fn a_conversation_goes_on_from_what_its_socket_remembers() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    let first = socket.completed(json!({"input": "one"})).await;
    let more = json!({"input": [user("two")], "previous_response_id": first});
    let second = socket.completed(more.clone()).await;
    socket
        .completed(json!({"input": [user("three"), user("four")], "previous_response_id": second}))
        .await;
    let asked = |number: usize| fake.seen()[number].json();
    assert_eq!(
        asked(1)["input"],
        json!([user("one"), item(1), user("two")])
    );
    let all = json!([
        user("one"),
        item(1),
        user("two"),
        item(2),
        user("three"),
        user("four")
    ]);
    assert_eq!(asked(2)["input"], all);
    assert!(asked(2).get("previous_response_id").is_none());
    // Another branch of it.
    socket.completed(more).await;
    assert_eq!(
        asked(3)["input"],
        json!([user("one"), item(1), user("two")])
    );
    let unknown = socket
        .refused(json!({"input": "x", "previous_response_id": "resp_of_another"}))
        .await;
    assert_eq!(failure(&unknown), (400, "previous_response_not_found"));
    assert_eq!(unknown["error"]["param"], "previous_response_id");
    let mut other = Socket::open(&gateway).await;
    let unknown = other
        .refused(json!({"input": "x", "previous_response_id": first}))
        .await;
    assert_eq!(
        failure(&unknown),
        (400, "previous_response_not_found"),
        "it is another socket's"
    );
    assert_eq!(fake.count(), 4, "nothing was asked");
    other.completed(json!({"input": "all of it"})).await;
}

/// What the provider could not have looked up.
#[tokio::test]
async fn a_conversation_goes_on_with_a_provider_of_another_api() {
    for api in [Api::Messages, Api::Chat] {
        let fake = Fake::start(Wire::H1, api.answer(true)).await;
        let mut entry = gateway::provider("p", &fake);
        entry["surfaces"] = json!([api.surface()]);
        let gateway = Gateway::builder().provider(entry).start().await;
        let mut socket = Socket::open(&gateway).await;
        let tools = Api::Responses.body(&["p:m"], true)["tools"].clone();
        let first = socket
            .completed(json!({"input": "hi", "tools": tools}))
            .await;
        let results: Vec<Value> = CALLS
            .iter()
            .map(|(id, _, _)| json!({"type": "function_call_output", "call_id": id, "output": "done"}))
            .collect();
        let more = json!({"input": results, "tools": tools, "previous_response_id": first});
        socket.completed(more).await;
        let seen = fake.seen().pop().unwrap();
        let text = String::from_utf8(seen.body.to_vec()).unwrap();
        for said in ["hi", TEXT, "call_1", "call_2", "done"] {
            assert!(text.contains(said), "{api:?} {said}: {text}");
        }
        let messages = seen.json()["messages"].as_array().unwrap().len();
        assert!(messages >= 3, "{text}");
    }
}

#[tokio::test]
async fn what_only_prepares_is_remembered_and_asks_nobody() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    socket
        .create(json!({"input": "long", "generate": false}))
        .await;
    let events = socket.turn().await;
    let kinds: Vec<&str> = events.iter().map(kind).collect();
    assert_eq!(kinds, ["response.created", "response.completed"]);
    assert_eq!(
        (fake.count(), &events[1]["response"]["output"]),
        (0, &json!([]))
    );
    let id = events[1]["response"]["id"].clone();
    let more = json!({"generate": false, "previous_response_id": id, "input": []});
    let again = socket.completed(more).await;
    assert!(again.starts_with("resp_") && json!(again) != id);
    socket
        .completed(json!({"input": "short", "previous_response_id": again, "generate": true}))
        .await;
    assert_eq!(
        fake.seen()[0].json()["input"],
        json!([user("long"), user("short")])
    );
}

#[tokio::test]
async fn a_turn_fails_over() {
    let bad = Fake::start(Wire::H1, Script::error(429, "later")).await;
    let fake = provider().await;
    let gateway = builder(&fake).fake("bad", &bad).start().await;
    let mut socket = Socket::open(&gateway).await;
    socket
        .completed(json!({"model": "bad:m", "models": ["p:m"], "input": "hi"}))
        .await;
    assert_eq!((bad.count(), fake.count()), (1, 1));
    assert!(crate::common::eventually(PATIENCE, || !gateway.access_log().is_empty()).await);
    let attempts = gateway.access_log()[0]["attempts"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(attempts, 2, "one request");
}

#[tokio::test]
async fn what_fails_is_told_with_the_status_that_it_would_have_had() {
    let limited = Script::error_with(429, "later", &[("retry-after", "7")]);
    let bad = Fake::start(Wire::H1, limited).await;
    let broken = Script::sse().data(events(1)[..2].concat()).cut();
    let broken = Fake::start(Wire::H1, broken).await;
    let fake = provider().await;
    let gateway = builder(&fake)
        .fake("bad", &bad)
        .fake("broken", &broken)
        .start()
        .await;
    let mut socket = Socket::open(&gateway).await;
    let unknown = socket
        .refused(json!({"model": "nobody-knows", "input": "hi"}))
        .await;
    assert_eq!(failure(&unknown), (422, "ERR_TOLLGATE_3804"));
    assert!(unknown["headers"]["x-request-id"].is_string(), "{unknown}");
    let relayed = socket
        .refused(json!({"model": "bad:m", "input": "hi"}))
        .await;
    assert_eq!(
        (failure(&relayed), &relayed["headers"]["retry-after"]),
        ((429, "fake"), &json!("7"))
    );
    let cut = socket
        .refused(json!({"model": "broken:m", "input": "hi"}))
        .await;
    assert_eq!(failure(&cut), (502, "ERR_TOLLGATE_3832"));
    let nothing = socket.refused(json!({"model": null})).await;
    assert_eq!(failure(&nothing), (400, "ERR_TOLLGATE_3801"));
    socket.send(Message::text("no JSON")).await;
    assert_eq!(failure(&socket.hear().await), (400, "ERR_TOLLGATE_3801"));
    socket
        .send(Message::text(r#"{"type":"response.cancel"}"#))
        .await;
    assert_eq!(failure(&socket.hear().await), (400, "ERR_TOLLGATE_3801"));
    // What codex says when it has read a response.
    socket
        .send(Message::text(
            r#"{"type":"response.processed","response_id":"r"}"#,
        ))
        .await;
    socket.completed(json!({"input": "hi"})).await;
}

/// As OpenAI has it, so that a client sends all of it again.
#[tokio::test]
async fn a_lane_cannot_go_on_from_what_failed_and_others_can() {
    let count = AtomicUsize::new(0);
    let fake = Fake::answering(Wire::H1, move |seen| {
        let bad = seen.json()["input"].to_string().contains("fail");
        match bad {
            true => Script::error(400, "no"),
            false => response(count.fetch_add(1, Ordering::Relaxed) + 1),
        }
    });
    let fake = fake.await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    let first = socket.completed(json!({"input": "hi"})).await;
    let fail = |lane: Option<&str>| {
        let mut more = json!({"input": "fail", "previous_response_id": first});
        if let Some(lane) = lane {
            more["stream_id"] = json!(lane);
        }
        more
    };
    assert_eq!(socket.refused(fail(Some("other"))).await["status"], 400);
    assert_eq!(failure(&socket.refused(fail(None)).await), (400, "fake"));
    assert_eq!(
        failure(&socket.refused(fail(None)).await),
        (400, "previous_response_not_found")
    );
}
