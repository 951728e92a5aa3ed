//! What was settled since the last message, and how it is told.

use std::sync::Arc;

use super::charge::Charge;
use super::recovered::{Recovered, recovered};
use super::window;
use crate::NanoUsd;
use crate::bank::{Day, Holder, Rollup};
use crate::events::{EventId, UsageEvent};
use tollgate_wire::Surface;

/// A charge, and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// The hold's id.
    pub id: u64,
    /// When (Unix time, ms).
    pub at_ms: u64,
    /// Who called.
    pub access_key: Arc<str>,
    /// The request's id.
    pub request_id: Arc<str>,
    /// The API that was called.
    pub surface: Surface,
    /// What for.
    pub charge: Charge,
}

/// The event of a charge whose own one is not there, as far as the charge tells.
pub(super) fn made_up(account: &Arc<str>, holder: Holder, settled: &Settled) -> UsageEvent {
    let origin = holder.replica.rotate_left(32) ^ holder.epoch;
    recovered(&Recovered {
        id: EventId::made_up(origin, settled.id),
        at_ms: settled.at_ms,
        account,
        access_key: &settled.access_key,
        request_id: &settled.request_id,
        surface: settled.surface,
        charge: &settled.charge,
    })
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

    /// Adds a charge that was settled at `at_ms` (Unix time).
    pub(super) fn add(&mut self, at_ms: u64, access_key: &Arc<str>, charge: &Charge) {
        let total = self.total(window::day(at_ms), access_key, charge);
        total.requests += u64::from(charge.last);
        total.failed += u64::from(charge.last && charge.failed);
        total.orphaned += u64::from(charge.orphaned);
        let add = |sum: &mut u64, tokens: u64| *sum = sum.saturating_add(tokens.min(MOST_TOKENS));
        add(&mut total.input, charge.usage.input());
        add(&mut total.cached_read, charge.usage.cached_read());
        add(&mut total.cache_write, charge.usage.cache_write());
        add(&mut total.output, charge.usage.output());
        add(&mut total.reasoning, charge.usage.reasoning());
        total.cost += charge.cost;
    }

    /// The totals and their sum.
    pub(super) fn finish(self) -> (Vec<Rollup>, NanoUsd) {
        let spent = self.rollups.iter().map(|rollup| rollup.cost).sum();
        (self.rollups, spent)
    }

    fn total(&mut self, day: Day, access_key: &Arc<str>, charge: &Charge) -> &mut Rollup {
        let compare = |total: &Rollup| {
            total
                .day
                .cmp(&day)
                .then_with(|| total.access_key.cmp(access_key))
                .then_with(|| total.provider.cmp(&charge.provider))
                .then_with(|| total.model.cmp(&charge.model))
        };
        let again = self.rollups.get(self.last);
        if !again.is_some_and(|total| compare(total).is_eq()) {
            let found = self.rollups.binary_search_by(compare);
            self.last = found.unwrap_or_else(|place| {
                let none = Rollup {
                    day,
                    access_key: access_key.clone(),
                    provider: charge.provider.clone(),
                    model: charge.model.clone(),
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

/// More tokens than any answer has: a provider that reports more shall not overflow the totals.
const MOST_TOKENS: u64 = 1_000_000_000_000;
