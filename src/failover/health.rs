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
use tollgate_config::access::ProviderKey;
use tollgate_config::catalog::Provider;

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
            Outcome::ClientGone
            | Outcome::Drained
            | Outcome::CutOff
            | Outcome::AddressForbidden => self.breakers.on_neither(provider, now),
            _ => self.breakers.on_success(provider),
        }
        self.cooldowns.on_outcome(&candidate.key.id, outcome, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::THRESHOLD;
    use crate::classify::ConnectFailure;
    use crate::testing::candidate;
    use std::time::Duration;

    fn cooling(health: &Health, candidate: &Candidate, now: Instant) -> Option<Instant> {
        health.cooling(&candidate.key, &candidate.provider, now)
    }

    #[test]
    fn a_rate_limit_is_the_keys_and_a_refused_connection_the_providers() {
        let health = Health::new(1);
        let now = tollgate_base::clock::now();
        let (a, b) = (candidate(0, "a"), candidate(0, "b"));
        let limited = Outcome::Status {
            status: 429,
            retry_after: Some(Duration::from_secs(90)),
        };
        assert_eq!(
            health.on_outcome(&a, &limited, now),
            Some(now + Duration::from_secs(90))
        );
        assert_eq!(
            cooling(&health, &b, now),
            None,
            "another key of the provider is well"
        );

        for _ in 0..THRESHOLD {
            let refused = Outcome::Connect(ConnectFailure::Refused);
            assert_eq!(
                health.on_outcome(&b, &refused, now),
                None,
                "the key is not to blame"
            );
        }
        assert!(
            cooling(&health, &b, now).is_some(),
            "the provider's breaker is open"
        );
        let briefly = Outcome::Status {
            status: 529,
            retry_after: Some(Duration::from_secs(1)),
        };
        health.cooldowns.on_outcome(&b.key.id, &briefly, now);
        assert_eq!(
            cooling(&health, &b, now),
            health.breakers.until("p", now),
            "the later end counts"
        );
        assert!(!health.begin(&b, now));
        assert_eq!(
            cooling(&health, &a, now),
            Some(now + Duration::from_secs(90)),
            "the later end counts"
        );
    }

    #[test]
    fn any_answer_closes_the_breaker() {
        let now = tollgate_base::clock::now();
        for status in [400, 401, 429, 500, 503] {
            let health = Health::new(1);
            let c = candidate(0, "a");
            for _ in 0..THRESHOLD {
                health.on_outcome(&c, &Outcome::Timeout, now);
            }
            health.on_outcome(
                &c,
                &Outcome::Status {
                    status,
                    retry_after: None,
                },
                now,
            );
            assert_eq!(
                health.breakers.until("p", now),
                None,
                "{status} shows that the provider can be reached"
            );
        }
    }

    #[test]
    fn what_is_not_the_providers_doing_says_nothing_of_it() {
        let health = Health::new(1);
        let now = tollgate_base::clock::now();
        let c = candidate(0, "a");
        for _ in 0..THRESHOLD {
            health.on_outcome(&c, &Outcome::Reset, now);
        }
        for outcome in [Outcome::ClientGone, Outcome::Drained, Outcome::CutOff] {
            health.on_outcome(&c, &outcome, now);
            assert!(
                cooling(&health, &c, now).is_some(),
                "{outcome:?}: the breaker stays open"
            );
        }
        health.on_success(&c);
        assert_eq!(cooling(&health, &c, now), None);
    }
}
