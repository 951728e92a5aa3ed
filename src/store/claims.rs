//! Names that one process of a fleet works on at a time, and what came of it.
//!
//! ```text
//!   free ── claim ──► claimed ── keep ──► kept ── its time is over, or newer ones need its room ──► free
//!     ▲                  │
//!     └── it is released, or its lease ends
//! ```
//!
//! All is counted for each account by itself, so that none takes another's room. Times are the store's: SQLite's process
//! has the file alone, Redis has a clock. A claim's number tells it from others of its name: what was claimed again
//! meanwhile is not kept, prolonged or released by whoever had it before.

mod redis;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use crate::sqlite::Worker;
use crate::{Database, StoreError};

/// What has ended is forgotten with other calls, so much of it at a time.
const SWEPT: u32 = 64;

/// Claims in the gateway's database.
#[derive(Clone)]
pub struct Claims(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(Arc<Worker>),
    Redis(Arc<crate::redis::Redis>),
}

/// One claim of a name.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Whose name it is.
    pub account: Arc<str>,
    /// What is claimed.
    pub name: String,
    /// What it is claimed for: 64 characters.
    pub of: String,
    /// Tells it from other claims of the name; drawn at random.
    pub number: u64,
}

impl Ticket {
    /// As it is stored: 16 hexadecimal digits.
    fn number(&self) -> String {
        format!("{:016x}", self.number)
    }
}

/// What a name was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It was free, and is the asker's.
    Yes,
    /// Somebody works on it.
    Busy,
    /// It stands for something else.
    Differs,
    /// What came of it.
    Kept(String),
}

/// How much is kept for an account; what was kept first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Names.
    pub names: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Claims {
    /// Those of a database.
    pub fn on(database: &Database) -> Claims {
        Claims(match database {
            Database::Sqlite(worker) => Kind::Sqlite(worker.clone()),
            Database::Redis(redis) => Kind::Redis(redis.clone()),
        })
    }

    /// Claims a name for so long, if it is free.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it may be claimed, until the lease ends.
    pub async fn claim(&self, ticket: &Ticket, lease: Duration) -> Result<Claimed, StoreError> {
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::claim(worker, ticket, lease).await,
            Kind::Redis(redis) => redis::claim(redis, ticket, lease).await,
        }
    }

    /// Lets a claim go on for so long from now; not at all releases the name. Returns whether it still held.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it may end when it would have.
    pub async fn hold(&self, ticket: &Ticket, lease: Duration) -> Result<bool, StoreError> {
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::hold(worker, ticket, lease).await,
            Kind::Redis(redis) => redis::hold(redis, ticket, lease).await,
        }
    }

    /// Keeps what came of a claim, for so long. Returns whether it still held.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it may be kept.
    pub async fn keep(
        &self,
        ticket: &Ticket,
        value: &str,
        time: Duration,
        bounds: Bounds,
    ) -> Result<bool, StoreError> {
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::keep(worker, ticket, value, time, bounds).await,
            Kind::Redis(redis) => redis::keep(redis, ticket, value, time, bounds).await,
        }
    }
}
