//! Turns that are asked over a WebSocket as well.

use tokio::sync::watch;

use super::*;
use crate::common::requests::Request;
use crate::common::script::Act;
use crate::common::{eventually, gateway as entries};
use crate::ledger::ask;

/// An entry of a provider that has a WebSocket.
pub(super) fn entry(id: &str, fake: &Fake) -> Value {
    let mut entry = entries::provider(id, fake);
    entry["websocket"] = json!(true);
    entry
}

/// A provider that agrees to WebSockets, and answers the `n`th turn by this script.
pub(super) async fn agreeing(
    turn: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static,
) -> Fake {
    agreeing_on(Wire::H1, turn).await
}

async fn agreeing_on(
    wire: Wire,
    turn: impl Fn(usize, &Seen) -> Script + Send + Sync + 'static,
) -> Fake {
    let count = AtomicUsize::new(0);
    Fake::answering(wire, move |seen| {
        if seen.version == "HTTP/1.1" && seen.is_handshake() {
            return Script::websocket();
        }
        turn(count.fetch_add(1, Ordering::Relaxed) + 1, seen)
    })
    .await
}

/// A provider's error event.
fn error(status: u16, code: &str) -> String {
    json!({"type": "error", "status": status, "headers": {"retry-after": "7"},
        "error": {"type": "x", "code": code, "message": "No.", "param": null}})
    .to_string()
}

#[tokio::test]
async fn turns_share_a_socket_to_the_provider_and_send_it_what_is_new() {
    // Told before the first turn's answer, and no part of it.
    let limits = json!({"type": "codex.rate_limits", "plan_type": "x"}).to_string();
    let fake = agreeing_on(Wire::TlsH1, move |number, seen| {
        let forgotten = seen.json()["previous_response_id"] == "resp_4";
        match number {
            1 => Script::new().data(limits.clone()).data(events(1).concat()),
            3 => response(3).then(Act::Close(1001)),
            5 if forgotten => Script::new().data(error(400, "previous_response_not_found")),
            _ => response(number),
        }
    })
    .await;
    let gateway = Gateway::builder().provider(entry("p", &fake)).start().await;
    let authorization = format!("Bearer {TOKEN}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("openai-beta", "responses_websockets=2026-02-06"),
        ("x-test-kept", "yes"),
    ];
    let (mut socket, _) = Socket::try_open(&gateway, &headers).await.ok().unwrap();
    socket
        .create(json!({"input": "one", "background": false}))
        .await;
    let told = socket.turn().await;
    let kinds: Vec<&str> = told.iter().map(kind).collect();
    assert_eq!(
        (kinds[0], kinds[1], kinds.len()),
        ("codex.rate_limits", "response.created", 5)
    );
    let seen = fake.seen();
    let [handshake, first] = &seen[..] else {
        panic!("{seen:?}");
    };
    for (name, value) in [
        ("authorization", Some("Bearer KEY-p")),
        ("openai-beta", Some("responses_websockets=2026-02-06")),
        ("x-test-kept", Some("yes")),
        ("content-length", None),
        ("x-request-id", None),
    ] {
        assert_eq!(handshake.header(name), value, "{name}");
    }
    assert_eq!(handshake.path, "/v1/responses");
    assert_eq!(
        first.json(),
        json!({"type": "response.create", "model": "m", "store": false, "input": "one"})
    );
    let say = |text: &str, previous: &str| json!({"input": [user(text)], "previous_response_id": previous});
    let asked = |input: Value, previous: Option<&str>| {
        let mut event =
            json!({"type": "response.create", "model": "m", "store": false, "input": input});
        if let Some(previous) = previous {
            event["previous_response_id"] = json!(previous);
        }
        event
    };
    let last = || fake.seen().pop().unwrap();
    socket.completed(say("two", "resp_1")).await;
    assert_eq!(last().json(), asked(json!([user("two")]), Some("resp_1")));
    // Another branch is none that the provider's socket can go on from; then the provider closes it.
    socket.completed(say("three", "resp_1")).await;
    let whole = json!([user("one"), item(1), user("three")]);
    assert_eq!(last().json(), asked(whole, None));
    assert_eq!(fake.connections(), 1);
    // Between two turns, or in the middle of the next one's question.
    socket.completed(say("four", "resp_3")).await;
    let whole = json!([user("one"), item(1), user("three"), item(3), user("four")]);
    assert_eq!(last().json()["input"], whole);
    assert_eq!(fake.connections(), 2);
    // What the provider has forgotten it is told anew.
    socket.completed(say("five", "resp_4")).await;
    let asked = fake.seen();
    let [forgotten, handshake, whole] = &asked[asked.len() - 3..] else {
        panic!("{asked:?}");
    };
    assert_eq!(forgotten.json()["previous_response_id"], "resp_4");
    assert_eq!(handshake.version, "HTTP/1.1");
    assert_eq!(whole.json()["input"].as_array().unwrap().len(), 7);
    assert_eq!(fake.connections(), 3);
    // One that is no turn goes over HTTP.
    let body = json!({"model": "p:m", "input": "hi", "stream": true});
    let answer = ask(&gateway, &Request::post("/v1/responses", body.to_string())).await;
    assert_eq!((answer.status(), last().version), (200, "HTTP/1.1"));
    // The client's end is theirs.
    drop(socket);
    assert!(eventually(PATIENCE, || fake.open_connections() <= 1).await);
    assert!(eventually(PATIENCE, || gateway.access_log().len() == 7).await);
    for line in gateway.access_log() {
        let attempts = line["attempts"].as_array().unwrap().len();
        assert!(attempts <= 1, "asked anew is the same attempt: {line}");
    }
}

#[tokio::test]
async fn turns_beside_each_other_go_on_where_they_were() {
    let (open, gate) = watch::channel(false);
    let fake = agreeing(move |number, _| gated_response(number, &gate)).await;
    let gateway = Gateway::builder().provider(entry("p", &fake)).start().await;
    let mut socket = Socket::open(&gateway).await;
    for lane in ["a", "b"] {
        socket
            .create(json!({"input": lane, "stream_id": lane}))
            .await;
    }
    // A handshake and a turn each.
    assert!(eventually(PATIENCE, || fake.count() == 4).await);
    open.send_replace(true);
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let event = socket.hear().await;
        if kind(&event) == "response.completed" {
            ends.push((event["stream_id"].clone(), event["response"]["id"].clone()));
        }
    }
    for (lane, id) in ends {
        let more = json!({"input": [user("more")], "stream_id": lane, "previous_response_id": id});
        socket.completed(more).await;
        let asked = fake.seen().pop().unwrap().json();
        assert_eq!(asked["previous_response_id"], id);
        assert_eq!(asked["input"], json!([user("more")]));
    }
    assert_eq!(fake.connections(), 2);
    drop(socket);
    assert!(eventually(PATIENCE, || fake.open_connections() == 0).await);
}

#[tokio::test]
async fn what_fails_is_judged_as_over_http_until_some_of_an_answer_has_left() {
    let refused = |status| {
        Fake::start(
            Wire::H1,
            Script::error_with(status, "No.", &[("retry-after", "7")]),
        )
    };
    let says = |script: Script| agreeing(move |_, _| script.clone());
    let fakes = [
        ("key", refused(401).await, "http_401"),
        ("limited", refused(429).await, "http_429"),
        ("down", refused(503).await, "http_503"),
        (
            "busy",
            says(Script::new().data(error(429, "rate_limit_exceeded"))).await,
            "http_429",
        ),
        ("gone", says(Script::new().cut()).await, "reset"),
        (
            "closing",
            says(Script::new().then(Act::Close(1011))).await,
            "reset",
        ),
        ("odd", says(Script::new().data("no JSON")).await, "reset"),
        (
            "late",
            says(
                Script::new()
                    .data(events(1)[0].clone())
                    .data(error(503, "server_is_overloaded")),
            )
            .await,
            "error_event",
        ),
    ];
    let fake = provider().await;
    let mut builder = builder(&fake);
    for (id, fake, _) in &fakes {
        builder = builder.provider(entry(id, fake));
    }
    let bad = says(Script::new().data(error(400, "invalid_prompt"))).await;
    let cut = says(Script::new().data(events(1)[..2].concat()).cut()).await;
    let none = agreeing_not().await;
    let gateway = builder
        .provider(entry("bad", &bad))
        .provider(entry("cut", &cut))
        .provider(entry("none", &none))
        .start()
        .await;
    let mut socket = Socket::open(&gateway).await;
    for (id, _, _) in &fakes {
        let more = json!({"model": format!("{id}:m"), "models": ["p:m"], "input": "hi"});
        socket.completed(more).await;
    }
    // The request is at fault: the provider's own words are told.
    let told = socket
        .refused(json!({"model": "bad:m", "input": "hi"}))
        .await;
    assert_eq!(failure(&told), (400, "invalid_prompt"));
    // Too late for another one.
    let told = socket
        .refused(json!({"model": "cut:m", "models": ["p:m"], "input": "hi"}))
        .await;
    assert_eq!(failure(&told), (502, "ERR_TOLLGATE_3832"));
    // Who has none is asked over HTTP, and not for one again.
    for _ in 0..2 {
        socket
            .completed(json!({"model": "none:m", "input": "hi"}))
            .await;
    }
    let versions: Vec<bool> = none.seen().iter().map(Seen::is_handshake).collect();
    assert_eq!(versions, [true, false, false]);
    let lines = fakes.len() + 4;
    assert!(eventually(PATIENCE, || gateway.access_log().len() == lines).await);
    let log = gateway.access_log();
    for ((id, _, outcome), line) in fakes.iter().zip(&log) {
        let attempts = line["attempts"].as_array().unwrap();
        assert_eq!(
            (attempts.len(), attempts[0]["outcome"].as_str()),
            (2, Some(*outcome)),
            "{id}: {line}"
        );
    }
    assert_eq!(log[lines - 1]["attempts"].as_array().unwrap().len(), 1);
    let limits = gateway.admin_get("/metrics");
    for id in ["limited", "busy"] {
        let cools =
            format!(r#"tollgate_key_cool_downs_total{{provider="{id}",reason="http_429"}} 1"#);
        assert!(limits.contains(&cools), "{id}: {limits}");
    }
}

/// A provider that knows no handshake.
async fn agreeing_not() -> Fake {
    Fake::answering(Wire::H1, |seen| match seen.is_handshake() {
        true => Script::error(405, "POST only"),
        false => response(1),
    })
    .await
}
