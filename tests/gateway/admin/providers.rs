//! Custom providers.

mod check;

use serde_json::{Value, json};

use super::help::{ACME, ACME_TOKEN, Api, ROOT, builder, id, ids};
use crate::common::fake::{Fake, Wire};
use crate::common::requests::Request;

const ITEMS: &str = "aiGatewayProviders";

fn provider(provider_id: &str) -> Value {
    json!({"providerId": provider_id, "name": "Mine", "baseUrl": "http://127.0.0.1:1"})
}

#[tokio::test]
async fn a_provider_is_made_shown_changed_and_deleted() {
    let api = Api::start(builder()).await;
    let sent = json!({
        "providerId": "my-vllm", "name": "Mine", "baseUrl": "https://llm.example/v1", "metadata": "m",
        "supportedApiSurfaces": [
            {"format": "openai", "surface": "chat-completions", "supportedParams": [{"name": "tools"}]},
            {"format": "anthropic"},
            {"format": "openai", "surface": "responses"},
        ],
        "models": [
            {"modelId": "llama-3"},
            {"modelId": "qwen/3:free", "displayName": "Qwen", "aliases": ["qwen"], "contextWindow": 4096,
             "maxOutputTokens": 512, "capabilities": {"reasoning": true, "toggle": true, "efforts": ["low", "high"],
             "thoughts": "reasoning_content", "temperature": false, "structuredOutput": true}, "prices": {"input": "0.0375", "output": "0.15", "cachedRead": "0.01"}},
        ],
        "auth": "api-key", "vendor": "z-ai", "websocket": true,
    });
    let made = api.create("/providers", sent.clone()).await;
    let path = format!("/providers/{}", id(&made));
    assert!(path.starts_with("/providers/prov_"), "{path}");
    for field in [
        "providerId",
        "name",
        "baseUrl",
        "metadata",
        "supportedApiSurfaces",
        "auth",
        "vendor",
        "websocket",
    ] {
        assert_eq!(made[field], sent[field], "{field}");
    }
    let models = made["models"].as_array().unwrap();
    for (shown, sent) in models.iter().zip(sent["models"].as_array().unwrap()) {
        let mut shown = shown.clone();
        let model = shown.as_object_mut().unwrap().remove("id").unwrap();
        assert!(model.as_str().unwrap().starts_with("mod_"), "{model}");
        assert_eq!(&shown, sent);
    }
    assert_eq!(api.get(&path).await, made);
    assert_eq!(ids(&api.get("/providers").await, ITEMS), [id(&made)]);
    let known = api.get("/catalog/models/my-vllm:llama-3").await;
    let found = api.get("/catalog/models?search=VLLM:LLAMA").await;
    assert_eq!(ids(&found, "models"), ["my-vllm:llama-3"]);
    assert_eq!(known["modelId"], "llama-3", "it is in force at once");

    let kept = models[1]["id"].clone();
    let without = json!({"supportedApiSurfaces": [{"format": "anthropic"}]});
    assert_eq!(api.faults("PATCH", &path, without).await, ["websocket"]);
    let changes = json!({"models": [{"modelId": "new"}, {"modelId": "qwen/3:free"}], "metadata": null, "auth": null, "vendor": null, "websocket": null});
    let changed = api.update(&path, changes).await;
    assert_eq!(
        changed["models"][1],
        json!({"id": kept, "modelId": "qwen/3:free"})
    );
    assert!(changed.get("metadata").is_none() && changed.get("auth").is_none());
    assert!(changed.get("vendor").is_none() && changed.get("websocket").is_none());
    assert_eq!(
        changed["supportedApiSurfaces"], sent["supportedApiSurfaces"],
        "absent stays"
    );
    let changed = api
        .update(&path, json!({"models": [], "supportedApiSurfaces": null}))
        .await;
    assert_eq!(changed["models"], json!([]));
    assert!(changed.get("supportedApiSurfaces").is_none());
    api.expect(404, "GET", "/catalog/models/my-vllm:llama-3", None)
        .await;
    let nameless = api.update(&path, json!({"name": null})).await;
    assert_eq!(
        nameless["name"], nameless["providerId"],
        "every answer has a name"
    );
    for (body, field) in [
        (json!({"baseUrl": null}), "baseUrl"),
        (json!({"providerId": "other"}), "providerId"),
    ] {
        assert_eq!(api.faults("PATCH", &path, body).await, [field]);
    }

    api.expect(204, "DELETE", &path, None).await;
    api.expect(404, "GET", &path, None).await;
    api.expect(404, "GET", "/catalog/providers/my-vllm", None)
        .await;
    assert_eq!(api.call(ROOT, "HEAD", "/providers", None).await.0, 200);
}

#[tokio::test]
async fn a_provider_id_belongs_to_one_provider() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let api = Api::start(builder().fake("declared", &fake)).await;
    api.create("/providers", provider("mine")).await;
    for (taken, says) in [
        ("mine", "another provider"),
        ("declared", "configuration file"),
        ("openai", "/catalog/models"),
        ("demo", "reserved"),
    ] {
        let answer = api
            .expect(409, "POST", "/providers", Some(provider(taken)))
            .await;
        assert_eq!(answer["errorCode"], "ERR_TOLLGATE_4090");
        assert!(answer["msg"].as_str().unwrap().contains(says), "{answer}");
    }
    let mut theirs = provider("mine");
    theirs["baseUrl"] = json!("https://models.example");
    let (status, _) = api.call(ACME, "POST", "/providers", Some(theirs)).await;
    assert_eq!(status, 409, "the other account's too");
    for method in ["GET", "DELETE"] {
        let answer = api.expect(404, method, "/providers/openai", None).await;
        assert!(
            answer["msg"]
                .as_str()
                .unwrap()
                .contains("/catalog/providers"),
            "{answer}"
        );
    }
    api.expect(404, "GET", "/providers/prov_none", None).await;

    let declared = api.get("/providers/declared").await;
    assert_eq!(declared["createdBy"]["id"], "yaml");
    assert_eq!(declared["models"], json!([{"id": "m", "modelId": "m"}]));
    for (method, body) in [("PATCH", Some(json!({"name": "x"}))), ("DELETE", None)] {
        let answer = api.expect(409, method, "/providers/declared", body).await;
        assert_eq!(answer["errorCode"], "ERR_TOLLGATE_4092");
    }
}

#[tokio::test]
async fn a_provider_that_is_referred_to_stays() {
    let api = Api::start(builder()).await;
    let made = api.create("/providers", provider("mine")).await;
    let path = format!("/providers/{}", id(&made));
    let key = json!({"providerId": id(&made), "name": "k", "value": "sk-0123456789abcdef"});
    let key = api.create("/provider-keys", key).await;
    assert_eq!(key["providerId"], "mine", "its resource's id names it too");
    let in_use = async |by: &str| {
        let answer = api.expect(409, "DELETE", &path, None).await;
        assert_eq!(answer["errorCode"], "ERR_TOLLGATE_4091");
        assert!(
            answer["msg"].as_str().unwrap().contains(by),
            "{answer} {by}"
        );
    };
    in_use(&id(&key)).await;
    let steps = json!([{"type": "user", "keys": [{"id": id(&key)}]}]);
    let entries = [
        json!({"access": {"providers": {"allow": ["mine"]}}}),
        json!({"access": {"models": {"allow": ["mine/m"]}}}),
        json!({"router": {"rules": [{"provider": "mine", "steps": steps}]}}),
        json!({"router": {"rules": [{"model": "mine:m", "steps": steps}]}}),
    ];
    let mut configurations = Vec::new();
    for mut entry in entries {
        entry["name"] = json!("c");
        configurations.push(id(&api.create("/access-key-configurations", entry).await));
    }
    let answer = api
        .expect(409, "DELETE", &format!("/provider-keys/{}", id(&key)), None)
        .await;
    assert_eq!(
        answer["errorCode"], "ERR_TOLLGATE_4091",
        "a step names the key"
    );
    for configuration in configurations.split_off(2) {
        api.expect(
            204,
            "DELETE",
            &format!("/access-key-configurations/{configuration}"),
            None,
        )
        .await;
    }
    api.expect(204, "DELETE", &format!("/provider-keys/{}", id(&key)), None)
        .await;
    for configuration in configurations.into_iter().rev() {
        in_use(&configuration).await;
        api.expect(
            204,
            "DELETE",
            &format!("/access-key-configurations/{configuration}"),
            None,
        )
        .await;
    }
    api.expect(204, "DELETE", &path, None).await;
}

#[tokio::test]
async fn a_provider_with_managed_keys_is_not_the_tenants_to_change() {
    let api = Api::start(builder()).await;
    let mut sent = provider("priced");
    sent["models"] = json!([{"modelId": "m", "prices": {"input": "1", "output": "2"}}]);
    let made = api.create("/providers?accountId=acme", sent).await;
    let path = format!("/providers/{}", id(&made));
    let free = json!({"models": [{"modelId": "m", "prices": {"input": "0", "output": "0"}}]});
    let (status, answer) = api
        .call(ACME, "PATCH", &path, Some(json!({"name": "x"})))
        .await;
    assert_eq!(status, 200, "it has no key yet: {answer}");
    let key = json!({"providerId": "priced", "name": "k", "value": "sk-1", "keySource": "managed"});
    api.create("/provider-keys?accountId=acme", key).await;
    let (status, answer) = api.call(ACME, "PATCH", &path, Some(free.clone())).await;
    assert_eq!(
        (status, &answer["errorCode"]),
        (403, &json!("ERR_TOLLGATE_4031"))
    );
    api.update(&format!("{path}?accountId=acme"), free).await;
}

#[tokio::test]
async fn a_provider_serves_its_own_account() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let api = Api::start(builder()).await;
    let body = json!({"providerId": "free", "name": "Free", "baseUrl": fake.base_url(), "auth": "none",
                      "models": [{"modelId": "m", "aliases": ["nick"]}]});
    let (status, refused) = api
        .call(ACME, "POST", "/providers", Some(body.clone()))
        .await;
    assert_eq!(
        (status, &refused["details"]["baseUrl"]),
        (
            422,
            &json!("must be https to a public address: this API key acts for one account only")
        ),
        "our own network is not for those who act for one account"
    );
    let made = api.create("/providers?accountId=acme", body).await;
    assert_eq!(made["accountId"], "acme", "{made}");
    api.expect(404, "GET", &format!("/providers/{}", id(&made)), None)
        .await;
    let faults = api
        .faults(
            "POST",
            "/provider-keys",
            json!({"providerId": "free", "name": "k", "value": "sk-1"}),
        )
        .await;
    assert_eq!(faults, ["providerId"], "another account does not know it");
    let by_acme = |model: &str| {
        Request::chat(&[model], false)
            .without("authorization")
            .header("authorization", &format!("Bearer {ACME_TOKEN}"))
    };
    assert_eq!(api.ask(&by_acme("free:m")).await, 200);
    assert_eq!(api.ask(&by_acme("nick")).await, 200);
    assert_eq!(fake.seen().last().unwrap().json()["model"], "m");
    assert_eq!(api.chat("free:m").await, 422, "others do not know it");
}

#[tokio::test]
async fn a_surface_is_sent_the_fields_that_it_supports() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let api = Api::start(builder()).await;
    let surfaces = json!([
        {"format": "openai", "surface": "chat-completions", "supportedParams": [{"name": "tools"}]},
        {"format": "openai", "surface": "responses"},
    ]);
    let body = json!({"providerId": "few", "name": "Few", "baseUrl": fake.base_url(), "auth": "none",
                      "supportedApiSurfaces": surfaces});
    let made = api.create("/providers", body).await;
    let chat = || {
        let body = r#"{"model":"few:m","messages":[],"max_tokens":9,"stream":false,"tools":[],"seed":1,"\u0075ser":"u","x-new":{}}"#;
        Request::post("/v1/chat/completions", body)
    };
    assert_eq!(api.ask(&chat()).await, 200);
    let sent = || fake.seen().last().unwrap().json();
    let kept = json!({"model": "m", "messages": [], "max_tokens": 9, "stream": false, "tools": []});
    assert_eq!(sent(), kept);
    let responses = r#"{"model":"few:m","input":"hi","seed":1}"#;
    api.ask(&Request::post("/v1/responses", responses)).await;
    assert_eq!(sent()["seed"], 1, "without a list, all fields are sent");

    let path = format!("/providers/{}", id(&made));
    api.update(&path, json!({"supportedApiSurfaces": null}))
        .await;
    assert_eq!(api.ask(&chat()).await, 200);
    assert_eq!(
        (&sent()["user"], &sent()["x-new"]),
        (&json!("u"), &json!({}))
    );
}

#[tokio::test]
async fn a_bare_model_id_goes_to_the_providers_of_the_file_first() {
    let house = Fake::good(Wire::H1, "the house").await;
    let (elder, younger) = (
        Fake::good(Wire::H1, "the elder").await,
        Fake::good(Wire::H1, "the younger").await,
    );
    let api = Api::start(builder().fake("house", &house)).await;
    let guest = |id: &str, fake: &Fake, models: Value| json!({"providerId": id, "name": id, "baseUrl": fake.base_url(), "auth": "none", "models": models});
    let models = json!([{"modelId": "m"}, {"modelId": "own"}, {"modelId": "gpt-4o"}]);
    let made = api
        .create("/providers", guest("a-elder", &elder, models))
        .await;
    let preceded = |made: &Value| {
        let models = made["models"].as_array().unwrap().iter();
        models
            .map(|model| model["precededBy"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        preceded(&made),
        [json!(["house"]), Value::Null, json!(["openai"])]
    );
    let models = json!([{"modelId": "x", "aliases": ["M", "own"]}]);
    let made = api
        .create("/providers", guest("a-younger", &younger, models))
        .await;
    assert_eq!(preceded(&made), [json!(["house", "a-elder"])]);
    let path = format!("/providers/{}", id(&made));
    assert_eq!(
        preceded(&api.get(&path).await),
        [json!(["house", "a-elder"])]
    );

    for (model, fake) in [
        ("m", &house),
        ("own", &elder),
        ("a-younger:own", &younger),
        ("x", &younger),
    ] {
        let before = fake.count();
        assert_eq!(api.chat(model).await, 200, "{model}");
        assert_eq!(fake.count(), before + 1, "{model}");
    }
    // Whom the account has no key for is passed over, as ever.
    let before = elder.count();
    assert_eq!(api.chat("gpt-4o").await, 200);
    assert_eq!(elder.count(), before + 1);
}

#[tokio::test]
async fn a_provider_that_the_file_hides_can_be_deleted() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let api = Api::start(builder()).await;
    let path = format!(
        "/providers/{}",
        id(&api.create("/providers", provider("mine")).await)
    );
    let file = api.gateway.path("tollgate.yaml");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["providers"] = json!([crate::common::gateway::provider("mine", &fake)]);
    std::fs::write(&file, config.to_string()).unwrap();
    let hidden = async || ids(&api.get("/providers").await, ITEMS).contains(&"mine".to_owned());
    let began = tollgate_base::clock::now();
    while !hidden().await {
        assert!(began.elapsed().as_secs() < 10, "{}", api.gateway.output());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(api.chat("mine:m").await, 200, "the file's");
    for path in ["/catalog/providers/mine", "/catalog/models/mine:m"] {
        let (status, answer) = api.call(ACME, "GET", path, None).await;
        assert_eq!(status, 200, "the file's is everybody's: {answer}");
    }
    api.expect(204, "DELETE", &path, None).await;
    api.expect(404, "GET", &path, None).await;
    assert_eq!(api.chat("mine:m").await, 200);
    let declared = api.expect(409, "DELETE", "/providers/mine", None).await;
    assert_ne!(declared["errorCode"], "ERR_TOLLGATE_4091", "{declared}");
}

#[tokio::test]
async fn keys_of_the_api_are_keys_too() {
    let missing = "there are no access keys here";
    let mut api = Api::start(builder().config(json!({"access_keys": []}))).await;
    let none: Value = {
        let text = std::fs::read(api.gateway.path("tollgate.yaml")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(none["access_keys"], json!([]), "the file has none");
    assert_eq!(api.gateway.output().matches(missing).count(), 1);
    api.create("/access-keys", json!({"name": "app"})).await;
    api.gateway.stop().await;
    api.gateway.restart().await;
    assert_eq!(
        api.gateway.output().matches(missing).count(),
        1,
        "{}",
        api.gateway.output()
    );
}
