//! The candidates that are left: their order, and those that are dropped without an attempt.

use super::{Machine, Slot, State};

impl Machine {
    /// Returns the candidates that are left, in order; none while the next one is to be tried again.
    pub fn left(&self) -> impl Iterator<Item = usize> {
        let waits = self.state != State::Waiting || self.not_before.is_some();
        let left = if waits {
            &[]
        } else {
            &self.queue[self.cursor..]
        };
        left.iter().map(|slot| slot.candidate)
    }

    /// Puts one of the candidates that are left before the others.
    pub fn prefer(&mut self, candidate: usize) {
        let left = &mut self.queue[self.cursor..];
        if let Some(at) = left.iter().position(|slot| slot.candidate == candidate) {
            left[..=at].rotate_right(1);
        }
    }

    /// Puts the candidate that [`next`](Machine::next) just gave behind all others, without an attempt;
    /// for one whose provider turns out to be probed by another request. Once per candidate, and not
    /// when it is the only one left: then it returns false, and the candidate is to be attempted.
    pub fn postpone(&mut self) -> bool {
        match self.state {
            State::Attempting(slot) if !slot.postponed && self.cursor < self.queue.len() => {
                self.queue.push(Slot {
                    postponed: true,
                    ..slot
                });
                self.state = State::Waiting;
                true
            }
            _ => false,
        }
    }

    /// Drops the candidate that [`next`](Machine::next) just gave, without an attempt; for one that cannot be sent
    /// the request at all.
    pub fn decline(&mut self) {
        if matches!(self.state, State::Attempting(_)) {
            self.candidates -= 1;
            self.state = State::Waiting;
        }
    }

    /// Drops, of the candidates that are left, those that cannot be sent the request; `can` is given their index
    /// in the plan.
    pub fn keep(&mut self, mut can: impl FnMut(usize) -> bool) {
        self.drop_past();
        let before = self.queue.len();
        self.queue.retain(|slot| can(slot.candidate));
        self.candidates -= before - self.queue.len();
    }
}
