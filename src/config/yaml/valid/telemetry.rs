//! What is exported to OpenTelemetry receivers: resolved and checked.

use std::time::Duration;

use crate::yaml::types::OtlpProtocol;
use tollgate_base::Secret;

/// A receiver of OpenTelemetry's protocol, and what it is told of this process.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Its whole address, well-formed: https, or http. Over gRPC it is scheme, host and port.
    pub endpoint: Secret,
    /// The same for people: scheme, host and port.
    pub shown: String,
    /// Names in lower case, and values that headers may have.
    pub headers: Vec<(String, Secret)>,
    /// `service.name`; not empty.
    pub service_name: String,
    /// More of what is said of this process: at most 64, neither keys nor values longer than 256 bytes.
    pub resource: Vec<(String, String)>,
}

/// Where traces are sent, and of which requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Who gets them.
    pub receiver: Receiver,
    /// The share of requests that are traced: 0 to 1.
    pub sample: f64,
    /// Requests that are traced whatever the share.
    pub keep: Keep,
    /// Members of the client's `baggage` that become attributes: at most 16.
    pub baggage: Vec<String>,
}

/// Where metrics are sent, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct PushedMetrics {
    /// Who gets them.
    pub receiver: Receiver,
    /// How often: 1 s to 1 h.
    pub every: Duration,
}

/// Requests that are traced whatever the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Those that failed.
    pub errors: bool,
    /// Those with more than one attempt.
    pub failed_over: bool,
    /// Those whose answer took so long; `None` is none.
    pub slow: Option<Duration>,
}
