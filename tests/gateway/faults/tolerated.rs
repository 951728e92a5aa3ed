//! Answers that are odd, not wrong: one attempt, and every byte arrives.

use serde_json::json;

use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_answer, chat_role, chat_stop, chat_word, gzip};

/// A whole stream as text, with a usage chunk, as the client asked.
fn stream() -> String {
    let usage = json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}});
    let start = chat_role() + &chat_word("caf\u{e9} ") + &chat_word("\u{1d11e}");
    format!("{start}{}data: {usage}\n\ndata: [DONE]\n\n", chat_stop())
}

/// Odd answers by name: a stream or not, and how.
fn oddities() -> Vec<(&'static str, bool, Script)> {
    let sse = |text: String| Script::sse().data(text);
    let json_head = [("content-type", "application/json")];
    let answer = chat_answer("whole").to_string();
    let usage = |figure: serde_json::Value| {
        let mut answer = chat_answer("whole");
        answer["usage"] = figure;
        Script::json(200, &answer)
    };
    let trickle = stream()
        .as_bytes()
        .chunks(7)
        .fold(Script::sse(), |script, piece| {
            script.data(piece.to_vec()).wait(1)
        });
    let early_hints = Script::new().then(Act::Interim(103));
    let mut interim = Script::json(200, &chat_answer("whole"));
    interim.acts.insert(0, Act::Interim(103));
    vec![
        ("plain stream", true, sse(stream())),
        (
            "interim answer before a stream",
            true,
            early_hints
                .head(200, &[("content-type", "text/event-stream")])
                .data(stream()),
        ),
        ("interim answer", false, interim),
        ("CRLF", true, sse(stream().replace('\n', "\r\n"))),
        ("CR", true, sse(stream().replace('\n', "\r"))),
        (
            "one byte a write",
            true,
            Script::sse().then(Act::Bytewise(stream().into())),
        ),
        ("trickle", true, trickle),
        (
            "no [DONE]",
            true,
            sse(stream().replace("data: [DONE]\n\n", "")),
        ),
        (
            "no final blank line",
            true,
            sse(stream().trim_end().to_owned()),
        ),
        ("close-delimited", true, sse(stream()).close_delimited()),
        ("declared length", true, sse(stream()).length()),
        (
            "comments first",
            true,
            Script::sse()
                .data(": OPENROUTER PROCESSING\n\n")
                .wait(50)
                .data(stream()),
        ),
        (
            "malformed event after content",
            true,
            sse(chat_word("a") + "data: {\"broken\": \n\n" + &stream()),
        ),
        (
            "unknown event",
            true,
            sse(chat_word("a") + "event: surprise\nid: 7\nretry: 10\ndata: 1\n\n" + &stream()),
        ),
        (
            "slow first token, in time",
            true,
            Script::sse().wait(300).data(stream()),
        ),
        (
            "charset",
            true,
            Script::new()
                .head(200, &[("content-type", "text/event-stream;charset=utf-8")])
                .data(stream()),
        ),
        (
            "whole, chunked",
            false,
            Script::new().head(200, &json_head).data(answer.clone()),
        ),
        (
            "whole, one byte a chunk",
            false,
            Script::new()
                .head(200, &json_head)
                .then(Act::Bytewise(answer.clone().into())),
        ),
        (
            "whole, close-delimited",
            false,
            Script::new()
                .head(200, &json_head)
                .data(answer)
                .close_delimited(),
        ),
        (
            "usage absurd",
            false,
            usage(json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX})),
        ),
        (
            "usage negative",
            false,
            usage(json!({"prompt_tokens": -5, "completion_tokens": 1.5})),
        ),
        ("usage of the wrong type", false, usage(json!("lots"))),
        ("usage null", false, usage(json!(null))),
    ]
}

async fn check(wire: Wire, version: Version) {
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for (index, (_, _, script)) in oddities().into_iter().enumerate() {
        let fake = Fake::start(wire, script).await;
        builder = builder.fake(&format!("p{index}"), &fake);
        fakes.push(fake);
    }
    let gateway = builder.start().await;
    let mut client = Client::connect(version, gateway.address).await;
    for (index, (name, stream, script)) in oddities().into_iter().enumerate() {
        let case = format!("{name} {wire:?} {version:?}");
        let model = format!("p{index}:m");
        let mut body = crate::common::requests::chat_body(&[&model], stream);
        if stream {
            body["stream_options"] = json!({"include_usage": true});
        }
        let answer = client
            .ask(&Request::post("/v1/chat/completions", body.to_string()))
            .await;
        assert_eq!(answer.status(), 200, "{case}: {}", answer.text());
        assert_eq!(
            answer.text(),
            String::from_utf8_lossy(&script.body()),
            "{case}"
        );
        assert!(answer.clean, "{case}");
        assert_eq!(answer.header("x-tollgate-attempts"), Some("1"), "{case}");
        assert_eq!(fakes[index].count(), 1, "{case}");
    }
}

#[tokio::test]
async fn http1_from_http1() {
    check(Wire::H1, Version::H1).await;
}

#[tokio::test]
async fn http2_from_http2() {
    check(Wire::TlsH2, Version::H2).await;
}

#[tokio::test]
async fn a_compressed_answer_is_read_and_arrives() {
    for (stream, plain) in [(true, stream()), (false, chat_answer("whole").to_string())] {
        let kind = if stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        let compressed = gzip(plain.as_bytes());
        let head = [("content-type", kind), ("content-encoding", "gzip")];
        let fake = Fake::start(
            Wire::H1,
            Script::new().head(200, &head).data(compressed.clone()),
        )
        .await;
        let gateway = Gateway::builder().fake("p", &fake).start().await;
        let mut body = crate::common::requests::chat_body(&["p:m"], stream);
        if stream {
            body["stream_options"] = json!({"include_usage": true});
        }
        let request = Request::post("/v1/chat/completions", body.to_string())
            .header("accept-encoding", "gzip");
        let answer = Client::connect(Version::H1, gateway.address)
            .await
            .ask(&request)
            .await;
        assert_eq!(
            (answer.status(), answer.clean),
            (200, true),
            "stream {stream}"
        );
        let expected = if answer.header("content-encoding") == Some("gzip") {
            compressed
        } else {
            plain.into_bytes()
        };
        assert!(
            answer.body == expected,
            "stream {stream}: {}",
            answer.text()
        );
    }
}
