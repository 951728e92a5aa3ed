//! The one door to what is known of keys and providers: cool-downs and breakers.
//!
//! The proxy asks [`Health::cooling`] while it plans, says [`Health::begin`] before an attempt, and
//! afterwards exactly one of [`Health::on_success`] (at commit) and [`Health::on_outcome`]. It may report
//! an outcome after commit as well, when a committed answer breaks.

use std::time::Instant;

use super::breaker::Breakers;
use super::classify::Outcome;
use super::cooldown::Cooldowns;
use super::plan::Candidate;
use crate::access::ProviderKey;
use crate::catalog::Provider;

/// What is known of keys and providers.
#[derive(Debug)]
pub struct Health {
    /// Which keys rest.
    pub cooldowns: Cooldowns,
    /// Which providers cannot be reached.
    pub breakers: Breakers,
}

impl Health {
    /// All is well. The seed spreads the jitter of replicas.
    pub fn new(seed: u64) -> Health {
        Health {
            cooldowns: Cooldowns::new(seed),
            breakers: Breakers::new(seed),
        }
    }

    /// Until when the key or its provider had better be left alone, whichever is later; `None` if
    /// neither. This is what [`plan`](super::plan()) wants to know.
    pub fn cooling(&self, key: &ProviderKey, provider: &Provider, now: Instant) -> Option<Instant> {
        // `None` is less than any `Some`.
        self.cooldowns
            .until(&key.id, now)
            .max(self.breakers.until(&provider.id, now))
    }

    /// An attempt is about to begin. False when the provider had better be left alone: another request
    /// has just become the probe of its half-open breaker, or it has opened since the plan was made.
    /// Then [`Machine::postpone`](super::Machine::postpone) it; if that says no, attempt it all the same.
    pub fn begin(&self, candidate: &Candidate, now: Instant) -> bool {
        self.breakers.begin(&candidate.provider.id, now)
    }

    /// The attempt was committed.
    pub fn on_success(&self, candidate: &Candidate) {
        self.cooldowns.on_success(&candidate.key.id);
        self.breakers.on_success(&candidate.provider.id);
    }

    /// The attempt failed. Returns until when its key rests, if this failure was the key's.
    pub fn on_outcome(
        &self,
        candidate: &Candidate,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Instant> {
        let provider = &candidate.provider.id;
        match outcome {
            outcome if outcome.transport() => self.breakers.on_failure(provider, now),
            Outcome::ClientGone | Outcome::AddressForbidden => {
                self.breakers.on_neither(provider, now)
            }
            _ => self.breakers.on_success(provider),
        }
        self.cooldowns.on_outcome(&candidate.key.id, outcome, now)
    }
}
