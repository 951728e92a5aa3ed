//! Allow lists: whatever is not allowed is refused before anything goes upstream.

use serde_json::json;

use super::{ENDPOINTS, access_key, ask, from, least, provider as good};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::Script;

/// Providers `a` and `b`, both with the model `m`, and callers with these configurations.
fn with(a: &Fake, b: &Fake, access: &[(&str, serde_json::Value)]) -> Builder {
    let configurations: Vec<_> = access
        .iter()
        .map(|(id, access)| json!({"id": id, "access": access}))
        .collect();
    let keys: Vec<_> = access
        .iter()
        .map(|(id, _)| access_key(id, &json!({"configuration": id})))
        .collect();
    Gateway::builder()
        .fake("a", a)
        .fake("b", b)
        .config(json!({"configurations": configurations, "access_keys": keys}))
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_and_nothing_goes_upstream() {
    let (a, b) = (good().await, good().await);
    let gateway = with(
        &a,
        &b,
        &[
            ("providers", json!({"providers": {"allow": ["a"]}})),
            (
                "models",
                json!({"models": {"allow": ["a/m", "b:x/y:free", "b:m2"]}}),
            ),
            (
                "both",
                json!({"providers": {"allow": ["b"]}, "models": {"allow": ["a/m", "b/m"]}}),
            ),
            ("nothing", json!({"models": {"allow": []}})),
        ],
    )
    .start()
    .await;
    let (provider, model) = ("provider not allowed", "model not allowed");
    for (caller, models, refusal) in [
        ("providers", &["a:m"][..], None),
        ("providers", &["a:anything"], None),
        ("providers", &["b:m"], Some(provider)),
        ("providers", &["a:m", "b:m"], Some(provider)),
        ("providers", &["a:m", "a:n", "a:o", "b/m"], Some(provider)),
        ("models", &["a:m"], None),
        ("models", &["a/M"], None),
        ("models", &["b:x/y:free", "b/m2"], None),
        ("models", &["a:m2"], Some(model)),
        ("models", &["b:m"], Some(model)),
        ("models", &["a:m", "b:m"], Some(model)),
        ("models", &["b:x/y"], Some(model)),
        ("both", &["b:m"], None),
        ("both", &["a:m"], Some(provider)),
        ("both", &["b:n"], Some(model)),
        ("nothing", &["a:m"], Some(model)),
        ("nothing", &["m"], Some(model)),
    ] {
        let before = a.count() + b.count();
        let answer = ask(&gateway, &from(caller, Request::chat(models, false))).await;
        let what = format!("{caller} {models:?}: {}", answer.text());
        match refusal {
            None => assert_eq!(answer.status(), 200, "{what}"),
            Some(words) => {
                assert_eq!(answer.status(), 422, "{what}");
                assert_eq!(answer.code(), "ERR_TOLLGATE_3803", "{what}");
                assert!(answer.text().contains(words), "{what}");
                assert_eq!(
                    a.count() + b.count(),
                    before,
                    "nothing went upstream: {what}"
                );
                assert_eq!(answer.header("x-tollgate-attempts"), None, "{what}");
            }
        }
    }
    // The same on every surface, in its dialect.
    for endpoint in ENDPOINTS {
        let answer = ask(&gateway, &from("providers", least(endpoint, "b:m"))).await;
        assert_eq!(answer.status(), 422, "{}: {}", endpoint.0, answer.text());
        let anthropic = endpoint.0.starts_with("/v1/messages");
        assert_eq!(
            answer.json()["type"] == "error",
            anthropic,
            "{}",
            answer.text()
        );
        assert_eq!(answer.code(), "ERR_TOLLGATE_3803", "{}", answer.text());
    }
}

#[tokio::test]
async fn a_bare_id_is_served_by_the_providers_that_are_allowed() {
    let failing = Fake::start(Wire::H1, Script::error(503, "no")).await;
    let b = good().await;
    let gateway = with(
        &failing,
        &b,
        &[
            ("open", json!({})),
            ("b", json!({"providers": {"allow": ["b"]}})),
            ("m", json!({"models": {"allow": ["b:m"]}})),
        ],
    )
    .start()
    .await;
    for caller in ["b", "m"] {
        let answer = ask(&gateway, &from(caller, Request::chat(&["m"], false))).await;
        assert_eq!(answer.status(), 200, "{caller}: {}", answer.text());
        assert_eq!(answer.header("x-tollgate-provider"), Some("b"), "{caller}");
        assert_eq!(failing.count(), 0, "{caller}: another provider was called");
    }
    let answer = ask(&gateway, &from("open", Request::chat(&["m"], false))).await;
    assert_eq!(
        answer.header("x-tollgate-provider"),
        Some("b"),
        "{}",
        answer.text()
    );
    assert_eq!(failing.count(), 1, "in the order of the configuration");
}

#[tokio::test]
async fn unknown_models_and_missing_surfaces_are_refused_with_advice() {
    let fake = good().await;
    let mut closed = provider("closed", &fake);
    closed["passthrough"] = json!(false);
    closed["models"] = json!([{"id": "llama-3.2-70b"}]);
    let mut chat = provider("chat", &fake);
    chat["surfaces"] = json!(["openai/chat-completions"]);
    chat["models"] = json!([{"id": "talk"}]);
    let gateway = Gateway::builder()
        .fake("p", &fake)
        .provider(closed)
        .provider(chat)
        .provider(json!({"id": "keyless", "base_url": fake.base_url(), "models": [{"id": "k"}]}))
        .start()
        .await;
    for (path, model, code, status, words) in [
        (
            "/v1/chat/completions",
            "gpt-4oo",
            "3804",
            422,
            &["model unknown", "`gpt-4o`"][..],
        ),
        (
            "/v1/messages",
            "claude-sonet-4-5",
            "3804",
            422,
            &["model unknown", "`claude-sonnet-4-5`"],
        ),
        (
            "/v1/chat/completions",
            "nobody:m",
            "3804",
            422,
            &["model unknown", "provider:model"],
        ),
        (
            "/v1/chat/completions",
            "P:m",
            "3804",
            422,
            &["model unknown"],
        ),
        (
            "/v1/chat/completions",
            "closed:llama-3.3-70b",
            "3804",
            422,
            &[
                "model unknown",
                "`closed` takes no other models",
                "`closed:llama-3.2-70b`?",
            ],
        ),
        (
            "/v1/completions",
            "chat:talk",
            "3805",
            422,
            &[
                "surface not available",
                "openai/completions",
                "openai/chat-completions",
            ],
        ),
        (
            "/v1/embeddings",
            "chat:other",
            "3805",
            422,
            &["surface not available"],
        ),
        (
            "/v1/chat/completions",
            "keyless:k",
            "3802",
            400,
            &["provider key missing", "`keyless`"],
        ),
        (
            "/v1/chat/completions",
            "openai:gpt-4o",
            "3802",
            400,
            &["provider key missing", "`openai`"],
        ),
    ] {
        let body = json!({"model": model, "max_tokens": 9, "input": "hi", "messages": [{"role": "user", "content": "hi"}]});
        let answer = ask(&gateway, &Request::post(path, body.to_string())).await;
        let what = format!("{path} {model}: {}", answer.text());
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.code(), format!("ERR_TOLLGATE_{code}"), "{what}");
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(words.iter().all(|word| message.contains(word)), "{what}");
        assert_eq!(
            answer.json()["type"] == "error",
            path == "/v1/messages",
            "{what}"
        );
    }
    assert_eq!(fake.count(), 0, "nothing went upstream");
    // An unknown fallback is refused too, although the first model would have served.
    let answer = ask(&gateway, &Request::chat(&["p:m", "gpt-4oo"], false)).await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (422, "ERR_TOLLGATE_3804")
    );
    assert_eq!(fake.count(), 0);
    // Unknown with a prefix passes through, whatever it is called.
    let answer = ask(&gateway, &Request::chat(&["p:org/New-Model:tag"], false)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(fake.seen()[0].json()["model"], "org/New-Model:tag");
    assert_eq!(answer.header("x-tollgate-model"), Some("org/New-Model:tag"));
}
