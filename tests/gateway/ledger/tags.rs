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
    let seen = fake.seen();
    assert!(
        seen.iter()
            .all(|one| one.header("x-tollgate-tags").is_none())
    );

    books(&gateway, NanoUsd((served + 1) * COST.0)).await;
    let path = "/usage?startTime=2020-01-01T00:00:00Z&extended=true&tag=";
    let events = async |tag: &str| {
        let request = Request::get(&format!("{path}{tag}"))
            .without("authorization")
            .header("authorization", &format!("Bearer {ROOT}"));
        let mut client = Client::connect(Version::H1, gateway.admin).await;
        client.ask(&request).await.json()["aiGatewayUsage"]
            .as_array()
            .unwrap()
            .clone()
    };
    let of_feature = events("feature%3Dsearch").await;
    assert_eq!(of_feature.len(), usize::try_from(served).unwrap());
    let tags = json!({"customer": "41/a@b", "feature": "search"});
    assert!(
        of_feature.iter().all(|event| event["tags"] == tags),
        "{of_feature:?}"
    );
    assert_eq!(events("customer%3D42").await.len(), 1);
}
