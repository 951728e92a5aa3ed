//! What of a request's head travels upstream, and what is put there.

use serde_json::json;

use super::{ask, least, provider};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Seen};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::requests::Request;
use crate::common::{TOKEN, fake::Wire};

fn last(fake: &Fake) -> Seen {
    fake.seen().pop().expect("a request went upstream")
}

#[tokio::test]
async fn credentials_cookies_and_hop_by_hop_headers_stay_here() {
    let fake = provider().await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    let mut request = Request::message(&["m"], false)
        .header("authorization", &format!("Bearer {TOKEN}"))
        .header("api-key", TOKEN)
        .header("cookie", "session=secret")
        .header("cookie", "other=secret")
        .header("proxy-authorization", "Basic secret")
        .header("x-tollgate-failover", "on");
    for version in [Version::H1, Version::H2] {
        if version == Version::H1 {
            request = request
                .header("connection", "keep-alive, X-Private ,x-private-too")
                .header("x-private", "secret")
                .header("x-private-too", "secret")
                .header("keep-alive", "timeout=5")
                .header("proxy-connection", "keep-alive")
                .header("te", "trailers")
                .header("trailer", "x-checksum");
        } else {
            let of_the_connection = [
                "connection",
                "x-private",
                "x-private-too",
                "keep-alive",
                "proxy-connection",
                "te",
                "trailer",
            ];
            request = of_the_connection
                .iter()
                .fold(request, |request, name| request.without(name));
        }
        let answer = Client::connect(version, gateway.at(version))
            .await
            .ask(&request)
            .await;
        assert_eq!(answer.status(), 200, "{version:?}: {}", answer.text());
        let seen = last(&fake);
        for (name, value) in &seen.headers {
            assert!(
                !value.contains(TOKEN),
                "{version:?}: {name} carries the client's key"
            );
            assert!(!value.contains("secret"), "{version:?}: {name}: {value}");
            let own = [
                "keep-alive",
                "proxy-connection",
                "te",
                "trailer",
                "cookie",
                "x-tollgate-failover",
            ];
            assert!(
                !own.contains(&name.as_str()),
                "{version:?}: {name}: {value}"
            );
        }
        let credentials = seen
            .headers
            .iter()
            .filter(|(name, _)| ["authorization", "x-api-key", "api-key"].contains(&name.as_str()));
        let credentials: Vec<_> = credentials.collect();
        assert_eq!(
            credentials,
            [&("x-api-key".to_owned(), "KEY-p".to_owned())],
            "{version:?}: the provider's own, once"
        );
        assert_eq!(seen.header("host"), Some(fake.address.to_string().as_str()));
    }
}

#[tokio::test]
async fn versions_betas_queries_and_what_a_configuration_names_travel() {
    let fake = provider().await;
    let mut entry = provider_at("p", &fake.base_url());
    entry["forward_headers"] = json!(["OpenAI-Organization", "x-of-", "x-codex-"]);
    let gateway = Gateway::builder().provider(entry).start().await;
    let passed = [
        ("anthropic-version", "2026-10-21"),
        (
            "anthropic-beta",
            "claude-code-20250219,interleaved-thinking-2025-05-14",
        ),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("user-agent", "claude-cli/2.1.330 (external, sdk-cli)"),
        ("x-stainless-retry-count", "0"),
        ("x-codex-turn-metadata", r#"{"turn":1}"#),
        ("openai-organization", "org-1"),
        ("accept", "application/json"),
        ("x-of-tomorrow", "caf\u{e9}"),
    ];
    let mut request = Request::message(&["m"], false).without("anthropic-version");
    request.path += "?beta=true&x=%20y";
    for (name, value) in passed {
        request = request.header(name, value);
    }
    for version in [Version::H1, Version::H2] {
        let answer = Client::connect(version, gateway.at(version))
            .await
            .ask(&request)
            .await;
        assert_eq!(answer.status(), 200, "{version:?}: {}", answer.text());
        let seen = last(&fake);
        assert_eq!(seen.path, "/v1/messages?beta=true&x=%20y", "{version:?}");
        for (name, value) in passed {
            let all: Vec<&str> = seen
                .headers
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(all, [value], "{version:?}: {name}");
        }
    }
}

#[tokio::test]
async fn an_anthropic_version_is_added_where_one_belongs() {
    let fake = provider().await;
    let gateway = Gateway::builder().fake("p", &fake).start().await;
    for (endpoint, wanted) in [
        (super::ENDPOINTS[4], Some("2023-06-01")),
        (super::ENDPOINTS[5], Some("2023-06-01")),
        (super::ENDPOINTS[0], None),
    ] {
        assert_eq!(ask(&gateway, &least(endpoint, "m")).await.status(), 200);
        assert_eq!(
            last(&fake).header("anthropic-version"),
            wanted,
            "{}",
            endpoint.0
        );
    }
}

#[tokio::test]
async fn a_credential_travels_as_the_provider_wants_it() {
    let fake = provider().await;
    let mut builder = Gateway::builder();
    for auth in ["bearer", "x-api-key", "api-key", "none"] {
        let mut entry = provider_at(auth, &fake.base_url());
        entry["auth"] = json!(auth);
        entry["headers"] =
            json!({"X-Team": "blue", "User-Agent": "ours/1", "anthropic-version": "2099-01-01"});
        if auth == "none" {
            entry.as_object_mut().unwrap().remove("keys");
        }
        builder = builder.provider(entry);
    }
    let gateway = builder.fake("dialect", &fake).start().await;
    let (chat, messages) = (super::ENDPOINTS[0], super::ENDPOINTS[4]);
    for (endpoint, provider, wanted) in [
        (chat, "bearer", Some(("authorization", "Bearer KEY-bearer"))),
        (
            messages,
            "bearer",
            Some(("authorization", "Bearer KEY-bearer")),
        ),
        (chat, "x-api-key", Some(("x-api-key", "KEY-x-api-key"))),
        (messages, "api-key", Some(("api-key", "KEY-api-key"))),
        (chat, "none", None),
        (messages, "none", None),
        (
            chat,
            "dialect",
            Some(("authorization", "Bearer KEY-dialect")),
        ),
        (messages, "dialect", Some(("x-api-key", "KEY-dialect"))),
    ] {
        let request = least(endpoint, &format!("{provider}:m"))
            .header("user-agent", "client/1")
            .header("x-team", "red");
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status(), 200, "{provider}: {}", answer.text());
        let seen = last(&fake);
        let credentials: Vec<(&str, &str)> = seen
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| ["authorization", "x-api-key", "api-key"].contains(name))
            .collect();
        assert_eq!(
            credentials,
            wanted.into_iter().collect::<Vec<_>>(),
            "{provider} {}",
            endpoint.0
        );
        let (team, agent) = match provider {
            "dialect" => (None, "client/1"),
            _ => (Some("blue"), "ours/1"),
        };
        assert_eq!(
            seen.header("x-team"),
            team,
            "{provider}: what the operator adds wins"
        );
        assert_eq!(seen.header("user-agent"), Some(agent), "{provider}");
        if provider != "dialect" {
            assert_eq!(
                seen.header("anthropic-version"),
                Some("2099-01-01"),
                "{provider}"
            );
        }
    }
}

#[tokio::test]
async fn base_urls_keep_their_path_and_query_around_the_surface() {
    let fake = Fake::answering(Wire::H1, |seen| {
        crate::common::script::Script::json(200, &super::shape(&seen.path))
    })
    .await;
    let at = |rest: &str| format!("http://{}{rest}", fake.address);
    let gateway = Gateway::builder()
        .provider(provider_at(
            "azure",
            &at("/openai/deployments/x?api-version=2024-10-21"),
        ))
        .provider(provider_at("bare", &at("")))
        .provider(provider_at("slash", &at("/v1/")))
        .provider(provider_at("deep", &at("/a/b%20c")))
        .start()
        .await;
    for (provider, query, path) in [
        (
            "azure",
            "",
            "/openai/deployments/x/chat/completions?api-version=2024-10-21",
        ),
        (
            "azure",
            "?beta=true",
            "/openai/deployments/x/chat/completions?api-version=2024-10-21&beta=true",
        ),
        ("bare", "", "/v1/chat/completions"),
        ("bare", "?a=b", "/v1/chat/completions?a=b"),
        ("slash", "", "/v1/chat/completions"),
        ("deep", "?", "/a/b%20c/chat/completions"),
    ] {
        let mut request = Request::chat(&[&format!("{provider}:m")], false);
        request.path += query;
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status(), 200, "{provider}{query}: {}", answer.text());
        assert_eq!(last(&fake).path, path, "{provider}{query}");
    }
}
