//! What went wrong inside an answer whose status said 200.

/// A failure that a provider reports, or shows, inside its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFailure {
    /// The provider says so, in its dialect's error event or error body.
    ErrorEvent {
        /// The HTTP status that says the same, 400 to 599: 529 for `overloaded_error`, 429 for
        /// `rate_limit_error` and `insufficient_quota`, 500 where nothing better is known.
        status: u16,
        /// The provider's own name for it (`type`, else `code`), at most 128 bytes.
        kind: String,
        /// The provider's own words, at most 4 KiB.
        message: String,
    },
    /// What came is not what the dialect allows: data that is no JSON, or an event over
    /// [`crate::dialect::sse::MAX_EVENT`].
    Malformed,
}
