//! How records lie in a segment: `[length u32][check u32][record]`, little-endian, back to back, then a seal or zeros.
//!
//! The check is the CRC-32 of length and record, turned by where the frame lies (segment and offset). So a frame is
//! valid in its own place only, and bytes of a text, of another segment, or left from before never pass for one.
//!
//! A *seal* is a frame without a record: the segment is finished, and there is a next one. It is what distinguishes a
//! segment that was filled from one whose end was lost.

use std::io;

use serde::Serialize;

use super::record;
use super::segment::HEADER;

/// Bytes before a record: its length and its check.
pub(super) const PREFIX: usize = 8;

/// The longest record, in bytes.
pub(crate) const MAX_RECORD: usize = 64 * 1024;

/// The length that a seal has in place of a record's.
const SEAL: u32 = u32::MAX;

/// A frame that lacks its place: [`Frame::place`] gives it one.
pub(super) struct Frame<'a> {
    bytes: &'a mut [u8],
    crc: u32,
}

impl<'a> Frame<'a> {
    /// Frames a record, in a buffer of at least `PREFIX + MAX_RECORD` bytes.
    pub(super) fn new(record: &impl Serialize, buffer: &'a mut [u8]) -> io::Result<Frame<'a>> {
        let too_long = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a journal record takes at most {MAX_RECORD} bytes"),
            )
        };
        let (prefix, rest) = buffer.split_at_mut(PREFIX);
        let length = record::encode(record, rest).ok_or_else(too_long)?;
        let field = u32::try_from(length).map_err(|_| too_long())?.to_le_bytes();
        prefix[..4].copy_from_slice(&field);
        let crc = crc(&field, &rest[..length]);
        Ok(Frame {
            bytes: &mut buffer[..PREFIX + length],
            crc,
        })
    }

    /// Bytes that it takes.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The frame for one place.
    pub(super) fn place(&mut self, seed: u32, offset: u64) -> &[u8] {
        self.bytes[4..PREFIX].copy_from_slice(&(self.crc ^ turn(seed, offset)).to_le_bytes());
        self.bytes
    }
}

/// The seal for one place.
pub(super) fn seal(seed: u32, offset: u64) -> [u8; PREFIX] {
    let mut bytes = [0; PREFIX];
    let (length, check) = bytes.split_at_mut(4);
    length.copy_from_slice(&SEAL.to_le_bytes());
    check.copy_from_slice(&(crc(length, &[]) ^ turn(seed, offset)).to_le_bytes());
    bytes
}

/// A valid frame around any bytes.
#[cfg(any(test, fuzzing))]
pub(crate) fn around(record: &[u8], seed: u32, offset: u64) -> Vec<u8> {
    let length = u32::try_from(record.len())
        .expect("a short record")
        .to_le_bytes();
    let check = (crc(&length, record) ^ turn(seed, offset)).to_le_bytes();
    [&length, &check, record].concat()
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After a whole record, or without any.
    Open,
    /// With a seal: there is a next segment.
    Sealed,
    /// With bytes that are no frame, and no frame after them.
    Torn {
        /// How many, up to the last that is not zero.
        bytes: u64,
    },
}

/// What a walk through a segment found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// How many whole records there are.
    pub records: u64,
    /// Where they end: bytes from the start of the file.
    pub end: u64,
    /// What comes then.
    pub how: End,
}

/// Something that cannot be: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// In words.
    pub what: &'static str,
}

/// Reads the next record of a segment's bytes, and moves `at` behind it; `None` if no whole one begins there.
pub(super) fn next<'a>(segment: &'a [u8], seed: u32, at: &mut usize) -> Option<&'a [u8]> {
    match frame_at(segment, seed, *at)? {
        Found::Record(record) => {
            *at += PREFIX + record.len();
            Some(record)
        }
        Found::Seal => None,
    }
}

/// Walks through the frames of a whole segment, header included.
pub(super) fn walk(segment: &[u8], seed: u32) -> Result<Walked, Invalid> {
    let used = used(segment).max(HEADER);
    let (mut at, mut records) = (HEADER, 0);
    while let Some(record) = next(segment, seed, &mut at) {
        if !record::is_record(record) {
            return Err(Invalid {
                offset: (at - record.len() - PREFIX) as u64,
                what: "a record that this version of tollgate cannot read",
            });
        }
        records += 1;
    }
    let offset = at as u64;
    let how = if frame_at(segment, seed, at).is_some() {
        if used > at + PREFIX {
            return Err(Invalid {
                offset: offset + PREFIX as u64,
                what: "bytes after the end of a finished segment",
            });
        }
        End::Sealed
    } else if used <= at {
        End::Open
    } else if (at + 1..used).any(|later| frame_at(segment, seed, later).is_some()) {
        return Err(Invalid {
            offset,
            what: "a damaged record with whole ones after it",
        });
    } else {
        End::Torn {
            bytes: (used - at) as u64,
        }
    };
    Ok(Walked {
        records,
        end: offset,
        how,
    })
}

enum Found<'a> {
    Record(&'a [u8]),
    Seal,
}

/// The valid frame that begins at an offset, if there is one.
fn frame_at(segment: &[u8], seed: u32, at: usize) -> Option<Found<'_>> {
    let (prefix, rest) = segment.get(at..)?.split_at_checked(PREFIX)?;
    let (length, check) = prefix.split_at(4);
    let check = word(check) ^ turn(seed, at as u64);
    match word(length) {
        0 => None,
        SEAL => (crc(length, &[]) == check).then_some(Found::Seal),
        bytes => {
            let bytes = usize::try_from(bytes).ok().filter(|n| *n <= MAX_RECORD)?;
            let record = rest.get(..bytes)?;
            (crc(length, record) == check).then_some(Found::Record(record))
        }
    }
}

fn crc(length: &[u8], record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(record);
    hasher.finalize()
}

/// Different for every offset of one segment, since the factor is odd and offsets are below 2³².
#[expect(
    clippy::cast_possible_truncation,
    reason = "a segment is shorter than 4 GiB"
)]
fn turn(seed: u32, offset: u64) -> u32 {
    seed ^ (offset as u32).wrapping_mul(0x9e37_79b1)
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The length without zeros at the end.
fn used(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = bytes.len();
    for chunk in bytes.rchunks(ZEROS.len()) {
        if chunk != &ZEROS[..chunk.len()] {
            let kept = chunk.iter().rposition(|byte| *byte != 0);
            return end - chunk.len() + kept.map_or(0, |last| last + 1);
        }
        end -= chunk.len();
    }
    0
}
