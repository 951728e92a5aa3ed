//! The clock of a request in flight: what is due, and when to look again.

use std::time::{Duration, Instant};

use super::{Answer, Fault, Gate, GateState, Phase};

/// How often a waiting session looks at the clock at least, so that the end of a drain reaches it.
const TICK: Duration = Duration::from_secs(2);

/// The limits in force for this request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From then on a streaming client is given a status; `None` if it does not stream.
    pub open_at: Option<Instant>,
    /// Longest silence inside a stream that has shown life, and inside a committed answer.
    pub idle: Duration,
    /// Whether a stream commits when it is whole.
    pub whole: bool,
    /// Silence after which a streaming client is sent a comment; `None` is never.
    pub keepalive: Option<Duration>,
}

/// What the wrapper shall do when the clock reaches the time it waited for.
#[derive(Debug, PartialEq, Eq)]
pub enum Tick {
    /// Nothing; wait on.
    Wait,
    /// Send the `200` and a first comment.
    Open,
    /// Send a keep-alive comment.
    Comment,
    /// Begin another attempt beside the one under way.
    Hedge,
    /// End the attempt.
    Expire,
}

impl Gate {
    /// Returns when the attempt under way ends, if nothing happens before.
    pub fn ends_at(&self) -> Instant {
        self.ends(&self.state.lock())
    }

    fn ends(&self, state: &GateState) -> Instant {
        let at = state.due().0;
        self.drain.ends().map_or(at, |ends| at.min(ends))
    }

    /// Returns until when the wrapper may sleep.
    pub fn wake_at(&self, now: Instant) -> Instant {
        let state = self.state.lock();
        let mut at = self.ends(&state).min(now + TICK);
        if let Some(hedge_at) = state.hedge_at() {
            at = at.min(hedge_at);
        }
        if let (Phase::Held, Some(open_at)) = (state.phase, state.limits.open_at) {
            at = at.min(open_at);
        }
        if let (Some(every), true) = (state.limits.keepalive, state.may_comment()) {
            at = at.min(state.wrote + every);
        }
        at
    }

    /// The time waited for has come, or another wake-up did.
    pub fn tick(&self, now: Instant) -> Tick {
        let mut state = self.state.lock();
        if state.fault == Some(Fault::Overtaken) {
            return Tick::Expire;
        }
        if self.drain.ends().is_some_and(|ends| now >= ends) {
            state.fault = Some(Fault::Drain);
            return Tick::Expire;
        }
        let (at, fault) = state.due();
        if now >= at {
            state.fault = Some(fault);
            return Tick::Expire;
        }
        if state.hedge_at().is_some_and(|at| now >= at) {
            state.hedge_at = None;
            return Tick::Hedge;
        }
        if state.phase == Phase::Held && state.limits.open_at.is_some_and(|at| now >= at) {
            state.phase = Phase::Opened;
            state.wrote = now;
            return Tick::Open;
        }
        match state.limits.keepalive {
            Some(every) if state.may_comment() && now >= state.wrote + every => {
                state.wrote = now;
                Tick::Comment
            }
            _ => Tick::Wait,
        }
    }
}

impl GateState {
    /// When another attempt is begun beside this one, of which nothing has come.
    fn hedge_at(&self) -> Option<Instant> {
        let waits = self.phase != Phase::Committed && self.alive_at.is_none();
        self.hedge_at.filter(|_| waits)
    }

    /// When the attempt ends if nothing happens until then, and why. A stream that has shown life is bounded by its
    /// silences alone.
    fn due(&self) -> (Instant, Fault) {
        let streams = matches!(self.answer, Some(Answer::Stream { .. }));
        match self.phase == Phase::Committed || (self.alive_at.is_some() && streams) {
            true => (self.heard + self.limits.idle, Fault::Idle),
            false => (self.attempt_by, Fault::Attempt),
        }
    }
}
