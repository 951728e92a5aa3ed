//! The failover machine as a value: which candidate is attempted next, and how it all ended.
//!
//! ```text
//!                 next(): a candidate                  commit()
//!      ┌─ waiting ───────────────────────▶ attempting ──────────▶ committed
//!      │     ▲                              │   │
//!      │     └── Next ──── failed() ────────┤   └── postpone(): back to waiting, at the end
//!      │                                    │
//!      │ failed(): total timeout,           │ Exhausted, TotalTimeout, Stop
//!      │ client gone                        ▼
//!      └───────────────────────────────▶  ended
//! ```
//!
//! An attempt may be begun beside the open one ([`Machine::following`]): it is the next attempt, early. It is opened
//! ([`Machine::adopt`]) when the one before it has failed, or gave way to it.
//!
//! The laws, property-tested below: after commit, never another attempt; never the same (model, key)
//! twice; at most as many attempts as candidates; once a model is skipped, none of its candidates is
//! attempted; nothing is attempted once the total deadline has passed.
//!
//! Where the operator asks for it ([`Retry`]), a candidate is tried again before the request goes on to another model:
//! when none of its own is left, and the failure was one that passes.

use std::time::{Duration, Instant};

mod beside;
mod left;
mod retry;

use super::classify::{Outcome, Verdict};
use super::plan::Candidate;
use tollgate_config::Retry;
use tollgate_config::catalog::ErrorCause;

/// Walks a plan. Commands come from the proxy, time is passed in.
#[derive(Debug)]
pub struct Machine {
    /// What may still be attempted, in order; `queue[cursor..]` is what is left.
    queue: Vec<Slot>,
    cursor: usize,
    candidates: usize,
    deadline: Instant,
    attempts: Vec<Attempt>,
    state: State,
    retry: Retry,
    /// What may be tried again, and from when on.
    again: Vec<(Slot, Instant)>,
    /// The next candidate is not to be tried before.
    not_before: Option<Instant>,
    /// A content filter's refusal is the last word.
    stops_at_filters: bool,
}

/// A candidate as the machine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    candidate: usize,
    model: usize,
    /// The place of the first candidate of its provider.
    provider: usize,
    postponed: bool,
    /// How often it may still be tried again.
    retries: u32,
}

/// The states of the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Attempting(Slot),
    Committed,
    Ended(Step),
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The candidate's index in the plan.
    pub candidate: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Step {
    /// Ask [`Machine::next`] for another candidate; there is one unless the total deadline passes before.
    Next,
    /// Nothing is left to try.
    Exhausted,
    /// The total deadline has passed.
    TotalTimeout,
    /// Nothing may be tried any more: the client has gone, or the attempt had been committed.
    Stop,
}

/// What the client gets when no attempt was committed. The caller maps it to a status and a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Relay the last attempt's answer verbatim: there was one candidate and it answered, or all
    /// attempts answered the same.
    RelayLast {
        /// For a 429: the shortest wait that any attempt was asked for.
        retry_after: Option<Duration>,
    },
    /// The only candidate could not be reached: 502, `ERR_TOLLGATE_3800`.
    Unreachable,
    /// All candidates failed: 503, `ERR_TOLLGATE_3807`, with a line per attempt.
    AllFailed,
    /// The total deadline passed: 504, `ERR_TOLLGATE_3810`.
    TotalTimeout,
    /// Nothing is to be sent: the client has gone, or an attempt was committed.
    Stopped,
}

impl Machine {
    /// Returns a machine for `plan`, for a request that arrived at `started` and must commit within `total`.
    /// A (model, key) that the plan holds twice is attempted once.
    pub fn new(plan: &[Candidate], started: Instant, total: Duration) -> Machine {
        let first = |at: usize| !plan[..at].iter().any(|earlier| earlier.same_as(&plan[at]));
        let queue: Vec<Slot> = plan
            .iter()
            .enumerate()
            .filter(|&(at, _)| first(at))
            .map(|(candidate, c)| Slot {
                candidate,
                model: c.model_index,
                provider: plan
                    .iter()
                    .position(|first| first.provider.id == c.provider.id)
                    .unwrap_or(candidate),
                postponed: false,
                retries: 0,
            })
            .collect();
        // A total so long that the clock cannot express it is a day: nobody waits longer.
        let deadline = started
            .checked_add(total)
            .unwrap_or(started + Duration::from_secs(86_400));
        Machine {
            candidates: queue.len(),
            queue,
            cursor: 0,
            deadline,
            attempts: Vec::new(),
            state: State::Waiting,
            retry: Retry::default(),
            again: Vec::new(),
            not_before: None,
            stops_at_filters: false,
        }
    }

    /// Returns the same, with candidates that are tried again.
    #[must_use]
    pub fn retrying(mut self, retry: Retry) -> Machine {
        let slots = self.queue.iter_mut();
        slots.for_each(|slot| slot.retries = retry.same);
        self.retry = retry;
        self
    }

    /// Returns the same; a request that a content filter refused is not shown to other models.
    #[must_use]
    pub fn stopping_at_filters(mut self, stops: bool) -> Machine {
        self.stops_at_filters = stops;
        self
    }

    /// Returns the index in the plan of the candidate to attempt now. `None` when there is none left, when the
    /// total deadline has passed, after commit, and while an attempt is open.
    pub fn next(&mut self, now: Instant) -> Option<usize> {
        if self.state != State::Waiting {
            return None;
        }
        let Some(&slot) = self.queue.get(self.cursor) else {
            self.state = State::Ended(Step::Exhausted);
            return None;
        };
        if now >= self.deadline {
            self.state = State::Ended(Step::TotalTimeout);
            return None;
        }
        self.cursor += 1;
        self.state = State::Attempting(slot);
        Some(slot.candidate)
    }

    /// Returns until when to wait with the attempt that [`next`](Machine::next) just gave, if it is to be waited for.
    pub fn take_wait(&mut self) -> Option<Instant> {
        self.not_before.take()
    }

    /// Returns the candidate whose attempt is open.
    pub fn current(&self) -> Option<usize> {
        match self.state {
            State::Attempting(slot) => Some(slot.candidate),
            _ => None,
        }
    }

    /// Returns when the request must have committed. An attempt's own deadline is never later.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns whether the answer of the open attempt will be the client's if the attempt fails with `outcome` at
    /// `now`. Ask before the answer's body is discarded. True means that [`failed`](Machine::failed) with the
    /// same outcome, then, ends in [`Ending::RelayLast`]. (Whether a header has gone out meanwhile, so that there
    /// is no status left to relay, is the caller's to know.)
    pub fn would_relay(&self, outcome: &Outcome, now: Instant) -> bool {
        let State::Attempting(slot) = self.state else {
            return false;
        };
        if !outcome.answered() || self.stops(outcome) {
            return outcome.answered();
        }
        let mut earlier = self.attempts.iter();
        !self.follows(outcome.verdict())
            && !self.repeats(slot, outcome, now)
            && earlier.all(|attempt| attempt.outcome.same_answer(outcome))
    }

    /// Records how the open attempt failed, and says what follows. After commit it records nothing and
    /// answers [`Step::Stop`]. Between attempts it takes note that the client has gone or that the
    /// total deadline has passed, and records no attempt.
    pub fn failed(&mut self, outcome: Outcome, now: Instant) -> Step {
        let (verdict, answered) = (outcome.verdict(), outcome.answered());
        // The one that it gave way to was begun in time.
        let gave_way = outcome == Outcome::Cancelled;
        let stops = self.stops(&outcome);
        match self.state {
            State::Committed => return Step::Stop,
            State::Ended(step) => return step,
            State::Waiting => {}
            State::Attempting(slot) => {
                let ready = self.ready(slot, &outcome, now);
                self.attempts.push(Attempt {
                    candidate: slot.candidate,
                    outcome,
                });
                self.again.extend(ready.map(|ready| (slot, ready)));
                self.skip(slot, verdict, stops);
                self.repeat(slot.model);
            }
        }
        let left = self.cursor < self.queue.len();
        let step = if verdict == Verdict::Stop {
            Step::Stop
        } else if now >= self.deadline && (left || !answered) && !gave_way {
            Step::TotalTimeout
        } else if left {
            Step::Next
        } else {
            Step::Exhausted
        };
        self.state = if step == Step::Next {
            State::Waiting
        } else {
            State::Ended(step)
        };
        step
    }

    /// The open attempt's answer starts towards the client. From here on nothing else is attempted.
    pub fn commit(&mut self) {
        if matches!(self.state, State::Attempting(_)) {
            self.state = State::Committed;
        }
    }

    /// Returns whether an attempt was committed.
    pub fn committed(&self) -> bool {
        self.state == State::Committed
    }

    /// Returns the attempts that failed, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Returns how many candidates were attempted, the open or committed one included.
    pub fn attempted(&self) -> usize {
        let open = matches!(self.state, State::Attempting(_) | State::Committed);
        self.attempts.len() + usize::from(open)
    }

    /// Returns what the client gets when nothing was committed. Meant for when the machine has ended; before
    /// that, it is what the attempts so far would amount to.
    pub fn ending(&self) -> Ending {
        match self.state {
            State::Committed | State::Ended(Step::Stop) => return Ending::Stopped,
            State::Ended(Step::TotalTimeout) => return Ending::TotalTimeout,
            _ => {}
        }
        let Some(Attempt { outcome: last, .. }) = self.attempts.last() else {
            return Ending::AllFailed;
        };
        let mut attempts = self.attempts.iter();
        if self.stops(last) || attempts.all(|attempt| attempt.outcome.same_answer(last)) {
            let shortest = || {
                self.attempts
                    .iter()
                    .filter_map(|a| a.outcome.retry_after())
                    .min()
            };
            let limited = last.http_status() == Some(429);
            return Ending::RelayLast {
                retry_after: if limited { shortest() } else { None },
            };
        }
        if self.candidates == 1 && last.unreachable() {
            return Ending::Unreachable;
        }
        Ending::AllFailed
    }

    /// Whether a candidate is left after a failure with `verdict` of the open attempt, besides those that are tried
    /// again.
    fn follows(&self, verdict: Verdict) -> bool {
        let mut left = self.queue[self.cursor..].iter();
        match self.state {
            State::Committed | State::Ended(_) => false,
            State::Waiting => verdict != Verdict::Stop && left.len() > 0,
            State::Attempting(slot) => left.any(|other| !is_skipped(slot, verdict, other)),
        }
    }

    /// Drops what the failure of `slot` says something about; all that is left if it is the last word.
    fn skip(&mut self, slot: Slot, verdict: Verdict, stops: bool) {
        let drops = |other: &Slot| stops || is_skipped(slot, verdict, other);
        if matches!(verdict, Verdict::NextProvider | Verdict::NextModel) || stops {
            self.drop_past();
            self.queue.retain(|other| !drops(other));
            self.again.retain(|(other, _)| !drops(other));
        }
    }

    /// Drops what was tried.
    fn drop_past(&mut self) {
        self.queue.drain(..self.cursor);
        self.cursor = 0;
    }

    /// Whether the answer is the last word, whatever else could be tried.
    fn stops(&self, outcome: &Outcome) -> bool {
        self.stops_at_filters && outcome.cause() == Some(ErrorCause::Filter)
    }
}

/// Whether the failure of `slot` speaks against another candidate, too.
fn is_skipped(slot: Slot, verdict: Verdict, other: &Slot) -> bool {
    let same_model = other.model == slot.model;
    match verdict {
        Verdict::NextCandidate => false,
        Verdict::NextProvider => same_model && other.provider == slot.provider,
        Verdict::NextModel => same_model,
        Verdict::Stop => true,
    }
}

#[cfg(test)]
mod tests;
