//! Messages for callers whose request is none that is served here.

use std::time::Duration;

use super::super::{Code, GatewayError};

impl GatewayError {
    /// 413: a longer body than allowed, in bytes.
    pub fn body_too_large(limit: u64) -> Self {
        Self::new(
            Code::TooLarge,
            format!("The request body is too large: `max_body` allows {limit} bytes."),
        )
    }

    /// 404: an unknown path. The path is not repeated: it may carry anything.
    pub fn unknown_path() -> Self {
        Self::new(
            Code::UnknownPath,
            "Unknown path. This gateway serves /v1/chat/completions, /v1/completions, /v1/embeddings, \
             /v1/responses, /v1/messages, /v1/messages/count_tokens and /v1/models; a base URL for OpenAI SDKs \
             ends in /v1, one for Anthropic SDKs does not.",
        )
    }

    /// 405: the path takes only `allowed`, as in an `Allow` header.
    pub fn method_not_allowed(allowed: &str) -> Self {
        Self::new(
            Code::MethodNotAllowed,
            format!("Method not allowed: this path takes {allowed}."),
        )
    }

    /// 426: an upgrade that is not served.
    pub fn upgrade_required() -> Self {
        Self::new(
            Code::UpgradeRequired,
            "No WebSocket is offered for this: there is one at /v1/responses only, with a handshake of version 13 (RFC 6455), \
             and an operator may switch it off. Send `POST` with `\"stream\": true` instead.",
        )
    }

    /// 431: the request's head is larger than `limit` bytes.
    pub fn head_too_large(limit: u64) -> Self {
        Self::new(
            Code::HeadTooLarge,
            format!("The request's headers are too large: `max_headers` allows {limit} bytes."),
        )
    }

    /// 431: the request's head has more than `limit` lines.
    pub fn too_many_headers(limit: u64) -> Self {
        Self::new(
            Code::HeadTooLarge,
            format!("The request has too many headers: {limit} are taken."),
        )
    }

    /// 414: the request's target is longer than `limit` bytes.
    pub fn target_too_long(limit: u64) -> Self {
        Self::new(
            Code::TargetTooLong,
            format!("The request's URL is too long: it may have {limit} bytes at most."),
        )
    }

    /// 400: what was sent is not HTTP as the RFCs have it. It is of no use to send it again.
    pub fn malformed(why: &str) -> Self {
        Self::new(Code::Malformed, format!("Malformed request: {why}."))
    }

    /// 415: the body's content encoding is not understood.
    pub fn unsupported_encoding() -> Self {
        Self::new(
            Code::UnsupportedEncoding,
            "The request body's Content-Encoding is not supported. Send the body as plain JSON.",
        )
    }

    /// 408: the client was too slow.
    pub fn request_timeout() -> Self {
        Self::new(
            Code::RequestTimeout,
            "The request did not arrive in time. Send it again.",
        )
    }

    /// 503: too many requests under way.
    pub fn overloaded() -> Self {
        Self::new(
            Code::Overloaded,
            "The gateway is overloaded: as much is under way as it takes at once, or as is your account's share of it. \
             Try again shortly.",
        )
        .with_retry_after(Duration::from_secs(1))
    }

    /// 503: shutting down.
    pub fn shutting_down() -> Self {
        Self::new(
            Code::ShuttingDown,
            "The gateway is shutting down. Try again.",
        )
        .with_retry_after(Duration::from_secs(1))
    }

    /// 500: the gateway's own fault; the details are in its log.
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "The gateway made an error. Its log has the details under this request's x-request-id.",
        )
    }
}
