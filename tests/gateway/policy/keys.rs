//! Authentication: the key from either header, on every surface.

use super::{ENDPOINTS, ask, least, provider, token};
use crate::common::TOKEN;
use crate::common::client::{Answer, Client, Version};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;

#[tokio::test]
async fn the_key_comes_in_either_header_on_every_surface() {
    let fake = provider().await;
    let gateway = Gateway::builder().fake("p", &fake).tls().start().await;
    let bearer = format!("Bearer {TOKEN}");
    let lower = format!("bearer {TOKEN}");
    for version in [Version::H1, Version::H2, Version::TlsH2] {
        let mut client = Client::connect(version, gateway.at(version)).await;
        for (name, value) in [
            ("authorization", bearer.as_str()),
            ("authorization", lower.as_str()),
            ("x-api-key", TOKEN),
        ] {
            let lists = [Request::get("/v1/models"), Request::get("/v1/models/m")];
            for request in ENDPOINTS
                .map(|endpoint| least(endpoint, "m"))
                .into_iter()
                .chain(lists)
            {
                let request = request.without("authorization").header(name, value);
                let answer = client.ask(&request).await;
                assert_eq!(
                    answer.status(),
                    200,
                    "{version:?} {} with {name}: {}",
                    request.path,
                    answer.text()
                );
            }
        }
    }
    assert_eq!(fake.count(), 3 * 3 * 6);
}

/// 401 in the dialect of the path, with the words that clients classify by.
fn refused(answer: &Answer, anthropic: bool, what: &str) {
    assert_eq!(answer.status(), 401, "{what}: {}", answer.text());
    let body = answer.json();
    let error = &body["error"];
    assert_eq!(error["code"], "ERR_TOLLGATE_27007", "{what}: {body}");
    assert_eq!(error["type"], "authentication_error", "{what}: {body}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("Incorrect API key provided"),
        "{what}: {message}"
    );
    if anthropic {
        assert_eq!(body["type"], "error", "{what}: {body}");
        assert_eq!(
            body["request_id"].as_str(),
            answer.header("request-id"),
            "{what}: {body}"
        );
    } else {
        assert!(
            body.get("type").is_none() && error.get("param").is_some(),
            "{what}: {body}"
        );
    }
    assert!(answer.header("x-request-id").is_some(), "{what}");
}

#[tokio::test]
async fn without_a_known_key_nothing_goes_upstream() {
    let fake = provider().await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    let wrong_secret = TOKEN.replace("TestsOnly", "testsOnly");
    let cases: Vec<(&str, Vec<(&str, String)>)> = vec![
        ("none", vec![]),
        ("empty", vec![("authorization", String::new())]),
        ("no token", vec![("authorization", "Bearer ".to_owned())]),
        (
            "another scheme",
            vec![("authorization", format!("Basic {TOKEN}"))],
        ),
        ("no scheme", vec![("authorization", TOKEN.to_owned())]),
        (
            "an OpenAI key",
            vec![(
                "authorization",
                "Bearer sk-proj-abcdef0123456789".to_owned(),
            )],
        ),
        ("malformed", vec![("x-api-key", "tg-test".to_owned())]),
        ("unknown id", vec![("x-api-key", token("nobody"))]),
        ("wrong secret", vec![("x-api-key", wrong_secret)]),
        (
            "cut",
            vec![("x-api-key", TOKEN[..TOKEN.len() - 1].to_owned())],
        ),
        ("longer", vec![("x-api-key", format!("{TOKEN}0"))]),
        ("another case", vec![("x-api-key", TOKEN.to_uppercase())]),
        (
            "huge",
            vec![("x-api-key", format!("tg-test-g1-{}", "0".repeat(9_000)))],
        ),
    ];
    for (what, headers) in &cases {
        let bare = |request: Request| {
            let request = request.without("authorization");
            headers.iter().fold(request, |request, (name, value)| {
                request.header(name, value)
            })
        };
        for endpoint in ENDPOINTS {
            let answer = ask(&gateway, &bare(least(endpoint, "m"))).await;
            refused(&answer, endpoint.0.starts_with("/v1/messages"), what);
        }
        let list = bare(Request::get("/v1/models"));
        refused(&ask(&gateway, &list).await, false, what);
        let list = list.header("anthropic-version", "2023-06-01");
        refused(&ask(&gateway, &list).await, true, what);
    }
    assert_eq!(fake.count(), 0, "nothing went upstream");
    let output = gateway.output();
    assert!(
        !output.contains("TestsOnly"),
        "no key is ever logged: {output}"
    );
    let log = serde_json::to_string(&gateway.access_log()).unwrap();
    assert!(!log.contains("TestsOnly"), "no key is ever logged: {log}");
}

/// Claude Code sends both when `ANTHROPIC_API_KEY` is set beside `ANTHROPIC_AUTH_TOKEN`: the one that is ours counts.
#[tokio::test]
async fn of_two_credentials_the_one_that_is_known_here_counts() {
    let fake = provider().await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    let ours = format!("Bearer {TOKEN}");
    for (api_key, authorization, status) in [
        ("sk-ant-api03-abcdef", ours.as_str(), 200),
        (TOKEN, "Bearer sk-proj-abcdef", 200),
        (TOKEN, "Basic dXNlcjpwYXNz", 200),
        ("sk-ant-api03-abcdef", "Bearer sk-proj-abcdef", 401),
    ] {
        let request = least(ENDPOINTS[4], "m")
            .without("authorization")
            .header("x-api-key", api_key)
            .header("authorization", authorization);
        let answer = ask(&gateway, &request).await;
        assert_eq!(
            answer.status(),
            status,
            "{api_key} {authorization}: {}",
            answer.text()
        );
    }
    for seen in fake.seen() {
        let other = seen
            .headers
            .iter()
            .find(|(_, value)| value.contains("abcdef"));
        assert_eq!(other, None, "neither travels upstream");
    }
}
