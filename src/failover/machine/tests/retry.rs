//! What is tried again, and after which waits.

use super::*;

#[test]
fn what_passes_is_tried_again_before_another_model_is() {
    let retry = Retry {
        same: 1,
        most: Duration::from_secs(3),
    };
    let relay = |wait: Option<u64>| Ending::RelayLast {
        retry_after: wait.map(Duration::from_secs),
    };
    let two = [(0, "a"), (1, "a")];
    let (attempted, ..) = attempts(retry, &two, &[status(500), status(500), status(400)]);
    assert_eq!(attempted, [(0, 0), (0, 0), (1, 0)], "once");
    let (attempted, ..) = attempts(
        retry,
        &two,
        &[limited(2), limited(2), limited(2), limited(2)],
    );
    assert_eq!(attempted, [(0, 0), (0, 2), (1, 0), (1, 2)], "waited for");
    let keys = [(0, "a"), (0, "b")];
    let (attempted, _, ending) = attempts(
        retry,
        &keys,
        &[limited(3), limited(1), limited(1), limited(3)],
    );
    assert_eq!(
        attempted,
        [(0, 0), (1, 0), (1, 1), (0, 3)],
        "other keys come first, then the soonest"
    );
    assert_eq!(ending, relay(Some(1)));
    for (outcome, why) in [
        (limited(4), "longer than is waited for"),
        (status(429), "nobody says for how long"),
        (status(400), "it does not pass"),
        (Outcome::Silent, "it would be waited for as long again"),
        (Outcome::Broken, "some of an answer was seen"),
    ] {
        let (attempted, ..) = attempts(retry, &two[..1], &[outcome.clone(), outcome]);
        assert_eq!(attempted.len(), 1, "{why}");
    }
    let (attempted, ..) = attempts(Retry::default(), &two[..1], &[status(500), status(500)]);
    assert_eq!(attempted.len(), 1, "off by default");
}

/// The wait was counted from the attempt's start: an attempt that took long was to be tried again after the end of the
/// request's time, and what the provider had answered was lost.
#[test]
fn what_is_to_be_waited_for_beyond_the_deadline_is_relayed() {
    let retry = Retry {
        same: 1,
        most: Duration::from_secs(3),
    };
    let plan = [candidate(0, "a")];
    let start = tollgate_base::clock::now();
    for (left, again) in [(4, true), (2, false), (1, false)] {
        let mut machine = Machine::new(&plan, start, TOTAL).retrying(retry);
        assert_eq!(machine.next(start), Some(0));
        let now = start + TOTAL.saturating_sub(Duration::from_secs(left));
        assert_eq!(machine.would_relay(&limited(2), now), !again, "{left} s");
        let step = machine.failed(limited(2), now);
        assert_eq!(step == Step::Next, again, "{left} s: {step:?}");
        if !again {
            let wait = Some(Duration::from_secs(2));
            assert_eq!(machine.ending(), Ending::RelayLast { retry_after: wait });
        }
    }
}
