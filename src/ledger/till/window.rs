//! The windows of limits: minutes, days and months of UTC. Pure.

use crate::bank::{Day, Measure};
use tollgate_base::time::civil;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * 60;

/// Returns the start of the window that a moment (Unix time, s) is in, and its end; (0, `u64::MAX`) for measures that
/// have none.
pub fn window(measure: Measure, now: u64) -> (u64, u64) {
    let fixed = |length: u64| (now - now % length, now - now % length + length);
    match measure {
        Measure::RequestsPerMinute | Measure::TokensPerMinute => fixed(MINUTE),
        Measure::BudgetPerDay => fixed(DAY),
        Measure::BudgetPerMonth => {
            let days = now / DAY;
            let (_, _, day) = civil(days);
            let first = days - (day - 1);
            // The first of a month and 31 days are in the next month, or on its first days.
            let (_, _, over) = civil(first + 31);
            (first * DAY, (first + 31 - (over - 1)) * DAY)
        }
        Measure::ConcurrentRequests | Measure::BudgetTotal => (0, u64::MAX),
    }
}

/// Returns the day that a moment (Unix time, ms) is in.
pub fn day(ms: u64) -> Day {
    Day(u32::try_from(ms / 1000 / DAY).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_and_end_where_calendars_say() {
        // 2024-02-29T12:34:56Z
        let leap = 1_709_210_096;
        for (measure, start, end) in [
            (Measure::RequestsPerMinute, 1_709_210_040, 1_709_210_100),
            (Measure::BudgetPerDay, 1_709_164_800, 1_709_251_200),
            (Measure::BudgetPerMonth, 1_706_745_600, 1_709_251_200),
            (Measure::BudgetTotal, 0, u64::MAX),
        ] {
            assert_eq!(window(measure, leap), (start, end), "{measure:?}");
        }
        // 2023-12-31T23:59:59Z and a second later
        let eve = 1_704_067_199;
        assert_eq!(
            window(Measure::BudgetPerMonth, eve),
            (1_701_388_800, 1_704_067_200)
        );
        assert_eq!(
            window(Measure::BudgetPerMonth, eve + 1),
            (1_704_067_200, 1_706_745_600)
        );
        assert_eq!(day(0), Day(0));
        assert_eq!(day(1_704_067_199_999), Day(19_722));
    }

    #[test]
    fn every_day_of_four_centuries_is_in_a_month_of_the_right_length() {
        let mut days = 0;
        while days < 146_097 {
            let (start, end) = window(Measure::BudgetPerMonth, days * DAY);
            assert!(
                start == days * DAY && (28..=31).contains(&((end - start) / DAY)),
                "day {days}"
            );
            days = end / DAY;
        }
        assert_eq!(days, 146_097, "four centuries are whole months");
    }
}
