//! What is left of providers' limits, as far as their headers tell: of each provider key for each model so many requests
//! and tokens.
//!
//! Every answer says what was left when its request began ([`Limits`]). From that on the estimate is ours: each request that
//! begins is taken off at once, and what was used comes back, evenly or at a reset. The answer of the latest request to
//! begin is believed. What it says is taken as of a moment after that request's beginning: who counts later, when the head of the answer
//! leaves, has more requests and more that came back behind it, which is about the same. Requests may overtake each other on
//! their way: of those that began just before it, what is not answered yet may not be in what it says.
//!
//! An estimate only orders candidates, or lets a request wait a little; it refuses nothing.
//!
//! Invariants: at most `MOST` keys are known, of each at most `MODELS` models; there is room for a request at the time that
//! [`Headroom::until`] says, and not before. While nothing is known a look costs one atomic load.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

mod level;

use super::limits::{Limits, UNITS, Unit};
use level::Level;

/// Provider keys that are known at once; the one that was not used for the longest makes room.
const MOST: usize = 4096;
/// Models of one key: callers may name any.
const MODELS: usize = 64;
/// How often others are told of a key and model.
const TELL: Duration = Duration::from_millis(250);
/// What others say is news if nothing is known that is nearly as recent.
const RECENT: Duration = Duration::from_millis(500);
/// Requests that begin within this overtake each other.
const OVERTAKE: Duration = Duration::from_millis(50);
/// A request is counted no later than this after it began; what came back until then may be in what its answer says.
const ARRIVES: Duration = Duration::from_secs(1);
/// Requests of an entry that are remembered until they are answered.
const RECENT_MOST: usize = 64;
/// Tokens of a KiB of a request before any was counted.
const UNLEARNED: u64 = 256;

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

/// One key for one model.
#[derive(Debug)]
struct Entry {
    model: Arc<str>,
    levels: [Option<Level>; UNITS],
    /// What the requests that have begun were expected to use, all together.
    begun: [u64; UNITS],
    /// The last of them that are not answered: when each began, what had begun until then, and what it needs.
    recent: VecDeque<(Begun, [u64; UNITS])>,
    /// When the request began whose answer is believed.
    at: Instant,
    /// When others were told.
    told: Option<Instant>,
    /// Tokens that a KiB of a request counts for.
    per_kib: u64,
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
        if self.known.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let keys = self.keys.lock();
        let entry = keys.get(key)?.iter().find(|entry| *entry.model == *model)?;
        let (own, ahead) = needs();
        entry.until(own, ahead).filter(|until| *until > now)
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
        let unknown = Begun {
            at: now,
            before: [0; UNITS],
        };
        if self.known.load(Ordering::Relaxed) == 0 {
            return Ok(unknown);
        }
        let mut keys = self.keys.lock();
        let mut entries = keys.get_mut(key).into_iter().flatten();
        let Some(entry) = entries.find(|entry| *entry.model == *model) else {
            return Ok(unknown);
        };
        let (own, ahead) = needs();
        match entry.until(own, ahead).filter(|until| *until > now) {
            Some(until) => Err(until),
            None => Ok(entry.begin(own, now)),
        }
    }

    /// An attempt begins, whether there is room for it or not: what it needs is taken off.
    pub fn begin(
        &self,
        key: &str,
        model: &str,
        need: impl FnOnce() -> Need,
        now: Instant,
    ) -> Begun {
        let unknown = Begun {
            at: now,
            before: [0; UNITS],
        };
        if self.known.load(Ordering::Relaxed) == 0 {
            return unknown;
        }
        let mut keys = self.keys.lock();
        let mut entries = keys.get_mut(key).into_iter().flatten();
        let entry = entries.find(|entry| *entry.model == *model);
        entry.map_or(unknown, |entry| entry.begin(need(), now))
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
        if limits.is_empty() {
            return;
        }
        self.change(&key.into(), &model.into(), at, |entry| {
            let is_news = entry.levels.iter().all(Option::is_none) || at > entry.at + RECENT;
            let begun = Begun {
                at,
                before: entry.begun,
            };
            is_news && entry.learn(&begun, limits, now)
        });
    }

    /// Changes the entry of a key and model; one that is new is of a request that began at `at`.
    fn change(
        &self,
        key: &Arc<str>,
        model: &Arc<str>,
        at: Instant,
        change: impl FnOnce(&mut Entry) -> bool,
    ) -> bool {
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

    /// A request for the model turned out to have a prompt of `prompt` tokens, of which `cached` were kept from before.
    pub fn count(&self, key: &str, model: &str, bytes: u64, (prompt, cached): (u64, u64)) {
        if self.known.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut keys = self.keys.lock();
        let mut entries = keys.get_mut(key).into_iter().flatten();
        if let Some(entry) = entries.find(|entry| *entry.model == *model) {
            // Who limits prompts by themselves does not count what it had kept.
            let separate = entry.levels[Unit::Input as usize].is_some();
            let counted = prompt.saturating_sub(if separate { cached } else { 0 });
            let per_kib = counted.saturating_mul(1024) / bytes.max(1);
            entry.per_kib = (entry.per_kib * 7 + per_kib.min(1024)) / 8;
        }
    }

    /// Returns what is left of each limit, the fullest keys last.
    pub fn list(&self, now: Instant) -> Vec<Left> {
        let keys = self.keys.lock();
        let entries = keys
            .iter()
            .flat_map(|(key, entries)| entries.iter().map(move |entry| (key, entry)));
        let mut all = Vec::new();
        for (key, entry) in entries {
            for unit in Unit::ALL {
                let Some(level) = entry.levels[unit as usize] else {
                    continue;
                };
                let Some((most, left, full)) = level.shown(now) else {
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

impl Entry {
    fn new(model: Arc<str>, at: Instant) -> Entry {
        Entry {
            model,
            levels: [None; UNITS],
            begun: [0; UNITS],
            recent: VecDeque::new(),
            at,
            told: None,
            per_kib: UNLEARNED,
        }
    }

    /// What a request needs, by unit.
    fn needs(&self, need: Need) -> [u64; UNITS] {
        let prompt = need.bytes.saturating_mul(self.per_kib) / 1024;
        [
            need.requests,
            prompt.saturating_add(need.answer),
            prompt,
            need.answer,
        ]
    }

    fn until(&self, own: Need, ahead: Need) -> Option<Instant> {
        let needs = self.needs(own).into_iter().zip(self.needs(ahead));
        let levels = self.levels.iter().zip(needs);
        levels
            .filter_map(|(level, (own, ahead))| level.as_ref()?.until(own, ahead))
            .max()
    }

    fn begin(&mut self, need: Need, now: Instant) -> Begun {
        let needs = self.needs(need);
        for ((level, sum), need) in self.levels.iter_mut().zip(&mut self.begun).zip(needs) {
            *sum = sum.saturating_add(need);
            if let Some(level) = level {
                level.take(need, now);
            }
        }
        let begun = Begun {
            at: now,
            before: self.begun,
        };
        if self.recent.len() >= RECENT_MOST {
            self.recent.pop_front();
        }
        self.recent.push_back((begun, needs));
        begun
    }

    /// What those need, of a unit, that began just before a request and are not answered.
    fn overtaken(&self, by: &Begun, unit: usize) -> u64 {
        let before = |(other, needs): &(Begun, [u64; UNITS])| {
            let just = other.at <= by.at && by.at.saturating_duration_since(other.at) <= OVERTAKE;
            (just && other.before[0] < by.before[0]).then_some(needs[unit])
        };
        self.recent.iter().filter_map(before).sum()
    }

    /// Says whether what an answer says is the latest.
    fn learn(&mut self, begun: &Begun, limits: &Limits, now: Instant) -> bool {
        self.recent.retain(|(other, _)| other != begun);
        if begun.at < self.at {
            return false;
        }
        self.at = begun.at;
        let at = now.min(begun.at + ARRIVES);
        for (unit, limit) in limits.0.iter().enumerate() {
            let Some(limit) = limit else { continue };
            let mut level = Level::said(limit, self.levels[unit], at, now);
            let since = self.begun[unit].saturating_sub(begun.before[unit]);
            level.take(since.saturating_add(self.overtaken(begun, unit)), now);
            self.levels[unit] = Some(level);
        }
        true
    }

    fn tells(&mut self, now: Instant) -> bool {
        let is_time = self
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= TELL);
        if is_time {
            self.told = Some(now);
        }
        is_time
    }
}

#[cfg(test)]
mod tests;
