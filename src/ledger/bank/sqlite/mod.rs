//! The bank of one machine: a SQLite file, beside the gateway.
//!
//! The file has one thread that owns it ([`tollgate_store::sqlite`]), and each message is carried out by itself, all
//! or nothing. What a message does is decided by [`super::account`] on what of the account can matter to it, and only
//! rows that it changed are written.

mod days;
mod image;
mod record;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use tollgate_store::sqlite::{At, Worker};
use tollgate_store::{Moment, StoreError};

use crate::NanoUsd;

use super::sealed::{self, Part};
use super::{
    Bank, Books, CreditStore, Day, EventReader, Events, Exchange, Meter, NewGrant, Reply, Rollup,
};

/// A bank in a SQLite file.
#[derive(Debug)]
pub struct SqliteBank {
    worker: Arc<Worker>,
}

/// Batches of usage events, or meters, that are forgotten in one transaction: the others do not wait long.
const FORGOTTEN_AT_ONCE: usize = 500;

impl SqliteBank {
    /// Returns a bank in an open file.
    pub fn new(worker: Arc<Worker>) -> SqliteBank {
        SqliteBank { worker }
    }

    /// A part of the totals of some days, both included.
    async fn part(
        &self,
        account: &str,
        part: Part,
        (from, to): (Day, Day),
    ) -> Result<Vec<Rollup>, StoreError> {
        let (worker, name) = (&self.worker, Arc::<str>::from(account));
        let account = name.clone();
        let days = worker.read(move |at| days::days(at, &account, part, (from, to)));
        let read = move |day: Day| {
            let (account, again) = (name.clone(), name.clone());
            async move {
                if sealed::is_over(day, Moment::here().sure) {
                    let seal = move |at: At<'_>| days::seal(at, &account, part, day);
                    // Where nothing can be written, everything can be read all the same.
                    if let Ok(rows) = worker.write(seal).await {
                        return Ok(rows);
                    }
                }
                worker
                    .read(move |at| days::day(at, &again, part, day))
                    .await
            }
        };
        sealed::all(days.await?, part, read).await
    }

    async fn forget_some(&self, account: &str, before_ms: u64) -> Result<usize, StoreError> {
        let account = account.to_owned();
        self.worker
            .write(move |at| record::forget(at, &account, before_ms, FORGOTTEN_AT_ONCE))
            .await
    }
}

#[async_trait]
impl CreditStore for SqliteBank {
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, StoreError>> {
        let count = messages.len();
        let messages = messages.to_vec();
        let apply = move |at: At<'_>| {
            let each = messages.iter().map(|message| {
                message.check()?;
                at.atomic(|at| rows::exchange(at, message))?
            });
            Ok(each.collect())
        };
        match self.worker.write(apply).await {
            Ok(replies) => replies,
            Err(error) => vec![Err(error); count],
        }
    }

    async fn grant(&self, account: &str, grant: &NewGrant) -> Result<bool, StoreError> {
        grant.check()?;
        let (account, grant) = (account.to_owned(), grant.clone());
        self.worker
            .write(move |at| rows::grant(at, &account, &grant))
            .await?
    }

    async fn books(&self, account: &str) -> Result<Books, StoreError> {
        let account = account.to_owned();
        self.worker.write(move |at| rows::books(at, &account)).await
    }
}

#[async_trait]
impl Bank for SqliteBank {
    async fn accounts(&self) -> Result<Vec<String>, StoreError> {
        self.worker.read(rows::accounts).await
    }

    async fn rollups(&self, account: &str, from: Day, to: Day) -> Result<Vec<Rollup>, StoreError> {
        self.part(account, Part::Each, (from, to)).await
    }

    async fn rollups_by_model(
        &self,
        account: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Rollup>, StoreError> {
        self.part(account, Part::ByModel, (from, to)).await
    }

    async fn recounted(&self, account: &str) -> Result<NanoUsd, StoreError> {
        let account = account.to_owned();
        self.worker
            .read(move |at| record::recounted(at, &account))
            .await
    }

    async fn tag_rollups(
        &self,
        account: &str,
        name: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<Rollup>, StoreError> {
        let rows = self.part(account, Part::ByTag, (from, to)).await?;
        Ok(sealed::of_tag(rows, name))
    }

    async fn used(&self, account: &str, meters: &[Meter]) -> Result<Vec<(u64, i64)>, StoreError> {
        let (account, meters) = (account.to_owned(), meters.to_vec());
        self.worker
            .read(move |at| record::used(at, &account, &meters))
            .await
    }

    async fn most_used(
        &self,
        account: &str,
        budget: &Meter,
        window: u64,
        least: i64,
    ) -> Result<Vec<(Arc<str>, i64)>, StoreError> {
        let (account, budget) = (account.to_owned(), budget.clone());
        self.worker
            .read(move |at| record::most_used(at, &account, &budget, window, least))
            .await
    }

    async fn forget_meters(&self, account: &str, now: u64) -> Result<(), StoreError> {
        loop {
            let account = account.to_owned();
            let some = self
                .worker
                .write(move |at| record::forget_meters(at, &account, now, FORGOTTEN_AT_ONCE));
            if some.await? < FORGOTTEN_AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn forget_events(&self, account: &str, before_ms: u64) -> Result<(), StoreError> {
        while self.forget_some(account, before_ms).await? == FORGOTTEN_AT_ONCE {}
        Ok(())
    }
}

#[async_trait]
impl EventReader for SqliteBank {
    async fn events(
        &self,
        account: &str,
        from_ms: u64,
        to_ms: u64,
        at_least: usize,
    ) -> Result<Vec<Events>, StoreError> {
        let account = account.to_owned();
        self.worker
            .read(move |at| record::events(at, &account, from_ms, to_ms, at_least))
            .await
    }

    async fn request_span(
        &self,
        account: &str,
        request: &str,
    ) -> Result<Option<(u64, u64)>, StoreError> {
        let (account, request) = (account.to_owned(), request.to_owned());
        self.worker
            .read(move |at| record::request_span(at, &account, &request))
            .await
    }
}
