//! Requests as clients make them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::TOKEN;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST` and the like.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Without `host` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body; `GET`s have none.
    pub body: Bytes,
}

impl Request {
    /// A POST of JSON with the tests' access key.
    pub fn post(path: &str, body: impl Into<Bytes>) -> Request {
        let request = Request {
            method: "POST",
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.into(),
        };
        request
            .header("content-type", "application/json")
            .header("authorization", &format!("Bearer {TOKEN}"))
    }

    /// A GET with the tests' access key.
    pub fn get(path: &str) -> Request {
        let request = Request {
            method: "GET",
            ..Request::post(path, Bytes::new())
        };
        request.without("content-type")
    }

    /// A chat completion over these candidates, the first one in `model`.
    pub fn chat(models: &[&str], stream: bool) -> Request {
        Request::post(
            "/v1/chat/completions",
            chat_body(models, stream).to_string(),
        )
    }

    /// A message over these candidates, as the Anthropic SDK sends it.
    pub fn message(models: &[&str], stream: bool) -> Request {
        let mut body = chat_body(models, stream);
        body["max_tokens"] = json!(100);
        Request::post("/v1/messages", body.to_string())
            .without("authorization")
            .header("x-api-key", TOKEN)
            .header("anthropic-version", "2023-06-01")
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a header.
    pub fn without(mut self, name: &str) -> Request {
        self.headers.retain(|(known, _)| known != name);
        self
    }
}

/// The token of an access key with this id.
pub fn token(id: &str) -> String {
    format!("tg-{id}-g1-0000000000TestsOnlyTestsOnlyTestsOnly00000000")
}

/// The same request from another caller.
pub fn from(caller: &str, request: Request) -> Request {
    request
        .without("authorization")
        .without("x-api-key")
        .header("authorization", &format!("Bearer {}", token(caller)))
}

/// The body of a chat completion, and of a message as far as they agree.
pub fn chat_body(models: &[&str], stream: bool) -> Value {
    let mut body = json!({"model": models.first().copied().unwrap_or_default()});
    if models.len() > 1 {
        body["models"] = json!(models[1..]);
    }
    body["messages"] = json!([{"role": "user", "content": "hi"}]);
    if stream {
        body["stream"] = json!(true);
    }
    body
}
