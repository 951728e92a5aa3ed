//! How long things may take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::TimeoutOverrides;
use crate::yaml::units::Span;

/// How long things may take. The most specific wins: configuration, then model, then provider, then global.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From the start of an attempt to the start of its answer. Default 60s.
    pub per_request: Option<Span>,
    /// From the request to the start of an answer, over all attempts. Default 120s.
    pub total: Option<Span>,
    /// Silence inside an answer that has started. Default 60s.
    pub stream_idle: Option<Span>,
    /// How long a streaming client waits for a status before it is given `200` and keep-alive comments. Default 10s.
    pub hold: Option<Span>,
    /// How long an upstream may be silent inside a stream before the client is sent a keep-alive comment; 0s is never. Default 15s.
    pub keepalive: Option<Span>,
}

impl Timeouts {
    /// The same, as the rest of the program counts time.
    pub fn overrides(&self) -> TimeoutOverrides {
        TimeoutOverrides {
            per_request: self.per_request.map(Span::duration),
            total: self.total.map(Span::duration),
            stream_idle: self.stream_idle.map(Span::duration),
            hold: self.hold.map(Span::duration),
            keepalive: self.keepalive.map(Span::duration),
        }
    }
}
