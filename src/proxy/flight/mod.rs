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
//! connection) share one [`Flight`] behind a short lock that is never held across an await.

mod across;
mod answer;
mod left;
mod masked;
mod numbers;
mod time;

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use pingora_core::protocols::http::HttpTask;
use pingora_error::{Error, ErrorType};

pub use across::{Gathered, NotAnAnswer, Translation, Translator};
pub use answer::Answer;
pub use left::Ended;
pub use masked::Masked;
pub use time::{Limits, Tick};

use left::Left;
use numbers::Numbers;

use super::drain::Drain;
use tollgate_wire::report::StreamFailure;
use tollgate_wire::tokens::Tap;

/// An answer is held back at most this long in bytes; a longer one commits.
pub const HOLD_BYTES: usize = 256 * 1024;

/// Why the gateway itself ended an attempt or a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The attempt did not commit within `per_request`.
    Attempt,
    /// The request did not commit within `total`.
    Total,
    /// A committed answer fell silent for `stream_idle`.
    Idle,
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
    /// Nothing leaves before this was done elsewhere and handed to [`Flight::translated`].
    Translate(Translation),
}

/// See the module.
pub struct Flight {
    state: Mutex<State>,
    drain: Arc<Drain>,
}

struct State {
    phase: Phase,
    limits: Limits,
    attempt_by: Instant,
    answer: Option<Answer>,
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
    /// The client has left, and the answer is read on.
    left: Option<Left>,
}

impl Flight {
    /// A request that has just been received.
    pub fn new(limits: Limits, drain: Arc<Drain>, now: Instant) -> Flight {
        Flight {
            state: Mutex::new(State {
                phase: Phase::Held,
                limits,
                attempt_by: limits.total,
                answer: None,
                translator: None,
                numbers: Numbers::default(),
                held: Vec::new(),
                held_bytes: 0,
                fault: None,
                committed_at: None,
                heard: now,
                wrote: now,
                ended: false,
                left: None,
            }),
            drain,
        }
    }

    /// A new attempt, which must commit by `by`. What an earlier one left is dropped.
    pub fn begin(&self, by: Instant, now: Instant) {
        let mut state = self.state.lock();
        state.attempt_by = by;
        state.answer = None;
        state.translator = None;
        state.numbers = Numbers::default();
        state.held.clear();
        state.held_bytes = 0;
        state.ended = false;
        state.fault = None;
        state.heard = now;
    }

    /// The head of an answer was judged worth looking at.
    pub fn answering(&self, answer: Answer) {
        self.state.lock().answer = Some(answer);
    }

    /// Where the request stands.
    pub fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    /// When an answer committed.
    pub fn committed_at(&self) -> Option<Instant> {
        self.state.lock().committed_at
    }

    /// Why the gateway ended the attempt, if it did.
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

    /// Looks at the tap of the answer under way, if it has one.
    pub fn with_tap<T>(&self, look: impl FnOnce(&Tap) -> T) -> Option<T> {
        let state = self.state.lock();
        state.answer.as_ref().and_then(Answer::tap).map(look)
    }

    /// Gives back a tap that was taken after the end of its answer.
    pub fn put_tap(&self, tap: Tap) {
        self.state.lock().answer = Some(Answer::Whole(tap));
    }

    /// What the tap saw of the last answer.
    pub fn take_tap(&self) -> Option<Tap> {
        let mut state = self.state.lock();
        let (mut tap, translator) = state.answer.take()?.into_parts();
        if translator.is_some() {
            state.translator = translator;
        }
        if let Some(tap) = &mut tap {
            tap.break_off();
        }
        tap
    }

    /// What translated the last answer, if it was a stream of another API than the client's.
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
        state.heard = now;
        let mut out = Vec::new();
        for task in tasks {
            match state.take_in(task, now) {
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

impl State {
    /// The answer has come to its end, or to the event with which its protocol ends.
    fn at_end(&self) -> bool {
        let said = |answer: &Answer| match answer {
            Answer::Stream { tap, .. } => tap.complete() && tap.usage_final(),
            Answer::Whole(_) | Answer::Relay(_) | Answer::Gathered(_) => false,
        };
        self.ended || self.answer.as_ref().is_some_and(said)
    }

    /// What comes last may be the last piece of a document, which its reader knows from its announced length before
    /// we know it from the connection.
    fn may_be_last(&self) -> bool {
        let document = matches!(self.answer, Some(Answer::Whole(_)));
        document && self.phase == Phase::Committed && !self.ended
    }

    /// A comment may stand here: the client streams, and no event is half written.
    fn may_comment(&self) -> bool {
        match (self.phase, &self.answer) {
            (Phase::Opened, _) => true,
            (
                Phase::Committed,
                Some(Answer::Stream {
                    tap, translator, ..
                }),
            ) => translator.is_some() || tap.at_boundary(),
            _ => false,
        }
    }

    /// One task through the tap; `None` if nothing of it shall leave.
    fn take_in(&mut self, task: HttpTask, now: Instant) -> Result<Option<HttpTask>, Stop> {
        match task {
            HttpTask::Header(header, end) => {
                // Informational answers are between the gateway and its upstream.
                if header.status.is_informational() {
                    return Ok(None);
                }
                if end && matches!(self.answer, Some(Answer::Gathered(_))) {
                    // It had no body, and will have one.
                    self.held.push(HttpTask::Header(header, false));
                    let rest = self.finish(None, now)?;
                    return Ok(Some(HttpTask::Body(rest, true)));
                }
                if end {
                    self.finish(None, now)?;
                }
                Ok(Some(HttpTask::Header(header, end)))
            }
            HttpTask::Body(data, end) => {
                let data = self.look(data.unwrap_or_default(), now)?;
                let data = if end {
                    self.finish(Some(data), now)?
                } else {
                    Some(data)
                };
                match data {
                    Some(data) if data.is_empty() && !end => Ok(None),
                    data => Ok(Some(HttpTask::Body(data, end))),
                }
            }
            HttpTask::Trailer(_) | HttpTask::Done => {
                if self.ended {
                    return Ok(Some(HttpTask::Done));
                }
                let rest = self.finish(None, now)?;
                Ok(Some(HttpTask::Body(rest, true)))
            }
            HttpTask::UpgradedBody(..) => Err(Stop::Fault(Fault::Truncated)),
            HttpTask::Failed(error) => Err(Stop::Upstream(error)),
        }
    }

    /// A piece of the answer; what of it is for the client.
    fn look(&mut self, data: Bytes, now: Instant) -> Result<Bytes, Stop> {
        if data.is_empty() {
            return Ok(data);
        }
        self.held_bytes += data.len();
        let committed = self.phase == Phase::Committed;
        let seen = match &mut self.answer {
            Some(answer) => answer.push(data, committed, &mut self.numbers)?,
            None => answer::untouched(data),
        };
        if let Some(failure) = seen.failure {
            self.fault = Some(Fault::Answer(failure));
        }
        if matches!(self.answer, Some(Answer::Gathered(_))) {
            self.held_bytes = 0; // it is held however long it is
        }
        if !committed && (seen.content || self.held_bytes > HOLD_BYTES) {
            self.commit(now);
        }
        Ok(seen.out)
    }

    /// The answer has come to its end; `last` is its last piece.
    fn finish(&mut self, last: Option<Bytes>, now: Instant) -> Result<Option<Bytes>, Stop> {
        let committed = self.phase == Phase::Committed;
        let has_failed = matches!(self.fault, Some(Fault::Answer(_)));
        let tail = match &mut self.answer {
            Some(answer) => answer.finish(committed, has_failed),
            None => Ok(Bytes::new()),
        };
        // What was cut off, or has to be translated first, has not ended.
        let goes_on = matches!(
            tail,
            Err(Stop::Fault(Fault::Truncated) | Stop::Translate(_))
        );
        self.ended = !goes_on;
        let tail = tail?;
        if matches!(self.answer, Some(Answer::Gathered(_))) {
            across::announce(&mut self.held, tail.len());
        }
        self.commit(now);
        Ok(match last {
            None if tail.is_empty() => None,
            None => Some(tail),
            Some(last) if tail.is_empty() => Some(last),
            Some(last) => Some([last, tail].concat().into()),
        })
    }

    /// The law of the machine: after this, never another attempt.
    fn commit(&mut self, now: Instant) {
        if self.phase == Phase::Committed {
            return;
        }
        if self.phase == Phase::Opened {
            // The client already has a head.
            self.held
                .retain(|task| !matches!(task, HttpTask::Header(..)));
        }
        self.phase = Phase::Committed;
        self.committed_at = Some(now);
    }
}

/// The error that carries the gateway's own decision through Pingora; the reason is in the flight.
pub fn ended_by_gateway() -> Box<Error> {
    Error::new_up(ErrorType::Custom("attempt ended by the gateway"))
}

#[cfg(test)]
mod tests;
