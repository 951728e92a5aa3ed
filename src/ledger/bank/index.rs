//! When the events of a client request ended, by its id: a few bytes an event, which a bank keeps beside the events and forgets
//! with them, so that nobody looks through all of them for one.
//!
//! The form: of each event the CRC-32 of its request's id, and when it ended (Unix time, ms, 48 bits), big-endian. Ids that share
//! a checksum are told apart by their events.

/// Bytes of an entry.
const ENTRY: usize = 10;

/// Between which times something was seen (Unix time, ms).
pub(super) type Span = (u64, u64);

/// Returns the entry of an event.
pub(crate) fn entry(request: &str, at_ms: u64) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    let (sum, time) = entry.split_at_mut(4);
    sum.copy_from_slice(&crc32fast::hash(request.as_bytes()).to_be_bytes());
    time.copy_from_slice(&at_ms.to_be_bytes()[2..]);
    entry
}

/// Returns when events of a request may have ended, as these entries tell, together with what others told.
pub(super) fn span(entries: &[u8], request: &str, known: Option<Span>) -> Option<Span> {
    let wanted = entry(request, 0);
    let (entries, _) = entries.as_chunks::<ENTRY>();
    let own = entries.iter().filter(|entry| entry[..4] == wanted[..4]);
    own.fold(known, |known, entry| {
        let at_ms = (entry[4..].iter()).fold(0, |at_ms, byte| at_ms << 8 | u64::from(*byte));
        let (from, to) = known.unwrap_or((at_ms, at_ms));
        Some((from.min(at_ms), to.max(at_ms)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_found_by_its_id() {
        let told = [("one", 2_000), ("other", 1_000), ("one", 1_800_000_000_123)];
        let all = told.map(|(id, at_ms)| entry(id, at_ms)).concat();
        assert_eq!(span(&all, "one", None), Some((2_000, 1_800_000_000_123)));
        assert_eq!(span(&all, "other", None), Some((1_000, 1_000)));
        assert_eq!(span(&all, "other", Some((5, 7))), Some((5, 1_000)));
        assert_eq!(span(&all, "none", Some((5, 7))), Some((5, 7)));
        assert_eq!(span(&all, "none", None), None);
    }
}
