//! What a till has of one thing: money, or units of a limit. Pure.
//!
//! Invariant: `allotment = held + unspent + used + sent`, where `sent` is what a message that is not yet answered
//! gives back. `unspent` is negative when more was used than was lent.
//!
//! Beyond what requests hold and wait for it keeps a reserve, out of which it serves while the bank is away: what is
//! used in [`RESERVE`], and as much again as was held at once; if it is used at all, a [`LEAST`] of what is left, for a
//! rush that nobody saw coming; but no more than the part of it that leaves enough to others.

use std::time::{Duration, Instant};

use crate::NanoUsd;
use crate::bank::account::SHARE;

/// Units of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// May be promised.
    pub unspent: i64,
    /// Promised to requests in flight.
    pub held: i64,
    /// Settled, and not yet reported to the bank.
    pub used: i64,
    /// What requests wait for, each of them perhaps for as much as one may cost: wider than an account's money.
    pub needed: i128,
    /// How it has been used since `since`, and how in the span before.
    recent: Span,
    before: Span,
    since: Option<Instant>,
    /// What nobody had borrowed, as the bank said last.
    free: i64,
    /// The bank needs for others what is not held.
    pub recalled: bool,
}

/// For how long a bucket that is used evenly serves without the bank.
const RESERVE: Duration = Duration::from_secs(10);

/// It takes as long, at least, to see how fast it is used.
const SEEN: Duration = Duration::from_secs(1);

/// The part of what is left that is kept wherever something is used: a 64th.
const LEAST: i128 = 64;

/// How a bucket is used over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    /// Settled in it.
    used: i64,
    /// The most that was promised at once, and could have been by what it may cost at most.
    held: i64,
}

/// What a message says of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// Settled since the last one.
    pub used: i64,
    /// Not needed any more.
    pub returned: i64,
    /// Missing for requests that wait.
    pub need: i64,
    /// Comfortable to have in addition, at least `need`.
    pub want: i64,
}

impl Bucket {
    /// Promises `amount`, whether or not it is there, to a request that may use `beyond` in addition.
    pub(super) fn take(&mut self, amount: i64, beyond: i64) {
        self.unspent -= amount;
        self.held += amount;
        self.recent.held = self.recent.held.max(self.held.saturating_add(beyond));
    }

    /// What a request may be promised: all that is there, or, by a newcomer, what those who wait do not need. What the
    /// bank lends for them would else be gone before they wake.
    pub(super) fn available(&self, is_newcomer: bool) -> i64 {
        match is_newcomer && self.needed > 0 {
            true => self.unspent.saturating_sub(amount(self.needed)),
            false => self.unspent,
        }
    }

    /// Replaces what was promised by what was used.
    pub(super) fn settle(&mut self, promised: i64, used: i64) {
        self.held -= promised;
        self.unspent += promised;
        self.charge(used);
        self.recent.used = self.recent.used.saturating_add(used);
    }

    /// Uses what was not promised, and needs no allotment.
    pub(super) fn charge(&mut self, used: i64) {
        self.unspent -= used;
        self.used += used;
    }

    /// What the next message says. What is settled and returned leaves the bucket with it. `keeps`: whether it keeps a
    /// reserve.
    pub(super) fn tell(&mut self, now: Instant, keeps: bool) -> Statement {
        let left = i128::from(self.free.max(0)) + i128::from(self.unspent.max(0));
        let reserve = match self.lasting(now) {
            0 => 0,
            lasting => lasting.max(left / LEAST).min(left / i128::from(SHARE)),
        };
        let reserve = if keeps && !self.recalled { reserve } else { 0 };
        let wanted = self.needed + reserve;
        // Not all that is more, so that what comes and goes is not returned and borrowed again.
        let returned = amount(i128::from(self.unspent) - wanted - reserve);
        self.unspent -= returned;
        let used = std::mem::take(&mut self.used);
        // A deficit is made up for as soon as somebody waits.
        let missing = |target: i128| amount(target - i128::from(self.unspent));
        let need = if self.needed > 0 {
            missing(self.needed)
        } else {
            0
        };
        Statement {
            used,
            returned,
            need,
            want: missing(wanted).max(need),
        }
    }

    /// What lasts for [`RESERVE`], beyond what is held. Follows a rise at once, and a fall after two spans.
    fn lasting(&mut self, now: Instant) -> i128 {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed >= RESERVE {
            self.since = Some(now);
            let recent = std::mem::take(&mut self.recent);
            self.before = if passed < 2 * RESERVE {
                recent
            } else {
                Span::default()
            };
            self.recent.held = self.held;
        }
        let (recent, before) = (self.recent, self.before);
        let seen = now.saturating_duration_since(self.since.unwrap_or(now));
        let millis = |time: Duration| i128::try_from(time.as_millis()).unwrap_or(i128::MAX);
        let used = i128::from(recent.used) * millis(RESERVE) / millis(seen.max(SEEN));
        used.max(i128::from(before.used)) + i128::from(recent.held.max(before.held))
    }

    /// Empties it, for a new window with so many units; who waits goes on waiting. `keeps`: what was lent of the last one
    /// is used in this one.
    pub(super) fn begin(&mut self, units: i64, keeps: bool) {
        self.unspent = if keeps { self.unspent.max(0) } else { 0 };
        (self.held, self.used) = (0, 0);
        (self.free, self.recalled) = (units, false);
    }

    /// Whether there is nothing to say: a message would change nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.used == 0 && self.needed == 0 && self.unspent == 0 && self.held == 0
    }

    /// The answer to a message: what the bank has lent, everything reported so far taken into account, what nobody has
    /// borrowed, and whether it asks back what is not held.
    pub(super) fn told(&mut self, allotment: i64, free: i64, recalled: bool) {
        self.unspent = allotment - self.held - self.used;
        (self.free, self.recalled) = (free, recalled);
    }
}

/// At least 0. No account has more than the most.
fn amount(units: i128) -> i64 {
    let most = NanoUsd::TOTAL.0;
    i64::try_from(units.max(0)).unwrap_or(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: i64 = 10_000;

    #[test]
    fn keeps_what_lasts_for_a_while_and_returns_it_after() {
        let start = tollgate_base::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut bucket = Bucket {
            needed: 10,
            ..Bucket::default()
        };
        let told = bucket.tell(start, true);
        assert_eq!((told.need, told.want), (10, 10), "{bucket:?}");
        bucket.told(10, PLENTY, false);
        bucket.needed = 0;
        let mut allotment = 10;
        // Two requests at a time, 20 a second, each of 4, by 10 messages a second.
        for tenth in 1..=300 {
            bucket.take(10, 5);
            bucket.take(10, 5);
            bucket.settle(10, 4);
            bucket.settle(10, 4);
            let told = bucket.tell(at(tenth * 100), true);
            assert_eq!((told.returned, told.need), (0, 0), "{tenth}");
            allotment += told.want - told.used;
            bucket.told(allotment, PLENTY, false);
        }
        assert_eq!(bucket.unspent, 20 * 10 * 4 + 25, "10 s, and two at most");
        let told = bucket.tell(at(35_000), true);
        assert_eq!((told.want, told.returned), (0, 0), "it may go on");
        let mut returned = 0;
        for seconds in 4..7 {
            let told = bucket.tell(at(seconds * 10_000), true);
            returned += told.returned;
            bucket.told(allotment - returned, PLENTY, false);
        }
        assert_eq!((returned, bucket.unspent), (allotment, 0), "idle");
    }

    #[test]
    fn keeps_a_fair_share_of_what_is_left() {
        let mut bucket = Bucket::default();
        bucket.take(600, 0);
        bucket.told(600, 100, false);
        let told = bucket.tell(tollgate_base::clock::now(), true);
        assert_eq!((told.want, told.returned), (25, 0), "and not 600");
        // Others have taken more meanwhile.
        bucket.told(700, 60, false);
        let told = bucket.tell(tollgate_base::clock::now(), true);
        assert_eq!((told.want, told.returned), (0, 20), "of 160, twice 40");
        assert_eq!(bucket.unspent, 80);
    }

    #[test]
    fn any_number_may_wait_for_any_amount() {
        let mut bucket = Bucket::default();
        bucket.needed += i128::from(NanoUsd::MOST.0) * 1_000_000;
        bucket.take(i64::MAX, i64::MAX);
        bucket.settle(i64::MAX, 0);
        let told = bucket.tell(tollgate_base::clock::now(), true);
        assert_eq!((told.need, told.want), (NanoUsd::TOTAL.0, NanoUsd::TOTAL.0));
        assert_eq!((told.used, told.returned), (0, 0));
    }

    #[test]
    fn a_recall_returns_all_that_is_not_held() {
        let mut bucket = Bucket::default();
        bucket.told(100, PLENTY, true);
        bucket.take(30, 0);
        let told = bucket.tell(tollgate_base::clock::now(), true);
        assert_eq!((told.returned, bucket.unspent, bucket.held), (70, 0, 30));
        assert_eq!((told.need, told.want), (0, 0));
    }

    #[test]
    fn a_deficit_is_part_of_what_is_needed() {
        let mut bucket = Bucket::default();
        bucket.take(5, 0);
        bucket.settle(5, 9);
        bucket.told(0, PLENTY, false);
        assert_eq!(bucket.unspent, -9, "used is not told yet");
        bucket.needed = 3;
        let told = bucket.tell(tollgate_base::clock::now(), true);
        assert_eq!((told.used, told.need), (9, 12));
    }
}
