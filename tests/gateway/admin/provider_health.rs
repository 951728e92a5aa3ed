//! How providers do, and whether one works.

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, ROOT, builder, id};
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::provider;
use crate::common::script::{Script, chat_answer};

const VALUE: &str = "sk-planted-0123456789abcdefghijklmnop";

/// Lists two models and chats; messages are refused with the key in the words.
async fn server() -> Fake {
    Fake::answering(Wire::H1, |seen: &Seen| match &*seen.path {
        "/v1/models" => Script::json(200, &json!({"data": [{"id": "m"}, {"id": VALUE}]})),
        "/v1/chat/completions" => Script::json(200, &chat_answer("hi")),
        "/v1/responses" => Script::json(200, &json!({"unexpected": true})),
        _ => Script::error(401, &format!("bad key {VALUE}\nsee docs")),
    })
    .await
}

fn steps(result: &Value) -> Vec<(String, bool)> {
    let all = result["steps"].as_array().unwrap().iter();
    all.map(|step| {
        let name = step["step"].as_str().unwrap().to_owned();
        (name, step["works"] == true)
    })
    .collect()
}

#[tokio::test]
async fn a_test_says_of_each_api_whether_it_works_and_why_not() {
    let server = server().await;
    let api = Api::start(builder()).await;
    let custom = json!({
        "providerId": "mine", "name": "Mine", "baseUrl": server.base_url(),
        "supportedApiSurfaces": [
            {"format": "openai", "surface": "chat-completions"},
            {"format": "openai", "surface": "responses"},
            {"format": "anthropic", "surface": "messages"},
        ],
        "models": [{"modelId": "m"}],
    });
    let made = api.create("/providers", custom).await;
    let test = format!("/providers/{}/test", id(&made));
    let none = api.faults("POST", &test, json!({})).await;
    assert_eq!(none, ["providerKeyId"], "there is no key yet");
    let key = json!({"providerId": "mine", "name": "main", "value": VALUE});
    let key = api.create("/provider-keys", key).await;

    let result = api.expect(200, "POST", &test, Some(json!({}))).await;
    let found = steps(&result);
    let found: Vec<(&str, bool)> = found
        .iter()
        .map(|(step, works)| (&**step, *works))
        .collect();
    assert_eq!(
        found,
        [
            ("connection", true),
            ("models", true),
            ("openai/chat-completions", true),
            ("openai/responses", false),
            ("anthropic/messages", false),
        ]
    );
    assert_eq!(result["works"], false);
    assert_eq!(result["providerKeyId"], id(&key));
    assert_eq!(result["steps"][1]["models"][0], "m");
    let reason = |step: usize| result["steps"][step]["reason"].as_str().unwrap();
    assert!(reason(3).contains("without `output`"), "{result}");
    assert!(reason(4).contains("the key is not accepted"), "{result}");
    assert!(!result.to_string().contains(VALUE), "{result}");
    let seen = server.seen();
    let sent: Vec<&str> = seen.iter().map(|seen| &*seen.path).collect();
    let paths = [
        "/v1/models",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages",
    ];
    assert_eq!(sent, paths);
    assert_eq!(
        seen[1].header("authorization"),
        Some(&*format!("Bearer {VALUE}"))
    );
    assert_eq!(seen[3].header("x-api-key"), Some(VALUE));
    assert_eq!(seen[1].json()["model"], "m");
    // Nothing of it is charged, and no key rests.
    assert_eq!(api.get("/cool-downs").await["coolDowns"], json!([]));
    let named = json!({"model": "other", "providerKeyId": id(&key)});
    api.expect(200, "POST", "/providers/mine/test", Some(named))
        .await;
    assert_eq!(server.seen()[5].json()["model"], "other");

    let gone =
        json!({"providerId": "gone", "name": "Gone", "baseUrl": Fake::refused(), "auth": "none"});
    let gone = api.create("/providers", gone).await;
    let test = format!("/providers/{}/test", id(&gone));
    let needs = api.faults("POST", &test, json!({})).await;
    assert_eq!(needs, ["model"], "none is known");
    let result = api
        .expect(200, "POST", &test, Some(json!({"model": "m"})))
        .await;
    assert_eq!(steps(&result), [("connection".to_owned(), false)]);
    assert!(result["steps"][0]["reason"].is_string(), "{result}");
}

#[tokio::test]
async fn a_test_uses_nobody_elses_key_and_health_is_the_operators() {
    let bad = Fake::start(Wire::H1, Script::error(503, "down")).await;
    let mut written = provider("first", &bad);
    written["managed_keys"] = json!([{"id": "first-m", "value": "KEY-first-m"}]);
    let api = Api::start(builder().provider(written)).await;
    let theirs =
        json!({"providerId": "theirs", "name": "x", "baseUrl": Fake::refused(), "auth": "none"});
    let theirs = api.create("/providers", theirs).await;
    let path = format!("/providers/{}/test", id(&theirs));
    for (key, path, body, expected) in [
        (READER, "/providers/first/test", json!({}), 403),
        (ACME, "/providers/first/test", json!({}), 422),
        (
            ACME,
            "/providers/first/test",
            json!({"providerKeyId": "first-m"}),
            422,
        ),
        (
            ACME,
            "/providers/first/test",
            json!({"providerKeyId": "first-key"}),
            422,
        ),
        (ACME, &*path, json!({"model": "m"}), 404),
        (ACME, "/providers/theirs/test", json!({"model": "m"}), 404),
        (ROOT, "/providers/nobody/test", json!({}), 404),
    ] {
        let (status, answer) = api.call(key, "POST", path, Some(body)).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    assert_eq!(bad.count(), 0, "none of them is sent");
    assert_eq!(api.call(ACME, "GET", "/provider-health", None).await.0, 403);

    assert_eq!(api.get("/provider-health").await["providers"], json!([]));
    api.chat("first:m").await;
    // It is counted once the answer is over.
    let end = tollgate_base::clock::now() + crate::common::PATIENCE;
    let health = loop {
        let health = api.get("/provider-health").await;
        if health["providers"][0]["duration"]["p50Ms"].is_u64() {
            break health;
        }
        assert!(tollgate_base::clock::now() < end, "it is counted");
    };
    let first = &health["providers"][0];
    assert_eq!(first["providerId"], "first", "{health}");
    assert_eq!(first["breaker"], "closed");
    let counts = first["attempts"].as_array().unwrap();
    assert!(
        counts
            .iter()
            .all(|one| one["outcome"] == "http_503" && one["count"].as_u64() > Some(0)),
        "{health}"
    );
}
