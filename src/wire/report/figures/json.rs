//! The JSON that usage is written in: what is odd counts for nothing.

use crate::skip;

/// The largest count that is believed, some thousand times the longest context window.
const BELIEVED: u32 = u32::MAX;

/// The most entries of a list inside a usage object that are read.
const ENTRIES: usize = 256;

/// A count. `None` for what is none: negative, absurdly large, no number. A fraction is dropped; digits in quotes
/// are a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, the fraction dropped on purpose"
)]
pub(super) fn figure(json: &[u8]) -> Option<u64> {
    // Nearly always a few digits.
    if (1..10).contains(&json.len()) && json.iter().all(u8::is_ascii_digit) {
        let digits = json.iter().map(|digit| u64::from(digit - b'0'));
        return Some(digits.fold(0, |figure, digit| 10 * figure + digit));
    }
    let text = json
        .strip_prefix(b"\"")
        .and_then(|json| json.strip_suffix(b"\""));
    let number: f64 = serde_json::from_slice(text.map_or(json, <[u8]>::trim_ascii)).ok()?;
    let believed = (0.0..=f64::from(BELIEVED)).contains(&number);
    believed.then_some(number as u64)
}

/// The members of an object that are looked at; nothing of any other JSON.
pub(super) fn members<'a>(json: &'a [u8], mut member: impl FnMut(&'a [u8], &'a [u8])) {
    if json.first() == Some(&b'{') {
        // What comes before a fault was good.
        let _read = skip::members(json, &mut member);
    }
}

/// The objects of a list; none of any other JSON.
pub(super) fn objects<'a>(json: &'a [u8], mut object: impl FnMut(&'a [u8])) {
    let mut left = ENTRIES;
    if json.first() == Some(&b'[') {
        let _read = skip::array(json, 0, |at| {
            let end = skip::value(json, at)?;
            if left > 0 {
                left -= 1;
                object(&json[at..end]);
            }
            Ok(end)
        });
    }
}

/// A text between its quotes; escapes stay as they are written.
pub(super) fn text(json: &[u8]) -> Option<&str> {
    let inside = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(inside).ok()
}
