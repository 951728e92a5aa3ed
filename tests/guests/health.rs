//! Nobody's whim decides what others are served: keys of one's own, timeouts of one's own, settings, and what a
//! provider keeps for whoever asked first.

use std::time::Duration;

use serde_json::{Value, json};

use super::house::{ATTACKER, BANKS, Bank, House, ORDINARY, ROOT, TENANT, VICTIM};
use crate::common::client::{Answer, Client};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{access_key, provider};
use crate::common::requests::{Request, from};
use crate::common::script::{Script, chat_answer};

/// Asks as a guest, on a connection of its own.
async fn asked(house: &House, guest: &str, request: Request) -> Answer {
    let mut client = Client::try_connect(house.gateway.address).await.unwrap();
    client.ask(&from(guest, request)).await
}

/// Calls the admin API.
async fn admin(house: &House, key: &str, method: &'static str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut request = Request::post(path, body)
        .without("authorization")
        .header("authorization", &format!("Bearer {key}"))
        .header("x-tollgate-account", ATTACKER);
    request.method = method;
    let mut client = Client::try_connect(house.gateway.admin).await.unwrap();
    client.ask(&request).await
}

/// Its own provider key switched off a provider that needs none, for all others.
#[tokio::test]
async fn a_key_of_ones_own_takes_nothing_from_others() {
    let local = Fake::good(Wire::H1, "hello").await;
    let mut keyless = provider("local", &local);
    keyless["keys"] = json!([]);
    keyless["auth"] = json!("none");
    let house = House::open(Bank::Sqlite, |house| house.provider(keyless)).await;
    let ask = || asked(&house, VICTIM, Request::chat(&["local:m"], false));
    assert_eq!(ask().await.status(), 200);
    let key = json!({"providerId": "local", "value": "sk-of-the-attacker", "name": "mine"});
    let made = admin(&house, TENANT, "POST", "/provider-keys", key).await;
    assert_eq!(made.status(), 201, "{}", made.text());
    let answer = ask().await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let own = asked(&house, ATTACKER, Request::chat(&["local:m"], false)).await;
    assert_eq!(own.status(), 200, "{}", own.text());
}

/// Four requests with a timeout of 10 ms opened the breaker of a provider for everybody.
#[tokio::test]
async fn timeouts_of_ones_own_rest_and_shut_nothing_that_others_use() {
    let slow = Script::new()
        .length()
        .wait(150)
        .head(200, &[("content-type", "application/json")])
        .data(chat_answer("hello").to_string());
    let slow = Fake::start(Wire::H1, slow).await;
    let mut shared = provider("slow", &slow);
    shared["keys"] = json!([]);
    shared["models"] = json!([{"id": "m", "prices": {"input": 1, "output": 1}}]);
    shared["managed_keys"] = json!([{"id": "slow-managed", "value": "KEY-OF-THE-OPERATOR"}]);
    for bank in BANKS {
        let shared = shared.clone();
        let house = House::open(bank, |house| {
            let hasty = json!({"per_request": "10ms", "whole_answer": "10ms", "total": "10ms"});
            house
                .provider(shared)
                .config(json!({"configurations": [{"id": "hasty", "timeouts": hasty}]}))
                .config(json!({"access_keys": [
                    access_key("hasty", &json!({"account": ATTACKER, "configuration": "hasty"})),
                    access_key(VICTIM, &json!({"account": VICTIM})),
                    access_key(ATTACKER, &json!({"account": ATTACKER})),
                ]}))
        })
        .await;
        for stream in [false, true].repeat(5) {
            let answer = asked(&house, "hasty", Request::chat(&["slow:m"], stream)).await;
            assert_eq!(answer.status(), 504, "{}", answer.text());
        }
        // Where it had been shut, the other one would come first.
        let both = Request::chat(&["slow:m", "f:m"], false);
        let answer = asked(&house, VICTIM, both).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.header("x-tollgate-provider"), Some("slow"));
        let resting = admin(&house, ROOT, "GET", "/cool-downs", Value::Null).await;
        assert!(
            !resting.text().contains("slow-managed"),
            "{}",
            resting.text()
        );
    }
}

/// Five resets in a row that one account's requests provoked put a provider to the end of everybody's plan.
#[tokio::test]
async fn resets_of_one_account_shut_a_provider_for_it_alone() {
    let shaky = Fake::answering(Wire::H1, |received| {
        match String::from_utf8_lossy(&received.body).contains("boom") {
            true => Script::new().reset(),
            false => Script::chat(false, "hello"),
        }
    })
    .await;
    let mut shared = provider("shaky", &shaky);
    shared["keys"] = json!([]);
    shared["models"] = json!([{"id": "m", "prices": {"input": 1, "output": 1}}]);
    shared["managed_keys"] = json!([{"id": "shaky-managed", "value": "KEY-OF-THE-OPERATOR"}]);
    let house = House::open(Bank::Sqlite, |house| house.provider(shared)).await;
    let asks = async |guest: &str, text: &str| {
        let body = json!({"model": "shaky:m", "models": ["f:m"], "messages": [{"role": "user", "content": text}]});
        let request = Request::post("/v1/chat/completions", body.to_string());
        let answer = asked(&house, guest, request).await;
        assert_eq!(answer.status(), 200, "{guest}, {text}: {}", answer.text());
        let served = answer.header("x-tollgate-provider");
        served.unwrap_or_default().to_owned()
    };
    for _ in 0..8 {
        assert_eq!(asks(ATTACKER, "boom").await, "f");
    }
    assert_eq!(
        asks(ATTACKER, "hi").await,
        "f",
        "its own requests show no other"
    );
    assert_eq!(asks(VICTIM, "hi").await, "shaky");
    // It can be reached, as is known a moment after that answer was read.
    let seen = async { while asks(ATTACKER, "hi").await != "shaky" {} };
    tokio::time::timeout(Duration::from_secs(10), seen)
        .await
        .expect("it can be reached");
    for guest in [ATTACKER, ATTACKER, ATTACKER, ATTACKER, VICTIM] {
        assert_eq!(asks(guest, "boom").await, "f");
    }
    for guest in [ATTACKER, VICTIM, ORDINARY[0]] {
        assert_eq!(
            asks(guest, "hi").await,
            "f",
            "two accounts could not reach it"
        );
    }
}

/// What is given to a tenant to set stays inside what the operator has set, and `null` goes back to that.
#[tokio::test]
async fn settings_of_ones_own_stay_inside_the_operators() {
    let house = House::open(Bank::Sqlite, |house| {
        let limits = json!({"max_input_tokens": 50, "max_output_tokens": 20});
        house.config(json!({"limits": limits, "timeouts": {"total": "60s"}}))
    })
    .await;
    let patch = |key, body| admin(&house, key, "PATCH", "/gateway-config", body);
    for (field, value) in [
        ("maxInputTokens", json!(51)),
        ("maxOutputTokens", json!(21)),
        ("totalTimeout", json!("61s")),
        ("perRequestTimeout", json!("21s")),
    ] {
        let refused = patch(TENANT, json!({field: value})).await;
        assert_eq!(refused.status(), 422, "{field}: {}", refused.text());
        assert!(refused.text().contains(field), "{}", refused.text());
    }
    let long = "word ".repeat(100);
    let long = json!({"model": "f:m", "messages": [{"role": "user", "content": long}]});
    let long = || Request::post("/v1/chat/completions", long.to_string());
    for sent in [json!(5), Value::Null] {
        let set = patch(
            TENANT,
            json!({"maxInputTokens": sent, "maxOutputTokens": sent}),
        )
        .await;
        assert_eq!(set.status(), 200, "{}", set.text());
        let refused = asked(&house, ATTACKER, long()).await;
        assert_eq!(refused.status(), 413, "{sent}: {}", refused.text());
    }
    // A limit is added where the client gives none.
    let request = Request::chat(&["f:m"], false).header("x-test-limit", "1");
    assert_eq!(asked(&house, ATTACKER, request).await.status(), 200);
    let seen = house.provider.take_with("x-test-limit", "1");
    let limits = ["max_tokens", "max_completion_tokens"].map(|name| seen[0].json()[name].clone());
    assert!(limits.contains(&json!(20)), "{:?}", seen[0].json());
    // What the operator sets for the account is its bound, and the last word.
    for (key, sent, holds) in [
        (ROOT, json!(500), 500),
        (TENANT, json!(400), 400),
        (TENANT, Value::Null, 500),
        (ROOT, json!(30), 30),
        (TENANT, Value::Null, 30),
        (ROOT, Value::Null, 50),
    ] {
        let set = patch(key, json!({"maxInputTokens": sent})).await;
        assert_eq!(set.status(), 200, "{}", set.text());
        assert_eq!(set.json()["maxInputTokens"], holds, "{sent}");
    }
    // A configuration of its own lowers and shortens, and does not raise.
    let generous =
        json!({"name": "mine", "limits": {"maxInputTokens": 1000, "maxOutputTokens": 1000}});
    let made = admin(
        &house,
        TENANT,
        "POST",
        "/access-key-configurations",
        generous,
    )
    .await;
    assert_eq!(made.status(), 201, "{}", made.text());
    let key = json!({"name": "mine", "accessKeyConfigurationId": made.json()["id"]});
    let key = admin(&house, TENANT, "POST", "/access-keys", key).await;
    assert_eq!(key.status(), 201, "{}", key.text());
    let token = key.json()["token"].as_str().unwrap().to_owned();
    let own = long()
        .without("authorization")
        .header("authorization", &format!("Bearer {token}"));
    let mut client = Client::try_connect(house.gateway.address).await.unwrap();
    let refused = client.ask(&own).await;
    assert_eq!(refused.status(), 413, "{}", refused.text());
    let trusted = json!({"name": "x", "access": {"options": {"allow": ["background"]}}});
    let refused = admin(
        &house,
        TENANT,
        "POST",
        "/access-key-configurations",
        trusted,
    )
    .await;
    assert_eq!(refused.status(), 422, "{}", refused.text());
}

/// The previous answer of one account was the next one's context, if it knew its id.
#[tokio::test]
async fn what_a_provider_keeps_for_one_account_is_not_anothers() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let shared = |own: bool| {
        let mut shared = provider("kept", &fake);
        shared["surfaces"] = json!([
            "openai/responses",
            "openai/chat-completions",
            "anthropic/messages"
        ]);
        shared["models"] = json!([{"id": "m", "prices": {"input": 1, "output": 1}}]);
        if !own {
            shared["keys"] = json!([]);
            shared["managed_keys"] =
                json!([{"id": "kept-managed", "value": "KEY-OF-THE-OPERATOR"}]);
        }
        shared
    };
    let house = House::open(Bank::Sqlite, |house| {
        let allows = json!([{"id": "trusted", "access": {"options": {"allow": ["provider_state", "provider_routing"]}}}]);
        house.provider(shared(false)).config(json!({"configurations": allows, "access_keys": [
            access_key("trusted", &json!({"account": ATTACKER, "configuration": "trusted"})),
            access_key(VICTIM, &json!({"account": VICTIM})),
            access_key(ATTACKER, &json!({"account": ATTACKER})),
        ]}))
    })
    .await;
    let chat = json!({"model": "kept:m", "messages": [{"role": "user", "content": "hi"}]});
    let responses = json!({"model": "kept:m", "input": "hi"});
    let with = |body: &Value, field: &str, value: Value| {
        let mut body = body.clone();
        body[field] = value;
        body.to_string()
    };
    let cases = [
        (
            "/v1/responses",
            "previous_response_id",
            with(&responses, "previous_response_id", json!("resp_1")),
        ),
        (
            "/v1/responses",
            "conversation",
            with(&responses, "conversation", json!("conv_1")),
        ),
        (
            "/v1/responses",
            "tools",
            with(
                &responses,
                "tools",
                json!([{"type": "mcp", "server_label": "x", "server_url": "https://x.example"}]),
            ),
        ),
        (
            "/v1/chat/completions",
            "messages",
            with(
                &chat,
                "messages",
                json!([{"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}]),
            ),
        ),
        (
            "/v1/chat/completions",
            "provider",
            with(&chat, "provider", json!({"order": ["x"]})),
        ),
        (
            "/v1/chat/completions",
            "preset",
            with(&chat, "preset", json!("x")),
        ),
    ];
    let before = fake.count();
    for (path, field, body) in &cases {
        let refused = asked(&house, ATTACKER, Request::post(path, body.clone())).await;
        let said = (refused.status(), refused.code());
        assert_eq!(
            said,
            (422, "ERR_TOLLGATE_3803".to_owned()),
            "{field}: {}",
            refused.text()
        );
        assert!(
            refused.text().contains(field),
            "{field}: {}",
            refused.text()
        );
    }
    assert_eq!(fake.count(), before, "nothing went upstream");
    for (path, field, body) in &cases {
        let answer = asked(&house, "trusted", Request::post(path, body.clone())).await;
        assert_ne!(
            answer.code(),
            "ERR_TOLLGATE_3803",
            "{field}: {}",
            answer.text()
        );
    }
    assert!(fake.count() > before, "the operator allows it");
    let plain = asked(
        &house,
        ATTACKER,
        Request::post("/v1/chat/completions", chat.to_string()),
    )
    .await;
    assert_eq!(plain.status(), 200, "{}", plain.text());
    // Whoever is alone in the house goes on as before, and so does a key of one's own.
    let alone = crate::common::gateway::Gateway::builder()
        .provider(shared(false))
        .config(json!({"accounts": [{"id": "default", "grants": [{"id": "t", "usd": 10}]}]}))
        .start()
        .await;
    let before = fake.count();
    let (path, _, body) = &cases[0];
    let mut client = Client::try_connect(alone.address).await.unwrap();
    client.ask(&Request::post(path, body.clone())).await;
    assert_eq!(fake.count(), before + 1, "one account");
}

/// Each change is kept in the audit log that all share, so an account makes only so many at once.
#[tokio::test]
async fn changes_of_one_account_are_paced_and_nobody_elses() {
    let house = House::open(Bank::Sqlite, |house| house).await;
    let change = |key| admin(&house, key, "PATCH", "/gateway-config", json!({"none": 1}));
    let mut paced = 0;
    let refused = loop {
        let answer = change(TENANT).await;
        if answer.status() != 422 {
            break answer;
        }
        paced += 1;
    };
    assert_eq!(refused.status(), 429, "{}", refused.text());
    assert!((500..520).contains(&paced), "{paced}");
    assert!(
        refused.text().contains("ERR_TOLLGATE_4290"),
        "{}",
        refused.text()
    );
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let reads = admin(&house, TENANT, "GET", "/gateway-config", Value::Null).await;
    assert_eq!(reads.status(), 200, "it may read: {}", reads.text());
    let operator = change(ROOT).await;
    assert_eq!(operator.status(), 422, "the operator is not paced");
}
