//! Why a journal cannot be opened or read, said to an operator.

use std::io;
use std::path::{Path, PathBuf};

use super::segment::VERSION;

/// Why a journal cannot be opened or read. Nothing on disk was changed or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has it open.
    #[error(
        "the journal `{}` is in use by another process: stop that one, or give this one a directory of its own (`ledger.journal`)",
        dir.display()
    )]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// The file system says no.
    #[error("cannot {doing} `{}`: {error}", path.display())]
    Io {
        /// What was tried: a verb.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A newer version of this program wrote it.
    #[error(
        "`{}` has format version {found}, and this version of tollgate reads up to {VERSION}: start the newer tollgate that wrote it, until it has told the bank what is in there; nothing was changed",
        file.display()
    )]
    Newer {
        /// The segment.
        file: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// Something is damaged, or missing, that is not just an unfinished record at the very end.
    #[error(
        "the journal is damaged: `{}`, byte {offset}: {what}. Nothing was changed or deleted. Restore the file from a backup; or move the directory `{}` away and start again: allotments lent to that life then return when their lease ends, and what is recorded there is not charged",
        file.display(), life.display()
    )]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Bytes from its start.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
        /// The directory of the life that it belongs to.
        life: PathBuf,
    },
    /// The file that names the replica is damaged.
    #[error(
        "`{}` is damaged: it must say which replica this is. Nothing was changed or deleted. Restore it from a backup; or delete it and start again: this becomes a new replica, which replays what is in the journal all the same",
        file.display()
    )]
    Replica {
        /// The file.
        file: PathBuf,
    },
}

impl JournalError {
    /// For `map_err`: what was tried, with which path.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.to_owned();
        move |error| JournalError::Io { doing, path, error }
    }
}
