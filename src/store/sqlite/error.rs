//! What SQLite's errors mean to those who use the database, and what an operator can do about them.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::StoreError;

/// The words for an error about the database at `path`.
pub(super) fn explain(path: &Path, error: &Error) -> StoreError {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Away(format!(
            "the disk of the database {path} is full: free some space, it goes on by itself"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Away(format!(
            "the database {path} is locked by another process for too long: end a command or a tool that has \
             it open"
        )),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::Away(format!(
                "the database {path} cannot be opened or written ({error}): its file, its folder and the files \
                 beside it must belong to the gateway's user, on a file system that can be written"
            ))
        }
        Some(ErrorCode::NotADatabase) => StoreError::Corrupt(format!(
            "{path} is not a SQLite database: move the file away, or set `ledger.sqlite.path` to another one"
        )),
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt(format!(
            "the database {path} is damaged ({error}): stop the gateway, keep a copy of the file with its -wal, \
             and restore a backup, or save what can be read with `sqlite3 {path} .recover`"
        )),
        Some(_) => StoreError::Away(format!("the database {path} does not work now: {error}")),
        None => StoreError::Corrupt(format!(
            "the database {path} does not hold what it should: {error}"
        )),
    }
}
