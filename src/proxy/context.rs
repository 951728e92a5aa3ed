//! What is known about one request, by phase: each hook fills its own part and reads earlier ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::aside::Aside;
use super::beside::Hedging;
use super::bill::Bill;
use super::connection::Busy;
use super::cors;
use super::gate::Gate;
pub use super::known::{Attempt, PastAttempt};
use super::session::Unwrap;
use super::shares::{Share, Supply};
use super::translation::RequestTranslation;
use super::uplink::Turn;
use crate::metrics::InFlight;
use crate::metrics::traces::Trace;
use tollgate_config::access::{AccessKey, Snapshot};
use tollgate_config::catalog::TimeoutOverrides;
use tollgate_config::types::Priority;
use tollgate_config::{Timeouts, effective};
use tollgate_failover::{Candidate, Machine};
use tollgate_wire::request::RequestBody;
use tollgate_wire::tags::Tags;
use tollgate_wire::{Dialect, Endpoint};

/// One request.
pub struct Context {
    /// When its head had been read.
    pub started: Instant,
    /// The client's `x-request-id` if it is sane, else ours.
    pub request_id: Arc<str>,
    /// Its place in its trace; `None` without traces.
    pub trace: Option<Trace>,
    /// Whose error shape the client reads.
    pub dialect: Dialect,
    /// What every answer to it says to a browser.
    pub cors: cors::Headers,
    /// Which endpoint it calls; `None` if it is answered locally.
    pub endpoint: Option<Endpoint>,
    /// Who is calling, once authenticated.
    pub caller: Option<Caller>,
    /// The body, once read and parsed.
    pub received: Option<Received>,
    /// What it has, until its end, of what accounts share.
    pub has: Vec<Share>,
    /// It keeps its connection, if others share that and there may be only so many.
    pub keeps: Option<Busy>,
    /// What it knows of its WebSocket, if it is a turn of one.
    pub turn: Option<Turn>,
    /// How it crosses to candidates of other APIs than the client's.
    pub translation: RequestTranslation,
    /// What may serve it, once planned.
    pub planned: Option<Planned>,
    /// The attempt under way.
    pub attempt: Option<Attempt>,
    /// Attempts that have ended, in order.
    pub past: Vec<PastAttempt>,
    /// What the client got.
    pub answered: Answered,
}

/// Who is calling, and the snapshot the request keeps to its end.
#[derive(Clone)]
pub struct Caller {
    /// The access key.
    pub key: Arc<AccessKey>,
    /// What was configured when the request began.
    pub snapshot: Arc<Snapshot>,
    /// What it says that the request is for.
    pub tags: Tags,
    /// How soon it wants its answer, as far as its head and its configuration say.
    pub priority: Priority,
    /// Where the account's work is done that keeps a core busy.
    pub aside: Aside,
}

impl Caller {
    /// Returns the supply of something of which all accounts together have `most`.
    pub fn supply(&self, most: usize) -> Supply {
        Supply {
            most,
            several: self.snapshot.has_several_accounts(),
        }
    }

    /// Returns the most specific timeouts for a candidate.
    pub fn timeouts(&self, candidate: Option<&Candidate>) -> Timeouts {
        let none = TimeoutOverrides::default();
        let (configured, key) = (&self.snapshot.config, &self.key);
        let model = candidate.and_then(|candidate| candidate.model.as_ref());
        let with = |configuration: &TimeoutOverrides| {
            effective(
                &configured.timeouts,
                &key.settings.timeouts,
                candidate.map_or(&none, |candidate| &candidate.provider.timeouts),
                model.map_or(&none, |model| &model.timeouts),
                configuration,
            )
        };
        match key.configuration.as_deref() {
            None => with(&none),
            Some(own) if own.bounded => with(&own.timeouts).within(&with(&none)),
            Some(own) => with(&own.timeouts),
        }
    }

    /// Returns the timeouts for a candidate that hold for everybody, without those that the caller's account or
    /// configuration has for itself.
    pub fn shared_timeouts(&self, candidate: &Candidate) -> Timeouts {
        let none = TimeoutOverrides::default();
        let model = candidate.model.as_ref();
        effective(
            &self.snapshot.config.timeouts,
            &none,
            &candidate.provider.timeouts,
            model.map_or(&none, |model| &model.timeouts),
            &none,
        )
    }
}

/// The request's body.
pub struct Received {
    /// Parsed.
    pub body: RequestBody,
    /// When its last byte had been read.
    pub at: Instant,
}

/// What may serve the request.
pub struct Planned {
    /// In order.
    pub candidates: Vec<Candidate>,
    /// Walks them.
    pub machine: Machine,
    /// Longest silence inside its answer.
    pub idle: Duration,
    /// Shared with the session wrapper.
    pub gate: Arc<Gate>,
    /// What the request owes, shared with the session wrapper.
    pub bill: Arc<Bill>,
    /// Begins the next attempt beside a slow one; `None` where that is not wished, or must not be.
    pub hedging: Option<Arc<Hedging>>,
    /// Gives the client's session back.
    pub unwrap: Option<Unwrap>,
    /// Counts the request as under way until it is dropped.
    pub _in_flight: InFlight,
}

/// What the client got.
#[derive(Default)]
pub struct Answered {
    /// The status; 0 if none was sent.
    pub status: u16,
    /// The gateway's own error code.
    pub code: Option<&'static str>,
    /// Time spent before the first attempt, in our own hands.
    pub overhead: Duration,
    /// Whether the client left before the end.
    pub client_gone: bool,
    /// Whose answer it got, if another request's: `joined` or `replayed`.
    pub idempotency: Option<&'static str>,
}

impl Context {
    /// Returns a request whose head has just been read.
    pub fn new(now: Instant) -> Context {
        Context {
            started: now,
            request_id: "".into(),
            trace: None,
            dialect: Dialect::OpenAi,
            cors: cors::Headers::new(),
            endpoint: None,
            caller: None,
            received: None,
            has: Vec::new(),
            keeps: None,
            turn: None,
            translation: RequestTranslation::default(),
            planned: None,
            attempt: None,
            past: Vec::new(),
            answered: Answered::default(),
        }
    }
}
