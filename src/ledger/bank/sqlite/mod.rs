//! The bank of one machine: a SQLite file, beside the gateway.
//!
//! One thread owns the connection. Calls that wait for it together are carried out in one transaction (group
//! commit), each message by itself behind a savepoint; they are answered when that is committed. What a message
//! does is decided by [`super::account`] on what of the account can matter to it, and only rows that it changed
//! are written.
//!
//! Durability: the write-ahead log with `synchronous=NORMAL`. The death of the process loses nothing; a power cut
//! can lose the last transactions, never the file's consistency. [`Synchronous::Full`] loses none of them, for an
//! fsync each.
//!
//! Its store keeps the resources of the admin API in the same file, by the same thread.
//!
//! One gateway opens a database at a time and holds a lock on `<path>.lock`; commands work beside it. Time is
//! the wall clock, held still when it goes back.

mod error;
mod image;
mod open;
mod record;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Access, Bank, BankError, Books, Day, Events, Exchange, NewGrant, Reply, Rollup, Store,
};
use store::SqliteStore;
use worker::{At, Worker};

/// How [`SqliteBank::open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who opens it.
    pub access: Access,
    /// The deadline of each call.
    pub timeout: Duration,
    /// What a commit waits for.
    pub synchronous: Synchronous,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The operating system has it: only a power cut can lose it.
    #[default]
    Normal,
    /// The disk has it.
    Full,
}

/// A bank in a SQLite file. Dropping it, and all its stores, waits for the calls under way, and closes the file.
#[derive(Debug)]
pub struct SqliteBank {
    worker: Arc<Worker>,
    path: PathBuf,
}

/// Usage events that are forgotten in one transaction, in batches: the others do not wait long.
const FORGOTTEN_AT_ONCE: usize = 500;

impl SqliteBank {
    /// Opens a database, and makes it, with its folders, if there is none; readable for its owner only.
    ///
    /// # Errors
    /// [`BankError::Refused`] if another gateway has it open, or if it is another program's;
    /// [`BankError::Corrupt`] if it is not a database, or one of a newer version of this program;
    /// [`BankError::Away`] if the file cannot be opened or written.
    pub fn open(path: &Path, options: Options) -> Result<SqliteBank, BankError> {
        let opened = open::open(path, options)?;
        Ok(SqliteBank {
            path: opened.path.clone(),
            worker: Arc::new(Worker::start(opened, options.timeout)?),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn forget_some(&self, account: &str, before_ms: u64) -> Result<usize, BankError> {
        let account = account.to_owned();
        self.worker
            .write(move |at| record::forget(at, &account, before_ms, FORGOTTEN_AT_ONCE))
            .await
    }
}

#[async_trait]
impl Bank for SqliteBank {
    fn store(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(SqliteStore::new(self.worker.clone())))
    }

    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, BankError>> {
        let count = messages.len();
        let messages = messages.to_vec();
        let apply = move |at: At<'_>| {
            let each = messages
                .iter()
                .map(|message| at.atomic(|at| rows::exchange(at, message)));
            Ok(each.collect())
        };
        match self.worker.write(apply).await {
            Ok(replies) => replies,
            Err(error) => vec![Err(error); count],
        }
    }

    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, BankError> {
        grant.check()?;
        let (account, grant) = (account.to_owned(), grant.clone());
        self.worker
            .write(move |at| rows::grant(at, &account, &grant))
            .await
    }

    async fn accounts(&self) -> Result<Vec<String>, BankError> {
        self.worker.read(rows::accounts).await
    }

    async fn books(&self, account: &str) -> Result<Books, BankError> {
        let account = account.to_owned();
        self.worker.write(move |at| rows::books(at, &account)).await
    }

    async fn rollups(&self, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>, BankError> {
        let account = account.to_owned();
        self.worker
            .read(move |at| record::rollups(at, &account, from, to))
            .await
    }

    async fn events(
        &self,
        account: &str,
        from_ms: u64,
        to_ms: u64,
        at_least: usize,
    ) -> Result<Vec<Events>, BankError> {
        let account = account.to_owned();
        self.worker
            .read(move |at| record::events(at, &account, from_ms, to_ms, at_least))
            .await
    }

    async fn forget_events(&self, account: &str, before_ms: u64) -> Result<(), BankError> {
        while self.forget_some(account, before_ms).await? == FORGOTTEN_AT_ONCE {}
        Ok(())
    }
}
