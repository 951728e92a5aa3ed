//! Wall-clock time as it leaves the process: RFC 3339, UTC, milliseconds.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// A wall-clock time that prints and serializes as `2026-11-23T05:06:07.089Z`.
///
/// Times before 1970 print as 1970; the calendar is the proleptic Gregorian one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub SystemTime);

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Timestamp(time)
    }
}

impl Timestamp {
    /// Returns the text, in ASCII. Written digit by digit: every request has one.
    pub fn ascii(&self) -> [u8; 24] {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (year, month, day) = civil(seconds / 86_400);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (from, to, mut number) in [
            (0, 4, year),
            (5, 7, month),
            (8, 10, day),
            (11, 13, seconds / 3_600 % 24),
            (14, 16, seconds / 60 % 60),
            (17, 19, seconds % 60),
            (20, 23, u64::from(since.subsec_millis())),
        ] {
            for digit in text[from..to].iter_mut().rev() {
                *digit += u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        }
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.ascii()).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.ascii()).unwrap_or_default())
    }
}

/// Year, month and day of a number of days since 1970-01-01.
///
/// Howard Hinnant's `civil_from_days` (<https://howardhinnant.github.io/date_algorithms.html>),
/// for non-negative days: years start in March, so that the leap day is the last of its year.
pub fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar, in the years 0 to 9999; the inverse of [`civil`].
pub fn days(year: u64, month: u64, day: u64) -> i64 {
    // March to February, so that the leap day is the last of its year; one era more keeps all above zero.
    let year = year + 400 - u64::from(month <= 2);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).cast_signed() - 719_468 - 146_097
}

/// Returns an RFC 3339 time as nanoseconds of Unix time, negative before 1970; `None` if it is none. Digits beyond the
/// ninth of a second's fraction are cut off, and a leap second is the first one of the next minute.
pub fn instant(text: &str) -> Option<i128> {
    let text = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        let digits = digits.iter().all(u8::is_ascii_digit).then_some(digits)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let at = |place: usize, any: &[u8]| text.get(place).is_some_and(|byte| any.contains(byte));
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let separated = at(4, b"-") && at(7, b"-") && at(10, b"Tt ") && at(13, b":") && at(16, b":");
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !separated || !(1..=longest).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut end = 19;
    let mut nanos = 0;
    if at(end, b".") {
        end += 1;
        let digits = text[end..].iter().take_while(|byte| byte.is_ascii_digit());
        let digits = digits.count();
        let kept = digits.min(9);
        let scale = 10u64.pow(u32::try_from(9 - kept).ok()?);
        nanos = number(end, end + kept).filter(|_| digits > 0)? * scale;
        end += digits;
    }
    let offset = match text.get(end)? {
        b'Z' | b'z' if text.len() == end + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == end + 6 && at(end + 3, b":") => {
            let (hours, minutes) = (number(end + 1, end + 3)?, number(end + 4, end + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 3_600 + minutes * 60).cast_signed();
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let time = (hour * 3_600 + minute * 60 + second).cast_signed();
    let seconds = i128::from(days(year, month, day) * 86_400 + time - offset);
    Some(seconds * 1_000_000_000 + i128::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_rfc_3339_says() {
        const SECOND: i128 = 1_000_000_000;
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01t00:00:00.5z", Some(SECOND / 2)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1969-12-31T22:30:00-01:30", Some(0)),
            ("1969-12-31T23:59:59Z", Some(-SECOND)),
            (
                "2025-12-31T23:59:59.999Z",
                Some(1_767_225_599_999 * 1_000_000),
            ),
            (
                "2024-02-29T23:59:59.001Z",
                Some(1_709_251_199_001 * 1_000_000),
            ),
            (
                "2024-02-29T23:59:59.0010000009Z",
                Some(1_709_251_199_001 * 1_000_000),
            ),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800 * SECOND)),
            ("0000-03-01T00:00:00Z", Some(-62_162_035_200 * SECOND)),
            ("2023-02-29T00:00:00Z", None),
            ("2023-13-01T00:00:00Z", None),
            ("2023-01-00T00:00:00Z", None),
            ("2023-01-01T24:00:00Z", None),
            ("2023-01-01T00:00:00", None),
            ("2023-01-01T00:00:00.Z", None),
            ("2023-01-01T00:00:00+0100", None),
            ("2023-01-01T00:00:00Z ", None),
            ("2023-01-01", None),
            ("+023-01-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(millis in 0u64..253_402_300_800_000) {
            let text = Timestamp(UNIX_EPOCH + Duration::from_millis(millis)).to_string();
            prop_assert_eq!(instant(&text), Some(i128::from(millis) * 1_000_000));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "\\PC{0,40}|[0-9TZ:.+-]{15,40}") {
            instant(&text);
        }
    }
    use std::time::Duration;

    #[test]
    fn prints_known_times() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(Timestamp(time).to_string(), expected, "{millis} ms");
        }
    }

    #[test]
    fn clamps_times_before_the_epoch() {
        let time = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp(time).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let leap =
            |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..146_097 {
            assert_eq!(civil(days), (year, month, day), "day {days}");
            let length = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
