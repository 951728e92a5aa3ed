//! The file `replica`: who this replica is, and its last epoch.
//!
//! One line, `tollgate-journal 1 <holder> <CRC-32 of the holder>`. It is replaced as a whole, on disk before the new
//! epoch is used, so that an epoch is never used twice, even when all that it left behind is deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use crate::bank::Holder;
use tollgate_store::redis::EXACT;

const INTRODUCTION: &str = "tollgate-journal 1";

/// The last life of this replica; `None` before the first.
pub(super) fn read(dir: &Path) -> Result<Option<Holder>, JournalError> {
    let file = path(dir);
    match fs::read_to_string(&file) {
        Ok(text) => match parse(&text) {
            Some(holder) => Ok(Some(holder)),
            None => Err(JournalError::Replica { file }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(JournalError::Replica { file })
        }
        Err(error) => Err(JournalError::io("read", &file)(error)),
    }
}

/// Says that a life begins. It is on disk when this returns.
pub(super) fn write(dir: &Path, holder: Holder) -> Result<(), JournalError> {
    let (file, new) = (path(dir), dir.join("replica.new"));
    let replace = || {
        let mut out = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        out.write_all(line(holder).as_bytes())?;
        out.sync_all()?;
        fs::rename(&new, &file)?;
        File::open(dir)?.sync_all()
    };
    replace().map_err(JournalError::io("write", &file))
}

fn path(dir: &Path) -> PathBuf {
    dir.join("replica")
}

fn line(holder: Holder) -> String {
    let holder = holder.to_string();
    let check = crc32fast::hash(holder.as_bytes());
    format!("{INTRODUCTION} {holder} {check:08x}\n")
}

fn parse(text: &str) -> Option<Holder> {
    let holder: Holder = text
        .strip_prefix(INTRODUCTION)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    (line(holder) == text && holder.epoch < EXACT).then_some(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_so_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None, "before the first life");
        let holder = Holder {
            replica: 0xfeed_0000_0000_0001,
            epoch: 41,
        };
        write(dir.path(), holder).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(holder));
        let text = fs::read(path(dir.path())).unwrap();
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 1;
            fs::write(path(dir.path()), &damaged).unwrap();
            let error = read(dir.path()).unwrap_err();
            assert!(
                matches!(error, JournalError::Replica { .. }),
                "byte {at}: {error}"
            );
            fs::write(path(dir.path()), &text[..at]).unwrap();
            read(dir.path()).unwrap_err();
        }
    }
}
