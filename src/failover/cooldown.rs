//! Which keys rest, and until when.
//!
//! | answer | the key rests for |
//! | --- | --- |
//! | 429, 529 (as a status or as an error event) | what the provider asks for, or [`backoff`] from 1 s to 60 s |
//! | 401, 402, 403 | 5 minutes: a wrong key or an unpaid bill does not mend itself in seconds |
//!
//! Resting only reorders plans, so a wrong guess costs a detour and never an answer. Failures of
//! requests that were already under way when a rest began do not lengthen the next one. A success
//! forgets the failures in a row and ends a rest for 401, 402 or 403 (the key evidently works); a rest
//! for 429 or 529 goes on, because a small request's success says little about the limit that a large
//! one hit.
//!
//! Invariant: what has ended is never reported, and is forgotten [`MEMORY`] later, so the map is as
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
pub const REFUSED: Duration = Duration::from_secs(300);
/// How long after a rest its failure still counts as one in a row.
pub const MEMORY: Duration = Duration::from_secs(60);

/// The keys that rest.
#[derive(Debug)]
pub struct Cooldowns {
    /// How many entries `keys` has; changed only under its lock, read without it.
    entries: AtomicUsize,
    keys: Mutex<HashMap<Arc<str>, Entry>>,
    seed: u64,
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
            keys: Mutex::new(HashMap::new()),
            seed,
        }
    }

    /// Until when the key rests; `None` if it does not.
    pub fn until(&self, key: &str, now: Instant) -> Option<Instant> {
        if self.entries.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let until = self.keys.lock().get(key)?.until;
        (until > now).then_some(until)
    }

    /// Takes note of a failed attempt with the key. Returns the end of the rest that it begins or
    /// extends, `None` if this outcome says nothing against the key.
    pub fn on_outcome(&self, key: &Arc<str>, outcome: &Outcome, now: Instant) -> Option<Instant> {
        let status = outcome
            .status()
            .filter(|s| matches!(s, 401 | 402 | 403 | 429 | 529))?;
        let mut keys = self.keys.lock();
        keys.retain(|_, entry| entry.remembered(now));
        let entry = keys.entry(key.clone()).or_insert(Entry {
            until: now,
            status,
            failures: 0,
        });
        if entry.until <= now || entry.failures == 0 {
            entry.failures = entry.failures.saturating_add(1);
        }
        let rest = match (status, outcome.retry_after()) {
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
        self.entries.store(keys.len(), Ordering::Relaxed);
        (until > now).then_some(until)
    }

    /// Takes note of a success with the key.
    pub fn on_success(&self, key: &str) {
        if self.entries.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut keys = self.keys.lock();
        if let Some(entry) = keys.get_mut(key) {
            if matches!(entry.status, 401..=403) {
                keys.remove(key);
            } else {
                entry.failures = 0;
            }
        }
        self.entries.store(keys.len(), Ordering::Relaxed);
    }

    /// Every key that rests, the soonest to end first.
    pub fn list(&self, now: Instant) -> Vec<Cooling> {
        let mut keys = self.keys.lock();
        keys.retain(|_, entry| entry.remembered(now));
        self.entries.store(keys.len(), Ordering::Relaxed);
        let mut list: Vec<Cooling> = keys
            .iter()
            .filter(|(_, entry)| entry.until > now)
            .map(|(key, e)| Cooling {
                key: key.clone(),
                until: e.until,
                status: e.status,
                failures: e.failures,
            })
            .collect();
        drop(keys);
        list.sort_by(|a, b| a.until.cmp(&b.until).then_with(|| a.key.cmp(&b.key)));
        list
    }

    /// Ends the key's rest and forgets its failures. Whether there was anything to end.
    pub fn clear(&self, key: &str, now: Instant) -> bool {
        let mut keys = self.keys.lock();
        let entry = keys.remove(key);
        self.entries.store(keys.len(), Ordering::Relaxed);
        entry.is_some_and(|entry| entry.until > now)
    }

    /// Ends every rest.
    pub fn clear_all(&self) {
        let mut keys = self.keys.lock();
        keys.clear();
        self.entries.store(0, Ordering::Relaxed);
    }
}

impl Entry {
    fn remembered(&self, now: Instant) -> bool {
        let until = if self.failures == 0 {
            Some(self.until)
        } else {
            self.until.checked_add(MEMORY)
        };
        until.is_some_and(|until| until > now)
    }
}
