//! Cutting texts between characters.

/// The largest boundary between characters at or before `at`; the length of a shorter text.
pub(crate) fn floor_boundary(text: &str, at: usize) -> usize {
    // `str::floor_char_boundary` is younger than the oldest compiler we support.
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::floor_boundary;

    #[test]
    fn never_inside_a_character() {
        for (at, want) in [(0, 0), (1, 1), (2, 1), (3, 1), (4, 4), (9, 4)] {
            assert_eq!(floor_boundary("a漢", at), want, "at {at}");
        }
    }
}
