//! A candidate that was chosen: the attempt that begins with it, and what it may be blamed for.

use std::time::{Duration, Instant};

use super::context::{Attempt, Caller};
use super::gate::Fault;
use super::worded::Worded;
use crate::metrics::traces;
use tollgate_base::clock;
use tollgate_config::Timeouts;
use tollgate_config::catalog::ErrorCause;
use tollgate_failover::headroom::Begun;
use tollgate_failover::{Candidate, Outcome};
use tollgate_wire::report::Context as ServedContext;
use tollgate_wire::request::RequestBody;
use tollgate_wire::{Endpoint, Surface};

/// A candidate that is asked, in its own words.
pub struct Chosen<'a> {
    /// Its index among the candidates.
    pub index: usize,
    /// The candidate.
    pub candidate: &'a Candidate,
    /// What it is asked.
    pub worded: Worded,
    /// What was taken of its quota.
    pub begun: Option<Begun>,
    /// Longest silence inside the request's answer.
    pub idle: Duration,
}

impl Chosen<'_> {
    /// Returns its attempt, which has no address yet. `received` is when the request's head had been read.
    pub fn begins(
        self,
        caller: &Caller,
        body: &RequestBody,
        received: Instant,
        is_traced: bool,
        now: Instant,
    ) -> Attempt {
        let (candidate, worded) = (self.candidate, self.worded);
        // An answer that is not streamed shows no life before it is there.
        let generates = matches!(worded.endpoint, Endpoint::Generate(surface) if surface != Surface::Embeddings);
        let is_whole = generates && !body.stream();
        let ends = |timeouts: &Timeouts| match is_whole {
            true => now + timeouts.whole_answer,
            false => (now + timeouts.per_request).min(received + timeouts.total),
        };
        // Who has used up most of its time elsewhere, as by a slow body or another provider, cannot blame this one.
        let half = |timeouts: &Timeouts| match is_whole {
            true => now,
            false => now + timeouts.per_request.min(timeouts.total) / 2,
        };
        let timeouts = caller.timeouts(Some(candidate));
        let shared_ones = caller.shared_timeouts(candidate);
        candidate.key.used.mark(clock::wall_ms());
        Attempt {
            candidate: self.index,
            span: if is_traced { traces::span_id() } else { 0 },
            started: now,
            by: ends(&timeouts),
            fair_by: ends(&shared_ones).max(half(&shared_ones)),
            fair_idle: self.idle >= shared_ones.stream_idle,
            endpoint: worded.endpoint,
            body: worded.body,
            reply: worded.reply,
            dropped: worded.dropped,
            strip_usage: worded.strip_usage,
            begun: self.begun,
            addresses: Vec::new(),
            early: None,
            stale: 0,
            connection: None,
            http2: false,
            forwards: false,
            status: None,
            provider_request_id: None,
            retry_after: None,
            outcome: None,
        }
    }
}

/// Returns whether the caller's own wishes may have made the attempt fail: timeouts shorter than the operator's, a
/// service of its own that has limits of its own, headers that only it sends. Its own keys suffer that by themselves.
pub fn is_provoked(
    attempt: &Attempt,
    candidate: &Candidate,
    outcome: &Outcome,
    fault: Option<&Fault>,
    body: &RequestBody,
) -> bool {
    if outcome.timed_out() {
        return match fault {
            Some(Fault::Idle) => !attempt.fair_idle,
            _ => clock::now() < attempt.fair_by,
        };
    }
    if matches!(outcome, Outcome::Connect(_)) {
        let now = clock::now();
        return now + TIMERS >= attempt.by && now < attempt.fair_by;
    }
    // What a provider says of the key itself, no wish of a caller brings about.
    let of_key = matches!(outcome.cause(), Some(ErrorCause::Credit | ErrorCause::Key));
    let refused = outcome.status().is_some() && !of_key;
    refused
        && candidate.key.shared
        && (attempt.forwards || body.asked().context != ServedContext::STANDARD)
}

/// By how much a timer may be early.
const TIMERS: Duration = Duration::from_millis(20);
