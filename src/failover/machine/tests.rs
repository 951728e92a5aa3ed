//! The machine's laws, by example.

mod laws;
mod retry;

use super::*;
use crate::classify::ConnectFailure;
use crate::testing::{candidate, provider};

fn status(status: u16) -> Outcome {
    Outcome::Status {
        status,
        retry_after: None,
    }
}

fn limited(seconds: u64) -> Outcome {
    Outcome::Status {
        status: 429,
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

const TOTAL: Duration = Duration::from_secs(120);

/// Runs a machine over candidates (model, key), each outcome at once, until there is none for the next attempt. Returns what was
/// attempted, and after which waits (s); the next attempt; and how it would end.
fn attempts(
    retry: Retry,
    plan: &[(usize, &str)],
    outcomes: &[Outcome],
) -> (Vec<(usize, u64)>, Option<usize>, Ending) {
    let plan: Vec<_> = plan
        .iter()
        .map(|&(model, key)| candidate(model, key))
        .collect();
    let now = tollgate_base::clock::now();
    let mut machine = Machine::new(&plan, now, TOTAL).retrying(retry);
    let mut attempted = Vec::new();
    for outcome in outcomes {
        let Some(at) = machine.next(now) else { break };
        let wait = machine
            .take_wait()
            .map_or(0, |until| (until - now).as_secs());
        attempted.push((at, wait));
        let relay = machine.would_relay(outcome, now);
        let step = machine.failed(outcome.clone(), now);
        let relayed = step != Step::Next && matches!(machine.ending(), Ending::RelayLast { .. });
        assert_eq!(
            relay, relayed,
            "would_relay foresees the ending after {outcome:?}"
        );
    }
    (attempted, machine.next(now), machine.ending())
}

fn run(plan: &[(usize, &str)], outcomes: &[Outcome]) -> (Vec<usize>, Ending) {
    let (attempted, next, ending) = attempts(Retry::default(), plan, outcomes);
    assert_eq!(next, None, "outcomes for every attempt");
    (attempted.into_iter().map(|(at, _)| at).collect(), ending)
}

#[test]
fn endings() {
    let refused = || Outcome::Connect(ConnectFailure::Refused);
    let relay = |seconds: Option<u64>| Ending::RelayLast {
        retry_after: seconds.map(Duration::from_secs),
    };
    let event = |kind: &str| Outcome::ErrorEvent {
        status: None,
        kind: kind.to_owned(),
        cause: None,
    };
    let (one, two): (&[_], &[_]) = (&[(0, "a")], &[(0, "a"), (1, "a")]);
    let cases = [
        ("one, answered", one, vec![status(401)], relay(None)),
        ("one, rate limited", one, vec![limited(7)], relay(Some(7))),
        (
            "one, unavailable: its own header stands",
            one,
            vec![status(503)],
            relay(None),
        ),
        (
            "one, failing as a stream",
            one,
            vec![event("overloaded_error")],
            relay(None),
        ),
        ("one, refused", one, vec![refused()], Ending::Unreachable),
        ("one, reset", one, vec![Outcome::Reset], Ending::Unreachable),
        (
            "one, forbidden",
            one,
            vec![Outcome::AddressForbidden],
            Ending::Unreachable,
        ),
        (
            "one, broken off",
            one,
            vec![Outcome::Broken],
            Ending::AllFailed,
        ),
        (
            "one, too slow",
            one,
            vec![Outcome::Timeout],
            Ending::AllFailed,
        ),
        (
            "one, malformed",
            one,
            vec![Outcome::Malformed],
            Ending::AllFailed,
        ),
        ("alike", two, vec![status(500), status(500)], relay(None)),
        (
            "alike: shortest wait",
            two,
            vec![limited(3), limited(9)],
            relay(Some(3)),
        ),
        (
            "alike: a wait unknown",
            two,
            vec![limited(9), status(429)],
            relay(Some(9)),
        ),
        (
            "different",
            two,
            vec![status(500), status(503)],
            Ending::AllFailed,
        ),
        (
            "one answered, one not",
            two,
            vec![refused(), status(500)],
            Ending::AllFailed,
        ),
        (
            "both refused",
            two,
            vec![refused(), refused()],
            Ending::AllFailed,
        ),
        (
            "events alike",
            two,
            vec![event("api_error"), event("api_error")],
            relay(None),
        ),
        (
            "events differ",
            two,
            vec![event("api_error"), event("overloaded_error")],
            Ending::AllFailed,
        ),
        (
            "event and status",
            two,
            vec![event("api_error"), status(500)],
            Ending::AllFailed,
        ),
        (
            "client gone",
            two,
            vec![status(500), Outcome::ClientGone],
            Ending::Stopped,
        ),
        ("no candidate", &[], vec![], Ending::AllFailed),
    ];
    for (name, plan, outcomes, ending) in cases {
        assert_eq!(run(plan, &outcomes).1, ending, "{name}");
    }
}

#[test]
fn one_that_is_preferred_comes_first_and_the_others_keep_their_order() {
    let candidates = ["a", "b", "c", "d"].map(|key| candidate(0, key));
    let now = tollgate_base::clock::now();
    let mut machine = Machine::new(&candidates, now, Duration::from_secs(9));
    assert_eq!(machine.next(now), Some(0));
    assert_eq!(machine.left().count(), 0, "one is under way");
    assert_eq!(machine.failed(status(500), now), Step::Next);
    machine.prefer(2);
    machine.prefer(0);
    assert_eq!(machine.left().collect::<Vec<_>>(), [2, 1, 3]);
    assert_eq!(machine.next(now), Some(2));
}

#[test]
fn a_bad_request_skips_the_rest_of_its_model() {
    let plan = [(0, "a"), (0, "b"), (1, "a"), (0, "c"), (1, "b")];
    let (attempted, ending) = run(&plan, &[status(400), status(400)]);
    assert_eq!(attempted, [0, 2], "one key of each model hears of it");
    assert_eq!(ending, Ending::RelayLast { retry_after: None });
    let (attempted, _) = run(&plan, &[status(429), status(404), status(401), status(500)]);
    assert_eq!(attempted, [0, 1, 2, 4], "a rate limit skips nothing");
}

#[test]
fn a_silent_provider_is_waited_for_once_a_model() {
    let mut plan = [
        candidate(0, "a"),
        candidate(0, "b"),
        candidate(0, "c"),
        candidate(1, "a"),
    ];
    let other = provider("q");
    plan[2].provider = other;
    let now = tollgate_base::clock::now();
    for silent in [Outcome::Silent, Outcome::Connect(ConnectFailure::Timeout)] {
        let mut machine = Machine::new(&plan, now, TOTAL);
        let mut attempted = Vec::new();
        while let Some(at) = machine.next(now) {
            attempted.push(at);
            assert_ne!(machine.failed(silent.clone(), now), Step::Stop);
        }
        assert_eq!(
            attempted,
            [0, 2, 3],
            "{silent:?}: another key hears the same"
        );
    }
}

#[test]
fn a_content_filter_is_the_last_word_if_it_shall_be() {
    let plan = [candidate(0, "a"), candidate(1, "a")];
    let now = tollgate_base::clock::now();
    let filtered = status(400).because(Some(ErrorCause::Filter));
    for stops in [true, false] {
        let mut machine = Machine::new(&plan, now, TOTAL).stopping_at_filters(stops);
        assert_eq!(machine.next(now), Some(0));
        assert_eq!(machine.would_relay(&filtered, now), stops);
        let step = machine.failed(filtered.clone(), now);
        assert_eq!(step == Step::Exhausted, stops, "{step:?}");
        if stops {
            assert_eq!(machine.ending(), Ending::RelayLast { retry_after: None });
        }
    }
}

#[test]
fn nothing_follows_a_client_that_has_gone() {
    let (attempted, ending) = run(&[(0, "a"), (0, "b")], &[Outcome::ClientGone]);
    assert_eq!((attempted, ending), (vec![0], Ending::Stopped));
}

#[test]
fn a_pair_that_the_plan_repeats_is_attempted_once() {
    let (attempted, _) = run(
        &[(0, "a"), (0, "a"), (0, "b"), (0, "a")],
        &[status(500), status(500)],
    );
    assert_eq!(attempted, [0, 2]);
}

#[test]
fn the_total_deadline() {
    let plan = [candidate(0, "a"), candidate(0, "b")];
    let start = tollgate_base::clock::now();
    let end = start + TOTAL;
    let machine = || {
        let mut machine = Machine::new(&plan, start, TOTAL);
        assert_eq!(machine.next(start), Some(0));
        machine
    };
    let mut late = machine();
    assert_eq!(
        late.failed(status(500), end),
        Step::TotalTimeout,
        "there is no time for the second"
    );
    assert_eq!(
        (late.next(end), late.ending()),
        (None, Ending::TotalTimeout)
    );

    let mut between = machine();
    assert_eq!(between.failed(status(500), start), Step::Next);
    assert_eq!(
        between.next(end),
        None,
        "the time ran out between two attempts"
    );
    assert_eq!(between.ending(), Ending::TotalTimeout);

    let mut last = machine();
    assert_eq!(last.failed(status(500), start), Step::Next);
    assert_eq!(last.next(start), Some(1));
    let mut answered = last;
    assert_eq!(
        answered.failed(status(500), end),
        Step::Exhausted,
        "an answer in hand is relayed, if late"
    );
    assert!(matches!(answered.ending(), Ending::RelayLast { .. }));

    let mut only = Machine::new(&plan[..1], start, TOTAL);
    assert_eq!(only.next(start), Some(0));
    assert_eq!(only.failed(Outcome::Timeout, end), Step::TotalTimeout);

    let forever = Machine::new(&plan, start, Duration::MAX);
    assert!(
        forever.deadline() > start + Duration::from_secs(3600),
        "a total that overflows is long, not short"
    );
}

#[test]
fn postponing_changes_the_order_once() {
    let plan = [candidate(0, "a"), candidate(0, "b")];
    let now = tollgate_base::clock::now();
    let mut machine = Machine::new(&plan, now, TOTAL);
    assert_eq!(machine.next(now), Some(0));
    assert!(machine.postpone());
    assert_eq!(
        machine.attempted(),
        0,
        "a postponed candidate was not attempted"
    );
    assert_eq!(machine.next(now), Some(1));
    assert_eq!(machine.failed(status(500), now), Step::Next);
    assert_eq!(machine.next(now), Some(0));
    assert!(!machine.postpone(), "nothing else is left");
    assert_eq!(machine.current(), Some(0), "so it is attempted");
    assert_eq!(
        (
            !machine.follows(Verdict::NextCandidate),
            !machine.follows(Verdict::NextModel)
        ),
        (true, true)
    );
}

#[test]
fn what_cannot_be_told_the_request_is_no_attempt_and_no_candidate() {
    let plan = [candidate(0, "a"), candidate(1, "b"), candidate(2, "c")];
    let now = tollgate_base::clock::now();
    let mut machine = Machine::new(&plan, now, TOTAL);
    assert_eq!(machine.next(now), Some(0));
    machine.decline();
    assert_eq!(machine.next(now), Some(1));
    let limited = limited(3);
    assert!(!machine.would_relay(&limited, now), "another one is left");
    machine.keep(|index| index != 2);
    assert!(machine.would_relay(&limited, now), "none is left that can");
    assert_eq!(machine.failed(limited, now), Step::Exhausted);
    assert_eq!(machine.attempts().len(), 1);
    let wait = Some(Duration::from_secs(3));
    assert_eq!(machine.ending(), Ending::RelayLast { retry_after: wait });

    let mut only = Machine::new(&plan[..2], now, TOTAL);
    assert_eq!(only.next(now), Some(0));
    only.decline();
    assert_eq!(only.next(now), Some(1));
    let refused = Outcome::Connect(ConnectFailure::Refused);
    assert_eq!(only.failed(refused, now), Step::Exhausted);
    assert_eq!(only.ending(), Ending::Unreachable, "it was the only one");
}

#[test]
fn the_report_names_no_key() {
    let plan = [candidate(0, "a"), candidate(1, "b")];
    let attempts = [
        Attempt {
            candidate: 0,
            outcome: limited(3),
        },
        Attempt {
            candidate: 1,
            outcome: Outcome::Connect(ConnectFailure::Refused),
        },
    ];
    let line = |attempt: &Attempt| format!("{}: {}", plan[attempt.candidate], attempt.outcome);
    let told = attempts.iter().map(line).collect::<Vec<_>>().join("\n");
    assert_eq!(told, "p 0: 429 rate limited\np 1: connection refused");
}
