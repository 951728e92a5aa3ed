//! After commit there is no other attempt: a stream that breaks says so, and ends so that it shows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_role, chat_word, openai_error};
use crate::common::{eventually, sse};

/// The beginning of a stream of messages, up to some content.
fn message_start() -> String {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 3, "output_tokens": 1}}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "some"}});
    format!(
        "event: message_start\ndata: {start}\n\nevent: content_block_start\ndata: {block}\n\n\
         event: content_block_delta\ndata: {delta}\n\n"
    )
}

fn response_start() -> String {
    let created = json!({"type": "response.created", "sequence_number": 0,
        "response": {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}});
    let delta = json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1",
        "output_index": 0, "content_index": 0, "delta": "some"});
    format!(
        "event: response.created\ndata: {created}\n\nevent: response.output_text.delta\ndata: {delta}\n\n"
    )
}

/// How a stream breaks after content.
fn breaks() -> [(&'static str, Act); 4] {
    [
        ("cut", Act::Cut),
        ("reset", Act::Reset),
        ("stream reset", Act::ResetStream),
        ("stall", Act::Silence),
    ]
}

/// A case: a surface, and how its stream breaks.
struct Case {
    name: String,
    surface: &'static str,
    start: String,
    bad: Fake,
}

/// One provider for each case, so that what one case does to its provider's health is its own affair.
async fn cases(wire: Wire) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, end) in breaks() {
        for surface in ["chat", "messages", "responses"] {
            let start = match surface {
                "chat" => chat_role() + &chat_word("some"),
                "messages" => message_start(),
                _ => response_start(),
            };
            let bad = Fake::start(
                wire,
                Script::sse().data(start.clone()).wait(50).then(end.clone()),
            )
            .await;
            cases.push(Case {
                name: format!("{surface}, {name}"),
                surface,
                start,
                bad,
            });
        }
    }
    cases
}

async fn check(wire: Wire, version: Version) {
    let cases = cases(wire).await;
    let good = Fake::good(wire, "never asked").await;
    let mut builder = Gateway::builder().fake("good", &good);
    for (index, case) in cases.iter().enumerate() {
        builder = builder.fake(&format!("bad{index}"), &case.bad);
    }
    let gateway = builder.start().await;
    for (
        index,
        Case {
            name,
            surface,
            start,
            bad,
        },
    ) in cases.iter().enumerate()
    {
        let models = [&*format!("bad{index}:m"), "good:m"];
        let request = match *surface {
            "chat" => Request::chat(&models, true),
            "messages" => Request::message(&models, true),
            _ => {
                let body = json!({"model": models[0], "models": [models[1]], "input": "hi", "stream": true});
                Request::post("/v1/responses", body.to_string())
            }
        };
        let answer = Client::connect(version, gateway.address)
            .await
            .ask(&request)
            .await;
        let case = format!("{name}, {wire:?} to {version:?}: {}", answer.text());
        assert_eq!(answer.status(), 200, "{case}");
        assert!(
            answer.body.starts_with(start.as_bytes()),
            "what came before the break; {case}"
        );
        assert!(
            !answer.clean,
            "the end must show that something is missing; {case}"
        );
        let error = sse::error(&answer.body);
        assert!(error.is_some(), "no error event; {case}");
        let error = error.unwrap_or_default();
        match *surface {
            "chat" => assert!(error["error"]["message"].is_string(), "{error}; {case}"),
            _ => assert_eq!(error["type"], "error", "{error}; {case}"),
        }
        assert!(!answer.text().contains("[DONE]"), "it is not done; {case}");
        assert_eq!(
            (bad.count(), good.count()),
            (1, 0),
            "no attempt after commit; {case}"
        );
    }
}

#[tokio::test]
async fn a_broken_stream_shows_over_http1() {
    check(Wire::H1, Version::H1).await;
}

#[tokio::test]
async fn a_broken_stream_shows_over_http2() {
    check(Wire::TlsH2, Version::H2).await;
}

#[tokio::test]
async fn a_broken_stream_shows_over_http2_from_http1() {
    check(Wire::H1, Version::H2).await;
}

/// The client reads of it once, in its own words; its stream does not end as if all were well, and nobody takes it for a
/// success.
#[tokio::test]
async fn an_error_event_after_content_is_the_providers_own_and_ends_the_stream() {
    let event = format!("data: {}\n\n", openai_error("out of memory"));
    let script = Script::sse()
        .data(chat_word("some"))
        .wait(30)
        .data(event.clone())
        .wait(30)
        .data("data: [DONE]\n\n");
    let bad = Fake::start(Wire::H1, script).await;
    let good = Fake::good(Wire::H1, "never asked").await;
    let mut entry = provider("chat", &bad);
    entry["surfaces"] = json!(["openai/chat-completions"]);
    let gateway = Gateway::builder()
        .fake("bad", &bad)
        .provider(entry)
        .fake("good", &good)
        .start()
        .await;
    let mut asked = 0;
    for version in [Version::H1, Version::H2] {
        for request in [
            Request::chat(&["bad:m", "good:m"], true),
            Request::message(&["chat:m", "good:m"], true),
        ] {
            let mut client = Client::connect(version, gateway.address).await;
            let answer = client.ask(&request).await;
            let (case, text) = (format!("{version:?} {}", request.path), answer.text());
            asked += 1;
            assert!(!answer.clean, "{case}: {text}");
            assert_eq!(text.matches("out of memory").count(), 1, "{case}: {text}");
            assert_eq!(text.matches("\"error\":").count(), 1, "{case}: {text}");
            assert!(!text.contains("[DONE]"), "{case}: {text}");
            assert!(!text.contains("message_stop"), "{case}: {text}");
        }
    }
    assert_eq!(good.count(), 0, "no attempt after commit");
    let told = || {
        let log = gateway.access_log();
        let failed = |line: &Value| {
            line["attempts"][0]["outcome"] == "error_event" && line["error"] == "ERR_TOLLGATE_3832"
        };
        log.len() == asked && log.iter().all(failed)
    };
    let all = eventually(Duration::from_secs(5), told).await;
    assert!(all, "{:?}", gateway.access_log());
    let events = gateway.command(&["usage", "--events", "--json"]);
    let events: Vec<Value> = serde_json::from_slice(&events.stdout).unwrap();
    let outcomes: Vec<&Value> = events.iter().map(|event| &event["outcome"]).collect();
    assert!(
        outcomes.iter().all(|outcome| *outcome == "error_event"),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_whole_answer_too_long_to_hold_back_breaks_visibly() {
    let long = "x".repeat(400 << 10);
    let head = [("content-type", "application/json")];
    let script = Script::new()
        .head(200, &head)
        .data(format!("{{\"text\":\"{long}"))
        .wait(100)
        .cut();
    for script in [script.clone(), script.close_delimited()] {
        let framing = script.framing;
        let bad = Fake::start(Wire::H1, script).await;
        let good = Fake::good(Wire::H1, "never asked").await;
        let gateway = Gateway::builder()
            .fake("bad", &bad)
            .fake("good", &good)
            .start()
            .await;
        for version in [Version::H1, Version::H2] {
            let case = format!("{framing:?} {version:?}");
            let mut client = Client::connect(version, gateway.address).await;
            let answer = client
                .ask(&Request::chat(&["bad:m", "good:m"], false))
                .await;
            assert_eq!((answer.status(), answer.clean), (200, false), "{case}");
            assert_eq!(
                good.count(),
                0,
                "{case}: it was committed when it grew past 256 KiB"
            );
        }
    }
}

#[tokio::test]
async fn a_committed_stream_outlives_every_limit_but_silence() {
    let script = (0..12).fold(Script::sse(), |script, _| {
        script.data(chat_word("x")).wait(200)
    });
    let fake = Fake::start(Wire::H1, script.data("data: [DONE]\n\n")).await;
    let limits = json!({"timeouts": {"per_request": "500ms", "total": "1s", "stream_idle": "1s"}});
    let gateway = Gateway::builder()
        .fake("p", &fake)
        .config(limits)
        .start()
        .await;
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        let answer = client.ask(&Request::chat(&["p:m"], true)).await;
        assert_eq!(
            (sse::chat_text(&answer.body).len(), answer.clean),
            (12, true),
            "{version:?}"
        );
        assert!(
            answer.to_head.as_millis() < 900,
            "{version:?}: streamed, not gathered: {:?}",
            answer.to_head
        );
    }
}
