//! A replica's append-only record of what it promised and settled; what a restart replays.
//!
//! ```text
//! <dir>/lock                one gateway at a time
//! <dir>/replica             who this replica is, and its last epoch
//! <dir>/<epoch>/lock        whoever lives a life, or replays it
//! <dir>/<epoch>/<n>.log     a life's segments, each preallocated
//! <dir>/<epoch>.told/       a life that the bank has all of, kept for a while
//! ```
//!
//! A gateway is one process, or several of which one has taken over from the other: the lock is handed on, each has a life
//! and a replica's name of its own, and what one leaves the next replays once it has ended ([`Journal::succeed`]).
//!
//! Each start is a new *life* with a directory and a random nonce of its own; earlier lives are read, and deleted when
//! they have been dealt with, but never written to. A record is in the kernel when [`Journal::append`] returns, so that the
//! death of the process loses nothing; [`Fsync::Always`] with [`Journal::on_disk`] is for power cuts.
//!
//! Invariant: the records of a life that are read back are exactly the first so many that were appended to it, whole
//! and in order; all of them, if every append returned. What cannot be read so is refused, and nothing is changed.

mod directory;
mod durable;
mod error;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod life;
mod living;
mod mapping;
mod open;
mod options;
mod record;
mod replica;
mod segment;
mod tail;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tollgate_base::clock;

pub(crate) use error::JournalError;
pub(crate) use frame::MAX_RECORD;
pub(crate) use life::Pages;
pub use life::{Life, Truncated};
pub use living::Living;
pub use options::{Fsync, Options};
pub(crate) use record::OwnedRecord;
pub use record::{Entry, Held, Record};

use directory::{Claim, Lock};
use durable::Durable;
use frame::{Frame, PREFIX};
use segment::{Fresh, HEADER};
use tail::{Appended, Tail};

use super::bank::Holder;

/// The shortest segment, bytes: one that any record fits into.
const LEAST: u64 = (HEADER + PREFIX + MAX_RECORD + PREFIX) as u64;

/// The longest segment, bytes: a restart reads them one by one into memory.
const MOST: u64 = 1 << 30;

/// Segments that are kept though nothing in them is needed.
const MOST_KEPT: usize = 16;

/// A segment of this life: what is appended counts as one reference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment(u64);

/// What [`Journal::maintain`] did.
#[derive(Debug, Default)]
#[must_use]
pub struct Maintenance {
    /// A next segment was made.
    pub prepared: bool,
    /// How many segments were deleted.
    pub deleted: usize,
    /// What went wrong, with what was tried. It is tried again the next time; log it when [`Journal::ready`] changes.
    pub fault: Option<io::Error>,
}

/// What is in this life's journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Records that are not released.
    pub records: u64,
    /// Bytes written to segments that are not deleted.
    pub bytes: u64,
    /// Segments that are not deleted, the current one included, the prepared one not: at least 1.
    pub segments: usize,
}

/// A replica's journal, in its present life.
pub struct Journal {
    dir: PathBuf,
    holder: Holder,
    nonce: u64,
    /// Who the bank is told that this life is, and the nonce of that.
    name: Mutex<(Holder, u64)>,
    /// How long segments are kept that are released.
    keep: Duration,
    /// Held while the journal is read: nothing is deleted meanwhile.
    reading: Mutex<()>,
    fsync: Fsync,
    segment_bytes: u32,
    tail: Mutex<Tail>,
    durable: Durable,
    /// Held while a segment is being made or deleted: one thread at a time does.
    upkeep: Mutex<()>,
    /// The next segment could not be made.
    cramped: AtomicBool,
    /// An append failed.
    failed: AtomicBool,
    lock: Arc<Lock>,
    /// Keeps others from replaying this life.
    _held: fs::File,
}

thread_local! {
    /// Where a thread frames its records.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; PREFIX + MAX_RECORD].into());
}

impl Journal {
    /// Returns who this life of the replica is.
    pub fn holder(&self) -> Holder {
        self.holder
    }

    /// Returns who the bank is told that this life is, and the nonce of that: itself, until somebody else is found to use
    /// its name.
    pub(crate) fn name(&self) -> (Holder, u64) {
        *self.name.lock()
    }

    /// Takes another name, random, in the place of one that somebody else uses, unless that is done already; and has the
    /// next life of this directory begin with it.
    ///
    /// # Errors
    /// What the system says. Then the old name stays.
    pub(crate) fn rename(&self, from: Holder) -> Result<(Holder, u64), JournalError> {
        let mut name = self.name.lock();
        if name.0 == from {
            let dir = self.dir();
            let holder = Holder {
                replica: random(dir)?,
                ..self.holder
            };
            let nonce = random(dir)?;
            replica::write(dir, holder)?;
            *name = (holder, nonce);
        }
        Ok(*name)
    }

    /// Returns the error of a record that could not be appended.
    pub(crate) fn unwritten(&self, error: io::Error) -> JournalError {
        JournalError::io("write to the journal in", &self.dir)(error)
    }

    /// Returns earlier lives that were reported and set aside, oldest first. One that cannot be read is left out.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub(crate) fn set_aside(&self) -> Result<Vec<Life>, JournalError> {
        let dir = self.dir();
        let examine = |epoch: u64| {
            let path = dir.join(format!("{epoch}{}", directory::TOLD));
            let examined = match directory::claim(&path) {
                Ok(Claim::Theirs(_)) => Ok(None),
                Ok(Claim::Ours(held)) => Life::examine(path, epoch, Arc::clone(&self.lock), held),
                Err(error) => Err(error),
            };
            examined
                .inspect_err(|error| log::warn!("{error}"))
                .ok()
                .flatten()
        };
        let epochs = directory::numbers(dir, directory::TOLD)?;
        Ok(epochs.into_iter().filter_map(examine).collect())
    }

    /// Returns the directory of all lives.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// Reads this life's records so far; nothing is deleted meanwhile. Waits for the disk.
    ///
    /// # Errors
    /// What `read` returns.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Pages) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let _reading = self.reading.lock();
        let pages = Pages::new(&self.dir, self.tail.lock().segments());
        read(&pages)
    }

    /// Appends a record: it is in the kernel when this returns. The segment that it went to is kept until it is released.
    ///
    /// # Errors
    /// The record takes more than `MAX_RECORD` bytes (`InvalidInput`): nothing else is the matter. Any other error
    /// makes the journal not [`Journal::ready`]; the record is not in it.
    pub fn append<S, L, A>(&self, record: &Entry<S, L, A>) -> io::Result<Segment>
    where
        Entry<S, L, A>: Serialize,
    {
        BUFFER.with_borrow_mut(|buffer| {
            let mut frame = Frame::new(record, buffer)?;
            let written = self.write(&mut frame);
            if written.is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            written
        })
    }

    fn write(&self, frame: &mut Frame<'_>) -> io::Result<Segment> {
        loop {
            let appended = self.tail.lock().append(frame)?;
            match appended {
                Appended::Written(segment) => return Ok(Segment(segment)),
                // The background thread did not get to it: slow, but there it is.
                Appended::NoRoom => {
                    let _one = self.upkeep.lock();
                    self.prepare()?;
                }
            }
        }
    }

    /// Takes note that `count` records of a segment are not needed any more.
    pub fn release(&self, segment: Segment, count: u32) {
        if !self.tail.lock().release(segment.0, count.into()) {
            log::error!(
                "journal: {count} records of segment {} are released that it does not have; it stays",
                segment.0
            );
        }
    }

    /// Makes the next segment ahead of its need, and deletes those at the beginning whose records have all been
    /// released, once they were kept for long enough. To be called about twice a second, from a thread that may wait for the disk.
    pub fn maintain(&self) -> Maintenance {
        let _one = self.upkeep.lock();
        let mut done = Maintenance::default();
        let mut steps = || -> io::Result<()> {
            // Deleting first: it may be what makes room.
            while self.delete_oldest(self.keep, MOST_KEPT)? {
                done.deleted += 1;
            }
            done.prepared = self.prepare()?;
            if self.failed.load(Ordering::Relaxed) && !self.durable.is_broken() {
                let probed = self.tail.lock().probe();
                probed.map_err(saying("write to the journal in", &self.dir))?;
                self.failed.store(false, Ordering::Relaxed);
            }
            self.settle_down()
        };
        done.fault = steps().err();
        done
    }

    /// Returns whether the journal takes new promises: the next segment is there, and appending works. If not, what is
    /// under way still has the room that is left in the current segment. It becomes true again by itself, through
    /// [`Journal::maintain`], unless an `fdatasync` failed: that ends with a restart.
    pub fn ready(&self) -> bool {
        !self.cramped.load(Ordering::Relaxed) && !self.failed.load(Ordering::Relaxed)
    }

    /// Returns what is in this life's journal.
    pub fn lag(&self) -> Lag {
        self.tail.lock().lag()
    }

    /// Deletes the oldest segment if it may be; whether it did. By one thread at a time.
    fn delete_oldest(&self, keep: Duration, most: usize) -> io::Result<bool> {
        let Some(_not_read) = self.reading.try_lock() else {
            return Ok(false);
        };
        let oldest = self.tail.lock().oldest_over(clock::now(), keep, most);
        let Some(number) = oldest else {
            return Ok(false);
        };
        let file = segment::path(&self.dir, number);
        fs::remove_file(&file).map_err(saying("delete", &file))?;
        self.tail.lock().forget_oldest();
        Ok(true)
    }

    /// Makes the next segment if there is none; whether it did. By one thread at a time.
    fn prepare(&self) -> io::Result<bool> {
        let Some(number) = self.tail.lock().wanted() else {
            return Ok(false);
        };
        let who = (self.holder, self.nonce);
        let made = loop {
            match Fresh::create(&self.dir, who, number, self.segment_bytes) {
                // What is only kept in case the bank forgets gives way to what is not reported yet.
                Err(_) if self.delete_oldest(Duration::ZERO, 0)? => {}
                made => break made,
            }
        };
        self.cramped.store(made.is_err(), Ordering::Relaxed);
        let next = made.map_err(saying(
            "make the next segment",
            &segment::path(&self.dir, number),
        ))?;
        self.tail.lock().supply(next);
        Ok(true)
    }

    /// Writes finished segments to disk, so that a power cut can only harm the current one.
    fn settle_down(&self) -> io::Result<()> {
        if self.fsync == Fsync::Always {
            return Ok(());
        }
        let (finished, _) = self.tail.lock().unsynced(false);
        for (number, file) in finished {
            // A failure is reported once: trying again would only pretend.
            self.tail.lock().synced(number);
            file.sync_data()
                .map_err(saying("write out", &segment::path(&self.dir, number)))?;
        }
        Ok(())
    }
}

/// 64 bits that no copy of this process, or of its machine, draws as well.
fn random(dir: &Path) -> Result<u64, JournalError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        JournalError::io("draw a random name for", dir)(io::Error::other(error.to_string()))
    })?;
    Ok(u64::from_le_bytes(bytes))
}

/// For `map_err`: what was tried, with which file.
fn saying(doing: &str, file: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        let said = format!("cannot {doing} `{}`: {error}", file.display());
        io::Error::new(error.kind(), said)
    }
}
