//! The replicas of a fleet, as each says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often a replica says that it is there.
pub const EVERY: Duration = Duration::from_secs(5);

/// How long it counts as being there after it has said so.
pub const LEASE: Duration = Duration::from_secs(20);

/// What a replica says of itself, also as it is stored: what another version does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replica {
    /// Unique; with a journal, what stands before its dot outlives restarts.
    pub id: String,
    /// What its machine is called.
    pub host: String,
    /// The version of its program.
    pub version: String,
    /// When it was started (Unix time, ms).
    pub started_ms: u64,
    /// As in `ready`, `not-ready` or `stopping`.
    pub state: String,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The store's revision that it serves; 0 before the first, and without a store.
    pub revision: u64,
    /// When it last read the store (Unix time, ms); 0 is never.
    pub read_ms: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Records of its journal that the bank has not acknowledged; `None` without a ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal_records: Option<u64>,
}
