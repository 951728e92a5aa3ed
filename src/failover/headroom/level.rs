//! How full one bucket is.

use std::time::{Duration, Instant};

use crate::limits::{Limit, Refill};

/// In what time a bucket fills whose header does not say: limits are counted by the minute.
const MINUTE: Duration = Duration::from_secs(60);
/// How soon it is looked again whether what is under way has come.
const AGAIN: Duration = Duration::from_millis(5);

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// It fills evenly: one comes back each so many nanoseconds, until it is `full`.
    Steady { most: u64, each: u64, full: Instant },
    /// So much is left until it is filled at once. What it has then is known from the next answer.
    Window {
        most: Option<u64>,
        left: u64,
        until: Instant,
    },
}

impl Level {
    /// Returns what the headers of an answer say of a bucket that was `before`; its request began at `at`.
    pub(super) fn of_headers(
        limit: &Limit,
        before: Option<Level>,
        at: Instant,
        now: Instant,
    ) -> Level {
        let (most, Refill::Steadily) = (limit.most, limit.refill) else {
            return Level::window(limit, now);
        };
        let Some(most) = most.map(|most| most.max(limit.left)) else {
            return Level::window(limit, now);
        };
        let used = most - limit.left;
        let each = match (limit.reset, before) {
            // What is left is rounded down, and a reset to the second: a bucket that is nearly full says little of how
            // fast it fills.
            (Some(reset), _) if !reset.is_zero() && used >= most / 4 && used > 1 => {
                nanos(reset).div_ceil(used - 1)
            }
            (
                _,
                Some(Level::Steady {
                    most: known, each, ..
                }),
            ) if known == most => each,
            _ => nanos(MINUTE).div_ceil(most),
        };
        Level::Steady {
            most,
            each,
            full: later(at, each, used),
        }
    }

    fn window(limit: &Limit, now: Instant) -> Level {
        Level::Window {
            most: limit.most,
            left: limit.left,
            until: now + limit.reset.unwrap_or(MINUTE),
        }
    }

    /// Returns when there is room for `own`, behind what is `ahead`; for a full bucket, if more than that is asked for. What is
    /// `under_way` may be taken at any time from now on, and until it is, a full bucket gains nothing by waiting. `None`: there is
    /// room now.
    pub(super) fn until(
        &self,
        own: u64,
        ahead: u64,
        under_way: u64,
        now: Instant,
    ) -> Option<Instant> {
        let others = ahead.saturating_add(under_way);
        match *self {
            Level::Steady { most, each, full } => {
                let need = own.min(most).saturating_add(others);
                let spare = Duration::from_nanos(each.saturating_mul(most.saturating_sub(need)));
                // A full bucket from which nothing is taken yet is no fuller later: the time counts from now.
                let moves = under_way > 0 && full < now;
                let from = if moves { now } else { full };
                let until = later(from, each, need.saturating_sub(most)).checked_sub(spare)?;
                let again = if moves && until > now {
                    now + AGAIN
                } else {
                    until
                };
                Some(until.max(again))
            }
            Level::Window { left, until, .. } => {
                (left < own.saturating_add(others)).then_some(until)
            }
        }
    }

    /// Takes so much at that time.
    pub(super) fn take(&mut self, need: u64, at: Instant) {
        match self {
            // What is not there cannot be taken.
            Level::Steady { most, each, full } => {
                let empty = later(at, *each, *most);
                *full = later((*full).max(at), *each, need).min(empty.max(*full));
            }
            Level::Window { left, .. } => *left = left.saturating_sub(need),
        }
    }

    /// Returns how much there can be, what is left, and when all of it is back; `None` if that is not known any more.
    pub(super) fn shown(
        &self,
        under_way: u64,
        now: Instant,
    ) -> Option<(Option<u64>, u64, Instant)> {
        match *self {
            Level::Steady { most, each, full } => {
                let used = nanos(full.saturating_duration_since(now)).div_ceil(each);
                let left = most.saturating_sub(used).saturating_sub(under_way);
                Some((Some(most), left, later(full.max(now), each, under_way)))
            }
            Level::Window { most, left, until } => {
                (until > now).then_some((most, left.saturating_sub(under_way), until))
            }
        }
    }
}

/// Adds `times` times `each` nanoseconds.
fn later(at: Instant, each: u64, times: u64) -> Instant {
    let wait = Duration::from_nanos(each.saturating_mul(times));
    at.checked_add(wait).unwrap_or(at)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
