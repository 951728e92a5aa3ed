//! `fsync: always`: what was appended is waited for, outside of every lock and off the threads that serve requests. All
//! who wait share one `fdatasync`.
//!
//! After an `fdatasync` that failed nobody knows what is on disk, and the next one may well succeed without having
//! written it. So a failure is final: this life's journal promises nothing any more.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Fsync, Journal};

/// How far a journal is on disk.
#[derive(Default)]
pub(super) struct Durable {
    state: Mutex<Progress>,
    changed: Notify,
}

#[derive(Default)]
struct Progress {
    /// Records on disk: all up to this one.
    synced: u64,
    /// A thread is at it.
    running: bool,
    broken: bool,
}

/// What somebody who waits has to do.
enum Turn {
    /// Nothing: it is on disk.
    Over,
    /// Wait for the `fdatasync` under way.
    Wait,
    /// Begin one.
    Begin,
}

impl Durable {
    fn turn(&self, count: u64) -> io::Result<Turn> {
        let mut state = self.state.lock();
        if state.synced >= count {
            return Ok(Turn::Over);
        }
        if state.broken {
            return Err(io::Error::other(
                "an earlier fdatasync of the journal failed: restart when the disk is well",
            ));
        }
        Ok(if std::mem::replace(&mut state.running, true) {
            Turn::Wait
        } else {
            Turn::Begin
        })
    }

    /// Whether it failed once.
    pub(super) fn is_broken(&self) -> bool {
        self.state.lock().broken
    }
}

impl Journal {
    /// Waits until all that was appended before is on disk, if that is promised ([`Fsync::Always`]); else returns at
    /// once. Wants a Tokio runtime, whose blocking threads wait for the disk.
    ///
    /// # Errors
    /// The disk failed, now or earlier: nothing is promised any more until a restart, and the journal is not
    /// [`Journal::ready`]. What was appended may come back at a restart, or not.
    pub async fn on_disk(self: &Arc<Journal>) -> io::Result<()> {
        if self.fsync == Fsync::Never {
            return Ok(());
        }
        let count = self.tail.lock().appended();
        loop {
            let mut changed = pin!(self.durable.changed.notified());
            // From here on nothing that happens is missed.
            changed.as_mut().enable();
            match self.durable.turn(count)? {
                Turn::Over => return Ok(()),
                Turn::Wait => {}
                Turn::Begin => {
                    let running = Running {
                        journal: Arc::clone(self),
                        synced: None,
                    };
                    tokio::task::spawn_blocking(move || running.run());
                }
            }
            changed.await;
        }
    }
}

/// An `fdatasync` under way. However it ends, those who wait hear of it.
struct Running {
    journal: Arc<Journal>,
    /// As far as all is on disk.
    synced: Option<io::Result<u64>>,
}

impl Running {
    fn run(mut self) {
        self.synced = self.sync();
    }

    fn sync(&self) -> Option<io::Result<u64>> {
        // Whatever was appended by now comes along.
        let tail = &self.journal.tail;
        let (files, upto) = tail.lock().unsynced(true);
        let done = files.iter().try_for_each(|(_, file)| file.sync_data());
        Some(done.map(|()| {
            let mut tail = tail.lock();
            // Those before the last one were finished when they were listed, so all of them is on disk.
            for (number, _) in files.iter().rev().skip(1) {
                tail.synced(*number);
            }
            upto
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let durable = &self.journal.durable;
        let mut state = durable.state.lock();
        state.running = false;
        match self.synced.take() {
            Some(Ok(upto)) => state.synced = upto,
            Some(Err(error)) => {
                log::error!("the journal is not on disk: fdatasync: {error}");
                state.broken = true;
                self.journal.failed.store(true, Ordering::Relaxed);
            }
            // Its runtime ended before it began: whoever waits elsewhere begins anew.
            None => {}
        }
        drop(state);
        durable.changed.notify_waiters();
    }
}
