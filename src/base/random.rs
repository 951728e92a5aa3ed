//! Cheap randomness for ids and jitter. Not for secrets: those come from the operating system.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::sync::Lazy;

/// Two hashers with different random keys, so that one count gives two unrelated hashes.
static HASHERS: Lazy<(RandomState, RandomState)> =
    Lazy::new(|| (RandomState::new(), RandomState::new()));
/// Calls so far; what is hashed.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Returns 64 bits that practically never repeat and cannot be guessed from outside the process: a keyed hash of a
/// counter.
pub fn bits64() -> u64 {
    HASHERS.0.hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns 128 bits as two halves, see [`bits64`].
pub fn bits128() -> (u64, u64) {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    (HASHERS.0.hash_one(count), HASHERS.1.hash_one(count))
}

/// Appends 96 bits as 24 lower-case hexadecimal digits, see [`bits64`].
pub fn push_hex96(text: &mut String) {
    let (high, low) = bits128();
    // 12 of the 16 bytes.
    let bytes = high
        .to_be_bytes()
        .into_iter()
        .skip(4)
        .chain(low.to_be_bytes());
    for digit in bytes.flat_map(|byte| [byte >> 4, byte & 15]) {
        text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_hexadecimal_and_differ() {
        let mut digits = String::from("id-");
        push_hex96(&mut digits);
        push_hex96(&mut digits);
        let (one, other) = digits["id-".len()..].split_at(24);
        for part in [one, other] {
            assert_eq!(part.len(), 24, "{digits}");
            assert!(
                part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                "{digits}"
            );
        }
        assert_ne!(one, other);
    }
}
