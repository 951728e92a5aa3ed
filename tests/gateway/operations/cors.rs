//! Applications in browsers.

use std::time::Duration;

use serde_json::json;

use super::help::{Raw, SOON};
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;

const APP: &str = "https://app.example";

async fn ask(gateway: &Gateway, request: &Request, origin: &str) -> Answer {
    let mut client = Client::connect(Version::H1, gateway.address).await;
    client.ask(&request.clone().header("origin", origin)).await
}

/// What a browser asks before it sends a request; without a key, as browsers do it.
fn preflight(path: &str) -> Request {
    Request {
        method: "OPTIONS",
        ..Request::post(path, "")
    }
    .without("authorization")
    .header("access-control-request-method", "POST")
    .header(
        "access-control-request-headers",
        "authorization,x-stainless-os",
    )
}

#[tokio::test]
async fn applications_of_known_origins_may_call() {
    let good = Fake::good(Wire::H1, "hello").await;
    let slow = Fake::start(Wire::H1, Script::sse().wait(400).cut()).await;
    let refusing = Fake::start(Wire::H1, Script::error(400, "no")).await;
    let gateway = Gateway::builder()
        .fake("good", &good)
        .fake("slow", &slow)
        .fake("refusing", &refusing)
        .config(json!({
            "proxy": {"cors": {"origins": [APP, "http://localhost:3000"], "max_age": "1h"}},
            "timeouts": {"hold": "100ms"},
        }))
        .start()
        .await;
    for path in ["/v1/chat/completions", "/v1/messages", "/v1/models"] {
        let answer = ask(&gateway, &preflight(path), APP).await;
        assert_eq!(
            (answer.status(), answer.text()),
            (204, String::new()),
            "{path}"
        );
        for (name, value) in [
            ("access-control-allow-origin", APP),
            ("access-control-allow-methods", "GET, HEAD, POST"),
            (
                "access-control-allow-headers",
                "authorization,x-stainless-os",
            ),
            ("access-control-max-age", "3600"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert!(
            answer
                .header("vary")
                .is_some_and(|vary| vary.contains("Origin"))
        );
    }
    // Served, streamed, opened early, relayed, and refused by the gateway itself.
    let models = Request::get("/v1/models");
    for (what, request, status) in [
        ("a list", models, 200),
        ("a document", Request::chat(&["good:m"], false), 200),
        ("a stream", Request::chat(&["good:m"], true), 200),
        (
            "a stream that was opened early",
            Request::chat(&["slow:m"], true),
            200,
        ),
        (
            "a provider's error",
            Request::chat(&["refusing:m"], false),
            400,
        ),
        ("an unknown model", Request::chat(&["x"], false), 422),
        (
            "no key",
            Request::chat(&["good:m"], false).without("authorization"),
            401,
        ),
        ("no body", Request::post("/v1/messages", ""), 400),
    ] {
        let answer = ask(&gateway, &request, APP).await;
        assert_eq!(answer.status(), status, "{what}: {}", answer.text());
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(APP),
            "{what}"
        );
        assert_eq!(answer.header("vary"), Some("Origin"), "{what}");
        let exposed = answer.header("access-control-expose-headers");
        assert!(
            exposed.is_some_and(|all| all.contains("x-request-id")),
            "{what}"
        );

        let answer = ask(&gateway, &request, "https://other.example").await;
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
        assert_eq!(
            answer.header("vary"),
            Some("Origin"),
            "{what}: a cache must know"
        );
    }
    let answer = ask(
        &gateway,
        &preflight("/v1/messages"),
        "https://other.example",
    )
    .await;
    assert_eq!(
        (
            answer.status(),
            answer.header("access-control-allow-origin")
        ),
        (405, None)
    );
    assert!(
        good.seen()
            .iter()
            .all(|seen| seen.header("origin").is_none())
    );
}

#[tokio::test]
async fn nothing_is_said_of_origins_unless_configured() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let answer = ask(&gateway, &preflight("/v1/messages"), APP).await;
    assert_eq!(
        (answer.status(), answer.header("allow")),
        (405, Some("POST"))
    );
    let answer = ask(&gateway, &Request::chat(&["m"], false), APP).await;
    let mut names = answer.head.headers.iter().map(|(name, _)| name);
    assert!(names.all(|name| name != "vary" && !name.starts_with("access-control-")));

    // What the gateway can be asked for as a whole.
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = raw.read_until("\r\n\r\n", SOON).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("allow: get, head, post, options\r\n"),
        "{answer}"
    );
    let (rest, closed) = raw.read(Duration::from_millis(50)).await;
    assert_eq!(
        (rest.as_str(), closed),
        ("", false),
        "the connection is kept"
    );
}
