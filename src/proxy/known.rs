//! What is known of one attempt: of the one under way, and of those that have ended.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::bill::{Finish, Payee};
use super::count;
use super::early::Early;
use tollgate_failover::Outcome;
use tollgate_failover::headroom::Begun;
use tollgate_wire::Endpoint;
use tollgate_wire::tokens::{Observer, Settled};
use tollgate_wire::translate::Reply;

/// The attempt under way.
pub struct Attempt {
    /// Index among the candidates.
    pub candidate: usize,
    /// The id of its span; 0 without traces.
    pub span: u64,
    /// When it began.
    pub started: Instant,
    /// When it ends, unless its stream shows life.
    pub by: Instant,
    /// When it would end by the operator's timeouts alone.
    pub fair_by: Instant,
    /// Whether its silences are no shorter than the operator's.
    pub fair_idle: bool,
    /// The provider's endpoint.
    pub endpoint: Endpoint,
    /// The body in the candidate's own words.
    pub body: Bytes,
    /// What the way back needs, if the request crossed to another API.
    pub reply: Option<Box<Reply>>,
    /// The client's fields that the candidate does not take, or its API has no place for.
    pub dropped: Vec<String>,
    /// Whether the usage chunk was asked for on the client's behalf.
    pub strip_usage: bool,
    /// What it took of the candidate's quota; `None` where that is not looked at.
    pub begun: Option<Begun>,
    /// Addresses of the provider that are left to try; the last one is in use.
    pub addresses: Vec<SocketAddr>,
    /// Its answer so far, if a task reads it: it was begun beside another attempt, or is asked over a WebSocket.
    pub early: Option<Arc<Early>>,
    /// Pooled connections that turned out dead before a byte of the answer.
    pub stale: u8,
    /// The descriptor of the connection to the provider.
    pub connection: Option<RawFd>,
    /// Whether the provider is spoken to in HTTP/2.
    pub http2: bool,
    /// Whether headers are forwarded that only this provider's operator lets through.
    pub forwards: bool,
    /// The provider's status, once its head was read.
    pub status: Option<u16>,
    /// The provider's own id of the request, if it names one.
    pub provider_request_id: Option<Arc<str>>,
    /// How long the provider asks us to wait.
    pub retry_after: Option<Duration>,
    /// The failure, once it is decided.
    pub outcome: Option<Outcome>,
}

/// An attempt that has ended, for the usage event.
pub struct PastAttempt {
    /// Index among the candidates.
    pub candidate: usize,
    /// The id of its span; 0 without traces.
    pub span: u64,
    /// When it began.
    pub started: Instant,
    /// When it ended.
    pub ended: Instant,
    /// The provider's status, if it answered one.
    pub status: Option<u16>,
    /// The provider's own id of the request, if it named one.
    pub provider_request_id: Option<Arc<str>>,
    /// `None` is success.
    pub outcome: Option<Outcome>,
    /// What was seen of its answer.
    pub observer: Option<Observer>,
    /// Whether its client left before its answer, and is charged what the provider did until then.
    pub forsaken: bool,
    /// Whom the house owes what it used, if another attempt came before it.
    pub owed: Option<Payee>,
    /// What that is, once it is counted.
    pub settled: Option<Settled>,
}

impl PastAttempt {
    /// Returns what is recorded of an attempt that ends at `now`, and that nobody else owes anything for.
    pub fn of(
        attempt: &Attempt,
        outcome: Option<Outcome>,
        observer: Option<Observer>,
        now: Instant,
    ) -> PastAttempt {
        PastAttempt {
            candidate: attempt.candidate,
            span: attempt.span,
            started: attempt.started,
            ended: now,
            status: attempt.status,
            provider_request_id: attempt.provider_request_id.clone(),
            outcome,
            observer,
            forsaken: false,
            owed: None,
            settled: None,
        }
    }

    /// Returns how it ended, if none of its answer left: with what its provider reported of its usage.
    pub fn finish(&self) -> Finish<'_> {
        Finish {
            settled: self.observer.as_ref().and_then(count::reported),
            status: self.status,
            outcome: self.outcome.as_ref(),
            stop_reason: self.stop_reason(),
            committed: None,
            now: self.ended,
        }
    }

    /// Returns why its answer ended, in the provider's words; empty if it did not say.
    pub fn stop_reason(&self) -> &str {
        let observer = self.observer.as_ref();
        observer
            .and_then(Observer::finish_reason)
            .unwrap_or_default()
    }
}
