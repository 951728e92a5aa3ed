//! Prices as strangers write them, exactly: decimal text, perhaps with an exponent, never through a float.

use super::json::{Json, quoted};
use tollgate_ledger::tariff::{Rates, rate_of};
use tollgate_wire::report::Unit;

/// Digits of a whole number that surely fits into 64 bits.
const DIGITS: usize = 18;

/// What a written price is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Per {
    /// One token.
    Token,
    /// A million tokens.
    Million,
    /// One search, container or request.
    One,
    /// A thousand of them.
    Thousand,
}

impl Per {
    /// As price lists have it: a million tokens, or a thousand of what is no token.
    pub(super) fn listed(unit: Unit) -> Per {
        match unit.is_tokens() {
            true => Per::Million,
            false => Per::Thousand,
        }
    }

    /// By how many places the decimal point moves until a price is in micro-dollars, for a million tokens or a thousand of
    /// what is no token.
    fn places(self) -> i64 {
        match self {
            Per::Token => 12,
            Per::Million | Per::Thousand => 6,
            Per::One => 9,
        }
    }
}

/// Sets a unit's price, for prompts of more than `above` tokens if that is said.
///
/// # Errors
/// When it is no number, below zero, too large, or finer than can be charged.
pub(super) fn set(
    rates: &mut Rates,
    unit: Unit,
    above: Option<u64>,
    price: Json<'_>,
    per: Per,
) -> Result<(), String> {
    let text = price.number()?;
    let micros = micros(text, per.places()).map_err(|what| format!("{}: {what}", quoted(text)))?;
    let pico = rate_of(unit, micros)?;
    match above {
        None => rates.entry(unit).base = Some(pico),
        Some(above) => rates.entry(unit).set_tier(above, pico),
    }
    Ok(())
}

/// A JSON number times ten to the power of `places`, rounded half up.
///
/// Published prices are often the last digits of a binary fraction off (`2.0000000000000002e-07`), which rounding mends.
/// What it would change by more than a thousandth, and what it would make nothing of, is refused.
fn micros(text: &str, places: i64) -> Result<u64, &'static str> {
    const LARGE: &str = "nothing costs so much";
    const FINE: &str =
        "a price finer than can be charged: a millionth of a US dollar per million tokens";
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    if negative {
        return Err("a price below zero");
    }
    // What does not even fit is out of every range.
    let small = exponent.starts_with('-');
    let exponent: i64 = match exponent.trim_start_matches('+').parse() {
        Ok(exponent) if (-9_999..=9_999).contains(&exponent) => exponent,
        _ if small => return Err(FINE),
        _ => return Err(LARGE),
    };
    let length = |text: &str| i64::try_from(text.len()).map_err(|_| LARGE);
    // Digits before the point of the result.
    let before = length(digits)? - length(fraction)? + exponent + places;
    let before = usize::try_from(before).or(if before < 0 { Err(FINE) } else { Err(LARGE) })?;
    if before > DIGITS {
        return Err(LARGE);
    }
    let kept = &digits[..before.min(digits.len())];
    let kept = format!("{kept:0<before$}");
    let number: u64 = if kept.is_empty() {
        0
    } else {
        kept.parse().map_err(|_| LARGE)?
    };
    let rest = digits.get(before..).unwrap_or_default();
    let rest = format!("{:0<3}", &rest[..rest.len().min(3)]);
    let thousandths: u64 = rest.parse().map_err(|_| LARGE)?;
    let up = thousandths >= 500;
    let (number, off) = match up {
        true => (number.saturating_add(1), 1_000 - thousandths),
        false => (number, thousandths),
    };
    if number == 0 || off > number {
        return Err(FINE);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_and_what_cannot_be_charged_is_refused() {
        for (text, places, price) in [
            ("0", 6, Ok(0)),
            ("-0.0", 6, Ok(0)),
            ("0e999999999999", 6, Ok(0)),
            ("3", 6, Ok(3_000_000)),
            ("0.0375", 6, Ok(37_500)),
            ("2.5e-06", 12, Ok(2_500_000)),
            ("2.0000000000000002e-07", 12, Ok(200_000)),
            ("1.9999999999999998e-07", 12, Ok(200_000)),
            ("1E+1", 6, Ok(10_000_000)),
            ("0.000001", 6, Ok(1)),
            ("1e-12", 12, Ok(1)),
        ] {
            assert_eq!(micros(text, places), price, "{text}");
        }
        for text in [
            "1e-30",
            "1e-7",
            "0.0000014",
            "0.0000000001",
            "1e-99999999999999999999",
            "1e308",
            "1e99999999999999999999",
            "123456789012345678901234567890",
            "-1",
            "-1e-30",
        ] {
            assert!(micros(text, 6).is_err(), "{text}");
        }
    }
}
