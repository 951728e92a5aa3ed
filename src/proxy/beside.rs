//! An attempt that is begun beside the one under way, until it is an attempt of its own or came second.
//!
//! ```text
//!   idle ── arm ──▶ armed ── begin ──▶ begun ── adopt ──▶ it is the attempt under way
//!     ▲               │                  │
//!     └── next attempt┘                  └── give up ──▶ it came second, and is cancelled
//! ```
//!
//! Invariants: a request is sent early once at most; what is sent early is the machine's next attempt or none; of what came
//! second nothing is read any more. What begins one, and why, is [`super::hedge`]'s.

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use pingora_core::connectors::http::Connector;
use tokio::sync::Notify;

use super::bill::{Bill, Payee};
use super::early::Task;
use super::gate::Gate;
use super::known::{Attempt, PastAttempt};
use tollgate_failover::hedge::Budgets;
use tollgate_failover::{Candidate, Machine, Outcome};
use tollgate_ledger::estimate::Estimates;

/// What all requests share that may be sent early.
#[derive(Default)]
pub struct Hedges {
    /// How long candidates take until something of their answers comes, ms.
    pub paces: Estimates,
    /// How many requests may be sent early.
    pub budgets: Budgets,
    /// Opens connections for them; set once when the process starts.
    pub connector: OnceLock<Connector>,
}

/// Begins an attempt with a candidate, given its index; `None` if it is not to be begun.
pub type Begins = Box<dyn Fn(usize, Candidate, Arc<Progress>) -> Option<Task> + Send + Sync>;

/// A request that may be sent early.
pub struct Hedging {
    begins: Begins,
    bill: Arc<Bill>,
    state: Mutex<State>,
}

enum State {
    /// Nothing is due.
    Idle,
    /// This candidate is due.
    Armed(usize, Box<Candidate>),
    /// It is on its way.
    Begun(Leg),
    /// It was, or cannot be; what came second waits to be recorded.
    Over(Option<Box<Second>>),
}

/// An attempt that came second.
pub struct Second {
    /// As it was begun.
    pub attempt: Attempt,
    /// As it is recorded.
    pub past: PastAttempt,
}

/// An attempt that is begun beside another.
struct Leg {
    candidate: usize,
    progress: Arc<Progress>,
    /// What sends and reads it.
    task: Task,
}

/// How far it is.
#[derive(Default)]
pub struct Progress {
    /// What is known of it.
    pub seen: Mutex<Seen>,
    /// Its answer would commit.
    pub ready: Notify,
}

/// What is known of an attempt that is begun beside another.
#[derive(Default)]
pub struct Seen {
    /// From when its request is sent on, until it is adopted.
    pub attempt: Option<(Attempt, Payee)>,
    /// Looks at its answer, until it is adopted.
    pub trial: Option<Gate>,
}

impl Hedging {
    /// Returns a request of which nothing was sent early.
    pub fn new(begins: Begins, bill: Arc<Bill>) -> Hedging {
        Hedging {
            begins,
            bill,
            state: Mutex::new(State::Idle),
        }
    }

    /// Another attempt begins, which this candidate would follow. False if nothing is to be begun beside it.
    pub fn arm(&self, following: Option<(usize, &Candidate)>) -> bool {
        let mut state = self.state.lock();
        if matches!(*state, State::Begun(_) | State::Over(_)) {
            return false;
        }
        *state = match following {
            Some((index, candidate)) => State::Armed(index, Box::new(candidate.clone())),
            None => State::Idle,
        };
        following.is_some()
    }

    /// It is time for the attempt that was armed.
    pub fn begin(&self) {
        let mut state = self.state.lock();
        let State::Armed(index, candidate) = &*state else {
            return;
        };
        let (index, progress) = (*index, Arc::new(Progress::default()));
        let task = (self.begins)(index, (**candidate).clone(), progress.clone());
        *state = match task {
            Some(task) => State::Begun(Leg {
                candidate: index,
                progress,
                task,
            }),
            None => State::Over(None),
        };
    }

    /// Waits until the answer of what was begun early would commit.
    pub async fn ready(&self) {
        let progress = match &*self.state.lock() {
            State::Begun(leg) => Some(leg.progress.clone()),
            _ => None,
        };
        match progress {
            Some(progress) => progress.ready.notified().await,
            None => pending().await,
        }
    }

    /// Returns how many attempts there are besides those that have ended, and the one under way.
    pub fn beside(&self) -> usize {
        usize::from(matches!(&*self.state.lock(), State::Begun(leg) if leg.is_sent()))
    }

    /// The open attempt has ended: the one beside it is the next one, if it was sent and may go on.
    pub fn adopt(&self, machine: &mut Machine) -> Option<(Attempt, Payee)> {
        let mut state = self.state.lock();
        let State::Begun(leg) = &*state else {
            return None;
        };
        if !leg.is_sent() || !machine.adopt(leg.candidate) {
            return None;
        }
        let State::Begun(leg) = std::mem::replace(&mut *state, State::Over(None)) else {
            return None;
        };
        let mut seen = leg.progress.seen.lock();
        seen.trial = None;
        let (attempt, payee) = seen.attempt.take()?;
        drop(seen);
        if let Some(early) = &attempt.early {
            early.has(leg.task);
        }
        Some((attempt, payee))
    }

    /// Another attempt came first, or none will come: what was begun early is cancelled.
    pub fn give_up(&self, now: Instant) {
        let mut state = self.state.lock();
        if let State::Begun(leg) = &*state {
            let second = leg.second(&self.bill, now);
            *state = State::Over(second.map(Box::new));
        }
    }

    /// Returns what came second, once.
    pub fn take_second(&self) -> Option<Box<Second>> {
        match &mut *self.state.lock() {
            State::Over(second) => second.take(),
            _ => None,
        }
    }
}

impl Leg {
    fn is_sent(&self) -> bool {
        self.progress.seen.lock().attempt.is_some()
    }

    /// It came second; `None` if nothing of it was sent.
    fn second(&self, bill: &Bill, now: Instant) -> Option<Second> {
        let mut seen = self.progress.seen.lock();
        let (attempt, payee) = seen.attempt.take()?;
        let refused = attempt
            .status
            .and_then(|status| Outcome::of_status(status, attempt.retry_after));
        let asked = attempt.early.as_ref().is_some_and(|early| early.is_asked());
        let works = asked && refused.is_none();
        let outcome = refused.unwrap_or(Outcome::Cancelled);
        let observer = seen.trial.take().and_then(|trial| trial.take_observer());
        let mut past = PastAttempt::of(&attempt, Some(outcome), observer, now);
        bill.lost(&payee, past.finish());
        past.owed = Some(payee).filter(|_| works);
        Some(Second { attempt, past })
    }
}
