//! What distinguishes one usage event from all others.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Identifies one event: who made it, and which of theirs it is. Prints as `evt_` and 32 hex digits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct EventId {
    origin: u64,
    sequence: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{:016x}{:016x}", self.origin, self.sequence)
    }
}

impl EventId {
    /// Returns the id of an event that is made up again from a journal: the same each time.
    pub fn made_up(origin: u64, sequence: u64) -> EventId {
        EventId { origin, sequence }
    }

    /// The id of an event of which there is a hold alone: the same each time.
    pub(crate) fn of_hold(replica: u64, epoch: u64, hold: u64) -> EventId {
        EventId::made_up(replica.rotate_left(32) ^ epoch, hold)
    }

    /// Who made it, and which of theirs it is.
    pub(crate) fn parts(self) -> (u64, u64) {
        (self.origin, self.sequence)
    }
}

/// Hands out event ids that no other process hands out.
#[derive(Debug)]
pub struct EventIds {
    origin: u64,
    next: AtomicU64,
}

impl EventIds {
    /// Ids of one process; `origin` must be random, drawn anew at each start.
    pub fn new(origin: u64) -> Self {
        EventIds {
            origin,
            next: AtomicU64::new(0),
        }
    }

    /// Returns an id that was not handed out before.
    pub fn next(&self) -> EventId {
        EventId {
            origin: self.origin,
            sequence: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let (one, other) = (EventIds::new(1), EventIds::new(2));
        let all = [one.next(), one.next(), other.next(), other.next()].map(|id| id.to_string());
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
    }
}
