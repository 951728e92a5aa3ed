//! Amounts of money: integers of nano-dollars, no floats.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// Nano-dollars (10⁻⁹ USD), positive or negative: up to about 9.2 billion US dollars.
///
/// Arithmetic saturates; what enters the books is bounded far below that (see [`NanoUsd::MOST`]), so that it
/// never does.
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
    /// Lua scripts, whose numbers are floats, compare such amounts exactly.
    pub const MOST: NanoUsd = NanoUsd(9_000_000 * 1_000_000_000);

    /// Nothing instead of a negative amount.
    #[must_use]
    pub fn or_zero(self) -> NanoUsd {
        self.max(NanoUsd::ZERO)
    }
}

impl Add for NanoUsd {
    type Output = NanoUsd;
    fn add(self, other: NanoUsd) -> NanoUsd {
        NanoUsd(self.0.saturating_add(other.0))
    }
}

impl Sub for NanoUsd {
    type Output = NanoUsd;
    fn sub(self, other: NanoUsd) -> NanoUsd {
        NanoUsd(self.0.saturating_sub(other.0))
    }
}

impl Neg for NanoUsd {
    type Output = NanoUsd;
    fn neg(self) -> NanoUsd {
        NanoUsd(self.0.saturating_neg())
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
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let (whole, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let fraction = format!("{fraction:09}");
        let kept = fraction.trim_end_matches('0').len().max(2);
        f.pad(&format!("{sign}${whole}.{}", &fraction[..kept]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }
}
