//! When API keys of the admin API were last used by this process, and what of it the store has.

use std::collections::HashMap;

/// Notes of this process.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// API keys (of the admin API), and when they were last used (Unix time, ms).
    pub api_keys: HashMap<String, u64>,
    /// Everything before this (Unix time, ms) is in the store.
    pub told: u64,
}
