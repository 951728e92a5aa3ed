//! Messages for callers that send a request again.

use std::time::Duration;

use super::super::{Code, GatewayError};

/// The header that names what is to be carried out once.
const HEADER: &str = "idempotency-key";

impl GatewayError {
    /// 400: the idempotency key is none.
    pub fn idempotency_malformed(longest: usize) -> Self {
        let message = format!(
            "`Idempotency-Key` must be one header of 1 to {longest} visible ASCII characters; a UUID is one."
        );
        Self::new(Code::InvalidBody, message).with_param(HEADER)
    }

    /// 409: the first request with the idempotency key is under way.
    pub fn idempotency_in_use(retry_after: Duration) -> Self {
        Self::new(
            Code::IdempotencyInUse,
            "The first request with this `Idempotency-Key` is still under way. Send it again to get its answer.",
        )
        .with_param(HEADER)
        .with_retry_after(retry_after)
    }

    /// 409: the first request with the idempotency key was answered, and its answer is not there.
    pub fn idempotency_spent() -> Self {
        Self::new(
            Code::IdempotencyInUse,
            "The first request with this `Idempotency-Key` was answered and charged, and its answer is too long to be \
             kept, or cannot be read. Use another key to send the request anew.",
        )
        .with_param(HEADER)
    }

    /// 422: the idempotency key stands for another request.
    pub fn idempotency_reused() -> Self {
        Self::new(
            Code::IdempotencyReused,
            "This `Idempotency-Key` was used with another path or body. Use a new key for each request, and the same one \
             only to send the same request again.",
        )
        .with_param(HEADER)
    }

    /// 503: it cannot be known whether a request with the idempotency key was sent before.
    pub fn idempotency_unreachable() -> Self {
        Self::new(
            Code::BankUnreachable,
            "The store of idempotency keys cannot be reached, so it cannot be known whether this request was sent \
             before. Try again, or send it without `Idempotency-Key`.",
        )
        .with_retry_after(Duration::from_secs(1))
    }
}
