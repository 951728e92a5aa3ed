//! What goes wrong, as clients see it: the one table from error to status, code and body.
//!
//! Invariant: codes are stable, and no body ever carries a credential, or anything of the request but
//! model ids.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::report::meaning::Overlong;
use super::{Dialect, Surface};

mod body;
mod code;
mod message;
#[cfg(test)]
mod tests;

pub(crate) use body::{body, stream_event};
pub use code::Code;
pub use message::Attempt;

/// An error that the gateway itself answers with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.code())]
pub struct GatewayError {
    /// What kind.
    pub code: Code,
    /// What is wrong and what to do, for the caller.
    pub message: String,
    /// The request's member at fault, if one is.
    pub param: Option<String>,
    /// When to try again, for the `Retry-After` header.
    pub retry_after: Option<Duration>,
    /// The limit that was reached, for the `x-ratelimit-*` headers.
    pub rate_limit: Option<Box<RateLimit>>,
    /// The prompt that is too long, which each dialect has its own words for: agents that read these shorten it.
    pub(crate) overlong: Option<Overlong>,
}

/// A limit, as the `x-ratelimit-*` headers show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `requests` or `tokens`.
    pub unit: &'static str,
    /// The most in a window.
    pub limit: i64,
    /// What is left of it.
    pub remaining: i64,
    /// Until the window ends.
    pub reset: Duration,
}

impl GatewayError {
    /// Returns an error with a message of its own.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        GatewayError {
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            rate_limit: None,
            overlong: None,
        }
    }

    /// Names the request's member at fault.
    #[must_use]
    pub(crate) fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Says which limit was reached.
    #[must_use]
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(Box::new(limit));
        self
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// Returns the value of a `Retry-After` header: whole seconds, rounded up, at least 1.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|after| {
            let up = u64::from(after.subsec_nanos() > 0);
            after.as_secs().saturating_add(up).max(1)
        })
    }

    /// Returns the response body in a dialect.
    pub fn body(&self, dialect: Dialect, request_id: &str) -> Bytes {
        body(dialect, self, request_id)
    }

    /// Returns the server-sent event that ends a stream which has already begun; `sequence` is its number among the
    /// stream's events.
    pub fn stream_event(&self, surface: Surface, request_id: &str, sequence: u64) -> Bytes {
        stream_event(surface, self, request_id, sequence)
    }
}
