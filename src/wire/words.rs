//! Finds any of a few words in a text in one pass: by vector instructions where the machine has them, else by an
//! automaton.

use std::fmt;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind, packed};

/// Words to look for. Of several at one place the longest is found.
pub(crate) struct Words {
    fast: Option<packed::Searcher>,
    slow: AhoCorasick,
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

impl Words {
    /// Looks for these.
    ///
    /// # Errors
    /// They are too long, all together.
    pub(crate) fn new<W: AsRef<[u8]>>(
        words: impl IntoIterator<Item = W>,
    ) -> Result<Words, BuildError> {
        let words: Vec<W> = words.into_iter().collect();
        let fast = packed::Config::new()
            .match_kind(packed::MatchKind::LeftmostLongest)
            .builder()
            .extend(&words)
            .build();
        let slow = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&words)?;
        Ok(Words { fast, slow })
    }

    /// Hands over each that is found, by its number, and where it is; none overlaps another.
    pub(crate) fn each(&self, text: &[u8], mut each: impl FnMut(usize, Range<usize>)) {
        match &self.fast {
            Some(fast) => {
                let found = fast.find_iter(text);
                found
                    .for_each(|found| each(found.pattern().as_usize(), found.start()..found.end()));
            }
            None => {
                let found = self.slow.find_iter(text);
                found.for_each(|found| each(found.pattern().as_usize(), found.range()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn either_way_finds_the_same(text in "[abc]{0,80}", words in prop::collection::vec("[abc]{1,5}", 1..8)) {
            let fast = Words::new(&words).unwrap();
            let slow = Words { fast: None, slow: fast.slow.clone() };
            let found = |words: &Words| {
                let mut found = Vec::new();
                words.each(text.as_bytes(), |word, at| found.push((word, at)));
                found
            };
            prop_assert_eq!(found(&fast), found(&slow));
        }
    }
}
