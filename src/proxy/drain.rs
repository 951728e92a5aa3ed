//! The end of the process, as every session can see it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::watch;

/// What the process is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It serves.
    #[default]
    Serving,
    /// Another one has taken over: connections end with their next answer, and nothing is refused.
    Leaving,
    /// It is stopping: nothing new is served.
    Stopping,
}

/// From `ends` on, running streams are ended.
#[derive(Default)]
pub struct Drain {
    /// Whether it has come beyond serving: what every request asks.
    begun: AtomicBool,
    stage: watch::Sender<Stage>,
    ends: Mutex<Option<Instant>>,
    lines: AtomicUsize,
}

/// A connection for which a process that another one has taken over from stays; until it is dropped.
pub struct Line<'a>(&'a Drain);

impl Drain {
    /// No more new requests; those under way may go on until `ends`.
    pub fn begin(&self, ends: Instant) {
        self.enter(Stage::Stopping, ends);
    }

    /// No more new connections; those that there are may go on until `ends`.
    pub fn leave(&self, ends: Instant) {
        self.enter(Stage::Leaving, ends);
    }

    fn enter(&self, stage: Stage, ends: Instant) {
        {
            let mut known = self.ends.lock();
            *known = Some(known.map_or(ends, |known| known.min(ends)));
        }
        self.begun.store(true, Ordering::Release);
        self.stage.send_if_modified(|now| {
            let later = *now < stage;
            *now = stage.max(*now);
            later
        });
    }

    /// Returns when running streams are ended, if the process will end.
    pub fn ends(&self) -> Option<Instant> {
        if !self.begun.load(Ordering::Acquire) {
            return None;
        }
        *self.ends.lock()
    }

    /// Returns what the process is doing.
    pub fn stage(&self) -> Stage {
        match self.begun.load(Ordering::Acquire) {
            true => *self.stage.borrow(),
            false => Stage::Serving,
        }
    }

    /// Returns whether what is new is refused.
    pub fn refuses(&self) -> bool {
        self.stage() == Stage::Stopping
    }

    /// Shows what the process is doing, and when that changes.
    pub fn watch(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Waits until the process is stopping.
    pub async fn stopping(&self) {
        // It fails only if the sender is gone, which is here.
        drop(self.watch().wait_for(|now| *now == Stage::Stopping).await);
    }

    /// Counts a connection.
    pub fn line(&self) -> Line<'_> {
        self.lines.fetch_add(1, Ordering::Relaxed);
        Line(self)
    }

    /// Returns how many connections there are.
    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.0.lines.fetch_sub(1, Ordering::Relaxed);
    }
}
