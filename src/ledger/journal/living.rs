//! What a process that took over waits for: the lives that the one before it has not done with.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::directory::{self, Lock};
use super::error::JournalError;
use super::life::Life;

/// A life of this directory that another process still lives, or replays.
#[derive(Debug)]
pub struct Living {
    dir: PathBuf,
    epoch: u64,
    file: File,
    lock: Arc<Lock>,
}

impl Living {
    pub(super) fn new(dir: PathBuf, epoch: u64, file: File, lock: Arc<Lock>) -> Living {
        Living {
            dir,
            epoch,
            file,
            lock,
        }
    }

    /// Returns whether its process has ended, or let go of it. Does not wait.
    pub fn has_ended(&self) -> bool {
        self.file.try_lock().is_ok()
    }

    /// Returns what it left, once it has ended; `None` if that is nothing, or was dealt with.
    ///
    /// # Errors
    /// As [`super::Journal::open`].
    pub fn left(self) -> Result<Option<Life>, JournalError> {
        if !self.dir.exists() {
            return Ok(None);
        }
        let left = Life::examine(self.dir.clone(), self.epoch, self.lock, Some(self.file))?;
        if left.is_none() {
            let deleted = directory::discard(&self.dir);
            deleted.map_err(JournalError::io("delete", &self.dir))?;
        }
        Ok(left)
    }
}
