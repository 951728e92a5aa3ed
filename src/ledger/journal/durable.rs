//! `fsync: always`: a record is on disk before its append returns; threads that wait share one `fdatasync`.
//!
//! After an `fdatasync` that failed nobody knows what is on disk, and the next one may well succeed without having
//! written it. So a failure is final: this life's journal promises nothing any more.

use std::io;

use parking_lot::{Condvar, Mutex};

use super::tail::Tail;

/// How far a journal is on disk.
#[derive(Default)]
pub(super) struct Durable {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Records on disk: all up to this one.
    synced: u64,
    /// A thread is at it.
    running: bool,
    broken: bool,
}

impl Durable {
    /// Waits until the first `count` records are on disk.
    pub(super) fn wait(&self, count: u64, tail: &Mutex<Tail>) -> io::Result<()> {
        let mut state = self.state.lock();
        loop {
            if state.synced >= count {
                return Ok(());
            }
            if state.broken {
                return Err(io::Error::other(
                    "an earlier fdatasync of the journal failed: restart when the disk is well",
                ));
            }
            if state.running {
                self.changed.wait(&mut state);
                continue;
            }
            state.running = true;
            drop(state);
            // Whatever was appended by now comes along.
            let (files, upto) = tail.lock().unsynced(true);
            let result = files.iter().try_for_each(|(_, file)| file.sync_data());
            if result.is_ok() {
                let mut tail = tail.lock();
                // Those before the last one were finished when they were listed, so all of them is on disk.
                for (number, _) in files.iter().rev().skip(1) {
                    tail.synced(*number);
                }
            }
            state = self.state.lock();
            state.running = false;
            match &result {
                Ok(()) => state.synced = upto,
                Err(_) => state.broken = true,
            }
            self.changed.notify_all();
            result?;
        }
    }

    /// Whether it failed once.
    pub(super) fn is_broken(&self) -> bool {
        self.state.lock().broken
    }
}
