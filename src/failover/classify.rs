//! What the outcome of an attempt means. One table, [`Outcome::verdict`], and nobody else decides.
//!
//! | outcome before commit | verdict |
//! | --- | --- |
//! | connect, DNS or TLS failure, forbidden address | next candidate |
//! | connection ended before or within the answer, malformed answer | next candidate |
//! | the attempt's deadline passed | next candidate |
//! | it passed without a byte of an answer, or before there was a connection | next provider or model |
//! | an error event before content, whatever it says | next candidate |
//! | 401, 402, 403, 408, 409, 425, 429, any 5xx | next candidate |
//! | 3xx (redirects are never followed), any status outside 200..=599 | next candidate |
//! | an error whose body says that it is the key's (see [`mod@crate::cause`]) | next candidate |
//! | any other 400, 404, 413, 422 | next model |
//! | every other 4xx | next model |
//! | cancelled: an attempt that was begun beside it came first | next candidate, which is that one |
//! | client gone, drain over, credits gone | stop |
//!
//! The other 4xx (405, 410, 415, 451, …) say that this request does not suit this model's endpoint.
//! Another key for the same endpoint would hear the same, so it is spared; another model may do.

use std::fmt;
use std::time::Duration;

use tollgate_config::catalog::ErrorCause;

/// How an attempt ended before its commit. What is not here is a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No connection to the provider came about.
    Connect(ConnectFailure),
    /// The name resolved to an address that must not be called (cloud metadata).
    AddressForbidden,
    /// The connection ended before the head of an answer.
    Reset,
    /// The connection ended within the answer.
    Broken,
    /// The attempt's deadline passed before its commit.
    Timeout,
    /// The same, and the provider had not answered a byte.
    Silent,
    /// The provider answered with a status other than 2xx.
    Status {
        /// The HTTP status.
        status: u16,
        /// How long the provider asks us to wait, see [`retry_after`](mod@crate::retry_after).
        retry_after: Option<Duration>,
    },
    /// The provider answered with such a status, and said whose fault it is.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What is at fault.
        cause: ErrorCause,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The provider answered 2xx, and then said in the stream, before any content, that it failed.
    ErrorEvent {
        /// The HTTP status that the event's type or code stands for, if it does.
        status: Option<u16>,
        /// The event's type or code as the provider wrote it, for example `overloaded_error`.
        kind: String,
        /// What is at fault, if it says so.
        cause: Option<ErrorCause>,
    },
    /// The provider answered 2xx with something that is not an answer.
    Malformed,
    /// An attempt that was begun beside it came first.
    Cancelled,
    /// The client hung up.
    ClientGone,
    /// The gateway is stopping, and what was given to running answers has passed.
    Drained,
    /// The account's credits are gone, and its answers end then.
    CutOff,
}

/// Why no connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectFailure {
    /// The port is closed.
    Refused,
    /// The name does not resolve.
    Dns,
    /// The handshake failed, or the certificate is not trusted.
    Tls,
    /// Nobody answered in time.
    Timeout,
    /// No route to the host or network.
    Unreachable,
    /// Anything else.
    Other,
}

/// What to do after an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Try the next candidate.
    NextCandidate,
    /// The provider is silent: whoever waits for its other keys waits as long again. Skip them for this model.
    NextProvider,
    /// The request itself is at fault: skip what is left of this model, try the next one.
    NextModel,
    /// Try nothing more.
    Stop,
}

impl Outcome {
    /// Returns the outcome of an answer with this status; `None` for 2xx, which is a success so far.
    pub fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Outcome> {
        (!matches!(status, 200..=299)).then_some(Outcome::Status {
            status,
            retry_after,
        })
    }

    /// Returns the same, with what its body says is at fault.
    pub fn because(self, cause: Option<ErrorCause>) -> Outcome {
        match (self, cause) {
            (
                Outcome::Status {
                    status,
                    retry_after,
                },
                Some(cause),
            ) => Outcome::Refused {
                status,
                cause,
                retry_after,
            },
            (outcome, _) => outcome,
        }
    }

    /// Returns the table above.
    pub fn verdict(&self) -> Verdict {
        match self {
            Outcome::ClientGone | Outcome::Drained | Outcome::CutOff => Verdict::Stop,
            Outcome::Status { status, .. }
            | Outcome::Refused {
                status,
                cause: ErrorCause::Request | ErrorCause::Filter,
                ..
            } => match status {
                401 | 402 | 403 | 408 | 409 | 425 | 429 => Verdict::NextCandidate,
                400..=499 => Verdict::NextModel,
                _ => Verdict::NextCandidate,
            },
            Outcome::Silent | Outcome::Connect(ConnectFailure::Timeout) => Verdict::NextProvider,
            Outcome::Refused { .. }
            | Outcome::Connect(_)
            | Outcome::AddressForbidden
            | Outcome::Reset
            | Outcome::Broken
            | Outcome::Timeout
            | Outcome::ErrorEvent { .. }
            | Outcome::Malformed
            | Outcome::Cancelled => Verdict::NextCandidate,
        }
    }

    /// Returns the status the provider answered with, or that its error event stands for.
    pub fn status(&self) -> Option<u16> {
        match self {
            Outcome::ErrorEvent { status, .. } => *status,
            other => other.http_status(),
        }
    }

    /// The status the provider answered with, other than 2xx.
    pub(crate) fn http_status(&self) -> Option<u16> {
        match self {
            Outcome::Status { status, .. } | Outcome::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns what the provider says is at fault.
    pub fn cause(&self) -> Option<ErrorCause> {
        match self {
            Outcome::Refused { cause, .. } => Some(*cause),
            Outcome::ErrorEvent { cause, .. } => *cause,
            _ => None,
        }
    }

    /// Returns how long the provider asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Outcome::Status { retry_after, .. } | Outcome::Refused { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// How long the same candidate is to be left alone before the failure may have passed: what the provider asks for,
    /// or at once after a single error of its own. `None` if it does not pass by itself.
    pub(crate) fn passes(&self) -> Option<Duration> {
        match self {
            Outcome::Status {
                status: 429,
                retry_after,
            }
            | Outcome::Refused {
                status: 429,
                cause: ErrorCause::Limit,
                retry_after,
            } => *retry_after,
            Outcome::Status {
                status: 500..=599,
                retry_after,
            } => Some(retry_after.unwrap_or_default()),
            Outcome::Reset => Some(Duration::ZERO),
            _ => None,
        }
    }

    /// Returns whether a deadline ended the attempt.
    pub fn timed_out(&self) -> bool {
        matches!(self, Outcome::Timeout | Outcome::Silent)
    }

    /// Returns whether the provider answered, so that there is something to relay verbatim: an error status,
    /// or a stream that begins with its error event.
    pub fn answered(&self) -> bool {
        self.http_status().is_some() || matches!(self, Outcome::ErrorEvent { .. })
    }

    /// Returns whether no byte of an answer was seen because the provider could not be reached. A deadline
    /// that passes does not count: the provider may have been at work.
    pub fn unreachable(&self) -> bool {
        matches!(
            self,
            Outcome::Connect(_) | Outcome::AddressForbidden | Outcome::Reset
        )
    }

    /// Whether the failure is of the transport, which is what a provider's breaker counts.
    pub(crate) fn transport(&self) -> bool {
        self.timed_out() || matches!(self, Outcome::Connect(_) | Outcome::Reset | Outcome::Broken)
    }

    /// Whether both outcomes are answers that say the same: equal statuses, or equal error events.
    /// How long each asks to wait does not matter.
    pub(crate) fn same_answer(&self, other: &Outcome) -> bool {
        match (self.http_status(), other.http_status()) {
            (Some(a), Some(b)) => a == b,
            _ => matches!(self, Outcome::ErrorEvent { .. }) && self == other,
        }
    }

    /// Returns a name for metrics and events, from a small fixed set.
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Connect(failure) => failure.label(),
            Outcome::AddressForbidden => "address_forbidden",
            Outcome::Reset => "reset",
            Outcome::Broken => "broken",
            Outcome::Timeout | Outcome::Silent => "timeout",
            Outcome::Refused { cause, .. } => match cause {
                ErrorCause::Credit => "key_credit",
                ErrorCause::Key => "key_refused",
                ErrorCause::Model => "key_model",
                ErrorCause::Limit => "key_limit",
                ErrorCause::Request => "request_refused",
                ErrorCause::Filter => "content_filter",
            },
            Outcome::ErrorEvent { .. } => "error_event",
            Outcome::Malformed => "malformed",
            Outcome::Cancelled => "cancelled",
            Outcome::ClientGone => "client_gone",
            Outcome::Drained => "drain",
            Outcome::CutOff => "cut_off",
            Outcome::Status { status, .. } => match status {
                400 => "http_400",
                401 => "http_401",
                402 => "http_402",
                403 => "http_403",
                404 => "http_404",
                408 => "http_408",
                409 => "http_409",
                413 => "http_413",
                422 => "http_422",
                425 => "http_425",
                429 => "http_429",
                500 => "http_500",
                502 => "http_502",
                503 => "http_503",
                504 => "http_504",
                529 => "http_529",
                300..=399 => "http_3xx",
                400..=499 => "http_4xx",
                500..=599 => "http_5xx",
                _ => "http_other",
            },
        }
    }
}

impl ConnectFailure {
    /// Returns a name for metrics and events.
    pub fn label(self) -> &'static str {
        match self {
            ConnectFailure::Refused => "connect_refused",
            ConnectFailure::Dns => "dns",
            ConnectFailure::Tls => "tls",
            ConnectFailure::Timeout => "connect_timeout",
            ConnectFailure::Unreachable => "connect_unreachable",
            ConnectFailure::Other => "connect_other",
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectFailure::Refused => "connection refused",
            ConnectFailure::Dns => "name does not resolve",
            ConnectFailure::Tls => "TLS handshake failed",
            ConnectFailure::Timeout => "connecting timed out",
            ConnectFailure::Unreachable => "host unreachable",
            ConnectFailure::Other => "could not connect",
        })
    }
}

/// The words for the client, for example `429 rate limited`. Never a key, never a provider's own prose.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Connect(failure) => failure.fmt(f),
            Outcome::AddressForbidden => f.write_str("resolves to a forbidden address"),
            Outcome::Reset => f.write_str("connection closed before an answer"),
            Outcome::Broken => f.write_str("connection closed within the answer"),
            Outcome::Timeout | Outcome::Silent => f.write_str("timed out"),
            Outcome::Refused { status, cause, .. } => {
                let meaning = match cause {
                    ErrorCause::Credit => "provider key without credit",
                    ErrorCause::Key => "provider key refused",
                    ErrorCause::Model => "model not available to the provider key",
                    ErrorCause::Limit => "beyond the provider key's limit",
                    ErrorCause::Request => "request refused",
                    ErrorCause::Filter => "refused by a content filter",
                };
                write!(f, "{status} {meaning}")
            }
            Outcome::Malformed => f.write_str("malformed answer"),
            Outcome::Cancelled => f.write_str("cancelled, another attempt came first"),
            Outcome::ClientGone => f.write_str("client gone"),
            Outcome::Drained => f.write_str("the gateway stopped"),
            Outcome::CutOff => f.write_str("out of credits"),
            Outcome::Status { status, .. } => match meaning(*status) {
                Some(meaning) => write!(f, "{status} {meaning}"),
                None => write!(f, "{status}"),
            },
            Outcome::ErrorEvent { status, kind, .. } => {
                f.write_str("error event")?;
                if let Some(status) = status {
                    write!(f, " {status}")?;
                }
                match identifier(kind) {
                    Some(kind) => write!(f, " {kind}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What a status means when a model provider sends it.
fn meaning(status: u16) -> Option<&'static str> {
    Some(match status {
        300..=399 => "redirect, not followed",
        400 => "bad request",
        401 => "unauthorized",
        402 => "payment required",
        403 => "forbidden",
        404 => "not found",
        408 => "request timeout",
        409 => "conflict",
        413 => "request too large",
        422 => "unprocessable request",
        425 => "too early",
        429 => "rate limited",
        500 => "internal error",
        502 => "bad gateway",
        503 => "unavailable",
        504 => "gateway timeout",
        529 => "overloaded",
        _ => return None,
    })
}

/// The error kind if it looks like one. A provider may write anything there, an echo of the key
/// included, so what is not a short lower-case identifier is not shown.
fn identifier(kind: &str) -> Option<&str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
    (!kind.is_empty() && kind.len() <= 48 && kind.bytes().all(plain)).then_some(kind)
}

#[cfg(test)]
mod tests;
