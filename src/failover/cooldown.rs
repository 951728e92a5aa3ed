//! Which keys cool down, for what, and until when.
//!
//! | answer | what cools down | for |
//! | --- | --- | --- |
//! | 429, 529 (as a status or as an error event), a limit | the key for this model | what the provider asks for, or `backoff` from 1 s to 60 s |
//! | 503 with `Retry-After` | the key for this model | what the provider asks for |
//! | 401, 402; no credit, an invalid key | the key | 5 minutes: a wrong key or an unpaid bill does not mend itself in seconds |
//! | 403; a model that is not there for the key | the key for this model | 5 minutes |
//! | 413 | nothing, whatever limit it names: this request is longer than it, and others are not | |
//!
//! What is learned of a model holds for one class of endpoints, and what `count_tokens` learns holds for nothing else:
//! providers limit it by itself. A cool-down only reorders plans, so a wrong guess costs a detour and never an answer.
//! Failures of requests that were already under way when a cool-down began do not lengthen the next one. A success forgets
//! the failures in a row and ends a refusal's cool-down (the key evidently works); a cool-down for a limit goes on, because a
//! small request's success says little about the limit that a large one hit.
//!
//! Invariant: what has ended is never reported, and is forgotten `MEMORY` later, so the map is as small as the
//! trouble; of one key at most `MODELS` models are kept. While it is empty a look costs one atomic load.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backoff::{backoff, salt};
use super::classify::Outcome;
use super::scope::{Class, Scope};
use tollgate_config::catalog::ErrorCause as Cause;

/// The first cool-down of a key that was rate limited without a time to wait.
pub const FIRST: Duration = Duration::from_secs(1);
/// The longest such cool-down.
pub const LONGEST: Duration = Duration::from_secs(60);
/// The cool-down of a key that the provider does not accept or that is not paid for.
pub(crate) const REFUSED: Duration = Duration::from_secs(300);
/// How long after a cool-down its failure still counts as one in a row.
pub(crate) const MEMORY: Duration = Duration::from_secs(60);
/// Cool-downs of one key: callers name models, and any number of them can be refused.
const MODELS: usize = 64;

/// The keys that cool down.
#[derive(Debug)]
pub struct Cooldowns {
    /// How many cool-downs there are; changed only under their lock, read without it.
    entries: AtomicUsize,
    by_key: Mutex<ByKey>,
    seed: u64,
}

#[derive(Debug, Default)]
struct ByKey {
    keys: HashMap<Arc<str>, Vec<Entry>>,
    /// When to look next for what may be forgotten.
    sweep: Option<Instant>,
}

/// A key that cools down, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooling {
    /// The key's id.
    pub key: Arc<str>,
    /// What of it cools down.
    pub scope: Scope,
    /// When the cool-down ends.
    pub until: Instant,
    /// The status that began or last extended it.
    pub status: u16,
    /// Failures in a row.
    pub failures: u32,
}

/// A cool-down that a failure began or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// What of the key cools down.
    pub scope: Scope,
    /// When it ends.
    pub until: Instant,
    /// The key did not cool down so before.
    pub is_new: bool,
    /// It ends later than was known.
    pub is_later: bool,
}

#[derive(Debug)]
struct Entry {
    scope: Scope,
    until: Instant,
    status: u16,
    failures: u32,
    /// It is for a refusal, which a success contradicts.
    refused: bool,
}

/// What a failure lets cool down.
struct Due {
    whole_key: bool,
    refused: bool,
    asked: Option<Duration>,
}

/// `None` if the outcome says nothing against the key.
fn due(outcome: &Outcome) -> Option<Due> {
    // A wait of zero is no advice.
    let asked = outcome.retry_after().filter(|asked| !asked.is_zero());
    let due = |whole_key: bool, refused: bool| {
        let asked = asked.filter(|_| !refused);
        Some(Due {
            whole_key,
            refused,
            asked,
        })
    };
    match (outcome.cause(), outcome.status()?) {
        (Some(Cause::Request | Cause::Filter), _) | (Some(Cause::Limit), 413) => None,
        (Some(Cause::Credit | Cause::Key), _) => due(true, true),
        (Some(Cause::Model), _) => due(false, true),
        (Some(Cause::Limit), _) | (None, 429 | 529) => due(false, false),
        (None, 401 | 402) => due(true, true),
        (None, 403) => due(false, true),
        (None, 503) if asked.is_some() => due(false, false),
        (None, _) => None,
    }
}

impl Cooldowns {
    /// No key cools down. The seed spreads the jitter of replicas; tests pass a fixed one.
    pub fn new(seed: u64) -> Cooldowns {
        Cooldowns {
            entries: AtomicUsize::new(0),
            by_key: Mutex::default(),
            seed,
        }
    }

    /// Returns until when the key cools down for what is asked; `None` if it does not.
    pub fn until(&self, key: &str, model: &str, class: Class, now: Instant) -> Option<Instant> {
        if self.untroubled() {
            return None;
        }
        let mut by_key = self.by_key.lock();
        if by_key.sweep.is_none_or(|sweep| sweep <= now) {
            self.sweep(&mut by_key, now);
        }
        let entries = by_key.keys.get(key)?.iter();
        let covering = entries.filter(|entry| entry.scope.covers(model, class));
        let until = covering.map(|entry| entry.until).max()?;
        (until > now).then_some(until)
    }

    /// Takes note of a failed attempt with the key. Returns the cool-down that it begins or extends, `None` if this outcome
    /// says nothing against the key.
    pub fn on_outcome(
        &self,
        key: &Arc<str>,
        model: &Arc<str>,
        class: Class,
        outcome: &Outcome,
        now: Instant,
    ) -> Option<Cooldown> {
        let (due, status) = (due(outcome)?, outcome.status()?);
        let scope = Scope {
            model: (!due.whole_key).then(|| model.clone()),
            class: (!due.whole_key || class == Class::Counting).then_some(class),
        };
        let mut by_key = self.by_key.lock();
        self.sweep(&mut by_key, now);
        let entry = by_key.entry(key, &scope, status, now);
        if entry.until <= now || entry.failures == 0 {
            entry.failures = entry.failures.saturating_add(1);
        }
        let length = match due {
            Due { refused: true, .. } => REFUSED,
            Due {
                asked: Some(asked), ..
            } => asked,
            Due { asked: None, .. } => {
                let salt = salt(self.seed, &scope.name(key));
                backoff(entry.failures, FIRST, LONGEST, salt)
            }
        };
        let (before, until) = (entry.until, now.checked_add(length).unwrap_or(now));
        if until >= entry.until {
            entry.until = until;
            entry.status = status;
            entry.refused = due.refused;
        }
        let cooldown = Cooldown {
            until: entry.until,
            is_new: before <= now,
            is_later: entry.until > before,
            scope,
        };
        self.count(&by_key);
        Some(cooldown)
    }

    /// Another replica says that a key cools down, at least until then. `name` is the cool-down's [`Scope::name`].
    pub fn heard(&self, name: &str, until: Instant, now: Instant) {
        let (key, scope) = Scope::of_name(name);
        let mut by_key = self.by_key.lock();
        self.sweep(&mut by_key, now);
        let entry = by_key.entry(&key.into(), &scope, 429, now);
        entry.until = entry.until.max(until);
        self.count(&by_key);
    }

    /// Takes note of a success with the key. Says whether it is the first after a failure.
    pub fn on_success(&self, key: &str, model: &str, class: Class) -> bool {
        if self.untroubled() {
            return false;
        }
        let mut by_key = self.by_key.lock();
        let Some(entries) = by_key.keys.get_mut(key) else {
            return false;
        };
        let mut is_back = false;
        entries.retain_mut(|entry| {
            if !entry.scope.covers(model, class) {
                return true;
            }
            is_back |= entry.failures > 0;
            entry.failures = 0;
            !entry.refused
        });
        if entries.is_empty() {
            by_key.keys.remove(key);
        }
        self.count(&by_key);
        is_back
    }

    /// Returns every cool-down, the soonest to end first.
    pub fn list(&self, now: Instant) -> Vec<Cooling> {
        let mut by_key = self.by_key.lock();
        self.sweep(&mut by_key, now);
        let entries = by_key
            .keys
            .iter()
            .flat_map(|(key, entries)| entries.iter().map(move |entry| (key, entry)));
        let mut list: Vec<Cooling> = entries
            .filter(|(_, entry)| entry.until > now)
            .map(|(key, entry)| Cooling {
                key: key.clone(),
                scope: entry.scope.clone(),
                until: entry.until,
                status: entry.status,
                failures: entry.failures,
            })
            .collect();
        drop(by_key);
        let order = |c: &Cooling| (c.until, c.key.clone(), c.scope.clone());
        list.sort_by_cached_key(order);
        list
    }

    /// Ends all cool-downs of the key and forgets its failures. Says whether there was one to end.
    pub fn clear(&self, key: &str, now: Instant) -> bool {
        let mut by_key = self.by_key.lock();
        let entries = by_key.keys.remove(key).unwrap_or_default();
        self.count(&by_key);
        entries.iter().any(|entry| entry.until > now)
    }

    /// Ends every cool-down.
    pub fn clear_all(&self) {
        let mut by_key = self.by_key.lock();
        by_key.keys.clear();
        self.count(&by_key);
    }

    fn untroubled(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0
    }

    fn count(&self, by_key: &ByKey) {
        let entries = by_key.keys.values().map(Vec::len).sum();
        self.entries.store(entries, Ordering::Relaxed);
    }

    /// Forgets what may be forgotten.
    fn sweep(&self, by_key: &mut ByKey, now: Instant) {
        by_key.keys.retain(|_, entries| {
            entries.retain(|entry| entry.remembered(now));
            !entries.is_empty()
        });
        by_key.sweep = now.checked_add(FIRST);
        self.count(by_key);
    }
}

impl ByKey {
    /// The key's cool-down with this scope, one that has ended if there is none.
    fn entry(&mut self, key: &Arc<str>, scope: &Scope, status: u16, now: Instant) -> &mut Entry {
        let entries = self.keys.entry(key.clone()).or_default();
        let found = entries.iter().position(|entry| entry.scope == *scope);
        let at = found.unwrap_or_else(|| {
            if entries.len() >= MODELS {
                let of_models = (0..entries.len()).filter(|at| entries[*at].scope.model.is_some());
                let soonest = of_models.min_by_key(|at| entries[*at].until);
                soonest.map(|at| entries.swap_remove(at));
            }
            entries.push(Entry {
                scope: scope.clone(),
                until: now,
                status,
                failures: 0,
                refused: false,
            });
            entries.len() - 1
        });
        &mut entries[at]
    }
}

impl Entry {
    /// Whether the key cools down, or its last failure still counts.
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
mod tests;
