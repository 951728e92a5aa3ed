//! A client that waits long is given a status and comments, and the machine goes on behind them; and
//! comments keep a silent stream alive, at event boundaries only.

use serde_json::{Value, json};

use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Script, chat_role, chat_word, openai_error};
use crate::common::sse;

const VERSIONS: [Version; 2] = [Version::H1, Version::H2];

#[tokio::test]
async fn failover_goes_on_behind_the_comments() {
    let silent = Fake::start(Wire::H1, Script::new().silence()).await;
    let stalled = Fake::start(Wire::TlsH2, Script::sse().data(chat_role()).silence()).await;
    let good = Fake::good(Wire::TlsH2, "at last").await;
    let timeouts =
        json!({"timeouts": {"per_request": "900ms", "hold": "300ms", "keepalive": "200ms"}});
    let fakes = Gateway::builder()
        .fake("silent", &silent)
        .fake("stalled", &stalled)
        .fake("good", &good);
    let gateway = fakes.config(timeouts).start().await;
    for (version, order) in VERSIONS
        .into_iter()
        .zip([["silent:m", "stalled:m"], ["stalled:m", "silent:m"]])
    {
        let mut client = Client::connect(version, gateway.address).await;
        let answer = client
            .ask(&Request::chat(&[order[0], order[1], "good:m"], true))
            .await;
        assert_eq!(answer.status(), 200, "{version:?}");
        let waited = answer.to_head.as_millis();
        assert!(
            (250..800).contains(&waited),
            "{version:?}: the status came after {waited} ms"
        );
        let first = answer
            .arrivals
            .first()
            .map(|(_, piece)| piece.clone())
            .unwrap_or_default();
        assert!(
            first.starts_with(b":"),
            "{version:?}: a comment first: {}",
            answer.text()
        );
        assert_eq!(sse::chat_text(&answer.body), "at last", "{version:?}");
        assert!(answer.clean, "{version:?}");
        assert!(answer.text().contains("[DONE]"), "{version:?}");
        let again = client.ask(&Request::chat(&["good:m"], true)).await;
        assert_eq!(
            sse::chat_text(&again.body),
            "at last",
            "{version:?}: the connection lives on"
        );
    }
}

#[tokio::test]
async fn when_all_fail_behind_the_comments_an_error_event_says_so() {
    let silent = Fake::start(Wire::H1, Script::new().silence()).await;
    let refusing = Fake::start(Wire::H1, Script::error(500, "no")).await;
    let timeouts = json!({"timeouts": {"per_request": "700ms", "hold": "200ms"}});
    let gateway = Gateway::builder()
        .fake("silent", &silent)
        .fake("refusing", &refusing)
        .config(timeouts)
        .start()
        .await;
    for version in VERSIONS {
        let models = ["silent:m", "refusing:m"];
        let answer = Client::connect(version, gateway.address)
            .await
            .ask(&Request::chat(&models, true))
            .await;
        assert_eq!(answer.status(), 200, "{version:?}");
        assert!(
            sse::comments(&answer.body) > 0,
            "{version:?}: {}",
            answer.text()
        );
        let error = sse::error(&answer.body).unwrap_or_default();
        assert_eq!(
            error["error"]["code"],
            "ERR_TOLLGATE_3807",
            "{version:?}: {}",
            answer.text()
        );
        let answer = Client::connect(version, gateway.address)
            .await
            .ask(&Request::message(&models, true))
            .await;
        let error = sse::error(&answer.body).unwrap_or_default();
        assert_eq!(
            (answer.status(), &error["type"]),
            (200, &json!("error")),
            "{version:?}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn comments_come_while_a_retry_is_waited_for() {
    for version in VERSIONS {
        let limited = Script::error_with(429, "later", &[("retry-after", "1")]);
        let scripts = vec![limited, Script::chat(true, "at last")];
        let fake = Fake::sequence(Wire::H1, scripts).await;
        let gateway = Gateway::builder()
            .fake("p", &fake)
            .config(json!({
                "timeouts": {"hold": "300ms", "keepalive": "200ms"},
                "retry": {"same": 1, "most": "3s"},
            }))
            .start()
            .await;
        let answer = Client::connect(version, gateway.address)
            .await
            .ask(&Request::chat(&["p:m"], true))
            .await;
        let case = format!("{version:?}: {}", answer.text());
        assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
        let waited = answer.to_head.as_millis();
        assert!((250..900).contains(&waited), "{waited} ms, {case}");
        assert!(sse::comments(&answer.body) > 1, "{case}");
        assert_eq!(sse::chat_text(&answer.body), "at last", "{case}");
        assert_eq!(fake.count(), 2, "{case}");
    }
}

/// It stood among the events as it came, and the stream ended as if all were well.
#[tokio::test]
async fn an_error_whose_body_comes_behind_the_comments_becomes_an_event() {
    for status in [400, 500] {
        let slow = Script::new()
            .head(status, &[("content-type", "application/json")])
            .wait(900)
            .data(openai_error("too late").to_string());
        let fake = Fake::start(Wire::H1, slow).await;
        let timeouts = json!({"timeouts": {"per_request": "5s", "hold": "300ms"}});
        let gateway = Gateway::builder()
            .fake("slow", &fake)
            .config(timeouts)
            .start()
            .await;
        for version in VERSIONS {
            let answer = Client::connect(version, gateway.address)
                .await
                .ask(&Request::chat(&["slow:m"], true))
                .await;
            let case = format!("{status} {version:?}: {}", answer.text());
            assert_eq!((answer.status(), answer.clean), (200, false), "{case}");
            assert!(sse::comments(&answer.body) > 0, "{case}");
            let error = sse::error(&answer.body).unwrap_or_default();
            assert_eq!(error["error"]["code"], "ERR_TOLLGATE_3807", "{case}");
            assert!(!answer.text().contains("fake_error"), "{case}");
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_stream_is_not_given_comments() {
    let slow = Script::new()
        .wait(600)
        .head(200, &[("content-type", "application/json")]);
    let slow = Fake::start(Wire::H1, slow.data("{\"choices\":[]}")).await;
    let timeouts =
        json!({"timeouts": {"per_request": "5s", "hold": "100ms", "keepalive": "100ms"}});
    let gateway = Gateway::builder()
        .fake("slow", &slow)
        .config(timeouts)
        .start()
        .await;
    let answer = Client::connect(Version::H1, gateway.address)
        .await
        .ask(&Request::chat(&["slow:m"], false))
        .await;
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (200, "{\"choices\":[]}")
    );
    assert!(
        answer.to_head.as_millis() >= 550,
        "nothing before the answer: {:?}",
        answer.to_head
    );
}

#[tokio::test]
async fn comments_come_only_between_events() {
    let event = chat_word("split in the middle \u{1d11e}");
    let (front, back) = event.split_at(event.len() - 20);
    let script = Script::sse()
        .data(chat_word("one "))
        .wait(700)
        .data(front.to_owned())
        .wait(700)
        .data(back.to_owned())
        .wait(700)
        .data("data: [DONE]\n\n");
    let sent = script.body();
    for wire in [Wire::H1, Wire::TlsH2] {
        let fake = Fake::start(wire, script.clone()).await;
        let timeouts = json!({"timeouts": {"stream_idle": "5s", "keepalive": "200ms"}});
        let gateway = Gateway::builder()
            .fake("p", &fake)
            .config(timeouts)
            .start()
            .await;
        for version in VERSIONS {
            let answer = Client::connect(version, gateway.address)
                .await
                .ask(&Request::chat(&["p:m"], true))
                .await;
            let text = answer.text();
            assert!(
                sse::comments(&answer.body) >= 4,
                "{wire:?} {version:?}: comments while it was silent: {text}"
            );
            let kept: Vec<&str> = text
                .split_inclusive("\n\n")
                .filter(|block| !block.starts_with(':'))
                .collect();
            assert_eq!(
                kept.concat().as_bytes(),
                sent,
                "{wire:?} {version:?}: nothing else is changed"
            );
            assert!(answer.clean, "{wire:?} {version:?}");
        }
    }
}

/// The length was passed on, and the comments pushed the end of the stream out of it.
#[tokio::test]
async fn a_stream_with_comments_is_longer_than_its_provider_announced() {
    let script = Script::sse()
        .length()
        .data(chat_word("one "))
        .wait(700)
        .data(chat_word("two"))
        .data("data: [DONE]\n\n");
    let sent = String::from_utf8(script.body()).unwrap();
    // Nothing is taken out for a client that asks for all.
    let mut request = Request::chat(&["p:m"], true);
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    body["stream_options"] = json!({"include_usage": true});
    request.body = body.to_string().into();
    for wire in [Wire::H1, Wire::TlsH2] {
        let fake = Fake::start(wire, script.clone()).await;
        let timeouts = json!({"timeouts": {"stream_idle": "5s", "keepalive": "200ms"}});
        let gateway = Gateway::builder()
            .fake("p", &fake)
            .config(timeouts)
            .start()
            .await;
        for version in VERSIONS {
            let mut client = Client::connect(version, gateway.address).await;
            let answer = client.ask(&request).await;
            let case = format!("{wire:?} {version:?}: {}", answer.text());
            assert!(answer.clean, "{case}");
            assert_eq!(answer.header("content-length"), None, "{case}");
            assert!(sse::comments(&answer.body) >= 1, "{case}");
            let kept: Vec<String> = answer
                .text()
                .split_inclusive("\n\n")
                .filter(|block| !block.starts_with(':'))
                .map(str::to_owned)
                .collect();
            assert_eq!(kept.concat(), sent, "{case}");
        }
    }
}
