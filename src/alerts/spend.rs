//! What an account spent day by day, how long credits last at that pace, and whether a day is unusual. Pure.

use tollgate_ledger::NanoUsd;

/// Days before today that are remembered.
pub(crate) const DAYS: usize = 14;

/// Days before today whose average is the pace.
const PACE_DAYS: usize = 7;

/// Days on which something must have been spent before another one can be unusual.
const LEAST_SPENT_DAYS: usize = 3;

const DAY_MS: i128 = 24 * 60 * 60 * 1000;

/// What was spent on each day, today's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spend([NanoUsd; DAYS + 1]);

impl Spend {
    /// Adds what was spent so many days ago; older days do not count.
    pub(crate) fn add(&mut self, ago: u32, cost: NanoUsd) {
        let place = usize::try_from(ago).unwrap_or(usize::MAX);
        if let Some(day) = self.0.get_mut(place) {
            day.0 = day.0.saturating_add(cost.0);
        }
    }

    /// Adds another's.
    pub(crate) fn add_all(&mut self, other: &Spend) {
        for (ago, cost) in (0..).zip(other.0) {
            self.add(ago, cost);
        }
    }

    /// Forgets the days that are read again: today and yesterday.
    pub(crate) fn forget_recent(&mut self) {
        self.0[..2].fill(NanoUsd::ZERO);
    }

    pub(crate) fn today(&self) -> NanoUsd {
        self.0[0]
    }

    /// Returns after how many ms `left` is spent at the pace of the last week and of today, of which `today_ms` are over;
    /// `None` if nothing was spent.
    pub(crate) fn reaches(&self, left: NanoUsd, today_ms: u64) -> Option<u64> {
        let week = &self.0[1..=PACE_DAYS];
        let first = week.iter().rposition(|cost| *cost > NanoUsd::ZERO);
        let days = first.map_or(0, |place| place + 1);
        let sum: i128 = self.0[..=days].iter().map(|cost| i128::from(cost.0)).sum();
        let days = i128::try_from(days).unwrap_or(i128::MAX / DAY_MS / 2);
        // The first hours alone are no pace.
        let time = (days * DAY_MS + i128::from(today_ms)).max(DAY_MS);
        let left = i128::from(left.or_zero().0);
        let ms = left.checked_mul(time)?.checked_div(sum)?;
        u64::try_from(ms).ok()
    }

    /// Returns what was spent today, and on an average day before, if today's is `times` that and `at_least` so much.
    pub(crate) fn unusual(&self, times: u32, at_least: NanoUsd) -> Option<(NanoUsd, NanoUsd)> {
        let before = &self.0[1..];
        let spent = before.iter().filter(|cost| **cost > NanoUsd::ZERO).count();
        let days = before.iter().rposition(|cost| *cost > NanoUsd::ZERO)? + 1;
        let sum: i128 = before.iter().map(|cost| i128::from(cost.0)).sum();
        let average = i64::try_from(sum / i128::try_from(days).ok()?).ok()?;
        let far = i128::from(self.today().0) >= i128::from(average) * i128::from(times);
        let is_unusual = spent >= LEAST_SPENT_DAYS && far && self.today() >= at_least;
        is_unusual.then_some((self.today(), NanoUsd(average)))
    }
}

/// Returns the highest threshold (percent of `most`, in ascending order) that `used` has reached, and those below it. 100 % is
/// reached at 99.5 %: what is left then is less than a request needs.
pub(crate) fn reached(used: i64, most: i64, thresholds: &[u8]) -> Option<(u8, Vec<u8>)> {
    let least = |percent: u8| match percent {
        100 => 995,
        percent => i128::from(percent) * 10,
    };
    let passed = |percent: &u8| i128::from(used) * 1_000 >= i128::from(most) * least(*percent);
    let passed: Vec<u8> = thresholds.iter().copied().filter(passed).collect();
    let (highest, below) = passed.split_last()?;
    (most > 0).then(|| (*highest, below.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;

    fn spend(days: &[i64]) -> Spend {
        let mut spend = Spend::default();
        for (ago, usd) in (0..).zip(days) {
            spend.add(ago, NanoUsd(usd * NanoUsd::DOLLAR.0));
        }
        spend
    }

    #[test]
    fn a_pace_is_that_of_the_last_week_or_since_it_began() {
        let left = NanoUsd(10 * NanoUsd::DOLLAR.0);
        for (days, today, hours) in [
            // 7 dollars in half a day and three days and a half: 2 a day.
            (&[1, 2, 2, 2][..], 12 * HOUR, Some(120)),
            (&[0, 2], 0, Some(120)),
            // A day that has just begun counts as one.
            (&[5], HOUR, Some(48)),
            (&[0, 0, 0, 0, 0, 0, 0, 7], 0, Some(240)),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 7], 0, None),
            (&[], 0, None),
        ] {
            let found = spend(days).reaches(left, today);
            assert_eq!(found, hours.map(|hours| hours * HOUR), "{days:?}");
        }
        assert_eq!(spend(&[1]).reaches(NanoUsd(-5), HOUR), Some(0));
    }

    #[test]
    fn a_day_is_unusual_beside_days_that_were_usual() {
        let dollar = |amount: i64| NanoUsd(amount * NanoUsd::DOLLAR.0);
        for (days, unusual) in [
            (&[10, 2, 2, 2][..], Some(2)),
            (&[9, 2, 2, 2], None),
            (&[10, 2, 2], None),
            // 6 dollars in six days.
            (&[5, 0, 0, 2, 2, 0, 2], Some(1)),
            (&[50], None),
            (&[1, 1, 1, 1], None),
        ] {
            let found = spend(days).unusual(5, dollar(2));
            let average = found.map(|(today, average)| {
                assert_eq!(today, dollar(days[0]));
                average
            });
            assert_eq!(average, unusual.map(dollar), "{days:?}");
        }
        assert_eq!(
            spend(&[10, 2, 2, 2]).unusual(5, dollar(11)),
            None,
            "at least"
        );
    }

    #[test]
    fn the_highest_share_is_told_and_those_below_it_with_it() {
        let all = [50, 80, 100];
        assert_eq!(reached(49, 100, &all), None);
        assert_eq!(reached(50, 100, &all), Some((50, vec![])));
        assert_eq!(reached(994, 1_000, &all), Some((80, vec![50])));
        assert_eq!(reached(995, 1_000, &all), Some((100, vec![50, 80])));
        assert_eq!(reached(i64::MAX, 3, &all), Some((100, vec![50, 80])));
        assert_eq!(reached(i64::MAX, i64::MAX, &[]), None);
        assert_eq!(reached(0, 0, &all), None, "nothing of nothing");
    }

    #[test]
    fn what_is_read_again_is_forgotten() {
        let mut all = spend(&[1, 2, 3]);
        all.forget_recent();
        assert_eq!(all, spend(&[0, 0, 3]));
        all.add_all(&spend(&[4, 0, 1]));
        assert_eq!(all, spend(&[4, 0, 4]));
        all.add(15, NanoUsd::DOLLAR);
        all.add(0, NanoUsd(i64::MAX));
        assert_eq!(all.today(), NanoUsd(i64::MAX));
    }
}
