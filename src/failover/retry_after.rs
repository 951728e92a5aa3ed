//! How long a provider asks us to wait, read from the headers of its answer.
//!
//! | header | value |
//! | --- | --- |
//! | `retry-after` | seconds, or an HTTP date (RFC 9110, 10.2.3) |
//! | `retry-after-ms` | milliseconds (OpenAI, Azure) |
//! | the resets of [`limits`](super::limits) | a duration, or a time |
//!
//! The longest wins. A reset header says when its bucket is *full* again, and providers send it with
//! every answer, for every bucket. So where a `-remaining` header says that the bucket still holds
//! something, its reset header does not count; without a readable `-remaining` header it does.
//! A time in the past is a wait of zero; what cannot be read is passed over.
//!
//! Invariant: no header can make the wait negative or longer than [`LONGEST`], and none can panic.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::limits::{BUCKETS, reset};

/// No wait is longer than this, whatever a header says.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Returns the longest of the waits that the headers ask for, at most [`LONGEST`]; `None` when none asks.
///
/// `header` is asked for names in lower case; `wall` is the current wall-clock time.
pub fn retry_after<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    wall: SystemTime,
) -> Option<Duration> {
    let header = |name: &str| header(name).map(str::trim);
    let exhausted = |left: &str| {
        header(left)
            .and_then(quantity)
            .is_none_or(|left| left.is_zero())
    };
    let until = |time: SystemTime| time.duration_since(wall).unwrap_or(Duration::ZERO);

    let asked = header("retry-after").and_then(|text| {
        quantity(text).or_else(|| httpdate::parse_http_date(text).ok().map(until))
    });
    let asked_ms = header("retry-after-ms").and_then(|text| quantity(text).map(|ms| ms / 1000));
    let resets = BUCKETS
        .iter()
        .filter(|bucket| exhausted(bucket.left))
        .filter_map(|bucket| reset(header(bucket.reset)?, wall));

    asked
        .into_iter()
        .chain(asked_ms)
        .chain(resets)
        .max()
        .map(|wait| wait.min(LONGEST))
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-23T05:00:00Z.
    fn wall() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_410_000)
    }

    fn wait(headers: &[(&str, &str)]) -> Option<Duration> {
        let find = |name: &str| {
            headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|&(_, value)| value)
        };
        retry_after(find, wall())
    }

    #[test]
    fn each_header_in_each_form() {
        let s = Duration::from_secs;
        let ms = Duration::from_millis;
        let cases: &[(&str, &str, Option<Duration>)] = &[
            ("retry-after", "7", Some(s(7))),
            ("retry-after", " 7 ", Some(s(7))),
            ("retry-after", "0", Some(s(0))),
            ("retry-after", "1.5", Some(ms(1500))),
            ("retry-after", "Mon, 23 Nov 2026 05:00:20 GMT", Some(s(20))),
            ("retry-after", "Mon, 23 Nov 2026 04:00:00 GMT", Some(s(0))),
            ("retry-after", "86400", Some(LONGEST)),
            ("retry-after", "99999999999999999999999999", Some(LONGEST)),
            ("retry-after", "-5", None),
            ("retry-after", "+5", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("retry-after", ".", None),
            ("retry-after", "1e9", None),
            ("retry-after", "NaN", None),
            ("retry-after-ms", "250", Some(ms(250))),
            (
                "retry-after-ms",
                "250.5",
                Some(Duration::from_micros(250_500)),
            ),
            ("retry-after-ms", "1s", None),
            ("x-ratelimit-reset-requests", "1s", Some(s(1))),
            ("x-ratelimit-reset-requests", "20ms", Some(ms(20))),
            ("x-ratelimit-reset-tokens", "6m0s", Some(s(360))),
            ("x-ratelimit-reset-tokens", "1h2m3.5s", Some(LONGEST)),
            ("x-ratelimit-reset-tokens", "2m59.56s", Some(ms(179_560))),
            (
                "x-ratelimit-reset-tokens",
                "150µs",
                Some(Duration::from_micros(150)),
            ),
            ("x-ratelimit-reset-tokens", "0s", Some(s(0))),
            ("x-ratelimit-reset-tokens", "12", Some(s(12))),
            ("x-ratelimit-reset-tokens", "6m0", None),
            ("x-ratelimit-reset-tokens", "m", None),
            ("x-ratelimit-reset-tokens", "1.2.3s", None),
            ("x-ratelimit-reset-tokens", "1 fortnight", None),
            (
                "anthropic-ratelimit-requests-reset",
                "2026-11-23T05:00:30Z",
                Some(s(30)),
            ),
            (
                "anthropic-ratelimit-tokens-reset",
                "2026-11-23T05:00:30.25Z",
                Some(ms(30_250)),
            ),
            (
                "anthropic-ratelimit-input-tokens-reset",
                "2026-11-23T07:00:30+02:00",
                Some(s(30)),
            ),
            (
                "anthropic-ratelimit-output-tokens-reset",
                "2026-11-22T23:30:30-05:30",
                Some(s(30)),
            ),
            (
                "anthropic-ratelimit-tokens-reset",
                "2026-11-23T04:59:59Z",
                Some(s(0)),
            ),
            (
                "anthropic-ratelimit-tokens-reset",
                "9999-12-31T23:59:60Z",
                Some(LONGEST),
            ),
            (
                "anthropic-ratelimit-tokens-reset",
                "2026-13-01T00:00:00Z",
                None,
            ),
            (
                "anthropic-ratelimit-tokens-reset",
                "2026-11-23T05:00:30",
                None,
            ),
            ("anthropic-ratelimit-tokens-reset", "2026-11-23", None),
            ("anthropic-ratelimit-tokens-reset", "later", None),
            ("x-ratelimit-reset", "1795410030000", Some(s(30))),
        ];
        for (name, value, expected) in cases {
            assert_eq!(wait(&[(name, value)]), *expected, "{name}: {value}");
        }
        assert_eq!(wait(&[]), None, "nobody asks for anything");
    }

    #[test]
    fn the_longest_wins() {
        let headers = [
            ("retry-after", "2"),
            ("retry-after-ms", "1500"),
            ("x-ratelimit-reset-tokens", "9s"),
        ];
        assert_eq!(wait(&headers), Some(Duration::from_secs(9)));
        let headers = [
            ("retry-after", "20"),
            ("retry-after-ms", "1500"),
            ("x-ratelimit-reset-tokens", "9s"),
        ];
        assert_eq!(wait(&headers), Some(Duration::from_secs(20)));
    }

    /// OpenAI sends both buckets with each answer: a minute limit of tokens that is spent must not make
    /// the key cool down for the day that the bucket of requests needs to be full again.
    #[test]
    fn a_bucket_that_still_holds_something_does_not_count() {
        let spent_tokens = [
            ("x-ratelimit-reset-requests", "50m0s"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-tokens", "12s"),
            ("x-ratelimit-remaining-tokens", "0"),
        ];
        assert_eq!(wait(&spent_tokens), Some(Duration::from_secs(12)));
        let anthropic = [
            ("anthropic-ratelimit-requests-reset", "2026-11-23T05:10:00Z"),
            ("anthropic-ratelimit-requests-remaining", "3"),
        ];
        assert_eq!(
            wait(&anthropic),
            None,
            "nothing is exhausted, so nothing says how long"
        );
        let unreadable = [
            ("x-ratelimit-reset-tokens", "12s"),
            ("x-ratelimit-remaining-tokens", "few"),
        ];
        assert_eq!(wait(&unreadable), Some(Duration::from_secs(12)));
    }

    #[test]
    fn calendar_agrees_with_httpdate() {
        for days in (0..60_000).step_by(13) {
            let time = UNIX_EPOCH + Duration::from_secs(days * 86_400);
            let text = httpdate::fmt_http_date(time);
            let month = 1 + "JanFebMarAprMayJunJulAugSepOctNovDec"
                .find(&text[8..11])
                .unwrap()
                / 3;
            let iso = format!("{}-{month:02}-{}T00:00:00Z", &text[12..16], &text[5..7]);
            assert_eq!(rfc3339(&iso), Some(time), "{iso}");
        }
    }

    proptest! {
        #[test]
        fn nonsense_never_panics_and_stays_in_range(
            value in "\\PC{0,24}|[0-9a-zTZ:.+µ-]{0,30}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.0-9Z+:-]{0,8}",
        ) {
            let resets = BUCKETS.iter().map(|bucket| bucket.reset);
            for name in resets.chain(["retry-after", "retry-after-ms"]) {
                prop_assert!(wait(&[(name, &value)]).is_none_or(|wait| wait <= LONGEST), "{name}: {value}");
            }
        }
    }
}
