//! Limits and budgets of keys and configurations.

use super::*;
use crate::common::TOKEN;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::sha256;
use crate::common::script::{Script, chat_answer};

async fn limited(fake: &Fake, limits: Value) -> Gateway {
    Gateway::builder()
        .fake("f", fake)
        .config(money(10_000_000_000))
        .config(json!({"timeouts": {"per_request": "10s"}, "access_keys": [{"id": "test", "sha256": sha256(TOKEN), "limits": limits}]}))
        .start()
        .await
}

#[tokio::test]
async fn requests_per_minute() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = limited(&fake, json!({"requests_per_minute": 5})).await;
    let mut served = 0;
    let mut refusal = None;
    for _ in 0..12 {
        let answer = ask(&gateway, &Request::chat(&["m"], false)).await;
        match answer.status() {
            200 => served += 1,
            429 => refusal = Some(answer),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    // The minute may have ended meanwhile.
    assert!((5..=10).contains(&served), "served {served}");
    let refusal = refusal.unwrap();
    assert_eq!(refusal.code(), "ERR_TOLLGATE_3812");
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refusal.header("x-ratelimit-limit-requests"), Some("5"));
    assert_eq!(refusal.header("x-ratelimit-remaining-requests"), Some("0"));
}

#[tokio::test]
async fn concurrent_requests() {
    let slow = Script::new()
        .length()
        .wait(1_500)
        .head(200, &[("content-type", "application/json")])
        .data(chat_answer("hello").to_string());
    let fake = Fake::start(Wire::H1, slow).await;
    let gateway = limited(&fake, json!({"concurrent_requests": 2})).await;
    let request = Request::chat(&["m"], false);
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let (address, request) = (gateway.address, request.clone());
            tokio::spawn(async move {
                Client::connect(Version::H1, address)
                    .await
                    .ask(&request)
                    .await
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap().status());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    assert_eq!(
        ask(&gateway, &request).await.status(),
        200,
        "afterwards there is room again"
    );
}

#[tokio::test]
async fn budgets_and_tokens() {
    let fake = Fake::good(Wire::H1, "hello").await;
    // Two answers, and what an estimate is beyond one.
    let gateway = limited(&fake, json!({"budget": {"usd": 0.00003, "per": "total"}})).await;
    let small = Request::post(
        "/v1/chat/completions",
        json!({"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]})
            .to_string(),
    );
    let mut served = 0;
    let refusal = loop {
        let answer = ask(&gateway, &small).await;
        if answer.status() != 200 {
            break answer;
        }
        served += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(
        (refusal.status(), refusal.code().as_str()),
        (429, "ERR_TOLLGATE_3812")
    );
    assert!(refusal.text().contains("budget"), "{}", refusal.text());
    assert!((1..=3).contains(&served), "served {served}");

    let gateway = limited(&fake, json!({"tokens_per_minute": 100})).await;
    let long = Request::post(
        "/v1/chat/completions",
        json!({"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]})
            .to_string(),
    );
    let answer = ask(&gateway, &long).await;
    assert_eq!(
        answer.status(),
        200,
        "it may use more than a whole minute's tokens, of which none are used: {}",
        answer.text()
    );
}
