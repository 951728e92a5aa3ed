//! Decimal text as integers, exactly.
//!
//! Providers write money with up to 28 decimals (`0.003835980000000000000000000000`), with an exponent (`5.5e-07`), or
//! with the last digits of a binary fraction (`0.8958740000000001`). What is finer than the unit that is asked for is
//! rounded once, half away from zero. Nothing becomes a float.

use tollgate_ledger::NanoUsd;

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is no decimal number.
    NotANumber,
    /// It is beyond what anybody is billed.
    TooLarge,
    /// It has a fraction where none can be.
    NotWhole,
    /// It is below zero where nothing can be.
    Negative,
}

/// Longest text that is looked at (bytes).
const LONGEST: usize = 80;

/// Digits of a whole number that surely fits into 64 bits.
const DIGITS: usize = 18;

/// Nano-dollars of an amount in US dollars.
pub(crate) fn dollars(text: &str) -> Result<NanoUsd, Wrong> {
    money(text, 9)
}

/// Nano-dollars of an amount in cents.
pub(crate) fn cents(text: &str) -> Result<NanoUsd, Wrong> {
    money(text, 7)
}

fn money(text: &str, places: i32) -> Result<NanoUsd, Wrong> {
    let (nanos, _) = scaled(text, places)?;
    let most = NanoUsd::MOST.0;
    if (-most..=most).contains(&nanos) {
        Ok(NanoUsd(nanos))
    } else {
        Err(Wrong::TooLarge)
    }
}

/// A whole number of at least 0, perhaps written with a fraction of zeros (`59200.0`).
pub(crate) fn whole(text: &str) -> Result<u64, Wrong> {
    match scaled(text, 0)? {
        (_, false) => Err(Wrong::NotWhole),
        (number, true) => u64::try_from(number).map_err(|_| Wrong::Negative),
    }
}

/// How many decimals a text shows, of which the last may be zeros; `None` if it has an exponent.
pub(crate) fn decimals(text: &str) -> Option<usize> {
    if text.contains(['e', 'E']) {
        return None;
    }
    Some(
        text.trim()
            .split_once('.')
            .map_or(0, |(_, after)| after.len()),
    )
}

/// The number times ten to the power of `places`, rounded half away from zero, and whether that is exact.
fn scaled(text: &str, places: i32) -> Result<(i64, bool), Wrong> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return Err(Wrong::NotANumber);
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::NotANumber);
    }
    let fraction = i32::try_from(fraction.len()).map_err(|_| Wrong::NotANumber)?;
    let shift = places + exponent - fraction;
    let significant = digits.trim_start_matches('0');
    let (number, exact) = if significant.is_empty() {
        (0, true)
    } else {
        shifted(significant, shift)?
    };
    Ok((if negative { -number } else { number }, exact))
}

/// An exponent of three digits at most.
fn power(text: &str) -> Result<i32, Wrong> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain =
        !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain {
        return Err(Wrong::NotANumber);
    }
    text.trim_start_matches('+')
        .parse()
        .map_err(|_| Wrong::NotANumber)
}

/// Digits without leading zeros, times ten to the power of `shift`.
fn shifted(digits: &str, shift: i32) -> Result<(i64, bool), Wrong> {
    let parse = |text: &str| text.parse::<i64>().map_err(|_| Wrong::TooLarge);
    if let Ok(zeros) = usize::try_from(shift) {
        if digits.len().saturating_add(zeros) > DIGITS {
            return Err(Wrong::TooLarge);
        }
        return Ok((parse(&format!("{digits}{}", "0".repeat(zeros)))?, true));
    }
    let cut = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
    let kept = digits.len().saturating_sub(cut);
    if kept > DIGITS {
        return Err(Wrong::TooLarge);
    }
    let (kept, dropped) = digits.split_at(kept);
    let number = if kept.is_empty() { 0 } else { parse(kept)? };
    // A number far below the unit has zeros in front of its digits, which are not written out.
    let first = if dropped.len() < cut {
        b'0'
    } else {
        dropped.as_bytes().first().copied().unwrap_or(b'0')
    };
    let exact = dropped.bytes().all(|digit| digit == b'0');
    Ok((number + i64::from(first >= b'5'), exact))
}

/// Reads an amount of US dollars, as decimal text; finer than a nano-dollar is rounded.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_usd(text: &str) -> Result<NanoUsd, String> {
    dollars(text).map_err(|wrong| wrong.said(text))
}

/// US dollars as decimal text, exact, for programs: `-1.500000001`.
pub(crate) fn show_usd(amount: NanoUsd) -> String {
    amount.to_string().replacen('$', "", 1)
}

/// Returns a count with its separators: `12,345,678`.
pub fn show_count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Pico-dollars (10⁻¹² USD) as US dollars, with no more decimals than they need.
pub(crate) fn show_picos(picos: i128) -> String {
    fixed(picos, 12)
}

/// A whole number of `10^-places` as decimal text, with no more decimals than it needs.
pub(crate) fn fixed(number: i128, places: usize) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

impl Wrong {
    /// What is wrong with a text, which is quoted if it is short.
    pub(crate) fn said(self, text: &str) -> String {
        let shown: String = text.chars().take(40).collect();
        let shown = shown.escape_debug();
        match self {
            Wrong::NotANumber => format!("expected a decimal number, not `{shown}`"),
            Wrong::TooLarge => format!("`{shown}` is more than anybody is billed"),
            Wrong::NotWhole => format!("expected a whole number, not `{shown}`"),
            Wrong::Negative => format!("`{shown}` is below zero"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_to_the_nano_dollar() {
        for (text, nanos) in [
            ("0.06", 60_000_000),
            ("0", 0),
            ("-0.0", 0),
            ("12", 12_000_000_000),
            ("0.003835980000000000000000000000", 3_835_980),
            ("0.8958740000000001", 895_874_000),
            ("5.5e-07", 550),
            ("5.5E-7", 550),
            ("1e-05", 10_000),
            ("1.5e+2", 150_000_000_000),
            ("1e-99", 0),
            ("0.0000000004", 0),
            ("0.0000000005", 1),
            ("0.00000000049999", 0),
            ("-0.0000000005", -1),
            ("-1.25", -1_250_000_000),
            (" 1.5 ", 1_500_000_000),
            ("0.00000000000000000000000000000000000001", 0),
        ] {
            assert_eq!(dollars(text), Ok(NanoUsd(nanos)), "{text}");
        }
        assert_eq!(cents("123.78912"), Ok(NanoUsd(1_237_891_200)));
        assert_eq!(cents("0.00000005"), Ok(NanoUsd(1)), "half a nano-dollar");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let long = "1".repeat(LONGEST + 1);
        for text in [
            "", " ", ".", ".5", "1,5", "1.2.3", "$1", "+1", "1e", "1e1000", "e5", "--1", "NaN",
            "inf", "0x10", "1 2", "٣", "null", &long,
        ] {
            assert_eq!(dollars(text), Err(Wrong::NotANumber), "{text:?}");
        }
        for text in ["9000000.000000001", "1e30", "99999999999999999999", "1e999"] {
            assert_eq!(dollars(text), Err(Wrong::TooLarge), "{text:?}");
        }
    }

    #[test]
    fn quantities_are_whole_and_not_below_zero() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("59200.0", Ok(59_200)),
            ("1e3", Ok(1_000)),
            ("0.5", Err(Wrong::NotWhole)),
            ("-3", Err(Wrong::Negative)),
            ("-0.0", Ok(0)),
            ("x", Err(Wrong::NotANumber)),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    #[test]
    fn counts_have_separators() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(show_count(number), text);
        }
    }

    #[test]
    fn pico_dollars_are_shown_exactly() {
        for (picos, text) in [
            (0, "0"),
            (1, "0.000000000001"),
            (-2_500_000_000_000, "-2.5"),
            (1_000_000_000_000, "1"),
        ] {
            assert_eq!(show_picos(picos), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos in -NanoUsd::MOST.0..=NanoUsd::MOST.0) {
            prop_assert_eq!(parse_usd(&show_usd(NanoUsd(nanos))), Ok(NanoUsd(nanos)));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,90}|[0-9eE.+-]{0,90}") {
            dollars(&text).ok();
            cents(&text).ok();
            whole(&text).ok();
        }

        #[test]
        fn an_exponent_moves_the_point(number in 0u32..1_000_000, power in 0usize..9) {
            let moved = format!("{number}{}", "0".repeat(power));
            prop_assert_eq!(whole(&format!("{number}e{power}")), whole(&moved));
        }
    }
}
