//! Which credentials serve, and in which order.

use serde_json::{Value, json};

use super::{access_key, ask, from};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider};
use crate::common::requests::Request;
use crate::common::script::Script;

/// Who asks: an account, and the rules it has.
type Caller = (&'static str, Option<Value>);

/// For each caller the credentials that are tried for these models, in order, and what it is answered. Every attempt
/// is refused in a way that leads to the next, and lets the key cool down for nobody else.
async fn tried(callers: &[Caller], models: &[&str]) -> Vec<(Vec<String>, u16, String)> {
    let fake = Fake::start(Wire::H1, Script::error(409, "no")).await;
    let mut entry = provider("p", &fake);
    let key = |id: &str| json!({"id": id, "value": format!("KEY-{id}")});
    let of = |id: &str, account: &str| {
        let mut key = key(id);
        key["account"] = json!(account);
        key
    };
    // Credits pay for managed keys, so there must be a price.
    let prices = json!({"input": 1, "output": 2});
    entry["models"] = json!([{"id": "m", "prices": prices}, {"id": "n", "prices": prices}]);
    entry["keys"] = json!([key("u1"), of("sales", "sales"), key("u2")]);
    entry["managed_keys"] = json!([key("h1"), key("h2")]);
    let (mut configurations, mut keys) = (Vec::new(), Vec::new());
    for (index, (account, rules)) in callers.iter().enumerate() {
        let id = format!("caller{index}");
        let mut caller = json!({"account": account});
        if let Some(rules) = rules {
            configurations.push(json!({"id": id, "router": {"rules": rules}}));
            caller["configuration"] = json!(id);
        }
        keys.push(access_key(&id, &caller));
    }
    let mut config = accounts(&["default", "sales", "poor"]);
    config["configurations"] = json!(configurations);
    config["access_keys"] = json!(keys);
    let gateway = Gateway::builder()
        .provider(entry)
        .config(config)
        .start()
        .await;
    let mut told = Vec::new();
    for index in 0..callers.len() {
        let caller = format!("caller{index}");
        let before = fake.count();
        let answer = ask(&gateway, &from(&caller, Request::chat(models, false))).await;
        let seen = fake.seen();
        let keys = seen[before..].iter().map(|seen| {
            let model = seen.json()["model"].as_str().unwrap().to_owned();
            let key = seen
                .header("authorization")
                .unwrap()
                .replace("Bearer KEY-", "");
            if models.len() > 1 {
                format!("{model}/{key}")
            } else {
                key
            }
        });
        told.push((keys.collect(), answer.status(), answer.code()));
    }
    told
}

#[tokio::test]
async fn without_a_rule_the_accounts_own_keys_come_first() {
    let elsewhere = json!([{"model": "p/n", "steps": [{"type": "managed"}]}]);
    for rules in [None, Some(elsewhere)] {
        let callers = ["default", "sales", "poor"].map(|account| (account, rules.clone()));
        let expected = [
            &["u1", "u2", "h1", "h2"][..],
            &["sales", "h1", "h2"],
            &["h1", "h2"],
        ];
        let told = tried(&callers, &["p:m"]).await;
        for ((caller, wanted), (keys, ..)) in callers.iter().zip(expected).zip(told) {
            assert_eq!(keys, wanted, "{caller:?}");
        }
    }
}

#[tokio::test]
async fn a_rule_says_which_keys_serve_and_in_which_order() {
    let user = json!({"type": "user"});
    let managed = json!({"type": "managed"});
    let rule = |steps: Value| json!([{"provider": "p", "steps": steps}]);
    let cases = [
        (
            "user, managed",
            rule(json!([user, managed])),
            &["u1", "u2", "h1", "h2"][..],
        ),
        (
            "managed, user",
            rule(json!([managed, user])),
            &["h1", "h2", "u1", "u2"],
        ),
        ("user only", rule(json!([user])), &["u1", "u2"]),
        ("managed only", rule(json!([managed])), &["h1", "h2"]),
        (
            "lists, in their own order",
            rule(
                json!([{"type": "managed", "keys": ["h2"]}, {"type": "user", "keys": ["u2", "u1"]}]),
            ),
            &["h2", "u2", "u1"],
        ),
        (
            "a key is tried once",
            rule(json!([{"type": "user", "keys": ["u2"]}, user, {"type": "user", "keys": ["u1"]}])),
            &["u2", "u1"],
        ),
        (
            "a model's rule beats its provider's, wherever it stands",
            json!([{"provider": "p", "steps": [managed]}, {"model": "p:m", "steps": [{"type": "user", "keys": ["u2"]}]}]),
            &["u2"],
        ),
        (
            "a provider's rule holds for its other models",
            json!([{"model": "p:n", "steps": [user]}, {"provider": "p", "steps": [{"type": "managed", "keys": ["h2"]}]}]),
            &["h2"],
        ),
        (
            "another account's key, although the rule names it",
            rule(json!([{"type": "user", "keys": ["sales", "u1"]}])),
            &["u1"],
        ),
    ];
    let callers = cases.iter();
    let callers: Vec<Caller> = callers
        .map(|(_, rules, _)| ("default", Some(rules.clone())))
        .collect();
    let told = tried(&callers, &["p:m"]).await;
    for ((what, _, wanted), (keys, ..)) in cases.iter().zip(told) {
        assert_eq!(keys, *wanted, "{what}");
    }
}

#[tokio::test]
async fn models_come_in_order_each_with_its_own_rule() {
    let rules = json!([
        {"model": "p:n", "steps": [{"type": "managed", "keys": ["h2"]}]},
        {"provider": "p", "steps": [{"type": "user", "keys": ["u2", "u1"]}]},
    ]);
    let models = ["p:m", "n", "p:other", "m"];
    let (keys, ..) = &tried(&[("default", Some(rules))], &models).await[0];
    assert_eq!(*keys, ["m/u2", "m/u1", "n/h2", "other/u2", "other/u1"]);
}

#[tokio::test]
async fn an_account_without_a_credential_is_told_so() {
    let callers = [
        json!([{"provider": "p", "steps": [{"type": "user"}]}]),
        json!([{"provider": "p", "steps": [{"type": "user", "keys": ["u1", "sales"]}]}]),
    ]
    .map(|rules| ("poor", Some(rules)));
    let told = tried(&callers, &["p:m"]).await;
    for (caller, (keys, status, code)) in callers.iter().zip(told) {
        assert_eq!(keys, Vec::<String>::new(), "{caller:?}");
        assert_eq!(
            (status, code.as_str()),
            (400, "ERR_TOLLGATE_3802"),
            "{caller:?}"
        );
    }
}

/// Accounts with credits.
fn accounts(ids: &[&str]) -> Value {
    let account = |id: &&str| json!({"id": id, "grants": [{"id": "tests", "usd": 10}]});
    json!({"accounts": ids.iter().map(account).collect::<Vec<_>>()})
}
