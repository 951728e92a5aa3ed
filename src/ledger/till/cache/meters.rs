//! An account's limits at this till: a bucket each, for the window of now.
//!
//! Invariants: every limit that a request was held to has a bucket, from its first look at it on; no request needs more
//! of a limit than there is of it, so that an empty window has room for any; windows are the bank's, see [`BankClock`].
//!
//! [`BankClock`]: super::super::bank_clock::BankClock

use std::time::{Duration, Instant, SystemTime};

use super::super::Ask;
use super::super::refusal::{Refusal, Short};
use super::super::window::window;
use super::buckets::{MeterBucket, Place};
use super::{AccountState, Taken};
use crate::NanoUsd;
use crate::bank::{Limit, Measure, TAG};
use crate::events::totals::MOST_TOKENS;

/// Most limits of an account that are in use at once, where a tag's value would be one more.
const MOST: usize = 4_096;

/// How many limits are kept of which nothing is lent, used or needed.
pub(super) const KEPT: usize = 1_024;

impl AccountState {
    /// Says of every limit of a request, in their order, where its bucket is, in the window of now.
    pub(super) fn find_limits(
        &mut self,
        ask: &Ask<'_>,
        now: Instant,
        wall: SystemTime,
    ) -> Result<Vec<Place>, Short> {
        if ask.limits.is_empty() {
            return Ok(Vec::new());
        }
        let of_tag = |limit: &&Limit| limit.meter.subject.starts_with(TAG);
        let mut new = ask.limits.iter().filter(of_tag);
        if self.meters.len() >= MOST && new.any(|limit| !self.meters.contains(&limit.meter)) {
            return Err(Short(Refusal::TooManyLimits));
        }
        let seconds = self.seconds(now, wall);
        let place = |limit| {
            let (at, _) = self.find(limit, seconds);
            self.meters.place(at)
        };
        Ok(ask.limits.iter().map(place).collect())
    }

    /// Looks at every limit of a request, where its bucket is, so that what is short of any of them is borrowed at once.
    /// One that is short is refused, for a newcomer or for who has waited: the first, unless another one is final.
    pub(super) fn check_limits(
        &self,
        ask: &Ask<'_>,
        places: &[Place],
        held: NanoUsd,
        is_newcomer: bool,
        (now, wall): (Instant, SystemTime),
    ) -> Result<(), Short> {
        let tokens = countable(ask.tokens);
        let mut short: Option<Short> = None;
        for (limit, place) in ask.limits.iter().zip(places) {
            let need = units(limit, held, tokens);
            let meter = self.meters.at(limit, place);
            if let Some(meter) = meter.filter(|meter| meter.bucket.available(is_newcomer) < need) {
                let this = meter.short(limit, need, self.seconds(now, wall));
                short = match short {
                    Some(first) if first.is_final() || !this.is_final() => Some(first),
                    _ => Some(this),
                };
            }
        }
        short.map_or(Ok(()), Err)
    }

    /// Now, by the bank's clock (Unix time, s). Before its first answer nothing of the bank's is known, and nothing lent.
    fn seconds(&self, now: Instant, wall: SystemTime) -> u64 {
        let ms = self.clock.at(now);
        ms.unwrap_or_else(|| tollgate_base::clock::unix_ms(wall)) / 1000
    }

    /// Where the bucket of a limit is, and it, in the window that a time (Unix time, s, by the bank's clock) is in.
    fn find(&mut self, limit: &Limit, now: u64) -> (usize, &mut MeterBucket) {
        let away = self.away;
        let (at, meter) = self.meters.find(limit);
        meter.most = limit.most;
        if !(meter.window..meter.end).contains(&now) {
            let (start, end) = window(limit.meter.measure, now);
            // One that began later for the bank was named by a program that knows the time zone otherwise.
            if !(start..=now).contains(&meter.window) {
                // Nobody can lend of the new one: what was lent of the last one is used in its stead, and counts in it.
                meter.begin(start, away);
            }
            meter.end = end;
        }
        (at, meter)
    }
}

impl AccountState {
    /// The least that is left of the budgets of a request, as far as this replica knows; `None` if it has none.
    pub(super) fn left_of(&self, taken: &Taken) -> Option<NanoUsd> {
        let limits = taken.limits.iter().zip(&taken.places);
        let budgets = limits.filter(|(limit, _)| limit.meter.measure.is_budget());
        let left = budgets.filter_map(|(limit, place)| {
            let meter = self.meters.at(limit, place)?;
            let told = self.outbox.iter().flat_map(|told| &told.exchange.meters);
            let told = told.filter(|told| told.meter == limit.meter && told.window == meter.window);
            let known = meter.used.saturating_add(meter.bucket.used);
            let used = told.fold(known, |used, told| used.saturating_add(told.used));
            Some(NanoUsd(limit.most.saturating_sub(used)).or_zero())
        });
        left.min()
    }
}

impl MeterBucket {
    /// Another window: nothing used, nothing lent, unless it `keeps` what was; who waits goes on waiting.
    pub(super) fn begin(&mut self, window: u64, keeps: bool) {
        self.window = window;
        self.end = window;
        self.begun += 1;
        self.used = 0;
        self.bucket.begin(self.most, keeps);
    }

    fn short(&self, limit: &Limit, need: i64, now: u64) -> Short {
        let end = self.end.saturating_sub(now);
        let left = match limit.meter.measure {
            Measure::ConcurrentRequests => self.bucket.unspent.max(0),
            _ => (limit.most - self.used - self.bucket.used).max(0),
        };
        let reset = (limit.meter.measure.has_window()).then(|| Duration::from_secs(end.max(1)));
        let retry_after = if left >= need {
            Some(Duration::from_secs(1)) // lent, or held by requests in flight
        } else if limit.meter.measure.is_budget() && reset.is_none() {
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

/// What a request needs of a limit: what it is expected to use, or all there is where that is less.
pub(super) fn units(limit: &Limit, estimate: NanoUsd, tokens: i64) -> i64 {
    let expected = match limit.meter.measure {
        Measure::RequestsPerMinute | Measure::ConcurrentRequests => 1,
        Measure::TokensPerMinute => tokens,
        _ => estimate.0,
    };
    expected.min(limit.most)
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
    use crate::bank::{Meter, Per};

    impl AccountState {
        fn meter(&mut self, limit: &Limit, now: u64) -> &mut MeterBucket {
            self.find(limit, now).1
        }
    }

    /// The clock had been 400 days ahead for a while: minutes stood still, and a day's budget was one of 400 days.
    #[test]
    fn windows_follow_the_clock_in_both_directions_and_keep_apart_what_was_taken_in_each() {
        const NOW: u64 = 1_790_000_000;
        const YEAR: u64 = 366 * 24 * 60 * 60;
        for measure in Measure::ALL.into_iter().filter(|one| one.has_window()) {
            let limit = Limit::new(
                Meter {
                    subject: "key:app".into(),
                    measure,
                },
                10,
            );
            let mut state = AccountState::default();
            let mut begun = Vec::new();
            for time in [NOW, NOW + YEAR, NOW, NOW + YEAR] {
                let (start, _) = window(measure, time);
                let meter = state.meter(&limit, time);
                assert_eq!((meter.window, meter.bucket.held), (start, 0), "{measure:?}");
                meter.bucket.take(1, 0);
                begun.push(meter.begun);
                let same = state.meter(&limit, start);
                assert_eq!(same.bucket.held, 1, "as long as it lasts");
            }
            assert_eq!(begun, [1, 2, 3, 4], "{measure:?}");
        }
    }

    /// Its time zone has other rules there: the bank's window began after this one's start.
    #[test]
    fn a_window_that_the_bank_began_later_is_kept_to_its_end() {
        let limit = Limit::new(
            Meter {
                subject: "key:app".into(),
                measure: Measure::budget(Per::Day),
            },
            10,
        );
        let mut state = AccountState::default();
        let (start, end) = window(limit.meter.measure, 1_790_000_000);
        state
            .meter(&limit, start + 9_000)
            .begin(start + 3_600, false);
        let meter = state.meter(&limit, start + 9_001);
        assert_eq!(
            (meter.window, meter.end, meter.begun),
            (start + 3_600, end, 2)
        );
        meter.bucket.take(1, 0);
        assert_eq!(state.meter(&limit, end - 1).bucket.held, 1);
        let next = state.meter(&limit, end);
        assert_eq!((next.window, next.bucket.held), (end, 0));
    }

    #[test]
    fn values_of_tags_are_counted_up_to_a_bound() {
        let limit = |n: usize| {
            Limit::new(
                Meter {
                    subject: format!("{TAG}web:customer={n}").into(),
                    measure: Measure::budget(Per::Month),
                },
                10,
            )
        };
        let mut state = AccountState::default();
        for n in 0..MOST {
            state.meter(&limit(n), 0).bucket.take(1, 0);
        }
        let mut check = |n: usize| {
            let account: std::sync::Arc<str> = "a".into();
            let limits: std::sync::Arc<[Limit]> = [limit(n)].into();
            let ask = Ask {
                account: &account,
                access_key: &account,
                request_id: &account,
                surface: tollgate_wire::Surface::ChatCompletions,
                provider: &account,
                model: &account,
                estimate: NanoUsd(1),
                worst: NanoUsd(1),
                prompt_tokens: 1,
                tokens: 1,
                limits: &limits,
                named: false,
            };
            let (now, wall) = (tollgate_base::clock::now(), tollgate_base::clock::wall());
            state.find_limits(&ask, now, wall)
        };
        assert!(check(MOST - 1).is_ok(), "one that is in use");
        let refused = check(MOST).unwrap_err().refusal();
        assert_eq!(refused, Refusal::TooManyLimits);
    }

    #[test]
    fn no_request_needs_more_of_a_limit_than_there_is() {
        let limit = |measure| {
            Limit::new(
                Meter {
                    subject: "key:app".into(),
                    measure,
                },
                5,
            )
        };
        for measure in Measure::ALL {
            let huge = units(&limit(measure), NanoUsd(1_000), 1_000);
            assert!((1..=5).contains(&huge), "{measure:?}");
            assert!(units(&limit(measure), NanoUsd(2), 2) <= 2, "{measure:?}");
        }
    }

    #[test]
    fn tokens_are_countable_whatever_is_reported() {
        assert_eq!(countable(7), 7);
        assert_eq!(countable(u64::MAX).cast_unsigned(), MOST_TOKENS);
    }
}
