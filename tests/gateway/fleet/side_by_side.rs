//! Two versions of the program on one Redis: this build's, and the one that the environment variable
//! `TOLLGATE_PREVIOUS_BIN` names. `make test-upgrade` builds that and runs this.

use super::furnished::{Furnished, furnish, rename, shown};
use super::*;
use crate::common::fake::{Fake, Wire};

const PREVIOUS: &str = "TOLLGATE_PREVIOUS_BIN";

/// The kinds that can be listed: where, and where the list's items are.
const LISTS: [(&str, &str); 6] = [
    ("/accounts", "accounts"),
    ("/providers", "aiGatewayProviders"),
    ("/provider-keys", "aiGatewayProviderKeys"),
    (
        "/access-key-configurations",
        "aiGatewayAccessKeyConfigurations",
    ),
    ("/access-keys", "aiGatewayAccessKeys"),
    ("/api-keys", "aiGatewayApiKeys"),
];

/// A list's items by id.
async fn listed(gateway: &Gateway, (path, name): (&str, &str)) -> Vec<Value> {
    let mut list = shown(gateway, path).await;
    let mut items = list[name]
        .take()
        .as_array()
        .cloned()
        .unwrap_or_else(|| panic!("{path} has no {name}: {list}"));
    for item in &mut items {
        told_by_both(item);
        let fields = item.as_object_mut().unwrap();
        fields.remove("lastUsed");
        // Declared ones are as old as their process.
        for time in ["createdAt", "updatedAt"] {
            fields.remove(time);
        }
    }
    items
}

/// Takes out what only this version tells.
fn told_by_both(shown: &mut Value) {
    let models = shown.get_mut("models").and_then(Value::as_array_mut);
    for model in models.into_iter().flatten() {
        model.as_object_mut().unwrap().remove("precededBy");
    }
}

/// The same, of both gateways.
async fn agree(gateways: [&Gateway; 2], made: &Furnished, what: &str) {
    for path in &made.paths {
        let mut both = [
            shown(gateways[0], path).await,
            shown(gateways[1], path).await,
        ];
        both.iter_mut().for_each(told_by_both);
        assert_eq!(both[0], both[1], "{what}: {path}");
    }
    for list in LISTS {
        let both = [
            listed(gateways[0], list).await,
            listed(gateways[1], list).await,
        ];
        assert_eq!(both[0], both[1], "{what}: {list:?}");
    }
}

async fn serve(gateway: &Gateway, made: &Furnished, what: &str) -> usize {
    let chats = made.chats();
    for chat in &chats {
        until(gateway.address, chat, 200, clock::now(), what).await;
    }
    chats.len()
}

/// Totals of all days and the balance, as a gateway tells them.
async fn money(gateway: &Gateway) -> (Value, Value) {
    let overview = shown(gateway, "/usage/overview?startTime=2026-01-01T00:00:00Z").await;
    (
        overview["totals"].clone(),
        shown(gateway, "/credits/balance").await,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_and_this_one_share_a_redis() {
    let Ok(previous) = std::env::var(PREVIOUS) else {
        return println!(
            "not tried: {PREVIOUS} names no binary of the version before (see `make test-upgrade`)"
        );
    };
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let fee = json!({"ledger": {"processing_fee": 1}});
    let start = || replica(&redis).config(fee.clone()).fake("f", &fake);
    // An upgrade begins with what the version before has made: it is not sealed while that one runs.
    let mut before = start().binary(&previous).start().await;
    create(&before).await;
    let mut this = start().start().await;

    let mut served = 0;
    for round in 0..2 {
        for (maker, other, who) in [(&this, &before, "this"), (&before, &this, "before")] {
            let made = furnish(maker, &fake, &format!("{who}-{round}")).await;
            served += serve(maker, &made, "where it was made").await;
            served += serve(other, &made, "by the other version").await;
            agree([maker, other], &made, "made").await;
            for path in &made.paths {
                rename(other, path, "patched").await;
            }
            agree([maker, other], &made, "patched by the other version").await;
            let id = made.path("/provider-keys").rsplit_once('/').unwrap().1;
            rotate(other, id, "sk-rotated").await;
            let path = made.path("/access-key-configurations");
            let limits = json!({"limits": {"requestsPerMinute": 500, "budgets": [{"usd": "7", "per": "month"}]}});
            change(other, "PATCH", path, limits).await;
            let path = made.path("/providers");
            let models = json!({"models": [{"modelId": "m", "aliases": ["mm"]}, {"modelId": "n"}]});
            change(other, "PATCH", path, models).await;
            change(
                maker,
                "PATCH",
                made.path("/access-keys"),
                json!({"limits": null}),
            )
            .await;
            change(
                maker,
                "PATCH",
                "/gateway-config",
                json!({"maxOutputTokens": 500}),
            )
            .await;
            agree([maker, other], &made, "patched by both").await;
            served += serve(maker, &made, "after changes, where it was made").await;
            served += serve(other, &made, "after changes, by the other version").await;
            if round == 0 {
                continue;
            }
            for path in made
                .paths
                .iter()
                .rev()
                .filter(|path| *path != "/gateway-config")
            {
                let gone = ask(other.admin, &admin("DELETE", path, None)).await;
                assert_eq!(gone.status(), 204, "{path}: {}", gone.text());
                let missing = ask(maker.admin, &admin("GET", path, None)).await;
                assert_eq!(missing.status(), 404, "{path}: {}", missing.text());
            }
            let [chat, _] = made.chats();
            until(
                maker.address,
                &chat,
                401,
                clock::now(),
                "deleted by the other version",
            )
            .await;
        }
    }

    // Each request is charged once, and both tell the same of it.
    let end = clock::now() + common::PATIENCE;
    loop {
        let both = [money(&this).await, money(&before).await];
        let requests = both[0].0["requests"].as_u64().unwrap();
        if both[0] == both[1] && requests == served as u64 {
            break;
        }
        assert!(clock::now() < end, "{served} requests: {both:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for gateway in [&mut this, &mut before] {
        gateway.stop().await;
        let verified = gateway.command(&["ledger", "verify"]);
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success(), "{said}");
    }
    // Each takes over what the other left, with its books.
    let now = bank(&this).books("default").await.unwrap();
    for gateway in [&mut this, &mut before] {
        gateway.restart().await;
        assert_eq!(
            bank(gateway).books("default").await.unwrap().spent,
            now.spent
        );
        let output = gateway.output();
        assert!(!output.contains("cannot be read"), "{output}");
    }
}
