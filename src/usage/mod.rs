//! What happened to each attempt: one [`UsageEvent`] per attempt, the last one of a request final.
//!
//! Invariant: recording never blocks on I/O and never fails the request; a bounded store forgets
//! its oldest events, it does not refuse new ones. Bodies and credentials never get here.

mod event;
pub mod paging;
mod ring;
pub mod stored;

use std::sync::Arc;

pub(crate) use event::dollars;
pub use event::{EventId, EventIds, UsageEvent};
pub use ring::{DEFAULT_CAPACITY, UsageRing};

/// Where usage events go.
pub trait UsageStore: Send + Sync {
    /// Takes one event. Called on the request's path: implementations must not wait for I/O.
    fn record(&self, event: Arc<UsageEvent>);

    /// The events that match, newest first, at most `filter.limit` of them.
    fn recent(&self, filter: &UsageFilter<'_>) -> Vec<Arc<UsageEvent>>;
}

/// Which events to list; what is `None` matches all.
#[derive(Clone, Copy, Debug)]
pub struct UsageFilter<'a> {
    /// Most events to return.
    pub limit: usize,
    /// Events of one client request.
    pub request_id: Option<&'a str>,
    /// Events of one access key, by its id.
    pub access_key: Option<&'a str>,
    /// Events of one provider, by its id.
    pub provider: Option<&'a str>,
    /// Only the last attempt of each request.
    pub final_only: bool,
}

impl Default for UsageFilter<'_> {
    fn default() -> Self {
        UsageFilter {
            limit: 100,
            request_id: None,
            access_key: None,
            provider: None,
            final_only: false,
        }
    }
}

impl UsageFilter<'_> {
    /// Whether an event is one of those asked for.
    pub fn matches(&self, event: &UsageEvent) -> bool {
        self.request_id.is_none_or(|id| *event.request_id == *id)
            && self.access_key.is_none_or(|id| *event.access_key_id == *id)
            && self.provider.is_none_or(|id| *event.provider == *id)
            && (!self.final_only || event.is_final_attempt)
    }
}
