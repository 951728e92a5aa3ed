//! The bank that a configuration names.

use std::sync::Arc;

use super::sqlite::{Options, SqliteBank, Synchronous};
use super::{Access, Bank, BankError};
use crate::config::{BankChoice, Ledger};

/// Opens it. A Redis bank is not connected yet; within a tokio runtime only.
///
/// # Errors
/// When a file is in use, corrupt, or of a newer version; when certificates cannot be read.
pub fn open(settings: &Ledger, access: Access) -> Result<Arc<dyn Bank>, BankError> {
    match &settings.bank {
        BankChoice::Sqlite { path } => {
            let options = Options {
                access,
                timeout: settings.timeout,
                synchronous: if settings.fsync {
                    Synchronous::Full
                } else {
                    Synchronous::Normal
                },
            };
            Ok(Arc::new(SqliteBank::open(path, options)?))
        }
        BankChoice::Redis(_) => Err(BankError::Refused("the Redis bank comes next".to_owned())),
    }
}
