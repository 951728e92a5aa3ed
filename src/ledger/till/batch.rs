//! What was settled since the last message, and how it is reported.

use std::borrow::Borrow;

use super::window;
use crate::NanoUsd;
use crate::bank::{Day, Rollup, content};
use crate::events::totals::ByTag;
use crate::events::{Event, Flag, UsageEvent, totals};

/// What distinguishes a charge from others: as it is journalled, with when it was settled (Unix time, ms).
pub(super) fn content_of<S: Borrow<str>, R>(event: &Event<S, R>, at_ms: u64) -> u64 {
    let (origin, sequence) = event.attempt.id.parts();
    let cost = event.attempt.cost.0.cast_unsigned();
    content(&[origin, sequence, cost, at_ms], event.request.id.borrow())
}

/// Daily totals of what was settled, by whom and with what.
#[derive(Default)]
pub(super) struct Totals {
    /// In the order of what they are totals of.
    rollups: Vec<Rollup>,
    /// The one that was added to last: the next charge is likely to be alike.
    last: usize,
    /// Those by tag, of attempts whose tags are listed.
    tags: ByTag,
}

impl Totals {
    /// Whether nothing was settled.
    pub(super) fn is_empty(&self) -> bool {
        self.rollups.is_empty()
    }

    /// Adds a request's last attempt, or a charge, to the day on which it was settled. Attempts before it are reported
    /// in events alone: the house pays them, and they die with the process.
    pub(super) fn add(&mut self, event: &UsageEvent<'_>) {
        let attempt = &event.attempt;
        if !totals::counts(attempt) {
            return;
        }
        let day = window::day(event.at_ms);
        self.total(day, event).add(attempt);
        if attempt.is(Flag::TagsListed) {
            for (name, value) in attempt.tags() {
                self.tags.total(day, name, value).add(attempt);
            }
        }
    }

    /// The totals, those by tag, and what was spent.
    pub(super) fn finish(self) -> (Vec<Rollup>, Vec<Rollup>, NanoUsd) {
        let spent = NanoUsd::saturating_sum(self.rollups.iter().map(|rollup| rollup.cost));
        (self.rollups, self.tags.rows().cloned().collect(), spent)
    }

    fn total(&mut self, day: Day, event: &UsageEvent<'_>) -> &mut Rollup {
        let (key, attempt) = (event.request.access_key, &event.attempt);
        let provider = attempt.provider.id;
        let model = totals::model(attempt);
        let compare = |total: &Rollup| {
            total
                .day
                .cmp(&day)
                .then_with(|| (*total.access_key).cmp(key))
                .then_with(|| (*total.provider).cmp(provider))
                .then_with(|| (*total.model).cmp(model))
        };
        let again = self.rollups.get(self.last);
        if !again.is_some_and(|total| compare(total).is_eq()) {
            let found = self.rollups.binary_search_by(compare);
            self.last = found.unwrap_or_else(|place| {
                let none = Rollup::none(day, key, provider, model);
                self.rollups.insert(place, none);
                place
            });
        }
        &mut self.rollups[self.last]
    }
}
