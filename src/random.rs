//! Cheap randomness for ids and jitter. Not for secrets: those come from the operating system.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::sync::Lazy;

static SEED: Lazy<(RandomState, RandomState)> =
    Lazy::new(|| (RandomState::new(), RandomState::new()));
static COUNT: AtomicU64 = AtomicU64::new(0);

/// 64 bits that differ at every call and cannot be guessed from outside the process.
pub fn bits64() -> u64 {
    SEED.0.hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// 128 bits as two halves, see [`bits64`].
pub fn bits128() -> (u64, u64) {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    (SEED.0.hash_one(count), SEED.1.hash_one(count))
}
