//! A receiver that is no good, and what none may ever read.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::help::SOON;
use super::{ask, receiver, trace, tracing};
use crate::common::fake::{Fake, Wire};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_answer, chat_stop, chat_word};
use crate::common::{TOKEN, eventually};

#[tokio::test]
async fn a_receiver_in_trouble_is_no_trouble_for_requests() {
    let good = Fake::good(Wire::H1, "hello").await;
    let endless = Act::Forever("x".repeat(64 << 10).into(), Duration::from_millis(1));
    for (name, script, counted) in [
        (
            "refuses",
            Script::error(500, "no"),
            Some("{reason=\"refused\"} "),
        ),
        (
            "garbage",
            Script::new()
                .head(418, &[])
                .then(Act::Forever("x".into(), SOON)),
            Some("{reason=\"refused\"} "),
        ),
        (
            "endless",
            Script::new()
                .head(200, &[("content-type", "application/x-protobuf")])
                .then(endless),
            None,
        ),
        ("silent", Script::new().silence(), None),
        ("resets", Script::new().reset(), None),
    ] {
        let to = Fake::start(Wire::H1, script).await;
        let mut gateway = tracing(&to, &json!({})).fake("good", &good).start().await;
        for round in 1..=3 {
            for _ in 0..5 {
                let status = ask(&gateway, name, Request::chat(&["good:m"], false)).await;
                assert_eq!(status, 200, "{name}");
            }
            let lost = || {
                let text = gateway.admin_get("/metrics");
                let of =
                    counted.map(|reason| format!("tollgate_trace_spans_dropped_total{reason}"));
                let lost = of.map(|of| {
                    let line = text.lines().find_map(|line| line.strip_prefix(&*of));
                    line.and_then(|lost| lost.parse().ok()).unwrap_or(0)
                });
                lost.unwrap_or(u64::MAX)
            };
            assert!(eventually(SOON, || lost() >= round * 10).await, "{name}");
        }
        assert!(
            eventually(SOON, || to.count() > 0).await,
            "{name}: it was asked"
        );
        gateway.stop().await;
        let told = gateway.output().matches("traces do not reach").count();
        assert!(
            told <= 1 && (told == 1 || counted.is_none()),
            "{name}: said {told} times"
        );
    }
}

#[tokio::test]
async fn nothing_secret_is_told() {
    const KEY: &str = "KEY-planted";
    const OTLP: &str = "otlp-secret-0123456789";
    let to = receiver().await;
    // A provider that repeats its key wherever it can.
    let planted = Fake::answering(Wire::H1, |seen| {
        let mut answer = chat_answer(&format!("completion-frotz {KEY}"));
        for place in ["/id", "/model", "/choices/0/finish_reason"] {
            *answer.pointer_mut(place).unwrap() = json!(format!("said {KEY}"));
        }
        let kind = ("content-type", "application/json");
        let head = [kind, ("x-request-id", KEY)];
        if seen.json()["stream"] == true {
            let error = json!({"error": {"message": KEY, "type": KEY, "code": KEY}});
            return Script::sse()
                .data(chat_word(KEY))
                .data(chat_stop())
                .data(format!("data: {error}\n\n"));
        }
        Script::new()
            .length()
            .head(200, &head)
            .data(answer.to_string())
    })
    .await;
    let headers = json!({"headers": {"authorization": format!("Bearer {OTLP}")}});
    let gateway = tracing(&to, &headers)
        .fake("planted", &planted)
        .env("TOLLGATE_LOG", "debug")
        .start()
        .await;
    let token = TOKEN;
    for (name, stream) in [("whole", false), ("stream", true)] {
        let mut body: Value =
            serde_json::from_slice(&Request::chat(&["planted:m"], stream).body).unwrap();
        body["messages"][0]["content"] = json!("prompt-xyzzy");
        body["user"] = json!("user-plugh");
        let path = "/v1/chat/completions?key=query-rezrov";
        let request = Request::post(path, body.to_string()).header("baggage", "a=baggage-gnusto");
        ask(&gateway, name, request).await;
        trace(&to, name).await;
    }
    ask(&gateway, "wrong", Request::chat(&[token], false)).await;
    trace(&to, "wrong").await;
    let output = gateway.output();
    for seen in to.seen() {
        assert_eq!(
            seen.header("authorization"),
            Some(&*format!("Bearer {OTLP}"))
        );
        for secret in [
            KEY, OTLP, "xyzzy", "plugh", "frotz", "rezrov", "gnusto", token,
        ] {
            let told = memchr::memmem::find(&seen.body, secret.as_bytes());
            assert!(
                told.is_none(),
                "{secret} is in {}",
                String::from_utf8_lossy(&seen.body)
            );
        }
    }
    assert!(!output.contains(OTLP), "{output}");
}
