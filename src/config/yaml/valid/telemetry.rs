//! What is exported to tracing backends: resolved and checked.

use std::time::Duration;

use tollgate_base::Secret;

/// Where traces are sent, and of which requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// The receiver's whole address, well-formed: https, or http.
    pub endpoint: Secret,
    /// The same for people: scheme, host and port.
    pub shown: String,
    /// Names in lower case, and values that headers may have.
    pub headers: Vec<(String, Secret)>,
    /// The share of requests that are traced: 0 to 1.
    pub sample: f64,
    /// Requests that are traced whatever the share.
    pub keep: Keep,
    /// `service.name`; not empty.
    pub service_name: String,
    /// More of what is said of this process: at most 64, neither keys nor values longer than 256 bytes.
    pub resource: Vec<(String, String)>,
    /// Members of the client's `baggage` that become attributes: at most 16.
    pub baggage: Vec<String>,
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
