//! What happened to each attempt: one [`UsageEvent`] per attempt, the last one of a request final; how a bank stores
//! them, and how they are listed.
//!
//! Invariant: bodies and credentials never get here.

mod event;
mod explain;
mod flags;
mod id;
pub mod paging;
pub mod stored;
pub mod totals;

pub(crate) use event::ADDED;
pub use event::{Attempt, Event, Latency, Named, OwnedEvent, Request, Shown, UsageEvent, dollars};
pub use explain::{Explanation, Line};
pub use flags::{Flag, Flags};
pub use id::{EventId, EventIds};
