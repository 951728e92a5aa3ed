//! What one replica changes, the other serves within a second.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::script::Script;

/// The worst of some times, and all of them for people.
pub fn worst(what: &str, mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    let (worst, median) = (*all.last().unwrap(), all[all.len() / 2]);
    println!(
        "{what}: worst {worst:.1?} of {}, median {median:.1?}",
        all.len()
    );
    worst
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_key_works_and_stops_working_everywhere_within_a_second() {
    const ROUNDS: usize = 20;
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let one = replica(&redis).fake("f", &fake).start().await;
    let other = replica(&redis).fake("f", &fake).start().await;
    let (mut created, mut deleted) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (here, there) = if round % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let (id, token) = create(here).await;
        let began = clock::now();
        let mine = ask(here.address, &chat(&token)).await;
        assert_eq!(
            mine.status(),
            200,
            "at once where it was made: {}",
            mine.text()
        );
        created.push(until(there.address, &chat(&token), 200, began, "a new key").await);
        delete(here, &id).await;
        let began = clock::now();
        let mine = ask(here.address, &chat(&token)).await;
        assert_eq!(
            mine.status(),
            401,
            "at once where it was deleted: {}",
            mine.text()
        );
        deleted.push(until(there.address, &chat(&token), 401, began, "a deleted key").await);
    }
    // Each is announced with what it serves.
    let listed = async || {
        let fleet = ask(one.admin, &admin("GET", "/fleet", None)).await.json();
        let gateways = fleet["gateways"].as_array().unwrap().clone();
        let all = |name: &str| {
            gateways
                .iter()
                .map(|one| one[name].clone())
                .collect::<Vec<_>>()
        };
        (
            all("state"),
            all("revision"),
            all("answers"),
            all("version"),
        )
    };
    let has_both = async || {
        let (states, revisions, answers, _) = listed().await;
        let revision = json!(2 * ROUNDS);
        states == ["ready", "ready"]
            && revisions == [revision.clone(), revision]
            && answers.iter().filter(|answers| **answers == true).count() == 1
    };
    let end = clock::now() + common::PATIENCE;
    while !has_both().await {
        assert!(clock::now() < end, "{:?}", listed().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(worst("a new access key at the other replica", created) < SOON);
    assert!(worst("a deleted access key at the other replica", deleted) < SOON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_resource_reaches_every_replica_within_a_second() {
    let redis = Process::start(&[]);
    // Says which provider key it was called with.
    let fake = Fake::answering(Wire::H1, |seen| {
        let key = seen.header("authorization").unwrap_or_default();
        Script::chat(false, key.trim_start_matches("Bearer "))
    })
    .await;
    let replicas = [
        replica(&redis).fake("f", &fake).start().await,
        replica(&redis).fake("f", &fake).start().await,
    ];
    let a = provider_key(&replicas[0], "a").await;
    let b = provider_key(&replicas[0], "b").await;
    let only = |key: &str| {
        let steps = json!([{"type": "user", "keys": [{"id": key}]}]);
        json!({"name": "one", "router": {"rules": [{"provider": "f", "steps": steps}]}})
    };
    let made = change(&replicas[0], "POST", "/access-key-configurations", only(&a)).await;
    let configuration = made["id"].as_str().unwrap();
    let link = json!({"accessKeyConfigurationId": configuration});
    let linked = change(&replicas[1], "POST", "/access-keys", link).await;
    let token = linked["token"].as_str().unwrap().to_owned();
    let says = async |gateway: &Gateway, text: &str, began: Instant| loop {
        let answer = ask(gateway.address, &chat(&token)).await;
        if answer.status() == 200 && answer.text().contains(&format!("\"{text}\"")) {
            return clock::now() - began;
        }
        let waited = clock::now() - began;
        assert!(
            waited < crate::common::PATIENCE,
            "{text}: {}",
            answer.text()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut values = Vec::new();
    for round in 0..10 {
        let value = format!("value-{round}");
        rotate(&replicas[round % 2], &a, &value).await;
        let began = clock::now();
        for gateway in &replicas {
            values.push(says(gateway, &value, began).await);
        }
    }
    let mut configurations = Vec::new();
    for round in 0..10 {
        let path = format!("/access-key-configurations/{configuration}");
        let rules = only([&b, &a][round % 2]);
        change(&replicas[round % 2], "PATCH", &path, rules).await;
        let began = clock::now();
        for gateway in &replicas {
            let text = ["b", "value-9"][round % 2];
            configurations.push(says(gateway, text, began).await);
        }
    }
    let mut settings = Vec::new();
    for round in 0..10 {
        let limit = json!({"maxInputTokens": (round % 2 == 0).then_some(1)});
        change(&replicas[round % 2], "PATCH", "/gateway-config", limit).await;
        let began = clock::now();
        for gateway in &replicas {
            let status = [413, 200][round % 2];
            settings.push(until(gateway.address, &chat(&token), status, began, "settings").await);
        }
    }
    assert!(worst("a provider key's new value", values) < SOON);
    assert!(worst("a configuration's new rules", configurations) < SOON);
    assert!(worst("an account's new settings", settings) < SOON);
}
