//! Which keys rest, and until when.
//!
//! | answer | the key rests for |
//! | --- | --- |
//! | 429, 529 (as a status or as an error event) | what the provider asks for, or `backoff` from 1 s to 60 s |
//! | 401, 402, 403 | 5 minutes: a wrong key or an unpaid bill does not mend itself in seconds |
//!
//! Resting only reorders plans, so a wrong guess costs a detour and never an answer. Failures of
//! requests that were already under way when a rest began do not lengthen the next one. A success
//! forgets the failures in a row and ends a rest for 401, 402 or 403 (the key evidently works); a rest
//! for 429 or 529 goes on, because a small request's success says little about the limit that a large
//! one hit.
//!
//! Invariant: what has ended is never reported, and is forgotten `MEMORY` later, so the map is as
//! small as the trouble. While it is empty a look costs one atomic load.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backoff::{backoff, salt};
use super::classify::Outcome;

/// The first rest of a key that was rate limited and not told for how long.
pub const FIRST: Duration = Duration::from_secs(1);
/// The longest such rest.
pub const LONGEST: Duration = Duration::from_secs(60);
/// The rest of a key that the provider does not accept or that is not paid for.
pub(crate) const REFUSED: Duration = Duration::from_secs(300);
/// How long after a rest its failure still counts as one in a row.
pub(crate) const MEMORY: Duration = Duration::from_secs(60);

/// The keys that rest.
#[derive(Debug)]
pub struct Cooldowns {
    /// How many keys `rests` has; changed only under its lock, read without it.
    entries: AtomicUsize,
    rests: Mutex<Rests>,
    seed: u64,
}

#[derive(Debug, Default)]
struct Rests {
    keys: HashMap<Arc<str>, Entry>,
    /// When to look next for what may be forgotten.
    sweep: Option<Instant>,
}

/// A key that rests, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooling {
    /// The key's id.
    pub key: Arc<str>,
    /// When the rest ends.
    pub until: Instant,
    /// The status that began or last extended it.
    pub status: u16,
    /// Failures in a row.
    pub failures: u32,
}

#[derive(Debug)]
struct Entry {
    until: Instant,
    status: u16,
    failures: u32,
}

impl Cooldowns {
    /// No key rests. The seed spreads the jitter of replicas; tests pass a fixed one.
    pub fn new(seed: u64) -> Cooldowns {
        Cooldowns {
            entries: AtomicUsize::new(0),
            rests: Mutex::default(),
            seed,
        }
    }

    /// Until when the key rests; `None` if it does not.
    pub fn until(&self, key: &str, now: Instant) -> Option<Instant> {
        if self.untroubled() {
            return None;
        }
        let mut rests = self.rests.lock();
        if rests.sweep.is_none_or(|sweep| sweep <= now) {
            self.sweep(&mut rests, now);
        }
        let until = rests.keys.get(key)?.until;
        (until > now).then_some(until)
    }

    /// Takes note of a failed attempt with the key. Returns the end of the rest that it begins or
    /// extends, `None` if this outcome says nothing against the key.
    pub fn on_outcome(&self, key: &Arc<str>, outcome: &Outcome, now: Instant) -> Option<Instant> {
        let status = outcome
            .status()
            .filter(|status| matches!(status, 401..=403 | 429 | 529))?;
        let mut rests = self.rests.lock();
        self.sweep(&mut rests, now);
        let entry = rests.keys.entry(key.clone()).or_insert(Entry {
            until: now,
            status,
            failures: 0,
        });
        if entry.until <= now || entry.failures == 0 {
            entry.failures = entry.failures.saturating_add(1);
        }
        // A wait of zero is no advice.
        let asked = outcome.retry_after().filter(|asked| !asked.is_zero());
        let rest = match (status, asked) {
            (401..=403, _) => REFUSED,
            (_, Some(asked)) => asked,
            (_, None) => backoff(entry.failures, FIRST, LONGEST, salt(self.seed, key)),
        };
        let until = now.checked_add(rest).unwrap_or(now);
        if until >= entry.until {
            entry.until = until;
            entry.status = status;
        }
        let until = entry.until;
        self.entries.store(rests.keys.len(), Ordering::Relaxed);
        Some(until)
    }

    /// Another replica says that the key rests, at least until then.
    pub fn heard(&self, key: &str, until: Instant, now: Instant) {
        let mut rests = self.rests.lock();
        self.sweep(&mut rests, now);
        let entry = rests.keys.entry(key.into()).or_insert(Entry {
            until: now,
            status: 429,
            failures: 0,
        });
        entry.until = entry.until.max(until);
        self.entries.store(rests.keys.len(), Ordering::Relaxed);
    }

    /// Takes note of a success with the key.
    pub fn on_success(&self, key: &str) {
        if self.untroubled() {
            return;
        }
        let mut rests = self.rests.lock();
        match rests.keys.get_mut(key) {
            Some(Entry {
                status: 401..=403, ..
            }) => drop(rests.keys.remove(key)),
            Some(entry) => entry.failures = 0,
            None => {}
        }
        self.entries.store(rests.keys.len(), Ordering::Relaxed);
    }

    /// Every key that rests, the soonest to end first.
    pub fn list(&self, now: Instant) -> Vec<Cooling> {
        let cooling = |(key, e): (&Arc<str>, &Entry)| Cooling {
            key: key.clone(),
            until: e.until,
            status: e.status,
            failures: e.failures,
        };
        let mut rests = self.rests.lock();
        self.sweep(&mut rests, now);
        let mut list: Vec<Cooling> = rests
            .keys
            .iter()
            .filter(|(_, e)| e.until > now)
            .map(cooling)
            .collect();
        drop(rests);
        list.sort_by(|a, b| a.until.cmp(&b.until).then_with(|| a.key.cmp(&b.key)));
        list
    }

    /// Ends the key's rest and forgets its failures. Says whether there was a rest to end.
    pub fn clear(&self, key: &str, now: Instant) -> bool {
        let mut rests = self.rests.lock();
        let entry = rests.keys.remove(key);
        self.entries.store(rests.keys.len(), Ordering::Relaxed);
        entry.is_some_and(|entry| entry.until > now)
    }

    /// Ends every rest.
    pub fn clear_all(&self) {
        let mut rests = self.rests.lock();
        rests.keys.clear();
        self.entries.store(0, Ordering::Relaxed);
    }

    fn untroubled(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0
    }

    /// Forgets what may be forgotten.
    fn sweep(&self, rests: &mut Rests, now: Instant) {
        rests.keys.retain(|_, entry| entry.remembered(now));
        rests.sweep = now.checked_add(FIRST);
        self.entries.store(rests.keys.len(), Ordering::Relaxed);
    }
}

impl Entry {
    /// Whether the key rests, or its last failure still counts.
    fn remembered(&self, now: Instant) -> bool {
        let memory = if self.failures == 0 {
            Duration::ZERO
        } else {
            MEMORY
        };
        self.until.checked_add(memory).is_some_and(|end| end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn status(status: u16, retry_after: Option<u64>) -> Outcome {
        Outcome::Status {
            status,
            retry_after: retry_after.map(secs),
        }
    }

    fn key() -> Arc<str> {
        "openai-main".into()
    }

    #[test]
    fn what_each_outcome_does_to_a_key() {
        let event = |status| Outcome::ErrorEvent {
            status,
            kind: "overloaded_error".into(),
        };
        let now = tollgate_base::clock::now();
        let cases: &[(Outcome, Option<(u64, u64)>)] = &[
            (status(429, Some(17)), Some((17_000, 17_000))),
            (status(529, Some(17)), Some((17_000, 17_000))),
            (status(429, None), Some((1000, 1250))),
            (status(429, Some(0)), Some((1000, 1250))),
            (event(Some(529)), Some((1000, 1250))),
            (status(401, None), Some((300_000, 300_000))),
            (status(402, Some(1)), Some((300_000, 300_000))),
            (status(403, None), Some((300_000, 300_000))),
            (status(400, Some(9)), None),
            (status(404, None), None),
            (status(408, None), None),
            (status(500, Some(9)), None),
            (status(503, Some(9)), None),
            (event(None), None),
            (Outcome::Timeout, None),
            (Outcome::Reset, None),
            (Outcome::ClientGone, None),
            (Outcome::Drained, None),
            (Outcome::CutOff, None),
        ];
        for (outcome, expected) in cases {
            let cooldowns = Cooldowns::new(1);
            let until = cooldowns.on_outcome(&key(), outcome, now);
            assert_eq!(
                until,
                cooldowns.until("openai-main", now),
                "{outcome:?}: both say the same"
            );
            let rest = until.map(|until| (until - now).as_millis());
            let fits = match (rest, expected) {
                (None, None) => true,
                (Some(ms), Some((least, most))) => {
                    (u128::from(*least)..=u128::from(*most)).contains(&ms)
                }
                _ => false,
            };
            assert!(
                fits,
                "{outcome:?}: rests {rest:?} ms, expected {expected:?}"
            );
            assert_eq!(
                cooldowns.until("another", now),
                None,
                "{outcome:?}: other keys do not rest"
            );
        }
    }

    #[test]
    fn consecutive_failures_double_and_a_success_starts_over() {
        let cooldowns = Cooldowns::new(7);
        let mut now = tollgate_base::clock::now();
        for expected in [1, 2, 4, 8, 16, 32, 48, 48] {
            let until = cooldowns
                .on_outcome(&key(), &status(429, None), now)
                .unwrap();
            let rest = until - now;
            assert!(
                rest >= secs(expected) && rest <= secs(expected) * 5 / 4,
                "{rest:?} is not {expected} s"
            );
            now = until;
            assert_eq!(cooldowns.until(&key(), now), None, "a rest ends at its end");
        }
        cooldowns.on_success(&key());
        let rest = cooldowns
            .on_outcome(&key(), &status(429, None), now)
            .unwrap()
            - now;
        assert!(
            rest < secs(2),
            "a success forgets the failures in a row, but the rest is {rest:?}"
        );
    }

    /// Twenty requests under way when a key hits its limit all come back with 429. That is one failure.
    #[test]
    fn a_burst_counts_once() {
        let cooldowns = Cooldowns::new(7);
        let now = tollgate_base::clock::now();
        for _ in 0..20 {
            cooldowns.on_outcome(&key(), &status(429, None), now);
        }
        assert_eq!(cooldowns.list(now)[0].failures, 1);
        assert!(cooldowns.until(&key(), now).unwrap() - now < secs(2));
    }

    #[test]
    fn a_shorter_wait_does_not_cut_a_longer_one() {
        let cooldowns = Cooldowns::new(7);
        let now = tollgate_base::clock::now();
        cooldowns.on_outcome(&key(), &status(429, Some(30)), now);
        assert_eq!(
            cooldowns.on_outcome(&key(), &status(429, Some(2)), now),
            Some(now + secs(30))
        );
    }

    #[test]
    fn a_success_ends_a_refusal_but_not_a_rate_limit() {
        let now = tollgate_base::clock::now();
        let after = |outcome| {
            let cooldowns = Cooldowns::new(7);
            cooldowns.on_outcome(&key(), &outcome, now);
            cooldowns.on_success(&key());
            cooldowns.until(&key(), now)
        };
        assert_eq!(after(status(403, None)), None);
        assert_eq!(after(status(429, Some(30))), Some(now + secs(30)));
    }

    #[test]
    fn the_operator_lists_and_clears() {
        let cooldowns = Cooldowns::new(7);
        let now = tollgate_base::clock::now();
        cooldowns.on_outcome(&"b".into(), &status(429, Some(30)), now);
        cooldowns.on_outcome(&"a".into(), &status(401, None), now);
        cooldowns.on_outcome(&"c".into(), &status(429, Some(5)), now);
        let list: Vec<_> = cooldowns
            .list(now)
            .iter()
            .map(|c| (c.key.to_string(), c.status))
            .collect();
        assert_eq!(
            list,
            [("c".into(), 429), ("b".into(), 429), ("a".into(), 401)]
        );
        assert!(cooldowns.clear("a", now), "it rested");
        assert!(!cooldowns.clear("a", now), "it does not any more");
        assert_eq!(
            cooldowns.list(now + secs(10)).len(),
            1,
            "what has ended is not listed"
        );
        cooldowns.clear_all();
        assert_eq!(cooldowns.list(now), []);
        assert!(cooldowns.untroubled());
    }

    #[test]
    fn what_has_ended_is_forgotten_by_looking() {
        let cooldowns = Cooldowns::new(7);
        let now = tollgate_base::clock::now();
        cooldowns.on_outcome(&key(), &status(429, Some(5)), now);
        assert_eq!(cooldowns.until("another", now + secs(6)), None);
        assert!(
            !cooldowns.untroubled(),
            "the failure still counts as one in a row"
        );
        assert_eq!(cooldowns.until("another", now + secs(5) + MEMORY), None);
        assert!(cooldowns.untroubled(), "a look is one atomic load again");
    }

    proptest! {
        /// Against a plain model: the latest end that any outcome asked for.
        #[test]
        fn a_rest_is_the_longest_asked_for(waits in proptest::collection::vec((0u64..5, 1u64..40, 0u64..20), 1..30)) {
            let cooldowns = Cooldowns::new(3);
            let mut now = tollgate_base::clock::now();
            let mut ends: HashMap<u64, Instant> = HashMap::new();
            for (name, wait, later) in waits {
                now += secs(later);
                let id: Arc<str> = name.to_string().into();
                cooldowns.on_outcome(&id, &status(429, Some(wait)), now);
                let end = ends.entry(name).or_insert(now);
                *end = (*end).max(now + secs(wait));
                for (name, end) in &ends {
                    let expected = (*end > now).then_some(*end);
                    prop_assert_eq!(cooldowns.until(&name.to_string(), now), expected);
                }
            }
        }
    }
}
