//! An account's limits at this till: a purse each, for the window of now.
//!
//! Invariant: every limit that a request was held to has a purse, from its first look at it on.

use std::time::{Duration, SystemTime};

use crate::bank::account::AHEAD;

use super::super::Ask;
use super::super::batch::MOST_TOKENS;
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
    /// Since when (Unix time, s) the bank insists on a window that is yet to come; see [`INSISTED`].
    pub insisted: u64,
}

/// The bank has just done so.
pub(super) const INSISTED: u64 = u64::MAX;

/// How long it is followed until it is asked again (s): its clock may be the one that is ahead.
const FOLLOWED: u64 = 60;

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
            let meter = self.meter(limit, start, seconds);
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

    /// The purse of a limit, in the window that starts at `start` and is that of `now` (Unix time, s).
    pub(super) fn meter(&mut self, limit: &Limit, start: u64, now: u64) -> &mut MeterPurse {
        let meter = self.meters.entry(limit.meter.clone()).or_default();
        meter.most = limit.most;
        if start > meter.window || meter.is_ahead(now) {
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

    /// Whether a clock was ahead when its window began, here or at another replica, and the bank does not insist.
    fn is_ahead(&mut self, now: u64) -> bool {
        if self.window <= now + AHEAD.as_secs() {
            return false;
        }
        if self.insisted == INSISTED {
            self.insisted = now;
        }
        now.abs_diff(self.insisted) >= FOLLOWED
    }

    /// What the bank says of the window that it was told of.
    pub(super) fn hear(&mut self, window: u64) {
        if window > self.window {
            self.begin(window);
            self.insisted = INSISTED;
        } else if window < self.window {
            self.insisted = 0;
        }
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

/// Tokens as limits count them.
pub(super) fn countable(tokens: u64) -> i64 {
    // It fits.
    tokens.min(MOST_TOKENS).cast_signed()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::Meter;

    /// The clock had been 400 days ahead for a while: minutes stood still, and a day's budget was one of 400 days.
    #[test]
    fn a_window_that_is_yet_to_come_is_left_when_the_clock_is_right() {
        const NOW: u64 = 1_790_000_000;
        const YEAR: u64 = 366 * 24 * 60 * 60;
        for measure in Measure::ALL.into_iter().filter(|one| one.has_window()) {
            let limit = Limit {
                meter: Meter {
                    subject: "key:app".into(),
                    measure,
                },
                most: 10,
            };
            let mut state = State::default();
            let mut at = |now: u64| {
                let (start, _) = window(measure, now);
                let meter = state.meter(&limit, start, now);
                meter.purse.take(1);
                (meter.window, meter.purse.held)
            };
            let (start, _) = window(measure, NOW);
            at(NOW + YEAR);
            assert_eq!(at(NOW), (start, 1), "{measure:?}");
            // Where the bank insists, it is followed for a while.
            let meter = state.meters.get_mut(&limit.meter).unwrap();
            meter.hear(start + YEAR);
            let mut at = |now: u64| {
                let meter = state.meter(&limit, start, now);
                (meter.window, meter.purse.held)
            };
            assert_eq!(at(NOW), (start + YEAR, 0));
            assert_eq!(at(NOW + FOLLOWED - 1), (start + YEAR, 0));
            assert_eq!(at(NOW + FOLLOWED), (start, 0));
            let (next, _) = window(measure, NOW + YEAR);
            let mut at = |now: u64| {
                let (start, _) = window(measure, now);
                let meter = state.meter(&limit, start, now);
                meter.purse.take(1);
                (meter.window, meter.purse.held)
            };
            assert_eq!(at(next).0, next);
            assert_eq!(at(next - 1), (next, 2), "a second back is none");
        }
    }

    #[test]
    fn tokens_are_countable_whatever_is_reported() {
        assert_eq!(countable(7), 7);
        assert_eq!(countable(u64::MAX).cast_unsigned(), MOST_TOKENS);
    }
}
