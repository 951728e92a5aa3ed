//! An account's limits at this till: a purse each, for the window of now.
//!
//! Invariant: every limit that a request was held to has a purse, from its first look at it on.

use std::time::{Duration, SystemTime};

use super::super::Ask;
use super::super::purse::Purse;
use super::super::refusal::{Refusal, Short};
use super::super::window::window;
use super::State;
use crate::NanoUsd;
use crate::bank::Limit;
use crate::bank::Measure;

/// What a till has of one limit.
#[derive(Default)]
pub(super) struct MeterPurse {
    /// Units of it.
    pub purse: Purse,
    /// The start of its window (Unix time, s); 0 if it has none.
    pub window: u64,
    /// The limit that was in force last.
    pub most: i64,
    /// By all replicas in the window, as the bank said last.
    pub used: i64,
}

impl State {
    /// Looks at every limit of a request, so that what is short of any of them is borrowed at once; the windows of
    /// all, in their order. If `enforced`, one that is short is refused: the first, unless another one is final.
    pub(super) fn check_limits(
        &mut self,
        ask: &Ask<'_>,
        held: NanoUsd,
        tokens: i64,
        wall: SystemTime,
        enforced: bool,
    ) -> Result<Vec<u64>, Short> {
        let mut windows = Vec::new();
        if ask.limits.is_empty() {
            return Ok(windows);
        }
        let mut short: Option<Short> = None;
        let seconds = tollgate_base::clock::unix_ms(wall) / 1000;
        windows.reserve(ask.limits.len());
        for limit in ask.limits.iter() {
            let need = units(limit.meter.measure, held, tokens);
            let (start, end) = window(limit.meter.measure, seconds);
            let meter = self.meter(limit, start);
            windows.push(meter.window);
            if enforced && meter.purse.unspent < need {
                let this = meter.short(limit, need, end.saturating_sub(seconds));
                short = match short {
                    Some(first) if first.is_final() || !this.is_final() => Some(first),
                    _ => Some(this),
                };
            }
        }
        short.map_or(Ok(windows), Err)
    }

    /// The purse of a limit, in the window of now.
    pub(super) fn meter(&mut self, limit: &Limit, start: u64) -> &mut MeterPurse {
        if !self.meters.contains_key(&limit.meter) {
            self.meters
                .insert(limit.meter.clone(), MeterPurse::default());
        }
        let meter = self.meters.entry(limit.meter.clone()).or_default();
        meter.most = limit.most;
        if start > meter.window {
            meter.begin(start);
        }
        meter
    }
}

impl MeterPurse {
    /// A new window: nothing used, nothing lent; who waits goes on waiting.
    pub(super) fn begin(&mut self, window: u64) {
        self.window = window;
        self.used = 0;
        self.purse.begin();
    }

    /// `end`: seconds to the end of the window.
    fn short(&self, limit: &Limit, need: i64, end: u64) -> Short {
        let left = match limit.meter.measure {
            Measure::ConcurrentRequests => self.purse.unspent.max(0),
            _ => (limit.most - self.used - self.purse.used).max(0),
        };
        let reset = (limit.meter.measure.has_window()).then(|| Duration::from_secs(end.max(1)));
        let retry_after = if need > limit.most {
            None // it asks for more than the whole window
        } else if left >= need {
            Some(Duration::from_secs(1)) // lent, or held by requests in flight
        } else if limit.meter.measure == Measure::BudgetTotal {
            None
        } else {
            reset.or(Some(Duration::from_secs(1)))
        };
        Short(Refusal::Limit {
            limit: limit.clone(),
            left,
            need,
            retry_after,
            reset,
        })
    }
}

/// What a request needs of a limit.
pub(super) fn units(measure: Measure, estimate: NanoUsd, tokens: i64) -> i64 {
    match measure {
        Measure::RequestsPerMinute | Measure::ConcurrentRequests => 1,
        Measure::TokensPerMinute => tokens,
        _ => estimate.0,
    }
}

/// What a request that was settled has used of a limit.
pub(super) fn used(measure: Measure, cost: NanoUsd, tokens: i64) -> i64 {
    match measure {
        Measure::ConcurrentRequests => 0,
        Measure::RequestsPerMinute => 1,
        Measure::TokensPerMinute => tokens,
        _ => cost.0,
    }
}
