//! Counting tokens for models whose providers do not count.

use serde_json::json;

use super::api::Api;
use super::{ask, offering, well};
use crate::common::client::Answer;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;

/// Has the tokens of a message counted.
async fn count(gateway: &Gateway, model: &str) -> Answer {
    let request = Api::Messages.request(&[model], false);
    let path = "/v1/messages/count_tokens".to_owned();
    ask(gateway, &Request { path, ..request }).await
}

#[tokio::test]
async fn the_gateway_counts_what_the_provider_does_not() {
    let counting = Fake::start(Wire::H1, Script::json(200, &json!({"input_tokens": 77}))).await;
    let other = Fake::answering(Wire::H1, well).await;
    let mut embedder = offering("embedder", &other, &[]);
    embedder["surfaces"] = json!(["openai/embeddings"]);
    let gateway = Gateway::builder()
        .provider(offering("anthropic-like", &counting, &[Api::Messages]))
        .provider(offering("chat", &other, &[Api::Chat]))
        .provider(offering("responses", &other, &[Api::Responses]))
        .provider(embedder)
        .start()
        .await;
    let answer = count(&gateway, "anthropic-like:m").await;
    assert_eq!(answer.json(), json!({"input_tokens": 77}));
    for model in ["chat:m", "responses:m"] {
        let answer = count(&gateway, model).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let tokens = answer.json()["input_tokens"].as_u64().unwrap();
        assert!((5..200).contains(&tokens), "{tokens}");
    }
    assert_eq!(other.count(), 0, "nothing went upstream");
    let answer = count(&gateway, "embedder:m").await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (422, "ERR_TOLLGATE_3805")
    );
    let answer = count(&gateway, "nobody:m").await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (422, "ERR_TOLLGATE_3804")
    );
}

/// Where messages are served by a provider that has a key, one without does not keep them from being counted.
#[tokio::test]
async fn a_provider_without_a_key_keeps_nobody_from_counting() {
    let counting = Fake::start(Wire::H1, Script::json(200, &json!({"input_tokens": 77}))).await;
    let other = Fake::answering(Wire::H1, well).await;
    let mut keyless = offering("keyless", &counting, &[Api::Messages]);
    keyless["keys"] = json!([]);
    let gateway = Gateway::builder()
        .provider(keyless)
        .provider(offering("chat", &other, &[Api::Chat]))
        .start()
        .await;
    let messages = ask(&gateway, &Api::Messages.request(&["m"], false)).await;
    assert_eq!(messages.status(), 200, "{}", messages.text());
    let answer = count(&gateway, "m").await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.json()["input_tokens"].as_u64() > Some(4));
    let answer = count(&gateway, "keyless:m").await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (400, "ERR_TOLLGATE_3802")
    );
    assert_eq!(counting.count(), 0);
}

/// Most providers that speak Anthropic's API have no endpoint that counts.
#[tokio::test]
async fn the_gateway_counts_where_the_provider_fails_to() {
    let mut builder = Gateway::builder();
    let mut cases = Vec::new();
    let refused = json!({"type": "error", "error": {"type": "not_found_error", "message": "no such endpoint"}});
    let scripts = [401, 403, 404, 405, 429, 500, 501, 503]
        .map(|status| (status.to_string(), Script::json(status, &refused)))
        .into_iter()
        .chain([
            (
                "html".to_owned(),
                Script::new().head(200, &[]).data("<html>"),
            ),
            (
                "nothing".to_owned(),
                Script::json(200, &json!({"ok": true})),
            ),
            ("cut".to_owned(), Script::new().cut()),
        ]);
    for (name, script) in scripts {
        let fake = Fake::start(Wire::H1, script).await;
        builder = builder.provider(offering(&format!("p-{name}"), &fake, &[Api::Messages]));
        cases.push((name, fake));
    }
    let bad = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "no messages"}});
    let strict = Fake::start(Wire::H1, Script::json(400, &bad)).await;
    let gateway = builder
        .provider(offering("strict", &strict, &[Api::Messages]))
        .start()
        .await;
    for (name, fake) in &cases {
        let answer = count(&gateway, &format!("p-{name}:m")).await;
        assert_eq!(answer.status(), 200, "{name}: {}", answer.text());
        let tokens = answer.json()["input_tokens"].as_u64().unwrap();
        assert!((5..200).contains(&tokens), "{name}: {tokens}");
        assert!(fake.count() > 0, "{name}: it was asked first");
    }
    let answer = count(&gateway, "strict:m").await;
    assert_eq!(
        (answer.status(), answer.json()),
        (400, bad),
        "the request is at fault"
    );
}

#[tokio::test]
async fn models_of_other_apis_are_listed() {
    let other = Fake::answering(Wire::H1, well).await;
    let gateway = Gateway::builder()
        .provider(offering("chat", &other, &[Api::Chat]))
        .start()
        .await;
    let list = Request::get("/v1/models").header("anthropic-version", "2023-06-01");
    let answer = ask(&gateway, &list).await;
    assert_eq!(answer.json()["data"][0]["id"], "m", "{}", answer.text());
}
