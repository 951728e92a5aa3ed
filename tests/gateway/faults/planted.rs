//! Providers that repeat the key that they were sent, in every form and at every place of an answer: no client reads it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::common::client::{Answer, Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_stop, chat_word};

const KEY: &str = "sk-planted/SECRET+0123456789_abcdef";

/// Ways to write the key into a JSON text.
fn forms() -> Vec<(&'static str, String)> {
    let escaped = |key: &str| {
        key.bytes()
            .map(|byte| format!("\\u{byte:04x}"))
            .collect::<String>()
    };
    let percent = |key: &str| {
        key.bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect::<String>()
    };
    vec![
        ("plain", KEY.to_owned()),
        ("json", escaped(KEY)),
        ("json, one", format!("\\u0073{}", &KEY[1..])),
        ("json, slash", KEY.replace('/', "\\/")),
        ("url", percent(KEY)),
        ("url, some", KEY.replace('/', "%2F").replace('+', "%2b")),
        ("base64", STANDARD.encode(KEY)),
        (
            "base64, inside",
            URL_SAFE_NO_PAD.encode(format!("Bearer {KEY}")),
        ),
    ]
}

/// Places of an answer, with the form written there.
fn places(form: &str) -> Vec<(&'static str, Script)> {
    let error = format!(
        "{{\"error\":{{\"message\":\"bad key {form} given\",\"type\":\"t\",\"code\":\"c {form}\"}}}}"
    );
    let event = format!("data: {error}\n\n");
    let json = [("content-type", "application/json")];
    let word = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"key {form}\"}}}}]}}\n\n"
    );
    let whole = format!(
        "{{\"model\":\"m\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"key {form}\"}},\"finish_reason\":\"stop\"}}]}}"
    );
    vec![
        (
            "error body",
            Script::new().head(401, &json).data(error.clone()),
        ),
        (
            "error body, byte by byte",
            Script::new()
                .head(400, &json)
                .then(Act::Bytewise(error.into())),
        ),
        (
            "error text",
            Script::new()
                .head(500, &[("content-type", "text/plain")])
                .data(format!("no {form}")),
        ),
        (
            "error header",
            Script::new()
                .head(
                    429,
                    &[("retry-after", form), ("content-type", "application/json")],
                )
                .data("{}"),
        ),
        ("first event", Script::sse().data(event.clone())),
        (
            "event after content",
            Script::sse()
                .data(chat_word("some"))
                .wait(20)
                .data(event.clone()),
        ),
        (
            "event after content, byte by byte",
            Script::sse()
                .data(chat_word("some"))
                .wait(20)
                .then(Act::Bytewise(event.into())),
        ),
        (
            "content",
            Script::sse()
                .then(Act::Bytewise(word.into()))
                .data(chat_stop())
                .data("data: [DONE]\n\n"),
        ),
        ("whole", Script::new().head(200, &json).data(whole)),
        (
            "headers",
            Script::new()
                .head(
                    200,
                    &[
                        ("openai-version", form),
                        ("content-type", "text/event-stream"),
                    ],
                )
                .data(chat_word("some"))
                .data(chat_stop()),
        ),
    ]
}

/// The forms of the key that a client could read it from.
fn told(answer: &Answer) -> Vec<&'static str> {
    let read = format!("{}{:?}", answer.text(), answer.head.headers);
    let unescaped = |text: &str| {
        let mut text = text.replace("\\/", "/");
        for byte in KEY.bytes() {
            let byte = char::from(byte).to_string();
            for form in [
                format!("\\u{:04x}", byte.as_bytes()[0]),
                format!("%{:02X}", byte.as_bytes()[0]),
                format!("%{:02x}", byte.as_bytes()[0]),
            ] {
                text = text.replace(&form, &byte);
            }
        }
        text
    };
    let plain = unescaped(&read).contains(KEY).then_some("the key");
    let forms = forms();
    let found = forms
        .iter()
        .filter(|(_, form)| read.contains(form))
        .map(|(name, _)| *name);
    found.chain(plain).collect()
}

#[tokio::test]
async fn no_client_reads_the_key() {
    let mut builder = Gateway::builder();
    let mut cases = Vec::new();
    for (at, (name, form)) in forms().into_iter().enumerate() {
        for (place, (what, script)) in places(&form).into_iter().enumerate() {
            let id = format!("p-{at}-{place}");
            let fake = Fake::start(Wire::H1, script).await;
            let mut entry = provider(&id, &fake);
            entry["surfaces"] = json!(["openai/chat-completions"]);
            entry["keys"] = json!([{"id": format!("{id}-key"), "value": KEY}]);
            builder = builder.provider(entry);
            cases.push((format!("{what}, {name}"), id, fake));
        }
    }
    let gateway = builder.start().await;
    let mut asked = 0;
    for (case, id, fake) in &cases {
        let model = format!("{id}:m");
        for stream in [true, false] {
            for request in [
                Request::chat(&[&model], stream),
                Request::message(&[&model], stream),
            ] {
                let mut client = Client::connect(Version::H1, gateway.address).await;
                let answer = client.ask(&request).await;
                asked += 1;
                let none: [&str; 0] = [];
                assert_eq!(
                    told(&answer),
                    none,
                    "{case}, {}: {} {:?}",
                    request.path,
                    answer.text(),
                    answer.head.headers
                );
            }
        }
        assert!(fake.count() > 0, "{case}");
    }
    let logged = || gateway.access_log().len() == asked;
    assert!(eventually(Duration::from_secs(5), logged).await);
    let kept = format!("{:?}{}", gateway.access_log(), gateway.output());
    assert!(!kept.contains(KEY), "in what was logged");
}
