//! Errors, each written in the dialect of the surface that meets it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use tollgate_wire::Dialect;

/// What went wrong, in both dialects' words.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    status: u16,
    /// OpenAI's `type`.
    kind: &'static str,
    /// OpenAI's `code`.
    code: Option<&'static str>,
    /// Anthropic's `type`.
    anthropic: &'static str,
    message: String,
    /// Seconds for a `Retry-After` header.
    retry_after: Option<u32>,
}

impl Failure {
    fn new(
        status: u16,
        kind: &'static str,
        code: Option<&'static str>,
        anthropic: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Failure {
            status,
            kind,
            code,
            anthropic,
            message: message.into(),
            retry_after: None,
        }
    }

    fn invalid(status: u16, code: Option<&'static str>, message: impl Into<String>) -> Self {
        let anthropic = if status == 404 {
            "not_found_error"
        } else {
            "invalid_request_error"
        };
        Failure::new(status, "invalid_request_error", code, anthropic, message)
    }

    pub(super) fn rate_limited(retry_after: Option<u32>) -> Self {
        let message = "Rate limit reached for this demo model. Please try again later.";
        let code = Some("rate_limit_exceeded");
        Failure {
            retry_after,
            ..Failure::new(429, "requests", code, "rate_limit_error", message)
        }
    }

    pub(super) fn unauthorized() -> Self {
        let message = "Incorrect API key provided: this demo model refuses every key.";
        Failure::new(
            401,
            "invalid_request_error",
            Some("invalid_api_key"),
            "authentication_error",
            message,
        )
    }

    pub(super) fn context_too_long() -> Self {
        let message =
            "This model's maximum context length is 8192 tokens: your prompt is too long.";
        Failure::invalid(400, Some("context_length_exceeded"), message)
    }

    pub(super) fn server_error(status: u16) -> Self {
        let message = "The server had an error while processing your request.";
        Failure::new(status, "server_error", None, "api_error", message)
    }

    pub(super) fn overloaded(status: u16) -> Self {
        let code = Some("server_is_overloaded");
        Failure::new(
            status,
            "server_error",
            code,
            "overloaded_error",
            "Overloaded",
        )
    }

    pub(super) fn not_json() -> Self {
        Failure::invalid(400, None, "The body is not JSON.")
    }

    pub(super) fn no_model() -> Self {
        Failure::invalid(400, None, "You must provide a `model` parameter.")
    }

    pub(super) fn unknown_model(id: &str) -> Self {
        let message =
            format!("The model `{id}` does not exist; GET /v1/models lists those that do.");
        Failure::invalid(404, Some("model_not_found"), message)
    }

    pub(super) fn no_such_path() -> Self {
        Failure::invalid(404, None, "The demo provider has nothing at this path.")
    }

    /// OpenAI's `code`, or its `type` where there is none: what a Responses stream calls `code`.
    pub(super) fn code(&self) -> &'static str {
        self.code.unwrap_or(self.kind)
    }

    /// For people.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The error body in a dialect.
    pub(super) fn body(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::OpenAi => json!({"error": {
                "message": self.message, "type": self.kind, "param": null, "code": self.code,
            }}),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {"type": self.anthropic, "message": self.message},
                "request_id": "req_demo",
            }),
        }
    }
}

/// The failure as an answer with its status.
pub(super) fn response(dialect: Dialect, failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = super::json(status, &failure.body(dialect));
    if let Some(seconds) = failure.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
