//! What happened to each attempt: one [`UsageEvent`] per attempt, the last one of a request final; how a bank stores
//! them, and how they are listed.
//!
//! Invariant: bodies and credentials never get here.

mod event;
mod explain;
pub mod paging;
pub mod stored;

pub use event::{EventId, EventIds, UsageEvent, dollars};
pub use explain::{Explanation, Line};
