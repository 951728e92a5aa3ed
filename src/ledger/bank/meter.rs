//! Limits, as they are counted and lent: what is counted, over which window, and how units of it travel.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use super::period::{Per, Period};

/// What a limit is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Meter {
    /// `key:<access key>`, `configuration:<id>`, `budget:<id>` or `tag:<configuration>:<name>=<value>`, within its
    /// account.
    pub subject: Arc<str>,
    /// What is counted.
    pub measure: Measure,
}

/// What the subjects of the limits of tags' values begin with: there are as many as clients say.
pub const TAG: &str = "tag:";

/// Whose overdraft it is: the account's.
const OVERDRAFT: &str = "overdraft";

impl Meter {
    /// What the requests in flight of an account may cost beyond what is held for them, nano-dollars. It has no
    /// window, and what ends gives back what it took, as `concurrent_requests` does; its name is of that measure, so
    /// that banks of every version know it.
    pub(crate) fn overdraft() -> Meter {
        static METER: LazyLock<Meter> = LazyLock::new(|| Meter {
            subject: OVERDRAFT.into(),
            measure: Measure::ConcurrentRequests,
        });
        METER.clone()
    }
}

impl Meter {
    /// Returns whether it is of a tag's value, and a window of its that began then (Unix time, s) is long over: nobody
    /// asks for it any more.
    pub(crate) fn is_over(&self, window: u64, now: u64) -> bool {
        let Measure::Budget(period) = self.measure else {
            return false;
        };
        let over = || {
            period
                .per()
                .over_before(now)
                .is_some_and(|first| window < first)
        };
        self.subject.starts_with(TAG) && window > 0 && over()
    }
}

/// `key:app/requests_per_minute`, `budget:team/budget_per_week@Europe/Berlin`.
impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.subject, self.measure)
    }
}

impl FromStr for Meter {
    type Err = String;

    fn from_str(text: &str) -> Result<Meter, String> {
        let parts = |end: usize| {
            let slash = text[..end].rfind('/')?;
            Some(Meter {
                subject: text[..slash].into(),
                measure: text[slash + 1..].parse().ok()?,
            })
        };
        // A time zone has slashes of its own.
        let zone = text.rfind('@').and_then(parts);
        zone.or_else(|| parts(text.len()))
            .ok_or_else(|| format!("`{text}` is not the name of a limit"))
    }
}

/// What a limit counts, and over which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Requests in a minute.
    RequestsPerMinute,
    /// Tokens, prompt and answer, in a minute.
    TokensPerMinute,
    /// Requests at the same time.
    ConcurrentRequests,
    /// Nano-dollars in a time.
    Budget(Period),
}

impl Measure {
    /// All of them, budgets by UTC.
    pub const ALL: [Measure; 8] = [
        Measure::RequestsPerMinute,
        Measure::TokensPerMinute,
        Measure::ConcurrentRequests,
        Measure::budget(Per::Day),
        Measure::budget(Per::Week),
        Measure::budget(Per::Month),
        Measure::budget(Per::Quarter),
        Measure::budget(Per::Total),
    ];

    /// A budget by UTC.
    pub const fn budget(per: Per) -> Measure {
        Measure::Budget(Period::utc(per))
    }

    /// Returns whether it counts nano-dollars.
    pub fn is_budget(self) -> bool {
        matches!(self, Measure::Budget(_))
    }

    /// Whether it begins anew after some time.
    pub(crate) fn has_window(self) -> bool {
        match self {
            Measure::RequestsPerMinute | Measure::TokensPerMinute => true,
            Measure::ConcurrentRequests => false,
            Measure::Budget(period) => period.per() != Per::Total,
        }
    }
}

const REQUESTS: &str = "requests_per_minute";
const TOKENS: &str = "tokens_per_minute";
const CONCURRENT: &str = "concurrent_requests";
const TOTAL: &str = "budget_total";
const BUDGET: &str = "budget_per_";

/// Its name in banks and journals: `budget_per_day`.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::RequestsPerMinute => f.write_str(REQUESTS),
            Measure::TokensPerMinute => f.write_str(TOKENS),
            Measure::ConcurrentRequests => f.write_str(CONCURRENT),
            Measure::Budget(period) if period.per() == Per::Total => f.write_str(TOTAL),
            Measure::Budget(period) => write!(f, "{BUDGET}{period}"),
        }
    }
}

impl FromStr for Measure {
    type Err = ();

    fn from_str(text: &str) -> Result<Measure, ()> {
        match text {
            REQUESTS => Ok(Measure::RequestsPerMinute),
            TOKENS => Ok(Measure::TokensPerMinute),
            CONCURRENT => Ok(Measure::ConcurrentRequests),
            TOTAL => Ok(Measure::budget(Per::Total)),
            _ => {
                let period = text.strip_prefix(BUDGET).ok_or(())?.parse::<Period>()?;
                (period.per() != Per::Total)
                    .then_some(Measure::Budget(period))
                    .ok_or(())
            }
        }
    }
}

/// One meter's part of an `Exchange`: units of a limit are borrowed, used and returned as money is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterExchange {
    /// Which.
    pub meter: Meter,
    /// The start of the window that the figures are for (Unix time, s); 0 if the measure has none. A newer window
    /// than the bank's begins at nothing used and nothing lent, once the bank's own clock has come to it; figures for
    /// an older one, and for one that is yet to come, are dropped.
    pub window: u64,
    /// The limit in force, in units of the measure.
    pub limit: i64,
    /// Used since the last message, at least 0.
    pub used: i64,
    /// Returned, at least 0.
    pub returned: i64,
    /// Missing to admit requests that wait, at least 0.
    pub need: i64,
    /// Comfortable to borrow, at least `need`.
    pub want: i64,
}

/// One meter's part of a `Reply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterReply {
    /// The bank's window; another one than the message's if the holder's clock is wrong.
    pub window: u64,
    /// What this holder has borrowed, at least 0.
    pub allotment: i64,
    /// What has been used in the window, by all.
    pub used: i64,
    /// What all have borrowed, this one included.
    pub lent: i64,
    /// Somebody needs more of it than is free: return what is not held.
    pub recall: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            "key:app/requests_per_minute",
            "key:a/b@c/tokens_per_minute",
            "configuration:a@UTC/budget_total",
            "budget:team/budget_per_day",
            "budget:team/budget_per_week@America/Argentina/Buenos_Aires,sunday",
            "configuration:a@b/budget_per_month@Europe/Berlin",
        ] {
            let meter: Meter = name.parse().unwrap();
            assert_eq!(meter.to_string(), name);
        }
        for name in [
            "",
            "key:app",
            "key:app/budget_per_total",
            "key:app/budget_per_year",
            "key:app/budget_per_day@Mars/Olympus",
            "key:app/budget_total@UTC",
        ] {
            assert!(name.parse::<Meter>().is_err(), "{name}");
        }
    }
}
