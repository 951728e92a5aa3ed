//! What was settled since the last message, and how it is reported.

use std::borrow::Borrow;

use super::window;
use crate::bank::{Day, Rollup, content};
use crate::events::{Event, Flag, UsageEvent};
use crate::{NanoUsd, OTHER};

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
        let is_final = attempt.is(Flag::Final);
        if !is_final && attempt.cost == NanoUsd::ZERO {
            return;
        }
        let total = self.total(window::day(event.at_ms), event);
        total.requests += u64::from(is_final);
        total.failed += u64::from(is_final && attempt.is(Flag::Error));
        total.orphaned += u64::from(attempt.is(Flag::Orphaned));
        let add = |sum: &mut u64, tokens: u64| *sum += tokens.min(MOST_TOKENS);
        add(&mut total.input, attempt.usage.input());
        add(&mut total.cached_read, attempt.usage.cached_read());
        add(&mut total.cache_write, attempt.usage.cache_write());
        add(&mut total.output, attempt.usage.output());
        add(&mut total.reasoning, attempt.usage.reasoning());
        total.cost = NanoUsd::saturating_sum([total.cost, attempt.cost]);
    }

    /// The totals and their sum.
    pub(super) fn finish(self) -> (Vec<Rollup>, NanoUsd) {
        let spent = NanoUsd::saturating_sum(self.rollups.iter().map(|rollup| rollup.cost));
        (self.rollups, spent)
    }

    fn total(&mut self, day: Day, event: &UsageEvent<'_>) -> &mut Rollup {
        let (key, attempt) = (event.request.access_key, &event.attempt);
        let provider = attempt.provider.id;
        // Rows stay for ever: they name what the catalog names.
        let model = match attempt.is(Flag::Unlisted) {
            true => OTHER,
            false => attempt.model.id,
        };
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
                let none = Rollup {
                    day,
                    access_key: key.into(),
                    provider: provider.into(),
                    model: model.into(),
                    requests: 0,
                    failed: 0,
                    orphaned: 0,
                    input: 0,
                    cached_read: 0,
                    cache_write: 0,
                    output: 0,
                    reasoning: 0,
                    cost: NanoUsd::ZERO,
                };
                self.rollups.insert(place, none);
                place
            });
        }
        &mut self.rollups[self.last]
    }
}

/// More tokens than any answer has: what is beyond is no report, and no sum of as many requests overflows.
pub(super) const MOST_TOKENS: u64 = 1_000_000_000_000;
