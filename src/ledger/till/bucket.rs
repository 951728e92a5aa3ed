//! What a till has of one thing: money, or units of a limit. Pure.
//!
//! Invariant: `allotment = held + unspent + used + sent`, where `sent` is what a message that is not yet answered
//! gives back. `unspent` is negative when more was used than was lent.

use crate::NanoUsd;

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
    /// Promised since the last message.
    taken: i64,
    /// Promised between two messages, of late.
    pace: i64,
}

/// How many messages' worth of promises a till likes to have at hand.
const RESERVE: i64 = 8;

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
    /// Promises `amount`, whether or not it is there.
    pub(super) fn take(&mut self, amount: i64) {
        self.unspent -= amount;
        self.held += amount;
        // Of a pace that is beyond everything, the most there is will do.
        self.taken = self.taken.saturating_add(amount);
    }

    /// Replaces what was promised by what was used.
    pub(super) fn settle(&mut self, promised: i64, used: i64) {
        self.held -= promised;
        self.unspent += promised - used;
        self.used += used;
    }

    /// What the next message says. What is settled and returned leaves the bucket with it.
    pub(super) fn tell(&mut self, recalled: bool) -> Statement {
        let taken = std::mem::take(&mut self.taken);
        // Follows a rise at once, and a fall within a few messages.
        self.pace = taken.max(self.pace / 2);
        let reserve = if recalled {
            0
        } else {
            self.pace.saturating_mul(RESERVE)
        };
        let wanted = self.needed + i128::from(reserve);
        let kept = if reserve == 0 {
            self.needed
        } else {
            wanted * 2
        };
        let returned = amount(i128::from(self.unspent) - kept);
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

    /// Empties it, for a new window; who waits goes on waiting.
    pub(super) fn begin(&mut self) {
        *self = Bucket {
            needed: self.needed,
            ..Bucket::default()
        };
    }

    /// Whether there is nothing to say: a message would change nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.used == 0 && self.needed == 0 && self.unspent == 0 && self.held == 0
    }

    /// The answer to a message: what the bank has lent, everything reported so far taken into account.
    pub(super) fn told(&mut self, allotment: i64) {
        self.unspent = allotment - self.held - self.used;
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

    #[test]
    fn keeps_a_reserve_while_it_is_used_and_returns_it_after() {
        let mut bucket = Bucket {
            needed: 10,
            ..Bucket::default()
        };
        let told = bucket.tell(false);
        assert_eq!((told.need, told.want), (10, 10), "{bucket:?}");
        bucket.told(10);
        bucket.needed = 0;
        bucket.take(10);
        bucket.settle(10, 4);
        let told = bucket.tell(false);
        assert_eq!((told.used, told.returned, told.need), (4, 0, 0));
        assert_eq!(told.want, 80 - 6, "a reserve of eight messages");
        bucket.told(80);
        assert_eq!(bucket.unspent, 80);
        let mut returned = 0;
        for _ in 0..10 {
            let told = bucket.tell(false);
            returned += told.returned;
            bucket.told(80 - returned);
        }
        assert_eq!((returned, bucket.unspent), (80, 0), "idle");
    }

    #[test]
    fn any_number_may_wait_for_any_amount() {
        let mut bucket = Bucket::default();
        bucket.needed += i128::from(NanoUsd::MOST.0) * 1_000_000;
        bucket.take(i64::MAX);
        bucket.settle(i64::MAX, 0);
        let told = bucket.tell(false);
        assert_eq!((told.need, told.want), (NanoUsd::TOTAL.0, NanoUsd::TOTAL.0));
        assert_eq!((told.used, told.returned), (0, 0));
    }

    #[test]
    fn a_recall_returns_all_that_is_not_held() {
        let mut bucket = Bucket::default();
        bucket.told(100);
        bucket.take(30);
        let told = bucket.tell(true);
        assert_eq!((told.returned, bucket.unspent, bucket.held), (70, 0, 30));
        assert_eq!((told.need, told.want), (0, 0));
    }

    #[test]
    fn a_deficit_is_part_of_what_is_needed() {
        let mut bucket = Bucket::default();
        bucket.take(5);
        bucket.settle(5, 9);
        bucket.told(0);
        assert_eq!(bucket.unspent, -9, "used is not told yet");
        bucket.needed = 3;
        let told = bucket.tell(false);
        assert_eq!((told.used, told.need), (9, 12));
    }
}
