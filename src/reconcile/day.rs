//! Days of UTC.

use serde::{Serialize, Serializer};
use tollgate_base::time;
use tollgate_ledger::bank::Day;

/// Seconds in a day.
pub(crate) const DAY: u64 = 86_400;

/// Reads `2026-11-29`.
///
/// # Errors
/// Says what is expected.
pub fn parse_day(text: &str) -> Result<Day, String> {
    let midnight = (text.len() == 10)
        .then(|| time::instant(&format!("{text}T00:00:00Z")))
        .flatten();
    let days = midnight.map(|nanos| nanos / 1_000_000_000 / i128::from(DAY));
    match days.map(u32::try_from) {
        Some(Ok(days)) => Ok(Day(days)),
        _ => Err("expected a day such as 2026-11-29".to_owned()),
    }
}

/// `2026-11-29`.
pub fn show_day(day: Day) -> String {
    let (year, month, day) = time::civil(u64::from(day.0));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns the day of a Unix time (s); the last one there is if it is beyond that.
pub fn day_of(seconds: u64) -> Day {
    Day(u32::try_from(seconds / DAY).unwrap_or(u32::MAX))
}

/// As JSON, its text.
pub(crate) fn serialize<S: Serializer>(day: &Day, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&show_day(*day))
}

/// The days that are compared, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// The first.
    #[serde(serialize_with = "serialize")]
    pub from: Day,
    /// The last.
    #[serde(serialize_with = "serialize")]
    pub to: Day,
}

impl Period {
    /// Returns whether it has this day.
    pub fn has(&self, day: Day) -> bool {
        (self.from..=self.to).contains(&day)
    }

    /// Returns its days, in order.
    pub fn days(&self) -> impl Iterator<Item = Day> + use<> {
        (self.from.0..=self.to.0).map(Day)
    }

    /// Returns the Unix time (s) at which it begins, and that at which it has ended.
    pub fn seconds(&self) -> (u64, u64) {
        (
            u64::from(self.from.0) * DAY,
            (u64::from(self.to.0) + 1) * DAY,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_shown() {
        for text in ["1970-01-01", "2024-02-29", "2026-11-29", "9999-12-31"] {
            assert_eq!(parse_day(text).map(show_day).as_deref(), Ok(text));
        }
        assert_eq!(parse_day("1970-01-02"), Ok(Day(1)));
        for text in [
            "",
            "2026-11-31",
            "2025-02-29",
            "2026-1-1",
            "1969-12-31",
            "20261129",
            "2026-11-29 ",
            "2026-11-29T00:00:00Z",
            "today",
        ] {
            assert!(parse_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_period_has_both_its_ends() {
        let period = Period {
            from: Day(10),
            to: Day(12),
        };
        assert_eq!(period.days().count(), 3);
        assert!(period.has(Day(10)) && period.has(Day(12)) && !period.has(Day(13)));
        assert_eq!(period.seconds(), (864_000, 1_123_200));
    }
}
