//! What the gateway answers by itself: model lists for this key, and what it does not serve.

use serde_json::{Value, json};

use super::{access_key, ask, from, provider as good};
use crate::common::client::{Client, Version};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;

async fn gateway(fake: &crate::common::fake::Fake) -> Gateway {
    let mut a = provider("a", fake);
    a["models"] = json!([
        {"id": "m", "aliases": ["em"], "context_window": 1000, "max_output_tokens": 100},
        {"id": "org/x:free", "display_name": "X"},
        {"id": "hidden"},
    ]);
    Gateway::builder()
        .provider(a)
        .fake("b", fake)
        .config(json!({
            "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 10}]},
                {"id": "poor", "grants": [{"id": "tests", "usd": 10}]}],
            "configurations": [
                {"id": "narrow", "access": {"models": {"allow": ["a/m", "a:org/x:free"]}}},
                {"id": "b", "access": {"providers": {"allow": ["b", "openai"]}}},
            ],
            "access_keys": [
                access_key("open", &json!({})),
                access_key("poor", &json!({"account": "poor"})),
                access_key("narrow", &json!({"configuration": "narrow"})),
                access_key("b", &json!({"configuration": "b"})),
            ],
        }))
        .start()
        .await
}

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect()
}

/// OpenRouter's ids are other vendors' names: under its own bare id a model would be the other vendor's.
#[tokio::test]
async fn models_of_an_aggregator_are_listed_as_they_are_called() {
    let gateway = Gateway::builder()
        .config(json!({
            "providers": [
                {"id": "openrouter", "keys": [{"id": "or", "value": "sk-or-tests"}]},
                {"id": "openai", "keys": [{"id": "oa", "value": "sk-oa-tests"}]},
            ],
            "access_keys": [access_key("open", &json!({}))],
        }))
        .start()
        .await;
    let list = ask(&gateway, &from("open", Request::get("/v1/models")))
        .await
        .json();
    let listed = ids(&list);
    for id in [
        "gpt-5",
        "openrouter:openai/gpt-5",
        "openrouter:x-ai/grok-4.20",
    ] {
        assert!(listed.contains(&id), "{id} is listed");
    }
    assert!(!listed.contains(&"openai/gpt-5"), "it would be OpenAI's");
    for (id, owner) in [
        ("openai/gpt-5", Some("openai")),
        ("openrouter:openai/gpt-5", Some("openrouter")),
        ("openrouter/openai/gpt-5", Some("openrouter")),
        ("x-ai/grok-4.20", None),
    ] {
        let one = ask(
            &gateway,
            &from("open", Request::get(&format!("/v1/models/{id}"))),
        )
        .await;
        let body = one.json();
        assert_eq!(
            one.status(),
            if owner.is_some() { 200 } else { 404 },
            "{id}: {body}"
        );
        assert_eq!(body["owned_by"].as_str(), owner, "{id}: {body}");
    }
}

#[tokio::test]
async fn models_are_listed_for_this_key_in_the_callers_shape() {
    let fake = good().await;
    let gateway = gateway(&fake).await;
    let speak = |anthropic: bool, request: Request| {
        if anthropic {
            request.header("anthropic-version", "2023-06-01")
        } else {
            request
        }
    };
    for (caller, wanted) in [
        ("narrow", &["m", "org/x:free"][..]),
        ("b", &["m"]),
        ("open", &["m", "org/x:free", "hidden", "b:m"]),
        // No credential serves this account: nothing to call.
        ("poor", &[]),
    ] {
        for query in ["", "?limit=1000"] {
            let request = |anthropic| {
                speak(
                    anthropic,
                    from(caller, Request::get(&format!("/v1/models{query}"))),
                )
            };
            let openai = ask(&gateway, &request(false)).await;
            assert_eq!(openai.status(), 200, "{caller}: {}", openai.text());
            let openai = openai.json();
            assert_eq!(openai["object"], "list", "{openai}");
            assert_eq!(ids(&openai), wanted, "{caller}");
            assert!(
                openai["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|model| model["object"] == "model"),
                "{openai}"
            );
            let anthropic = ask(&gateway, &request(true)).await;
            assert!(
                anthropic.header("request-id").is_some(),
                "Anthropic's header"
            );
            let anthropic = anthropic.json();
            assert_eq!(ids(&anthropic), wanted, "{caller}");
            assert_eq!(anthropic["has_more"], false, "{anthropic}");
            assert_eq!(anthropic["first_id"], json!(wanted.first()), "{anthropic}");
            assert_eq!(anthropic["last_id"], json!(wanted.last()), "{anthropic}");
            assert!(
                anthropic["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|model| model["type"] == "model"),
                "{anthropic}"
            );
        }
    }
    // Whatever is listed can be fetched by its id, and called by it.
    for caller in ["narrow", "b", "open"] {
        let list = ask(&gateway, &from(caller, Request::get("/v1/models")))
            .await
            .json();
        for id in ids(&list) {
            let one = ask(
                &gateway,
                &from(caller, Request::get(&format!("/v1/models/{id}"))),
            )
            .await;
            assert_eq!(
                (one.status(), one.json()["id"].as_str()),
                (200, Some(id)),
                "{caller}"
            );
            let answer = ask(&gateway, &from(caller, Request::chat(&[id], false))).await;
            assert_eq!(answer.status(), 200, "{caller} {id}: {}", answer.text());
        }
    }
    let owner = |model: &Value| model["owned_by"].clone();
    let b = ask(&gateway, &from("b", Request::get("/v1/models/m")))
        .await
        .json();
    assert_eq!(owner(&b), "b", "of two providers the one that is allowed");

    // One model, in both shapes; one that is not for this key does not exist.
    for (id, found) in [
        ("m", true),
        ("em", true),
        ("M", true),
        ("a:m", true),
        ("a%2Fm", true),
        ("org/x:free", true),
        ("org%2Fx%3Afree", true),
        ("a:org/x:free", true),
        ("hidden", false),
        ("a:hidden", false),
        ("b:m", false),
        ("gpt-4o", false),
    ] {
        for anthropic in [false, true] {
            let request = speak(
                anthropic,
                from("narrow", Request::get(&format!("/v1/models/{id}"))),
            );
            let answer = ask(&gateway, &request).await;
            let body = answer.json();
            assert_eq!(
                answer.status(),
                if found { 200 } else { 404 },
                "{id}: {body}"
            );
            match (found, anthropic) {
                (true, false) => assert_eq!(body["object"], "model", "{id}: {body}"),
                (true, true) => assert_eq!(body["type"], "model", "{id}: {body}"),
                (false, false) => assert_eq!(
                    body["error"]["type"], "invalid_request_error",
                    "{id}: {body}"
                ),
                (false, true) => {
                    assert_eq!(body["error"]["type"], "not_found_error", "{id}: {body}")
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_served_is_refused_in_words() {
    let fake = good().await;
    let gateway = gateway(&fake).await;
    let get = |path: &str| from("open", Request::get(path));
    let method = |method, path: &str| Request {
        method,
        ..from("open", Request::post(path, "{}"))
    };
    let upgrade = |path: &str| {
        get(path)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13")
    };
    for (request, status, code, allow) in [
        (get("/"), 404, "3820", None),
        (get("/v1"), 404, "3820", None),
        (get("/v1/audio/speech"), 404, "3820", None),
        (method("POST", "/chat/completions"), 404, "3820", None),
        (method("POST", "/v1/chat/completions/"), 404, "3820", None),
        (get("/v1/chat/completions"), 405, "3821", Some("POST")),
        (method("PUT", "/v1/embeddings"), 405, "3821", Some("POST")),
        (get("/v1/responses"), 405, "3821", Some("POST")),
        (method("POST", "/v1/models"), 405, "3821", Some("GET, HEAD")),
        (
            method("DELETE", "/v1/models/m"),
            405,
            "3821",
            Some("GET, HEAD"),
        ),
        (upgrade("/v1/chat/completions"), 426, "3822", None),
    ] {
        let answer = ask(&gateway, &request).await;
        let what = format!("{} {}: {}", request.method, request.path, answer.text());
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.code(), format!("ERR_TOLLGATE_{code}"), "{what}");
        assert!(
            answer.json()["error"]["message"].as_str().unwrap().len() > 20,
            "{what}"
        );
        assert_eq!(answer.header("allow"), allow, "{what}");
        assert!(answer.clean, "{what}");
    }
    let anthropic = ask(&gateway, &get("/v1/messages")).await;
    assert_eq!(
        (anthropic.status(), &anthropic.json()["type"]),
        (405, &json!("error"))
    );
    for (path, status) in [("/v1/nothing", 404), ("/v1/chat/completions", 405)] {
        let mut client = Client::connect(Version::H2, gateway.address).await;
        let answer = client.ask(&get(path)).await;
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
        assert!(answer.json()["error"]["message"].is_string());
    }
    assert_eq!(fake.count(), 0, "nothing went upstream");
}

#[tokio::test]
async fn head_is_get_without_the_body_and_keeps_the_connection() {
    let fake = good().await;
    let gateway = gateway(&fake).await;
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.at(version)).await;
        for (path, status) in [
            ("/v1/models", 200),
            ("/v1/models/m", 200),
            ("/v1/models/nope", 404),
            ("/v1/messages", 405),
        ] {
            let get = from("open", Request::get(path));
            let head = Request {
                method: "HEAD",
                ..get.clone()
            };
            let head = client.begin(&head).await.unwrap();
            assert_eq!(head.status, status, "{version:?} {path}");
            // On the same connection: were there a body, this would read it as a head.
            let whole = client.ask(&get).await;
            assert_eq!(whole.status(), status, "{version:?} {path}");
            for name in ["content-type", "content-length"] {
                assert_eq!(
                    head.header(name),
                    whole.header(name),
                    "{version:?} {path} {name}"
                );
            }
            assert_eq!(
                head.header("content-length"),
                Some(whole.body.len().to_string().as_str()),
                "{path}"
            );
        }
    }
}
