use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn time(text: &str) -> u64 {
    let time: Timestamp = text.parse().unwrap();
    time.as_second().cast_unsigned()
}

#[test]
fn windows_begin_and_end_where_calendars_say() {
    use Weekday::{Monday, Saturday, Sunday};
    for (per, named, starts, now, start, end) in [
        // A leap day, a Thursday.
        (
            Per::Day,
            "UTC",
            Monday,
            "2024-02-29T12:34:56Z",
            "2024-02-29T00:00Z",
            "2024-03-01T00:00Z",
        ),
        (
            Per::Week,
            "UTC",
            Monday,
            "2024-02-29T12:34:56Z",
            "2024-02-26T00:00Z",
            "2024-03-04T00:00Z",
        ),
        (
            Per::Week,
            "UTC",
            Sunday,
            "2024-02-29T12:34:56Z",
            "2024-02-25T00:00Z",
            "2024-03-03T00:00Z",
        ),
        (
            Per::Week,
            "UTC",
            Saturday,
            "2024-03-02T00:00:00Z",
            "2024-03-02T00:00Z",
            "2024-03-09T00:00Z",
        ),
        (
            Per::Month,
            "UTC",
            Monday,
            "2024-02-29T12:34:56Z",
            "2024-02-01T00:00Z",
            "2024-03-01T00:00Z",
        ),
        (
            Per::Month,
            "UTC",
            Monday,
            "2023-12-31T23:59:59Z",
            "2023-12-01T00:00Z",
            "2024-01-01T00:00Z",
        ),
        (
            Per::Quarter,
            "UTC",
            Monday,
            "2024-02-29T12:34:56Z",
            "2024-01-01T00:00Z",
            "2024-04-01T00:00Z",
        ),
        (
            Per::Quarter,
            "UTC",
            Monday,
            "2026-12-31T23:59:59Z",
            "2026-10-01T00:00Z",
            "2027-01-01T00:00Z",
        ),
        // A day of 23 hours, one of 25, and a week with one of them.
        (
            Per::Day,
            "Europe/Berlin",
            Monday,
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00Z",
            "2026-03-29T22:00Z",
        ),
        (
            Per::Day,
            "Europe/Berlin",
            Monday,
            "2026-10-25T12:00:00Z",
            "2026-10-24T22:00Z",
            "2026-10-25T23:00Z",
        ),
        (
            Per::Week,
            "Europe/Berlin",
            Monday,
            "2026-10-25T22:59:59Z",
            "2026-10-18T22:00Z",
            "2026-10-25T23:00Z",
        ),
        (
            Per::Quarter,
            "America/New_York",
            Monday,
            "2026-05-01T00:00:00Z",
            "2026-04-01T04:00Z",
            "2026-07-01T04:00Z",
        ),
        // Clocks go forward at midnight.
        (
            Per::Day,
            "America/Sao_Paulo",
            Monday,
            "2015-10-18T12:00:00Z",
            "2015-10-18T03:00Z",
            "2015-10-19T02:00Z",
        ),
        // The 30th of December was left out.
        (
            Per::Day,
            "Pacific/Apia",
            Monday,
            "2011-12-30T09:59:59Z",
            "2011-12-29T10:00Z",
            "2011-12-30T10:00Z",
        ),
        (
            Per::Day,
            "Pacific/Apia",
            Monday,
            "2011-12-30T10:00:00Z",
            "2011-12-30T10:00Z",
            "2011-12-31T10:00Z",
        ),
    ] {
        let window = Period::new(per, zone(named), starts).window(time(now));
        let full = |text: &str| time(&text.replace("00Z", "00:00Z"));
        assert_eq!(window, (full(start), full(end)), "{per:?} {named} {now}");
    }
    assert_eq!(Period::utc(Per::Total).window(5), ALWAYS);
    assert_eq!(
        Period::utc(Per::Day).window(u64::MAX),
        ALWAYS,
        "no calendar"
    );
}

#[test]
fn a_name_says_all_that_makes_a_difference() {
    let berlin = zone("europe/berlin");
    for (per, zone, starts, name) in [
        (Per::Day, Zone::UTC, Weekday::Sunday, "day"),
        (Per::Total, berlin, Weekday::Sunday, "total"),
        (Per::Month, berlin, Weekday::Sunday, "month@Europe/Berlin"),
        (Per::Week, Zone::UTC, Weekday::Monday, "week"),
        (Per::Week, Zone::UTC, Weekday::Sunday, "week@UTC,sunday"),
        (
            Per::Week,
            berlin,
            Weekday::Sunday,
            "week@Europe/Berlin,sunday",
        ),
    ] {
        let period = Period::new(per, zone, starts);
        assert_eq!(period.to_string(), name);
        assert_eq!(name.parse(), Ok(period));
    }
    for name in [
        "",
        "year",
        "week@",
        "week@Europe/Berln",
        "week@UTC,",
        "week@UTC,someday",
    ] {
        assert_eq!(name.parse::<Period>(), Err(()), "{name}");
    }
    let refused = "Mars/Olympus".parse::<Zone>().unwrap_err().to_string();
    assert!(refused.contains("`Mars/Olympus`") && refused.contains("Europe/Berlin"));
}

/// Any time until 2100, of any zone.
fn periods() -> impl Strategy<Value = (Period, u64)> {
    let all = Zone::all();
    let named = (0..all.len()).prop_map(move |at| all[at].parse().unwrap_or(Zone::UTC));
    let period = (0..4_usize, named, 0..7_usize)
        .prop_map(|(per, zone, starts)| Period::new(Per::ALL[per], zone, Weekday::ALL[starts]));
    (period, 86_400..4_102_444_800_u64)
}

proptest! {
    /// Every moment is in one window, and windows follow each other without a gap, whatever clocks do.
    #[test]
    fn windows_leave_nothing_out((period, now) in periods()) {
        let (start, end) = period.window(now);
        prop_assert!(start <= now && now < end, "{period} {now}: {start} to {end}");
        prop_assert_eq!(period.window(start), (start, end), "{} from its start", period);
        prop_assert_eq!(period.window(end - 1), (start, end), "{} to its end", period);
        prop_assert_eq!(period.window(end).0, end, "{} goes on", period);
        prop_assert_eq!(period.to_string().parse(), Ok(period));
    }
}

/// Where clocks change is where it goes wrong: a window around each change of each zone.
#[test]
fn windows_leave_nothing_out_where_clocks_change() {
    let from: Timestamp = "1971-01-01T00:00:00Z".parse().unwrap();
    let to: Timestamp = "2038-01-01T00:00:00Z".parse().unwrap();
    for name in Zone::all() {
        let zone: Zone = name.parse().unwrap_or_default();
        let changes = zone
            .clocks()
            .following(from)
            .map(|change| change.timestamp());
        for change in changes.take_while(|at| *at < to) {
            let at = change.as_second().cast_unsigned();
            let day = Period::new(Per::Day, zone, Weekday::Monday);
            for time in [at - 86_400, at - 1, at, at + 86_400] {
                let (start, end) = day.window(time);
                assert!(start <= time && time < end, "{day} {time}");
                assert_eq!(day.window(start).0, start, "{day} {time}");
                assert_eq!(day.window(end).0, end, "{day} {time}");
                assert_eq!(day.window(end - 1), (start, end), "{day} {time}");
            }
        }
    }
}
