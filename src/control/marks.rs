//! When API keys of the admin API were last used by this process, and what of it the store was told.

use std::collections::HashMap;

/// Notes of this process.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// API keys (of the admin API), and when they were last used (Unix time, ms).
    pub api_keys: HashMap<String, u64>,
    /// Everything before this (Unix time, ms) has been told.
    pub told: u64,
}
