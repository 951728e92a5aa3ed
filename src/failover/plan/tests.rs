//! The order of plans, by example and as laws.

mod sessions;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::testing::{key, provider};

/// A provider's keys and the id of a model, from which targets borrow.
struct Fixture {
    provider: Arc<Provider>,
    model: Arc<str>,
    user: Vec<Arc<ProviderKey>>,
    managed: Vec<Arc<ProviderKey>>,
}

fn fixture(id: &str, model: &str, user: &[&str], managed: &[&str]) -> Fixture {
    let keys = |ids: &[&str], kind| {
        ids.iter()
            .map(|k| key(id, &format!("{id}-{k}"), kind))
            .collect()
    };
    Fixture {
        provider: provider(id),
        model: model.into(),
        user: keys(user, KeyKind::User),
        managed: keys(managed, KeyKind::Managed),
    }
}

impl Fixture {
    fn target<'a>(&'a self, model_index: usize, steps: Option<&'a [Step]>) -> Target<'a> {
        Target {
            provider: &self.provider,
            model: None,
            upstream_model: &self.model,
            surface: Surface::ChatCompletions,
            model_index,
            user_keys: &self.user,
            managed_keys: &self.managed,
            steps,
        }
    }
}

fn step(kind: KeyKind, keys: Option<&[&str]>) -> Step {
    Step {
        kind,
        keys: keys.map(|ids| ids.iter().map(|&id| id.into()).collect()),
        selection: None,
        weights: Box::default(),
    }
}

/// `model key` of each candidate.
fn names(plan: &[Candidate]) -> Vec<String> {
    plan.iter()
        .map(|c| format!("{} {}", c.upstream_model, c.key.id))
        .collect()
}

fn warm(_: &Candidate) -> Option<Wait> {
    None
}

#[test]
fn without_a_rule_user_keys_come_before_managed_ones() {
    let (a, b) = (
        fixture("a", "m", &["u1", "u2"], &["h"]),
        fixture("b", "n", &[], &["h"]),
    );
    let plan = plan(
        &[a.target(0, None), b.target(1, None)],
        &Selection::ORDERED,
        warm,
        tollgate_base::clock::now(),
        true,
    );
    assert_eq!(names(&plan), ["m a-u1", "m a-u2", "m a-h", "n b-h"]);
    assert_eq!(
        plan.iter().map(|c| c.model_index).collect::<Vec<_>>(),
        [0, 0, 0, 1]
    );
}

#[test]
fn a_rule_says_which_keys_in_which_order() {
    let a = fixture("a", "m", &["u1", "u2", "u3"], &["h1", "h2"]);
    let steps = [
        step(KeyKind::User, Some(&["a-u3", "a-nobody", "a-u1", "a-h1"])),
        step(KeyKind::Managed, Some(&["a-h2"])),
        step(KeyKind::User, Some(&["a-u1"])),
        step(KeyKind::Managed, None),
    ];
    let all = plan(
        &[a.target(0, Some(&steps))],
        &Selection::ORDERED,
        warm,
        tollgate_base::clock::now(),
        true,
    );
    let expected = ["m a-u3", "m a-u1", "m a-h2", "m a-h1"];
    assert_eq!(
        names(&all),
        expected,
        "in the step's order; a user step has no managed key; none twice"
    );
    let none = plan(
        &[a.target(0, Some(&[]))],
        &Selection::ORDERED,
        warm,
        tollgate_base::clock::now(),
        true,
    );
    assert!(none.is_empty(), "a rule without steps lets no key serve");
}

#[test]
fn a_model_listed_twice_is_planned_once_under_its_first_place() {
    let (a, b) = (
        fixture("a", "m", &["u1", "u2"], &[]),
        fixture("b", "m", &["u1"], &[]),
    );
    let first = [step(KeyKind::User, Some(&["a-u1"]))];
    let targets = [
        a.target(0, Some(&first)),
        b.target(1, None),
        a.target(2, None),
    ];
    let plan = plan(
        &targets,
        &Selection::ORDERED,
        warm,
        tollgate_base::clock::now(),
        true,
    );
    assert_eq!(
        names(&plan),
        ["m a-u1", "m b-u1", "m a-u2"],
        "another provider's model is another model"
    );
    assert_eq!(
        plan.iter().map(|c| c.model_index).collect::<Vec<_>>(),
        [0, 1, 0]
    );
}

#[test]
fn cooling_goes_to_the_end_soonest_first() {
    let (a, b) = (
        fixture("a", "m", &["u1", "u2", "u3"], &[]),
        fixture("b", "n", &["u1", "u2"], &[]),
    );
    let now = tollgate_base::clock::now();
    let at = |seconds| Some(Wait::Cooling(now + Duration::from_secs(seconds)));
    let cooling = |c: &Candidate| match (&*c.key.id, &*c.provider.id) {
        ("a-u1", _) => at(0),
        ("a-u3", _) => at(9),
        (_, "b") => at(5),
        _ => None,
    };
    let all = plan(
        &[a.target(0, None), b.target(1, None)],
        &Selection::ORDERED,
        cooling,
        now,
        true,
    );
    let expected = ["m a-u1", "m a-u2", "n b-u1", "n b-u2", "m a-u3"];
    assert_eq!(
        names(&all),
        expected,
        "what ends now has ended; ties keep their order"
    );
}

#[test]
fn what_has_no_quota_comes_after_what_has_in_the_plans_order() {
    let (a, b) = (
        fixture("a", "m", &["u1", "u2", "u3"], &[]),
        fixture("b", "n", &["u1", "u2"], &[]),
    );
    let now = tollgate_base::clock::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let wait = |c: &Candidate| match &*c.key.id {
        "a-u1" => Some(Wait::Quota(at(60))),
        "a-u2" => Some(Wait::Cooling(at(1))),
        "b-u1" => Some(Wait::Quota(at(5))),
        _ => None,
    };
    let targets = [a.target(0, None), b.target(1, None)];
    let all = plan(&targets, &Selection::ORDERED, wait, now, true);
    let expected = ["m a-u3", "n b-u2", "m a-u1", "n b-u1", "m a-u2"];
    assert_eq!(names(&all), expected);
}

#[test]
fn without_failover_the_first_candidate_stays_the_first() {
    let (a, b) = (
        fixture("a", "m", &["u1", "u2"], &[]),
        fixture("b", "n", &["u1"], &[]),
    );
    let now = tollgate_base::clock::now();
    let all_cool = |_: &Candidate| Some(Wait::Cooling(now + Duration::from_secs(9)));
    let only = plan(
        &[a.target(0, None), b.target(1, None)],
        &Selection::ORDERED,
        all_cool,
        now,
        false,
    );
    assert_eq!(names(&only), ["m a-u1"], "cooling or not");
    let keyless = fixture("c", "o", &[], &[]);
    let next = plan(
        &[keyless.target(0, None), b.target(1, None)],
        &Selection::ORDERED,
        warm,
        now,
        false,
    );
    assert_eq!(
        names(&next),
        ["n b-u1"],
        "a model without keys has no candidate"
    );
}

/// The list of models is the client's; a plan stays short, and making it is not quadratic.
#[test]
fn a_request_that_lists_ten_thousand_models() {
    let fixtures: Vec<_> = (0..10_000)
        .map(|i| fixture("a", &format!("m{}", i % 5_000), &["u"], &["h"]))
        .collect();
    let targets: Vec<_> = fixtures
        .iter()
        .enumerate()
        .map(|(i, f)| f.target(i, None))
        .collect();
    let plan = plan(
        &targets,
        &Selection::ORDERED,
        warm,
        tollgate_base::clock::now(),
        true,
    );
    assert_eq!(plan.len(), MAX_CANDIDATES);
    assert_eq!(plan[MAX_CANDIDATES - 1].model_index, MAX_CANDIDATES / 2 - 1);
}

#[test]
fn a_candidate_shows_neither_its_key_nor_control_characters() {
    let a = fixture("a", "m\r\n\u{1b}[31m", &["u"], &[]);
    let plan = plan(
        &[a.target(0, None)],
        &Selection::ORDERED,
        warm,
        tollgate_base::clock::now(),
        true,
    );
    assert_eq!(plan[0].to_string(), "a m[31m");
    let a = fixture("a", &"é".repeat(10_000), &["u"], &[]);
    let plan = super::plan(
        &[a.target(0, None)],
        &Selection::ORDERED,
        warm,
        tollgate_base::clock::now(),
        true,
    );
    assert_eq!(
        plan[0].to_string().chars().count(),
        130,
        "the client chose the id; it is cut"
    );
}

/// The same order in the plainest way: write all down, keep first mentions, then sort by the end.
fn reference<'a>(targets: &[Target<'a>], until: impl Fn(&ProviderKey) -> u64) -> Vec<String> {
    let mut all: Vec<(String, u64)> = Vec::new();
    for target in targets {
        let both = [step(KeyKind::User, None), step(KeyKind::Managed, None)];
        for step in target.steps.unwrap_or(&both) {
            let of_kind: Vec<_> = target
                .user_keys
                .iter()
                .chain(target.managed_keys)
                .filter(|k| k.kind == step.kind)
                .collect();
            let chosen: Vec<_> = match &step.keys {
                None => of_kind,
                Some(ids) => ids
                    .iter()
                    .flat_map(|id| of_kind.iter().filter(move |k| k.id == *id))
                    .copied()
                    .collect(),
            };
            for key in chosen {
                let name = format!("{} {}", target.upstream_model, key.id);
                if all.iter().all(|(seen, _)| *seen != name) {
                    all.push((name, until(key)));
                }
            }
        }
    }
    all.sort_by_key(|&(_, until)| until);
    all.into_iter().map(|(name, _)| name).collect()
}

fn steps() -> impl Strategy<Value = Option<Vec<Step>>> {
    let ids = prop::collection::vec(
        prop::sample::select(vec!["p-0", "p-1", "p-2", "p-h", "p-x"]),
        0..4,
    );
    let step = (any::<bool>(), prop::option::of(ids)).prop_map(|(user, ids)| {
        step(
            if user {
                KeyKind::User
            } else {
                KeyKind::Managed
            },
            ids.as_deref(),
        )
    });
    prop::option::of(prop::collection::vec(step, 0..4))
}

proptest! {
    /// Long enough to cross from searching to looking up.
    #[test]
    fn agrees_with_the_reference(
        models in prop::collection::vec((0usize..12, steps()), 0..24),
        ends in prop::array::uniform5(0u64..4),
    ) {
        let fixtures: Vec<_> =
            (0..12).map(|model| fixture("p", &model.to_string(), &["0", "1", "2"], &["h"])).collect();
        let targets: Vec<_> = models
            .iter()
            .enumerate()
            .map(|(place, (model, steps))| fixtures[*model].target(place, steps.as_deref()))
            .collect();
        let until = |key: &ProviderKey| ends[usize::from(key.id.as_bytes()[2]) % 5];
        let now = tollgate_base::clock::now();
        let cooling = |c: &Candidate| Some(Wait::Cooling(now + Duration::from_secs(until(&c.key))));

        let made = plan(&targets, &Selection::ORDERED, cooling, now, true);
        prop_assert_eq!(names(&made), reference(&targets, until));
        for (i, a) in made.iter().enumerate() {
            for b in &made[..i] {
                prop_assert!(!a.same_as(b), "never the same twice");
                prop_assert_eq!(a.upstream_model == b.upstream_model, a.model_index == b.model_index);
            }
        }
        let first = plan(&targets, &Selection::ORDERED, warm, now, true);
        prop_assert_eq!(names(&plan(&targets, &Selection::ORDERED, cooling, now, false)), names(&first[..first.len().min(1)]));
    }
}
