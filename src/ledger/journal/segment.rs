//! A segment: a file of fixed length, preallocated, so that a full disk shows before its room is needed.
//!
//! It appears under its name only when it is whole: header written, zeros behind it, on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::writer::Writer;
use crate::bank::Holder;
use crate::events::ADDED;

/// Bytes of a segment's header.
pub(super) const HEADER: usize = 48;

/// The format that this version writes, and the newest that it reads.
pub(super) const VERSION: u32 = 4 + ADDED as u32;

/// The last version without a nonce, whose headers have wider lengths and numbers in its place.
const WITHOUT_NONCE: u32 = 2;

const MAGIC: [u8; 8] = *b"tgjournl";

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whose journal.
    pub holder: Holder,
    /// What this life drew at its start; 0 in those of versions before 3.
    pub nonce: u64,
    /// Which segment of it, from 1: its last 32 bits.
    pub number: u32,
    /// The file's length, bytes.
    pub bytes: u32,
}

/// The part of a segment's number that its header has.
#[expect(
    clippy::cast_possible_truncation,
    reason = "neighbours differ in it, and a life has not twice as many"
)]
pub(super) fn short(number: u64) -> u32 {
    number as u32
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
        bytes[12..16].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.number.to_le_bytes());
        let fields = [self.holder.replica, self.holder.epoch, self.nonce];
        for (place, field) in bytes[20..44].chunks_exact_mut(8).zip(fields) {
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
            let version = word(8)?;
            let (nonce, number, bytes) = if version <= WITHOUT_NONCE {
                // Neither was ever as large.
                let bytes = u32::try_from(long(12)?).unwrap_or(u32::MAX);
                (0, short(long(36)?), bytes)
            } else {
                (long(36)?, word(16)?, word(12)?)
            };
            let header = Header {
                holder,
                nonce,
                number,
                bytes,
            };
            Ok((header, version, word(44)?))
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
    pub(super) fn create(
        dir: &Path,
        (holder, nonce): (Holder, u64),
        number: u64,
        bytes: u32,
    ) -> io::Result<Fresh> {
        let header = Header {
            holder,
            nonce,
            number: short(number),
            bytes,
        };
        let new = dir.join(format!("{number}.new"));
        let fresh = Fresh::write(dir, &new, number, &header);
        if fresh.is_err()
            && let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("journal: cannot remove {}: {error}", new.display());
        }
        fresh
    }

    fn write(dir: &Path, new: &Path, number: u64, header: &Header) -> io::Result<Fresh> {
        let mut writer = Writer::create(new, header.bytes.into())?;
        let (bytes, seed) = header.encode();
        writer.put(&bytes, 0)?;
        writer.file().sync_all()?;
        fs::rename(new, path(dir, number))?;
        File::open(dir)?.sync_all()?;
        Ok(Fresh {
            writer,
            number,
            seed,
        })
    }
}
