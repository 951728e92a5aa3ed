//! What is no configuration.

use super::*;

#[tokio::test]
async fn every_fault_of_a_configuration_is_told_at_once() {
    let api = Api::start(builder()).await;
    let made = async |provider: &str, source: &str, account: &str| {
        let body =
            json!({"providerId": provider, "name": "k", "value": VALUE, "keySource": source});
        id(&api
            .create(&format!("/provider-keys?accountId={account}"), body)
            .await)
    };
    let mine = made("openai", "user", "default").await;
    let theirs = made("openai", "user", "acme").await;
    let other = made("groq", "user", "default").await;
    let house = made("openai", "managed", "default").await;
    let custom = json!({"providerId": "custom", "name": "n", "baseUrl": "https://x.example"});
    api.create("/providers", custom).await;
    let user = |keys: Value| json!([{"type": "user", "keys": keys}]);
    let fine = user(json!([{"id": mine}]));
    let body = json!({
        "name": "n",
        "access": {"providers": {"allow": ["openai", "opnai"]}, "models": {"allow": ["gpt-4o", "nobody/x", "openai:x"]}},
        "router": {"rules": [
            {"steps": fine},
            {"provider": "nobody", "steps": fine},
            {"model": "gpt-4o", "steps": fine},
            {"provider": "groq", "model": "openai:gpt-4o", "steps": fine},
            {"provider": "openai", "steps": [
                {"type": "user"}, {"type": "user", "keys": []},
                {"type": "user", "keys": [{"id": theirs}, {"id": other}, {"id": house}, {"id": "pk_none"}]},
                {"type": "managed", "keys": [{"id": mine}, {"id": house}]},
                {"type": "user", "keys": [{}, {"name": "n"}, {"value": VALUE}, {"id": mine, "value": VALUE}, {"name": "n", "value": "a\nb"}]},
            ]},
            {"provider": "openai", "steps": fine},
            {"model": "openai:gpt-4o", "steps": fine},
            {"model": "openai/openai/GPT-4o", "steps": fine},
            {"provider": "custom", "steps": [{"type": "managed"}]},
        ]},
        "limits": {"budgets": [{"usd": "0", "per": "day"}]},
        "timeouts": {"perRequest": "2m", "total": "1m", "hold": "now"},
    });
    let rule = |place: &str| format!("router.rules.{place}");
    let mut expected: Vec<String> = [
        "0",
        "1.provider",
        "2.model",
        "3.model",
        "4.steps.0.keys",
        "4.steps.1.keys",
        "4.steps.2.keys.0.id",
        "4.steps.2.keys.1.id",
        "4.steps.2.keys.2.id",
        "4.steps.2.keys.3.id",
        "4.steps.3.keys.0.id",
        "4.steps.4.keys.0",
        "4.steps.4.keys.1.value",
        "4.steps.4.keys.2.name",
        "4.steps.4.keys.3",
        "4.steps.4.keys.4.value",
        "5",
        "7",
        "8.steps.0.type",
    ]
    .map(rule)
    .into();
    for field in [
        "access.providers.allow.1",
        "access.models.allow.0",
        "access.models.allow.1",
        "limits.budgets.0.usd",
        "timeouts.perRequest",
        "timeouts.hold",
    ] {
        expected.push(field.to_owned());
    }
    expected.sort();
    assert_eq!(api.faults("POST", PATH, body).await, expected);

    for (body, field) in [
        (json!({}), "name"),
        (
            json!({"name": "n", "router": {"rules": [{"provider": "openai", "steps": []}]}}),
            "router.rules.0.steps",
        ),
        (
            json!({"name": "n", "router": {"rules": [{"provider": "openai", "steps": [{"type": "free"}]}]}}),
            "router.rules.0.steps.0.type",
        ),
        (
            json!({"name": "n", "access": {"regions": {}}}),
            "access.regions",
        ),
        (
            json!({"name": "n", "limits": {"requestsPerMinute": 0}}),
            "limits.requestsPerMinute",
        ),
        (
            json!({"name": "n", "access": {"models": {"allow": vec!["openai:x"; 1_001]}}}),
            "access.models.allow",
        ),
        (
            json!({"name": "n", "router": {"rules": vec![
                json!({"provider": "openai", "steps": vec![json!({"type": "managed"}); 100]}); 11
            ]}}),
            "router.rules",
        ),
    ] {
        assert_eq!(api.faults("POST", PATH, body).await, [field]);
    }
    let body = json!({"name": "n", "access": {"providers": {"allow": vec!["opnai"; 100]}}});
    let answer = api.expect(422, "POST", PATH, Some(body)).await;
    let details = answer["details"].as_object().unwrap();
    let meant = |what: &&Value| what.as_str().unwrap().contains("did you mean");
    assert_eq!(
        (details.len(), details.values().filter(meant).count()),
        (100, 20),
        "nobody waits for as many guesses as an account asks for"
    );
    assert!(
        ids(&api.get(PATH).await, ITEMS).is_empty(),
        "nothing was made"
    );
    let keys = api.get("/provider-keys").await;
    assert_eq!(
        ids(&keys, "aiGatewayProviderKeys").len(),
        3,
        "no key was made inline"
    );
}
