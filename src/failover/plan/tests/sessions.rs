//! Which key of a step serves a session.

use proptest::prelude::*;

use super::*;

/// A provider's keys `0`, `1`, …, of which some are there.
fn keys_of(there: impl Iterator<Item = usize>) -> Fixture {
    let ids: Vec<String> = there.map(|id| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    fixture("p", "m", &ids, &[])
}

fn chosen(
    keys: &Fixture,
    steps: Option<&[Step]>,
    session: Session,
    cooling: impl Fn(&Candidate) -> Option<Wait>,
    failover: bool,
) -> Vec<String> {
    let selection = Selection {
        otherwise: KeySelection::Session,
        session: &|| session,
    };
    let target = [keys.target(0, steps)];
    let now = tollgate_base::clock::now();
    names(&plan(&target, &selection, cooling, now, failover))
}

/// The weights of keys `p-0`, `p-1`, …, which are left to the session.
fn weighted(weights: &[u32]) -> Step {
    let weights = weights.iter().enumerate();
    Step {
        selection: Some(KeySelection::Session),
        weights: weights
            .map(|(id, weight)| (format!("p-{id}").into(), *weight))
            .collect(),
        ..step(KeyKind::User, None)
    }
}

#[test]
fn a_step_that_says_ordered_or_writes_an_order_stays_plain() {
    let keys = keys_of(0..4);
    let named = step(KeyKind::User, Some(&["p-2", "p-0", "p-3"]));
    let says = Step {
        selection: Some(KeySelection::Ordered),
        ..step(KeyKind::User, None)
    };
    for (step, expected) in [
        (named, &["m p-2", "m p-0", "m p-3"][..]),
        (says, &["m p-0", "m p-1", "m p-2", "m p-3"]),
    ] {
        let steps = [step];
        for session in 0..100 {
            let made = chosen(&keys, Some(&steps), Session::alone(session), warm, true);
            assert_eq!(made, expected);
        }
    }
}

#[test]
fn no_session_is_asked_for_where_there_is_no_choice() {
    let (one, two) = (keys_of(0..1), keys_of(0..2));
    let asked = std::cell::Cell::new(0);
    let selection = Selection {
        otherwise: KeySelection::Session,
        session: &|| {
            asked.set(asked.get() + 1);
            Session::alone(1)
        },
    };
    let now = tollgate_base::clock::now();
    plan(&[one.target(0, None)], &selection, warm, now, true);
    assert_eq!(asked.get(), 0);
    plan(&[two.target(0, None)], &selection, warm, now, true);
    assert_eq!(asked.get(), 1);
}

/// Within five standard deviations of what its weight promises, of sessions that are not random at all.
#[test]
fn keys_serve_sessions_by_their_weights() {
    const SESSIONS: u32 = 20_000;
    for weights in [&[1, 1, 1, 1][..], &[1, 3], &[5, 1, 2], &[1000, 1000, 500]] {
        let (keys, steps) = (keys_of(0..weights.len()), [weighted(weights)]);
        let mut served = vec![0_u32; weights.len()];
        for number in 0..SESSIONS {
            let session = Session::named("default", format!("session {number}").as_bytes());
            let made = chosen(&keys, Some(&steps), session, warm, false);
            let first: usize = made[0].strip_prefix("m p-").unwrap().parse().unwrap();
            served[first] += 1;
        }
        let all: u32 = weights.iter().sum();
        for (served, weight) in served.iter().zip(weights) {
            let share = f64::from(*weight) / f64::from(all);
            let expected = share * f64::from(SESSIONS);
            let off = (f64::from(*served) - expected).abs();
            let deviation = (expected * (1.0 - share)).sqrt();
            assert!(off < 5.0 * deviation, "{weights:?}: {served} of {expected}");
        }
    }
}

proptest! {
    /// What the rest of the order is, none that comes, goes or cools changes: a lost key moves its own sessions only,
    /// each to the key that is next in its order, and they are back when it is.
    #[test]
    fn a_key_moves_no_sessions_but_its_own(
        session in any::<u64>(),
        weights in prop::collection::vec(1_u32..1000, 2..12),
        gone in any::<prop::sample::Index>(),
        named in any::<bool>(),
    ) {
        let session = Session::alone(session);
        let gone = gone.index(weights.len());
        let ids: Vec<String> = (0..weights.len()).rev().map(|id| format!("p-{id}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let step = Step { keys: step(KeyKind::User, named.then_some(&ids)).keys, ..weighted(&weights) };
        let steps = [step];
        let (all, fewer) = (keys_of(0..weights.len()), keys_of((0..weights.len()).filter(|id| *id != gone)));
        let whole = chosen(&all, Some(&steps), session, warm, true);
        prop_assert_eq!(whole.len(), weights.len());

        let name = format!("m p-{gone}");
        let mut rest = whole.clone();
        rest.retain(|key| *key != name);
        prop_assert_eq!(&chosen(&fewer, Some(&steps), session, warm, true), &rest);
        let until = Wait::Cooling(tollgate_base::clock::now() + Duration::from_secs(60));
        let cooling = |candidate: &Candidate| (names(std::slice::from_ref(candidate))[0] == name).then_some(until);
        rest.push(name.clone());
        prop_assert_eq!(&chosen(&all, Some(&steps), session, cooling, true), &rest);
        prop_assert_eq!(&chosen(&all, Some(&steps), session, warm, false)[..], &whole[..1]);
    }

    #[test]
    fn one_account_does_not_steer_another(name in "[a-z]{1,12}", one in "[a-z]{1,8}", other in "[a-z]{1,8}") {
        prop_assume!(one != other);
        prop_assert_ne!(Session::named(&one, name.as_bytes()), Session::named(&other, name.as_bytes()));
        prop_assert_eq!(Session::named(&one, name.as_bytes()), Session::named(&one, name.as_bytes()));
    }
}
