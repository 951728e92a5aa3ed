//! Opens the database that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use tollgate_store::redis::{Redis, RedisSettings};
use tollgate_store::sqlite::{Options, Synchronous, Worker};
use tollgate_store::{Access, Database, StoreError};

use tollgate_config::{BankChoice, Ledger};

/// A command waits at least this long for an answer: nobody's request waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the database that is chosen, within a Tokio runtime.
///
/// # Errors
/// When it cannot be opened, what to do: see [`Worker::open`].
pub fn open(ledger: &Ledger, access: Access) -> Result<Database, StoreError> {
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
            Ok(Database::Sqlite(Arc::new(Worker::open(path, options)?)))
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
