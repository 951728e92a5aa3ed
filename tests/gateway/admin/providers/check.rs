//! What is no provider.

use super::*;

#[tokio::test]
async fn every_fault_of_a_provider_is_told() {
    let api = Api::start(builder()).await;
    let made = api.create("/providers", provider("mine")).await;
    let path = format!("/providers/{}", id(&made));
    let missing = api.faults("POST", "/providers", json!({})).await;
    assert_eq!(missing, ["baseUrl", "name", "providerId"]);
    let bad = json!({
        "providerId": "My Provider", "name": "n", "baseUrl": "http://169.254.169.254/latest",
        "supportedApiSurfaces": [{"format": "gemini"}, {"format": "openai", "surface": "messages"}],
        "models": [
            {"modelId": "a b"}, {"modelId": "x", "aliases": ["y", "Y"]}, {"modelId": "X"},
            {"modelId": "p", "prices": {"input": "0.5", "output": "0.1"}},
            {"modelId": "q", "capabilities": {"reasoning": false, "efforts": ["low"]}},
        ],
    });
    assert_eq!(
        api.faults("POST", "/providers", bad).await,
        [
            "baseUrl",
            "models.0.modelId",
            "models.1.aliases.1",
            "models.2.modelId",
            "models.4.capabilities.efforts",
            "providerId",
            "supportedApiSurfaces.0.format",
            "supportedApiSurfaces.1.surface",
        ]
    );
    for (field, value) in [
        ("baseUrl", json!("ftp://x")),
        ("baseUrl", json!("http://8.8.8.8/v1")),
        ("baseUrl", json!("https://user:pass@x")),
        (
            "models.0.prices.input",
            json!([{"modelId": "m", "prices": {"input": "1e3"}}]),
        ),
        (
            "models.0.contextWindow",
            json!([{"modelId": "m", "contextWindow": 0}]),
        ),
        ("auth", json!("basic")),
        (
            "supportedApiSurfaces.1",
            json!([{"format": "openai"}, {"format": "openai", "surface": "responses"}]),
        ),
    ] {
        let name = field.split('.').next().unwrap();
        assert_eq!(
            api.faults("PATCH", &path, json!({name: value})).await,
            [field]
        );
    }
    assert_eq!(api.get(&path).await, made, "nothing was changed");
}
