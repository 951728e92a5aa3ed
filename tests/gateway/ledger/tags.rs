//! What clients say that requests are for: budgets of each value, and usage by tag.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::access_key;
use crate::common::requests::from;

const ROOT: &str = "tests-only-root-key-of-the-admin-api";

fn tagged(tags: &str) -> Request {
    let body =
        json!({"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]});
    let request = Request::post("/v1/chat/completions", body.to_string());
    from("web", request.header("x-tollgate-tags", tags))
}

#[tokio::test]
async fn each_value_of_a_tag_has_its_budget_and_its_usage() {
    let fake = Fake::good(Wire::H1, "hello").await;
    // Of each customer two answers, and what an estimate is beyond one.
    let budget = json!({"usd": 0.00003, "per": "week", "time_zone": "Europe/Berlin"});
    let web = json!({
        "id": "web", "access": {"tags": {"allow": ["customer", "feature"]}}, "limits": {"tags": {"customer": budget}},
    });
    let gateway = Gateway::builder()
        .env("TOLLGATE_ADMIN_KEY", ROOT)
        .fake("f", &fake)
        .config(money(10_000_000_000))
        .config(json!({
            "configurations": [web],
            "access_keys": [access_key("web", &json!({"configuration": "web"}))],
        }))
        .start()
        .await;
    for (tags, status, code) in [
        ("customer", 400, "ERR_TOLLGATE_3801"),
        ("customer=a b", 400, "ERR_TOLLGATE_3801"),
        ("feature=search", 400, "ERR_TOLLGATE_3801"),
        ("customer=1,team=x", 422, "ERR_TOLLGATE_3803"),
    ] {
        let answer = ask(&gateway, &tagged(tags)).await;
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (status, code),
            "{tags}"
        );
        assert!(answer.text().contains("tag"), "{}", answer.text());
    }
    let mut served = 0;
    let refusal = loop {
        let answer = ask(&gateway, &tagged("feature=search, customer=41/a@b")).await;
        if answer.status() != 200 {
            break answer;
        }
        served += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!((1..=3).contains(&served), "served {served}");
    assert_eq!(
        (refusal.status(), refusal.code().as_str()),
        (429, "ERR_TOLLGATE_3812")
    );
    assert!(
        refusal.text().contains("customer=41/a@b"),
        "{}",
        refusal.text()
    );
    let other = ask(&gateway, &tagged("customer=42")).await;
    assert_eq!(other.status(), 200, "{}", other.text());
    let cost = COST.to_string().replacen('$', "", 1);
    assert_eq!(
        other.header("x-tollgate-cost"),
        Some(&*cost),
        "nothing of it has left before"
    );
    let left = NanoUsd(30_000 - COST.0).to_string().replacen('$', "", 1);
    assert_eq!(other.header("x-tollgate-budget-remaining"), Some(&*left));
    let seen = fake.seen();
    assert!(
        seen.iter()
            .all(|one| one.header("x-tollgate-tags").is_none())
    );

    books(&gateway, NanoUsd((served + 1) * COST.0)).await;
    let path = "/usage?startTime=2020-01-01T00:00:00Z&extended=true&tag=";
    let api = async |path: &str| {
        let request = Request::get(path)
            .without("authorization")
            .header("authorization", &format!("Bearer {ROOT}"));
        let mut client = Client::connect(Version::H1, gateway.admin).await;
        client.ask(&request).await.json()
    };
    let events = async |tag: &str| {
        let answer = api(&format!("{path}{tag}")).await;
        answer["aiGatewayUsage"].as_array().unwrap().clone()
    };
    let of_feature = events("feature%3Dsearch").await;
    assert_eq!(of_feature.len(), usize::try_from(served).unwrap());
    let tags = json!({"customer": "41/a@b", "feature": "search"});
    assert!(
        of_feature.iter().all(|event| event["tags"] == tags),
        "{of_feature:?}"
    );
    assert_eq!(events("customer%3D42").await.len(), 1);
    let by = async |tag: &str| {
        let path = "/usage/overview?startTime=2020-01-01T00:00:00Z&groupBy=tag:";
        let answer = api(&format!("{path}{tag}")).await;
        let buckets = answer["buckets"].as_array().unwrap().clone();
        let each = buckets.iter().map(|one| {
            let key = one["groupKey"].as_str().unwrap().to_owned();
            (key, one["requests"].as_i64().unwrap())
        });
        each.collect::<Vec<_>>()
    };
    let customers = [("41/a@b".to_owned(), served), ("42".to_owned(), 1)];
    assert_eq!(by("customer").await, customers);
    let features = [(String::new(), 1), ("search".to_owned(), served)];
    assert_eq!(by("feature").await, features, "one had none");
}

#[tokio::test]
async fn each_session_has_its_budget_by_what_tells_it() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let budget = json!({"usd": 0.00002, "per": "day"});
    let web = json!({"id": "web", "limits": {"tags": {"session": budget}}});
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(10_000_000_000))
        .config(json!({
            "configurations": [web],
            "access_keys": [access_key("web", &json!({"configuration": "web"}))],
        }))
        .start()
        .await;
    let ask_in = async |name: &str, session: &str| {
        let body =
            json!({"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]});
        let request = Request::post("/v1/chat/completions", body.to_string());
        ask(&gateway, &from("web", request.header(name, session))).await
    };
    let refusal = loop {
        let answer = ask_in("x-claude-code-session-id", "one").await;
        if answer.status() != 200 {
            break answer;
        }
        assert!(answer.header("x-tollgate-budget-remaining").is_some());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(refusal.status(), 429, "{}", refusal.text());
    assert!(refusal.text().contains("session=one"), "{}", refusal.text());
    let named = ask_in("x-tollgate-session", "another one, of 2").await;
    assert_eq!(
        named.status(),
        200,
        "no tag has that value: {}",
        named.text()
    );
    assert_eq!(
        ask_in("x-test-nothing", "x").await.status(),
        200,
        "by what it begins with"
    );
}
