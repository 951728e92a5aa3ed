//! Lengths of time, and times, as providers' headers write them.
//!
//! Invariant: nothing overflows, none can panic; what cannot be read is `None`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A decimal number of whatever unit, `7` or `1.5`, as that many seconds. Saturates.
pub(crate) fn quantity(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // All digits, so the only way to fail is to be too large.
    let whole = whole.parse().unwrap_or(u64::MAX);
    Some(Duration::new(whole, nanos(fraction)))
}

/// The digits after a decimal point, as nanoseconds; finer ones are cut off.
fn nanos(fraction: &str) -> u32 {
    let digits = fraction
        .bytes()
        .filter(u8::is_ascii_digit)
        .chain(std::iter::repeat(b'0'));
    digits
        .take(9)
        .fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'))
}

/// A duration as Go's `time.Duration` prints it: `1s`, `6m0s`, `1h2m3.5s`, `20ms`, `150µs`.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = quantity(&rest[..end])?;
        rest = &rest[end..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let part = match &rest[..unit_end] {
            "h" => number.saturating_mul(3600),
            "m" => number.saturating_mul(60),
            "s" => number,
            "ms" => number / 1000,
            "us" | "µs" | "μs" => number / 1_000_000,
            "ns" => number / 1_000_000_000,
            _ => return None,
        };
        sum = sum.saturating_add(part);
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(sum)
}

/// An RFC 3339 time from 1970 on, `2026-11-23T05:00:00Z`, with or without a fraction or an offset.
pub(crate) fn rfc3339(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| -> Option<u64> {
        let part = text.get(from..to)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let at = |place: usize| text.as_bytes().get(place).map(u8::to_ascii_uppercase);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let separated =
        at(4) == Some(b'-') && at(7) == Some(b'-') && at(13) == Some(b':') && at(16) == Some(b':');
    let sane = (1970..).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !separated || !sane || !matches!(at(10), Some(b'T' | b' ')) {
        return None;
    }
    let zone = 19 + fraction_len(&text[19..]);
    let offset = match at(zone)? {
        b'Z' if text.len() == zone + 1 => (b'+', 0),
        sign @ (b'+' | b'-') if text.len() == zone + 6 && at(zone + 3) == Some(b':') => (
            sign,
            number(zone + 1, zone + 3)? * 3600 + number(zone + 4, zone + 6)? * 60,
        ),
        _ => return None,
    };
    let local = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let unix = match offset {
        (b'-', behind) => local.saturating_add(behind),
        (_, ahead) => local.saturating_sub(ahead),
    };
    UNIX_EPOCH.checked_add(Duration::new(unix, nanos(&text[19..zone])))
}

/// How long `.123` at the start of `text` is; 0 if there is none.
fn fraction_len(text: &str) -> usize {
    let Some(digits) = text.strip_prefix('.') else {
        return 0;
    };
    1 + digits.bytes().take_while(u8::is_ascii_digit).count()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, years from 1970 on; Howard Hinnant's
/// `days_from_civil`, with years that begin in March.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).saturating_sub(719_468)
}
