//! What was settled since the last message, and how it is told.

use super::window;
use crate::bank::{Day, Rollup, content};
use crate::events::UsageEvent;
use crate::{NanoUsd, OTHER};

/// What tells a charge from others: as it is journalled, with when it was settled (Unix time, ms).
pub(super) fn content_of(event: &UsageEvent, at_ms: u64) -> u64 {
    let (origin, sequence) = event.id.parts();
    let cost = event.total_cost.cast_unsigned();
    content(&[origin, sequence, cost, at_ms], &event.request_id)
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

    /// Adds a request's last attempt, or a charge, to the day on which it was settled. Attempts before it are told in
    /// events alone: the house pays them, and they die with the process.
    pub(super) fn add(&mut self, event: &UsageEvent) {
        if !event.is_final_attempt && event.total_cost == 0 {
            return;
        }
        let total = self.total(window::day(event.at_ms()), event);
        total.requests += u64::from(event.is_final_attempt);
        total.failed += u64::from(event.is_final_attempt && event.is_error);
        total.orphaned += u64::from(event.orphaned);
        let add = |sum: &mut u64, tokens: u64| *sum += tokens.min(MOST_TOKENS);
        add(&mut total.input, event.tokens.input());
        add(&mut total.cached_read, event.tokens.cached_read());
        add(&mut total.cache_write, event.tokens.cache_write());
        add(&mut total.output, event.tokens.output());
        add(&mut total.reasoning, event.tokens.reasoning());
        total.cost = NanoUsd::saturating_sum([total.cost, NanoUsd(event.total_cost)]);
    }

    /// The totals and their sum.
    pub(super) fn finish(self) -> (Vec<Rollup>, NanoUsd) {
        let spent = NanoUsd::saturating_sum(self.rollups.iter().map(|rollup| rollup.cost));
        (self.rollups, spent)
    }

    fn total(&mut self, day: Day, event: &UsageEvent) -> &mut Rollup {
        // Rows stay for ever: they name what the catalog names.
        let model = if event.unlisted { OTHER } else { &event.model };
        let compare = |total: &Rollup| {
            total
                .day
                .cmp(&day)
                .then_with(|| total.access_key.cmp(&event.access_key_id))
                .then_with(|| total.provider.cmp(&event.provider))
                .then_with(|| (*total.model).cmp(model))
        };
        let again = self.rollups.get(self.last);
        if !again.is_some_and(|total| compare(total).is_eq()) {
            let found = self.rollups.binary_search_by(compare);
            self.last = found.unwrap_or_else(|place| {
                let none = Rollup {
                    day,
                    access_key: event.access_key_id.clone(),
                    provider: event.provider.clone(),
                    model: match event.unlisted {
                        true => OTHER.into(),
                        false => event.model.clone(),
                    },
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
