//! The journal's directory: `lock`, `replica`, and one directory for each life, `<epoch>/lock` and `<epoch>/<n>.log`.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use tollgate_store::redis::EXACT;

/// Added to the name of a life's directory before it is deleted, so that half of one is never replayed.
const FINISHED: &str = ".finished";

/// Added to the name of a life's directory when all of it is reported: it is kept for a while, and passed over by a
/// start.
pub(super) const TOLD: &str = ".told";

/// Holds the journal for this process, as long as it lives, and for one that it is handed to.
#[derive(Debug)]
pub(super) struct Lock(pub(super) File);

impl Lock {
    /// Takes it; the directory is made if need be.
    pub(super) fn take(dir: &Path) -> Result<Lock, JournalError> {
        make(dir).map_err(JournalError::io("make the directory", dir))?;
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(JournalError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse {
                dir: dir.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(JournalError::io("lock", &path)(error)),
        }
    }
}

/// Who has the directory of a life.
pub(super) enum Claim {
    /// This process, as long as the file is open; older versions made none.
    Ours(Option<File>),
    /// Another process, which lives it or replays it: it has let go of it once this file can be locked.
    Theirs(File),
}

/// Has a new life's directory held for whoever lives it.
pub(super) fn hold(life: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600);
    let file = file.open(life.join("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Claims the directory of an earlier life, to replay it.
pub(super) fn claim(life: &Path) -> Result<Claim, JournalError> {
    let path = life.join("lock");
    let file = match OpenOptions::new().write(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claim::Ours(None)),
        opened => opened.map_err(JournalError::io("open", &path))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Claim::Ours(Some(file))),
        Err(TryLockError::WouldBlock) => Ok(Claim::Theirs(file)),
        Err(TryLockError::Error(error)) => Err(JournalError::io("lock", &path)(error)),
    }
}

/// Makes a directory, and those above it, for this user only.
pub(super) fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The numbers, ascending, of what is named a number and then `suffix`. Other names are nobody's business.
pub(super) fn numbers(dir: &Path, suffix: &str) -> Result<Vec<u64>, JournalError> {
    let list = || -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(suffix));
            // Only what this program would have written: no `+1`, no `007`, nothing that a bank does not count to.
            if let Some(text) = number
                && let Ok(number) = text.parse::<u64>()
                && number < EXACT
                && number.to_string() == text
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    };
    list().map_err(JournalError::io("list", dir))
}

/// Deletes what [`discard`] had begun to delete.
pub(super) fn sweep(dir: &Path) -> Result<(), JournalError> {
    for epoch in numbers(dir, FINISHED)? {
        let path = dir.join(format!("{epoch}{FINISHED}"));
        match fs::remove_dir_all(&path) {
            // Another process of this replica is deleting it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(JournalError::io("delete", &path))?,
        }
    }
    Ok(())
}

/// Deletes the directory of a life: for a reader of the journal, all at once.
pub(super) fn discard(life: &Path) -> io::Result<()> {
    let finished = rename(life, FINISHED)?;
    fs::remove_dir_all(&finished)
}

/// Gives the directory of a life another ending; says what it is called then.
pub(super) fn rename(life: &Path, ending: &str) -> io::Result<PathBuf> {
    let mut name = life.with_extension("").into_os_string();
    name.push(ending);
    fs::rename(life, &name)?;
    if let Some(parent) = life.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(name.into())
}

/// Reads the first `most` bytes of a file into a buffer, in place of what is there.
pub(super) fn read(file: &Path, most: u64, buffer: &mut Vec<u8>) -> Result<(), JournalError> {
    buffer.clear();
    let read = File::open(file).and_then(|file| file.take(most).read_to_end(buffer));
    read.map(drop).map_err(JournalError::io("read", file))
}
