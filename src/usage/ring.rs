//! Usage events in memory: the newest ones, up to a fixed number.
//!
//! Invariant: recording costs the same however full the ring is, and nothing is allocated or freed
//! while the lock is held.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{UsageEvent, UsageFilter, UsageStore};

/// Events kept unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 10_000;

/// The newest usage events; the oldest makes room for one more.
pub struct UsageRing {
    capacity: usize,
    /// Oldest first. A plain mutex: it is held for a push and a pop, or for cloning pointers.
    events: Mutex<VecDeque<Arc<UsageEvent>>>,
}

impl UsageRing {
    /// Room for `capacity` events; at least one.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        UsageRing {
            capacity,
            events: Mutex::new(VecDeque::with_capacity(capacity)),
        }
    }

    /// Events kept at present.
    pub fn len(&self) -> usize {
        self.events.lock().len()
    }

    /// Whether nothing was recorded yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for UsageRing {
    fn default() -> Self {
        UsageRing::new(DEFAULT_CAPACITY)
    }
}

impl fmt::Debug for UsageRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageRing")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .finish()
    }
}

impl UsageStore for UsageRing {
    fn record(&self, event: Arc<UsageEvent>) {
        let evicted = {
            let mut events = self.events.lock();
            let evicted = if events.len() == self.capacity {
                events.pop_front()
            } else {
                None
            };
            events.push_back(event);
            evicted
        };
        // Freed here, after the lock.
        drop(evicted);
    }

    fn recent(&self, filter: &UsageFilter<'_>) -> Vec<Arc<UsageEvent>> {
        self.events
            .lock()
            .iter()
            .rev()
            .filter(|event| filter.matches(event))
            .take(filter.limit)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{EventIds, tests::sample};
    use super::*;

    fn requests(events: &[Arc<UsageEvent>]) -> Vec<&str> {
        events.iter().map(|e| &*e.request_id).collect()
    }

    #[test]
    fn lists_newest_first_and_forgets_the_oldest() {
        let (ring, ids) = (UsageRing::new(3), EventIds::new(0));
        assert!(ring.is_empty());
        for request in ["a", "b", "c", "d", "e"] {
            ring.record(sample(&ids, request).into());
        }
        assert_eq!(ring.len(), 3, "the ring is bounded");
        let all = ring.recent(&UsageFilter::default());
        assert_eq!(requests(&all), ["e", "d", "c"]);
        let two = ring.recent(&UsageFilter {
            limit: 2,
            ..UsageFilter::default()
        });
        assert_eq!(requests(&two), ["e", "d"]);
    }

    #[test]
    fn filters() {
        let (ring, ids) = (UsageRing::default(), EventIds::new(0));
        ring.record(
            UsageEvent {
                is_final_attempt: false,
                provider: "demo".into(),
                ..sample(&ids, "a")
            }
            .into(),
        );
        ring.record(
            UsageEvent {
                attempt_number: 2,
                access_key_id: "other".into(),
                ..sample(&ids, "a")
            }
            .into(),
        );
        ring.record(sample(&ids, "b").into());
        let count = |filter: UsageFilter<'_>| ring.recent(&filter).len();
        let any = UsageFilter::default();
        assert_eq!(count(any), 3);
        assert_eq!(
            count(UsageFilter {
                request_id: Some("a"),
                ..any
            }),
            2
        );
        assert_eq!(
            count(UsageFilter {
                access_key: Some("other"),
                ..any
            }),
            1
        );
        assert_eq!(
            count(UsageFilter {
                provider: Some("demo"),
                ..any
            }),
            1
        );
        assert_eq!(
            count(UsageFilter {
                final_only: true,
                ..any
            }),
            2
        );
        assert_eq!(
            count(UsageFilter {
                request_id: Some("z"),
                ..any
            }),
            0
        );
    }

    #[test]
    fn room_for_nothing_is_room_for_one() {
        let ring = UsageRing::new(0);
        ring.record(sample(&EventIds::new(0), "a").into());
        assert_eq!(ring.len(), 1);
    }
}
