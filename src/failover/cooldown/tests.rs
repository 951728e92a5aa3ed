use super::*;
use proptest::prelude::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn status(status: u16, retry_after: Option<u64>) -> Outcome {
    Outcome::Status {
        status,
        retry_after: retry_after.map(secs),
    }
}

fn refused(status: u16, cause: Cause) -> Outcome {
    Outcome::Refused {
        status,
        cause,
        retry_after: None,
    }
}

fn key() -> Arc<str> {
    "openai-main".into()
}

const CLASS: Class = Class::Answers;

/// Until when the key cools down after this outcome of a request for the model `m`.
fn failed(
    cooldowns: &Cooldowns,
    key: &Arc<str>,
    outcome: &Outcome,
    now: Instant,
) -> Option<Instant> {
    let cooldown = cooldowns.on_outcome(key, &"m".into(), CLASS, outcome, now);
    cooldown.map(|cooldown| cooldown.until)
}

fn until(cooldowns: &Cooldowns, key: &str, now: Instant) -> Option<Instant> {
    cooldowns.until(key, "m", CLASS, now)
}

#[test]
fn what_each_outcome_does_to_a_key() {
    let event = |status| Outcome::ErrorEvent {
        status,
        kind: "overloaded_error".into(),
        cause: None,
    };
    let now = tollgate_base::clock::now();
    let cases: &[(Outcome, Option<(u64, u64)>)] = &[
        (status(429, Some(17)), Some((17_000, 17_000))),
        (status(529, Some(17)), Some((17_000, 17_000))),
        (status(429, None), Some((1000, 1250))),
        (status(429, Some(0)), Some((1000, 1250))),
        (event(Some(529)), Some((1000, 1250))),
        (status(401, None), Some((300_000, 300_000))),
        (status(402, Some(1)), Some((300_000, 300_000))),
        (status(403, None), Some((300_000, 300_000))),
        (status(400, Some(9)), None),
        (status(404, None), None),
        (status(408, None), None),
        (status(500, Some(9)), None),
        (status(503, Some(9)), Some((9000, 9000))),
        (status(503, None), None),
        (status(503, Some(0)), None),
        (refused(400, Cause::Credit), Some((300_000, 300_000))),
        (refused(429, Cause::Credit), Some((300_000, 300_000))),
        (refused(404, Cause::Model), Some((300_000, 300_000))),
        (refused(429, Cause::Limit), Some((1000, 1250))),
        (refused(413, Cause::Limit), None),
        (refused(403, Cause::Request), None),
        (refused(429, Cause::Request), None),
        (refused(400, Cause::Filter), None),
        (event(None), None),
        (Outcome::Timeout, None),
        (Outcome::Reset, None),
        (Outcome::Cancelled, None),
        (Outcome::ClientGone, None),
        (Outcome::Drained, None),
        (Outcome::CutOff, None),
    ];
    for (outcome, expected) in cases {
        let cooldowns = Cooldowns::new(1);
        let ends = failed(&cooldowns, &key(), outcome, now);
        assert_eq!(
            ends,
            until(&cooldowns, "openai-main", now),
            "{outcome:?}: both say the same"
        );
        let length = ends.map(|ends| (ends - now).as_millis());
        let fits = match (length, expected) {
            (None, None) => true,
            (Some(ms), Some((least, most))) => {
                (u128::from(*least)..=u128::from(*most)).contains(&ms)
            }
            _ => false,
        };
        assert!(
            fits,
            "{outcome:?}: cools down for {length:?} ms, expected {expected:?}"
        );
        assert_eq!(
            until(&cooldowns, "another", now),
            None,
            "{outcome:?}: other keys do not cool down"
        );
    }
}

#[test]
fn consecutive_failures_double_and_a_success_starts_over() {
    let cooldowns = Cooldowns::new(7);
    let mut now = tollgate_base::clock::now();
    for expected in [1, 2, 4, 8, 16, 32, 48, 48] {
        let ends = failed(&cooldowns, &key(), &status(429, None), now).unwrap();
        let length = ends - now;
        assert!(
            length >= secs(expected) && length <= secs(expected) * 5 / 4,
            "{length:?} is not {expected} s"
        );
        now = ends;
        assert_eq!(
            until(&cooldowns, &key(), now),
            None,
            "a cool-down ends at its end"
        );
    }
    cooldowns.on_success(&key(), "m", CLASS);
    let length = failed(&cooldowns, &key(), &status(429, None), now).unwrap() - now;
    assert!(
        length < secs(2),
        "a success forgets the failures in a row, but it cools down for {length:?}"
    );
}

/// Twenty requests under way when a key hits its limit all come back with 429. That is one failure.
#[test]
fn a_burst_counts_once() {
    let cooldowns = Cooldowns::new(7);
    let now = tollgate_base::clock::now();
    for _ in 0..20 {
        failed(&cooldowns, &key(), &status(429, None), now);
    }
    assert_eq!(cooldowns.list(now)[0].failures, 1);
    assert!(until(&cooldowns, &key(), now).unwrap() - now < secs(2));
}

#[test]
fn a_shorter_wait_does_not_cut_a_longer_one() {
    let cooldowns = Cooldowns::new(7);
    let now = tollgate_base::clock::now();
    failed(&cooldowns, &key(), &status(429, Some(30)), now);
    assert_eq!(
        failed(&cooldowns, &key(), &status(429, Some(2)), now),
        Some(now + secs(30))
    );
}

/// One caller's unknown model, or one that is not for the key, let it cool down for all that others asked of it.
#[test]
fn what_is_forbidden_rests_the_key_for_that_model_alone() {
    let now = tollgate_base::clock::now();
    for (outcome, whole) in [
        (status(401, None), true),
        (status(402, None), true),
        (refused(403, Cause::Key), true),
        (status(403, None), false),
        (refused(403, Cause::Model), false),
        (refused(404, Cause::Model), false),
    ] {
        let cooldowns = Cooldowns::new(7);
        failed(&cooldowns, &key(), &outcome, now);
        let other = cooldowns.until(&key(), "another", CLASS, now);
        assert_eq!(other.is_some(), whole, "{outcome:?}");
        assert!(until(&cooldowns, &key(), now).is_some(), "{outcome:?}");
    }
}

#[test]
fn a_success_ends_a_refusal_but_not_a_rate_limit() {
    let now = tollgate_base::clock::now();
    let after = |outcome| {
        let cooldowns = Cooldowns::new(7);
        failed(&cooldowns, &key(), &outcome, now);
        cooldowns.on_success(&key(), "m", CLASS);
        until(&cooldowns, &key(), now)
    };
    assert_eq!(after(status(403, None)), None);
    assert_eq!(after(status(429, Some(30))), Some(now + secs(30)));
}

#[test]
fn the_operator_lists_and_clears() {
    let cooldowns = Cooldowns::new(7);
    let now = tollgate_base::clock::now();
    failed(&cooldowns, &"b".into(), &status(429, Some(30)), now);
    failed(&cooldowns, &"a".into(), &status(401, None), now);
    failed(&cooldowns, &"c".into(), &status(429, Some(5)), now);
    let list: Vec<_> = cooldowns
        .list(now)
        .iter()
        .map(|c| (c.key.to_string(), c.status))
        .collect();
    assert_eq!(
        list,
        [("c".into(), 429), ("b".into(), 429), ("a".into(), 401)]
    );
    assert!(cooldowns.clear("a", now), "it cooled down");
    assert!(!cooldowns.clear("a", now), "it does not any more");
    assert_eq!(
        cooldowns.list(now + secs(10)).len(),
        1,
        "what has ended is not listed"
    );
    cooldowns.clear_all();
    assert_eq!(cooldowns.list(now), []);
    assert!(cooldowns.untroubled());
}

#[test]
fn what_has_ended_is_forgotten_by_looking() {
    let cooldowns = Cooldowns::new(7);
    let now = tollgate_base::clock::now();
    failed(&cooldowns, &key(), &status(429, Some(5)), now);
    assert_eq!(until(&cooldowns, "another", now + secs(6)), None);
    assert!(
        !cooldowns.untroubled(),
        "the failure still counts as one in a row"
    );
    assert_eq!(until(&cooldowns, "another", now + secs(5) + MEMORY), None);
    assert!(cooldowns.untroubled(), "a look is one atomic load again");
}

#[test]
fn what_is_learned_of_a_model_says_nothing_of_another() {
    let now = tollgate_base::clock::now();
    let ends = |outcome: Outcome, class| {
        let cooldowns = Cooldowns::new(7);
        cooldowns.on_outcome(&key(), &"m".into(), class, &outcome, now);
        let cools = |model, class| cooldowns.until(&key(), model, class, now).is_some();
        let all = [Class::Answers, Class::Embeddings, Class::Counting];
        let of = |model| all.map(|class| u8::from(cools(model, class)));
        (of("m"), of("n"))
    };
    for (outcome, class, expected) in [
        (status(429, None), Class::Answers, ([1, 0, 0], [0, 0, 0])),
        (
            status(503, Some(5)),
            Class::Embeddings,
            ([0, 1, 0], [0, 0, 0]),
        ),
        (status(401, None), Class::Answers, ([1, 1, 1], [1, 1, 1])),
        (status(401, None), Class::Counting, ([0, 0, 1], [0, 0, 1])),
        (status(429, None), Class::Counting, ([0, 0, 1], [0, 0, 0])),
        (
            refused(400, Cause::Credit),
            Class::Answers,
            ([1, 1, 1], [1, 1, 1]),
        ),
        (
            refused(404, Cause::Model),
            Class::Answers,
            ([1, 0, 0], [0, 0, 0]),
        ),
    ] {
        let case = format!("{outcome:?} {class:?}");
        assert_eq!(ends(outcome, class), expected, "{case}");
    }
}

/// Models are what callers write: naming many that do not exist must not fill the memory.
#[test]
fn of_one_key_a_bounded_number_of_models_is_kept() {
    let (cooldowns, now) = (Cooldowns::new(7), tollgate_base::clock::now());
    let gone = refused(404, Cause::Model);
    cooldowns.on_outcome(&key(), &"m".into(), CLASS, &status(401, None), now);
    for number in 0..10 * MODELS {
        let later = now + Duration::from_millis(number as u64);
        cooldowns.on_outcome(&key(), &number.to_string().into(), CLASS, &gone, later);
    }
    assert_eq!(cooldowns.list(now).len(), MODELS);
    let last = (10 * MODELS - 1).to_string();
    assert!(cooldowns.until(&key(), &last, CLASS, now).is_some());
    assert!(
        cooldowns.until(&key(), "other", CLASS, now).is_some(),
        "the key's own stays"
    );
}

#[test]
fn replicas_hear_of_a_model_and_old_ones_tell_of_keys() {
    let (cooldowns, now) = (Cooldowns::new(7), tollgate_base::clock::now());
    let cooldown = cooldowns.on_outcome(&key(), &"m".into(), CLASS, &status(429, Some(9)), now);
    let cooldown = cooldown.unwrap();
    assert!(cooldown.is_new && cooldown.is_later);
    let other = Cooldowns::new(8);
    other.heard(&cooldown.scope.name(&key()), cooldown.until, now);
    assert_eq!(until(&other, &key(), now), Some(now + secs(9)));
    assert_eq!(other.until(&key(), "n", CLASS, now), None);
    other.heard(&key(), now + secs(3), now);
    assert_eq!(other.until(&key(), "n", CLASS, now), Some(now + secs(3)));
    assert!(other.clear(&key(), now), "both");
    assert_eq!(until(&other, &key(), now), None);
}

#[test]
fn a_success_after_failures_says_that_the_key_is_back() {
    let (cooldowns, now) = (Cooldowns::new(7), tollgate_base::clock::now());
    let succeeds = |model| cooldowns.on_success(&key(), model, CLASS);
    assert!(!succeeds("m"), "it had not failed");
    failed(&cooldowns, &key(), &status(429, None), now);
    assert!(!succeeds("n"), "another model");
    assert!(succeeds("m"));
    assert!(!succeeds("m"), "once");
}

proptest! {
    /// Against a plain model: the latest end that any outcome asked for.
    #[test]
    fn a_rest_is_the_longest_asked_for(waits in proptest::collection::vec((0u64..5, 1u64..40, 0u64..20), 1..30)) {
        let cooldowns = Cooldowns::new(3);
        let mut now = tollgate_base::clock::now();
        let mut ends: HashMap<u64, Instant> = HashMap::new();
        for (name, wait, later) in waits {
            now += secs(later);
            let id: Arc<str> = name.to_string().into();
            failed(&cooldowns, &id, &status(429, Some(wait)), now);
            let end = ends.entry(name).or_insert(now);
            *end = (*end).max(now + secs(wait));
            for (name, end) in &ends {
                let expected = (*end > now).then_some(*end);
                prop_assert_eq!(until(&cooldowns, &name.to_string(), now), expected);
            }
        }
    }
}
