//! How long a provider asks us to wait, read from the headers of its answer.
//!
//! | header | value |
//! | --- | --- |
//! | `retry-after` | seconds, or an HTTP date (RFC 9110, 10.2.3) |
//! | `retry-after-ms` | milliseconds (OpenAI, Azure) |
//! | `msh-cooldown-seconds` | seconds (Moonshot) |
//! | the resets of [`limits`](super::limits) | a duration, or a time |
//!
//! The longest wins. A reset header says when its bucket is *full* again, and providers send it with
//! every answer, for every bucket. So where a `-remaining` header says that the bucket still holds
//! something, its reset header does not count; without a readable `-remaining` header it does.
//! A time in the past is a wait of zero; what cannot be read is passed over.
//!
//! Invariant: no header can make the wait negative or longer than [`LONGEST`], and none can panic.

use std::time::{Duration, SystemTime};

use super::limits::{BUCKETS, reset};
use super::times::quantity;

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

    let cooldown = header("msh-cooldown-seconds").and_then(quantity);
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
        .chain(cooldown)
        .chain(resets)
        .max()
        .map(|wait| wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::times::rfc3339;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

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
            ("msh-cooldown-seconds", "9", Some(s(9))),
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
