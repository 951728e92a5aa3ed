//! Where money is durable: grants, totals, allotments, limits, usage; behind one trait.
//!
//! [`account`] is what a bank does to one account, purely, and the reference for every bank: [`sqlite`] runs it
//! on rows, [`redis`] says the same in Lua, and one contract suite holds both to it.
//!
//! A till talks to its bank by [`Exchange`]: one message gives back what was settled since the last one, returns
//! what is not needed, and borrows more. Messages of one [`Holder`] for one account are numbered without gaps;
//! a bank applies each number once, so that a repeat after a lost answer changes nothing. Answers are absolute
//! (what the allotment *is*, not what was added), so that a lost one needs no repair.

pub mod account;
mod books;
mod category;
pub(crate) mod index;
mod limit;
mod mark;
mod message;
mod meter;
mod period;
pub mod redis;
mod sealed;
pub mod sqlite;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;

use crate::NanoUsd;
use tollgate_store::{Database, StoreError};

pub(crate) use books::Allotment;
pub use books::{Books, Grant, Law, NewGrant};
pub use category::Category;
pub use limit::Limit;
pub use mark::Mark;
pub(crate) use mark::content;
pub(crate) use message::Verdict;
pub use message::{Day, Events, Exchange, Holder, Reply, Rollup};
pub use meter::{Measure, Meter, MeterExchange, MeterReply, TAG};
pub use period::{Per, Period, UnknownZone, Weekday, Zone};
pub use verify::{Verified, verify};

/// Values of one tag that the totals of a day tell apart: clients choose them, and rows stay for ever.
pub const MOST_VALUES: usize = 1_000;

/// How many values of a tag are told that used most of their budget.
pub const MOST_USED: usize = 100;

/// A place where money is durable. Tills need its [`CreditStore`] only, pages of usage events its [`EventReader`].
///
/// Every call has a deadline of its own: it answers, or fails with [`StoreError::Away`], but never hangs. A call that
/// failed may have been carried out all the same; [`CreditStore::exchange`] and [`CreditStore::grant`] may be repeated.
#[async_trait]
pub trait Bank: CreditStore + EventReader {
    /// The ids of all accounts that have ever had a grant or an exchange, sorted.
    async fn accounts(&self) -> Result<Vec<String>, StoreError>;

    /// Daily totals of an account, from one day to another, both included.
    async fn rollups(&self, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>, StoreError>;

    /// Their sums by day, provider and model, whatever the access key, which is empty: there are few of them, however many
    /// keys there are.
    async fn rollups_by_model(
        &self,
        account: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Rollup>, StoreError> {
        let rows = self.rollups(account, from, to).await?;
        Ok(sealed::by_model(&rows))
    }

    /// The costs of all daily totals of an account together, added up anew.
    async fn recounted(&self, account: &str) -> Result<NanoUsd, StoreError> {
        let rows = self.rollups(account, Day(0), Day(u32::MAX)).await?;
        Ok(NanoUsd::saturating_sum(rows.iter().map(|row| row.cost)))
    }

    /// Daily totals of an account by the values of the tag with this name, from one day to another, both included. A day
    /// has [`MOST_VALUES`] of them; what came after those is told as the value `other`.
    async fn tag_rollups(
        &self,
        account: &str,
        name: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Rollup>, StoreError>;

    /// What was used of each of these limits of an account, in their order, as far as tills have said so: the start of the
    /// window that it was last used in (Unix time, s), and how much of it, in units of the measure. Both are 0 if it never
    /// was.
    async fn used(&self, account: &str, meters: &[Meter]) -> Result<Vec<(u64, i64)>, StoreError>;

    /// Of the values of a tag that have a budget, those of which at least so much was used in the window that began then
    /// (Unix time, s): their subjects, and how much; those that used most, [`MOST_USED`] of them at most. `budget` is that of
    /// no value: its subject is what theirs begin with.
    async fn most_used(
        &self,
        account: &str,
        budget: &Meter,
        window: u64,
        least: i64,
    ) -> Result<Vec<(Arc<str>, i64)>, StoreError>;

    /// Forgets what was used of budgets of tags' values in windows that are long over at a time (Unix time, s).
    async fn forget_meters(&self, account: &str, now: u64) -> Result<(), StoreError>;

    /// Forgets usage events that are all older than `before_ms` (Unix time, ms). Totals stay.
    async fn forget_events(&self, account: &str, before_ms: u64) -> Result<(), StoreError>;
}

/// What accounts have: grants put it in, tills borrow it.
#[async_trait]
pub trait CreditStore: Send + Sync {
    /// Applies messages, at most one per account, and answers in their order. Each is atomic by itself; one may
    /// fail while others succeed.
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, StoreError>>;

    /// Which connection leads to an account's server, if one does. After another one answers may come from a server that
    /// has forgotten; `None` where that cannot be.
    fn connection(&self, _account: &str) -> Option<u64> {
        None
    }

    /// Puts credits into an account, once per grant id: false if the account has this grant already.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the amount is not positive or over `NanoUsd::MOST`.
    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, StoreError>;

    /// An account's books as of now; of an unknown account, empty ones. Expires and reaps what is due first.
    async fn books(&self, account: &str) -> Result<Books, StoreError>;
}

/// Where usage events are read.
#[async_trait]
pub trait EventReader: Send + Sync {
    /// Batches of usage events that may hold events of `from_ms..=to_ms` (Unix time, ms), newest first, until
    /// they hold `at_least` events.
    async fn events(
        &self,
        account: &str,
        from_ms: u64,
        to_ms: u64,
        at_least: usize,
    ) -> Result<Vec<Events>, StoreError>;

    /// Between which times (Unix time, ms) usage events of a client request ended, by its id, as far as that is known; `None`
    /// if there are none.
    async fn request_span(
        &self,
        _account: &str,
        _request: &str,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        Ok(Some((0, u64::MAX)))
    }
}

/// Returns the bank that a database keeps.
pub fn on(database: &Database) -> Arc<dyn Bank> {
    match database {
        Database::Sqlite(worker) => Arc::new(sqlite::SqliteBank::new(worker.clone())),
        Database::Redis(redis) => Arc::new(redis::RedisBank::new(redis.clone())),
    }
}
