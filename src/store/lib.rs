//! The database of a gateway, opened once and shared by those who keep something in it: a SQLite file on one machine,
//! Redis for a fleet. It knows neither money nor resources.
//!
//! Invariants: every call ends within its deadline, whatever the disk or the servers do; after trouble it comes back
//! by itself; an error says what to do.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

mod claims;
mod moment;
pub mod redis;
pub mod sqlite;

use std::sync::Arc;

pub use claims::{Bounds, Claimed, Claims, Ticket};
pub use moment::{Moment, Now};

/// An open database.
#[derive(Clone)]
pub enum Database {
    /// A file, and the thread that owns it.
    Sqlite(Arc<sqlite::Worker>),
    /// Servers, and the connections to them.
    Redis(Arc<redis::Redis>),
}

impl Database {
    /// Returns what to go by about what it keeps, noted there for the next process; a gateway asks every minute.
    ///
    /// # Errors
    /// [`StoreError::Away`]: then nothing may be lost for good.
    pub async fn now(&self) -> Result<Now, StoreError> {
        match self {
            Database::Sqlite(worker) => {
                let moment = worker.write(|at| Ok(at.now)).await?;
                Ok(Now {
                    moment,
                    server: None,
                })
            }
            Database::Redis(redis) => redis.now().await,
        }
    }

    /// Returns the cool-downs that replicas share; a file has one replica, and nothing to share.
    pub fn cooldowns(&self) -> Option<redis::Leases> {
        self.shared().map(redis::Leases::cooldowns)
    }

    /// Returns the replicas that are there, each with what it says of itself; a file has one.
    pub fn fleet(&self) -> Option<redis::Leases> {
        self.shared().map(redis::Leases::fleet)
    }

    /// Returns what is left of provider keys' quotas, as replicas tell each other; a file has one, and nobody to tell.
    pub fn quotas(&self) -> Option<redis::Leases> {
        self.shared().map(redis::Leases::quotas)
    }

    fn shared(&self) -> Option<Arc<redis::Redis>> {
        match self {
            Database::Sqlite(_) => None,
            Database::Redis(redis) => Some(redis.clone()),
        }
    }
}

/// Who opens a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A gateway, which may have to be the only one.
    Gateway,
    /// A command, which works beside a running gateway.
    Command,
}

/// Why a database did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
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
