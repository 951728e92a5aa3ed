//! The audit log, and cool-downs.

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{ACME, Api, ROOT, builder, id};
use crate::common::PATIENCE;
use crate::common::fake::{Fake, Wire};
use crate::common::process::Process;
use crate::common::script::Script;

fn entries(page: &Value) -> &Vec<Value> {
    page["auditLog"].as_array().unwrap()
}

#[tokio::test]
async fn every_change_is_told_without_secrets() {
    let api = Api::start(builder()).await;
    let key = api.create("/access-keys", json!({"name": "one"})).await;
    let path = format!("/access-keys/{}", id(&key));
    api.update(&path, json!({"name": "two"})).await;
    api.expect(204, "DELETE", &path, None).await;
    let (_, other) = api
        .call(ACME, "POST", "/access-keys", Some(json!({})))
        .await;

    let log = api.get("/audit-log").await;
    assert_eq!(log["nextPageUri"], Value::Null);
    let told: Vec<&Value> = entries(&log).iter().map(|one| &one["action"]).collect();
    assert_eq!(
        told,
        ["create", "delete", "update", "create"],
        "the newest first"
    );
    let [theirs, deleted, updated, created] = &entries(&log)[..] else {
        panic!("{log}")
    };
    assert_eq!(
        (&created["before"], &deleted["after"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(updated["before"]["name"], "one");
    assert_eq!(updated["after"]["name"], "two");
    assert_eq!(updated["kind"], "access-key");
    assert_eq!(updated["resourceId"], key["id"]);
    assert_eq!(
        (&updated["accountId"], &theirs["accountId"]),
        (&json!("default"), &json!("acme"))
    );
    assert_eq!(updated["actor"]["address"], "127.0.0.1");
    assert!(
        updated["actor"]["requestId"]
            .as_str()
            .unwrap()
            .starts_with("req_")
    );
    assert!(updated["at"].as_str().unwrap().ends_with('Z'));
    let (digest, token) = ("sha256", key["token"].as_str().unwrap());
    let text = log.to_string();
    assert!(!text.contains(digest) && !text.contains(token), "{text}");

    let root = created["actor"]["id"].as_str().unwrap();
    let acme = theirs["actor"]["id"].as_str().unwrap();
    for (query, count) in [
        ("kind=access-key".to_owned(), 4),
        ("kind=provider-key".to_owned(), 0),
        (format!("resourceId={}", id(&key)), 3),
        (format!("actorId={root}"), 3),
        (format!("actorId={acme}"), 1),
        (format!("actorId={acme}&resourceId={}", id(&other)), 1),
        ("accountId=acme".to_owned(), 1),
    ] {
        let page = api.get(&format!("/audit-log?{query}")).await;
        assert_eq!(entries(&page).len(), count, "{query}: {page}");
    }
    let (_, own) = api.call(ACME, "GET", "/audit-log", None).await;
    assert_eq!(entries(&own).len(), 1, "an account sees its own: {own}");
    let foreign = api
        .call(ACME, "GET", "/audit-log?accountId=default", None)
        .await;
    assert_eq!(foreign.0, 403);

    let base = format!("http://{}", api.gateway.admin);
    let (mut seen, mut path) = (Vec::new(), "/audit-log?limit=3".to_owned());
    loop {
        let page = api.get(&path).await;
        seen.extend(entries(&page).clone());
        let Some(next) = page["nextPageUri"].as_str() else {
            break;
        };
        path = next.strip_prefix(&base).unwrap().to_owned();
    }
    assert_eq!(&seen, entries(&log));
    let bad = api
        .expect(422, "GET", "/audit-log?before=nonsense", None)
        .await;
    assert!(bad["details"]["before"].is_string(), "{bad}");
}

async fn resting(api: &Api) -> Vec<Value> {
    api.get("/cool-downs").await["coolDowns"]
        .as_array()
        .unwrap()
        .clone()
}

/// Waits until so many provider keys rest.
async fn until_rest(api: &Api, count: usize) {
    let end = tollgate_base::clock::now() + PATIENCE;
    while resting(api).await.len() != count {
        assert!(tollgate_base::clock::now() < end, "not {count} cool-downs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn limited(id: &str) -> Script {
    Script::error_with(429, id, &[("retry-after", "300")])
}

#[tokio::test]
async fn cool_downs_are_shown_and_cleared() {
    let one = Fake::start(Wire::H1, limited("one")).await;
    let two = Fake::start(Wire::H1, limited("two")).await;
    let api = Api::start(builder().fake("one", &one).fake("two", &two)).await;
    assert!(resting(&api).await.is_empty());
    for model in ["one:m", "two:m"] {
        api.chat(model).await;
    }
    // A request is settled after its answer has left.
    until_rest(&api, 2).await;
    let all = resting(&api).await;
    let first = all
        .iter()
        .find(|rest| rest["providerKeyId"] == "one-key")
        .unwrap();
    assert_eq!(
        (&first["providerId"], &first["reason"]),
        (&json!("one"), &json!("429"))
    );
    assert!(first["until"].as_str().unwrap().ends_with('Z'));
    let (_, theirs) = api.call(ACME, "GET", "/cool-downs", None).await;
    assert_eq!(theirs["coolDowns"], json!([]), "the keys of other accounts");
    for (path, status) in [("/cool-downs/one-key", 404), ("/cool-downs", 403)] {
        assert_eq!(
            api.call(ACME, "DELETE", path, None).await.0,
            status,
            "{path}"
        );
    }

    api.expect(404, "DELETE", "/cool-downs/nobody", None).await;
    api.expect(204, "DELETE", "/cool-downs/one-key", None).await;
    api.expect(204, "DELETE", "/cool-downs/one-key", None).await;
    let left = resting(&api).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["providerKeyId"], "two-key");
    api.chat("one:m").await;
    until_rest(&api, 2).await;
    api.expect(204, "DELETE", "/cool-downs", None).await;
    assert!(resting(&api).await.is_empty());
    let log = api.get("/audit-log?kind=cool-down-cleared").await;
    let cleared: Vec<&Value> = entries(&log).iter().map(|one| &one["resourceId"]).collect();
    assert_eq!(cleared, ["*", "one-key", "one-key"]);
    assert!(
        entries(&log).iter().all(|one| one["action"] == "clear"),
        "{log}"
    );
}

#[tokio::test]
async fn a_fleet_hears_that_a_cool_down_is_cleared() {
    let redis = Process::start(&[]);
    let fake = Fake::start(Wire::H1, limited("f")).await;
    let start = async || {
        let ledger = json!({"ledger": {"bank": "redis", "redis": {"url": redis.url()}}});
        Api::start(builder().fake("f", &fake).config(ledger)).await
    };
    let (one, other) = (start().await, start().await);
    one.chat("f:m").await;
    until_rest(&one, 1).await;
    until_rest(&other, 1).await;
    assert_eq!(resting(&other).await[0]["shared"], true);
    // Until the other one has heard of it by itself, as well.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (status, _) = other.call(ROOT, "DELETE", "/cool-downs/f-key", None).await;
    assert_eq!(status, 204);
    assert!(resting(&other).await.is_empty());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(resting(&one).await.is_empty(), "within a second");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(
        resting(&one).await.is_empty() && resting(&other).await.is_empty(),
        "for good"
    );

    one.chat("f:m").await;
    until_rest(&other, 1).await;
    one.expect(204, "DELETE", "/cool-downs", None).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(resting(&other).await.is_empty(), "all of them, too");
}
