//! Input that a gateway must refuse: the right code, in the caller's dialect, and no attempt upstream.

use crate::common;
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, provider_at, sha256};
use crate::common::requests::{Request, chat_body};
use serde_json::{Value, json};

/// A key that may call only `p:m`.
const BOUND: &str = "tg-bound-g1-1111111111TestsOnlyTestsOnlyTestsOnly11111111";
const VERSIONS: [Version; 2] = [Version::H1, Version::H2];
const PATHS: [&str; 2] = ["/v1/chat/completions", "/v1/messages"];

/// A gateway over one good provider `p` with the models `m` and `other`, and one without a key, `keyless`.
fn builder(fake: &Fake) -> Builder {
    let mut provider = provider_at("p", &fake.base_url());
    provider["models"] = json!([{"id": "m"}, {"id": "other"}]);
    let mut keyless = provider_at("keyless", "http://127.0.0.1:9/v1");
    keyless["models"] = json!([{"id": "k"}]);
    keyless["keys"] = json!([]);
    let access = json!({"providers": {"allow": ["p"]}, "models": {"allow": ["p/m"]}});
    let more = json!({
        "proxy": {"max_body": "64KiB", "read_timeout": "2s"},
        "configurations": [{"id": "bound", "access": access}],
        "access_keys": [
            {"id": "test", "sha256": sha256(common::TOKEN)},
            {"id": "bound", "sha256": sha256(BOUND), "configuration": "bound"},
        ],
    });
    Gateway::builder()
        .provider(provider)
        .provider(keyless)
        .config(more)
}

/// What a request must be answered with.
struct Expected {
    status: u16,
    code: &'static str,
    /// What the message must contain.
    says: &'static str,
}

fn expect(status: u16, code: &'static str, says: &'static str) -> Expected {
    Expected { status, code, says }
}

/// Checks status, code and shape.
fn check(case: &str, path: &str, answer: &Answer, expected: &Expected) {
    let case = format!("{case} on {path}: {}", answer.text());
    assert_eq!(answer.status(), expected.status, "{case}");
    assert!(answer.clean, "{case}");
    assert!(
        answer
            .header("x-request-id")
            .is_some_and(|id| !id.is_empty()),
        "x-request-id; {case}"
    );
    assert_eq!(
        answer
            .header("content-type")
            .map(|kind| kind.starts_with("application/json")),
        Some(true),
        "{case}"
    );
    let body = answer.json();
    let error = &body["error"];
    let message = error["message"].as_str().unwrap_or_default();
    assert!(
        message
            .to_lowercase()
            .contains(&expected.says.to_lowercase()),
        "says {:?}; {case}",
        expected.says
    );
    assert!(
        error["type"].as_str().is_some_and(|kind| !kind.is_empty()),
        "a type; {case}"
    );
    if path.starts_with("/v1/messages") {
        assert_eq!(body["type"], "error", "{case}");
        assert!(body["request_id"].is_string(), "{case}");
        let kind = match expected.status {
            401 => "authentication_error",
            403 => "permission_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            _ => "invalid_request_error",
        };
        assert_eq!(error["type"], kind, "{case}");
    } else {
        assert_eq!(error["code"], expected.code, "{case}");
        assert!(
            error.get("param").is_some(),
            "a param, if only null; {case}"
        );
    }
}

async fn ask(gateway: &Gateway, version: Version, request: &Request) -> Answer {
    Client::connect(version, gateway.address)
        .await
        .ask(request)
        .await
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let fake = Fake::good(Wire::H1, "never asked").await;
    let gateway = builder(&fake).start().await;
    let deep = |open: &str, close: &str| {
        format!(
            r#"{{"model":"p:m","messages":{}1{}}}"#,
            open.repeat(9_000),
            close.repeat(9_000)
        )
        .into_bytes()
    };
    let invalid: &[(&str, Vec<u8>)] = &[
        ("empty", b"".to_vec()),
        ("not JSON", b"model=p:m".to_vec()),
        ("truncated", br#"{"model":"p:m","messages":["#.to_vec()),
        ("trailing garbage", br#"{"model":"p:m"} x"#.to_vec()),
        ("two values", br#"{"model":"p:m"}{"model":"p:m"}"#.to_vec()),
        ("an array", br#"[{"model":"p:m"}]"#.to_vec()),
        ("a string", br#""p:m""#.to_vec()),
        ("null", b"null".to_vec()),
        (
            "invalid UTF-8",
            b"{\"model\":\"p:m\",\"x\":\"\xff\xfe\"}".to_vec(),
        ),
        (
            "invalid UTF-8 in the model",
            b"{\"model\":\"p:\xc3\x28\"}".to_vec(),
        ),
        (
            "a control character in a string",
            b"{\"model\":\"p:m\",\"x\":\"\n\x01\"}".to_vec(),
        ),
        ("nested arrays", deep("[", "]")),
        ("nested objects", deep("{\"a\":", "}")),
        ("nested and never closed", "[".repeat(60_000).into_bytes()),
        ("no model", br#"{"messages":[]}"#.to_vec()),
        ("model null", br#"{"model":null}"#.to_vec()),
        ("model a number", br#"{"model":7}"#.to_vec()),
        ("model an array", br#"{"model":["p:m"]}"#.to_vec()),
        ("model an object", br#"{"model":{"id":"p:m"}}"#.to_vec()),
        ("model empty", br#"{"model":""}"#.to_vec()),
        (
            "models a string",
            br#"{"model":"p:m","models":"p:other"}"#.to_vec(),
        ),
        (
            "models of numbers",
            br#"{"model":"p:m","models":[1]}"#.to_vec(),
        ),
        (
            "models of mixed kinds",
            br#"{"model":"p:m","models":["p:other",null]}"#.to_vec(),
        ),
        (
            "models an object",
            br#"{"model":"p:m","models":{}}"#.to_vec(),
        ),
    ];
    let expected = expect(400, "ERR_TOLLGATE_3801", "");
    for version in VERSIONS {
        // One connection for all: a refusal must not cost it.
        let mut client = Client::connect(version, gateway.address).await;
        for (case, body) in invalid {
            for path in PATHS {
                let answer = client.try_ask(&Request::post(path, body.clone())).await;
                let answer =
                    answer.unwrap_or_else(|why| panic!("{case} on {path} over {version:?}: {why}"));
                check(case, path, &answer, &expected);
            }
        }
    }
    assert_eq!(fake.connections(), 0, "no attempt upstream");
}

#[tokio::test]
async fn odd_but_valid_bodies_do_not_hurt() {
    let fake = Fake::good(Wire::H1, "fine").await;
    let gateway = builder(&fake).start().await;
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    let odd = [
        format!(r#"{{"model":"p:m",{messages},"max_tokens":1e999999}}"#),
        format!(
            r#"{{"model":"p:m",{messages},"max_tokens":{}}}"#,
            "9".repeat(400)
        ),
        format!(r#"{{"model":"p:m",{messages},"max_tokens":-1}}"#),
        format!(
            r#"{{"model":"p:m",{messages},"temperature":1.{}}}"#,
            "0".repeat(9_000)
        ),
        format!(r#"{{"model":"p:m",{messages},"stream":"yes"}}"#),
        format!(r#"{{"model":"p:m",{messages},"stream_options":[]}}"#),
        r#"{"model":"p:m","messages":"hi"}"#.to_owned(),
        r#"{"model":"p:m"}"#.to_owned(),
        format!("\u{feff}{{\"model\":\"p:m\",{messages}}}"),
        format!(r#"{{"model":"p:m",{messages},"x":"\ud800"}}"#),
        format!(r#"{{"model":"p:m",{messages},"":{{"":""}}}}"#),
    ];
    for version in VERSIONS {
        let mut client = Client::connect(version, gateway.address).await;
        for body in &odd {
            let answer = client.ask(&Request::post(PATHS[0], body.clone())).await;
            let status = answer.status();
            assert!(
                status == 200 || status == 400,
                "{version:?} {status} for {body:.80}: {}",
                answer.text()
            );
            assert!(
                status == 200 || answer.code() == "ERR_TOLLGATE_3801",
                "{body:.80}: {}",
                answer.text()
            );
        }
        let answer = client.ask(&Request::chat(&["p:m"], false)).await;
        assert_eq!(answer.status(), 200, "{version:?}: still serving");
    }
}

/// With two spellings of one key, some readers take the first and some the last: whoever reads the body
/// that went upstream must find the model that was authorized.
#[tokio::test]
async fn duplicate_and_escaped_keys_cannot_smuggle_a_model() {
    let fake = Fake::good(Wire::H1, "fine").await;
    let gateway = builder(&fake).start().await;
    let bodies = [
        r#"{"model":"p:m","model":"p:other","messages":[]}"#,
        r#"{"model":"p:other","model":"p:m","messages":[]}"#,
        r#"{"model":"p:m","mod\u0065l":"p:other","messages":[]}"#,
        r#"{"mod\u0065l":"p:other","model":"p:m","messages":[]}"#,
        r#"{"model":"p:m","\u006d\u006f\u0064\u0065\u006c":"p:other","messages":[]}"#,
        r#"{"model":"p:m","models":["p:m"],"models":["p:other"],"messages":[]}"#,
        r#"{"model":"p:m","messages":[],"metadata":{"model":"p:other"}}"#,
        r#"{"model":"\u0070:m","messages":[]}"#,
    ];
    for version in VERSIONS {
        for body in bodies {
            let before = fake.count();
            let request = Request::post(PATHS[0], body).without("authorization");
            let request = request.header("authorization", &format!("Bearer {BOUND}"));
            let answer = ask(&gateway, version, &request).await;
            match answer.status() {
                200 => {
                    let seen = fake.seen().pop().unwrap();
                    let text = String::from_utf8_lossy(&seen.body).into_owned();
                    let last: Value = serde_json::from_slice(&seen.body).unwrap();
                    assert_eq!(last["model"], "m", "{body} went on as {text}");
                    let names = text.matches("\"model\"").count() + text.matches("\\u00").count();
                    assert!(
                        names <= 1 + usize::from(text.contains("metadata")),
                        "{body} went on as {text}"
                    );
                    assert!(last.get("models").is_none(), "{body} went on as {text}");
                }
                400 | 422 => assert_eq!(fake.count(), before, "{body}: refused, yet tried"),
                other => panic!("{body}: {other} {}", answer.text()),
            }
        }
    }
}

#[tokio::test]
async fn keys_that_are_missing_or_wrong_are_a_401() {
    let fake = Fake::good(Wire::H1, "never asked").await;
    let gateway = builder(&fake).start().await;
    let wrong_secret = common::TOKEN.replace("Only00000000", "Only00000001");
    let unknown = common::TOKEN.replace("tg-test-", "tg-nobody-");
    let long = format!("tg-test-g1-{}", "a".repeat(9_000));
    let headers: Vec<(&str, Option<(&str, String)>)> = vec![
        ("no key", None),
        (
            "an empty key",
            Some(("authorization", "Bearer ".to_owned())),
        ),
        (
            "no scheme",
            Some(("authorization", common::TOKEN.to_owned())),
        ),
        (
            "another scheme",
            Some(("authorization", format!("Basic {}", common::TOKEN))),
        ),
        (
            "a malformed key",
            Some(("authorization", "Bearer tg-test".to_owned())),
        ),
        (
            "an OpenAI key",
            Some((
                "authorization",
                "Bearer sk-proj-abcdefghijklmnop".to_owned(),
            )),
        ),
        (
            "a wrong secret",
            Some(("authorization", format!("Bearer {wrong_secret}"))),
        ),
        (
            "a wrong secret in x-api-key",
            Some(("x-api-key", wrong_secret.clone())),
        ),
        ("an unknown id", Some(("x-api-key", unknown))),
        (
            "a prefix of the key",
            Some((
                "x-api-key",
                common::TOKEN[..common::TOKEN.len() - 1].to_owned(),
            )),
        ),
        (
            "the key and more",
            Some(("x-api-key", format!("{}0", common::TOKEN))),
        ),
        (
            "a very long key",
            Some(("authorization", format!("Bearer {long}"))),
        ),
    ];
    let expected = expect(401, "ERR_TOLLGATE_27007", "Incorrect API key provided");
    for version in VERSIONS {
        for (case, header) in &headers {
            for path in PATHS.into_iter().chain([
                "/v1/responses",
                "/v1/embeddings",
                "/v1/messages/count_tokens",
            ]) {
                let mut request = Request::post(path, chat_body(&["p:m"], false).to_string())
                    .without("authorization");
                if let Some((name, value)) = header {
                    request = request.header(name, value);
                }
                let answer = ask(&gateway, version, &request).await;
                check(case, path, &answer, &expected);
                assert!(
                    !answer.text().contains(&wrong_secret),
                    "{case}: the key is repeated: {}",
                    answer.text()
                );
            }
        }
        let list = ask(
            &gateway,
            version,
            &Request::get("/v1/models").without("authorization"),
        )
        .await;
        check("no key", "/v1/models", &list, &expected);
    }
    assert_eq!(fake.connections(), 0, "no attempt upstream");
}

#[tokio::test]
async fn models_that_may_not_be_called_are_refused_before_anything_goes_upstream() {
    let fake = Fake::good(Wire::H1, "never asked").await;
    let gateway = builder(&fake).start().await;
    let unknown = expect(422, "ERR_TOLLGATE_3804", "model unknown");
    let model = expect(422, "ERR_TOLLGATE_3803", "model not allowed");
    let provider = expect(422, "ERR_TOLLGATE_3803", "provider not allowed");
    let missing = expect(400, "ERR_TOLLGATE_3802", "provider key missing");
    let cases: [(&str, &[&str], &str, &Expected); 8] = [
        ("unknown", &["nonesuch-9"], common::TOKEN, &unknown),
        (
            "unknown second",
            &["p:m", "nonesuch-9"],
            common::TOKEN,
            &unknown,
        ),
        (
            "no provider of that name",
            &["nobody:m"],
            common::TOKEN,
            &unknown,
        ),
        (
            "no key for the provider",
            &["keyless:k"],
            common::TOKEN,
            &missing,
        ),
        ("model not allowed", &["p:other"], BOUND, &model),
        (
            "second model not allowed",
            &["p:m", "p:other"],
            BOUND,
            &model,
        ),
        ("provider not allowed", &["keyless:k"], BOUND, &provider),
        (
            "second provider not allowed",
            &["p:m", "keyless:k"],
            BOUND,
            &provider,
        ),
    ];
    for version in VERSIONS {
        for (case, models, token, expected) in &cases {
            for path in PATHS {
                let body = chat_body(models, true).to_string();
                let request = Request::post(path, body)
                    .without("authorization")
                    .header("x-api-key", token);
                check(
                    case,
                    path,
                    &ask(&gateway, version, &request).await,
                    expected,
                );
            }
        }
    }
    let near = ask(
        &gateway,
        Version::H1,
        &Request::chat(&["gpt-4oo-mini"], false),
    )
    .await;
    assert!(
        near.text().contains("gpt-"),
        "the nearest ids are suggested: {}",
        near.text()
    );
    assert_eq!(fake.connections(), 0, "no attempt upstream");
}
