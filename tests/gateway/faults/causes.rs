//! Errors that say whose fault they are: a key's go to the next key and let it cool down, a request's do not.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::ask;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::{Script, chat_answer};

fn chat(model: &str) -> Request {
    Request::chat(&[model], false)
}

/// A provider whose first key is answered by `bad`, and its second one as usual.
async fn half_bad(bad: Script) -> Fake {
    Fake::answering(Wire::H1, move |seen| match seen.header("authorization") {
        Some("Bearer KEY-BAD-1") => bad.clone(),
        _ => Script::json(200, &chat_answer("served")),
    })
    .await
}

/// The provider `p` with two keys.
fn two_keys(fake: &Fake) -> Value {
    let mut entry = provider("p", fake);
    entry["keys"] =
        json!([{"id": "bad", "value": "KEY-BAD-1"}, {"id": "good", "value": "KEY-GOOD-2"}]);
    entry["surfaces"] = json!(["openai/chat-completions"]);
    entry
}

fn keys(fake: &Fake) -> Vec<&'static str> {
    let seen = fake.seen();
    let name = |seen: &crate::common::fake::Seen| match seen.header("authorization") {
        Some("Bearer KEY-BAD-1") => "bad",
        _ => "good",
    };
    seen.iter().map(name).collect()
}

/// What was reported of providers: the dead key was tried first for ever, and its error relayed.
#[tokio::test]
async fn a_keys_fault_goes_to_the_next_key_and_lets_it_rest() {
    let reports = include_str!("../../field/key-faults.json");
    let reports: Vec<Value> = serde_json::from_str(reports).unwrap();
    for report in reports {
        let status = u16::try_from(report["status"].as_u64().unwrap()).unwrap();
        let fake = half_bad(Script::json(status, &report["body"])).await;
        let gateway = Gateway::builder().provider(two_keys(&fake)).start().await;
        let first = ask(&gateway, &chat("p:m")).await;
        let told = (first.status(), first.header("x-tollgate-attempts"));
        assert_eq!(told, (200, Some("2")), "{report}");
        let again = ask(&gateway, &chat("p:m")).await;
        assert_eq!(again.status(), 200, "{report}");
        // The caller's own doing; 413 says that of a limit.
        let own = report["cause"] == "request" || status == 413;
        let third = match own {
            true => &["bad", "good", "bad", "good"][..],
            false => &["bad", "good", "good"],
        };
        assert_eq!(keys(&fake), third, "{report}");
        let one = report["cause"] == "model" || report["cause"] == "limit";
        ask(&gateway, &chat("p:other")).await;
        let asked = keys(&fake)[third.len()];
        let whole_key = !one && !own;
        assert_eq!(asked == "good", whole_key, "another model: {report}");
    }
}

#[tokio::test]
async fn what_is_the_requests_fault_is_relayed_and_lets_nothing_rest() {
    for (status, error) in [
        (
            400,
            json!({"message": "messages: at least one is required", "type": "invalid_request_error"}),
        ),
        (
            404,
            json!({"message": "no such thing", "type": "not_found"}),
        ),
        (
            413,
            json!({"message": "too long", "type": "request_too_large"}),
        ),
        (422, json!({"message": "unprocessable"})),
    ] {
        let body = json!({ "error": error });
        let fake = half_bad(Script::json(status, &body)).await;
        let gateway = Gateway::builder().provider(two_keys(&fake)).start().await;
        for _ in 0..2 {
            let answer = ask(&gateway, &chat("p:m")).await;
            assert_eq!((answer.status(), answer.json()), (status, body.clone()));
        }
        assert_eq!(keys(&fake), ["bad", "bad"], "{body}");
    }
}

/// A caller names a field as the provider words its errors, and the provider repeats the name.
#[tokio::test]
async fn a_caller_cannot_let_a_key_rest_by_what_it_writes() {
    let words = "Your credit balance is too low to access the Anthropic API";
    let body = json!({"error": {"type": "invalid_request_error", "message": format!("{words}: Extra inputs are not permitted")}});
    let fake = half_bad(Script::json(400, &body)).await;
    let gateway = Gateway::builder().provider(two_keys(&fake)).start().await;
    let mut sent = chat("p:m");
    let mut json: Value = serde_json::from_slice(&sent.body).unwrap();
    json[words] = json!(1);
    sent.body = json.to_string().into();
    for _ in 0..2 {
        assert_eq!(ask(&gateway, &sent).await.json(), body);
    }
    assert_eq!(keys(&fake), ["bad", "bad"]);
}

#[tokio::test]
async fn when_all_keys_are_at_fault_the_last_answer_is_relayed() {
    let body = json!({"error": {"message": "API key not valid. Please pass a valid API key.", "code": "invalid_api_key", "key": "KEY-BAD-1"}});
    let fake = Fake::start(Wire::H1, Script::json(400, &body)).await;
    let gateway = Gateway::builder().provider(two_keys(&fake)).start().await;
    let answer = ask(&gateway, &chat("p:m")).await;
    assert_eq!(
        (answer.status(), answer.json()["error"]["code"].as_str()),
        (400, Some("invalid_api_key"))
    );
    // In the client's words, where it speaks another dialect.
    let answer = ask(&gateway, &Request::message(&["p:m"], false)).await;
    let told = answer.json();
    assert_eq!(
        (answer.status(), told["type"].as_str()),
        (400, Some("error")),
        "{told}"
    );
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .contains("API key not valid"),
        "{told}"
    );
    assert!(!answer.text().contains("KEY-BAD-1"));
    let events = super::events(&gateway, 4).await;
    let outcomes: Vec<_> = events.iter().map(|event| &event["outcome"]).collect();
    assert!(
        outcomes.iter().all(|outcome| **outcome == "key_refused"),
        "{outcomes:?}"
    );
}

/// Nobody waits long for the body of an error that nobody will read.
#[tokio::test]
async fn an_error_whose_body_does_not_come_is_judged_by_its_status() {
    let head = |status| {
        Script::new()
            .head(status, &[("content-type", "application/json")])
            .data("{\"error\":{\"message\":\"sl")
            .silence()
    };
    let slow = Fake::start(Wire::H1, head(400)).await;
    let good = Fake::good(Wire::H1, "served").await;
    let gateway = Gateway::builder()
        .config(json!({"timeouts": {"per_request": "30s", "stream_idle": "30s"}}))
        .fake("slow", &slow)
        .fake("good", &good)
        .start()
        .await;
    let begun = tollgate_base::clock::now();
    let answer = ask(&gateway, &Request::chat(&["slow:m", "good:m"], false)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn operators_say_what_their_providers_mean() {
    let body = json!({"error": {"message": "Plan basic-1 does not include m", "code": 9}});
    let fake = half_bad(Script::json(418, &body)).await;
    let mut entry = two_keys(&fake);
    entry["error_rules"] = json!([{"statuses": [418], "message": "Plan * does not include {model}", "cause": "model"}]);
    let gateway = Gateway::builder().provider(entry).start().await;
    for _ in 0..2 {
        assert_eq!(ask(&gateway, &chat("p:m")).await.status(), 200);
    }
    assert_eq!(keys(&fake), ["bad", "good", "good"]);
}

/// Most limits are per model: one that is used up must not keep the key from serving others.
#[tokio::test]
async fn a_rate_limit_is_about_a_model_and_an_endpoint() {
    let fake = Fake::answering(Wire::H1, |seen| {
        let counts = seen.path.ends_with("/count_tokens");
        let limited = match seen.json()["model"].as_str() {
            Some("limited") => !counts,
            Some("counted") => counts,
            _ => false,
        };
        let key = seen.header("x-api-key").or(seen.header("authorization"));
        if limited && key.is_some_and(|key| key.contains("KEY-BAD-1")) {
            return Script::error_with(429, "slow down", &[("retry-after", "60")]);
        }
        match counts {
            true => Script::json(200, &json!({"input_tokens": 3})),
            false => Script::json(
                200,
                &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
                "usage": {"input_tokens": 3, "output_tokens": 1}}),
            ),
        }
    })
    .await;
    let mut entry = two_keys(&fake);
    entry["surfaces"] = json!(["anthropic/messages"]);
    let gateway = Gateway::builder().provider(entry).start().await;
    let count = |model: &str| Request {
        path: "/v1/messages/count_tokens".to_owned(),
        ..Request::message(&[model], false)
    };
    let message = |model: &str| Request::message(&[model], false);
    let attempts = async |request: Request| {
        let before = fake.count();
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        fake.count() - before
    };
    assert_eq!(attempts(message("p:limited")).await, 2);
    let bad = |index: usize| fake.seen()[index].header("x-api-key") == Some("KEY-BAD-1");
    assert_eq!(attempts(message("p:limited")).await, 1);
    assert!(!bad(2), "it cools down for this model");
    assert_eq!(attempts(message("p:other")).await, 1);
    assert!(bad(3), "not for another one");
    assert_eq!(attempts(count("p:limited")).await, 1);
    assert!(bad(4), "counting has limits of its own");
    assert_eq!(attempts(count("p:counted")).await, 2);
    assert_eq!(attempts(count("p:counted")).await, 1);
    assert!(!bad(7), "counting cools down");
    assert_eq!(attempts(message("p:counted")).await, 1);
    assert!(bad(8), "and nothing else");
}

/// What a provider calls the request is what its support asks for.
#[tokio::test]
async fn an_operator_is_told_who_was_asked_and_what_went_out() {
    let fake = Fake::answering(Wire::H1, |seen| {
        let is_bad = seen.header("authorization") == Some("Bearer KEY-BAD-1");
        match is_bad {
            true => Script::error_with(401, "who are you", &[("x-request-id", "req_bad")]),
            false => {
                let answer = chat_answer("served").to_string();
                let head = [
                    ("content-type", "application/json"),
                    ("request-id", "req_good"),
                ];
                Script::new().length().head(200, &head).data(answer)
            }
        }
    })
    .await;
    let gateway = Gateway::builder()
        .provider(two_keys(&fake))
        .env("TOLLGATE_LOG", "info,tollgate=debug")
        .start()
        .await;
    let answer = ask(&gateway, &chat("p:m")).await;
    assert_eq!(answer.status(), 200);
    let all = super::events(&gateway, 2).await;
    let ids: Vec<_> = all
        .iter()
        .map(|event| event["providerRequestId"].clone())
        .collect();
    assert_eq!(
        ids,
        [json!("req_good"), json!("req_bad")],
        "the newest first"
    );
    let logged = || !gateway.access_log().is_empty();
    assert!(crate::common::eventually(Duration::from_secs(5), logged).await);
    let attempts = &gateway.access_log()[0]["attempts"];
    assert_eq!(attempts[0]["provider_request_id"], "req_bad", "{attempts}");
    assert_eq!(attempts[1]["provider_request_id"], "req_good", "{attempts}");
    let output = gateway.output();
    for told in [
        "attempt 1 asks p m with the key bad",
        "p m with the key bad: 401 unauthorized",
        "there req_bad",
        "attempt 2 asks p m with the key good",
        "there req_good",
        "WARN  tollgate::proxy::notices the key bad of p cools down for 300 s, for all models (http_401)",
    ] {
        assert!(output.contains(told), "{told}:\n{output}");
    }
}

#[tokio::test]
async fn a_retry_after_on_503_counts() {
    for (retry_after, cools) in [(Some("30"), true), (None, false)] {
        let headers: Vec<(&str, &str)> = retry_after
            .map(|wait| ("retry-after", wait))
            .into_iter()
            .collect();
        let fake = half_bad(Script::error_with(503, "overloaded", &headers)).await;
        let gateway = Gateway::builder().provider(two_keys(&fake)).start().await;
        for _ in 0..2 {
            assert_eq!(ask(&gateway, &chat("p:m")).await.status(), 200);
        }
        let first_again = keys(&fake)[2];
        assert_eq!(first_again == "good", cools, "{retry_after:?}");
    }
}

/// Each key of a silent provider was waited for, one after the other.
#[tokio::test]
async fn the_keys_of_a_silent_provider_are_not_waited_for_one_by_one() {
    for script in [Script::new().silence(), Script::sse().silence()] {
        let silent = Fake::start(Wire::H1, script).await;
        let good = Fake::good(Wire::H1, "served").await;
        let mut entry = two_keys(&silent);
        let more = (0..6).map(|n| json!({"id": format!("k{n}"), "value": format!("KEY-MORE-{n}")}));
        entry["keys"].as_array_mut().unwrap().extend(more);
        let gateway = Gateway::builder()
            .provider(entry)
            .fake("good", &good)
            .start()
            .await;
        let answer = ask(&gateway, &Request::chat(&["p:m", "good:m"], true)).await;
        assert_eq!(
            answer.header("x-tollgate-attempts"),
            Some("2"),
            "{}",
            answer.text()
        );
        assert_eq!(silent.count(), 1);
    }
}

/// A tenant with short timeouts must not take a provider from the others.
#[tokio::test]
async fn what_a_tenant_shortens_opens_no_breaker() {
    let slow = Fake::answering(Wire::H1, |_| {
        let mut script = Script::chat(false, "served");
        script.acts.insert(
            0,
            crate::common::script::Act::Wait(Duration::from_millis(400)),
        );
        script
    })
    .await;
    let good = Fake::good(Wire::H1, "spare").await;
    let hasty = crate::common::gateway::access_key("hasty", &json!({"configuration": "hasty"}));
    let test =
        json!({"id": "test", "sha256": crate::common::gateway::sha256(crate::common::TOKEN)});
    let gateway = Gateway::builder()
        .config(json!({
            "timeouts": {"per_request": "5s", "stream_idle": "5s"},
            "configurations": [{"id": "hasty", "timeouts": {"per_request": "50ms", "whole_answer": "50ms"}}],
            "access_keys": [test, hasty],
        }))
        .fake("slow", &slow)
        .fake("good", &good)
        .start()
        .await;
    let request = Request::chat(&["slow:m", "good:m"], false);
    for _ in 0..6 {
        let answer = ask(
            &gateway,
            &crate::common::requests::from("hasty", request.clone()),
        )
        .await;
        assert_eq!(answer.header("x-tollgate-provider"), Some("good"));
    }
    let answer = ask(&gateway, &request).await;
    assert_eq!(
        answer.header("x-tollgate-provider"),
        Some("slow"),
        "its breaker is closed"
    );
}
