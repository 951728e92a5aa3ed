//! The machine against a plain reference, with invented plans and outcomes.

use proptest::prelude::*;

use super::*;

/// What happens to one attempt of the random walks below.
#[derive(Clone, Debug)]
struct Event {
    /// `None` commits.
    outcome: Option<Outcome>,
    /// Milliseconds from the attempt's start to its end.
    takes: u64,
    postpone: bool,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let statuses = prop::sample::select(vec![
        400, 404, 405, 413, 422, 401, 429, 429, 500, 500, 503, 302,
    ]);
    prop_oneof![
        6 => (statuses, prop::option::of(1u64..20)).prop_map(|(status, seconds)| Outcome::Status {
            status,
            retry_after: seconds.map(Duration::from_secs),
        }),
        1 => Just(Outcome::Connect(ConnectFailure::Dns)),
        1 => Just(Outcome::Reset),
        1 => Just(Outcome::Broken),
        1 => Just(Outcome::Timeout),
        1 => Just(Outcome::ErrorEvent { status: Some(529), kind: "overloaded_error".to_owned(), cause: None }),
        1 => Just(Outcome::Silent),
        1 => Just(status(404).because(Some(ErrorCause::Model))),
        1 => Just(Outcome::Malformed),
        1 => Just(Outcome::ClientGone),
        1 => Just(Outcome::Drained),
        1 => Just(Outcome::CutOff),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    (
        prop::option::weighted(0.95, outcome()),
        0u64..400,
        prop::bool::weighted(0.15),
    )
        .prop_map(|(outcome, takes, postpone)| Event {
            outcome,
            takes,
            postpone,
        })
}

/// A plan as (model, key), half of the time failing alike, which random outcomes hardly ever do.
fn walk() -> impl Strategy<Value = (Vec<(usize, usize)>, Vec<Event>)> {
    let plan = prop::collection::vec((0usize..4, 0usize..5), 0..10);
    let events = prop::collection::vec(event(), 40);
    (plan, events, prop::option::of(outcome())).prop_map(|(plan, mut events, alike)| {
        if let Some(alike) = alike {
            events
                .iter_mut()
                .for_each(|event| event.outcome = Some(alike.clone()));
        }
        (plan, events)
    })
}

/// The same, in the plainest way: what is attempted and how it ends. Milliseconds, and lists that are
/// searched; the table of verdicts written out a second time.
fn reference(plan: &[(usize, usize)], events: &[Event], total: u64) -> (Vec<usize>, Ending) {
    let mut left: Vec<usize> = (0..plan.len())
        .filter(|&i| !plan[..i].contains(&plan[i]))
        .collect();
    let candidates = left.len();
    let (mut attempted, mut outcomes, mut postponed): (Vec<usize>, Vec<Outcome>, Vec<usize>) =
        Default::default();
    let mut clock = 0;
    for event in events {
        if left.is_empty() {
            break;
        }
        if clock >= total {
            return (attempted, Ending::TotalTimeout);
        }
        let at = left.remove(0);
        if event.postpone && !left.is_empty() && !postponed.contains(&at) {
            postponed.push(at);
            left.push(at);
            continue;
        }
        attempted.push(at);
        clock += event.takes;
        let Some(outcome) = &event.outcome else {
            return (attempted, Ending::Stopped);
        };
        match outcome {
            Outcome::ClientGone | Outcome::Drained | Outcome::CutOff => {
                return (attempted, Ending::Stopped);
            }
            Outcome::Status {
                status: 400 | 404 | 405 | 413 | 422,
                ..
            } => left.retain(|&i| plan[i].0 != plan[at].0),
            // There is one provider.
            Outcome::Silent => left.retain(|&i| plan[i].0 != plan[at].0),
            _ => {}
        }
        outcomes.push(outcome.clone());
        let answer = outcome.answered();
        if clock >= total && !(left.is_empty() && answer) {
            return (attempted, Ending::TotalTimeout);
        }
    }
    let statuses: Vec<Option<u16>> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Status { status, .. } | Outcome::Refused { status, .. } => Some(*status),
            Outcome::ErrorEvent { .. } => Some(200),
            _ => None,
        })
        .collect();
    let ending = match statuses.first() {
        Some(Some(first)) if statuses.iter().all(|status| status == &Some(*first)) => {
            let waits = outcomes.iter().filter_map(Outcome::retry_after);
            Ending::RelayLast {
                retry_after: if *first == 429 { waits.min() } else { None },
            }
        }
        Some(None)
            if candidates == 1
                && !matches!(
                    outcomes[0],
                    Outcome::Broken | Outcome::Timeout | Outcome::Silent | Outcome::Malformed
                ) =>
        {
            Ending::Unreachable
        }
        _ => Ending::AllFailed,
    };
    (attempted, ending)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn agrees_with_the_reference_and_keeps_its_laws((pairs, events) in walk(), total in 1u64..2_000) {
        let plan: Vec<_> = pairs.iter().map(|&(model, key)| candidate(model, &key.to_string())).collect();
        let start = tollgate_base::clock::now();
        let mut now = start;
        let mut machine = Machine::new(&plan, start, Duration::from_millis(total));
        let mut attempted: Vec<usize> = Vec::new();
        let mut skipped: Vec<usize> = Vec::new();

        for event in &events {
            let Some(at) = machine.next(now) else { break };
            prop_assert_eq!(machine.next(now), None, "one attempt at a time");
            prop_assert!(now < machine.deadline(), "nothing starts after the total deadline");
            if event.postpone && machine.postpone() {
                continue;
            }
            prop_assert!(attempted.iter().all(|&a| pairs[a] != pairs[at]), "never the same (model, key) twice");
            prop_assert!(!skipped.contains(&pairs[at].0), "a skipped model is not attempted");
            attempted.push(at);
            prop_assert!(attempted.len() <= plan.len(), "at most as many attempts as candidates");
            now += Duration::from_millis(event.takes);

            let Some(outcome) = &event.outcome else {
                machine.commit();
                prop_assert_eq!(machine.attempted(), attempted.len());
                for event in &events {
                    prop_assert_eq!(machine.next(now), None, "after commit, never another attempt");
                    prop_assert!(!machine.postpone());
                    let outcome = event.outcome.clone().unwrap_or(Outcome::Broken);
                    prop_assert!(!machine.would_relay(&outcome, now), "after commit, nothing is relayed instead");
                    prop_assert_eq!(machine.failed(outcome, now), Step::Stop, "after commit, never another attempt");
                    machine.commit();
                }
                break;
            };
            if matches!(outcome.verdict(), Verdict::NextModel | Verdict::NextProvider) {
                skipped.push(pairs[at].0);
            }
            let last = !machine.follows(outcome.verdict());
            let relay = machine.would_relay(outcome, now);
            let step = machine.failed(outcome.clone(), now);
            if last {
                prop_assert_ne!(step, Step::Next, "is_last foresees that nothing follows");
            } else {
                prop_assert!(matches!(step, Step::Next | Step::TotalTimeout), "something follows, not {step:?}");
            }
            let relayed = step != Step::Next && matches!(machine.ending(), Ending::RelayLast { .. });
            prop_assert_eq!(relay, relayed, "would_relay foresees the ending");
            prop_assert_eq!(machine.attempts().len(), attempted.len());
        }
        prop_assert_eq!(machine.next(now), None, "forty events are more than any walk needs");
        prop_assert_eq!((attempted, machine.ending()), reference(&pairs, &events, total));
    }
}
