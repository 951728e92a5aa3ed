//! Ids of resources: a prefix that says the kind, and 26 digits that sort by creation, as in
//! `ak_01jdcz7v9w8q2m4n6p8r0s2t4v` (a ULID: 48 bits of Unix milliseconds, 80 random ones; lower case).

use crate::random;

/// Crockford's base 32: no `i`, `l`, `o`, `u`.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Returns a new id, made at `now_ms` (Unix time).
pub fn new(prefix: &str, now_ms: u64) -> String {
    let (high, low) = random::bits128();
    let random = (u128::from(high) << 64 | u128::from(low)) & ((1 << 80) - 1);
    let number = (u128::from(now_ms) << 80) | random;
    let mut id = String::with_capacity(prefix.len() + 26);
    id.push_str(prefix);
    for place in (0..26).rev() {
        let digit = usize::try_from((number >> (5 * place)) & 31).unwrap_or_default();
        id.push(char::from(DIGITS[digit]));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_creation_and_fit_into_tokens() {
        let mut ids: Vec<String> = (0..200)
            .map(|ms| new("ak_", 1_700_000_000_000 + ms))
            .collect();
        assert!(ids.is_sorted(), "{ids:?}");
        ids.dedup();
        assert_eq!(ids.len(), 200, "no two are equal");
        for id in ids {
            assert_eq!(id.len(), 29, "{id}");
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(id.bytes().all(plain), "tokens take it: {id}");
        }
        assert!(new("ak_", 0) < new("ak_", u64::MAX >> 16));
        assert_ne!(new("ak_", 5), new("ak_", 5));
    }
}
