//! Accounts and API keys.

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, ROOT, builder, id, ids};

const KEYS: &str = "aiGatewayApiKeys";

#[tokio::test]
async fn an_account_is_made_used_changed_and_deleted() {
    let api = Api::start(builder()).await;
    let made = api
        .create(
            "/accounts",
            json!({"id": "sales", "name": "Sales", "metadata": "{}"}),
        )
        .await;
    assert_eq!(made["id"], "sales");
    let heavy = api.update("/accounts/sales", json!({"weight": 3})).await;
    assert_eq!(heavy["weight"], 3);
    let changed = json!({"name": null, "description": "d", "weight": null});
    let changed = api.update("/accounts/sales", changed).await;
    assert_eq!(changed.get("weight"), None);
    assert_eq!(
        (changed.get("name"), &changed["description"]),
        (None, &json!("d"))
    );
    assert_eq!(changed["metadata"], "{}");
    let made_up = api.create("/accounts", json!({})).await;
    assert!(id(&made_up).starts_with("acct_"), "{made_up}");
    let list = api.get("/accounts").await;
    assert_eq!(
        ids(&list, "accounts"),
        ["sales", "default", "acme", &id(&made_up)]
    );
    for taken in ["sales", "default", "acme"] {
        api.expect(409, "POST", "/accounts", Some(json!({"id": taken})))
            .await;
    }
    for weight in [0, 1001] {
        let path = "/accounts/sales";
        let faults = api.faults("PATCH", path, json!({"weight": weight})).await;
        assert_eq!(faults, ["weight"], "{weight}");
    }
    for bad in ["", "Sales", "a b", "-a", "house"] {
        assert_eq!(
            api.faults("POST", "/accounts", json!({"id": bad})).await,
            ["id"],
            "{bad}"
        );
    }

    // What failed attempts cost can be seen, and given to nobody.
    let house = api.get("/credits/balance?accountId=house").await;
    assert_eq!(house, json!({"balanceCents": 0}));
    let path = "/access-keys?accountId=house";
    api.expect(404, "POST", path, Some(json!({}))).await;

    // It works at once, and nothing is left over when it goes.
    let key = api.create("/access-keys?accountId=sales", json!({})).await;
    assert_eq!(key["accountId"], "sales");
    let refused = api.expect(409, "DELETE", "/accounts/sales", None).await;
    assert_eq!(refused["errorCode"], "ERR_TOLLGATE_4091");
    assert!(
        refused["msg"].as_str().unwrap().contains(&id(&key)),
        "{refused}"
    );
    let path = format!("/access-keys/{}?accountId=sales", id(&key));
    api.expect(204, "DELETE", &path, None).await;
    let admin = api.create("/api-keys?accountId=sales", json!({})).await;
    assert_eq!(admin["accountId"], "sales", "acting for it, of it");
    api.expect(409, "DELETE", "/accounts/sales", None).await;
    let path = format!("/api-keys/{}?accountId=sales", id(&admin));
    api.expect(204, "DELETE", &path, None).await;
    let grant = json!({"usd": "1", "category": "promotional"});
    api.create("/credits/grants?accountId=sales", grant).await;
    let refused = api.expect(409, "DELETE", "/accounts/sales", None).await;
    assert!(
        refused["msg"].as_str().unwrap().contains("USD 1.00"),
        "{refused}"
    );
    let path = format!("/accounts/{}", id(&made_up));
    api.expect(204, "DELETE", &path, None).await;
    api.expect(404, "GET", &path, None).await;
    for declared in ["default", "acme"] {
        let path = format!("/accounts/{declared}");
        let refused = api.expect(409, "DELETE", &path, None).await;
        assert_eq!(refused["errorCode"], "ERR_TOLLGATE_4092");
        api.expect(409, "PATCH", &path, Some(json!({"name": "x"})))
            .await;
    }

    for path in ["/accounts", "/accounts/acme"] {
        let (status, _) = api.call(ACME, "GET", path, None).await;
        assert_eq!(status, 403, "accounts are for those who see all: {path}");
    }
    let unknown = api
        .expect(404, "GET", "/access-keys?accountId=nobody", None)
        .await;
    assert!(
        unknown["msg"].as_str().unwrap().contains("/accounts"),
        "{unknown}"
    );
}

#[tokio::test]
async fn an_api_key_is_made_used_changed_and_deleted() {
    let api = Api::start(builder()).await;
    let made = api
        .create(
            "/api-keys",
            json!({"name": "ci", "description": "d", "metadata": "m"}),
        )
        .await;
    let token = made["token"].as_str().unwrap().to_owned();
    assert!(
        id(&made).starts_with("api_") && token.starts_with("tga-"),
        "{made}"
    );
    assert_eq!(made["lastUsed"], Value::Null);
    assert!(
        made.get("role").is_none() && made.get("accountId").is_none(),
        "{made}"
    );
    let redacted = made["keyRedacted"].as_str().unwrap();
    assert!(
        redacted.contains("***") && !redacted.contains(&token),
        "{redacted}"
    );
    let path = format!("/api-keys/{}", id(&made));
    assert_eq!(api.call(&token, "GET", &path, None).await.0, 200);
    let shown = api.get(&path).await;
    assert!(shown["lastUsed"].is_string(), "{shown}");
    assert!(shown.get("token").is_none(), "a token is shown once");
    let changed = api
        .update(&path, json!({"name": null, "role": "read-only"}))
        .await;
    assert_eq!(
        (changed.get("name"), &changed["role"]),
        (None, &json!("read-only"))
    );
    let body = Some(json!({"role": "full"}));
    assert_eq!(
        api.call(&token, "PATCH", &path, body).await.0,
        403,
        "nobody lifts himself"
    );
    let changed = api.update(&path, json!({"role": null})).await;
    assert!(changed.get("role").is_none(), "null is full: {changed}");
    assert_eq!(
        api.faults("PATCH", &path, json!({"role": "root"})).await,
        ["role"]
    );
    assert_eq!(
        api.faults("PATCH", &path, json!({"accountId": "acme"}))
            .await,
        ["accountId"]
    );
    let (status, _) = api.call(&token, "DELETE", &path, None).await;
    assert_eq!(status, 204, "even the caller's own");
    assert_eq!(api.call(&token, "GET", &path, None).await.0, 401);

    let declared = api.get("/api-keys").await;
    let ids = ids(&declared, KEYS);
    assert_eq!(
        ids.len(),
        2,
        "the environment's and the reader's: {declared}"
    );
    for id in ids {
        let refused = api
            .expect(409, "DELETE", &format!("/api-keys/{id}"), None)
            .await;
        assert_eq!(refused["errorCode"], "ERR_TOLLGATE_4092");
    }
    assert_eq!(
        api.call(READER, "POST", "/api-keys", Some(json!({})))
            .await
            .0,
        403
    );
}

#[tokio::test]
async fn a_key_for_one_account_makes_and_sees_keys_for_that_account_only() {
    let api = Api::start(builder()).await;
    let everywhere = api.create("/api-keys", json!({})).await;
    let home = api
        .create("/api-keys", json!({"accountId": "default"}))
        .await;
    assert_eq!(home["accountId"], "default");
    let home_token = home["token"].as_str().unwrap();
    let (_, list) = api.call(home_token, "GET", "/api-keys", None).await;
    assert_eq!(
        ids(&list, KEYS),
        [id(&home)],
        "those for all accounts are not its own"
    );
    let (_, log) = api.call(home_token, "GET", "/audit-log", None).await;
    let told: Vec<&Value> = log["auditLog"].as_array().unwrap().iter().collect();
    assert_eq!(told.len(), 1, "nor are they in its audit log: {log}");
    assert_eq!(told[0]["resourceId"], home["id"]);
    let path = format!("/api-keys/{}", id(&everywhere));
    for method in ["GET", "DELETE"] {
        assert_eq!(
            api.call(home_token, method, &path, None).await.0,
            404,
            "{method}"
        );
    }
    let (status, own) = api
        .call(home_token, "POST", "/api-keys", Some(json!({})))
        .await;
    assert_eq!(
        (status, &own["accountId"]),
        (201, &Value::Null),
        "its callers have one account"
    );
    let seen = api.get(&format!("/api-keys/{}", id(&own))).await;
    assert_eq!(seen["accountId"], "default", "not for all");

    let (status, own) = api.call(ACME, "POST", "/api-keys", Some(json!({}))).await;
    assert_eq!(
        (status, own.get("accountId")),
        (201, None),
        "it has one account"
    );
    let body = json!({"accountId": "default"});
    assert_eq!(api.call(ACME, "POST", "/api-keys", Some(body)).await.0, 403);
    let token = own["token"].as_str().unwrap();
    assert_eq!(
        api.call(token, "GET", "/credits/balance", None).await.0,
        200
    );
    assert_eq!(api.call(token, "GET", "/accounts", None).await.0, 403);
    let (_, list) = api.call(ACME, "GET", "/api-keys", None).await;
    assert_eq!(
        ids(&list, KEYS).len(),
        2,
        "the declared one and its own: {list}"
    );
    let body = json!({"accountId": "nobody"});
    assert_eq!(api.faults("POST", "/api-keys", body).await, ["accountId"]);
    let seen = api
        .call(ROOT, "GET", "/api-keys?accountId=acme", None)
        .await
        .1;
    assert_eq!(ids(&seen, KEYS).len(), 2);
}
