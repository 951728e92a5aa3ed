//! Candidates that are tried again, where the operator asks for it.

use std::time::Instant;

use super::{Machine, Slot, is_skipped};
use crate::classify::Outcome;

impl Machine {
    /// When the candidate may be tried again after failing so at `now`; `None` if it may not.
    pub(super) fn ready(&self, slot: Slot, outcome: &Outcome, now: Instant) -> Option<Instant> {
        let wait = outcome.passes().filter(|_| slot.retries > 0)?;
        let ready = now.checked_add(wait)?;
        (wait <= self.retry.most && ready < self.deadline).then_some(ready)
    }

    /// Whether a candidate of the open attempt's model will be tried again if the attempt fails so at `now`.
    pub(super) fn repeats(&self, slot: Slot, outcome: &Outcome, now: Instant) -> bool {
        let verdict = outcome.verdict();
        let mut again = self.again.iter();
        self.ready(slot, outcome, now).is_some()
            || again
                .any(|(other, _)| other.model == slot.model && !is_skipped(slot, verdict, other))
    }

    /// When none of the model's candidates is left, puts the one first that may be tried again soonest.
    pub(super) fn repeat(&mut self, model: usize) {
        let of_model = |slot: &Slot| slot.model == model;
        if self.queue[self.cursor..].iter().any(of_model) {
            return;
        }
        let again = self.again.iter().enumerate();
        let ready = again.filter(|(_, (slot, _))| of_model(slot));
        let Some(soonest) = ready.min_by_key(|(_, (_, ready))| *ready) else {
            return;
        };
        let (slot, ready) = self.again.swap_remove(soonest.0);
        let retries = slot.retries.saturating_sub(1);
        self.queue.insert(self.cursor, Slot { retries, ..slot });
        self.not_before = Some(ready);
    }
}
