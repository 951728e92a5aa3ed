//! Where a journal grows: the current segment, the prepared next one, and which earlier ones are still needed, or kept
//! in case they are.
//!
//! Invariants: the segments kept are consecutive, and the last of them is the current one; a segment is sealed before
//! the next one is written to, and is left only when there is a next one.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Lag;
use super::frame::{self, Frame, PREFIX};
use super::segment::{Fresh, HEADER};
use super::writer::Writer;

/// The part of a journal that its lock guards.
pub(super) struct Tail {
    /// A segment's length.
    bytes: u64,
    writer: Writer,
    number: u64,
    seed: u32,
    /// Where the next record goes.
    at: u64,
    next: Option<Fresh>,
    kept: VecDeque<Kept>,
    /// Records appended in this life.
    appended: u64,
}

/// A segment that is still needed.
struct Kept {
    number: u64,
    seed: u32,
    /// Records that are not released.
    live: u64,
    /// Since when it was seen to have none.
    released: Option<Instant>,
    /// Bytes written to it; of the current one, those before it became current.
    bytes: u64,
    /// Its file, unless all of it is known to be on disk.
    unsynced: Option<Arc<std::fs::File>>,
}

/// What became of a frame.
pub(super) enum Appended {
    /// It is written, to the segment with this number.
    Written(u64),
    /// There is no room for it, and no next segment.
    NoRoom,
}

impl Tail {
    /// Begins with a first segment; `bytes` is the length of every segment.
    pub(super) fn new(first: Fresh, bytes: u64) -> Tail {
        let kept = Kept {
            number: first.number,
            seed: first.seed,
            live: 0,
            released: None,
            bytes: 0,
            unsynced: Some(Arc::clone(first.writer.file())),
        };
        Tail {
            bytes,
            writer: first.writer,
            number: first.number,
            seed: first.seed,
            at: HEADER as u64,
            next: None,
            kept: VecDeque::from([kept]),
            appended: 0,
        }
    }

    /// Writes a frame, to the next segment if this one is full.
    ///
    /// # Errors
    /// What the file system says. Then the record is not in the journal.
    pub(super) fn append(&mut self, frame: &mut Frame<'_>) -> io::Result<Appended> {
        // There is always room for a seal.
        if self.at + frame.len() + PREFIX as u64 > self.bytes && !self.turn_over()? {
            return Ok(Appended::NoRoom);
        }
        let framed = frame.place(self.seed, self.at);
        self.writer.put(framed, self.at)?;
        self.at += frame.len();
        self.appended += 1;
        if let Some(current) = self.kept.back_mut() {
            current.live += 1;
        }
        Ok(Appended::Written(self.number))
    }

    /// Finishes the current segment and goes on to the next one, if there is one.
    fn turn_over(&mut self) -> io::Result<bool> {
        let Some(next) = self.next.take() else {
            return Ok(false);
        };
        let seal = frame::seal(self.seed, self.at);
        if let Err(error) = self.writer.put(&seal, self.at) {
            self.next = Some(next);
            return Err(error);
        }
        if let Some(finished) = self.kept.back_mut() {
            finished.bytes = self.at;
        }
        self.writer = next.writer;
        self.number = next.number;
        self.seed = next.seed;
        self.at = HEADER as u64;
        self.kept.push_back(Kept {
            number: next.number,
            seed: next.seed,
            live: 0,
            released: None,
            bytes: 0,
            unsynced: Some(Arc::clone(self.writer.file())),
        });
        Ok(true)
    }

    /// The number that the next segment must have; `None` if it is there.
    pub(super) fn wanted(&self) -> Option<u64> {
        self.next.is_none().then_some(self.number + 1)
    }

    /// Takes the next segment.
    pub(super) fn supply(&mut self, next: Fresh) {
        debug_assert_eq!(self.wanted(), Some(next.number), "one at a time, in order");
        self.next = Some(next);
    }

    /// Counts records of a segment as not needed any more. False if it has not so many, which then stays as it is:
    /// better kept for ever than deleted too early.
    #[must_use]
    pub(super) fn release(&mut self, segment: u64, count: u64) -> bool {
        let kept = self.kept.iter_mut().find(|kept| kept.number == segment);
        let left = kept.and_then(|kept| Some((kept.live.checked_sub(count)?, kept)));
        left.map(|(left, kept)| kept.live = left).is_some()
    }

    /// The oldest segment, if it is not needed any more, and has not been for as long as it shall be kept; or if more
    /// than `most` are not needed.
    pub(super) fn oldest_over(&mut self, now: Instant, keep: Duration, most: usize) -> Option<u64> {
        let mut idle = 0;
        for kept in &mut self.kept {
            let released = kept.live == 0 && kept.number != self.number;
            kept.released = released.then(|| kept.released.unwrap_or(now));
            idle += usize::from(released);
        }
        let oldest = self.kept.front()?;
        let over = now.saturating_duration_since(oldest.released?) >= keep || idle > most;
        over.then_some(oldest.number)
    }

    /// Number, seed and end of each segment that is not deleted.
    pub(super) fn segments(&self) -> impl Iterator<Item = (u64, u32, usize)> {
        self.kept.iter().map(|kept| {
            let current = kept.number == self.number;
            let end = if current { self.at } else { kept.bytes };
            // A segment is a mapping, or was read as a whole: its length is an index.
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            (kept.number, kept.seed, end)
        })
    }

    /// The oldest segment is deleted.
    pub(super) fn forget_oldest(&mut self) {
        self.kept.pop_front();
    }

    /// Records appended in this life.
    pub(super) fn appended(&self) -> u64 {
        self.appended
    }

    /// The files of segments that may not be on disk as a whole, oldest first: those before the current one, or that
    /// one too. And how many records have been appended.
    pub(super) fn unsynced(&self, current: bool) -> (Vec<(u64, Arc<std::fs::File>)>, u64) {
        let files = self
            .kept
            .iter()
            .filter(|kept| current || kept.number != self.number)
            .filter_map(|kept| Some((kept.number, Arc::clone(kept.unsynced.as_ref()?))));
        (files.collect(), self.appended)
    }

    /// A segment was written to disk; if it was finished by then, all of it is.
    pub(super) fn synced(&mut self, segment: u64) {
        let current = self.number;
        let kept = self.kept.iter_mut().find(|kept| kept.number == segment);
        if let Some(kept) = kept.filter(|kept| kept.number != current) {
            kept.unsynced = None;
        }
    }

    /// Writes zeros where the next record goes: whether writing works.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        self.writer.probe(PREFIX, self.at)
    }

    /// What is in the journal and not released.
    pub(super) fn lag(&self) -> Lag {
        Lag {
            records: self.kept.iter().map(|kept| kept.live).sum(),
            bytes: self.kept.iter().map(|kept| kept.bytes).sum::<u64>() + self.at,
            segments: self.kept.len(),
        }
    }
}
