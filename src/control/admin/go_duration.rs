//! Durations as Go writes them: `30s`, `1m30s`, `1.5h`, `500ms`.
//!
//! Invariant: what is read is exact to the nanosecond, and what is shown is what Go's `Duration.String` shows, so
//! that clients compare texts.

use std::time::Duration;

/// Longest timeout that may be set.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

const WRITTEN: &str = "must be a Go duration, as in 30s, 1m30s or 500ms";

const SECOND: u128 = 1_000_000_000;

/// Reads a timeout: more than 0, at most [`LONGEST`], whole milliseconds.
///
/// # Errors
///
/// What is wrong and how to write it, as in `must be …`.
pub(crate) fn timeout(text: &str) -> Result<Duration, &'static str> {
    let time = parse(text).ok_or(WRITTEN)?;
    if time.is_zero() {
        Err("must be more than 0s")
    } else if time > LONGEST {
        Err("must be at most 24h")
    } else {
        whole_millis(text)
    }
}

/// Reads a duration of whole milliseconds.
///
/// # Errors
///
/// What is wrong and how to write it, as in `must be …`.
pub(crate) fn whole_millis(text: &str) -> Result<Duration, &'static str> {
    let time = parse(text).ok_or(WRITTEN)?;
    match time.subsec_nanos() % 1_000_000 {
        0 => Ok(time),
        _ => Err("must be whole milliseconds"),
    }
}

/// Reads what Go's `ParseDuration` reads, but for negative durations and for what is finer than a nanosecond.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, after) = rest.split_at(number);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        total = total.checked_add(exact(amount, nanos(unit)?)?)?;
        rest = after;
    }
    // Go counts in an i64.
    let total = i64::try_from(total).ok()?.unsigned_abs();
    Some(Duration::from_nanos(total))
}

/// `amount` (digits with at most one point) times `unit`, if that is a whole number.
fn exact(amount: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let number = |digits: &str| match digits {
        "" => Some(0),
        digits => digits.parse::<u128>().ok(),
    };
    let whole = number(whole)?.checked_mul(unit)?;
    let fraction = fraction.trim_end_matches('0');
    let parts = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = number(fraction)?.checked_mul(unit)?;
    (fraction % parts == 0)
        .then(|| whole.checked_add(fraction / parts))
        .flatten()
}

fn nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        // The micro sign, and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        _ => return None,
    })
}

/// As Go shows it: `0s`, `1.5ms`, `30s`, `1m0s`, `2h0m0.5s`.
pub(crate) fn show(time: Duration) -> String {
    let nanos = time.as_nanos();
    if nanos < SECOND {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => decimal(nanos, 1_000) + "\u{b5}s",
            _ => decimal(nanos, 1_000_000) + "ms",
        };
    }
    let (minutes, rest) = (nanos / (60 * SECOND), nanos % (60 * SECOND));
    let seconds = decimal(rest, SECOND);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `nanos / unit` with no more decimals than it needs; `unit` is a power of ten.
fn decimal(nanos: u128, unit: u128) -> String {
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10().try_into().unwrap_or(usize::MAX);
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_those_of_go() {
        // From Go's own tests of time.Duration, and what clients send.
        for (text, nanos, shown) in [
            ("0", 0, "0s"),
            ("5s", 5_000_000_000, "5s"),
            ("30s", 30_000_000_000, "30s"),
            ("1478s", 1_478_000_000_000, "24m38s"),
            ("+5s", 5_000_000_000, "5s"),
            ("5.0s", 5_000_000_000, "5s"),
            ("5.6s", 5_600_000_000, "5.6s"),
            ("5.s", 5_000_000_000, "5s"),
            (".5s", 500_000_000, "500ms"),
            ("1.004s", 1_004_000_000, "1.004s"),
            ("10ns", 10, "10ns"),
            ("11us", 11_000, "11\u{b5}s"),
            ("12\u{b5}s", 12_000, "12\u{b5}s"),
            ("12\u{3bc}s", 12_000, "12\u{b5}s"),
            ("1.1us", 1_100, "1.1\u{b5}s"),
            ("2.2ms", 2_200_000, "2.2ms"),
            ("60s", 60_000_000_000, "1m0s"),
            ("2m0s", 120_000_000_000, "2m0s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("90m", 5_400_000_000_000, "1h30m0s"),
            ("4h30m", 16_200_000_000_000, "4h30m0s"),
            ("10.5s4m", 250_500_000_000, "4m10.5s"),
            ("0.3333333333333333333h", 1_200_000_000_000, ""),
            ("39h9m14.425s", 140_954_425_000_000, "39h9m14.425s"),
            (
                "9223372036854775807ns",
                i64::MAX,
                "2562047h47m16.854775807s",
            ),
        ] {
            let want = Duration::from_nanos(nanos.unsigned_abs());
            if shown.is_empty() {
                assert_eq!(parse(text), None, "{text} is finer than a nanosecond");
                continue;
            }
            assert_eq!(parse(text), Some(want), "{text}");
            assert_eq!(show(want), shown, "{text}");
        }
        for text in [
            "",
            "3",
            "-5s",
            "s",
            ".",
            "-",
            ".s",
            "+.s",
            "1..5s",
            "1.2.3s",
            "1d",
            "1e3s",
            "1 s",
            "1S",
            "0.1ns",
            "9223372036854775808ns",
            "3000000h",
            "99999999999999999999999999999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn timeouts_are_bounded() {
        for (text, millis) in [
            ("1ms", Ok(1)),
            ("24h", Ok(86_400_000)),
            ("24h0m0.001s", Err("must be at most 24h")),
            ("0s", Err("must be more than 0s")),
            ("1.5ms", Err("must be whole milliseconds")),
            (
                "soon",
                Err("must be a Go duration, as in 30s, 1m30s or 500ms"),
            ),
        ] {
            assert_eq!(timeout(text).map(|time| time.as_millis()), millis, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanos in 0_i64..) {
            let time = Duration::from_nanos(nanos.unsigned_abs());
            prop_assert_eq!(parse(&show(time)), Some(time));
        }

        #[test]
        fn what_is_shown_of_milliseconds_reads_back(millis in 1_u64..=86_400_000) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(timeout(&show(time)), Ok(time));
        }

        #[test]
        fn nothing_panics(text in "[-+.0-9nuµmsh ]{0,40}|.{0,20}") {
            parse(&text);
        }
    }
}
