//! What of a request's body travels upstream: the same bytes, less what is ours, within the limits.

use serde_json::{Value, json};

use super::{ENDPOINTS, access_key, ask, from, provider as good};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::Script;

fn text(fake: &Fake) -> String {
    let seen = fake.seen().pop().expect("a request went upstream");
    String::from_utf8(seen.body.to_vec()).unwrap()
}

#[tokio::test]
async fn bytes_that_need_no_change_are_not_changed() {
    let fake = good().await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    for (path, rest) in ENDPOINTS {
        let body = format!(
            "\r\n {{ \"unknown\" :[1.0,1e2,\"caf\\u00e9 \\/\", {{\"model\":\"x\",\"models\":[]}}] ,\t\"model\":\"m\",{rest} , \
             \"thinking\":{{\"type\":\"adaptive\"}},\"n\":1,\"n\":2 }}\n"
        );
        for version in [Version::H1, Version::H2] {
            let request = Request::post(path, body.clone());
            let answer = Client::connect(version, gateway.at(version))
                .await
                .ask(&request)
                .await;
            assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
            assert_eq!(text(&fake), body, "{version:?} {path}");
        }
    }
}

#[tokio::test]
async fn only_what_is_ours_is_taken_out() {
    let fake = good().await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    for (sent, received) in [
        // `models`, wherever it stands.
        (
            r#"{"models":["p:other"], "model":"m", "messages":[], "x":{"models":[1]}}"#,
            r#"{"model":"m", "messages":[], "x":{"models":[1]}}"#,
        ),
        (
            r#"{"model":"m","messages":[],"models":[]}"#,
            r#"{"model":"m","messages":[]}"#,
        ),
        (
            r#"{"model":"m","models":null,"messages":[]}"#,
            r#"{"model":"m","messages":[]}"#,
        ),
        // The provider's prefix, with either separator.
        (
            r#"{"messages":[], "model" : "p:m" }"#,
            r#"{"messages":[], "model" : "m" }"#,
        ),
        (
            r#"{"messages":[], "model" : "p/m" }"#,
            r#"{"messages":[], "model" : "m" }"#,
        ),
        // Ids may contain both separators.
        (
            r#"{"model":"p:x/y:free","messages":[]}"#,
            r#"{"model":"x/y:free","messages":[]}"#,
        ),
        // A capital letter: the id that the provider knows.
        (
            r#"{"model":"M","messages":[]}"#,
            r#"{"model":"m","messages":[]}"#,
        ),
        // Of members that are read, the one that was read.
        (
            r#"{"model":"p:first","mod\u0065l":"p:last","Model":"p:third","messages":[]}"#,
            r#"{"mod\u0065l":"last","messages":[]}"#,
        ),
    ] {
        let answer = ask(&gateway, &Request::post("/v1/chat/completions", sent)).await;
        assert_eq!(answer.status(), 200, "{sent}: {}", answer.text());
        assert_eq!(text(&fake), received, "{sent}");
    }
}

#[tokio::test]
async fn the_model_that_was_authorized_is_the_model_that_is_read() {
    let fake = good().await;
    let gateway = Gateway::builder()
        .fake("p", &fake)
        .config(json!({
            "configurations": [{"id": "narrow", "access": {"models": {"allow": ["p/m"]}}}],
            "access_keys": [access_key("narrow", &json!({"configuration": "narrow"}))],
        }))
        .start()
        .await;
    let ask = async |body: String| {
        let request = from("narrow", Request::post("/v1/chat/completions", body));
        ask(&gateway, &request).await
    };
    // In every spelling, as the last one it is refused, and as an earlier one it does not arrive.
    for key in ["model", r"mod\u0065l", r"\u006dodel"] {
        let answer = ask(format!(
            r#"{{"model":"p:m","messages":[],"{key}":"p:forbidden"}}"#
        ))
        .await;
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (422, "ERR_TOLLGATE_3803"),
            "{key}"
        );
        assert_eq!(fake.count(), 0, "{key}");
    }
    for key in [
        "model",
        r"mod\u0065l",
        "MODEL",
        "Model",
        r"model\u0000",
        r"Mod\u0065l",
    ] {
        let before = format!(r#"{{"{key}":"p:forbidden","messages":[],"model":"p:m"}}"#);
        let answer = ask(before).await;
        assert_eq!(answer.status(), 200, "{key}: {}", answer.text());
        assert_eq!(text(&fake), r#"{"messages":[],"model":"m"}"#, "{key}");
    }
    for key in ["MODEL", "Model", r"model\u0000"] {
        let after = format!(r#"{{"model":"p:m","messages":[],"{key}":"p:forbidden"}}"#);
        let answer = ask(after).await;
        assert_eq!(answer.status(), 200, "{key}: {}", answer.text());
        assert_eq!(text(&fake), r#"{"model":"m","messages":[]}"#, "{key}");
    }
    // A fallback hidden behind an innocent one.
    let count = fake.count();
    let answer = ask(
        r#"{"model":"p:m","models":["p:m"],"mode\u006cs":["p:forbidden"],"messages":[]}"#
            .to_owned(),
    )
    .await;
    assert_eq!(answer.status(), 422, "{}", answer.text());
    assert_eq!(fake.count(), count);
}

#[tokio::test]
async fn what_one_candidate_refuses_the_next_one_still_gets() {
    let first = Fake::start(Wire::H1, Script::error(500, "no")).await;
    let second = good().await;
    let mut refusing = provider("first", &first);
    refusing["unsupported_parameters"] = json!(["logit_bias", "agent_field"]);
    refusing["models"] = json!([{"id": "m", "unsupported_parameters": ["temperature"]}]);
    let gateway = Gateway::builder()
        .provider(refusing)
        .fake("second", &second)
        .start()
        .await;
    let nested = r#""metadata":{"temperature":1,"logit_bias":2},"tools":[{"agent_field":3}]"#;
    let body = format!(
        r#"{{"model":"first:m","models":["second:m"],"temperature":0.5,{nested},"logit_bias":{{}},"agent_fi\u0065ld":[],"top_p":1,"messages":[]}}"#
    );
    let answer = ask(&gateway, &Request::post("/v1/chat/completions", body)).await;
    assert_eq!(
        answer.header("x-tollgate-provider"),
        Some("second"),
        "{}",
        answer.text()
    );
    assert_eq!(
        text(&first),
        format!(r#"{{"model":"m",{nested},"top_p":1,"messages":[]}}"#)
    );
    assert_eq!(
        text(&second),
        format!(
            r#"{{"model":"m","temperature":0.5,{nested},"logit_bias":{{}},"agent_fi\u0065ld":[],"top_p":1,"messages":[]}}"#
        )
    );
}

#[tokio::test]
async fn token_limits_are_lowered_to_the_least_and_never_raised() {
    let fake = good().await;
    let mut entry = provider("p", &fake);
    entry["models"] = json!([{"id": "m", "max_output_tokens": 100}, {"id": "open"}]);
    let gateway = Gateway::builder()
        .provider(entry)
        .config(json!({
            "limits": {"max_output_tokens": 200},
            "configurations": [
                {"id": "tight", "limits": {"max_output_tokens": 50}},
                {"id": "wide", "limits": {"max_output_tokens": 1000}},
            ],
            "access_keys": [
                access_key("none", &json!({})),
                access_key("tight", &json!({"configuration": "tight"})),
                access_key("wide", &json!({"configuration": "wide"})),
            ],
        }))
        .start()
        .await;
    let fields = [
        ("/v1/chat/completions", "max_tokens"),
        ("/v1/chat/completions", "max_completion_tokens"),
        ("/v1/completions", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
        ("/v1/messages", "max_tokens"),
    ];
    for (path, field) in fields {
        for (caller, model, wanted, got) in [
            ("none", "m", json!(5000), json!(100)),
            ("none", "open", json!(5000), json!(200)),
            ("tight", "m", json!(5000), json!(50)),
            ("wide", "m", json!(5000), json!(100)),
            ("none", "m", json!(100), json!(100)),
            ("none", "m", json!(99), json!(99)),
            ("tight", "m", json!(7), json!(7)),
        ] {
            let mut body = json!({"model": model, "messages": [], "input": "hi", "prompt": "hi"});
            body[field] = wanted.clone();
            let request = from(caller, Request::post(path, body.to_string()));
            let answer = ask(&gateway, &request).await;
            assert_eq!(answer.status(), 200, "{path} {caller}: {}", answer.text());
            body[field] = got;
            let seen: Value = serde_json::from_str(&text(&fake)).unwrap();
            assert_eq!(seen, body, "{path} {caller} {model} {field} {wanted}");
        }
        let without = json!({"model": "m", "messages": [], "input": "hi", "prompt": "hi"});
        let mut nothing = without.clone();
        nothing[field] = Value::Null;
        for (caller, body, added) in [
            ("tight", &without, 50),
            ("none", &without, 100),
            ("tight", &nothing, 50),
        ] {
            let request = from(caller, Request::post(path, body.to_string()));
            assert_eq!(ask(&gateway, &request).await.status(), 200, "{path}");
            let seen: Value = serde_json::from_str(&text(&fake)).unwrap();
            let limits = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
            let limit = limits.into_iter().find_map(|limit| seen.get(limit));
            assert_eq!(
                limit,
                Some(&json!(added)),
                "{path} {caller}: the limit is added"
            );
        }
    }
}
