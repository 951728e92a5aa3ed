//! How long an attempt may take: a stream for as long as it shows life, a whole answer for its own time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::ask;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_answer, chat_role, chat_word};

/// Half a second to show life, one in all.
fn hasty() -> Value {
    json!({"timeouts": {"per_request": "500ms", "total": "1s", "stream_idle": "700ms", "hold": "30s"}})
}

fn event(value: &Value) -> String {
    format!(
        "event: {}\ndata: {value}\n\n",
        value["type"].as_str().unwrap()
    )
}

/// Claude thinks and does not say what: its prelude and pings are all that comes (Yeachan-Heo/gajae-code#4464).
fn thinking_messages() -> Script {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}});
    let pings = (0..6).fold(
        Script::sse().data(event(&start) + &event(&block)),
        |script, _| script.wait(300).data(event(&json!({"type": "ping"}))),
    );
    let end = [
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "Eq"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "done"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    pings.data(end.iter().map(event).collect::<String>())
}

/// The same with Responses: a reasoning item is open, and there is no summary of it.
fn thinking_responses() -> Script {
    let response = json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "m", "output": []});
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let begin = [
        json!({"type": "response.created", "sequence_number": 0, "response": response}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}),
    ];
    let begun = Script::sse().data(begin.iter().map(event).collect::<String>());
    let alive = (0..6).fold(begun, |script, n| {
        script.wait(300).data(event(&json!({"type": "response.in_progress", "sequence_number": 2 + n, "response": response})))
    });
    let mut whole = response;
    whole["status"] = json!("completed");
    whole["usage"] = json!({"input_tokens": 5, "output_tokens": 9, "total_tokens": 14});
    let end = [
        json!({"type": "response.output_text.delta", "sequence_number": 8, "output_index": 1, "content_index": 0, "item_id": "m", "delta": "done"}),
        json!({"type": "response.completed", "sequence_number": 9, "response": whole}),
    ];
    alive.data(end.iter().map(event).collect::<String>())
}

#[tokio::test]
async fn a_stream_that_shows_life_is_not_cut() {
    let responses = Request {
        path: "/v1/responses".to_owned(),
        ..Request::chat(&["p:m"], true)
    };
    let comments = (0..6).fold(Script::sse(), |script, _| {
        script.data(": OPENROUTER PROCESSING\n\n").wait(300)
    });
    let comments = comments.data(chat_word("done") + "data: [DONE]\n\n");
    let cases = [
        (Request::message(&["p:m"], true), thinking_messages()),
        (responses, thinking_responses()),
        (Request::chat(&["p:m"], true), comments),
    ];
    for (request, script) in cases {
        let fake = Fake::start(Wire::H1, script.clone()).await;
        let gateway = Gateway::builder()
            .fake("p", &fake)
            .config(hasty())
            .start()
            .await;
        let answer = ask(&gateway, &request).await;
        assert_eq!(
            (answer.status(), answer.clean),
            (200, true),
            "{}: {}",
            request.path,
            answer.text()
        );
        assert_eq!(
            answer.text(),
            String::from_utf8(script.body()).unwrap(),
            "{}",
            request.path
        );
        assert_eq!(fake.count(), 1, "{}", request.path);
    }
}

#[tokio::test]
async fn a_stream_that_stops_showing_life_is_followed_by_the_next() {
    let stalls = [
        ("nothing", Script::sse().silence()),
        ("a role", Script::sse().data(chat_role()).silence()),
        (
            "pings",
            Script::sse()
                .data(": ping\n\n")
                .wait(300)
                .data(": ping\n\n")
                .silence(),
        ),
    ];
    for (name, script) in stalls {
        let fake = Fake::start(Wire::H1, script).await;
        let good = Fake::good(Wire::H1, "served").await;
        let patient = json!({"timeouts": {"total": "30s"}});
        let gateway = Gateway::builder()
            .fake("p", &fake)
            .fake("good", &good)
            .config(hasty())
            .config(patient)
            .start()
            .await;
        let answer = ask(&gateway, &Request::chat(&["p:m", "good:m"], true)).await;
        assert_eq!(
            answer.header("x-tollgate-provider"),
            Some("good"),
            "{name}: {}",
            answer.text()
        );
    }
}

/// Reasoning models take minutes for an answer in one piece, of which nothing shows before.
#[tokio::test]
async fn a_whole_answer_has_a_time_of_its_own() {
    let slow = Script::json(200, &chat_answer("served"));
    let mut script = slow;
    script
        .acts
        .insert(0, Act::Wait(Duration::from_millis(1_800)));
    let fake = Fake::start(Wire::H1, script).await;
    let good = Fake::good(Wire::H1, "spare").await;
    for (whole, expected) in [("20s", "p"), ("900ms", "good")] {
        let gateway = Gateway::builder()
            .fake("p", &fake)
            .fake("good", &good)
            .config(hasty())
            .config(json!({"timeouts": {"whole_answer": whole}}))
            .start()
            .await;
        let answer = ask(&gateway, &Request::chat(&["p:m", "good:m"], false)).await;
        assert_eq!(
            answer.header("x-tollgate-provider"),
            Some(expected),
            "{whole}: {}",
            answer.text()
        );
    }
}
