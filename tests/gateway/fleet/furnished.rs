//! A resource of every kind, made over the admin API.

use super::*;
use crate::common::fake::Fake;

/// What was made.
pub struct Furnished {
    /// Where the resources are, in the order of their making.
    pub paths: Vec<String>,
    /// The access key's token.
    pub token: String,
    /// The API key's token; its role is `read-only`.
    pub api_token: String,
    /// The custom provider's `providerId`.
    pub provider: String,
}

/// Makes them; `tag` is part of names that no two resources may have. The gateway must have the provider `f`.
pub async fn furnish(gateway: &Gateway, fake: &Fake, tag: &str) -> Furnished {
    let mut paths = Vec::new();
    let mut make = async |path: &str, new: Value| {
        let made = change(gateway, "POST", path, new).await;
        paths.push(format!("{path}/{}", made["id"].as_str().unwrap()));
        made
    };
    let account = json!({"id": format!("acme-{tag}"), "name": "Acme", "metadata": "{}"});
    make("/accounts", account).await;
    let provider = format!("own-{tag}");
    let surfaces = json!([
        {"format": "openai", "surface": "chat-completions", "supportedParams": [{"name": "temperature"}]},
        {"format": "anthropic"},
    ]);
    let model = json!({
        "modelId": "m", "displayName": "M", "aliases": ["mm"], "contextWindow": 9000, "maxOutputTokens": 800,
        "prices": {"input": "1", "output": "2.5", "cachedRead": "0.1"},
    });
    let own = json!({
        "providerId": provider, "name": "Own", "baseUrl": fake.base_url(), "auth": "bearer",
        "supportedApiSurfaces": surfaces, "models": [model],
    });
    make("/providers", own).await;
    let mut keys = Vec::new();
    for provider in ["f", &provider] {
        let key = json!({"providerId": provider, "name": "key", "value": format!("sk-{tag}")});
        let made = make("/provider-keys", key).await;
        keys.push(made["id"].as_str().unwrap().to_owned());
    }
    let user = |key: &str| json!([{"type": "user", "keys": [{"id": key}]}]);
    let budgets = json!([{"usd": "20", "per": "day"}, {"usd": "90.5", "per": "total"}]);
    let configuration = json!({
        "name": "all", "description": "d", "failover": true,
        "access": {"providers": {"allow": ["f", provider]}, "models": {"allow": ["f:m", format!("{provider}/m")]}},
        "router": {"rules": [
            {"provider": "f", "steps": user(&keys[0])},
            {"model": format!("{provider}:m"), "steps": user(&keys[1])},
        ]},
        "limits": {
            "maxInputTokens": 5000, "requestsPerMinute": 1000, "concurrentRequests": 50, "budgets": budgets,
        },
        "timeouts": {"perRequest": "1s", "total": "30s"},
    });
    let made = make("/access-key-configurations", configuration).await;
    let limits = json!({"tokensPerMinute": 1_000_000, "budgets": budgets});
    let key = json!({"name": "app", "accessKeyConfigurationId": made["id"], "limits": limits});
    let text = |made: &Value| made["token"].as_str().unwrap().to_owned();
    let token = text(&make("/access-keys", key).await);
    let api_key = json!({"name": "reader", "role": "read-only"});
    let api_token = text(&make("/api-keys", api_key).await);
    let clear = admin("DELETE", &format!("/cool-downs/{}", keys[0]), None);
    let cleared = ask(gateway.admin, &clear).await;
    assert_eq!(cleared.status(), 204, "{}", cleared.text());
    let settings = json!({"totalTimeout": "50s", "maxInputTokens": 6000, "maxOutputTokens": null});
    change(gateway, "PATCH", "/gateway-config", settings).await;
    paths.push("/gateway-config".to_owned());
    Furnished {
        paths,
        token,
        api_token,
        provider,
    }
}

impl Furnished {
    /// Chats with the access key: one by way of `f`, one by way of the custom provider.
    pub fn chats(&self) -> [Request; 2] {
        ["f:m".to_owned(), format!("{}:mm", self.provider)].map(|model| {
            Request::chat(&[&model], false)
                .without("authorization")
                .header("authorization", &format!("Bearer {}", self.token))
        })
    }

    /// A request of the admin API with the API key.
    pub fn reads(&self, path: &str) -> Request {
        admin("GET", path, None)
            .without("authorization")
            .header("authorization", &format!("Bearer {}", self.api_token))
    }

    /// The path of the resource of this kind, as in `/providers`.
    pub fn path(&self, kind: &str) -> &str {
        let mut paths = self.paths.iter();
        paths
            .find(|path| path.starts_with(&format!("{kind}/")))
            .unwrap()
    }
}

/// What a gateway answers about a resource, without what differs between gateways and from one moment to the next.
pub async fn shown(gateway: &Gateway, path: &str) -> Value {
    let answer = ask(gateway.admin, &admin("GET", path, None)).await;
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    let here = format!("http://{}", gateway.admin);
    let mut shown: Value = serde_json::from_str(&answer.text().replace(&here, "")).unwrap();
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("lastUsed");
    }
    shown
}

/// Changes a name (or what has none, its metadata), and sees that it is changed.
pub async fn rename(gateway: &Gateway, path: &str, name: &str) {
    let field = if path == "/gateway-config" {
        "metadata"
    } else {
        "name"
    };
    let changed = change(gateway, "PATCH", path, json!({field: name})).await;
    assert_eq!(changed[field], name, "{path}");
}
