//! Amounts of US dollars, exactly.
//!
//! Invariant: an amount is an integer of micro-dollars and never goes through floating-point arithmetic: a YAML
//! number is read by its shortest decimal text, which is what the operator wrote.

use std::fmt;
use std::str::FromStr;

use schemars::json_schema;

use super::by_text::{UnitError, by_text};

/// An amount of US dollars, zero or more, to the micro-dollar (at most six decimals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd {
    micros: u64,
}

const USD_HELP: &str = "is not an amount of US dollars: write a number of at least 0 with at most 6 decimals, as in 2.50";

impl Usd {
    /// Pico-dollars (10⁻¹² USD) per token, of an amount that is dollars per million tokens.
    ///
    /// USD per 10⁶ tokens × 10¹² ÷ 10⁶ = USD × 10⁶, so `0.0375` gives 37 500, exactly.
    pub fn pico_per_token(self) -> u64 {
        self.micros
    }

    /// Micro-dollars (10⁻⁶ USD).
    pub fn micros(self) -> u64 {
        self.micros
    }
}

impl FromStr for Usd {
    type Err = UnitError;

    /// Reads a decimal with an optional exponent, as `2.50`, `0.0375` or `3.75e-2` (the shortest text of a float).
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError(format!("`{text}` {USD_HELP}"));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || exponent.abs() > 30 {
            return Err(wrong());
        }
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let decimals = i64::try_from(fraction.len()).map_err(|_| wrong())?;
        // value = digits × 10^(exponent − decimals); micro-dollars are six places further.
        let shift = i64::from(exponent) - decimals + 6;
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            return Ok(Usd::default());
        }
        let zeros = i64::try_from(digits.len() - significant.len()).map_err(|_| wrong())?;
        let number: u64 = significant.parse().map_err(|_| wrong())?;
        let places = u32::try_from(shift + zeros).map_err(|_| wrong())?;
        let micros = 10u64
            .checked_pow(places)
            .and_then(|scale| number.checked_mul(scale))
            .ok_or_else(wrong)?;
        Ok(Usd { micros })
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.micros / 1_000_000, self.micros % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

by_text!(
    Usd,
    "an amount of US dollars such as 2.50",
    json_schema!({
        "type": ["number", "string"],
        "description": "US dollars, to the micro-dollar.",
        "pattern": "^[0-9]{1,9}(\\.[0-9]{1,6}0*)?$",
        "minimum": 0,
        "patternErrorMessage": USD_HELP,
    })
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prices_are_exact_from_text_and_from_numbers() {
        for (text, pico) in [
            ("0", 0),
            ("0.0", 0),
            ("0.0375", 37_500),
            ("2.50", 2_500_000),
            ("10", 10_000_000),
            ("600", 600_000_000),
            ("0.000001", 1),
            ("3.75e-2", 37_500),
            ("1e2", 100_000_000),
            ("0.10000000000", 100_000),
        ] {
            assert_eq!(
                text.parse::<Usd>().unwrap().pico_per_token(),
                pico,
                "{text}"
            );
        }
        for text in [
            "",
            ".",
            "-1",
            "1.",
            ".5",
            "0.0000001",
            "1e-7",
            "1e99",
            "NaN",
            "inf",
            "1,5",
            "$1",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
        for (json, pico) in [
            ("0.0375", 37_500),
            ("0.1", 100_000),
            ("0.3", 300_000),
            ("15", 15_000_000),
            ("\"0.0375\"", 37_500),
        ] {
            let usd: Usd = serde_json::from_str(json).unwrap();
            assert_eq!(usd.pico_per_token(), pico, "{json}");
        }
        assert!(serde_json::from_str::<Usd>("-0.5").is_err(), "negative");
        assert!(
            serde_json::from_str::<Usd>("0.00000005").is_err(),
            "not exact"
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(micros in 0u64..1_000_000_000_000) {
            let usd = Usd { micros };
            prop_assert_eq!(usd.to_string().parse::<Usd>(), Ok(usd));
        }

        #[test]
        fn a_price_written_as_a_float_is_the_price_written_as_text(micros in 0u64..1_000_000_000) {
            let usd = Usd { micros };
            let by_number: Usd = serde_json::from_str(&usd.to_string()).unwrap();
            prop_assert_eq!(by_number, usd);
        }
    }
}
