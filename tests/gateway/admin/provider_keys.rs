//! Provider keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, ROOT, builder, id, ids, without_master_key};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::requests::Request;
use crate::common::script::Script;

const VALUE: &str = "sk-planted-0123456789abcdefghijklmnop";
const ITEMS: &str = "aiGatewayProviderKeys";

fn key(provider: &str, name: &str) -> Value {
    json!({"providerId": provider, "name": name, "value": VALUE})
}

#[tokio::test]
async fn a_key_is_made_shown_changed_and_deleted_and_its_value_is_never_seen() {
    let api = Api::start(builder()).await;
    let mut body = key("openai", "main");
    body["description"] = json!("d");
    body["metadata"] = json!("{}");
    let made = api.create("/provider-keys", body).await;
    let id = id(&made);
    let path = format!("/provider-keys/{id}");
    assert!(id.starts_with("pk_"), "{id}");
    assert_eq!(made["providerId"], "openai");
    assert_eq!(made["keyRedacted"], "sk-planted***mnop");
    assert_eq!(
        (&made["description"], &made["metadata"]),
        (&json!("d"), &json!("{}"))
    );
    assert_eq!(made["lastUsed"], Value::Null);
    assert!(made.get("keySource").is_none() && made.get("value").is_none());
    assert_eq!(api.get(&path).await, made);

    let changed = api
        .update(&path, json!({"name": "other", "description": null}))
        .await;
    assert_eq!(changed["name"], "other");
    assert!(changed.get("description").is_none(), "null clears");
    assert_eq!(changed["metadata"], "{}", "what is absent stays");
    let nameless = api.update(&path, json!({"name": null})).await;
    assert_eq!(nameless["name"], nameless["id"], "every answer has a name");
    let faults = api.faults("PATCH", &path, json!({"value": VALUE})).await;
    assert_eq!(faults, ["value"], "a value changes by rotation");

    let list = api.get("/provider-keys").await;
    assert_eq!(ids(&list, ITEMS), std::slice::from_ref(&id));
    for (provider, count) in [("openai", 1), ("anthropic", 0)] {
        let list = api
            .get(&format!("/provider-keys?provider={provider}"))
            .await;
        assert_eq!(ids(&list, ITEMS).len(), count, "{provider}");
    }
    assert_eq!(
        api.call(ROOT, "HEAD", &path, None).await,
        (200, Value::Null)
    );

    api.expect(204, "DELETE", &path, None).await;
    for method in ["GET", "DELETE"] {
        api.expect(404, method, &path, None).await;
    }
    api.expect(404, "PATCH", &path, Some(json!({}))).await;
    let body = json!({"name": "x", "value": VALUE});
    api.expect(404, "POST", &format!("{path}/rotate"), Some(body))
        .await;
    assert!(!api.gateway.output().contains(VALUE), "a value in the log");
}

#[tokio::test]
async fn every_fault_of_a_key_is_told() {
    let api = Api::start(builder()).await;
    let post = |body| api.faults("POST", "/provider-keys", body);
    assert_eq!(post(json!({})).await, ["name", "providerId", "value"]);
    assert_eq!(post(key("opnai", "a")).await, ["providerId"]);
    let bad = json!({"providerId": "nobody", "name": "a", "value": "two\nlines"});
    assert_eq!(post(bad).await, ["providerId", "value"], "all at once");
    let spaced = json!({"providerId": "openai", "name": "a", "value": " sk"});
    assert_eq!(post(spaced).await, ["value"]);
    let empty = json!({"providerId": "openai", "name": "a", "value": ""});
    assert_eq!(post(empty).await, ["value"]);
    let mut odd = key("openai", "a");
    odd["keySource"] = json!("free");
    assert_eq!(post(odd).await, ["keySource"]);
    let long = json!({"providerId": "openai", "name": "n".repeat(256), "value": VALUE});
    assert_eq!(post(long).await, ["name"]);
    let answer = api
        .expect(422, "POST", "/provider-keys", Some(key("opnai", "a")))
        .await;
    let hint = answer["details"]["providerId"].as_str().unwrap();
    assert!(hint.contains("did you mean `openai`?"), "{hint}");

    let made = api.create("/provider-keys", key("openai", "a")).await;
    let rotate = format!("/provider-keys/{}/rotate", id(&made));
    assert_eq!(
        api.faults("POST", &rotate, json!({})).await,
        ["name", "value"]
    );
    let bad = json!({"name": "a", "value": "two\r\nlines"});
    assert_eq!(api.faults("POST", &rotate, bad).await, ["value"]);
    let (status, _) = api
        .call(READER, "POST", "/provider-keys", Some(key("openai", "b")))
        .await;
    assert_eq!(status, 403, "who reads may not write");
}

#[tokio::test]
async fn without_a_master_key_nothing_secret_is_stored() {
    let api = Api::start(without_master_key()).await;
    let answer = api
        .expect(422, "POST", "/provider-keys", Some(key("openai", "a")))
        .await;
    let why = answer["details"]["value"].as_str().unwrap();
    assert!(why.contains("TOLLGATE_MASTER_KEY"), "{why}");
    assert!(ids(&api.get("/provider-keys").await, ITEMS).is_empty());
}

#[tokio::test]
async fn managed_keys_are_for_callers_of_all_accounts() {
    let api = Api::start(builder()).await;
    for word in ["managed", "ngrok"] {
        let mut body = key("openai", word);
        body["keySource"] = json!(word);
        let (status, answer) = api
            .call(ACME, "POST", "/provider-keys", Some(body.clone()))
            .await;
        assert_eq!(
            (status, &answer["errorCode"]),
            (403, &json!("ERR_TOLLGATE_4031"))
        );
        let made = api.create("/provider-keys", body.clone()).await;
        assert_eq!(made["keySource"], "managed");

        let made = api.create("/provider-keys?accountId=acme", body).await;
        assert_eq!(made["accountId"], "acme");
        let path = format!("/provider-keys/{}", id(&made));
        let (status, _) = api.call(ACME, "GET", &path, None).await;
        assert_eq!(status, 200, "it is the account's to see");
        let value = json!({"name": "x", "value": VALUE});
        for (method, path, body) in [
            ("PATCH", path.clone(), Some(json!({"name": "x"}))),
            ("POST", format!("{path}/rotate"), Some(value)),
            ("DELETE", path, None),
        ] {
            let (status, _) = api.call(ACME, method, &path, body).await;
            assert_eq!(status, 403, "{method} {path}");
        }
    }
    let mut body = key("openai", "own");
    body["keySource"] = json!("user");
    let (status, own) = api.call(ACME, "POST", "/provider-keys", Some(body)).await;
    assert_eq!(status, 201);
    assert!(own.get("keySource").is_none());
    let path = format!("/provider-keys/{}", id(&own));
    api.expect(404, "GET", &path, None).await;
    api.expect(200, "GET", &format!("{path}?accountId=acme"), None)
        .await;
}

#[tokio::test]
async fn declared_keys_are_shown_and_read_only_and_pages_lead_on() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let api = Api::start(builder().fake("f", &fake)).await;
    let declared = api.get("/provider-keys/f-key").await;
    assert_eq!(declared["createdBy"]["id"], "yaml");
    assert_eq!(
        (&declared["name"], &declared["providerId"]),
        (&json!("f-key"), &json!("f"))
    );
    let value = json!({"name": "x", "value": VALUE});
    for (method, path, body) in [
        ("PATCH", "/provider-keys/f-key", Some(json!({"name": "x"}))),
        ("POST", "/provider-keys/f-key/rotate", Some(value)),
        ("DELETE", "/provider-keys/f-key", None),
    ] {
        let answer = api.expect(409, method, path, body).await;
        assert_eq!(answer["errorCode"], "ERR_TOLLGATE_4092", "{method}");
    }
    for name in ["a", "b", "c"] {
        api.create("/provider-keys", key("f", name)).await;
    }
    let (mut path, mut all) = ("/provider-keys?limit=1&provider=f".to_owned(), Vec::new());
    while !path.is_empty() {
        let page = api.get(&path).await;
        all.extend(ids(&page, ITEMS));
        let next = page["nextPageUri"].as_str().unwrap_or_default().to_owned();
        path = next
            .split_once("/provider-keys")
            .map_or_else(String::new, |(_, rest)| format!("/provider-keys{rest}"));
    }
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.is_sorted_by(|one, other| one > other), "{all:?}");
}

#[tokio::test]
async fn a_key_serves_at_once_and_rotation_under_load_fails_no_request() {
    let fake = Fake::answering(Wire::H1, |seen| match seen.header("authorization") {
        Some(key) if key.starts_with("Bearer sk-rotated-") => Script::chat(false, "hi"),
        _ => Script::error(401, "who are you?"),
    })
    .await;
    let api = Api::start(builder()).await;
    let provider = json!({"providerId": "mine", "name": "Mine", "baseUrl": fake.base_url()});
    api.create("/providers", provider).await;
    let value = |number: usize| format!("sk-rotated-{number:020}");
    let body = json!({"providerId": "mine", "name": "k", "value": value(0)});
    let key = id(&api.create("/provider-keys", body).await);

    let api = Arc::new(api);
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (address, stop, asked) = (api.gateway.address, stop.clone(), asked.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(Version::H1, address).await;
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.ask(&Request::chat(&["mine:m"], false)).await;
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=20 {
        let body = json!({"name": format!("k{number}"), "value": value(number)});
        let path = format!("/provider-keys/{key}/rotate");
        let before = asked.load(Ordering::Relaxed);
        let rotated = api.expect(200, "POST", &path, Some(body)).await;
        assert_eq!(rotated["name"], format!("k{number}"));
        while asked.load(Ordering::Relaxed) < before + 4 {
            tokio::task::yield_now().await;
            assert!(clients.iter().all(|client| !client.is_finished()));
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // Who asked while it was rotated may have come last.
    let request = Request::chat(&["mine:m"], false);
    let mut client = Client::connect(Version::H1, api.gateway.address).await;
    assert_eq!(client.ask(&request).await.status(), 200);
    let seen = fake.seen();
    let last = seen.last().unwrap().header("authorization").unwrap();
    assert_eq!(last, format!("Bearer {}", value(20)));
    let shown = api.get(&format!("/provider-keys/{key}")).await;
    assert!(shown["lastUsed"].is_string(), "{shown}");
}
