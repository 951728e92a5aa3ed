//! Which time to believe when the wall clock jumps. Pure: both clocks' readings are passed in.
//!
//! ```text
//!   agree ──jump──► go on by the other clock ──kept for SETTLED──► told is the new time, sure the old one
//!     ▲                      │ comes back                                │            │ kept for SETTLED
//!     └──────────────────────┴───────────────────────────────────────────┴────────────┘
//! ```
//!
//! Two times are given. [`Reading::told`] is what everything goes by that can be put right: dates, windows, what is
//! lent, who is let in. [`Reading::sure`] is what must have come before something is lost for good: a grant, a float,
//! a record. They are the same, but for a while after a jump and after a time that nobody has watched.
//!
//! Invariants: `sure` is never later than `told`; neither moves by more than [`SLACK`] against the other clock until
//! the wall clock has kept its new time for [`SETTLED`].

use std::time::Duration;

/// How far the wall clock may move against the other one at once; more is a jump.
pub const SLACK: Duration = Duration::from_secs(60);

/// How long the wall clock has to keep a new time until it is believed, and as long again until it is acted on for
/// good.
pub const SETTLED: Duration = Duration::from_secs(10 * 60);

/// A time that passed while nobody was there is believed at once if it is no longer than this.
pub(super) const UNWATCHED: Duration = Duration::from_secs(60 * 60);

/// Both times, since the Unix epoch, and what the wall clock says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What can be put right goes by this.
    pub told: Duration,
    /// What cannot is done only once this has come; no later than `told`.
    pub sure: Duration,
    /// What the machine says.
    pub raw: Duration,
    /// How often the wall clock has jumped since the start.
    pub jumps: u64,
}

/// Tells which of two clocks to believe. Times of the wall clock are kept as what it is ahead of the other one.
#[derive(Debug)]
pub struct Steady {
    /// What is believed, to within the slack, and since when.
    told: Ahead,
    /// A new time of the wall clock, and since when.
    jumped: Option<Ahead>,
    /// An earlier time, of which alone it is sure, and since when `told` is another.
    doubt: Option<Ahead>,
    jumps: u64,
}

/// By how much the wall clock is ahead, and since when (both by the other clock, ns).
#[derive(Clone, Copy, Debug)]
struct Ahead {
    by: i64,
    since: i64,
}

impl Steady {
    /// Believes the wall clock, as nothing speaks against it.
    pub fn new(wall: Duration, other: Duration) -> Steady {
        let (wall, since) = (nanos(wall), nanos(other));
        Steady {
            told: Ahead {
                by: wall - since,
                since,
            },
            jumped: None,
            doubt: None,
            jumps: 0,
        }
    }

    /// Returns what to go by now.
    pub fn read(&mut self, wall: Duration, other: Duration) -> Reading {
        let now = nanos(other);
        let by = nanos(wall) - now;
        let settled = |doubt: &Ahead| now - doubt.since >= nanos(SETTLED);
        self.doubt = self.doubt.filter(|doubt| !settled(doubt));
        let told = if near(by, self.told.by, SLACK) {
            self.jumped = None;
            // Small steps add up no faster than this.
            if now - self.told.since >= nanos(SETTLED) {
                self.told = Ahead { by, since: now };
            }
            by
        } else {
            self.jump(by, now);
            if near(by, self.told.by, SLACK) {
                by
            } else {
                self.told.by
            }
        };
        // It is no doubt once the earlier time is given again.
        self.doubt = self.doubt.filter(|doubt| doubt.by < told);
        let sure = self.doubt.map_or(told, |doubt| doubt.by);
        Reading {
            told: duration(told + now),
            sure: duration(sure + now),
            raw: wall,
            jumps: self.jumps,
        }
    }

    /// Takes in what was seen last before this process was there.
    pub fn recall(&mut self, last: Duration, wall: Duration, other: Duration) {
        let now = nanos(other);
        let by = nanos(self.read(wall, other).told) - now;
        let last = Ahead {
            by: nanos(last) - now,
            since: now,
        };
        if by - last.by > nanos(UNWATCHED) {
            self.doubt = Some(last)
                .into_iter()
                .chain(self.doubt)
                .min_by_key(|doubt| doubt.by);
        } else if last.by - by > nanos(SLACK) {
            // It has gone back meanwhile, or was wrong before: time stands still until it is known.
            self.told = last;
            self.jump(by, now);
        }
    }

    /// The wall clock is not where it was.
    fn jump(&mut self, by: i64, now: i64) {
        let jumped = match self.jumped {
            Some(jumped) if near(by, jumped.by, SLACK) => jumped,
            _ => {
                self.jumps += 1;
                Ahead { by, since: now }
            }
        };
        self.jumped = Some(jumped);
        let settled = now - jumped.since >= nanos(SETTLED);
        // Of two times, neither of which is known to be right, the earlier does no harm.
        let back = by < self.told.by && self.doubt.is_some();
        if settled || back {
            if by > self.told.by {
                let sure = self.doubt.map_or(self.told.by, |doubt| doubt.by);
                self.doubt = Some(Ahead {
                    by: sure,
                    since: now,
                });
            } else if let Some(doubt) = &mut self.doubt {
                doubt.since = now;
            }
            self.told = Ahead { by, since: now };
            self.jumped = None;
        }
    }
}

fn near(one: i64, other: i64, slack: Duration) -> bool {
    one.abs_diff(other) <= nanos(slack).unsigned_abs()
}

/// Nanoseconds; of more than two centuries so many that sums of two still have room.
pub(super) fn nanos(duration: Duration) -> i64 {
    const MOST: u64 = i64::MAX.unsigned_abs() / 2;
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    let nanos = seconds.saturating_add(u64::from(duration.subsec_nanos()));
    nanos.min(MOST).cast_signed()
}

pub(super) fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests;
