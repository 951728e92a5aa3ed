//! An answer whose client has left: it is read on for its usage, and nothing of it is kept but what its observer keeps.
//!
//! ```text
//!   Committed ── the client leaves ──► read on ──► Ended
//! ```

use std::time::{Duration, Instant};

use pingora_core::protocols::http::HttpTask;

use super::{Answer, Fault, Gate, GateState, Pass, Phase};
use tollgate_wire::tokens::Observer;

/// So many bytes more are read at most.
const MOST: usize = 4 << 20;

/// What follows an answer's last word (its usage, its protocol's end) comes within this time.
const TAIL: Duration = Duration::from_secs(1);

/// What ended the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The whole answer's usage has come.
    Usage,
    /// The answer came to its end, and its usage was not in it.
    NoUsage,
    /// The provider broke it off.
    Broken,
    /// The grace has passed.
    Time,
    /// As much was read as is read at most.
    Bytes,
    /// The process is stopping.
    Drain,
    /// The account's credits are gone, and the configuration says to stop then.
    Credits,
    /// As many answers are read on as there may be at a time.
    Limit,
}

impl Ended {
    /// Returns a name for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Ended::Usage => "usage",
            Ended::NoUsage => "no_usage",
            Ended::Broken => "broken",
            Ended::Time => "time",
            Ended::Bytes => "bytes",
            Ended::Drain => "drain",
            Ended::Credits => "credits",
            Ended::Limit => "limit",
        }
    }

    /// Returns whether nobody has said what the answer used, and it did not break either: there may be more of it than
    /// was seen.
    pub fn is_blind(self) -> bool {
        !matches!(self, Ended::Usage | Ended::Broken)
    }
}

/// The state of the reading.
pub(super) struct Left {
    until: Instant,
    /// Bytes that were read since, and became what they say.
    pub(super) read: usize,
    /// When the answer had said its last word, and how long its text was.
    said: Option<(Instant, u64)>,
}

impl Gate {
    /// The client has left. Whether its answer is worth reading on, for `grace` at most: it is under way, and
    /// has not failed.
    pub fn leave(&self, grace: Duration, now: Instant) -> bool {
        let mut state = self.state.lock();
        let failed = state.fault.is_some();
        state.fault = Some(Fault::ClientGone);
        let over = state.ended || state.delivered || failed;
        if state.phase != Phase::Committed || over || state.observer().is_none() {
            return false;
        }
        if let Some(Answer::Stream { translator, .. }) = &mut state.answer {
            *translator = None; // nobody reads its words
        }
        let mut left = Left {
            until: now.checked_add(grace).unwrap_or(now),
            read: 0,
            said: None,
        };
        left.look(state.observer(), now);
        state.left = Some(left);
        true
    }

    /// Some more of an answer whose client has left, as Pingora hands it to the session; what ended the reading, if
    /// something did.
    pub fn overhear(&self, tasks: Vec<HttpTask>, now: Instant) -> Option<Ended> {
        let pass = self.pass(tasks, now);
        let mut state = self.state.lock();
        // The provider's failure, or what it says of it.
        let failed = state.fault.replace(Fault::ClientGone) != Some(Fault::ClientGone);
        let at_end = match pass {
            Pass::Fail(_) => return Some(Ended::Broken),
            Pass::Write(tasks) if tasks.iter().any(|task| matches!(task, HttpTask::Failed(_))) => {
                return Some(Ended::Broken);
            }
            Pass::Last(_) => true,
            Pass::Write(_) | Pass::Hold | Pass::Translate(_) => false,
        };
        if failed {
            return Some(Ended::Broken);
        }
        if at_end {
            return Some(state.by_usage());
        }
        let mut left = state.left.take()?;
        left.look(state.observer(), now);
        state.left = Some(left);
        state.left_by(now, self.drain.refuses())
    }

    /// Returns what has ended the reading by now, if something has.
    pub fn left_by(&self, now: Instant) -> Option<Ended> {
        let stops = self.drain.refuses();
        self.state.lock().left_by(now, stops)
    }

    /// Returns until when the wrapper may sleep while it reads on, unless the process stops.
    pub fn left_until(&self, now: Instant) -> Instant {
        let state = self.state.lock();
        let Some(left) = &state.left else { return now };
        match left.said {
            Some((at, _)) => left.until.min(at + TAIL),
            None => left.until,
        }
    }

    /// Waits until the process is stopping.
    pub async fn draining(&self) {
        self.drain.stopping().await;
    }
}

impl GateState {
    fn observer(&self) -> Option<&Observer> {
        self.answer.as_ref().and_then(Answer::observer)
    }

    fn left_by(&self, now: Instant, stops: bool) -> Option<Ended> {
        let left = self.left.as_ref()?;
        let over = stops || left.read > MOST || now >= left.until;
        match left.said {
            Some((at, _)) if over || now >= at + TAIL => Some(self.by_usage()),
            _ if stops => Some(Ended::Drain),
            _ if left.read > MOST => Some(Ended::Bytes),
            _ if over => Some(Ended::Time),
            _ => None,
        }
    }

    /// The answer has ended; its usage has come or has not.
    fn by_usage(&self) -> Ended {
        match self.observer().is_some_and(Observer::usage_final) {
            true => Ended::Usage,
            false => Ended::NoUsage,
        }
    }
}

impl Left {
    /// Notes whether the answer has said its last word. Some report usage all the while, and one of several choices
    /// may end before the others: it was not the last word if there is more text behind it.
    fn look(&mut self, observer: Option<&Observer>, now: Instant) {
        let said = |observer: &&Observer| {
            observer.complete() || (observer.usage_final() && observer.finish_reason().is_some())
        };
        let text = observer.filter(said).map(Observer::output_bytes);
        self.said = match (self.said, text) {
            (Some((at, before)), Some(text)) if text == before => Some((at, before)),
            (_, text) => text.map(|text| (now, text)),
        };
    }
}

#[cfg(test)]
mod tests;
