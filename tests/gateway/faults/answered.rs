//! A client that has the last event of its answer has its answer, whenever it leaves and whenever the body ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::events;
use crate::common::client::{Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_stop, chat_usage, chat_word};

/// An answer without the end of its body, by the API it is one of, and the last of it.
fn answers() -> Vec<(Request, String, &'static str)> {
    let event = |value: &Value| {
        format!(
            "event: {}\ndata: {value}\n\n",
            value["type"].as_str().unwrap()
        )
    };
    let all = |values: &[Value]| values.iter().map(event).collect::<String>();
    let chat = chat_word("hi") + &chat_stop() + &chat_usage() + "data: [DONE]\n\n";
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": null, "usage": {"input_tokens": 7, "output_tokens": 1}});
    let message = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}),
        json!({"type": "message_stop"}),
    ];
    let response = json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [], "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}});
    let response = [
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1"}}),
        json!({"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0, "content_index": 0, "item_id": "i", "delta": "hi"}),
        json!({"type": "response.completed", "sequence_number": 2, "response": response}),
    ];
    let responses = Request {
        path: "/v1/responses".to_owned(),
        ..Request::chat(&["m"], true)
    };
    let mut chat_request = Request::chat(&["m"], true);
    let mut body: Value = serde_json::from_slice(&chat_request.body).unwrap();
    body["stream_options"] = json!({"include_usage": true});
    chat_request.body = body.to_string().into();
    vec![
        (chat_request, chat, "[DONE]"),
        (
            Request::message(&["m"], true),
            all(&message),
            "message_stop",
        ),
        (responses, all(&response), "response.completed"),
    ]
}

fn assert_own(event: &Value, case: &str) {
    for (member, expected) in [
        ("outcome", json!("ok")),
        ("inputTokens", json!(7)),
        ("outputTokens", json!(3)),
        ("providerKeyId", json!("p-key")),
        ("statusCode", json!(200)),
        ("isError", json!(false)),
        ("orphaned", json!(false)),
        ("estimated", json!(false)),
    ] {
        assert_eq!(event[member], expected, "{case}: {member} of {event}");
    }
}

/// One in ten of Codex's requests was said to have been left by its client.
#[tokio::test]
async fn a_client_that_leaves_after_the_last_event_got_its_answer() {
    for (request, body, last) in answers() {
        for end in [
            Act::Silence,
            Act::Wait(Duration::from_millis(600)),
            Act::Reset,
        ] {
            let case = format!("{} {end:?}", request.path);
            let script = Script::sse().data(body.clone()).wait(150).then(end.clone());
            let fake = Fake::start(Wire::H1, script).await;
            let gateway = Gateway::builder().fake("p", &fake).start().await;
            let mut client = Client::connect(Version::H1, gateway.address).await;
            client.begin(&request).await.unwrap();
            client.read_until(last).await;
            client.read_until("\n\n").await;
            drop(client);
            let all = events(&gateway, 1).await;
            assert_own(&all[0], &case);
            assert!(eventually(Duration::from_secs(5), || !gateway.access_log().is_empty()).await);
            let line = &gateway.access_log()[0];
            assert_eq!(line["attempts"][0]["outcome"], "ok", "{case}: {line}");
            assert!(line["client_gone"].is_null(), "{case}: {line}");
            assert_eq!(line["status"], 200, "{case}: {line}");
        }
    }
}

/// Streams whose bodies ended some time after their last event had events that were made up.
#[tokio::test]
async fn an_event_is_the_requests_own_however_late_its_body_ends() {
    for (request, body, _) in answers() {
        for late in [0, 600, 1_200] {
            let case = format!("{} {late} ms", request.path);
            let script = Script::sse().data(body.clone()).wait(late);
            let fake = Fake::start(Wire::H1, script).await;
            let gateway = Gateway::builder()
                .fake("p", &fake)
                .config(json!({"timeouts": {"stream_idle": "5s"}}))
                .start()
                .await;
            let answer = Client::connect(Version::H1, gateway.address)
                .await
                .ask(&request)
                .await;
            assert!(answer.clean, "{case}");
            assert_eq!(answer.text(), body, "{case}");
            let all = events(&gateway, 1).await;
            assert_eq!(all.len(), 1, "{case}");
            assert_own(&all[0], &case);
        }
    }
}

/// The provider's connection does not end, or breaks: the client has its answer, and hears a clean end.
#[tokio::test]
async fn a_body_that_breaks_after_the_last_event_ends_cleanly() {
    for (request, body, _) in answers() {
        for end in [Act::Silence, Act::Cut, Act::Reset] {
            let case = format!("{} {end:?}", request.path);
            let script = Script::sse().data(body.clone()).wait(50).then(end.clone());
            let fake = Fake::start(Wire::H1, script).await;
            let gateway = Gateway::builder().fake("p", &fake).start().await;
            let answer = Client::connect(Version::H1, gateway.address)
                .await
                .ask(&request)
                .await;
            assert!(answer.clean, "{case}: {}", answer.text());
            assert_eq!(answer.text(), body, "{case}");
            assert_own(&events(&gateway, 1).await[0], &case);
        }
    }
}
