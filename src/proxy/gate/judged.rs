//! An error that is read before it is judged: its body may say that the key is at fault, which its status does not.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Answer, Fault, Gate, GateState, Stop};
use tollgate_failover::Outcome;

/// How long an error's body is waited for that nobody will read.
const PATIENCE: Duration = Duration::from_secs(2);

impl Gate {
    /// An error was judged: what it means. One that has not come to its end is judged by what has come of it.
    pub fn judged(&self) -> Option<Outcome> {
        let mut state = self.state.lock();
        if let Some(Answer::Judged(judged)) = &state.answer {
            state.judged = Some(judged.conclude().0);
        }
        state.judged.clone()
    }
}

impl GateState {
    /// The attempt's end, if its answer is an error to be judged that is worth no longer wait.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(Answer::Judged(judged)) = &self.answer
            && !judged.relays.plain
        {
            self.attempt_by = self.attempt_by.min(now + PATIENCE);
        }
    }

    /// The error under way is judged, if there is one: what was kept of it is to be relayed, or the attempt fails.
    pub(super) fn conclude(&mut self) -> Result<Bytes, Stop> {
        let judged = match self.answer.take() {
            Some(Answer::Judged(judged)) => judged,
            other => {
                self.answer = other;
                return Ok(Bytes::new());
            }
        };
        let (outcome, relays) = judged.conclude();
        self.judged = Some(outcome);
        if !relays {
            return Err(Stop::Fault(Fault::Refused));
        }
        self.answer = Some(*judged.relay);
        Ok(judged.body.freeze())
    }
}
