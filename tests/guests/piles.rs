//! What a tenant can pile up: names in totals and labels, resources, models.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_ledger::bank::{self, Day};

use super::house::{ATTACKER, BANKS, Bank, House, ROOT, TENANT, admin, repeatedly};
use crate::common::client::Answer;
use crate::common::fake::{Fake, Wire};
use crate::common::requests::{Request, from};
use crate::common::script::Script;

/// Scripts and commands of Redis that took longer than 5 ms.
fn slow(house: &House) -> Vec<String> {
    let Some(redis) = &house.redis else {
        return Vec::new();
    };
    let log: redis::Value = redis.ask(&["SLOWLOG", "GET", "-1"]);
    let redis::Value::Array(entries) = log else {
        return Vec::new();
    };
    let told = |entry: redis::Value| format!("{entry:?}").chars().take(300).collect::<String>();
    let of_ours = |told: &String| told.contains("EVAL") || told.contains("SCAN");
    entries.into_iter().map(told).filter(of_ours).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn free_failures_with_ever_new_models_pile_up_nothing() {
    for bank in BANKS {
        let house = House::open(bank, |builder| builder).await;
        if let Some(redis) = &house.redis {
            redis.ask::<()>(&["CONFIG", "SET", "slowlog-log-slower-than", "5000"]);
            redis.ask::<()>(&["SLOWLOG", "RESET"]);
        }
        let deaf = Fake::start(Wire::H1, Script::error(404, "no such model")).await;
        let own = json!({
            "providerId": "deaf", "name": "deaf", "baseUrl": deaf.base_url(), "auth": "none", "models": [{"modelId": "one"}],
        });
        let made = admin(
            &house,
            ROOT,
            "POST",
            &format!("/providers?accountId={ATTACKER}"),
            own,
        )
        .await;
        assert_eq!(made.status(), 201, "{}", made.text());
        let number = std::sync::atomic::AtomicUsize::new(0);
        let today = format!("/usage/overview?accountId={ATTACKER}&startTime=2026-01-01T00:00:00Z");
        let attack = repeatedly(4, Duration::from_millis(1500), |place| {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let (house, today) = (&house, &today);
            async move {
                let model = format!("deaf:{}-{number}", "x".repeat(400));
                let asked = from(ATTACKER, Request::chat(&[&model], false));
                assert_eq!(house.ask(ATTACKER, asked).await, Ok(404));
                if place == 0 {
                    let answer = admin(house, ROOT, "GET", today, Value::Null).await;
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                }
            }
        });
        house.withstands(attack).await;
        let bank_of = bank::on(&house.gateway.database());
        let asked = number.load(std::sync::atomic::Ordering::Relaxed) as u64;
        let end = tollgate_base::clock::now() + Duration::from_secs(10);
        let rows = loop {
            let rows = bank_of
                .rollups(ATTACKER, Day(0), Day(100_000))
                .await
                .unwrap();
            let told: u64 = rows.iter().map(|row| row.requests).sum();
            if told >= asked {
                break rows;
            }
            assert!(tollgate_base::clock::now() < end, "{told} of {asked}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        // One a day, and a test may run at midnight.
        assert!(
            rows.len() <= 2 && rows.iter().all(|row| &*row.model == "other"),
            "{rows:?}"
        );
        let metrics = house.gateway.admin_get("/metrics");
        assert!(!metrics.contains("xxxx") && !metrics.contains("deaf"));
        // The machine may have stopped the server in the middle of one.
        let slow = slow(&house);
        assert!(slow.len() <= 2, "{slow:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_has_no_more_than_its_quota() {
    let quotas = json!({"access_keys": 2, "providers": 2, "provider_keys": 1, "configurations": 1, "api_keys": 1, "models": 3, "metadata": 200});
    let house = House::open(Bank::Sqlite, |builder| {
        builder.config(json!({"admin": {"quotas": quotas}}))
    })
    .await;
    let provider = |n: u32, models: u32| {
        let models: Vec<Value> = (0..models)
            .map(|n| json!({"modelId": format!("m{n}")}))
            .collect();
        json!({"providerId": format!("p{n}"), "name": "p", "baseUrl": "https://p.example", "models": models})
    };
    let over = |answer: &Answer, what: &str| {
        assert_eq!(answer.status(), 403, "{what}: {}", answer.text());
        assert_eq!(answer.json()["errorCode"], "ERR_TOLLGATE_4032");
        assert!(
            answer.text().contains(&format!("admin.quotas.{what}")),
            "{}",
            answer.text()
        );
    };
    let call = async |path: &str, body: Value| admin(&house, TENANT, "POST", path, body).await;
    over(&call("/providers", provider(0, 4)).await, "models");
    let one = call("/providers", provider(1, 2)).await;
    assert_eq!(one.status(), 201, "{}", one.text());
    over(&call("/providers", provider(2, 2)).await, "models");
    assert_eq!(call("/providers", provider(2, 1)).await.status(), 201);
    over(&call("/providers", provider(3, 0)).await, "providers");
    let path = format!("/providers/{}", one.json()["id"].as_str().unwrap());
    let more = json!({"models": provider(1, 3)["models"]});
    over(&admin(&house, TENANT, "PATCH", &path, more).await, "models");
    let fewer = json!({"models": provider(1, 1)["models"]});
    assert_eq!(
        admin(&house, TENANT, "PATCH", &path, fewer).await.status(),
        200
    );
    for (path, what, body) in [
        ("/access-keys", "access_keys", json!({})),
        (
            "/provider-keys",
            "provider_keys",
            json!({"providerId": "p1", "name": "k", "value": "sk-1"}),
        ),
        (
            "/access-key-configurations",
            "configurations",
            json!({"name": "c"}),
        ),
        ("/api-keys", "api_keys", json!({"name": "a"})),
    ] {
        let most = quotas[what].as_u64().unwrap();
        for _ in 0..most {
            let made = call(path, body.clone()).await;
            assert_eq!(made.status(), 201, "{what}: {}", made.text());
        }
        over(&call(path, body).await, what);
    }
    let answer = admin(
        &house,
        TENANT,
        "PATCH",
        &path,
        json!({"metadata": "x".repeat(250)}),
    )
    .await;
    over(&answer, "metadata");
    // Another account has its own.
    let other = admin(
        &house,
        ROOT,
        "POST",
        "/access-keys?accountId=victim",
        json!({}),
    )
    .await;
    assert_eq!(other.status(), 201, "{}", other.text());
}

/// Thousands of models of a tenant's own: each change is taken in, and each wrong name is looked up, beside others' requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_models_of_one_account_slow_nobody() {
    let house = House::open(Bank::Sqlite, |builder| builder).await;
    let mut path = String::new();
    for n in 0..5 {
        let models: Vec<Value> = (0..900)
            .map(|m| json!({"modelId": format!("abcdefghij-klmnopqrst-{n}-{m:04}")}))
            .collect();
        let own = json!({"providerId": format!("many{n}"), "name": "many", "baseUrl": "https://many.example", "models": models});
        let made = admin(&house, TENANT, "POST", "/providers", own).await;
        assert_eq!(made.status(), 201, "{}", made.text());
        path = format!("/providers/{}", made.json()["id"].as_str().unwrap());
    }
    let attack = repeatedly(3, Duration::from_millis(1500), |place| {
        let (house, path) = (&house, &path);
        async move {
            if place == 0 {
                let change = json!({"metadata": "changed"});
                let answer = admin(house, TENANT, "PATCH", path, change).await;
                assert_eq!(answer.status(), 200, "{}", answer.text());
                tokio::time::sleep(Duration::from_millis(100)).await;
            } else {
                let wrong = from(
                    ATTACKER,
                    Request::chat(&["abcdefghij-klmnopqrst-9-99999"], false),
                );
                assert_eq!(house.ask(ATTACKER, wrong).await, Ok(422));
            }
        }
    });
    house.withstands(attack).await;
}
