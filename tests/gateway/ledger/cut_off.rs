//! A running stream whose account has nothing left ends as at a token limit.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::script::{Script, chat_role, chat_stop, chat_usage, chat_word};
use crate::common::sse;

const WORDS: usize = 400;

fn long_chat() -> Script {
    let mut script = Script::sse().data(chat_role());
    for _ in 0..WORDS {
        script = script.data(chat_word("hello ")).wait(5);
    }
    script
        .data(chat_stop())
        .data(chat_usage())
        .data("data: [DONE]\n\n")
}

fn long_message() -> Script {
    let event = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let start = json!({"message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "usage": {"input_tokens": 7, "output_tokens": 1}}});
    let block = json!({"index": 0, "content_block": {"type": "text", "text": ""}});
    let mut script = Script::sse()
        .data(event("message_start", start))
        .data(event("content_block_start", block));
    for _ in 0..WORDS {
        let delta = json!({"index": 0, "delta": {"type": "text_delta", "text": "hello "}});
        script = script.data(event("content_block_delta", delta)).wait(5);
    }
    script
}

fn long_response() -> Script {
    let event = |data: Value| {
        let kind = data["type"].as_str().unwrap();
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let response = json!({"id": "resp_1", "object": "response", "status": "in_progress", "model": "m", "output": []});
    let mut script = Script::sse().data(event(
        json!({"type": "response.created", "sequence_number": 0, "response": response}),
    ));
    for number in 1..=WORDS {
        let delta = json!({"type": "response.output_text.delta", "sequence_number": number, "item_id": "msg_1",
            "output_index": 0, "content_index": 0, "delta": "hello "});
        script = script.data(event(delta)).wait(5);
    }
    script
}

async fn gateway(fake: &Fake, cut_off: bool) -> Gateway {
    Gateway::builder()
        .fake("f", fake)
        // The prompt, and about two hundred tokens of an answer that has a thousand.
        .config(money(400_000))
        .config(json!({"ledger": {"cut_off": cut_off}, "timeouts": {"per_request": "5s"}}))
        .start()
        .await
}

fn request(path: &str) -> Request {
    let body = json!({"model": "m", "stream": true, "max_tokens": 5, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hi"}]});
    Request::post(path, body.to_string())
}

#[tokio::test]
async fn a_chat_that_cannot_be_paid_any_more_ends_at_its_length() {
    let fake = Fake::start(Wire::H1, long_chat()).await;
    let gateway = gateway(&fake, true).await;
    let answer = ask(&gateway, &request("/v1/chat/completions")).await;
    let text = answer.text();
    assert!(answer.clean, "it ends cleanly: {text}");
    let words = sse::chat_text(&answer.body).split_whitespace().count();
    assert!((10..WORDS).contains(&words), "{words} words");
    assert!(text.contains("\"finish_reason\":\"length\""), "{text}");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    let bank = bank(&gateway);
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    while bank.books("default").await.unwrap().spent == NanoUsd::ZERO {
        assert!(tollgate_base::clock::now() < end, "never charged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let books = bank.books("default").await.unwrap();
    assert!(
        books.spent > NanoUsd(50_000),
        "what was sent is paid: {}",
        books.spent
    );
    assert!(
        books.debt < NanoUsd(100_000),
        "and little beyond the credits: {}",
        books.debt
    );
    verified(&gateway);
}

#[tokio::test]
async fn a_message_too() {
    let fake = Fake::start(Wire::H1, long_message()).await;
    let gateway = gateway(&fake, true).await;
    let answer = ask(&gateway, &request("/v1/messages")).await;
    let text = answer.text();
    assert!(answer.clean, "it ends cleanly: {text}");
    for part in [
        "event: content_block_stop",
        "\"stop_reason\":\"max_tokens\"",
        "event: message_stop",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_response_too_and_its_numbers_go_on() {
    let fake = Fake::start(Wire::H1, long_response()).await;
    let gateway = gateway(&fake, true).await;
    let body = json!({"model": "m", "stream": true, "max_output_tokens": 5, "input": "hi"});
    let request = Request::post("/v1/responses", body.to_string());
    let answer = ask(&gateway, &request).await;
    let text = answer.text();
    assert!(answer.clean, "it ends cleanly: {text}");
    let events = sse::json(&answer.body);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(at), "{event}");
    }
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete", "{text}");
}

#[tokio::test]
async fn without_the_setting_a_stream_runs_on() {
    let fake = Fake::start(Wire::H1, long_chat()).await;
    let gateway = gateway(&fake, false).await;
    let answer = ask(&gateway, &request("/v1/chat/completions")).await;
    let words = sse::chat_text(&answer.body).split_whitespace().count();
    assert_eq!((words, answer.clean), (WORDS, true));
}
