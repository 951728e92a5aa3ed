use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_secs(1_790_000_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A machine whose clocks can be set, and what is made of them.
struct Machine {
    steady: Steady,
    wall: Duration,
    other: Duration,
}

impl Machine {
    fn new() -> Machine {
        Machine::seen(None)
    }

    /// A process that begins at [`START`], with a database that saw this time last.
    fn seen(last: Option<Duration>) -> Machine {
        let other = 77 * SECOND;
        let mut steady = Steady::new(START, other);
        if let Some(last) = last {
            steady.recall(last, START, other);
        }
        Machine {
            steady,
            wall: START,
            other,
        }
    }

    /// Time passes, looked at every second.
    fn wait(&mut self, time: Duration) -> Reading {
        let end = self.other + time;
        while self.other < end {
            self.wall += SECOND;
            self.other += SECOND;
            self.read();
        }
        self.read()
    }

    fn ahead(&mut self, by: Duration) -> Reading {
        self.wall += by;
        self.read()
    }

    fn back(&mut self, by: Duration) -> Reading {
        self.wall -= by;
        self.read()
    }

    fn read(&mut self) -> Reading {
        self.steady.read(self.wall, self.other)
    }
}

#[track_caller]
fn is(reading: Reading, told: Duration, sure: Duration) {
    assert_eq!((reading.told, reading.sure), (told, sure), "{reading:?}");
}

#[test]
fn a_jump_for_a_moment_changes_nothing() {
    for jump in [2 * HOUR, DAY, 400 * DAY, 3650 * DAY] {
        let mut machine = Machine::new();
        machine.wait(5 * SECOND);
        is(machine.ahead(jump), START + 5 * SECOND, START + 5 * SECOND);
        is(
            machine.wait(2 * SECOND),
            START + 7 * SECOND,
            START + 7 * SECOND,
        );
        is(machine.back(jump), START + 7 * SECOND, START + 7 * SECOND);
        is(machine.back(jump), START + 7 * SECOND, START + 7 * SECOND);
        machine.wait(2 * SECOND);
        let reading = machine.ahead(jump);
        is(reading, START + 9 * SECOND, START + 9 * SECOND);
        assert_eq!(reading.jumps, 2, "there, and to the past");
    }
}

#[test]
fn a_step_is_followed_at_once() {
    let mut machine = Machine::new();
    is(machine.ahead(SLACK), START + SLACK, START + SLACK);
    is(machine.back(SLACK), START, START);
    assert_eq!(machine.read().jumps, 0);
    // Not one after the other: that would be a jump.
    machine.ahead(SLACK);
    let reading = machine.ahead(SLACK);
    assert!(reading.told <= START + SLACK, "{reading:?}");
}

#[test]
fn a_jump_that_lasts_is_told_and_then_sure() {
    let mut machine = Machine::new();
    machine.ahead(400 * DAY);
    let reading = machine.wait(SETTLED - SECOND);
    is(reading, START + SETTLED - SECOND, START + SETTLED - SECOND);
    let reading = machine.wait(SECOND);
    is(reading, START + 400 * DAY + SETTLED, START + SETTLED);
    let reading = machine.wait(SETTLED - SECOND);
    let passed = SETTLED * 2 - SECOND;
    is(reading, START + 400 * DAY + passed, START + passed);
    let reading = machine.wait(SECOND);
    is(reading, machine.wall, machine.wall);
    // And back.
    machine.back(400 * DAY);
    let reading = machine.wait(SETTLED);
    is(reading, machine.wall, machine.wall);
}

#[test]
fn a_jump_that_was_told_is_taken_back_at_once() {
    let mut machine = Machine::new();
    machine.ahead(400 * DAY);
    machine.wait(SETTLED + SECOND);
    let reading = machine.back(400 * DAY);
    is(reading, machine.wall, machine.wall);
}

#[test]
fn a_jump_to_another_time_begins_anew() {
    let mut machine = Machine::new();
    for _ in 0..5 {
        machine.ahead(DAY);
        let reading = machine.wait(SETTLED - SECOND);
        assert!(reading.told < START + HOUR, "{reading:?}");
    }
}

#[test]
fn a_time_that_nobody_watched_is_told_and_not_sure() {
    let month = 30 * DAY;
    let mut machine = Machine::seen(Some(START - month));
    is(machine.read(), START, START - month);
    let reading = machine.wait(SETTLED - SECOND);
    is(reading, machine.wall, machine.wall - month);
    let reading = machine.wait(SECOND);
    is(reading, machine.wall, machine.wall);
    // A short one is no matter.
    let mut machine = Machine::seen(Some(START - HOUR));
    is(machine.read(), START, START);
}

#[test]
fn a_start_at_a_wrong_time_is_mended_when_the_clock_is() {
    let mut machine = Machine::seen(Some(START - 400 * DAY));
    machine.wait(2 * SECOND);
    let reading = machine.back(400 * DAY);
    is(reading, machine.wall, machine.wall);
    let reading = machine.wait(DAY);
    is(reading, machine.wall, machine.wall);
}

#[test]
fn a_start_in_the_past_stands_still_until_the_clock_is_right_or_stays() {
    let seen = START + 365 * DAY;
    let mut machine = Machine::seen(Some(seen));
    is(machine.read(), seen, seen);
    let reading = machine.ahead(365 * DAY + SLACK);
    is(reading, seen + SLACK, seen + SLACK);
    let mut machine = Machine::seen(Some(seen));
    let reading = machine.wait(SETTLED);
    is(reading, machine.wall, machine.wall);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the clock does for as long as it does not stay anywhere, nothing is lost by it.
    #[test]
    fn neither_time_runs_away(
        jumps in prop::collection::vec((-800 * 86_400i64..800 * 86_400, 1..590u64), 1..20),
    ) {
        let mut machine = Machine::new();
        let (mut passed, mut last) = (0, START);
        for (to, stays) in jumps {
            let at = START.as_secs().cast_signed() + to;
            machine.wall = Duration::from_secs(at.unsigned_abs());
            let reading = machine.wait(Duration::from_secs(stays));
            passed += stays;
            prop_assert!(reading.sure <= reading.told, "{reading:?}");
            prop_assert!(reading.told >= last, "{reading:?} goes back");
            last = reading.told.saturating_sub(2 * SLACK);
            let most = START + Duration::from_secs(passed) + 2 * SLACK;
            prop_assert!(reading.told <= most, "{reading:?}");
        }
    }
}
