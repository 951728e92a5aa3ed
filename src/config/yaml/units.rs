//! Values with units, as people write them: durations and sizes; [`Usd`] is a file of its own.
//!
//! Invariant: what parses is exact. Nothing here goes through floating-point arithmetic, and what cannot be
//! represented is refused with a message that shows how to write it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::by_text::{UnitError, by_text};
use schemars::json_schema;

pub use super::usd::Usd;

/// A duration: `500ms`, `60s`, `10m`, `1h30m`, `365d`; a bare `0` is zero. Whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// A size in bytes: `32MiB`, `64KiB`, `10MB`, `512B`, or a bare number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const SPAN_HELP: &str =
    "is not a duration: write a number and a unit (ms, s, m, h, d), as in 500ms, 60s or 1h30m";
const SIZE_HELP: &str =
    "is not a size: write a number and a unit (B, kB, KiB, MB, MiB, GB, GiB), as in 32MiB";
impl Span {
    /// Returns the duration.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError(format!("`{text}` {SPAN_HELP}"));
        if text == "0" {
            return Ok(Span(Duration::ZERO));
        }
        let mut rest = text;
        let mut millis: u64 = 0;
        // Units must fall, so that `1m1h` and `1s1s` are typing errors, not durations.
        let mut last = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit: u64 = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            rest = &rest[letters..];
            if unit >= last {
                return Err(wrong());
            }
            last = unit;
            millis = number
                .checked_mul(unit)
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(wrong)?;
        }
        if last == u64::MAX {
            return Err(wrong());
        }
        Ok(Span(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, name) in [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
            (1, "ms"),
        ] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError(format!("`{text}` {SIZE_HELP}"));
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit: u64 = match text[digits..].trim_start_matches(' ') {
            "" | "B" => 1,
            "kB" | "KB" => 1_000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(ByteSize).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, name) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{name}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

by_text!(
    Span,
    "a duration such as 60s",
    json_schema!({
        "type": ["string", "integer"],
        "description": "A duration: `500ms`, `60s`, `10m`, `1h30m`, `365d`.",
        "pattern": "^(0|(?=[0-9])([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?)$",
        "minimum": 0,
        "maximum": 0,
        "patternErrorMessage": SPAN_HELP,
    })
);
by_text!(
    ByteSize,
    "a size such as 32MiB",
    json_schema!({
        "type": ["string", "integer"],
        "description": "A size: `32MiB`, `64KiB`, `10MB`, or a bare number of bytes.",
        "pattern": "^[0-9]{1,9} ?(B|kB|KB|KiB|MB|MiB|GB|GiB)?$",
        "minimum": 0,
        "patternErrorMessage": SIZE_HELP,
    })
);
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("60s", 60_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("365d", 31_536_000_000),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(millis), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "1m1h",
            "1s1s",
            "5 s",
            "5sec",
            "99999999999999999999d",
            "300000000000d",
            "٣s",
        ] {
            let refused = text.parse::<Span>().expect_err(text);
            assert!(
                refused.to_string().contains("as in 500ms"),
                "{text}: {refused}"
            );
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal_as_written() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("10MB", 10_000_000),
            ("32MiB", 33_554_432),
            ("64KiB", 65_536),
            ("1 GiB", 1 << 30),
            ("7B", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in [
            "",
            "MiB",
            "1.5MiB",
            "-1",
            "1mib",
            "1Mb",
            "99999999999999999999",
            "99999999999999999GiB",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(millis in 0u64..10_000_000_000_000, bytes: u64) {
            let span = Span(Duration::from_millis(millis));
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>(), Ok(ByteSize(bytes)));
        }

    }
}
