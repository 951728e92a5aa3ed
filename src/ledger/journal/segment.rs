//! A segment: a file of fixed length, preallocated, so that a full disk shows before its room is needed.
//!
//! It appears under its name only when it is whole: header written, zeros behind it, on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::writer::Writer;
use crate::bank::Holder;

/// Bytes of a segment's header.
pub(super) const HEADER: usize = 48;

/// The format that this version writes, and the newest that it reads.
pub(super) const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"tgjournl";

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whose journal.
    pub holder: Holder,
    /// Which segment of it, from 1.
    pub number: u64,
    /// The file's length, bytes.
    pub bytes: u64,
}

/// Why bytes are not a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Of a newer version of this program.
    Newer(u32),
    /// Not what was written.
    Damaged,
}

impl Header {
    /// As it is on disk, and the seed of the segment's checks.
    pub(super) fn encode(&self) -> ([u8; HEADER], u32) {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let fields = [
            self.bytes,
            self.holder.replica,
            self.holder.epoch,
            self.number,
        ];
        for (place, field) in bytes[12..44].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let seed = crc32fast::hash(&bytes[..44]);
        bytes[44..].copy_from_slice(&seed.to_le_bytes());
        (bytes, seed)
    }

    /// Reads the start of a segment, and the seed of its checks.
    pub(super) fn decode(segment: &[u8]) -> Result<(Header, u32), BadHeader> {
        let header = segment.get(..HEADER).ok_or(BadHeader::Damaged)?;
        let word = |at: usize| header[at..at + 4].try_into().map(u32::from_le_bytes);
        let long = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes);
        let read = || -> Result<_, std::array::TryFromSliceError> {
            let holder = Holder {
                replica: long(20)?,
                epoch: long(28)?,
            };
            let header = Header {
                holder,
                number: long(36)?,
                bytes: long(12)?,
            };
            Ok((header, word(8)?, word(44)?))
        };
        let (decoded, version, seed) = read().map_err(|_| BadHeader::Damaged)?;
        if header[..8] != MAGIC {
            return Err(BadHeader::Damaged);
        }
        if version > VERSION {
            return Err(BadHeader::Newer(version));
        }
        if version == 0 || crc32fast::hash(&header[..44]) != seed {
            return Err(BadHeader::Damaged);
        }
        Ok((decoded, seed))
    }
}

/// A segment's path.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number}.log"))
}

/// A segment without records, ready to be written to.
pub(super) struct Fresh {
    /// Writes to its file.
    pub writer: Writer,
    /// Its number.
    pub number: u64,
    /// The seed of its checks.
    pub seed: u32,
}

impl Fresh {
    /// Makes the file of a segment. If that fails, nothing is left of it.
    pub(super) fn create(dir: &Path, header: &Header) -> io::Result<Fresh> {
        let new = dir.join(format!("{}.new", header.number));
        let fresh = Fresh::write(dir, &new, header);
        if fresh.is_err()
            && let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("journal: cannot remove {}: {error}", new.display());
        }
        fresh
    }

    fn write(dir: &Path, new: &Path, header: &Header) -> io::Result<Fresh> {
        let mut writer = Writer::create(new, header.bytes)?;
        let (bytes, seed) = header.encode();
        writer.put(&bytes, 0)?;
        writer.file().sync_all()?;
        fs::rename(new, path(dir, header.number))?;
        File::open(dir)?.sync_all()?;
        Ok(Fresh {
            writer,
            number: header.number,
            seed,
        })
    }
}
