//! Budgets that access keys share: four replicas, one Redis.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::access_key;
use crate::common::process::Process;
use crate::common::requests::from;

const REPLICAS: usize = 4;

/// More than what a request below is expected to cost, in answers.
const ESTIMATE: i64 = 20;

/// What a team's budget and its organisation's pay for, in answers.
const TEAM: i64 = 40;
const ALL: i64 = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keys_and_teams_share_is_never_promised_twice() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let budget = |answers: i64, per: &str| {
        let micros = answers * COST.0 / 1_000;
        json!({"budget": {"usd": format!("0.{micros:06}"), "per": per}})
    };
    let mut acme = budget(ALL, "week");
    acme["budget"]["time_zone"] = json!("Asia/Tokyo");
    let config = json!({
        "ledger": {"bank": "redis", "redis": {"url": format!("redis://127.0.0.1:{}", redis.port)}},
        "budgets": [
            {"id": "acme", "limits": acme},
            {"id": "team", "name": "Research", "parent": "acme", "limits": budget(TEAM, "total")},
            {"id": "project", "parent": "team"},
        ],
        "access_keys": [
            access_key("one", &json!({"budget": "project"})),
            access_key("two", &json!({"budget": "team", "limits": budget(ALL, "day")})),
            access_key("three", &json!({"budget": "acme"})),
        ],
    });
    let mut gateways = Vec::new();
    for _ in 0..REPLICAS {
        let gateway = Gateway::builder()
            .fake("f", &fake)
            .config(money(10_000_000_000))
            .config(config.clone());
        gateways.push(gateway.start().await);
    }
    let addresses: Vec<_> = gateways.iter().map(|gateway| gateway.address).collect();

    let (team, refusal) = spend(&addresses, &["one", "two"]).await;
    assert!((TEAM - ESTIMATE..=TEAM).contains(&team), "served {team}");
    assert!(refusal.contains("the budget `Research`"), "{refusal}");
    let (other, refusal) = spend(&addresses, &["three"]).await;
    let all = team + other;
    assert!((ALL - ESTIMATE..=ALL).contains(&all), "served {all}");
    let anew = ["the budget `acme`", "per week", "it begins anew at 20"];
    assert!(anew.iter().all(|said| refusal.contains(said)), "{refusal}");
    books(&gateways[0], NanoUsd(all * COST.0)).await;
    verified(&gateways[0]);
}

/// Asks for far more than there is, at all replicas at once: how many were served, and why one was not.
async fn spend(addresses: &[std::net::SocketAddr], keys: &[&str]) -> (i64, String) {
    let body =
        json!({"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]});
    let request = Request::post("/v1/chat/completions", body.to_string());
    let tasks: Vec<_> = (0..200)
        .map(|index| {
            let address = addresses[index % addresses.len()];
            let request = from(keys[index % keys.len()], request.clone());
            tokio::spawn(async move { until_decided(address, &request).await })
        })
        .collect();
    let (mut served, mut refusal) = (0, String::new());
    for task in tasks {
        match task.await.unwrap() {
            answer if answer.status() == 200 => served += 1,
            answer => refusal = answer.text(),
        }
    }
    (served, refusal)
}

/// Asks again where a budget is lent to others, or held by their requests: there is more in a second.
async fn until_decided(address: std::net::SocketAddr, request: &Request) -> Answer {
    loop {
        let answer = Client::connect(Version::H1, address)
            .await
            .ask(request)
            .await;
        if answer.status() == 200 {
            return answer;
        }
        let refused = (answer.status(), answer.code());
        assert_eq!(
            refused,
            (429, "ERR_TOLLGATE_3812".to_owned()),
            "{}",
            answer.text()
        );
        match answer.header("retry-after") {
            Some("1") => tokio::time::sleep(Duration::from_secs(1)).await,
            _ => return answer,
        }
    }
}
