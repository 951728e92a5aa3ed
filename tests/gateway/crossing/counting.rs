//! Counting tokens for models whose providers do not count.

use serde_json::json;

use super::api::Api;
use super::{ask, offering, well};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;

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
    let count = async |model: &str| {
        let request = Api::Messages.request(&[model], false);
        let path = "/v1/messages/count_tokens".to_owned();
        ask(&gateway, &Request { path, ..request }).await
    };
    let answer = count("anthropic-like:m").await;
    assert_eq!(answer.json(), json!({"input_tokens": 77}));
    for model in ["chat:m", "responses:m"] {
        let answer = count(model).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let tokens = answer.json()["input_tokens"].as_u64().unwrap();
        assert!((5..200).contains(&tokens), "{tokens}");
    }
    assert_eq!(other.count(), 0, "nothing went upstream");
    let answer = count("embedder:m").await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (422, "ERR_TOLLGATE_3805")
    );
    let answer = count("nobody:m").await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (422, "ERR_TOLLGATE_3804")
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
