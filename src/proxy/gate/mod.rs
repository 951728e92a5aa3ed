//! One request in flight: what the hooks decide and the session wrapper carries out.
//!
//! ```text
//!            begin ┌──────┐ content, or whole answer in hand ┌───────────┐
//!   ───────────────►│ Held │──────────────────────────────────►│ Committed │
//!      ▲           └──┬───┘                                    └───────────┘
//!      │ next attempt │ `hold` passed, client streams                ▲
//!      │           ┌──▼─────┐  content                               │
//!      └───────────┤ Opened ├────────────────────────────────────────┘
//!                  └────────┘
//! ```
//!
//! *Held*: nothing of the answer has left. *Opened*: the client has a `200` and keep-alive comments,
//! but no byte of any attempt. *Committed*: an attempt's answer is on its way; there is no other
//! attempt after it. The hooks (which have Pingora's context) and the wrapper (which has the
//! connection) share one [`Gate`] behind a short lock that is never held across an await.

mod across;
mod answer;
mod form;
mod judged;
mod left;
mod numbers;
mod passing;
mod state;
mod time;
mod upstream;

use std::mem;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType};

pub use across::{Gathered, NotAnAnswer, Translation};
pub use answer::{Answer, Judged, Relays, Unseen};
pub use form::is_stream;
pub use left::Ended;
pub use state::HOLD_WHOLE;
pub use time::{Limits, Tick};

use across::Translator;
use left::Left;
use numbers::Numbers;

use super::drain::Drain;
use super::line::Line;
use tollgate_failover::Outcome;
use tollgate_wire::coding::{Coding, Undoing};
use tollgate_wire::mask::Masking;
use tollgate_wire::report::StreamFailure;
use tollgate_wire::tokens::Observer;

/// An answer is held back at most this long in bytes; a longer one commits.
pub const HOLD_BYTES: usize = 256 * 1024;

/// Why the gateway itself ended an attempt or a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The attempt had its time: its stream showed no life, or its answer did not come to its end.
    Attempt,
    /// A stream that had shown life fell silent for `stream_idle`.
    Idle,
    /// An attempt that was begun beside it has content.
    Overtaken,
    /// The answer is an error, and another candidate may do better.
    Refused,
    /// The process is stopping and `drain` has passed.
    Drain,
    /// The account's credits are gone, and the configuration says to stop then.
    CutOff,
    /// The provider's answer was an error event, or not what its surface says.
    Answer(StreamFailure),
    /// The answer ended without content.
    Empty,
    /// A close-delimited answer ended before its protocol did.
    Truncated,
    /// The client closed its connection or stream.
    ClientGone,
}

/// Which of the three states of the module's diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has left.
    Held,
    /// A `200` and comments have left.
    Opened,
    /// An attempt's answer is leaving.
    Committed,
}

/// What the wrapper shall do with the tasks it handed in.
pub enum Pass {
    /// Nothing leaves yet.
    Hold,
    /// Write these.
    Write(Vec<HttpTask>),
    /// Write these; the end of the answer is among them.
    Last(Vec<HttpTask>),
    /// The attempt has failed; the error to return to Pingora.
    Fail(Box<Error>),
    /// Nothing leaves before this was done elsewhere and handed to [`Gate::translated`].
    Translate(Translation),
}

/// Holds an answer back until it is committed, and watches it pass.
pub struct Gate {
    state: Mutex<GateState>,
    drain: Arc<Drain>,
}

struct GateState {
    phase: Phase,
    limits: Limits,
    attempt_by: Instant,
    /// When some of the answer's body had come first.
    alive_at: Option<Instant>,
    /// When another attempt is begun beside this one, if nothing has come by then.
    hedge_at: Option<Instant>,
    answer: Option<Answer>,
    /// Undoes its compression, if it is compressed.
    undoing: Option<Box<Undoing>>,
    /// What an error was found to mean.
    judged: Option<Outcome>,
    /// Takes the credential out of all that leaves of the answer.
    masking: Option<Masking>,
    /// Of a stream that has ended; it may have last words yet.
    translator: Option<Box<Translator>>,
    /// Of the events that pass untouched.
    numbers: Numbers,
    held: Vec<HttpTask>,
    held_bytes: usize,
    fault: Option<Fault>,
    committed_at: Option<Instant>,
    heard: Instant,
    wrote: Instant,
    ended: bool,
    /// All of the answer has been written to its client.
    delivered: bool,
    /// The connection to the provider, if it was used before.
    line: Option<Line>,
    /// Whether the provider had received nothing of the request when it closed the connection.
    unread: Option<bool>,
    /// The connection whose head waits for the body, so that both leave together.
    corked: Option<RawFd>,
    /// The client has left, and the answer is read on.
    left: Option<Left>,
}

impl Gate {
    /// Returns a request that has just been received.
    pub fn new(limits: Limits, drain: Arc<Drain>, now: Instant) -> Gate {
        Gate {
            state: Mutex::new(GateState {
                phase: Phase::Held,
                limits,
                attempt_by: now,
                alive_at: None,
                hedge_at: None,
                answer: None,
                undoing: None,
                judged: None,
                masking: None,
                translator: None,
                numbers: Numbers::default(),
                held: Vec::new(),
                held_bytes: 0,
                fault: None,
                committed_at: None,
                heard: now,
                wrote: now,
                ended: false,
                delivered: false,
                line: None,
                unread: None,
                corked: None,
                left: None,
            }),
            drain,
        }
    }

    /// A new attempt, which ends by `by` unless its stream shows life. What an earlier one left is dropped.
    pub fn begin(&self, by: Instant, now: Instant) {
        let mut state = self.state.lock();
        state.attempt_by = by;
        state.alive_at = None;
        state.hedge_at = None;
        state.answer = None;
        state.undoing = None;
        state.judged = None;
        state.masking = None;
        state.translator = None;
        state.numbers = Numbers::default();
        state.held.clear();
        state.held_bytes = 0;
        state.ended = false;
        state.line = None;
        state.unread = None;
        state.corked = None;
        state.fault = None;
        state.heard = now;
    }

    /// The head of an answer was judged worth looking at. What leaves of its body is plain and masked.
    pub fn answering(
        &self,
        answer: Answer,
        coding: Option<Coding>,
        masking: Masking,
        now: Instant,
    ) {
        let mut state = self.state.lock();
        state.answer = Some(answer);
        state.undoing = coding.map(|coding| Box::new(Undoing::new(coding)));
        state.masking = Some(masking);
        state.hurry(now);
    }

    /// Returns whether some of the answer's body has come.
    pub fn is_alive(&self) -> bool {
        self.alive_at().is_some()
    }

    /// Returns when some of the answer's body had come first.
    pub fn alive_at(&self) -> Option<Instant> {
        self.state.lock().alive_at
    }

    /// Another attempt shall be begun beside this one, if nothing has come of its answer by then.
    pub fn hedge_at(&self, at: Instant) {
        self.state.lock().hedge_at = Some(at);
    }

    /// The attempt under way gives way to one that was begun beside it, and has content. False if it has committed, or
    /// has failed by itself.
    pub fn overtake(&self) -> bool {
        let mut state = self.state.lock();
        let gives_way = state.phase != Phase::Committed && state.fault.is_none();
        if gives_way {
            state.fault = Some(Fault::Overtaken);
        }
        gives_way
    }

    /// Returns whether the answer has come to its protocol's end.
    pub fn is_complete(&self) -> bool {
        let state = self.state.lock();
        let complete = state
            .answer
            .as_ref()
            .and_then(Answer::observer)
            .is_some_and(Observer::complete);
        state.phase == Phase::Committed && (state.ended || complete)
    }

    /// All of the answer has been written to its client, who may leave now.
    pub fn deliver(&self) {
        self.state.lock().delivered = true;
    }

    /// Returns whether the client has all of the answer.
    pub fn is_delivered(&self) -> bool {
        self.state.lock().delivered
    }

    /// Returns where the request stands.
    pub fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    /// Returns when an answer committed.
    pub fn committed_at(&self) -> Option<Instant> {
        self.state.lock().committed_at
    }

    /// Returns why the gateway ended the attempt, if it did.
    pub fn fault(&self) -> Option<Fault> {
        self.state.lock().fault.clone()
    }

    /// The credits are gone: the answer under way ends here, if no event is half written.
    pub fn cut_off(&self) -> bool {
        let mut state = self.state.lock();
        let stands = state.phase == Phase::Committed && !state.ended && state.may_comment();
        if stands {
            state.fault = Some(Fault::CutOff);
        }
        stands
    }

    /// Looks at the observer of the answer under way, if it has one.
    pub fn with_observer<T>(&self, look: impl FnOnce(&Observer) -> T) -> Option<T> {
        let state = self.state.lock();
        state.answer.as_ref().and_then(Answer::observer).map(look)
    }

    /// Gives back an observer that was taken after the end of its answer.
    pub fn put_observer(&self, observer: Observer) {
        self.state.lock().answer = Some(Answer::Whole(observer));
    }

    /// Returns what the observer saw of the last answer.
    pub fn take_observer(&self) -> Option<Observer> {
        let mut state = self.state.lock();
        let (mut observer, translator) = state.answer.take()?.into_parts();
        if translator.is_some() {
            state.translator = translator;
        }
        if let Some(observer) = &mut observer {
            observer.break_off();
        }
        observer
    }

    /// Returns what translated the last answer, if it was a stream of another API than the client's.
    pub fn take_translator(&self) -> Option<Box<Translator>> {
        self.state.lock().translator.take()
    }

    /// After the end of the last answer: the number of the event that the client's stream would go on with, where
    /// events have numbers.
    pub fn next_number(&self) -> u64 {
        let mut state = self.state.lock();
        if state.phase != Phase::Committed {
            return 0;
        }
        match state.translator.take() {
            Some(translator) => translator.next_number().unwrap_or(0),
            None => state.numbers.next(),
        }
    }

    /// The document under way was translated, and goes on as if it ended here.
    pub fn translated(&self, body: Result<Bytes, NotAnAnswer>, now: Instant) -> Pass {
        if let Some(Answer::Gathered(gathered)) = &mut self.state.lock().answer {
            gathered.translated(body);
        }
        self.pass(vec![HttpTask::Done], now)
    }

    /// Tasks of the answer under way, as Pingora hands them to the session.
    pub fn pass(&self, tasks: Vec<HttpTask>, now: Instant) -> Pass {
        let mut state = self.state.lock();
        if state.fault == Some(Fault::Overtaken) {
            return Pass::Fail(ended_by_gateway());
        }
        state.heard = now;
        let mut out = Vec::new();
        for task in tasks {
            match state.take_in(task, now).map(|task| state.masked(task?)) {
                Ok(Some(task)) if state.phase == Phase::Committed => out.push(task),
                Ok(Some(task)) => state.held.push(task),
                Ok(None) => {}
                Err(Stop::Fault(fault)) => {
                    state.fault = Some(fault);
                    // What was said before the fault still belongs to the client.
                    if !out.is_empty() {
                        out.push(HttpTask::Failed(ended_by_gateway()));
                        return Pass::Write(out);
                    }
                    return Pass::Fail(ended_by_gateway());
                }
                Err(Stop::Upstream(error)) => {
                    if !out.is_empty() {
                        out.push(HttpTask::Failed(error));
                        return Pass::Write(out);
                    }
                    return Pass::Fail(error);
                }
                // The end was the last of the tasks.
                Err(Stop::Translate(translation)) => return Pass::Translate(translation),
            }
            if state.phase == Phase::Committed && !state.held.is_empty() {
                let mut released = mem::take(&mut state.held);
                released.append(&mut out);
                out = released;
            }
            if state.has_failed() {
                out.push(HttpTask::Failed(ended_by_gateway()));
                return Pass::Write(out);
            }
        }
        if state.may_be_last() {
            state.held.extend(out.pop());
        }
        if out.is_empty() {
            return Pass::Hold;
        }
        state.wrote = now;
        if state.at_end() {
            Pass::Last(out)
        } else {
            Pass::Write(out)
        }
    }
}

enum Stop {
    Fault(Fault),
    Upstream(Box<Error>),
    Translate(Translation),
}

/// Returns the error that carries the gateway's own decision through Pingora; the reason is in the gate.
pub fn ended_by_gateway() -> Box<Error> {
    Error::new_up(ErrorType::Custom("attempt ended by the gateway"))
}

#[cfg(test)]
mod tests;
