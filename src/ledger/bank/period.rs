//! How long a budget is for, and by whose clocks: days, weeks, months and quarters of a time zone. Pure: the time zones
//! are part of the program, so that all gateways of one version agree.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What has no end.
const ALWAYS: (u64, u64) = (0, u64::MAX);

/// How long a budget is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// A day, from midnight.
    Day,
    /// Seven days, from a Monday or the day that is said.
    Week,
    /// A calendar month.
    Month,
    /// Three months, from January, April, July and October.
    Quarter,
    /// For ever.
    Total,
}

impl Per {
    /// All of them.
    pub const ALL: [Per; 5] = [Per::Day, Per::Week, Per::Month, Per::Quarter, Per::Total];

    /// Returns before which start (Unix time, s) its windows are long over at a time, by any calendar; `None` if they never
    /// are.
    pub(crate) fn over_before(self, now: u64) -> Option<u64> {
        let days = match self {
            Per::Day => 1,
            Per::Week => 7,
            Per::Month => 31,
            Per::Quarter => 92,
            Per::Total => return None,
        };
        // As long again, for what is told late, and a day for clocks and their zones.
        now.checked_sub((2 * days + 1) * 86_400)
    }

    /// Returns its name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Per::Day => "day",
            Per::Week => "week",
            Per::Month => "month",
            Per::Quarter => "quarter",
            Per::Total => "total",
        }
    }
}

/// A day of the week.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    #[default]
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    const ALL: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    /// Returns its name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Weekday::Monday => "monday",
            Weekday::Tuesday => "tuesday",
            Weekday::Wednesday => "wednesday",
            Weekday::Thursday => "thursday",
            Weekday::Friday => "friday",
            Weekday::Saturday => "saturday",
            Weekday::Sunday => "sunday",
        }
    }
}

/// A time zone of the IANA database, as in `Europe/Berlin`.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Option<&'static TimeZone>);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(None);

    /// Returns its name, spelt as in the database.
    pub fn name(self) -> &'static str {
        self.0.and_then(TimeZone::iana_name).unwrap_or("UTC")
    }

    /// Returns the names of all of them.
    pub fn all() -> Vec<String> {
        let names = DATABASE.available();
        names.map(|name| name.as_str().to_owned()).collect()
    }

    fn clocks(self) -> &'static TimeZone {
        const UTC: &TimeZone = &TimeZone::UTC;
        self.0.unwrap_or(UTC)
    }
}

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Why a time zone was refused; says how to write one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time zone: write one of the IANA database, as in Europe/Berlin or UTC")]
pub struct UnknownZone(String);

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Zone, UnknownZone> {
        // Those that were named, kept for good: there are not many, and a limit is copied with each request.
        static NAMED: Mutex<BTreeMap<&str, &TimeZone>> = Mutex::new(BTreeMap::new());
        let unknown = || UnknownZone(text.to_owned());
        let found = DATABASE.get(text).map_err(|_| unknown())?;
        if found.is_unknown() {
            return Err(unknown());
        }
        let name = found.iana_name().ok_or_else(unknown)?;
        if name == Zone::UTC.name() {
            return Ok(Zone::UTC);
        }
        let mut named = NAMED.lock();
        let known = match named.get(name) {
            Some(known) => *known,
            None => {
                let kept: &'static TimeZone = Box::leak(Box::new(found.clone()));
                named.insert(kept.iana_name().ok_or_else(unknown)?, kept);
                kept
            }
        };
        Ok(Zone(Some(known)))
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(text: String) -> Result<Zone, UnknownZone> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Zone {}

impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Zone) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Zone {
    fn cmp(&self, other: &Zone) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeZone".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A time zone of the IANA database, as in `Europe/Berlin`.",
        })
    }
}

/// The time of a budget: how long, and by whose calendar. Its name has all of that, so that what is counted by one
/// calendar is never taken for what is counted by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    per: Per,
    zone: Zone,
    week_starts: Weekday,
}

impl Period {
    /// One of UTC, with weeks from Mondays.
    pub const fn utc(per: Per) -> Period {
        Period {
            per,
            zone: Zone::UTC,
            week_starts: Weekday::Monday,
        }
    }

    /// Returns one by the clocks of a zone. What makes no difference is as if it were not said.
    pub fn new(per: Per, zone: Zone, week_starts: Weekday) -> Period {
        Period {
            per,
            zone: match per {
                Per::Total => Zone::UTC,
                _ => zone,
            },
            week_starts: match per {
                Per::Week => week_starts,
                _ => Weekday::Monday,
            },
        }
    }

    /// Returns how long it is.
    pub fn per(self) -> Per {
        self.per
    }

    /// Returns the start of the one that a moment (Unix time, s) is in, and its end, which is the next one's start;
    /// (0, `u64::MAX`) for what has none, and beyond the calendar.
    pub fn window(self, now: u64) -> (u64, u64) {
        match self.per {
            Per::Total => ALWAYS,
            _ => self.around(now).unwrap_or(ALWAYS),
        }
    }

    fn around(self, now: u64) -> Option<(u64, u64)> {
        let clocks = self.zone.clocks();
        let time = Timestamp::from_second(i64::try_from(now).ok()?).ok()?;
        let mut first = self.first(clocks.to_datetime(time).date())?;
        let mut start = begins(clocks, first)?;
        loop {
            first = first.checked_add(self.length()).ok()?;
            let end = begins(clocks, first)?;
            // Where clocks go back over midnight, a date comes again after the next one has begun.
            if now < end {
                return Some((start, end));
            }
            start = end;
        }
    }

    /// The first date of the one that a date is in.
    fn first(self, date: Date) -> Option<Date> {
        match self.per {
            Per::Day | Per::Total => Some(date),
            Per::Week => {
                let days = date.weekday().to_monday_zero_offset();
                let starts = Weekday::ALL
                    .iter()
                    .position(|day| *day == self.week_starts)?;
                let since = (i64::from(days) - i64::try_from(starts).ok()?).rem_euclid(7);
                date.checked_sub(Span::new().days(since)).ok()
            }
            Per::Month => Some(date.first_of_month()),
            Per::Quarter => Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).ok(),
        }
    }

    fn length(self) -> Span {
        match self.per {
            Per::Day | Per::Total => Span::new().days(1),
            Per::Week => Span::new().days(7),
            Per::Month => Span::new().months(1),
            Per::Quarter => Span::new().months(3),
        }
    }
}

/// When a date begins by these clocks (Unix time, s).
fn begins(clocks: &TimeZone, date: Date) -> Option<u64> {
    let midnight = clocks.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
    let skipped = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
    let mut at = midnight.compatible().ok()?;
    if skipped {
        // Clocks go forward over midnight: the date begins when they do.
        let after = at.checked_add(Span::new().seconds(1)).ok()?;
        at = clocks.preceding(after).next()?.timestamp();
    }
    Some(u64::try_from(at.as_second()).unwrap_or(0))
}

/// `week`, `week@Europe/Berlin`, `week@UTC,sunday`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.per.name())?;
        let starts_otherwise = self.week_starts != Weekday::Monday;
        if starts_otherwise || self.zone != Zone::UTC {
            write!(f, "@{}", self.zone)?;
        }
        if starts_otherwise {
            write!(f, ",{}", self.week_starts.name())?;
        }
        Ok(())
    }
}

impl FromStr for Period {
    type Err = ();

    fn from_str(text: &str) -> Result<Period, ()> {
        let (per, calendar) = text.split_once('@').unwrap_or((text, "UTC"));
        let (zone, starts) = calendar.split_once(',').unwrap_or((calendar, "monday"));
        let per = Per::ALL.into_iter().find(|one| one.name() == per);
        let starts = Weekday::ALL.into_iter().find(|day| day.name() == starts);
        let period = Period::new(
            per.ok_or(())?,
            zone.parse().map_err(|_| ())?,
            starts.ok_or(())?,
        );
        Ok(period)
    }
}

#[cfg(test)]
mod tests;
