//! What is left of one key's limits for one model.
//!
//! A request that has begun is *under way* until it is answered, or for [`ARRIVES`]: its provider may have counted it already, or
//! may do so at any time until then. A bucket that is full does not fill meanwhile, and who connects anew is overtaken by who
//! does not; so what is under way, or was as an answer's request began, is taken off what the answer says, though it may be in it.
//!
//! Invariant: as long as requests are counted within `ARRIVES`, and answered in the order in which they were counted, there is
//! no less than what is said to be left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::level::Level;
use super::{Begun, Need};
use crate::limits::{Limits, UNITS, Unit};

/// A request is counted no later than this after it began.
pub(super) const ARRIVES: Duration = Duration::from_secs(1);
/// Most requests without an answer that are remembered one by one.
const MOST_UNANSWERED: usize = 256;
/// How long each of them is.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// The least time between two messages to the other replicas about a key and model.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// What another replica says counts if it is newer by this than what is known here.
const NEWER_BY: Duration = Duration::from_millis(500);
/// Tokens that are expected of a KiB of a request until the first one was counted.
pub(super) const UNLEARNED: u64 = 256;

/// An amount of each unit, in the order of [`Unit`].
pub(super) type Units = [u64; UNITS];

/// One key for one model.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) model: Arc<str>,
    levels: [Option<Level>; UNITS],
    /// What all requests that ever began were expected to use, in sum: differences tell what began between two of them.
    begun: Units,
    /// Those that are not answered, in the order of their beginning, and what each needs.
    unanswered: VecDeque<(Begun, Units)>,
    /// How many of the first of them the provider is taken to have counted; the others are under way.
    counted: usize,
    /// What those under way need, all together.
    needed: Units,
    /// When the request began whose answer is believed.
    pub(super) at: Instant,
    /// When others were told.
    told: Option<Instant>,
    /// Tokens that a KiB of a request counts for.
    per_kib: u64,
}

impl Entry {
    pub(super) fn new(model: Arc<str>, at: Instant) -> Entry {
        Entry {
            model,
            levels: [None; UNITS],
            begun: [0; UNITS],
            unanswered: VecDeque::new(),
            counted: 0,
            needed: [0; UNITS],
            at,
            told: None,
            per_kib: UNLEARNED,
        }
    }

    /// What a request needs, by unit.
    fn needs(&self, need: Need) -> Units {
        let prompt = need.bytes.saturating_mul(self.per_kib) / 1024;
        [
            need.requests,
            prompt.saturating_add(need.answer),
            prompt,
            need.answer,
        ]
    }

    /// Returns until when the limits leave no room for a request and for those `ahead` of it in the queue; `None` if they do.
    pub(super) fn until(&mut self, (own, ahead): (Need, Need), now: Instant) -> Option<Instant> {
        self.arrive(now);
        let (own, ahead) = (self.needs(own), self.needs(ahead));
        let until =
            |unit: usize| self.levels[unit]?.until(own[unit], ahead[unit], self.needed[unit], now);
        (0..UNITS)
            .filter_map(until)
            .max()
            .filter(|until| *until > now)
    }

    /// Counts a request as under way; what is returned belongs to its answer.
    pub(super) fn begin(&mut self, need: Need, now: Instant) -> Begun {
        self.arrive(now);
        let needs = self.needs(need);
        add(&mut self.begun, &needs);
        add(&mut self.needed, &needs);
        let begun = Begun {
            at: now,
            before: self.begun,
        };
        self.unanswered.push_back((begun, needs));
        begun
    }

    /// Counts the requests that must have reached the provider by now, and forgets those that are hardly answered any more.
    fn arrive(&mut self, now: Instant) {
        while let Some((begun, _)) = self.unanswered.get(self.counted) {
            let arrived = begun.at + ARRIVES;
            if arrived > now {
                break;
            }
            self.count(arrived);
        }
        while let Some((begun, _)) = self.unanswered.front() {
            if self.unanswered.len() <= MOST_UNANSWERED && begun.at + ANSWERED_WITHIN > now {
                break;
            }
            if self.counted == 0 {
                self.count(now);
            }
            self.unanswered.pop_front();
            self.counted -= 1;
        }
    }

    /// Takes the first request under way for one that was counted at that time, at the latest.
    fn count(&mut self, at: Instant) {
        if let Some((_, needs)) = self.unanswered.get(self.counted) {
            let needs = *needs;
            self.counted += 1;
            self.take(&needs, at);
        }
    }

    /// Moves needs from what is under way to what the levels have lost by that time.
    fn take(&mut self, needs: &Units, at: Instant) {
        take(&mut self.needed, needs);
        for (level, need) in self.levels.iter_mut().zip(needs) {
            if let Some(level) = level {
                level.take(*need, at);
            }
        }
    }

    /// Takes a request for counted since it is answered, and forgets it.
    fn answered(&mut self, begun: &Begun, at: Instant) {
        let mut unanswered = self.unanswered.iter();
        let Some(place) = unanswered.position(|(other, _)| other == begun) else {
            return;
        };
        let removed = self.unanswered.remove(place);
        if place < self.counted {
            self.counted -= 1;
        } else if let Some((_, needs)) = removed {
            self.take(&needs, at);
        }
    }

    /// Returns what the answer's figures may not contain yet, less what is under way (which is taken off when asked).
    fn beside(&self, begun: &Begun) -> Units {
        // All that began later, less those under way.
        let mut beside = self.begun;
        take(&mut beside, &begun.before);
        for (place, (other, needs)) in self.unanswered.iter().enumerate() {
            let (later, counted) = (other.before[0] > begun.before[0], place < self.counted);
            if later && !counted {
                take(&mut beside, needs);
            } else if !later && counted && other.at + ARRIVES > begun.at {
                // It may have been overtaken.
                add(&mut beside, needs);
            }
        }
        beside
    }

    /// Takes the limits of an answer's headers. Returns whether they are the latest that are known.
    pub(super) fn learn(&mut self, begun: &Begun, limits: &Limits, now: Instant) -> bool {
        let at = now.min(begun.at + ARRIVES);
        self.answered(begun, at);
        if begun.at < self.at {
            return false;
        }
        self.at = begun.at;
        let beside = self.beside(begun);
        for (unit, limit) in limits.0.iter().enumerate() {
            let Some(limit) = limit else { continue };
            let mut level = Level::of_headers(limit, self.levels[unit], at, now);
            level.take(beside[unit], now);
            self.levels[unit] = Some(level);
        }
        true
    }

    /// Takes the limits that another replica has read, of a request that began at `at`.
    pub(super) fn hear(&mut self, at: Instant, limits: &Limits, now: Instant) {
        let is_news = self.levels.iter().all(Option::is_none) || at > self.at + NEWER_BY;
        if is_news {
            let before = self.begun;
            self.learn(&Begun { at, before }, limits, now);
        }
    }

    /// Returns whether it is time to tell the other replicas; then they are taken for told.
    pub(super) fn tells(&mut self, now: Instant) -> bool {
        let since = self.told.map(|told| now.saturating_duration_since(told));
        let is_time = since.is_none_or(|since| since >= TELL_EVERY);
        if is_time {
            self.told = Some(now);
        }
        is_time
    }

    /// Learns how many tokens a KiB has, from a request of `bytes` with `prompt` tokens, of which `cached` came from a cache.
    pub(super) fn measure(&mut self, bytes: u64, (prompt, cached): (u64, u64)) {
        // Providers with a limit of prompts alone do not count cached tokens into it.
        let separate = self.levels[Unit::Input as usize].is_some();
        let counted = prompt.saturating_sub(if separate { cached } else { 0 });
        let per_kib = counted.saturating_mul(1024) / bytes.max(1);
        self.per_kib = (self.per_kib * 7 + per_kib.min(1024)) / 8;
    }

    /// Returns the limit of a unit, if it is known, what is left of it, and when all of it is back.
    pub(super) fn shown(
        &mut self,
        unit: Unit,
        now: Instant,
    ) -> Option<(Option<u64>, u64, Instant)> {
        self.arrive(now);
        let unit = unit as usize;
        self.levels[unit]?.shown(self.needed[unit], now)
    }
}

fn add(sum: &mut Units, needs: &Units) {
    for (sum, need) in sum.iter_mut().zip(needs) {
        *sum = sum.saturating_add(*need);
    }
}

fn take(sum: &mut Units, needs: &Units) {
    for (sum, need) in sum.iter_mut().zip(needs) {
        *sum = sum.saturating_sub(*need);
    }
}
