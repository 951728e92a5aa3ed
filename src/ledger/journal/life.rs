//! An earlier life of this replica: what a restart replays.
//!
//! A life is examined as a whole before anything of it is used or a new one begins; what is damaged is refused then.
//! Examining and reading change nothing on disk: a record that was cut short stays where it is until the life is
//! finished.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory::{self, Lock};
use super::error::JournalError;
use super::frame::{self, End};
use super::record::{self, OwnedRecord};
use super::segment::{self, BadHeader, HEADER, Header};
use crate::bank::Holder;

/// Earlier lives that are kept though all in them is reported.
const MOST_TOLD: usize = 8;

/// An earlier life whose records are still there.
#[derive(Debug)]
pub struct Life {
    holder: Holder,
    nonce: u64,
    dir: PathBuf,
    pages: Pages,
    whole: bool,
    truncated: Option<Truncated>,
    records: u64,
    /// While this exists, no other process takes the journal,
    _lock: Arc<Lock>,
    /// nor this life of it.
    _held: Option<File>,
}

/// A record at the end of a life that was cut short, and so is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// How many bytes are left out. Zero if the file ends too early, but after a whole record.
    pub bytes: u64,
    /// The segment.
    pub file: PathBuf,
    /// Where in it, bytes from its start.
    pub offset: u64,
}

/// Segments of one life that have records, oldest first, as far as they are written.
#[derive(Debug)]
pub(crate) struct Pages {
    dir: PathBuf,
    parts: Vec<Part>,
}

/// A segment that has records.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    seed: u32,
    end: usize,
}

impl Pages {
    /// Of a life's directory: number, seed and end of each segment.
    pub(super) fn new(dir: &Path, segments: impl Iterator<Item = (u64, u32, usize)>) -> Pages {
        let part = |(number, seed, end)| Part {
            path: segment::path(dir, number),
            seed,
            end,
        };
        Pages {
            dir: dir.to_owned(),
            parts: segments.map(part).collect(),
        }
    }

    /// Their records, in the order in which they were appended.
    ///
    /// # Errors
    /// What was readable when the segments were listed is not now.
    pub(crate) fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<OwnedRecord, JournalError>>, JournalError> {
        let mut records = Records {
            dir: &self.dir,
            left: self.parts.iter(),
            part: None,
            bytes: Vec::new(),
            at: 0,
        };
        records.turn_over()?;
        Ok(records)
    }
}

impl Life {
    /// Examines the directory of a life, which is `held`: `None` if nothing was ever recorded there.
    pub(super) fn examine(
        dir: PathBuf,
        epoch: u64,
        lock: Arc<Lock>,
        held: Option<File>,
    ) -> Result<Option<Life>, JournalError> {
        let numbers = directory::numbers(&dir, ".log")?;
        let whole = numbers.first() == Some(&1);
        let mut examined = Examined::default();
        let mut bytes = Vec::new();
        for number in numbers {
            let file = segment::path(&dir, number);
            directory::read(&file, u64::MAX, &mut bytes)?;
            examined
                .segment(&file, &bytes, epoch, number)
                .map_err(|refusal| refusal.into_error(&dir))?;
        }
        let end = examined.end(&dir);
        end.map_err(|refusal| refusal.into_error(&dir))?;
        let Some((holder, nonce)) = examined.who else {
            return Ok(None);
        };
        if examined.records == 0 && examined.truncated.is_none() {
            return Ok(None);
        }
        Ok(Some(Life {
            holder,
            nonce,
            pages: Pages {
                dir: dir.clone(),
                parts: examined.parts,
            },
            dir,
            whole,
            truncated: examined.truncated,
            records: examined.records,
            _lock: lock,
            _held: held,
        }))
    }

    /// Returns who lived it.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// What it drew at its start; 0 in those of older versions.
    pub(crate) fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Whether nothing of it was deleted.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Returns how many records it left.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Returns whether all that it left is a record cut short.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Returns its records, in the order in which they were appended.
    ///
    /// # Errors
    /// What was readable when the journal was opened is not now.
    pub fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<OwnedRecord, JournalError>>, JournalError> {
        self.pages.records()
    }

    /// The record at its end that was cut short, if there is one; [`Life::records`] goes up to it.
    pub(crate) fn truncated(&self) -> Option<Truncated> {
        self.truncated.clone()
    }

    /// Everything in it is reported: keeps it in case the bank forgets that, where a start passes over it; of those
    /// that are kept so, the newest.
    ///
    /// # Errors
    /// What the file system says. The life may be listed again at the next start.
    pub(crate) fn set_aside(self) -> Result<(), JournalError> {
        let kept = directory::rename(&self.dir, directory::TOLD);
        let kept = kept.map_err(JournalError::io("rename", &self.dir))?;
        let dir = kept.parent().unwrap_or(&kept);
        let epochs = directory::numbers(dir, directory::TOLD)?;
        for epoch in &epochs[..epochs.len().saturating_sub(MOST_TOLD)] {
            let old = dir.join(format!("{epoch}{}", directory::TOLD));
            directory::discard(&old).map_err(JournalError::io("delete", &old))?;
        }
        Ok(())
    }

    /// Everything in it has been dealt with: deletes it.
    ///
    /// # Errors
    /// What the file system says. The life is listed again at the next start, or deleted then.
    pub fn finish(self) -> io::Result<()> {
        directory::discard(&self.dir)
    }
}

/// What has been seen of a life so far.
#[derive(Default)]
pub(super) struct Examined {
    /// Who lived it, and the nonce.
    who: Option<(Holder, u64)>,
    parts: Vec<Part>,
    truncated: Option<Truncated>,
    pub(super) records: u64,
    last: Option<u64>,
    /// How the last segment ends, its path, and where.
    end: Option<(End, PathBuf, u64)>,
}

#[derive(Debug)]
pub(super) enum Refusal {
    Newer(PathBuf, u32),
    Corrupt(PathBuf, u64, &'static str),
}

impl Refusal {
    fn into_error(self, life: &Path) -> JournalError {
        match self {
            Refusal::Newer(file, found) => JournalError::Newer { file, found },
            Refusal::Corrupt(file, offset, what) => JournalError::Corrupt {
                file,
                offset,
                what,
                life: life.to_owned(),
            },
        }
    }
}

impl Examined {
    pub(super) fn segment(
        &mut self,
        file: &Path,
        bytes: &[u8],
        epoch: u64,
        number: u64,
    ) -> Result<(), Refusal> {
        let corrupt = |offset, what| Refusal::Corrupt(file.to_owned(), offset, what);
        if self.last.is_some_and(|last| last + 1 != number) {
            return Err(corrupt(0, "the segment before this one is missing"));
        }
        self.last = Some(number);
        let (header, seed) = match Header::decode(bytes) {
            Ok(read) => read,
            Err(BadHeader::Newer(found)) => return Err(Refusal::Newer(file.to_owned(), found)),
            Err(BadHeader::Damaged) if bytes.len() < HEADER => {
                return Err(corrupt(0, "the file ends within its header"));
            }
            Err(BadHeader::Damaged) => return Err(corrupt(0, "its header is damaged")),
        };
        let this = (header.holder, header.nonce);
        let who = *self.who.get_or_insert(this);
        if header.number != segment::short(number) || who != this || header.holder.epoch != epoch {
            return Err(corrupt(0, "its header is that of another segment"));
        }
        let walked =
            frame::walk(bytes, seed).map_err(|invalid| corrupt(invalid.offset, invalid.what))?;
        let used = walked.records > 0 || walked.how != End::Open;
        if used {
            self.follows()?;
        }
        let short = (bytes.len() as u64) < u64::from(header.bytes);
        let torn = match walked.how {
            End::Torn { bytes } => Some(bytes),
            End::Open if short && self.truncated.is_none() => Some(0),
            End::Open | End::Sealed => None,
        };
        if let Some(bytes) = torn {
            self.truncated = Some(Truncated {
                bytes,
                file: file.to_owned(),
                offset: walked.end,
            });
        }
        self.end = Some((walked.how, file.to_owned(), walked.end));
        if walked.records > 0 {
            self.parts.push(Part {
                path: file.to_owned(),
                seed,
                // The walk was over a slice: its end is an index.
                end: usize::try_from(walked.end).unwrap_or(bytes.len()),
            });
        }
        self.records += walked.records;
        Ok(())
    }

    /// A segment that is used can only follow one that was finished.
    fn follows(&self) -> Result<(), Refusal> {
        match &self.end {
            None | Some((End::Sealed, ..)) => Ok(()),
            Some((End::Open, file, offset)) => Err(Refusal::Corrupt(
                file.clone(),
                *offset,
                "the end of this segment is missing, and there are later ones",
            )),
            Some((End::Torn { .. }, file, offset)) => Err(Refusal::Corrupt(
                file.clone(),
                *offset,
                "a damaged record, and there are later segments",
            )),
        }
    }

    /// A finished segment has one after it.
    pub(super) fn end(&self, dir: &Path) -> Result<(), Refusal> {
        match (&self.end, self.last) {
            (Some((End::Sealed, ..)), Some(last)) => Err(Refusal::Corrupt(
                segment::path(dir, last + 1),
                0,
                "this segment is missing",
            )),
            _ => Ok(()),
        }
    }
}

struct Records<'a> {
    dir: &'a Path,
    left: std::slice::Iter<'a, Part>,
    part: Option<&'a Part>,
    bytes: Vec<u8>,
    at: usize,
}

impl Records<'_> {
    /// Goes on to the next segment.
    fn turn_over(&mut self) -> Result<(), JournalError> {
        self.part = self.left.next();
        self.at = HEADER;
        match self.part {
            // What is preallocated behind it is many times as much.
            Some(part) => directory::read(&part.path, part.end as u64, &mut self.bytes),
            None => Ok(()),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<OwnedRecord, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let part = self.part?;
            if self.at < part.end {
                let offset = self.at as u64;
                let record = frame::next(&self.bytes, part.seed, &mut self.at);
                return Some(match record.and_then(record::decode) {
                    Some(record) => Ok(record),
                    None => {
                        self.part = None;
                        Err(JournalError::Corrupt {
                            file: part.path.clone(),
                            offset,
                            what: "this was whole a moment ago",
                            life: self.dir.to_owned(),
                        })
                    }
                });
            }
            if let Err(error) = self.turn_over() {
                self.part = None;
                return Some(Err(error));
            }
        }
    }
}
