//! What several of these tests need.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::common::client::{Client, Version};
use crate::common::gateway::{Builder, Gateway, sha256};
use crate::common::requests::Request;

/// May do everything for every account.
pub const ROOT: &str = "tests-only-root-key-of-the-admin-api";
/// May do everything for the account `acme`.
pub const ACME: &str = "tests-only-key-of-the-account-acme";
/// May read.
pub const READER: &str = "tests-only-key-of-one-who-reads";

/// What applications of the account `acme` send.
pub const ACME_TOKEN: &str = "tg-acme-g1-0000000000TestsOnlyTestsOnlyTestsOnly00000000";

const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A gateway whose admin API the three keys may call.
pub struct Api {
    /// The gateway.
    pub gateway: Gateway,
}

/// A gateway that has a master key, two accounts, and nothing else.
pub fn builder() -> Builder {
    without_master_key().env("TOLLGATE_MASTER_KEY", MASTER_KEY)
}

/// A gateway that can store no secrets.
pub fn without_master_key() -> Builder {
    let test = sha256(crate::common::TOKEN);
    Gateway::builder()
        .env("TOLLGATE_ADMIN_KEY", ROOT)
        .config(json!({
            "admin": {"api_keys": [
                {"name": "acme", "sha256": sha256(ACME), "account": "acme"},
                {"name": "reader", "sha256": sha256(READER), "role": "read-only"},
            ]},
            "accounts": [
                {"id": "default", "grants": [{"id": "tests", "usd": 1000}]},
                {"id": "acme", "grants": [{"id": "tests", "usd": 1000}]},
            ],
            "access_keys": [
                {"id": "test", "sha256": test},
                {"id": "acme", "sha256": sha256(ACME_TOKEN), "account": "acme"},
            ],
        }))
}

impl Api {
    /// Starts a gateway.
    pub async fn start(builder: Builder) -> Api {
        Api {
            gateway: builder.start().await,
        }
    }

    /// One call by the holder of `key`: status and body.
    pub async fn call(
        &self,
        key: &str,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request {
            method,
            ..Request::post(path, body)
        };
        let request = request
            .without("authorization")
            .header("authorization", &format!("Bearer {key}"));
        let mut client = Client::connect(Version::H1, self.gateway.admin).await;
        if method == "HEAD" {
            // The length is that of a body which does not come.
            return (client.begin(&request).await.unwrap().status, Value::Null);
        }
        let answer = client.ask(&request).await;
        let body = match answer.text().as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        (answer.status(), body)
    }

    /// The answer of a GET that succeeds.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(200, "GET", path, None).await
    }

    /// What was created.
    pub async fn create(&self, path: &str, body: Value) -> Value {
        self.expect(201, "POST", path, Some(body)).await
    }

    /// What was updated.
    pub async fn update(&self, path: &str, body: Value) -> Value {
        self.expect(200, "PATCH", path, Some(body)).await
    }

    /// The answer of a call by [`ROOT`] that ends with this status.
    pub async fn expect(
        &self,
        status: u16,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        let shown = body.clone().unwrap_or_default();
        let (got, answer) = self.call(ROOT, method, path, body).await;
        assert_eq!(got, status, "{method} {path} {shown}: {answer}");
        if status >= 400 {
            assert_eq!(answer["statusCode"], status, "{answer}");
            assert!(answer["msg"].is_string() && answer["details"].is_object());
        }
        answer
    }

    /// The `details` of a call that is refused with 422: the fields, sorted.
    pub async fn faults(&self, method: &'static str, path: &str, body: Value) -> Vec<String> {
        let answer = self.expect(422, method, path, Some(body)).await;
        let details = answer["details"].as_object().unwrap();
        let mut fields: Vec<String> = details.keys().cloned().collect();
        fields.sort();
        fields
    }

    /// The status of a chat completion by the tests' access key.
    pub async fn chat(&self, model: &str) -> u16 {
        self.ask(&Request::chat(&[model], false)).await
    }

    /// The status of a request of the proxy.
    pub async fn ask(&self, request: &Request) -> u16 {
        let mut client = Client::connect(Version::H1, self.gateway.address).await;
        client.ask(request).await.status()
    }
}

/// The id of an answer.
pub fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

/// The ids of a list.
pub fn ids(list: &Value, items: &str) -> Vec<String> {
    list[items].as_array().unwrap().iter().map(id).collect()
}
