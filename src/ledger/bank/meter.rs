//! Limits, as they are counted and lent: what is counted, over which window, and how units of it travel.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

/// What a limit is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Meter {
    /// `key:<access key>` or `configuration:<id>`, within its account.
    pub subject: Arc<str>,
    /// What is counted.
    pub measure: Measure,
}

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

/// `key:app/requests_per_minute`.
impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.subject, self.measure.name())
    }
}

impl FromStr for Meter {
    type Err = String;

    fn from_str(text: &str) -> Result<Meter, String> {
        let parts = text.rsplit_once('/').and_then(|(subject, name)| {
            let measure = Measure::ALL.into_iter().find(|m| m.name() == name)?;
            Some(Meter {
                subject: subject.into(),
                measure,
            })
        });
        parts.ok_or_else(|| format!("`{text}` is not the name of a limit"))
    }
}

/// What a limit counts, and over which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Measure {
    /// Requests in a minute.
    RequestsPerMinute,
    /// Tokens, prompt and answer, in a minute.
    TokensPerMinute,
    /// Requests at the same time.
    ConcurrentRequests,
    /// Nano-dollars in a day, UTC.
    BudgetPerDay,
    /// Nano-dollars in a calendar month, UTC.
    BudgetPerMonth,
    /// Nano-dollars, ever.
    BudgetTotal,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 6] = [
        Measure::RequestsPerMinute,
        Measure::TokensPerMinute,
        Measure::ConcurrentRequests,
        Measure::BudgetPerDay,
        Measure::BudgetPerMonth,
        Measure::BudgetTotal,
    ];

    /// Returns whether it counts nano-dollars.
    pub fn is_budget(self) -> bool {
        matches!(
            self,
            Measure::BudgetPerDay | Measure::BudgetPerMonth | Measure::BudgetTotal
        )
    }

    /// Whether it begins anew after some time.
    pub(crate) fn has_window(self) -> bool {
        !matches!(self, Measure::ConcurrentRequests | Measure::BudgetTotal)
    }

    /// Returns its name in configuration, headers and messages.
    pub fn name(self) -> &'static str {
        match self {
            Measure::RequestsPerMinute => "requests_per_minute",
            Measure::TokensPerMinute => "tokens_per_minute",
            Measure::ConcurrentRequests => "concurrent_requests",
            Measure::BudgetPerDay => "budget_per_day",
            Measure::BudgetPerMonth => "budget_per_month",
            Measure::BudgetTotal => "budget_total",
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
}
