//! When rates hold: always, from a day on, or at some hours of some days.

use std::fmt;
use std::str::FromStr;

use tollgate_base::time::{civil, days};

/// When rates hold (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// Always.
    #[default]
    Always,
    /// From a moment on (Unix time, s).
    From(u64),
    /// On these days between two times (seconds since midnight); past midnight if the first is the later one.
    Daily(u32, u32, Days),
}

const DAY: u64 = 86_400;
const END_OF_DAY: u32 = 86_400;

/// Days of the week (UTC): a bit each, Monday's the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(u8);

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Days {
    /// Every day.
    pub const ALL: Days = Days(0b111_1111);

    /// Whether the day of a moment (Unix time, s) is among them.
    fn has(self, now: u64) -> bool {
        // 1970 began on a Thursday.
        self.0 >> ((now / DAY + 3) % 7) & 1 == 1
    }

    /// `Sat`, `Mon-Fri`, `Sat-Mon`.
    fn read(text: &str) -> Option<Days> {
        let place = |name: &str| NAMES.iter().position(|known| *known == name);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (place(first)?, place(last)?);
        let count = (last + 7 - first) % 7 + 1;
        Some(Days(
            (0..count).fold(0, |days, day| days | 1 << ((first + day) % 7)),
        ))
    }
}

/// `Mon-Fri `, with a blank behind it; nothing if it is every day.
impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |day: usize| self.0 >> (day % 7) & 1 == 1;
        let Some(first) = (0..7).find(|day| has(*day) && !has(day + 6)) else {
            return Ok(());
        };
        let count = (1..7).find(|more| !has(first + more)).unwrap_or(7);
        match count {
            1 => write!(f, "{} ", NAMES[first]),
            _ => write!(f, "{}-{} ", NAMES[first], NAMES[(first + count - 1) % 7]),
        }
    }
}

impl Holds {
    /// Returns whether they hold at a moment (Unix time, s).
    pub fn at(self, now: u64) -> bool {
        match self {
            Holds::Always => true,
            Holds::From(start) => now >= start,
            Holds::Daily(from, to, days) => {
                let (from, to, time) = (u64::from(from), u64::from(to), now % DAY);
                if from <= to {
                    days.has(now) && (from..to).contains(&time)
                } else {
                    // The hours after midnight belong to the day before.
                    time >= from && days.has(now) || time < to && days.has(now + 6 * DAY)
                }
            }
        }
    }
}

/// `2027-01-01`, `01:00-04:00`, `Mon-Fri 01:00-04:00`; nothing at all is always.
impl FromStr for Holds {
    type Err = String;

    fn from_str(text: &str) -> Result<Holds, String> {
        if text.is_empty() {
            return Ok(Holds::Always);
        }
        let day = || day_of(text).map(|day| Holds::From(day * DAY));
        let hours = || {
            let (days, hours) = match text.split_once(' ') {
                Some((days, hours)) => (Days::read(days)?, hours),
                None => (Days::ALL, text),
            };
            let (from, to) = hours.split_once('-')?;
            let to = (to == "24:00")
                .then_some(END_OF_DAY)
                .or_else(|| time_of(to));
            let (from, to) = (time_of(from)?, to?);
            (from != to).then_some(Holds::Daily(from, to, days))
        };
        day().or_else(hours).ok_or_else(|| {
            format!(
                "`{text}` is neither a day, as in 2027-01-01, nor two times of a day, as in 01:00-04:00 or \
                 Mon-Fri 01:00-04:00"
            )
        })
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |seconds: u32| format!("{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
        match self {
            Holds::Always => Ok(()),
            Holds::From(start) => {
                let (year, month, day) = civil(start / DAY);
                write!(f, "{year:04}-{month:02}-{day:02}")
            }
            Holds::Daily(from, to, days) => write!(f, "{days}{}-{}", time(*from), time(*to)),
        }
    }
}

/// Days since 1970-01-01.
fn day_of(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = <[&str; 3]>::try_from(parts).ok()?;
    let number = |text: &str, digits: usize| -> Option<u64> {
        let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok())?
    };
    let date = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let in_range = (1..=12).contains(&date.1) && (1..=31).contains(&date.2);
    let days = in_range.then(|| days(date.0, date.1, date.2))?;
    u64::try_from(days).ok().filter(|days| civil(*days) == date)
}

/// Seconds since midnight of a time as in `01:00`.
fn time_of(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str, below: u32| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = text.parse().ok().filter(|_| plain)?;
        (number < below).then_some(number)
    };
    Some(number(hour, 24)? * 3_600 + number(minute, 60)? * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_hours_are_read_and_nothing_that_is_none() {
        for (text, holds) in [
            ("", Holds::Always),
            ("1970-01-02", Holds::From(86_400)),
            ("2024-02-29", Holds::From(1_709_164_800)),
            ("01:00-04:30", Holds::Daily(3_600, 16_200, Days::ALL)),
            ("23:00-01:00", Holds::Daily(82_800, 3_600, Days::ALL)),
            (
                "Sat-Sun 00:00-24:00",
                Holds::Daily(0, 86_400, Days(0b110_0000)),
            ),
            (
                "Sat-Mon 00:00-24:00",
                Holds::Daily(0, 86_400, Days(0b110_0001)),
            ),
            (
                "Wed 23:00-01:00",
                Holds::Daily(82_800, 3_600, Days(0b000_0100)),
            ),
        ] {
            assert_eq!(text.parse(), Ok(holds), "{text}");
            assert_eq!(holds.to_string(), text);
        }
        for text in [
            "Sat-Sun",
            "sat 01:00-02:00",
            "Sat- 01:00-02:00",
            "Mon,Tue 01:00-02:00",
            "24:00-01:00",
            "2025-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-01",
            "1969-12-31",
            "24:00-01:00",
            "01:00-01:00",
            "1:00-2:00",
            "01:60-02:00",
            "tomorrow",
            "2026-10-12T00:00:00Z",
        ] {
            assert!(text.parse::<Holds>().is_err(), "{text}");
        }
    }

    #[test]
    fn hours_after_midnight_belong_to_the_day_before() {
        // 2026-11-27 is a Friday.
        let friday = 20_784 * DAY;
        for (text, hours, expected) in [
            ("Mon-Fri 01:00-04:00", 2, true),
            ("Mon-Fri 01:00-04:00", 24 + 2, false),
            ("Mon-Fri 01:00-04:00", 3 * 24 + 2, true),
            ("Fri 23:00-02:00", 23, true),
            ("Fri 23:00-02:00", 24 + 1, true),
            ("Fri 23:00-02:00", 1, false),
            ("Fri 23:00-02:00", 24 + 23, false),
            ("Sat-Sun 00:00-24:00", 23, false),
            ("Sat-Sun 00:00-24:00", 24, true),
            ("Sat-Sun 00:00-24:00", 3 * 24 - 1, true),
            ("Sat-Sun 00:00-24:00", 3 * 24, false),
        ] {
            let holds: Holds = text.parse().unwrap();
            assert_eq!(
                holds.at(friday + hours * 3_600),
                expected,
                "{text}, {hours} hours after Friday began"
            );
        }
    }
}
