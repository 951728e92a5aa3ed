//! Opens the database that the configuration names.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::Duration;

use tollgate_store::redis::{Redis, RedisSettings};
use tollgate_store::sqlite::{Options, Synchronous, Worker, lock_path};
use tollgate_store::{Access, Database, StoreError};

use super::handover::Handover;
use tollgate_config::{BankChoice, Ledger};

/// A command waits at least this long for an answer: nobody's request waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the database that is chosen for a gateway, within a Tokio runtime; one that takes over from another works beside
/// it.
///
/// # Errors
/// As [`open`].
pub fn open_for_gateway(ledger: &Ledger, handover: &Handover) -> Result<Database, StoreError> {
    let lock = match &ledger.bank {
        BankChoice::Sqlite { path } => {
            let path = fs::canonicalize(path).ok();
            path.and_then(|path| handover.lock(&lock_path(&path)))
        }
        BankChoice::Redis(_) => None,
    };
    let database = opened(ledger, Access::Gateway, lock)?;
    if let Database::Sqlite(worker) = &database {
        let lock = worker.lock();
        let lock =
            lock.map_err(|error| StoreError::Away(format!("no lock to hand on: {error}")))?;
        if let Some((path, lock)) = lock {
            handover.keep_lock(&path, lock);
        }
    }
    Ok(database)
}

/// Opens the database that is chosen, within a Tokio runtime.
///
/// # Errors
/// When it cannot be opened, what to do: see [`Worker::open`].
pub fn open(ledger: &Ledger, access: Access) -> Result<Database, StoreError> {
    opened(ledger, access, None)
}

fn opened(ledger: &Ledger, access: Access, lock: Option<File>) -> Result<Database, StoreError> {
    let timeout = match access {
        Access::Gateway => ledger.timeout,
        Access::Command => ledger.timeout.max(PATIENCE),
    };
    match &ledger.bank {
        BankChoice::Sqlite { path } => {
            // Whoever fears power cuts for the journal fears them for the bank.
            let synchronous = if ledger.fsync {
                Synchronous::Full
            } else {
                Synchronous::Normal
            };
            let options = Options {
                access,
                timeout,
                synchronous,
            };
            Ok(Database::Sqlite(Arc::new(Worker::succeed(
                path, options, lock,
            )?)))
        }
        BankChoice::Redis(settings) => {
            let redis = Redis::open(&RedisSettings {
                timeout,
                ..settings.clone()
            })?;
            Ok(Database::Redis(Arc::new(redis)))
        }
    }
}
