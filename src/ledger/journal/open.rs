//! How a process comes by the directory: as the only one, or beside the one that it takes over from.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::directory::{self, Claim, Lock};
use super::durable::Durable;
use super::segment::Fresh;
use super::tail::Tail;
use super::{Journal, JournalError, LEAST, Life, Living, MOST, Options, random, replica};
use crate::bank::Holder;

impl Journal {
    /// Takes the directory for this process, begins a new life, and lists the earlier ones whose records are still
    /// there, oldest first.
    ///
    /// # Errors
    /// `JournalError`; nothing was changed then, unless it is the file system that failed while the new life began.
    /// A full disk is such a failure: without a first segment there is no life.
    pub fn open(dir: &Path, options: Options) -> Result<(Journal, Vec<Life>), JournalError> {
        let lock = Lock::take(dir)?;
        let last = replica::read(dir)?;
        let (journal, lives, living) = Journal::live(dir, options, lock, last)?;
        match living.is_empty() {
            true => Ok((journal, lives)),
            false => Err(JournalError::InUse {
                dir: dir.to_owned(),
            }),
        }
    }

    /// Begins a life beside those of the process that hands its `lock` of this directory over; lists as well the lives
    /// that it has not done with. The name of the replica is new, since one has one life at a time.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn succeed(
        dir: &Path,
        options: Options,
        lock: fs::File,
    ) -> Result<(Journal, Vec<Life>, Vec<Living>), JournalError> {
        let renamed = |last: Holder| {
            let replica = random(dir)?;
            Ok(Holder { replica, ..last })
        };
        let last = replica::read(dir)?.map(renamed).transpose()?;
        Journal::live(dir, options, Lock(lock), last)
    }

    /// Returns the lock of the directory, for a process that takes over.
    ///
    /// # Errors
    /// What the system says.
    pub fn lock(&self) -> io::Result<fs::File> {
        self.lock.0.try_clone()
    }

    fn live(
        dir: &Path,
        options: Options,
        lock: Lock,
        last: Option<Holder>,
    ) -> Result<(Journal, Vec<Life>, Vec<Living>), JournalError> {
        let lock = Arc::new(lock);
        let epochs = directory::numbers(dir, "")?;
        let (mut lives, mut empty, mut living) = (Vec::new(), Vec::new(), Vec::new());
        for epoch in &epochs {
            let path = dir.join(epoch.to_string());
            let held = match directory::claim(&path)? {
                Claim::Ours(held) => held,
                Claim::Theirs(file) => {
                    living.push(Living::new(path, *epoch, file, Arc::clone(&lock)));
                    continue;
                }
            };
            match Life::examine(path.clone(), *epoch, Arc::clone(&lock), held)? {
                Some(life) => lives.push(life),
                None => empty.push(path),
            }
        }
        directory::sweep(dir)?;
        // Nothing was recorded there. Without this, a gateway that cannot start fills the disk with preallocated room.
        for path in empty {
            directory::discard(&path).map_err(JournalError::io("delete", &path))?;
        }
        let before = epochs.last().copied().max(last.map(|last| last.epoch));
        let holder = Holder {
            replica: match last {
                Some(last) => last.replica,
                None => random(dir)?,
            },
            epoch: (before.unwrap_or(0) + 1).max(options.least_epoch),
        };
        replica::write(dir, holder)?;
        let journal = Journal::begin(dir, holder, options, lock)?;
        Ok((journal, lives, living))
    }

    fn begin(
        dir: &Path,
        holder: Holder,
        options: Options,
        lock: Arc<Lock>,
    ) -> Result<Journal, JournalError> {
        let life = dir.join(holder.epoch.to_string());
        // Within bounds that fit.
        let segment_bytes = options.segment_bytes.clamp(LEAST, MOST);
        let segment_bytes = u32::try_from(segment_bytes).unwrap_or(u32::MAX);
        let nonce = random(dir)?;
        let first = || {
            directory::make(&life)?;
            let held = directory::hold(&life)?;
            fs::File::open(dir)?.sync_all()?;
            let first = Fresh::create(&life, (holder, nonce), 1, segment_bytes)?;
            io::Result::Ok((first, held))
        };
        let (first, held) =
            first().map_err(JournalError::io("make the first segment in", &life))?;
        let journal = Journal {
            tail: Mutex::new(Tail::new(first, segment_bytes.into())),
            dir: life,
            holder,
            nonce,
            name: Mutex::new((holder, nonce)),
            keep: options.keep,
            reading: Mutex::new(()),
            fsync: options.fsync,
            segment_bytes,
            durable: Durable::default(),
            upkeep: Mutex::new(()),
            cramped: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            lock,
            _held: held,
        };
        if let Err(error) = journal.prepare() {
            log::warn!("journal: {error}");
        }
        Ok(journal)
    }
}
