//! The end of the process, as every session can see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The process is stopping: from `ends` on, running streams are ended.
#[derive(Default)]
pub struct Drain {
    begun: AtomicBool,
    ends: Mutex<Option<Instant>>,
    told: Notify,
}

impl Drain {
    /// No more new requests; those under way may go on until `ends`.
    pub fn begin(&self, ends: Instant) {
        *self.ends.lock() = Some(ends);
        self.begun.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    /// Returns when running streams are ended, if the process is stopping.
    pub fn ends(&self) -> Option<Instant> {
        if !self.begun.load(Ordering::Acquire) {
            return None;
        }
        *self.ends.lock()
    }

    /// Waits until the process is stopping.
    pub async fn begun(&self) {
        // Whoever waits from here on is woken for certain.
        let told = self.told.notified();
        if self.ends().is_none() {
            told.await;
        }
    }
}
