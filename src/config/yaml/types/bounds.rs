//! How long things may take.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::TimeoutOverrides;
use crate::yaml::units::{ByteSize, Span};

/// How long things may take. The most specific wins: configuration, then model, then provider, then global.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From the start of an attempt to the first sign of life of its stream: an event, if only a ping. Default 60s.
    pub per_request: Option<Span>,
    /// From the start of an attempt to the end of an answer that is not streamed. Default 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_answer: Option<Span>,
    /// From the request to the start of its last attempt; a stream without a sign of life ends then. Default 120s.
    pub total: Option<Span>,
    /// Silence inside a stream that has shown life. Default 60s.
    pub stream_idle: Option<Span>,
    /// How long a streaming client waits for a status before it is given `200` and keep-alive comments. Default 10s.
    pub hold: Option<Span>,
    /// How long an upstream may be silent inside a stream before the client is sent a keep-alive comment; 0s is never. Default 15s.
    pub keepalive: Option<Span>,
    /// How long a request waits, while all that may serve it rest or have no quota left, for one that soon has. Default 0s, which is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Span>,
}

/// Whether the same model with the same key is tried again, when nothing else of the model is left: after a
/// `Retry-After` that is short, or at once after a 5xx or a connection that ended before an answer. Off by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often, at most 3. Default 0.
    pub same: Option<u32>,
    /// The longest `Retry-After` that is waited for, at most 30s. Default 3s.
    pub most: Option<Span>,
}

/// How much of the answers to requests with an `Idempotency-Key` is kept of each account; the oldest go first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeptAnswers {
    /// How many, 1 to 1000000. Default 10000.
    pub most: Option<u64>,
    /// How large all of them are, sealed, at least 16MiB. Default 256MiB.
    pub max_bytes: Option<ByteSize>,
}

/// Most often that a candidate is tried again.
const MOST_RETRIES: u32 = 3;

/// Longest that a request waits for a candidate: meanwhile it keeps its place, and the credits that it holds.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Retry {
    pub(super) fn says_nothing(&self) -> bool {
        *self == Retry::default()
    }

    /// Returns the members that are out of their range, each with what it must be.
    pub fn wrong(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        if self.same.is_some_and(|same| same > MOST_RETRIES) {
            wrong.push(("same", format!("must be at most {MOST_RETRIES}")));
        }
        if self.most.is_some_and(|most| most.duration() > LONGEST_WAIT) {
            let what = format!("must be at most {}s", LONGEST_WAIT.as_secs());
            wrong.push(("most", what));
        }
        wrong
    }
}

impl Timeouts {
    /// Returns the same, as the rest of the program counts time.
    pub fn overrides(&self) -> TimeoutOverrides {
        TimeoutOverrides {
            per_request: self.per_request.map(Span::duration),
            whole_answer: self.whole_answer.map(Span::duration),
            total: self.total.map(Span::duration),
            stream_idle: self.stream_idle.map(Span::duration),
            hold: self.hold.map(Span::duration),
            keepalive: self.keepalive.map(Span::duration),
            queue: self.queue.map(Span::duration),
        }
    }
}
