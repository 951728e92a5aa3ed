//! Access key configurations.

mod check;

use serde_json::{Value, json};

use super::help::{ACME, Api, ROOT, builder, id, ids};
use crate::common::fake::{Fake, Wire};
use crate::common::requests::Request;

const PATH: &str = "/access-key-configurations";
const ITEMS: &str = "aiGatewayAccessKeyConfigurations";
const VALUE: &str = "sk-planted-0123456789abcdefghijklmnop";

/// An access key that is held to a configuration: its token.
async fn access_key(api: &Api, configuration: &str) -> String {
    let key = api
        .create(
            "/access-keys",
            json!({"accessKeyConfigurationId": configuration}),
        )
        .await;
    key["token"].as_str().unwrap().to_owned()
}

fn chat(token: &str, model: &str) -> Request {
    Request::chat(&[model], false)
        .without("authorization")
        .header("authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn a_configuration_is_made_shown_changed_and_deleted() {
    let api = Api::start(builder()).await;
    let key = json!({"providerId": "openai", "name": "main", "value": VALUE});
    let key = api.create("/provider-keys", key).await;
    let sent = json!({
        "name": "team a", "description": "d", "metadata": "m",
        "access": {"providers": {"allow": ["openai", "anthropic"]}, "models": {"allow": ["openai:openai/gpt-4o", "openai/gpt-4.1"]}},
        "router": {"rules": [
            {"provider": "openai", "steps": [
                {"type": "user", "keys": [{"id": id(&key)}, {"name": "second", "value": VALUE}], "keySelectionStrategy": "ordered"},
                {"type": "ngrok"},
            ]},
            {"provider": "anthropic", "model": "anthropic:claude-x", "steps": [{"type": "managed"}]},
        ]},
        "limits": {"requestsPerMinute": 60, "maxInputTokens": 1000, "budgets": [{"usd": "20", "per": "day"}]},
        "failover": false,
        "timeouts": {"perRequest": "30s", "total": "90s", "streamIdle": "1m", "hold": "500ms"},
    });
    let made = api.create(PATH, sent.clone()).await;
    let path = format!("{PATH}/{}", id(&made));
    assert!(id(&made).starts_with("akc_"));
    for field in [
        "name",
        "description",
        "metadata",
        "access",
        "failover",
        "limits",
    ] {
        assert_eq!(made[field], sent[field], "{field}");
    }
    let times =
        json!({"perRequest": "30s", "total": "1m30s", "streamIdle": "1m0s", "hold": "500ms"});
    assert_eq!(made["timeouts"], times);
    let rules = &made["router"]["rules"];
    let second = rules[0]["steps"][0]["keys"][1]["id"].as_str().unwrap();
    assert_eq!(
        rules,
        &json!([
            {"provider": "openai", "steps": [
                {"type": "user", "keySelectionStrategy": "ordered", "keys": [
                    {"id": id(&key), "name": "main", "keyRedacted": "sk-planted***mnop"},
                    {"id": second, "name": "second", "keyRedacted": "sk-planted***mnop"},
                ]},
                {"type": "managed"},
            ]},
            {"provider": "anthropic", "model": "anthropic:claude-x", "steps": [{"type": "managed"}]},
        ])
    );
    let inline = api.get(&format!("/provider-keys/{second}")).await;
    assert_eq!(
        (&inline["providerId"], &inline["name"]),
        (&json!("openai"), &json!("second"))
    );
    assert_eq!(api.get(&path).await, made);
    assert_eq!(ids(&api.get(PATH).await, ITEMS), [id(&made)]);
    assert_eq!(
        api.call(ROOT, "HEAD", &path, None).await,
        (200, Value::Null)
    );

    let changed = api
        .update(&path, json!({"description": null, "failover": null}))
        .await;
    assert!(changed.get("description").is_none() && changed.get("failover").is_none());
    assert_eq!(
        (&changed["access"], &changed["router"]),
        (&made["access"], &made["router"]),
        "absent stays"
    );
    let changes = json!({"access": {"models": {"allow": []}}, "router": null, "limits": null, "timeouts": null});
    let changed = api.update(&path, changes).await;
    assert_eq!(
        changed["access"],
        json!({"models": {"allow": []}}),
        "an object replaces"
    );
    for cleared in ["router", "limits", "timeouts"] {
        assert!(changed.get(cleared).is_none(), "{cleared}");
    }
    let nameless = api.update(&path, json!({"name": null})).await;
    assert_eq!(nameless["name"], nameless["id"], "every answer has a name");
    api.expect(204, "DELETE", &path, None).await;
    for (method, body) in [("GET", None), ("PATCH", Some(json!({}))), ("DELETE", None)] {
        api.expect(404, method, &path, body).await;
    }
    assert!(!api.gateway.output().contains(VALUE), "a value in the log");
}

#[tokio::test]
async fn a_step_s_keys_are_chosen_by_session_and_weight() {
    let api = Api::start(builder()).await;
    let key = |name: &str, weight: Value| {
        let mut key = json!({"name": name, "value": VALUE});
        if !weight.is_null() {
            key["weight"] = weight;
        }
        key
    };
    let body = |strategy: &str, weight: Value| {
        let keys = [key("big", weight), key("small", Value::Null)];
        let step = json!({"type": "user", "keys": keys, "keySelectionStrategy": strategy});
        json!({"name": "n", "router": {"rules": [{"provider": "openai", "steps": [step]}]}})
    };
    let made = api.create(PATH, body("session", json!(3))).await;
    let step = &made["router"]["rules"][0]["steps"][0];
    assert_eq!(step["keySelectionStrategy"], "session");
    assert_eq!(
        (&step["keys"][0]["weight"], &step["keys"][1]["weight"]),
        (&json!(3), &Value::Null)
    );
    let path = format!("{PATH}/{}", id(&made));
    assert_eq!(api.get(&path).await, made);
    for (strategy, weight) in [
        ("ordered", json!(3)),
        ("session", json!(0)),
        ("session", json!(1001)),
        ("random", Value::Null),
    ] {
        api.expect(422, "POST", PATH, Some(body(strategy, weight)))
            .await;
    }
}

#[tokio::test]
async fn how_requests_are_served_is_said_as_in_the_file() {
    let api = Api::start(builder()).await;
    let serving = json!({
        "cacheHints": false, "commit": "whole", "stopOn": ["content_filter"], "priority": "batch",
        "retry": {"same": 2, "most": "5s"},
        "hedge": {"atLeast": "250ms", "budgetPercent": 5},
        "idempotency": {"store": "24h0m0s", "joinRetries": true},
    });
    let mut body = json!({"name": "n"});
    body.as_object_mut()
        .unwrap()
        .extend(serving.as_object().unwrap().clone());
    let of_acme = format!("{PATH}?accountId=acme");
    let made = api.create(&of_acme, body).await;
    for (member, value) in serving.as_object().unwrap() {
        assert_eq!(&made[member], value, "{member}");
    }
    let path = format!("{PATH}/{}", id(&made));
    // An account changes its own, but for what the operator pays.
    let (status, changed) = api
        .call(
            ACME,
            "PATCH",
            &path,
            Some(json!({"priority": "interactive", "hedge": serving["hedge"]})),
        )
        .await;
    assert_eq!((status, &changed["priority"]), (200, &json!("interactive")));
    for (member, value, field) in [
        ("hedge", json!({}), "hedge"),
        ("idempotency", json!({"store": "48h"}), "idempotency.store"),
    ] {
        let (status, answer) = api
            .call(ACME, "PATCH", &path, Some(json!({member: value})))
            .await;
        let said = answer["details"][field].as_str().unwrap_or_default();
        assert!(
            status == 422 && said.contains("operator"),
            "{member}: {status} {answer}"
        );
    }
    let (status, _) = api
        .call(
            ACME,
            "PATCH",
            &path,
            Some(json!({"idempotency": null, "hedge": null})),
        )
        .await;
    assert_eq!(status, 200, "what costs nothing is theirs");

    let path = format!("{path}?accountId=acme");
    let wrong = json!({
        "retry": {"same": 4, "most": "31s"}, "hedge": {"atLeast": "soon", "budgetPercent": 101},
        "idempotency": {"store": "721h"},
    });
    let answer = api.expect(422, "PATCH", &path, Some(wrong)).await;
    let details = answer["details"].as_object().unwrap();
    let fields: Vec<&str> = details.keys().map(String::as_str).collect();
    let want = [
        "hedge.atLeast",
        "hedge.budgetPercent",
        "idempotency.store",
        "retry.most",
        "retry.same",
    ];
    assert_eq!(fields, want, "{answer}");
    let cleared: serde_json::Map<_, _> = serving
        .as_object()
        .unwrap()
        .keys()
        .map(|member| (member.clone(), Value::Null))
        .collect();
    let changed = api.update(&path, cleared.into()).await;
    for member in serving.as_object().unwrap().keys() {
        assert!(changed.get(member).is_none(), "{member}: {changed}");
    }
}

#[tokio::test]
async fn managed_keys_inline_are_for_callers_of_all_accounts() {
    let api = Api::start(builder()).await;
    let custom = json!({"providerId": "custom", "name": "n", "baseUrl": "https://x.example"});
    api.create("/providers?accountId=acme", custom).await;
    let steps = json!([{"type": "managed", "keys": [{"name": "house", "value": VALUE}]}]);
    let body = json!({"name": "n", "router": {"rules": [{"provider": "custom", "steps": steps}]}});
    let (status, answer) = api.call(ACME, "POST", PATH, Some(body.clone())).await;
    assert_eq!(
        (status, &answer["errorCode"]),
        (403, &json!("ERR_TOLLGATE_4031"))
    );
    let made = api.create(&format!("{PATH}?accountId=acme"), body).await;
    let key = made["router"]["rules"][0]["steps"][0]["keys"][0]["id"]
        .as_str()
        .unwrap();
    let key = api
        .get(&format!("/provider-keys/{key}?accountId=acme"))
        .await;
    assert_eq!(
        (&key["keySource"], &key["providerId"]),
        (&json!("managed"), &json!("custom"))
    );
}

#[tokio::test]
async fn a_configuration_holds_for_its_access_keys_and_stays_while_one_refers_to_it() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let api = Api::start(builder()).await;
    let provider = json!({"providerId": "mine", "name": "n", "baseUrl": fake.base_url(), "models": [{"modelId": "a"}, {"modelId": "b"}]});
    api.create("/providers", provider).await;
    for name in ["one", "two"] {
        let key =
            json!({"providerId": "mine", "name": name, "value": format!("sk-{name}-0123456789")});
        api.create("/provider-keys", key).await;
    }
    let keys = ids(&api.get("/provider-keys").await, "aiGatewayProviderKeys");
    let (two, one) = (&keys[0], &keys[1]);
    let body = json!({
        "name": "n", "access": {"models": {"allow": ["mine:a"]}},
        "router": {"rules": [
            {"provider": "mine", "steps": [{"type": "user", "keys": [{"id": one}]}]},
            {"provider": "mine", "model": "mine/a", "steps": [{"type": "user", "keys": [{"id": two}]}]},
        ]},
    });
    let made = api.create(PATH, body).await;
    let path = format!("{PATH}/{}", id(&made));
    let token = access_key(&api, &id(&made)).await;
    let sent = || {
        let seen = fake.seen();
        seen.last()
            .unwrap()
            .header("authorization")
            .unwrap()
            .to_owned()
    };
    assert_eq!(api.ask(&chat(&token, "mine:a")).await, 200);
    assert_eq!(
        sent(),
        "Bearer sk-two-0123456789",
        "a model's rule beats its provider's"
    );
    assert_eq!(
        api.ask(&chat(&token, "mine:b")).await,
        422,
        "not on the list"
    );
    api.update(&path, json!({"access": null})).await;
    assert_eq!(api.ask(&chat(&token, "mine:b")).await, 200);
    assert_eq!(sent(), "Bearer sk-one-0123456789");
    api.update(&path, json!({"limits": {"requestsPerMinute": 1}}))
        .await;
    let statuses = [
        api.ask(&chat(&token, "mine:a")).await,
        api.ask(&chat(&token, "mine:a")).await,
        api.ask(&chat(&token, "mine:a")).await,
    ];
    assert!(statuses.contains(&429), "{statuses:?}");

    let answer = api.expect(409, "DELETE", &path, None).await;
    assert_eq!(answer["errorCode"], "ERR_TOLLGATE_4091");
    let keys = ids(&api.get("/access-keys").await, "aiGatewayAccessKeys");
    let key = keys.iter().find(|key| key.starts_with("ak_")).unwrap();
    api.expect(204, "DELETE", &format!("/access-keys/{key}"), None)
        .await;
    api.expect(204, "DELETE", &path, None).await;
}

#[tokio::test]
async fn declared_configurations_are_shown_and_read_only() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let declared = json!({"configurations": [{
        "id": "team", "access": {"providers": {"allow": ["f"]}},
        "router": {"rules": [{"provider": "f", "steps": [{"type": "user"}, {"type": "user", "keys": ["f-key"]}]}]},
    }]});
    let api = Api::start(builder().fake("f", &fake).config(declared)).await;
    let team = api.get(&format!("{PATH}/team")).await;
    assert_eq!(
        (&team["createdBy"]["id"], &team["name"]),
        (&json!("yaml"), &json!("team"))
    );
    assert_eq!(team["access"], json!({"providers": {"allow": ["f"]}}));
    let steps = &team["router"]["rules"][0]["steps"];
    assert_eq!(steps[0], json!({"type": "user"}), "all of the provider's");
    assert_eq!(steps[1]["keys"][0]["id"], "f-key");
    for (method, body) in [("PATCH", Some(json!({"name": "x"}))), ("DELETE", None)] {
        let answer = api.expect(409, method, &format!("{PATH}/team"), body).await;
        assert_eq!(answer["errorCode"], "ERR_TOLLGATE_4092");
    }
    let (status, _) = api.call(ACME, "GET", &format!("{PATH}/team"), None).await;
    assert_eq!(status, 404, "it is the account default's");
    let link = json!({"accessKeyConfigurationId": "team"});
    let mine = api.call(ACME, "POST", "/access-keys", Some(link.clone()));
    assert_eq!(mine.await.0, 422, "nor may it be linked");
    let theirs = api.call(ROOT, "POST", "/access-keys?accountId=acme", Some(link));
    assert_eq!(theirs.await.0, 201, "but by who acts for all accounts");
}
