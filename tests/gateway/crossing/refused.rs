//! What cannot be said to a provider of another API: its candidate is passed over, without an attempt.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;
use super::{ask, offering, well};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::Script;

/// Requests that no provider of another API can take, that API, and the field that says so.
fn refused() -> Vec<(Api, Api, &'static str, Value)> {
    let with = |api: Api, field: &str, value: Value| {
        let mut body = api.body(&["other:m"], false);
        body[field] = value;
        body
    };
    vec![
        (
            Api::Chat,
            Api::Messages,
            "n",
            with(Api::Chat, "n", json!(2)),
        ),
        (
            Api::Chat,
            Api::Messages,
            "modalities",
            with(Api::Chat, "modalities", json!(["text", "audio"])),
        ),
        (
            Api::Chat,
            Api::Responses,
            "stop",
            with(Api::Chat, "stop", json!("END")),
        ),
        (
            Api::Responses,
            Api::Messages,
            "previous_response_id",
            with(Api::Responses, "previous_response_id", json!("resp_0")),
        ),
        (
            Api::Responses,
            Api::Chat,
            "previous_response_id",
            with(Api::Responses, "previous_response_id", json!("resp_0")),
        ),
        (
            Api::Messages,
            Api::Responses,
            "stop_sequences",
            with(Api::Messages, "stop_sequences", json!(["END"])),
        ),
    ]
}

#[tokio::test]
async fn when_no_candidate_can_be_told_the_field_is_named() {
    let mut builder = Gateway::builder();
    let fake = Fake::answering(Wire::H1, well).await;
    for api in Api::ALL {
        builder = builder.provider(offering(api.name(), &fake, &[api]));
    }
    let gateway = builder.start().await;
    let mut asked = 0;
    for (client, provider, field, body) in refused() {
        for stream in [false, true] {
            let mut body = body.clone();
            body["model"] = json!(format!("{}:m", provider.name()));
            body["stream"] = json!(stream);
            asked += 1;
            let answer = ask(&gateway, &client.post(&body)).await;
            let case = format!("{client:?} at {provider:?}, {field}: {}", answer.text());
            assert_eq!(answer.status(), 422, "{case}");
            let said = answer.json();
            assert_eq!(said["error"]["code"], "ERR_TOLLGATE_3808", "{case}");
            assert_eq!(said["type"] == "error", client == Api::Messages, "{case}");
            let message = said["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("`{field}`")), "{case}");
            assert!(message.contains(client.surface()), "what to do; {case}");
            if client != Api::Messages {
                assert_eq!(said["error"]["param"], field, "{case}");
            }
            assert_eq!(answer.header("x-tollgate-attempts"), None, "{case}");
        }
        assert_eq!(fake.count(), 0, "nothing went upstream; {field}");
    }
    let logged = || {
        let log = gateway.access_log();
        log.len() == asked && log.iter().all(|line| line["attempts"] == json!([]))
    };
    assert!(
        eventually(Duration::from_secs(5), logged).await,
        "no attempt: {:#?}",
        gateway.access_log()
    );
    let events = gateway.command(&["usage", "--events", "--json"]);
    let events: Value = serde_json::from_slice(&events.stdout).unwrap();
    assert_eq!(events, json!([]), "no usage event");
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(verified.status.success(), "nothing stays held");
}

#[tokio::test]
async fn the_plan_goes_on_to_those_that_can() {
    let (other, own) = (
        Fake::answering(Wire::H1, well).await,
        Fake::answering(Wire::H1, well).await,
    );
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for (index, (client, provider, ..)) in refused().into_iter().enumerate() {
        let bad = Fake::start(Wire::H1, Script::json(429, &client.error("wait"))).await;
        builder = builder
            .provider(offering(&format!("other-{index}"), &other, &[provider]))
            .provider(offering(&format!("own-{index}"), &own, &[client]))
            .provider(offering(&format!("bad-{index}"), &bad, &[client]));
        fakes.push(bad);
    }
    let gateway = builder.start().await;
    for (index, (client, provider, field, mut body)) in refused().into_iter().enumerate() {
        let own = format!("own-{index}");
        for (models, attempts) in [
            (["other", "own", "other"], "1"),
            (["bad", "other", "own"], "2"),
        ] {
            let models = models.map(|id| format!("{id}-{index}:m"));
            body["model"] = json!(models[0]);
            body["models"] = json!(models[1..]);
            let answer = ask(&gateway, &client.post(&body)).await;
            let case = format!("{client:?} at {provider:?}, {field}: {}", answer.text());
            assert_eq!(answer.status(), 200, "{case}");
            assert_eq!(answer.header("x-tollgate-provider"), Some(&*own), "{case}");
            assert_eq!(
                answer.header("x-tollgate-attempts"),
                Some(attempts),
                "{case}"
            );
        }
        // It was the only one that could take it: its answer is the client's.
        body["model"] = json!(format!("bad-{index}:m"));
        body["models"] = json!([format!("other-{index}:m")]);
        let answer = ask(&gateway, &client.post(&body)).await;
        assert_eq!(answer.status(), 429, "{}", answer.text());
        assert_eq!(answer.json(), client.error("wait"), "as it is");
        assert_eq!(other.count(), 0, "{field}");
    }
}

#[tokio::test]
async fn a_model_without_any_such_api_is_refused_as_ever() {
    let fake = Fake::answering(Wire::H1, well).await;
    let mut entry = offering("p", &fake, &[]);
    entry["surfaces"] = json!(["openai/embeddings"]);
    let gateway = Gateway::builder().provider(entry).start().await;
    for client in Api::ALL {
        let answer = ask(&gateway, &client.request(&["m"], false)).await;
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (422, "ERR_TOLLGATE_3805")
        );
    }
    // Embeddings are not translated.
    let gateway = Gateway::builder()
        .provider(offering("p", &fake, &Api::ALL))
        .start()
        .await;
    let request = super::Request::post("/v1/embeddings", r#"{"model":"m","input":"hi"}"#);
    let answer = ask(&gateway, &request).await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (422, "ERR_TOLLGATE_3805")
    );
    assert_eq!(fake.count(), 0);
}
