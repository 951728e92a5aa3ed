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
/// Requests that are told apart until they are answered, and for how long.
const UNANSWERED: usize = 256;
const ANSWERED: Duration = Duration::from_secs(60);
/// How often others are told of a key and model.
const TELL: Duration = Duration::from_millis(250);
/// What others say is news if nothing is known that is nearly as recent.
const RECENT: Duration = Duration::from_millis(500);
/// Tokens of a KiB of a request before any was counted.
pub(super) const UNLEARNED: u64 = 256;

/// So much of each unit.
pub(super) type Units = [u64; UNITS];

/// One key for one model.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) model: Arc<str>,
    levels: [Option<Level>; UNITS],
    /// What the requests that have begun were expected to use, all together.
    begun: Units,
    /// Those that are not answered, in the order of their beginning, and what each needs.
    unanswered: VecDeque<(Begun, Units)>,
    /// How many of them, the first ones, are taken for counted; the others are under way.
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

    /// Until when there is no room for a request, behind others.
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

    /// Those that must have arrived by now are counted, and those forgotten that are hardly answered any more.
    fn arrive(&mut self, now: Instant) {
        while let Some((begun, _)) = self.unanswered.get(self.counted) {
            let arrived = begun.at + ARRIVES;
            if arrived > now {
                break;
            }
            self.count(arrived);
        }
        while let Some((begun, _)) = self.unanswered.front() {
            if self.unanswered.len() <= UNANSWERED && begun.at + ANSWERED > now {
                break;
            }
            if self.counted == 0 {
                self.count(now);
            }
            self.unanswered.pop_front();
            self.counted -= 1;
        }
    }

    /// The first of those under way was counted at that time, at the latest.
    fn count(&mut self, at: Instant) {
        if let Some((_, needs)) = self.unanswered.get(self.counted) {
            let needs = *needs;
            self.counted += 1;
            self.take(&needs, at);
        }
    }

    /// What was under way was counted at that time.
    fn take(&mut self, needs: &Units, at: Instant) {
        take(&mut self.needed, needs);
        for (level, need) in self.levels.iter_mut().zip(needs) {
            if let Some(level) = level {
                level.take(*need, at);
            }
        }
    }

    /// The request is answered.
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

    /// What may not be in what an answer says, and is not under way.
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

    /// Says whether what an answer says is the latest.
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

    /// Another replica says this of a request that began at that time.
    pub(super) fn hear(&mut self, at: Instant, limits: &Limits, now: Instant) {
        let is_news = self.levels.iter().all(Option::is_none) || at > self.at + RECENT;
        if is_news {
            let before = self.begun;
            self.learn(&Begun { at, before }, limits, now);
        }
    }

    /// Whether it is time to tell others.
    pub(super) fn tells(&mut self, now: Instant) -> bool {
        let since = self.told.map(|told| now.saturating_duration_since(told));
        let is_time = since.is_none_or(|since| since >= TELL);
        if is_time {
            self.told = Some(now);
        }
        is_time
    }

    /// A request turned out to have a prompt of `prompt` tokens, of which `cached` were kept from before.
    pub(super) fn measure(&mut self, bytes: u64, (prompt, cached): (u64, u64)) {
        // Who limits prompts by themselves does not count what it had kept.
        let separate = self.levels[Unit::Input as usize].is_some();
        let counted = prompt.saturating_sub(if separate { cached } else { 0 });
        let per_kib = counted.saturating_mul(1024) / bytes.max(1);
        self.per_kib = (self.per_kib * 7 + per_kib.min(1024)) / 8;
    }

    /// As much as there can be of a unit, what is left, and when all of it is back, if that is known.
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
