//! Who writes to the store, and what is said of secrets that are in the wrong place.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_base::clock;
use tollgate_control::store::{self, Commit, Committed, Store, Write};

use super::house::{ATTACKER, BANKS, Bank, House, ROOT, TENANT, VICTIM, admin};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, sha256};
use crate::common::requests::{Request, from};
use crate::common::{PATIENCE, eventually};

const SECRET: &str = "sk-proj-of-the-victim-0123456789";

async fn made(house: &House, path: &str, body: Value) -> Value {
    let answer = admin(house, ROOT, "POST", path, body).await;
    assert_eq!(answer.status(), 201, "{path}: {}", answer.text());
    answer.json()
}

fn store(gateway: &Gateway) -> Arc<dyn Store> {
    store::on(&gateway.database())
}

/// Writes a document as one does who has the store's password, and nothing else.
async fn write(store: &dyn Store, kind: &str, id: &str, body: String) {
    let write = Write {
        kind: kind.to_owned(),
        id: id.to_owned(),
        body: Some(body),
    };
    let writes = vec![write];
    loop {
        let revision = store.load().await.unwrap().revision;
        let id = tollgate_base::random::bits64();
        let commit = Commit {
            id,
            writes: writes.clone(),
            audit: Vec::new(),
        };
        if let Committed::At(_) = store.commit(revision, &commit).await.unwrap() {
            return;
        }
    }
}

async fn stored(store: &dyn Store, kind: &str, id: &str) -> String {
    let all = store.load().await.unwrap().records;
    let mut all = all.into_iter();
    all.find(|one| one.kind == kind && one.id == id)
        .unwrap()
        .body
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_to_the_store_learns_and_forges_nothing() {
    for bank in BANKS {
        let mut house = House::open(bank, |builder| builder).await;
        let (good, evil) = (
            Fake::good(Wire::H1, "good").await,
            Fake::good(Wire::H1, "evil").await,
        );
        let own = |guest: &str, fake: &Fake| json!({"providerId": format!("{guest}-own"), "name": "own", "baseUrl": fake.base_url(), "models": [{"modelId": "own"}]});
        let of = |path: &str, guest: &str| format!("{path}?accountId={guest}");
        let mine = made(&house, &of("/providers", VICTIM), own(VICTIM, &good)).await;
        let theirs = made(&house, &of("/providers", ATTACKER), own(ATTACKER, &evil)).await;
        let key = json!({"providerId": "victim-own", "name": "key", "value": SECRET});
        let key = made(&house, &of("/provider-keys", VICTIM), key).await;
        let bait = json!({"providerId": "attacker-own", "name": "key", "value": "sk-bait"});
        let bait = made(&house, &of("/provider-keys", ATTACKER), bait).await;
        let text = |made: &Value| made["id"].as_str().unwrap().to_owned();
        let asks = |model: &str| from(VICTIM, Request::chat(&[model], false));
        assert_eq!(house.ask(VICTIM, asks("victim-own:own")).await, Ok(200));
        assert_eq!(
            good.seen()[0].header("authorization"),
            Some(&*format!("Bearer {SECRET}"))
        );

        let beside = store(&house.gateway);
        let sealed = stored(&*beside, "provider-key", &text(&key)).await;
        let value = sealed
            .split("\"sealed\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        // The key for the attacker's provider; its value in the attacker's key; the provider elsewhere.
        let moved = sealed
            .replace("victim-own", "attacker-own")
            .replace("\"victim\"", "\"attacker\"");
        let hers = stored(&*beside, "provider-key", &text(&bait)).await;
        let old = hers
            .split("\"sealed\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let provider = stored(&*beside, "provider", &text(&mine)).await;
        let elsewhere = provider.replace(&good.base_url(), &evil.base_url());
        let forged = [
            ("provider-key", text(&key), moved.clone()),
            ("provider-key", "pk_forged".to_owned(), moved),
            ("provider-key", text(&bait), hers.replace(&old, value)),
            ("provider", text(&mine), elsewhere),
            ("api-key", "api_forged".to_owned(), json!({
                "account": "default", "createdAt": 1, "updatedAt": 1, "createdBy": "x", "lastUpdatedBy": "x",
                "sha256": sha256("tga-forged"), "redacted": "tga-***", "role": "full",
            }).to_string()),
            ("seal", "store".to_owned(), "{}".to_owned()),
        ];
        for (kind, id, body) in &forged {
            write(&*beside, kind, id, body.clone()).await;
        }
        drop(beside);
        for round in 0..2 {
            let said = || {
                house
                    .gateway
                    .output()
                    .matches("without the master key")
                    .count()
                    >= forged.len() - 1
            };
            assert!(
                eventually(PATIENCE, said).await,
                "{}",
                house.gateway.output()
            );
            for model in ["victim-own:own", "attacker-own:own", "own"] {
                // What is said in the log is served from a moment later.
                let end = clock::now() + PATIENCE;
                while house.ask(VICTIM, asks(model)).await == Ok(200) {
                    assert!(clock::now() < end, "{model} is served");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                house.ask(ATTACKER, asks(model)).await.unwrap();
            }
            let answer = admin(&house, "tga-forged", "GET", "/accounts", Value::Null).await;
            assert_eq!(answer.status(), 401);
            assert_eq!(
                house.ask(VICTIM, asks("f:m")).await,
                Ok(200),
                "what is declared is served"
            );
            if round == 0 {
                house.gateway.kill();
                house.gateway.restart().await;
            }
        }
        for seen in evil.seen() {
            assert!(!format!("{:?}", seen.headers).contains(SECRET), "{bank:?}");
        }
        assert!(!house.gateway.output().contains(SECRET));
        assert!(theirs.is_object());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_sent_where_they_were_given_for() {
    let house = House::open(Bank::Sqlite, |builder| builder).await;
    let tenants =
        json!({"providerId": "theirs", "name": "theirs", "baseUrl": "https://theirs.example"});
    let answer = admin(&house, TENANT, "POST", "/providers", tenants).await;
    assert_eq!(answer.status(), 201, "{}", answer.text());
    let provider = format!("/providers/{}", answer.json()["id"].as_str().unwrap());
    let key = |managed: bool| {
        let source = if managed { "managed" } else { "user" };
        json!({"providerId": "theirs", "name": "key", "value": SECRET, "keySource": source})
    };
    let path = format!("/provider-keys?accountId={ATTACKER}");
    let refused = admin(&house, ROOT, "POST", &path, key(true)).await;
    assert_eq!(refused.status(), 422, "{}", refused.text());
    assert!(refused.text().contains("keySource"), "{}", refused.text());
    let own = made(&house, &path, key(false)).await;
    let to = |url: &str| json!({"baseUrl": url});
    for url in ["https://elsewhere.example", "https://theirs.example:8443"] {
        let moved = admin(&house, TENANT, "PATCH", &provider, to(url)).await;
        assert_eq!(moved.status(), 409, "{}", moved.text());
        assert!(
            moved.text().contains(own["id"].as_str().unwrap()),
            "{}",
            moved.text()
        );
    }
    let same = admin(
        &house,
        TENANT,
        "PATCH",
        &provider,
        to("https://theirs.example/v2"),
    )
    .await;
    assert_eq!(same.status(), 200, "{}", same.text());
    let gone = format!(
        "/provider-keys/{}?accountId={ATTACKER}",
        own["id"].as_str().unwrap()
    );
    assert_eq!(
        admin(&house, ROOT, "DELETE", &gone, Value::Null)
            .await
            .status(),
        204
    );
    let moved = admin(
        &house,
        TENANT,
        "PATCH",
        &provider,
        to("https://elsewhere.example"),
    )
    .await;
    assert_eq!(moved.status(), 200, "{}", moved.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_ask_for_a_key_and_logs_name_no_token() {
    let house = House::open(Bank::Sqlite, |builder| {
        builder.config(json!({"admin": {"metrics_need_key": true}}))
    })
    .await;
    let own = json!({
        "providerId": "hidden-name", "name": "own", "baseUrl": house.provider.base_url(), "auth": "none",
        "models": [{"modelId": "hidden-model"}],
    });
    made(&house, &format!("/providers?accountId={ATTACKER}"), own).await;
    let asks = from(
        ATTACKER,
        Request::chat(&["hidden-name:hidden-model"], false),
    );
    assert_eq!(house.ask(ATTACKER, asks).await, Ok(200));
    for (key, status) in [("", 401), (TENANT, 403), (ROOT, 200)] {
        let answer = admin(&house, key, "GET", "/metrics", Value::Null).await;
        assert_eq!(answer.status(), status);
        assert!(!answer.text().contains("hidden"), "{}", answer.text());
    }
    let token = "tg-app-g1-0123456789abcdefghijklmnopqrstuv";
    for path in [
        format!("/v1/{token}"),
        format!("/{SECRET}/v1/chat/completions"),
    ] {
        let status = house.ask(ATTACKER, Request::get(&path)).await.unwrap();
        assert!(status >= 400);
    }
    let written = || house.gateway.access_log().len() >= 3;
    assert!(eventually(Duration::from_secs(5), written).await);
    let log = json!(house.gateway.access_log()).to_string() + &house.gateway.output();
    assert!(!log.contains(token) && !log.contains(SECRET), "{log}");
    assert!(log.contains("\"/v1/***\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_literal_secret_in_the_wrong_place_is_never_printed() {
    let house = House::open(Bank::Sqlite, |builder| builder).await;
    let file = house.gateway.path("wrong.yaml");
    let mut checked = 0;
    for wrong in [
        "providers: [{ id: f, KEY: 1 }]",
        "providers: [{ id: f, auth: KEY }]",
        "providers: [{ id: f, base_url: KEY }]",
        "providers: [{ id: KEY, base_url: 'http://127.0.0.1:1' }]",
        "providers: [{ id: f, surfaces: [KEY] }]",
        "providers: [{ id: f, timeouts: { total: KEY } }]",
        "providers: [{ id: f, passthrough: KEY }]",
        "providers: [{ id: f, models: [{ id: m, context_window: KEY }] }]",
        "providers: KEY",
        "KEY: 1",
        "KEY",
        "include: KEY",
        "access_keys: [{ id: KEY, sha256: KEY }]",
        "access_keys: [{ id: a, sha256: KEY, account: KEY, configuration: KEY }]",
        "configurations: [{ id: c, access: { providers: { allow: [KEY] }, models: { allow: [KEY] } } }]",
        "configurations: [{ id: c, router: { rules: [{ provider: KEY, steps: [{ type: KEY, keys: [KEY] }] }] } }]",
        "accounts: [{ id: KEY, grants: [{ id: g, usd: KEY }] }]",
        "secrets: { master_key: KEY }",
        "admin: { listen: KEY, public_url: KEY, api_keys: [{ id: KEY, sha256: KEY, role: KEY }] }",
        "ledger: { bank: KEY, flush: KEY }",
        "ledger: { redis: { url: KEY } }",
        "log: { access: KEY, level: KEY }",
        "proxy: { listen: KEY, threads: KEY, max_body: KEY }",
        "catalog: { feeds: [{ id: KEY, url: KEY, format: KEY }] }",
        "x: [KEY",
        "x: &KEY 1",
        "x: *KEY",
        "x: !KEY 1",
    ] {
        for secret in [SECRET, "xK9dPq2LmVb7RtYw4ZcNhJ"] {
            let text = wrong.replace("KEY", secret);
            let said = match tollgate_config::parse(&text, &|_| None) {
                Ok(config) => config.warnings.iter().map(ToString::to_string).collect(),
                Err(faults) => faults.to_string(),
            };
            assert!(!said.contains(secret), "{wrong}: {said}");
            // The same by the program, now and then: a process takes its time.
            if checked % 16 == 0 {
                std::fs::write(&file, text).unwrap();
                let check = house.gateway.command(&["check", "--config", "wrong.yaml"]);
                let said = [check.stdout, check.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                assert!(!said.contains(secret), "{wrong}: {said}");
            }
            checked += 1;
        }
    }
    // A password of letters alone, where a figure or one of a few words belongs.
    let password = "correcthorsebatterystaple";
    for wrong in [
        "providers: [{ id: f, auth: KEY, passthrough: KEY, surfaces: [KEY], timeouts: { total: KEY } }]",
        "ledger: { bank: KEY, flush: KEY, credits: KEY }",
        "proxy: { threads: KEY, max_body: KEY, drain: KEY }",
    ] {
        let faults = tollgate_config::parse(&wrong.replace("KEY", password), &|_| None);
        let said = faults.unwrap_err().to_string();
        assert!(!said.contains(password), "{wrong}: {said}");
    }
}
