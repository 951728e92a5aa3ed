//! Where money is durable: grants, totals, floats, limits, usage; behind one trait.
//!
//! [`account`] is what a bank does to one account, purely, and the reference for every bank: [`sqlite`] runs it
//! on rows, [`redis`] says the same in Lua, and one contract suite holds both to it.
//!
//! A till talks to its bank by [`Exchange`]: one message gives back what was settled since the last one, returns
//! what is not needed, and borrows more. Messages of one [`Holder`] for one account are numbered without gaps;
//! a bank applies each number once, so that a repeat after a lost answer changes nothing. Answers are absolute
//! (what the float *is*, not what was added), so that a lost one needs no repair.

pub mod account;
mod open;
pub mod redis;
pub mod sqlite;

pub use open::{Access, open};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::money::NanoUsd;

/// A place where money is durable.
///
/// Every call has a deadline of its own: it answers, or fails with [`BankError::Away`], but never hangs. A call that
/// failed may have been carried out all the same; [`Bank::exchange`] and [`Bank::grant`] may be repeated.
#[async_trait]
pub trait Bank: Send + Sync {
    /// Applies messages, at most one per account, and answers in their order. Each is atomic by itself; one may
    /// fail while others succeed.
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, BankError>>;

    /// Puts credits into an account, once per grant id: false if the account has this grant already.
    ///
    /// # Errors
    /// [`BankError::Refused`] if the amount is not positive or over [`NanoUsd::MOST`].
    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, BankError>;

    /// The ids of all accounts that have ever had a grant or an exchange, sorted.
    async fn accounts(&self) -> Result<Vec<String>, BankError>;

    /// An account's books as of now; of an unknown account, empty ones. Expires and reaps what is due first.
    async fn books(&self, account: &str) -> Result<Books, BankError>;

    /// Daily totals of an account, from one day to another, both included.
    async fn rollups(&self, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>, BankError>;

    /// Batches of usage events that may hold events of `from_ms..=to_ms` (Unix time, ms), newest first, until
    /// they hold `at_least` events.
    async fn events(
        &self,
        account: &str,
        from_ms: u64,
        to_ms: u64,
        at_least: usize,
    ) -> Result<Vec<Events>, BankError>;

    /// Forgets usage events that are all older than `before_ms` (Unix time, ms). Totals stay.
    async fn forget_events(&self, account: &str, before_ms: u64) -> Result<(), BankError>;

    /// Where the replicas of this bank tell each other which provider keys rest; a bank of one replica has none.
    fn cooldowns(&self) -> Option<redis::Cooldowns> {
        None
    }
}

/// Why a bank did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// It did not answer in time, cannot be reached, or cannot write now (a full disk): try again later.
    #[error("{0}")]
    Away(String),
    /// It will never do this.
    #[error("{0}")]
    Refused(String),
    /// What it has stored is not what it should be, or is of a newer version of this program.
    #[error("{0}")]
    Corrupt(String),
}

/// One life of one replica's till: who borrows a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The replica: random, kept beside its journal.
    pub replica: u64,
    /// Counts the replica's starts.
    pub epoch: u64,
}

/// 16 hexadecimal digits, a dot, and the epoch.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.replica, self.epoch)
    }
}

impl FromStr for Holder {
    type Err = String;

    fn from_str(text: &str) -> Result<Holder, String> {
        let parts = text.split_once('.').and_then(|(replica, epoch)| {
            Some(Holder {
                replica: u64::from_str_radix(replica, 16).ok()?,
                epoch: epoch.parse().ok()?,
            })
        });
        parts.ok_or_else(|| format!("`{text}` is not the name of a float's holder"))
    }
}

/// A message of a till about one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Whose money.
    pub account: Arc<str>,
    /// Who asks.
    pub holder: Holder,
    /// Counts this holder's messages about this account, from 1.
    pub number: u64,
    /// The oldest number that the holder could still repeat. A bank that has not seen a number between its last
    /// one and this message answers without applying anything, so that the holder repeats those first; unless it
    /// cannot, because `oldest` is past them.
    pub oldest: u64,
    /// What was settled since the last message, at least 0. Taken from the float first, then from what is free.
    pub spent: NanoUsd,
    /// Part of the float that is not needed any more, at least 0.
    pub returned: NanoUsd,
    /// What is missing to admit requests that wait, at least 0.
    pub need: NanoUsd,
    /// What would be comfortable to borrow, at least `need`.
    pub want: NanoUsd,
    /// How long the float is lent for, from now on.
    pub lease: Duration,
    /// The holder ends: what is left of its float, and of its meters, returns.
    pub close: bool,
    /// The same for limits; each meter at most once.
    pub meters: Vec<MeterExchange>,
    /// What to add to daily totals; their costs add up to `spent`.
    pub rollups: Vec<Rollup>,
    /// The usage events behind `spent`.
    pub events: Option<Events>,
}

/// A bank's answer to an [`Exchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The last number applied for this holder and account: the message's own if it was applied, now or before.
    pub last: u64,
    /// What the holder has borrowed now, at least 0.
    pub float: NanoUsd,
    /// What nobody has borrowed; negative if more was spent than was granted.
    pub free: NanoUsd,
    /// All floats of the account, this one included.
    pub floats: NanoUsd,
    /// Somebody needs more than is free: return what is not held.
    pub recall: bool,
    /// For each meter of the message, in its order.
    pub meters: Vec<MeterReply>,
}

/// What a limit is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Meter {
    /// `key:<access key>` or `configuration:<id>`, within its account.
    pub subject: Arc<str>,
    /// What is counted.
    pub measure: Measure,
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

    /// Whether it counts nano-dollars.
    pub fn is_budget(self) -> bool {
        matches!(
            self,
            Measure::BudgetPerDay | Measure::BudgetPerMonth | Measure::BudgetTotal
        )
    }

    /// Whether it begins anew after some time.
    pub fn has_window(self) -> bool {
        !matches!(self, Measure::ConcurrentRequests | Measure::BudgetTotal)
    }

    /// Its name in configuration, headers and messages.
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

/// One meter's part of an [`Exchange`]: units of a limit are borrowed, used and returned as money is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterExchange {
    /// Which.
    pub meter: Meter,
    /// The start of the window that the figures are for (Unix time, s); 0 if the measure has none. A newer window
    /// than the bank's begins at nothing used and nothing lent; figures for an older one are dropped.
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

/// One meter's part of a [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterReply {
    /// The bank's window; newer than the message's if the holder's clock is behind.
    pub window: u64,
    /// What this holder has borrowed, at least 0.
    pub float: i64,
    /// What has been used in the window, by all.
    pub used: i64,
    /// What all have borrowed, this one included.
    pub lent: i64,
}

/// A day of Unix time: days since 1970-01-01, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub u32);

/// Totals of one day, by what they were used with. Each combination of the first four fields is one total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Which day.
    pub day: Day,
    /// The access key's id.
    pub access_key: Arc<str>,
    /// The provider's id.
    pub provider: Arc<str>,
    /// The model, as the provider knows it.
    pub model: Arc<str>,
    /// Requests that ended with this model.
    pub requests: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// Of them, those charged at their estimate because the replica died.
    pub orphaned: u64,
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Of them, those read from a provider's cache.
    pub cached_read: u64,
    /// Of them, those written to a provider's cache.
    pub cache_write: u64,
    /// Answer tokens, reasoning included.
    pub output: u64,
    /// Of them, those spent on reasoning.
    pub reasoning: u64,
    /// What was charged.
    pub cost: NanoUsd,
}

/// Usage events of one batch; to a bank, bytes with a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// How many.
    pub count: u32,
    /// When the first ended (Unix time, ms).
    pub from_ms: u64,
    /// When the last ended (Unix time, ms).
    pub to_ms: u64,
    /// As [`crate::usage`] writes them.
    pub bytes: Bytes,
}

/// Credits to put into an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// Unique within the account; a grant is applied once.
    pub id: String,
    /// How much, above 0.
    pub amount: NanoUsd,
    /// How long it may be spent, from now on; `None` is for ever.
    pub expires_after: Option<Duration>,
    /// For people; empty if there is nothing to say.
    pub note: String,
}

impl NewGrant {
    /// Whether a bank may take it; every bank asks this first.
    ///
    /// # Errors
    /// [`BankError::Refused`] if the amount is not positive or over [`NanoUsd::MOST`].
    pub fn check(&self) -> Result<(), BankError> {
        if self.amount > NanoUsd::ZERO && self.amount <= NanoUsd::MOST {
            return Ok(());
        }
        Err(BankError::Refused(format!(
            "a grant must be above {} and at most {}, not {}",
            NanoUsd::ZERO,
            NanoUsd::MOST,
            self.amount
        )))
    }
}

/// A grant as the bank has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Unique within the account.
    pub id: String,
    /// How much was granted.
    pub amount: NanoUsd,
    /// What is neither spent nor expired, at least 0; part of it may be lent.
    pub remaining: NanoUsd,
    /// What expired.
    pub expired: NanoUsd,
    /// When it was granted (Unix time, s).
    pub created: u64,
    /// When it expires (Unix time, s); `None` is never.
    pub expires: Option<u64>,
    /// For people.
    pub note: String,
}

/// A float as the bank has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Float {
    /// Who borrowed it.
    pub holder: Holder,
    /// How much, at least 0.
    pub amount: NanoUsd,
    /// The last message's number.
    pub last: u64,
    /// Until when (Unix time, ms).
    pub lease_until: u64,
}

/// An account's books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// All that was ever granted.
    pub granted: NanoUsd,
    /// All that was ever charged.
    pub spent: NanoUsd,
    /// All that expired before it was spent.
    pub expired: NanoUsd,
    /// What nobody has borrowed; negative if more was spent than was granted.
    pub free: NanoUsd,
    /// Spent beyond all grants; the next grant pays it first.
    pub debt: NanoUsd,
    /// Newest last.
    pub grants: Vec<Grant>,
    /// Those that are not empty, or that are still leased.
    pub floats: Vec<Float>,
    /// The costs of all daily totals together.
    pub rolled_up: NanoUsd,
}

impl Books {
    /// What was lent.
    pub fn lent(&self) -> NanoUsd {
        self.floats.iter().map(|float| float.amount).sum()
    }

    /// What must be equal, both sides.
    pub fn laws(&self) -> [Law; 5] {
        let amounts: NanoUsd = self.grants.iter().map(|grant| grant.amount).sum();
        let remaining: NanoUsd = self.grants.iter().map(|grant| grant.remaining).sum();
        let expired: NanoUsd = self.grants.iter().map(|grant| grant.expired).sum();
        [
            (
                "granted = spent + expired + free + floats",
                self.granted,
                self.spent + self.expired + self.free + self.lent(),
            ),
            ("granted = sum of grants", self.granted, amounts),
            ("expired = sum of grants' expired", self.expired, expired),
            (
                "free + floats = grants' remaining - debt",
                self.free + self.lent(),
                remaining - self.debt,
            ),
            ("spent = sum of daily totals", self.spent, self.rolled_up),
        ]
        .map(|(name, left, right)| Law { name, left, right })
    }

    /// What of it does not balance, in words; empty if all does.
    pub fn faults(&self) -> Vec<String> {
        self.laws()
            .iter()
            .filter(|law| !law.holds())
            .map(|law| format!("{}: {} is not {}", law.name, law.left, law.right))
            .collect()
    }
}

/// An equation that an account's books must fulfil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Law {
    /// The equation, in words.
    pub name: &'static str,
    /// What its left side comes to.
    pub left: NanoUsd,
    /// What its right side comes to.
    pub right: NanoUsd,
}

impl Law {
    /// Whether both sides are equal.
    pub fn holds(&self) -> bool {
        self.left == self.right
    }
}
