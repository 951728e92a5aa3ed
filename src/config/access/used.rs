//! When a credential was last used, noted without a write to any store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When a credential was last used by this process. Clones share it, over all snapshots.
#[derive(Clone, Debug, Default)]
pub struct Used(Arc<AtomicU64>);

impl Used {
    /// It is used at `now_ms` (Unix time).
    pub fn mark(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }

    /// Returns when it was last used (Unix time, ms).
    pub fn last(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ms| *ms > 0)
    }
}
