//! How much both sides may differ.

use serde::{Serialize, Serializer};
use tollgate_ledger::NanoUsd;

use crate::decimal;

/// Parts per million in a whole.
const MILLION: u128 = 1_000_000;

/// What is no drift: a part of the larger side, or an amount, whichever is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tolerance {
    /// Parts per million of the larger side.
    #[serde(rename = "percent", serialize_with = "percent")]
    pub ppm: u32,
    /// Of each line, whatever its size.
    #[serde(rename = "floorUsd", serialize_with = "usd")]
    pub floor: NanoUsd,
}

fn percent<S: Serializer>(ppm: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&show_percent(i64::from(*ppm)))
}

/// An amount as JSON: decimal text, exact.
pub(super) fn usd<S: Serializer>(amount: &NanoUsd, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&decimal::show_usd(*amount))
}

/// Parts per million as per cent: `0.1`.
pub fn show_percent(ppm: i64) -> String {
    decimal::fixed(i128::from(ppm), 4)
}

impl Tolerance {
    /// A tenth of a per cent, and a thousandth of a cent: more than rounding every request comes to.
    pub const DEFAULT: Tolerance = Tolerance {
        ppm: 1_000,
        floor: NanoUsd(10_000),
    };

    /// Reads per cent (`0.1`) as parts per million.
    ///
    /// # Errors
    /// Says what is expected.
    pub fn parse_percent(text: &str) -> Result<u32, String> {
        let expected = || "expected per cent, such as 0.1, with at most four decimals".to_owned();
        let text = text.trim_end_matches('%').trim_end();
        let shifted = format!("{text}e4");
        let plain = !text.contains(['e', 'E']);
        let ppm = decimal::whole(&shifted).ok().filter(|_| plain);
        ppm.and_then(|ppm| u32::try_from(ppm).ok())
            .filter(|ppm| u128::from(*ppm) <= MILLION)
            .ok_or_else(expected)
    }

    /// Whether two amounts are as good as equal; `rounding` is how far they may be off because they were rounded.
    pub(super) fn allows(&self, one: NanoUsd, other: NanoUsd, rounding: NanoUsd) -> bool {
        let apart = one.0.abs_diff(other.0);
        let larger = one.0.unsigned_abs().max(other.0.unsigned_abs());
        let part = u128::from(larger) * u128::from(self.ppm) / MILLION;
        let floor = self.floor.or_zero() + rounding.or_zero();
        u128::from(apart) <= part.max(u128::from(floor.0.unsigned_abs()))
    }

    /// Whether two quantities are as good as equal.
    pub(super) fn same(&self, one: u64, other: u64) -> bool {
        let part = u128::from(one.max(other)) * u128::from(self.ppm) / MILLION;
        u128::from(one.abs_diff(other)) <= part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_read_and_shown() {
        for (text, ppm) in [
            ("0.1", 1_000),
            ("0", 0),
            ("5%", 50_000),
            ("100", 1_000_000),
            ("0.0001", 1),
        ] {
            assert_eq!(Tolerance::parse_percent(text), Ok(ppm), "{text}");
        }
        for text in ["", "-1", "101", "0.00001", "1e1", "x", "%"] {
            assert!(Tolerance::parse_percent(text).is_err(), "{text}");
        }
        assert_eq!(show_percent(1_000), "0.1");
        assert_eq!(show_percent(-1_000_000), "-100");
    }

    #[test]
    fn a_part_or_the_floor_is_allowed_whichever_is_more() {
        let tolerance = Tolerance::DEFAULT;
        let allows = |one, other| tolerance.allows(NanoUsd(one), NanoUsd(other), NanoUsd::ZERO);
        assert!(allows(1_000_000_000, 1_001_001_001));
        assert!(!allows(10_000_000_000, 10_010_010_011));
        assert!(allows(10_000_000_000, 10_010_010_010));
        assert!(allows(0, 10_000) && !allows(0, 10_001), "the floor");
        assert!(tolerance.allows(NanoUsd(0), NanoUsd(5_010_000), NanoUsd(5_000_000)));
        assert!(tolerance.same(1_000, 1_001) && !tolerance.same(1_000, 1_002));
        assert!(!tolerance.same(10, 11), "small counts are exact");
    }
}
