//! When nothing is left: what the client gets.

use serde_json::{Value, json};

use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, provider_at};
use crate::common::requests::Request;
use crate::common::script::{Script, chat_word};
use crate::common::sse;

const VERSIONS: [Version; 2] = [Version::H1, Version::H2];

async fn ask(gateway: &Gateway, version: Version, request: &Request) -> Answer {
    Client::connect(version, gateway.address)
        .await
        .ask(request)
        .await
}

/// A gateway with one fake provider for each script, `p0`, `p1` and so on.
async fn gateway_over(scripts: &[Script]) -> (Builder, Vec<Fake>, Vec<String>) {
    let mut builder = Gateway::builder();
    let (mut fakes, mut models) = (Vec::new(), Vec::new());
    for (index, script) in scripts.iter().enumerate() {
        let fake = Fake::start(Wire::H1, script.clone()).await;
        builder = builder.fake(&format!("p{index}"), &fake);
        models.push(format!("p{index}:m"));
        fakes.push(fake);
    }
    (builder, fakes, models)
}

fn all(models: &[String]) -> Vec<&str> {
    models.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn the_only_candidates_error_is_relayed_verbatim() {
    let statuses = [400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 503, 529];
    let script = |status: u16| {
        let body = format!(
            "{{\"error\" : {{\"message\":\"caf\\u00e9 {status}\" , \"type\":\"t\",\"code\":null}} }}\n"
        );
        let headers = [
            ("content-type", "application/json; charset=utf-8"),
            ("retry-after", "17"),
        ];
        Script::new().length().head(status, &headers).data(body)
    };
    let (builder, _fakes, models) = gateway_over(&statuses.map(script)).await;
    let gateway = builder.start().await;
    for (status, model) in statuses.iter().zip(&models) {
        for version in VERSIONS {
            for stream in [false, true] {
                let answer = ask(&gateway, version, &Request::chat(&[model], stream)).await;
                let case = format!("{status} {version:?} stream {stream}");
                assert_eq!(answer.status(), *status, "{case}: {}", answer.text());
                assert_eq!(answer.body, script(*status).body(), "{case}");
                assert_eq!(answer.header("retry-after"), Some("17"), "{case}");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/json; charset=utf-8"),
                    "{case}"
                );
                assert_eq!(answer.header("x-tollgate-attempts"), Some("1"), "{case}");
                assert!(answer.clean, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn an_only_candidate_that_cannot_be_reached_is_a_502() {
    let builder = Gateway::builder()
        .provider(provider_at("refused", &Fake::refused()))
        .provider(provider_at("dns", "https://nonexistent.invalid/v1"));
    let gateway = builder.start().await;
    for version in VERSIONS {
        for model in ["refused:m", "dns:m"] {
            let answer = ask(&gateway, version, &Request::chat(&[model], true)).await;
            assert_eq!(
                (answer.status(), answer.code().as_str()),
                (502, "ERR_TOLLGATE_3800"),
                "{model}"
            );
            let answer = ask(&gateway, version, &Request::message(&[model], true)).await;
            assert_eq!(answer.status(), 502, "{model}");
            assert_eq!(answer.json()["type"], "error", "{model}: Anthropic's shape");
        }
    }
}

#[tokio::test]
async fn all_failing_alike_relays_the_last_with_the_shortest_wait() {
    let limited = |name: &str, wait: &str| Script::error_with(429, name, &[("retry-after", wait)]);
    let scripts = [
        limited("first", "30"),
        limited("second", "5"),
        limited("third", "20"),
    ];
    let (builder, fakes, models) = gateway_over(&scripts).await;
    let gateway = builder.start().await;
    let answer = ask(&gateway, Version::H1, &Request::chat(&all(&models), true)).await;
    assert_eq!(answer.status(), 429, "{}", answer.text());
    assert_eq!(
        answer.json()["error"]["message"],
        "third",
        "the last one's body"
    );
    assert_eq!(answer.header("retry-after"), Some("5"), "the shortest wait");
    assert_eq!(answer.header("x-tollgate-attempts"), Some("3"));
    assert!(fakes.iter().all(|fake| fake.count() == 1));
}

#[tokio::test]
async fn all_overloaded_alike_relays_the_last() {
    let (builder, _fakes, models) =
        gateway_over(&[Script::error(503, "a"), Script::error(503, "b")]).await;
    let gateway = builder.start().await;
    let answer = ask(&gateway, Version::H2, &Request::chat(&all(&models), false)).await;
    assert_eq!(
        (answer.status(), &answer.json()["error"]["message"]),
        (503, &json!("b"))
    );
}

#[tokio::test]
async fn all_failing_differently_is_a_503_that_names_every_attempt_and_no_key() {
    let scripts = [
        Script::error(401, "no"),
        Script::error(500, "oops"),
        Script::new().silence(),
        Script::new().cut(),
    ];
    let (builder, _fakes, mut models) = gateway_over(&scripts).await;
    let gateway = builder
        .provider(provider_at("refused", &Fake::refused()))
        .start()
        .await;
    models.push("refused:m".to_owned());
    for version in VERSIONS {
        let answer = ask(&gateway, version, &Request::chat(&all(&models), true)).await;
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (503, "ERR_TOLLGATE_3807"),
            "{}",
            answer.text()
        );
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        for (provider, _) in models.iter().filter_map(|model| model.split_once(':')) {
            let lines = message.lines().filter(|line| line.contains(provider));
            assert_eq!(lines.count(), 1, "one line for {provider} in:\n{message}");
        }
        assert!(
            message.contains("401") && message.contains("500"),
            "outcomes in:\n{message}"
        );
        assert!(!message.contains("KEY-"), "a provider key in:\n{message}");
        assert_eq!(answer.header("x-tollgate-attempts"), Some("5"));
    }
    let answer = ask(
        &gateway,
        Version::H1,
        &Request::message(&all(&models), false),
    )
    .await;
    let body = answer.json();
    assert_eq!(
        (answer.status(), &body["type"]),
        (503, &json!("error")),
        "{body}"
    );
    assert!(
        body["error"]["type"].is_string() && body["request_id"].is_string(),
        "{body}"
    );
}

#[tokio::test]
async fn a_request_at_fault_skips_to_the_next_model() {
    for (status, asked) in [(400, 1), (404, 1), (413, 1), (422, 1), (429, 2), (401, 2)] {
        let first = Fake::start(Wire::H1, Script::error(status, "first")).await;
        let second = Fake::good(Wire::H1, "second").await;
        let mut two_keys = provider_at("first", &first.base_url());
        two_keys["keys"] = json!([{"id": "k1", "value": "KEY-1"}, {"id": "k2", "value": "KEY-2"}]);
        let gateway = Gateway::builder()
            .provider(two_keys)
            .fake("second", &second)
            .start()
            .await;
        let answer = ask(
            &gateway,
            Version::H1,
            &Request::chat(&["first:m", "second:m"], false),
        )
        .await;
        assert_eq!(answer.status(), 200, "{status}: {}", answer.text());
        assert_eq!(
            first.count(),
            asked,
            "{status}: keys of the first model that were tried"
        );
        let seen = first.seen();
        let keys: Vec<Option<&str>> = seen
            .iter()
            .map(|seen| seen.header("authorization"))
            .collect();
        assert_eq!(
            keys,
            [Some("Bearer KEY-1"), Some("Bearer KEY-2")][..asked],
            "{status}"
        );
    }
}

#[tokio::test]
async fn the_total_timeout_is_a_504() {
    let (builder, fakes, models) =
        gateway_over(&[Script::new().silence(), Script::new().silence()]).await;
    let timeouts = json!({"timeouts": {"per_request": "800ms", "total": "1s", "hold": "30s"}});
    let gateway = builder.config(timeouts).start().await;
    let start = tollgate_base::clock::now();
    let answer = ask(&gateway, Version::H1, &Request::chat(&all(&models), true)).await;
    let took = tollgate_base::clock::now().duration_since(start);
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (504, "ERR_TOLLGATE_3810"),
        "{}",
        answer.text()
    );
    assert!(
        took.as_millis() >= 950 && took.as_millis() < 3_000,
        "after {took:?}"
    );
    assert_eq!(fakes[1].count(), 1, "there was time for a second attempt");
}

#[tokio::test]
async fn failover_can_be_switched_off() {
    let (builder, fakes, models) =
        gateway_over(&[Script::error(500, "first"), Script::chat(false, "second")]).await;
    let gateway = builder.start().await;
    let request = Request::chat(&all(&models), false).header("x-tollgate-failover", "off");
    let answer = ask(&gateway, Version::H1, &request).await;
    assert_eq!(
        (answer.status(), &answer.json()["error"]["message"]),
        (500, &json!("first"))
    );
    assert_eq!(
        (fakes[0].count(), fakes[1].count()),
        (1, 0),
        "the first candidate only"
    );
    assert!(
        fakes[0].seen()[0].header("x-tollgate-failover").is_none(),
        "our own header stays here"
    );

    let (builder, fakes, models) =
        gateway_over(&[Script::error(500, "first"), Script::chat(false, "second")]).await;
    let gateway = builder.config(json!({"failover": false})).start().await;
    let answer = ask(&gateway, Version::H1, &Request::chat(&all(&models), false)).await;
    assert_eq!((answer.status(), fakes[1].count()), (500, 0));
}

#[tokio::test]
async fn after_the_last_failure_a_connection_still_serves() {
    let scripts = [
        Script::error(500, "bad"),
        Script::sse()
            .data(chat_word("good"))
            .data("data: [DONE]\n\n"),
    ];
    let (builder, _fakes, models) = gateway_over(&scripts).await;
    let gateway = builder.start().await;
    for version in VERSIONS {
        let mut client = Client::connect(version, gateway.address).await;
        assert_eq!(
            client
                .ask(&Request::chat(&[&models[0]], true))
                .await
                .status(),
            500
        );
        let answer = client.ask(&Request::chat(&[&models[1]], true)).await;
        assert_eq!(sse::chat_text(&answer.body), "good", "{version:?}");
        let unknown: Value = client.ask(&Request::chat(&["nonesuch"], true)).await.json();
        assert_eq!(unknown["error"]["code"], "ERR_TOLLGATE_3804", "{version:?}");
    }
}
