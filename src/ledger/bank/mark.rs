//! What a bank knows a holder's history by: a chain over its messages, which begins with the nonce of its life.
//!
//! Two lives of one name, as copies of a directory have them, have other nonces; two that go on from one journal or
//! one memory have other messages from there on. Either shows as soon as both have spoken about an account.

/// A message, and all before it of its holder's: 63 bits, never 0, but for [`Mark::NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(u64);

impl Mark {
    /// Of those who have none: lives of older versions, and messages before which something is not known any more.
    pub const NONE: Mark = Mark(0);

    /// Returns what comes before a life's first message.
    pub fn first(nonce: u64) -> Mark {
        Mark::of(mix(nonce))
    }

    /// Returns what was kept as a number.
    pub fn kept(number: u64) -> Mark {
        Mark(number & (u64::MAX >> 1))
    }

    /// As a number to keep, below 2⁶³.
    pub fn number(self) -> u64 {
        self.0
    }

    /// After another message: its number, and the content of its charges, in any order, added up.
    #[must_use]
    pub fn then(self, number: u64, content: u64) -> Mark {
        if self == Mark::NONE {
            return self;
        }
        Mark::of(mix(mix(self.0 ^ mix(number)) ^ content))
    }

    /// Returns whether both are of one history, as far as is known.
    pub fn fits(self, other: Mark) -> bool {
        self == other || self == Mark::NONE || other == Mark::NONE
    }

    fn of(bits: u64) -> Mark {
        Mark((bits >> 1).max(1))
    }
}

/// What distinguishes a charge from others, in 64 bits.
pub(crate) fn content(numbers: &[u64], text: &str) -> u64 {
    let numbers = numbers.iter().copied();
    let text = text.bytes().map(u64::from);
    numbers.chain(text).fold(0, |all, one| mix(all ^ one))
}

/// Spreads 64 bits over 64 bits, one to one (the last steps of SplitMix64). It is part of journals and banks: it stays.
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_depends_on_all_that_is_in_it() {
        let chain = |nonce, contents: [u64; 3]| {
            let numbered = (1..).zip(contents);
            numbered.fold(Mark::first(nonce), |mark, (number, content)| {
                mark.then(number, content)
            })
        };
        let one = chain(7, [1, 0, 3]);
        assert_eq!(one, chain(7, [1, 0, 3]));
        for other in [
            chain(8, [1, 0, 3]),
            chain(7, [0, 1, 3]),
            chain(7, [2, 0, 3]),
            chain(7, [1, 0, 0]),
        ] {
            assert!(!one.fits(other), "{other:?}");
        }
        assert_eq!(Mark::kept(one.number()), one);
    }

    #[test]
    fn what_is_not_known_fits_everything_and_stays_so() {
        assert_eq!(Mark::NONE.then(1, 2), Mark::NONE);
        assert!(Mark::NONE.fits(Mark::first(1)) && Mark::first(1).fits(Mark::NONE));
        assert_ne!(Mark::first(0), Mark::NONE);
    }

    #[test]
    fn charges_are_told_apart_by_each_of_their_parts() {
        let one = content(&[1, 2, 3], "req_1");
        assert_ne!(one, content(&[1, 2, 4], "req_1"));
        assert_ne!(one, content(&[2, 1, 3], "req_1"));
        assert_ne!(one, content(&[1, 2, 3], "req_2"));
    }

    #[test]
    fn what_journals_and_banks_have_kept_is_still_known() {
        assert_eq!(
            mix(0),
            0xe220_a839_7b1d_cdaf,
            "the generator's first number"
        );
    }
}
