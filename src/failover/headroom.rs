//! What is left of providers' limits, as far as their headers tell: of each provider key for each model so many requests
//! and tokens.
//!
//! Every answer says what was left when its provider counted it ([`Limits`]). From that on the estimate is ours: each request
//! that begins is taken off at once, and what was used comes back, evenly or at a reset. The answer of the latest request to
//! begin is believed. What it says is taken as of its coming, a second after the request began at the latest: what came back
//! since it was counted is not reckoned with. What may not be in it is taken off (`entry.rs`).
//!
//! An estimate only orders candidates, or lets a request wait a little; it refuses nothing.
//!
//! Invariants: at most `MOST` keys are known, of each at most `MODELS` models; while nothing is under way there is room for a
//! request at the time that [`Headroom::until`] says, and not before. While nothing is known a look costs one atomic load.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

mod entry;
mod level;

use super::limits::{Limits, UNITS, Unit};
use entry::Entry;

/// Provider keys that are known at once; the one that was not used for the longest makes room.
const MOST: usize = 4096;
/// Models of one key: callers may name any.
const MODELS: usize = 64;

/// What a request is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// How many requests it stands for.
    pub requests: u64,
    /// The length of its body, bytes.
    pub bytes: u64,
    /// Tokens of its answer.
    pub answer: u64,
}

impl Need {
    /// Returns what both need.
    #[must_use]
    pub fn and(self, other: Need) -> Need {
        Need {
            requests: self.requests.saturating_add(other.requests),
            bytes: self.bytes.saturating_add(other.bytes),
            answer: self.answer.saturating_add(other.answer),
        }
    }
}

/// What is left of the limits of all keys.
#[derive(Debug, Default)]
pub struct Headroom {
    /// How many keys are known; changed only under their lock, read without it.
    known: AtomicUsize,
    keys: Mutex<HashMap<Arc<str>, Vec<Entry>>>,
}

/// An attempt that has begun; its answer's headers are read with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// When it began.
    pub at: Instant,
    /// What all that began until then, this one included, were expected to use.
    before: [u64; UNITS],
}

/// What is left of one limit, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The provider key's id.
    pub key: Arc<str>,
    /// The model, as the provider knows it.
    pub model: Arc<str>,
    /// Of what.
    pub unit: Unit,
    /// As much as there can be, if that is known.
    pub most: Option<u64>,
    /// What is left.
    pub left: u64,
    /// When all of it is back.
    pub full: Instant,
}

impl Headroom {
    /// Returns until when the key has no room for a request for the model; `None` if it has, as far as is known. `needs` is
    /// what it needs, and what those need who stand before it; asked for only if something is known.
    pub fn until(
        &self,
        key: &str,
        model: &str,
        needs: impl FnOnce() -> (Need, Need),
        now: Instant,
    ) -> Option<Instant> {
        self.known(key, model, |entry| entry.until(needs(), now))?
    }

    /// Begins an attempt if there is room for it, see [`Headroom::until`].
    ///
    /// # Errors
    /// If there is none, and until when.
    pub fn enter(
        &self,
        key: &str,
        model: &str,
        needs: impl FnOnce() -> (Need, Need),
        now: Instant,
    ) -> Result<Begun, Instant> {
        let entered = self.known(key, model, |entry| {
            let needs = needs();
            match entry.until(needs, now) {
                Some(until) => Err(until),
                None => Ok(entry.begin(needs.0, now)),
            }
        });
        entered.unwrap_or(Ok(Begun::unknown(now)))
    }

    /// An attempt begins, whether there is room for it or not: what it needs is taken off.
    pub fn begin(
        &self,
        key: &str,
        model: &str,
        need: impl FnOnce() -> Need,
        now: Instant,
    ) -> Begun {
        let begun = self.known(key, model, |entry| entry.begin(need(), now));
        begun.unwrap_or(Begun::unknown(now))
    }

    /// The attempt's answer has come, whose headers say this. Returns whether it is time to tell other replicas.
    pub fn learn(
        &self,
        key: &Arc<str>,
        model: &Arc<str>,
        begun: &Begun,
        limits: &Limits,
        now: Instant,
    ) -> bool {
        if limits.is_empty() {
            return false;
        }
        self.change(key, model, begun.at, |entry| {
            entry.learn(begun, limits, now) && entry.tells(now)
        })
    }

    /// Another replica's request began at `at`, and its answer's headers say this.
    pub fn heard(&self, key: &str, model: &str, at: Instant, limits: &Limits, now: Instant) {
        if !limits.is_empty() {
            self.change(&key.into(), &model.into(), at, |entry| {
                entry.hear(at, limits, now);
            });
        }
    }

    /// A request for the model turned out to have a prompt of `prompt` tokens, of which `cached` were kept from before.
    pub fn count(&self, key: &str, model: &str, bytes: u64, (prompt, cached): (u64, u64)) {
        self.known(key, model, |entry| entry.measure(bytes, (prompt, cached)));
    }

    /// Looks at the entry of a key and model, if there is one.
    fn known<T>(&self, key: &str, model: &str, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        if self.known.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut keys = self.keys.lock();
        let mut entries = keys.get_mut(key)?.iter_mut();
        entries.find(|entry| *entry.model == *model).map(look)
    }

    /// Changes the entry of a key and model; one that is new is of a request that began at `at`.
    fn change<T>(
        &self,
        key: &Arc<str>,
        model: &Arc<str>,
        at: Instant,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> T {
        let mut keys = self.keys.lock();
        if keys.len() >= MOST && !keys.contains_key(key) {
            forget_one(&mut keys);
        }
        let entries = keys.entry(key.clone()).or_default();
        let found = entries.iter().position(|entry| entry.model == *model);
        let place = found.unwrap_or_else(|| {
            if entries.len() >= MODELS {
                let eldest = (0..entries.len()).min_by_key(|place| entries[*place].at);
                eldest.map(|place| entries.swap_remove(place));
            }
            entries.push(Entry::new(model.clone(), at));
            entries.len() - 1
        });
        let changed = change(&mut entries[place]);
        self.known.store(keys.len(), Ordering::Relaxed);
        changed
    }

    /// Returns what is left of each limit, the fullest keys last.
    pub fn list(&self, now: Instant) -> Vec<Left> {
        let mut keys = self.keys.lock();
        let entries = keys
            .iter_mut()
            .flat_map(|(key, entries)| entries.iter_mut().map(move |entry| (key, entry)));
        let mut all = Vec::new();
        for (key, entry) in entries {
            for unit in Unit::ALL {
                let Some((most, left, full)) = entry.shown(unit, now) else {
                    continue;
                };
                all.push(Left {
                    key: key.clone(),
                    model: entry.model.clone(),
                    unit,
                    most,
                    left,
                    full,
                });
            }
        }
        drop(keys);
        let share = |left: &Left| {
            u128::from(left.left) * 1_000_000 / u128::from(left.most.unwrap_or(left.left).max(1))
        };
        all.sort_by_cached_key(|left| {
            (share(left), left.key.clone(), left.model.clone(), left.unit)
        });
        all
    }
}

/// Forgets the key that was not used for the longest.
fn forget_one(keys: &mut HashMap<Arc<str>, Vec<Entry>>) {
    let used = |entries: &[Entry]| entries.iter().map(|entry| entry.at).max();
    let eldest = keys.iter().min_by_key(|(_, entries)| used(entries));
    if let Some(key) = eldest.map(|(key, _)| key.clone()) {
        keys.remove(&key);
    }
}

impl Begun {
    /// One of whose key nothing is known.
    fn unknown(at: Instant) -> Begun {
        let before = [0; UNITS];
        Begun { at, before }
    }
}

#[cfg(test)]
mod tests;
