//! What a database goes by where time matters.

use tollgate_base::clock::{self, Reading, SLACK, millis};

/// A moment, twice, as [`clock::Steady`] has it. Unix time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// What can be put right goes by this.
    pub told: u64,
    /// What cannot is done only once this has come; no later than `told`.
    pub sure: u64,
}

/// What a database says of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time that is used.
    pub moment: Moment,
    /// What its server's own clock says (Unix time, ms), where there is a server.
    pub server: Option<u64>,
}

impl Now {
    /// Returns what must have ended before this is old enough to be forgotten (Unix time, ms).
    pub fn older_than(&self, kept: std::time::Duration) -> u64 {
        self.moment.sure.saturating_sub(millis(kept))
    }
}

impl From<u64> for Moment {
    /// Of a time that nobody doubts.
    fn from(ms: u64) -> Moment {
        Moment { told: ms, sure: ms }
    }
}

impl From<Reading> for Moment {
    fn from(reading: Reading) -> Moment {
        Moment {
            told: millis(reading.told),
            sure: millis(reading.sure),
        }
    }
}

impl Moment {
    /// By this process's clock.
    pub fn here() -> Moment {
        clock::read().into()
    }

    /// Returns where the clock of another machine is asked as well: what both agree on, else the earlier of them.
    #[must_use]
    pub fn agreed(self, other: u64) -> Moment {
        let least = |ours: u64| {
            if ours.saturating_add(millis(SLACK)) < other {
                ours
            } else {
                other
            }
        };
        Moment {
            told: least(self.told),
            sure: least(self.sure),
        }
    }

    /// After an earlier one: a small step back is none, so that what was done stays done.
    #[must_use]
    pub fn after(self, last: Moment) -> Moment {
        let still = |last: u64, now: u64| {
            if now < last && last - now <= millis(SLACK) {
                last
            } else {
                now
            }
        };
        let told = still(last.told, self.told);
        Moment {
            told,
            sure: still(last.sure, self.sure).min(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    #[test]
    fn of_two_machines_that_disagree_the_earlier_is_believed() {
        let here = Moment::from(100 * DAY);
        assert_eq!(here.agreed(100 * DAY + 60_000), (100 * DAY + 60_000).into());
        assert_eq!(here.agreed(500 * DAY), here, "the other has jumped");
        assert_eq!(here.agreed(99 * DAY), (99 * DAY).into(), "this one has");
        let doubtful = Moment {
            sure: 70 * DAY,
            ..here
        };
        assert_eq!(doubtful.agreed(100 * DAY), doubtful);
    }

    #[test]
    fn time_stands_still_for_a_small_step_back() {
        let last = Moment::from(DAY);
        assert_eq!(Moment::from(DAY - 60_000).after(last), last);
        let back = Moment::from(DAY - 60_001);
        assert_eq!(back.after(last), back, "not for longer");
        assert_eq!(Moment::from(DAY + 1).after(last), (DAY + 1).into());
        let doubtful = Moment {
            told: 400 * DAY,
            sure: DAY,
        };
        assert_eq!(Moment::from(DAY - 1).after(doubtful), (DAY - 1).into());
    }
}
