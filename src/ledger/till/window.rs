//! The windows of limits: minutes, and the times of budgets. Pure.

use crate::bank::{Day, Measure};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * 60;

/// Returns the start of the window that a moment (Unix time, s) is in, and its end; (0, `u64::MAX`) for measures that
/// have none.
pub fn window(measure: Measure, now: u64) -> (u64, u64) {
    match measure {
        Measure::RequestsPerMinute | Measure::TokensPerMinute => {
            let start = now - now % MINUTE;
            (start, start + MINUTE)
        }
        Measure::Budget(period) => period.window(now),
        Measure::ConcurrentRequests => (0, u64::MAX),
    }
}

/// Returns the day that a moment (Unix time, ms) is in.
pub fn day(ms: u64) -> Day {
    Day(u32::try_from(ms / 1000 / DAY).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::Per;

    #[test]
    fn windows_begin_and_end_where_calendars_say() {
        // 2024-02-29T12:34:56Z
        let leap = 1_709_210_096;
        for (measure, start, end) in [
            (Measure::RequestsPerMinute, 1_709_210_040, 1_709_210_100),
            (Measure::budget(Per::Day), 1_709_164_800, 1_709_251_200),
            (Measure::budget(Per::Month), 1_706_745_600, 1_709_251_200),
            (Measure::budget(Per::Total), 0, u64::MAX),
        ] {
            assert_eq!(window(measure, leap), (start, end), "{measure:?}");
        }
        // 2023-12-31T23:59:59Z and a second later
        let eve = 1_704_067_199;
        assert_eq!(
            window(Measure::budget(Per::Month), eve),
            (1_701_388_800, 1_704_067_200)
        );
        assert_eq!(
            window(Measure::budget(Per::Month), eve + 1),
            (1_704_067_200, 1_706_745_600)
        );
        assert_eq!(day(0), Day(0));
        assert_eq!(day(1_704_067_199_999), Day(19_722));
    }
}
