//! The one door to what is known of keys and providers: cool-downs, breakers and quotas.
//!
//! The proxy asks [`Health::wait`] while it plans, says [`Health::begin`] before an attempt, and
//! afterwards exactly one of [`Health::on_success`] (at commit) and [`Health::on_outcome`]. It may report
//! an outcome after commit as well, when a committed answer breaks.

use std::sync::Arc;
use std::time::Instant;

use super::breaker::{Breakers, Shut};
use super::classify::Outcome;
use super::cooldown::{Cooldown, Cooldowns};
use super::headroom::{Headroom, Need};
use super::plan::{Candidate, Wait};
use super::scope::Class;

/// What is known of keys and providers.
#[derive(Debug)]
pub struct Health {
    /// Which keys cool down.
    pub cooldowns: Cooldowns,
    /// Which providers cannot be reached.
    pub breakers: Breakers,
    /// What is left of their limits.
    pub headroom: Headroom,
}

impl Health {
    /// All is well. The seed spreads the jitter of replicas.
    pub fn new(seed: u64) -> Health {
        Health {
            cooldowns: Cooldowns::new(seed),
            breakers: Breakers::new(seed),
            headroom: Headroom::default(),
        }
    }

    /// Returns until when this account had better leave the candidate's key, or its provider, alone, whichever is
    /// later; `None` if neither.
    pub fn cooling(
        &self,
        candidate: &Candidate,
        account: &str,
        class: Class,
        now: Instant,
    ) -> Option<Instant> {
        let (key, model) = (&candidate.key.id, &candidate.upstream_model);
        // `None` is less than any `Some`.
        self.cooldowns
            .until(key, model, class, now)
            .max(self.breakers.until(&candidate.provider.id, account, now))
    }

    /// Returns why this account's request had better leave the candidate alone, and until when; `None` if there is no reason
    /// to. `needs` is what it needs, and what those need who stand before it. This is what [`plan`](super::plan()) wants to know.
    pub fn wait(
        &self,
        candidate: &Candidate,
        account: &str,
        class: Class,
        needs: impl FnOnce() -> (Need, Need),
        now: Instant,
    ) -> Option<Wait> {
        if let Some(until) = self.cooling(candidate, account, class, now) {
            return Some(Wait::Cooling(until));
        }
        // Counts of tokens have limits of their own, which no header tells.
        if class == Class::Counting {
            return None;
        }
        let (key, model) = (&candidate.key.id, &candidate.upstream_model);
        let until = self.headroom.until(key, model, needs, now)?;
        Some(Wait::Quota(until))
    }

    /// An attempt of this account is about to begin. False when the provider had better be left alone: another
    /// request has just become the probe of its half-open breaker, or it has opened since the plan was made.
    /// Then [`Machine::postpone`](super::Machine::postpone) it; if that says no, attempt it all the same.
    pub fn begin(&self, candidate: &Candidate, account: &str, now: Instant) -> bool {
        self.breakers.begin(&candidate.provider.id, account, now)
    }

    /// The attempt was committed. Says what is back that had failed before.
    pub fn on_success(&self, candidate: &Candidate, class: Class) -> Back {
        let (key, model) = (&candidate.key.id, &candidate.upstream_model);
        Back {
            key: self.cooldowns.on_success(key, model, class),
            provider: self.breakers.on_success(&candidate.provider.id),
        }
    }

    /// This account's attempt failed. Returns what comes of it.
    ///
    /// What `provoked` is, a caller's own wishes may have brought about: it is not held against what others share.
    pub fn on_outcome(
        &self,
        candidate: &Candidate,
        account: &Arc<str>,
        class: Class,
        outcome: &Outcome,
        provoked: bool,
        now: Instant,
    ) -> Learnt {
        let provider = &candidate.provider.id;
        let mut shut = None;
        // Many providers do not have the endpoint, or answer it from elsewhere.
        let elsewhere = class == Class::Counting && !matches!(outcome, Outcome::Connect(_));
        match outcome {
            outcome if outcome.transport() && !provoked && !elsewhere => {
                shut = self.breakers.on_failure(provider, account, now);
            }
            outcome if outcome.transport() => self.breakers.on_neither(provider, account, now),
            Outcome::Cancelled
            | Outcome::ClientGone
            | Outcome::Drained
            | Outcome::CutOff
            | Outcome::AddressForbidden => self.breakers.on_neither(provider, account, now),
            _ => drop(self.breakers.on_success(provider)),
        }
        let (key, model) = (&candidate.key.id, &candidate.upstream_model);
        let cooldown = || self.cooldowns.on_outcome(key, model, class, outcome, now);
        Learnt {
            cooldown: (!provoked).then(cooldown).flatten(),
            shut,
        }
    }
}

/// What comes of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// The key's cool-down, if the failure was the key's.
    pub cooldown: Option<Cooldown>,
    /// For whom the provider's breaker opened.
    pub shut: Option<Shut>,
}

/// What works again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Back {
    /// The key had failed before, for this model.
    pub key: bool,
    /// The provider's breaker was open.
    pub provider: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::THRESHOLD;
    use crate::classify::ConnectFailure;
    use crate::testing::candidate;
    use std::time::Duration;

    const CLASS: Class = Class::Answers;

    fn account() -> Arc<str> {
        "a".into()
    }

    fn cooling(health: &Health, candidate: &Candidate, now: Instant) -> Option<Instant> {
        health.cooling(candidate, "a", CLASS, now)
    }

    fn failed(
        health: &Health,
        candidate: &Candidate,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Instant> {
        let learnt = health.on_outcome(candidate, &account(), CLASS, outcome, false, now);
        learnt.cooldown.map(|cooldown| cooldown.until)
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
            failed(&health, &a, &limited, now),
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
                failed(&health, &b, &refused, now),
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
        let (key, model) = (&b.key.id, &b.upstream_model);
        health
            .cooldowns
            .on_outcome(key, model, CLASS, &briefly, now);
        assert_eq!(
            cooling(&health, &b, now),
            health.breakers.until("p", "a", now),
            "the later end counts"
        );
        assert!(!health.begin(&b, "a", now));
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
                failed(&health, &c, &Outcome::Timeout, now);
            }
            let answer = Outcome::Status {
                status,
                retry_after: None,
            };
            failed(&health, &c, &answer, now);
            assert_eq!(
                health.breakers.until("p", "a", now),
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
            failed(&health, &c, &Outcome::Reset, now);
        }
        for outcome in [
            Outcome::Cancelled,
            Outcome::ClientGone,
            Outcome::Drained,
            Outcome::CutOff,
        ] {
            failed(&health, &c, &outcome, now);
            assert!(
                cooling(&health, &c, now).is_some(),
                "{outcome:?}: the breaker stays open"
            );
        }
        assert!(health.on_success(&c, CLASS).provider, "it is back");
        assert_eq!(cooling(&health, &c, now), None);
    }

    /// A tenant whose timeouts are short, or whose parameters are refused, must not take a provider from the others.
    #[test]
    fn what_a_caller_provokes_is_not_held_against_what_others_share() {
        let health = Health::new(1);
        let now = tollgate_base::clock::now();
        let c = candidate(0, "a");
        let limited = Outcome::Status {
            status: 429,
            retry_after: None,
        };
        for outcome in [Outcome::Silent, Outcome::Timeout, limited] {
            for _ in 0..2 * THRESHOLD {
                let learnt = health.on_outcome(&c, &account(), CLASS, &outcome, true, now);
                assert_eq!(learnt, Learnt::default());
            }
        }
        assert_eq!(cooling(&health, &c, now), None);
    }

    #[test]
    fn what_counting_meets_says_nothing_of_answers() {
        let health = Health::new(1);
        let now = tollgate_base::clock::now();
        let c = candidate(0, "a");
        let refused = |status| Outcome::Status {
            status,
            retry_after: Some(Duration::from_secs(9)),
        };
        for outcome in [Outcome::Silent, Outcome::Reset, refused(429), refused(401)] {
            for _ in 0..THRESHOLD {
                health.on_outcome(&c, &account(), Class::Counting, &outcome, false, now);
            }
        }
        assert_eq!(cooling(&health, &c, now), None);
        assert!(health.cooling(&c, "a", Class::Counting, now).is_some());
    }
}
