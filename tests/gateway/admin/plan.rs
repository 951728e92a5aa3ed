//! How a request would be served, before one is sent.

use serde_json::{Value, json};

use super::help::{ACME, Api, READER, ROOT, builder, id};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::provider;
use crate::common::requests::Request;
use crate::common::script::{Script, chat_answer};

/// Each candidate as `provider:model key`, in order.
fn tried(plan: &Value) -> Vec<String> {
    let word = |one: &Value, name: &str| one[name].as_str().unwrap_or("-").to_owned();
    let all = plan["candidates"].as_array().unwrap().iter();
    all.map(|one| {
        let (provider, model) = (word(one, "providerId"), word(one, "modelId"));
        format!("{provider}:{model} {}", word(one, "providerKeyId"))
    })
    .collect()
}

/// What is passed over, as `provider key reason`, in no order.
fn passed_over(plan: &Value) -> Vec<String> {
    let all = plan["passedOver"].as_array().unwrap().iter();
    let mut all: Vec<String> = all
        .map(|one| {
            let key = one["providerKeyId"].as_str().unwrap_or("-");
            let (provider, reason) = (one["providerId"].as_str(), one["reason"].as_str());
            format!("{} {key} {}", provider.unwrap(), reason.unwrap())
        })
        .collect();
    all.sort();
    all
}

async fn started() -> (Api, Fake, Fake) {
    let busy = Script::error_with(429, "busy", &[("retry-after", "60")]);
    let bad = Fake::start(Wire::H1, busy).await;
    let good = Fake::good(Wire::H1, "hello").await;
    let with = |id: &str, fake: &Fake, more: Value| {
        let mut written = provider(id, fake);
        let fields = more.as_object().unwrap().clone();
        written.as_object_mut().unwrap().extend(fields);
        written
    };
    let priced = json!([{"id": "thing", "prices": {"input": 1, "output": 1}}]);
    let two = json!([{"id": "one-a", "value": "KEY-one-a"}, {"id": "one-b", "value": "KEY-one-b"}]);
    let managed =
        json!([{"id": "two-m", "value": "KEY-two-m"}, {"id": "two-n", "value": "KEY-two-n"}]);
    let builder = builder()
        .provider(with("one", &bad, json!({"models": priced, "keys": two})))
        .provider(with(
            "two",
            &good,
            json!({
                "models": [{"id": "thing", "prices": {"input": 1, "output": 1}}, {"id": "free"}],
                "keys": [], "managed_keys": managed, "surfaces": ["openai/chat-completions"],
            }),
        ));
    (Api::start(builder).await, bad, good)
}

/// What a provider's headers say is left decides which key is next, and is shown.
#[tokio::test]
async fn a_key_without_quota_comes_late_and_shows_what_is_left() {
    let told = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit-requests", "2"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "1h0m0s"),
    ];
    let told = Script::new().length().head(200, &told);
    let fake = Fake::start(Wire::H1, told.data(chat_answer("hi").to_string())).await;
    let mut written = provider("p", &fake);
    written["keys"] = json!([{"id": "a", "value": "KEY-a"}, {"id": "b", "value": "KEY-b"}]);
    let api = Api::start(builder().provider(written)).await;
    assert_eq!(api.chat("p:m").await, 200);
    let plan = api.get("/plan?model=p:m").await;
    assert_eq!(tried(&plan), ["p:m b", "p:m a"]);
    assert_eq!(plan["candidates"][1]["cooling"], "quota");
    assert!(plan["candidates"][1]["coolingUntil"].is_string(), "{plan}");
    assert_eq!(api.chat("p:m").await, 200);
    // All are estimated to have none, and nothing is refused for it: the order is the plan's.
    let plan = api.get("/plan?model=p:m").await;
    assert_eq!(tried(&plan), ["p:m a", "p:m b"]);
    assert_eq!(api.chat("p:m").await, 200);
    let keys: Vec<String> = fake
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(keys, ["Bearer KEY-a", "Bearer KEY-b", "Bearer KEY-a"]);

    let health = api.get("/provider-health").await;
    let quotas = health["providers"][0]["quotas"].as_array().unwrap();
    assert_eq!(quotas.len(), 2, "{health}");
    let first = &quotas[0];
    assert_eq!(
        (&first["providerKeyId"], &first["modelId"]),
        (&json!("a"), &json!("m"))
    );
    assert_eq!(
        (&first["unit"], &first["limit"]),
        (&json!("requests"), &json!(2))
    );
    assert!(
        first["remaining"] == 0 && first["fullAt"].is_string(),
        "{first}"
    );
}

#[tokio::test]
async fn a_plan_is_what_requests_then_do_and_says_why_of_the_rest() {
    let (api, bad, good) = started().await;
    let plan = api.get("/plan?model=thing").await;
    let all = [
        "one:thing one-a",
        "one:thing one-b",
        "two:thing two-m",
        "two:thing two-n",
    ];
    assert_eq!(tried(&plan), all);
    assert_eq!(passed_over(&plan), Vec::<String>::new());
    assert_eq!(plan["candidates"][0]["keySource"], "user");
    assert_eq!(plan["candidates"][2]["surface"], "openai/chat-completions");
    assert_eq!(bad.count() + good.count(), 0, "nothing is sent");

    let configuration = json!({
        "name": "a",
        "access": {"models": {"allow": ["one:thing", "two:thing"]}},
        "router": {"rules": [
            {"model": "one:thing", "steps": [{"type": "user", "keys": [{"id": "one-b"}]}]},
            {"provider": "two", "steps": [{"type": "managed", "keys": [{"id": "two-n"}]}]},
        ]},
    });
    let made = api
        .create("/access-key-configurations", configuration)
        .await;
    let path = format!("/plan?model=thing&accessKeyConfigurationId={}", id(&made));
    let plan = api.get(&path).await;
    assert_eq!(tried(&plan), ["one:thing one-b", "two:thing two-n"]);
    assert_eq!(
        passed_over(&plan),
        ["one one-a not-in-rule", "two two-m not-in-rule"]
    );

    // A request of a key that has it does the same, and what it meets changes the plan.
    let key = json!({"accessKeyConfigurationId": id(&made)});
    let key = api.create("/access-keys", key).await;
    let token = key["token"].as_str().unwrap();
    let request = Request::chat(&["thing"], false)
        .without("authorization")
        .header("authorization", &format!("Bearer {token}"));
    let mut client = Client::connect(Version::H1, api.gateway.address).await;
    let answer = client.ask(&request).await;
    assert_eq!(answer.header("x-tollgate-attempts"), Some("2"));
    assert!(
        bad.seen()[0]
            .header("authorization")
            .unwrap()
            .ends_with("KEY-one-b")
    );
    assert!(
        good.seen()[0]
            .header("authorization")
            .unwrap()
            .ends_with("KEY-two-n")
    );
    let path = format!("/plan?model=thing&accessKeyId={}", id(&key));
    let plan = api.get(&path).await;
    assert_eq!(tried(&plan), ["two:thing two-n", "one:thing one-b"]);
    assert_eq!(plan["candidates"][1]["cooling"], "key");
    assert!(plan["candidates"][1]["coolingUntil"].is_string());

    let path = format!("/access-key-configurations/{}", id(&made));
    let change =
        json!({"access": {"providers": {"allow": ["two"]}}, "router": null, "failover": false});
    api.update(&path, change).await;
    let path = format!("/plan?model=thing&accessKeyConfigurationId={}", id(&made));
    let plan = api.get(&path).await;
    assert_eq!(tried(&plan), ["two:thing two-m"]);
    assert_eq!(
        passed_over(&plan),
        ["one - provider-not-allowed", "two two-n failover-off"]
    );
}

#[tokio::test]
async fn what_would_be_refused_is_refused_in_the_plan() {
    let (api, ..) = started().await;
    for (model, code, passed) in [
        ("nobody%3Anothing", "ERR_TOLLGATE_3804", vec![]),
        (
            "two%3Afree",
            "ERR_TOLLGATE_3806",
            vec!["two two-m no-price", "two two-n no-price"],
        ),
        (
            "openai%3Agpt-4o",
            "ERR_TOLLGATE_3802",
            vec!["openai - no-key"],
        ),
    ] {
        let plan = api.get(&format!("/plan?model={model}")).await;
        assert_eq!(plan["refusal"]["code"], code, "{plan}");
        assert_eq!(passed_over(&plan), passed, "{plan}");
        assert_eq!(tried(&plan), Vec::<String>::new());
        let request = Request::chat(&[&model.replace("%3A", ":")], false);
        assert_eq!(
            plan["refusal"]["status"],
            api.ask(&request).await,
            "{model}"
        );
    }
    let plan = api
        .get("/plan?model=two%3Athing&surface=openai%2Fembeddings")
        .await;
    assert_eq!(passed_over(&plan), ["two - not-offered"]);
    for (query, field) in [
        ("", "model"),
        ("model=x&surface=x", "surface"),
        ("model=x&accessKeyId=nobody", "accessKeyId"),
        (
            "model=x&accessKeyConfigurationId=nobody",
            "accessKeyConfigurationId",
        ),
        (
            "model=x&accessKeyId=test&accessKeyConfigurationId=x",
            "accessKeyConfigurationId",
        ),
    ] {
        let answer = api
            .expect(422, "GET", &format!("/plan?{query}"), None)
            .await;
        assert!(answer["details"].get(field).is_some(), "{query}: {answer}");
    }
    let (status, _) = api.call(READER, "GET", "/plan?model=thing", None).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_tenants_plan_tells_nothing_of_others() {
    let (api, ..) = started().await;
    let theirs = json!({"name": "theirs"});
    let theirs = api.create("/access-key-configurations", theirs).await;
    let (status, plan) = api.call(ACME, "GET", "/plan?model=thing", None).await;
    assert_eq!(status, 200, "{plan}");
    assert_eq!(tried(&plan), ["two:thing -"], "the operator's keys are one");
    assert_eq!(plan["candidates"][0]["keySource"], "managed");
    assert_eq!(passed_over(&plan), ["one - no-key"]);
    for secret in ["two-m", "two-n", "one-a", "one-b"] {
        assert!(!plan.to_string().contains(secret), "{plan}");
    }
    for query in [
        format!("accessKeyConfigurationId={}", id(&theirs)),
        "accessKeyId=test".to_owned(),
    ] {
        let path = format!("/plan?model=thing&{query}");
        assert_eq!(api.call(ACME, "GET", &path, None).await.0, 422, "{query}");
    }
    let path = "/plan?model=thing&accessKeyId=acme";
    assert_eq!(api.call(ACME, "GET", path, None).await.0, 200);
    assert_eq!(
        api.call(ACME, "GET", &format!("{path}&accountId=default"), None)
            .await
            .0,
        403
    );
    assert_eq!(
        api.call(ROOT, "GET", &format!("{path}&accountId=acme"), None)
            .await
            .0,
        200
    );
}
