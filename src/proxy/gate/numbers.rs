//! The numbers that a Responses API gives its events, so that an event of ours goes on where the stream broke.

/// Before the number of an event. Within a JSON text these quotes would be escaped.
const KEY: &[u8] = b"\"sequence_number\":";

/// Counts the events of a stream that passes untouched: only its first event is searched for a number, since
/// the others follow one by one.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    first: u64,
    events: u64,
}

impl Numbers {
    /// An event has passed.
    pub fn note(&mut self, data: &[u8]) {
        if self.events == 0 {
            self.first = number(data).unwrap_or(0);
        }
        self.events += 1;
    }

    /// Returns the number of the event that would be next.
    pub fn next(&self) -> u64 {
        self.first.saturating_add(self.events)
    }
}

/// The number of the first event here that has one.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(text, KEY)? + KEY.len();
    let rest = text[at..].trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_from_the_first_ones_number() {
        for (first, expected) in [
            (
                &br#"{"type":"response.created","sequence_number":0}"#[..],
                3,
            ),
            (
                br#"{"sequence_number": 41 , "type":"response.created"}"#,
                44,
            ),
            (br#"{"type":"response.created"}"#, 3),
            (br#"{"text":"\"sequence_number\":7"}"#, 3),
            (br#"{"sequence_number":99999999999999999999999}"#, 3),
            (br#"{"sequence_number":18446744073709551615}"#, u64::MAX),
            (b"", 3),
        ] {
            let mut numbers = Numbers::default();
            for data in [first, b"{\"sequence_number\":5}", b"{}"] {
                numbers.note(data);
            }
            let case = String::from_utf8_lossy(first);
            assert_eq!(numbers.next(), expected, "{case}");
        }
    }
}
