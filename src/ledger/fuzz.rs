//! What must hold for whatever files and servers have in them. `tests/fuzz` runs it on what it invents, the tests here on
//! what was worth keeping of that.

use bytes::Bytes;

use crate::bank::Events;
pub use crate::bank::redis::fuzz::answer;
use crate::events::Explanation;
use crate::events::stored::{Writer, decode};
pub use crate::journal::fuzz::journal;

/// Stored usage events are refused, or shown, explained, and written again as they were.
pub fn events(bytes: &[u8]) {
    for from_ms in [0, 1_800_000_000_000, u64::MAX] {
        let stored = Events {
            count: 1,
            from_ms,
            to_ms: from_ms,
            bytes: Bytes::copy_from_slice(bytes),
            ids: Bytes::new(),
        };
        let Ok(events) = decode(&stored) else {
            continue;
        };
        let mut again = Writer::default();
        for event in &events {
            serde_json::to_string(&event.shown()).expect("an event is told in JSON");
            // What it was charged is explained, or why it cannot be.
            drop(Explanation::of(&event.attempt).to_string());
            again.push(&event.borrowed());
        }
        let Some(again) = again.finish() else {
            continue;
        };
        let again = decode(&again).expect("what was read is written so that it can be read");
        assert_eq!(again, events, "and as it was");
    }
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kept_input_passes() {
        replay::replay("events", events);
        replay::replay("journal", journal);
        replay::replay("redis", |bytes| {
            if let Ok(value) = redis::parse_redis_value(bytes) {
                answer(&value);
            }
        });
    }
}
