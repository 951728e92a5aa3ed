//! Amounts of money: integers of nano-dollars, no floats.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// Nano-dollars (10⁻⁹ USD), positive or negative: up to about 9.2 billion US dollars.
///
/// Arithmetic is checked. What enters the books is bounded ([`NanoUsd::MOST`], [`NanoUsd::TOTAL`]), so that none of it
/// overflows; should it do so all the same, it stops, rather than go on with a wrong figure.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Nothing.
    pub const ZERO: NanoUsd = NanoUsd(0);

    /// One US dollar.
    pub const DOLLAR: NanoUsd = NanoUsd(1_000_000_000);

    /// The most that a single grant or a single charge may be: 9 million US dollars. It is below 2⁵³, so that
    /// Lua scripts, whose numbers are allotments, compare such amounts exactly.
    pub const MOST: NanoUsd = NanoUsd(9_000_000 * 1_000_000_000);

    /// The most that all grants of an account may come to, and all its charges: 9 billion US dollars. Every term of its
    /// equation, and the sum of any two sides, is then within an `i64`.
    pub const TOTAL: NanoUsd = NanoUsd(9_000_000_000 * 1_000_000_000);

    /// Returns an amount of whole micro-dollars, if it is one.
    pub fn from_micros(micros: u64) -> Option<NanoUsd> {
        let nanos = micros.checked_mul(1_000)?;
        i64::try_from(nanos).ok().map(NanoUsd)
    }

    /// The sum of amounts that are believed by nobody yet: where there is none, more than [`NanoUsd::TOTAL`], which
    /// every bank refuses.
    #[must_use]
    pub(crate) fn saturating_sum(amounts: impl IntoIterator<Item = NanoUsd>) -> NanoUsd {
        let sum = amounts.into_iter();
        NanoUsd(sum.fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }

    /// The longest text of an amount, bytes: `-$9223372036.854775808`.
    pub const LONGEST: usize = 22;

    /// Returns an amount without its currency, written into `room`: `1.50`, `-0.000000001`.
    pub fn decimal(self, room: &mut [u8; NanoUsd::LONGEST]) -> &str {
        self.written(None, room)
    }

    /// From its end on, so that nothing has to be moved.
    fn written(self, currency: Option<u8>, room: &mut [u8; NanoUsd::LONGEST]) -> &str {
        let mut nanos = self.0.unsigned_abs();
        let (mut at, mut written) = (room.len(), false);
        let mut put = |byte: u8| {
            at -= 1;
            room[at] = byte;
        };
        for decimal in (1..=9).rev() {
            let digit = u8::try_from(nanos % 10).unwrap_or_default();
            written |= digit > 0 || decimal <= 2;
            if written {
                put(b'0' + digit);
            }
            nanos /= 10;
        }
        put(b'.');
        loop {
            put(b'0' + u8::try_from(nanos % 10).unwrap_or_default());
            nanos /= 10;
            if nanos == 0 {
                break;
            }
        }
        let sign = (self.0 < 0).then_some(b'-');
        currency.into_iter().chain(sign).for_each(put);
        std::str::from_utf8(&room[at..]).unwrap_or_default()
    }

    /// Nothing instead of a negative amount.
    #[must_use]
    pub fn or_zero(self) -> NanoUsd {
        self.max(NanoUsd::ZERO)
    }
}

impl Add for NanoUsd {
    type Output = NanoUsd;
    fn add(self, other: NanoUsd) -> NanoUsd {
        checked(self.0.checked_add(other.0))
    }
}

impl Sub for NanoUsd {
    type Output = NanoUsd;
    fn sub(self, other: NanoUsd) -> NanoUsd {
        checked(self.0.checked_sub(other.0))
    }
}

impl Neg for NanoUsd {
    type Output = NanoUsd;
    fn neg(self) -> NanoUsd {
        checked(self.0.checked_neg())
    }
}

/// What there is no amount for is a fault of the program: everything that comes from outside is bounded first.
#[expect(clippy::panic, reason = "money that overflows must stop")]
fn checked(nanos: Option<i64>) -> NanoUsd {
    match nanos {
        Some(nanos) => NanoUsd(nanos),
        None => panic!("an amount of money is beyond what can be counted"),
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: NanoUsd) {
        *self = *self + other;
    }
}

impl SubAssign for NanoUsd {
    fn sub_assign(&mut self, other: NanoUsd) {
        *self = *self - other;
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = NanoUsd>>(amounts: I) -> NanoUsd {
        amounts.fold(NanoUsd::ZERO, Add::add)
    }
}

/// `$1.50`, `-$0.000000001`: at least two decimals, and as many as the amount needs.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.written(Some(b'$'), &mut [0; NanoUsd::LONGEST]))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Right, or not at all.
        #[test]
        fn arithmetic_is_exact_or_stops(
            one in prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN), Just(NanoUsd::TOTAL.0)],
            other in prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN), Just(-NanoUsd::TOTAL.0)],
        ) {
            let (a, b) = (NanoUsd(one), NanoUsd(other));
            let exact = [
                (catch_unwind(|| a + b), i128::from(one) + i128::from(other)),
                (catch_unwind(|| a - b), i128::from(one) - i128::from(other)),
                (catch_unwind(|| -a), -i128::from(one)),
                (catch_unwind(|| [a, b].into_iter().sum()), i128::from(one) + i128::from(other)),
            ];
            for (is, exact) in exact {
                prop_assert_eq!(is.ok().map(|sum| i128::from(sum.0)), i64::try_from(exact).ok().map(i128::from));
            }
        }
    }

    #[test]
    fn micros_are_exact_or_nothing() {
        assert_eq!(NanoUsd::from_micros(1), Some(NanoUsd(1_000)));
        assert_eq!(NanoUsd::from_micros(u64::MAX / 1_000), None);
        assert_eq!(NanoUsd::from_micros(u64::MAX), None);
    }

    #[test]
    fn prints_as_many_decimals_as_it_needs() {
        for (nanos, text) in [
            (0, "$0.00"),
            (1, "$0.000000001"),
            (-1, "-$0.000000001"),
            (1_500_000_000, "$1.50"),
            (-25_000_000_000, "-$25.00"),
            (1_234_567_000, "$1.234567"),
            (i64::MIN, "-$9223372036.854775808"),
        ] {
            assert_eq!(NanoUsd(nanos).to_string(), text, "{nanos} nano-dollars");
            let decimal = text.replace('$', "");
            let mut room = [0; NanoUsd::LONGEST];
            assert_eq!(NanoUsd(nanos).decimal(&mut room), decimal, "{text}");
        }
    }
}
