//! Usage is asked for upstream, and the chunk is taken out again for a client that had not asked.

use serde_json::{Value, json};

use super::ask;
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_role, chat_stop, chat_word};
use crate::common::{eventually, sse};

const CHUNK: &str = r#"{"id":"chatcmpl-fake","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;

/// A stream as OpenAI makes it: the usage chunk comes only for who asks.
fn stream(seen: &Seen) -> Script {
    let body = seen.json();
    let asked = body["stream_options"]["include_usage"] == json!(true);
    let script = if seen.path.ends_with("/chat/completions") {
        Script::sse()
            .data(chat_role())
            .data(chat_word("hello"))
            .data(chat_stop())
    } else {
        let text = r#"{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"hello","finish_reason":null}]}"#;
        Script::sse().data(format!("data: {text}\n\n"))
    };
    let script = if asked {
        script.data(format!("data: {CHUNK}\n\n"))
    } else {
        script
    };
    script.data("data: [DONE]\n\n")
}

fn request(path: &str, options: Option<Value>, streams: bool) -> Request {
    let mut body =
        json!({"model": "m", "prompt": "hi", "messages": [{"role": "user", "content": "hi"}]});
    if streams {
        body["stream"] = json!(true);
    }
    if let Some(options) = options {
        body["stream_options"] = options;
    }
    Request::post(path, body.to_string())
}

#[tokio::test]
async fn the_usage_chunk_is_for_those_who_asked() {
    // The same, however the bytes are cut.
    let whole = Fake::answering(Wire::H1, stream).await;
    let bytewise = Fake::answering(Wire::H1, |seen| {
        let all = stream(seen).body();
        Script::sse().then(Act::Bytewise(all.into()))
    })
    .await;
    for fake in [whole, bytewise] {
        let gateway = Gateway::builder().fake("p", &fake).start().await;
        for path in ["/v1/chat/completions", "/v1/completions"] {
            for (options, wanted, others) in [
                (None, false, json!({})),
                (Some(json!({"include_usage": false})), false, json!({})),
                (
                    Some(json!({"include_obfuscation": false})),
                    false,
                    json!({"include_obfuscation": false}),
                ),
                (Some(json!({"include_usage": true})), true, json!({})),
                (
                    Some(json!({"include_obfuscation": false, "include_usage": true})),
                    true,
                    json!({"include_obfuscation": false}),
                ),
            ] {
                let sent = request(path, options.clone(), true);
                let answer = ask(&gateway, &sent).await;
                let what = format!("{path} {options:?}: {}", answer.text());
                assert_eq!((answer.status(), answer.clean), (200, true), "{what}");
                let seen = fake.seen().pop().unwrap();
                let mut asked = others.clone();
                asked["include_usage"] = json!(true);
                assert_eq!(
                    seen.json()["stream_options"],
                    asked,
                    "asked for upstream: {what}"
                );
                if wanted {
                    assert!(seen.body == sent.body, "nothing to change: {what}");
                }
                let chunks = sse::json(&answer.body);
                let usage = chunks
                    .iter()
                    .filter(|chunk| chunk["usage"].is_object())
                    .count();
                assert_eq!(usage, usize::from(wanted), "{what}");
                let bare = chunks
                    .iter()
                    .filter(|chunk| chunk["choices"] == json!([]))
                    .count();
                assert_eq!(
                    bare,
                    usize::from(wanted),
                    "`choices[0]` must not break: {what}"
                );
                assert!(answer.text().ends_with("data: [DONE]\n\n"), "{what}");
                assert!(answer.text().contains("hello"), "{what}");
                if wanted {
                    let script = String::from_utf8(stream(&seen).body()).unwrap();
                    assert_eq!(answer.text(), script, "not a byte is changed");
                }
            }
        }
        // All of them were counted by what the provider reported.
        let counted = || {
            let log = gateway.access_log();
            log.len() == 10
                && log
                    .iter()
                    .all(|line| line.to_string().contains(r#""input":7"#))
        };
        assert!(
            eventually(std::time::Duration::from_secs(5), counted).await,
            "{:#?}",
            gateway.access_log()
        );
    }
}

#[tokio::test]
async fn it_is_asked_for_only_where_it_can_be() {
    let fake = Fake::answering(Wire::H1, |seen| {
        if seen.json()["stream"] == json!(true) && seen.path.ends_with("completions") {
            stream(seen)
        } else {
            Script::json(200, &super::shape(&seen.path))
        }
    })
    .await;
    let mut refusing = provider("refusing", &fake);
    refusing["unsupported_parameters"] = json!(["stream_options"]);
    let gateway = Gateway::builder()
        .fake("p", &fake)
        .provider(refusing)
        .start()
        .await;
    for (path, options, streams) in [
        ("/v1/chat/completions", None, false),
        ("/v1/completions", None, false),
        ("/v1/responses", None, false),
        ("/v1/messages", None, false),
        ("/v1/embeddings", None, false),
    ] {
        let sent = request(path, options, streams);
        let answer = ask(&gateway, &sent).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        assert!(
            fake.seen().pop().unwrap().body == sent.body,
            "{path}: nothing is added"
        );
    }
    for options in [None, Some(json!({"include_usage": true}))] {
        let mut body = json!({"model": "refusing:m", "stream": true, "messages": []});
        if let Some(options) = options {
            body["stream_options"] = options;
        }
        let answer = ask(
            &gateway,
            &Request::post("/v1/chat/completions", body.to_string()),
        )
        .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let seen = fake.seen().pop().unwrap().json();
        assert_eq!(seen, json!({"model": "m", "stream": true, "messages": []}));
    }
}
