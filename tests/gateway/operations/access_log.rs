//! One line a request, and no secret anywhere.

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{SOON, message_begin, small_body};
use crate::common::client::{Chunk, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_answer, chat_stop, chat_word};
use crate::common::{TOKEN, eventually};

/// What must never be written anywhere but to the provider or the client it is for.
const PROMPT: &str = "prompt-xyzzy-plugh";
const COMPLETION: &str = "completion-frotz-gnusto";
const QUERY: &str = "query-rezrov";
const WRONG: &str = "tg-wrong-g1-0000000000WrongSecretWrongSecretWrongSec000000";

fn asking(models: &[&str], stream: bool, name: &str) -> Request {
    let mut body: Value = serde_json::from_slice(&Request::chat(models, stream).body).unwrap();
    body["messages"][0]["content"] = json!(PROMPT);
    let path = format!("/v1/chat/completions?api-version={QUERY}");
    Request::post(&path, body.to_string()).header("x-request-id", name)
}

/// A provider that misbehaves as its model's name says.
async fn provider() -> Fake {
    Fake::answering(Wire::H1, |seen| {
        let body = seen.json();
        let leak = format!("no: {COMPLETION} {} {}", seen.header("authorization").unwrap_or_default(), PROMPT);
        match (body["model"].as_str().unwrap(), body["stream"] == true) {
            ("limited", _) => Script::error(429, &leak),
            ("broken", _) => Script::error(500, &leak),
            ("forbidden", _) => Script::error(401, &leak),
            ("cut", _) => Script::sse().data(chat_word(COMPLETION)).wait(50).cut(),
            ("forever", _) => Script::sse().then(Act::Forever(chat_word(COMPLETION).into(), Duration::from_millis(50))),
            ("garbage", _) => Script::new().head(200, &[("content-type", "application/json")]).data(format!("{{{leak}")),
            ("uncounted", _) => {
                let mut answer = chat_answer(COMPLETION);
                answer.as_object_mut().unwrap().remove("usage");
                Script::json(200, &answer)
            }
            ("claude", _) => Script::sse()
                .data(message_begin(COMPLETION))
                .data("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
            (_, true) => Script::sse()
                .data(chat_word(COMPLETION))
                .data(chat_stop())
                .data("data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5,\"total_tokens\":16}}\n\n")
                .data("data: [DONE]\n\n"),
            _ => Script::json(200, &chat_answer(COMPLETION)),
        }
    })
    .await
}

/// Sends everything; error bodies that the gateway itself wrote, to be searched too.
async fn traffic(gateway: &Gateway) -> String {
    let mut own_words = String::new();
    let plain = [
        ("success", asking(&["a:m"], false, "success")),
        ("stream", asking(&["a:m"], true, "stream")),
        ("failover", asking(&["a:broken", "a:m"], false, "failover")),
        ("uncounted", asking(&["a:uncounted"], false, "uncounted")),
        (
            "all-failed",
            asking(&["a:broken", "down:m"], false, "all-failed"),
        ),
        ("cut", asking(&["a:cut"], true, "cut")),
        ("unreachable", asking(&["down:m"], false, "unreachable")),
        (
            "unknown-model",
            asking(&["what-is-this"], false, "unknown-model"),
        ),
        (
            "no-token",
            asking(&["a:m"], false, "no-token").without("authorization"),
        ),
        (
            "wrong-token",
            asking(&["a:m"], false, "wrong-token")
                .without("authorization")
                .header("authorization", &format!("Bearer {WRONG}")),
        ),
        (
            "not-found",
            Request {
                path: format!("/v1/nowhere?x={QUERY}"),
                ..asking(&[], false, "not-found")
            },
        ),
        (
            "not-json",
            Request {
                body: format!("{{\"{PROMPT}").into(),
                ..asking(&[], false, "not-json")
            },
        ),
        (
            "bad-model",
            Request {
                body: format!("{{\"model\":[\"{PROMPT}\"]}}").into(),
                ..asking(&[], false, "bad-model")
            },
        ),
        (
            "models",
            Request {
                path: format!("/v1/models?after={QUERY}"),
                ..Request::get("").header("x-request-id", "models")
            },
        ),
        (
            "garbage",
            asking(&["a:garbage", "down:m"], false, "garbage"),
        ),
        (
            "message",
            Request::message(&["a:claude"], true).header("x-request-id", "message"),
        ),
        (
            "limited",
            asking(&["a:limited", "a:forbidden", "down:m"], true, "limited"),
        ),
    ];
    for (index, (name, request)) in plain.into_iter().enumerate() {
        let version = [Version::H1, Version::H2][index % 2];
        let mut client = Client::connect(version, gateway.address).await;
        let answer = client.ask(&request).await;
        if answer.status() >= 400 {
            own_words += &format!("{name}: {}\n", answer.text());
        }
    }
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        client
            .begin(&asking(&["a:forever"], true, &format!("gone-{version:?}")))
            .await
            .unwrap();
        assert!(matches!(client.chunk().await, Chunk::Data(_)));
        drop(client);
    }
    own_words
}

#[tokio::test]
async fn every_request_leaves_one_line_and_no_secret_leaves_at_all() {
    let fake = provider().await;
    // The most that the process log can be asked for by an operator without naming libraries.
    let gateway = Gateway::builder()
        .provider(provider_at("a", &fake.base_url()))
        .provider(provider_at("down", &Fake::refused()))
        .env("TOLLGATE_LOG", "debug")
        .config(json!({"ledger": {"usage_grace": "300ms"}}))
        .start()
        .await;
    let own_words = traffic(&gateway).await;
    assert!(
        eventually(SOON, || gateway.access_log().len() >= 19).await,
        "{:#?}",
        gateway.access_log()
    );
    tokio::time::sleep(Duration::from_millis(200)).await;

    let text = std::fs::read_to_string(gateway.path("access.log")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = |name: &str| {
        let found: Vec<&Value> = lines
            .iter()
            .filter(|line| line["request_id"] == name)
            .collect();
        assert_eq!(found.len(), 1, "{name}: one request, one line: {found:?}");
        found[0]
    };
    assert_eq!(lines.len(), 19);
    for line in &lines {
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(
            line["client_ip"] == "127.0.0.1" && line["total_ms"].is_u64(),
            "{line}"
        );
        assert!(!line["path"].as_str().unwrap().contains('?'), "{line}");
    }
    let success = line("success");
    assert_eq!(success["status"], 200);
    assert_eq!(
        (&success["access_key"], &success["account"]),
        (&json!("test"), &json!("default"))
    );
    assert_eq!(
        (
            &success["provider"],
            &success["model"],
            &success["requested_model"]
        ),
        (&json!("a"), &json!("m"), &json!("a:m"))
    );
    assert_eq!(
        (&success["tokens"]["input"], &success["tokens"]["output"]),
        (&json!(7), &json!(3))
    );
    assert_eq!(success["bytes_in"], asking(&["a:m"], false, "").body.len());
    assert_eq!(
        success["bytes_out"],
        chat_answer(COMPLETION).to_string().len()
    );
    assert_eq!(success.get("estimated"), None);
    let stream = line("stream");
    assert_eq!(
        (&stream["stream"], &stream["tokens"]["input"]),
        (&json!(true), &json!(11)),
        "{stream}"
    );
    assert!(
        stream["commit_ms"].as_u64() <= stream["total_ms"].as_u64(),
        "{stream}"
    );
    let outcomes = |line: &Value| -> Vec<String> {
        let attempts = line["attempts"].as_array().unwrap().iter();
        attempts
            .map(|a| {
                format!(
                    "{} {}",
                    a["model"].as_str().unwrap(),
                    a["outcome"].as_str().unwrap()
                )
            })
            .collect()
    };
    let failover = outcomes(line("failover"));
    assert_eq!(
        (failover.len(), failover[1].as_str()),
        (2, "m ok"),
        "{failover:?}"
    );
    assert!(
        failover[0].starts_with("broken ") && failover[0] != "broken ok",
        "{failover:?}"
    );
    let uncounted = line("uncounted");
    assert_eq!(uncounted["estimated"], true, "{uncounted}");
    assert!(
        uncounted["tokens"]["output"].as_u64() > Some(2),
        "{uncounted}"
    );
    for (name, status, code) in [
        ("all-failed", 503, "ERR_TOLLGATE_3807"),
        ("cut", 200, "ERR_TOLLGATE_3832"),
        ("unreachable", 502, "ERR_TOLLGATE_3800"),
        ("unknown-model", 422, "ERR_TOLLGATE_3804"),
        ("no-token", 401, "ERR_TOLLGATE_27007"),
        ("wrong-token", 401, "ERR_TOLLGATE_27007"),
        ("not-found", 404, "ERR_TOLLGATE_3820"),
        ("not-json", 400, "ERR_TOLLGATE_3801"),
        ("bad-model", 400, "ERR_TOLLGATE_3801"),
    ] {
        assert_eq!(
            (&line(name)["status"], &line(name)["error"]),
            (&json!(status), &json!(code)),
            "{}",
            line(name)
        );
    }
    for version in ["H1", "H2"] {
        let gone = line(&format!("gone-{version}"));
        assert_eq!(gone["client_gone"], true, "{gone}");
        assert!(
            gone["tokens"]["output"].as_u64() > Some(0) && gone["estimated"] == true,
            "what was used: {gone}"
        );
    }

    let output = gateway.output();
    let metrics = gateway.admin_get("/metrics");
    let token = TOKEN.rsplit('-').next().unwrap();
    let wrong = WRONG.rsplit('-').next().unwrap();
    assert!(small_body().len() < text.len());
    for (place, text) in [
        ("access log", &text),
        ("process log", &output),
        ("metrics", &metrics),
        ("errors", &own_words),
    ] {
        for secret in ["KEY-a", "KEY-down", token, wrong, PROMPT, COMPLETION, QUERY] {
            let at = text
                .find(secret)
                .map(|at| &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
            assert!(at.is_none(), "{secret} is in the {place}: {at:?}");
        }
    }
}
