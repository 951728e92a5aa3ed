//! What is taken in, and what is held back.

use proptest::prelude::*;

use super::*;
use crate::catalog::{Kept, Layer};

fn taken(below: &Catalog, kept: &Kept, models: &[(&str, &str)]) -> Taken {
    let models = models.iter().map(|(model, rates)| {
        let (provider, model) = model.split_once(':').unwrap();
        let name = Name {
            provider: provider.into(),
            model: model.into(),
        };
        (name, Prices::flat(rates.parse().unwrap()))
    });
    let read = Read {
        models: models.collect(),
        faulty: BTreeMap::new(),
    };
    take("f", below, kept, read, NOW)
}

fn names<'a>(models: impl IntoIterator<Item = &'a Name>) -> Vec<String> {
    models.into_iter().map(Name::to_string).collect()
}

#[test]
fn wild_changes_are_held_back_and_others_are_taken() {
    let below = Catalog::built_in();
    let old = "input=2.5 cached_read=1.25 output=10";
    for (rates, held) in [
        ("input=25 output=100", false),
        ("input=0.25", false),
        ("input=25.000001", true),
        ("input=0.249999", true),
        ("output=0", true),
        ("cached_read=0.1", true),
        // What is charged so far is what text costs.
        ("input_video=26", true),
        ("reasoning=101", true),
        ("reasoning=99", false),
        // No request costs anything so far.
        ("request=0.001", true),
        ("input=3;>1000:31", true),
        ("input=3;>1000:20", false),
    ] {
        let taken = taken(
            &below,
            &Kept::default(),
            &[("openai:gpt-4o", rates), ("openai:o3", "input=3")],
        );
        let expected = if held { vec!["openai:gpt-4o"] } else { vec![] };
        assert_eq!(
            names(taken.kept.held.keys()),
            expected,
            "{old} to {rates}: {:?}",
            taken.changes
        );
        assert!(taken.kept.taken.keys().any(|name| &*name.model == "o3"));
        let wild = taken.changes.iter().any(|change| change.wild);
        assert_eq!(wild, held, "{:?}", taken.changes);
    }
}

#[test]
fn the_first_price_of_a_model_is_taken_unless_it_is_free() {
    let taken = taken(
        &catalog(),
        &Kept::default(),
        &[("house:m", "input=900"), ("house:n", "input=0 output=4")],
    );
    assert_eq!(names(taken.kept.taken.keys()), ["house:m"]);
    let change = &taken.changes[0];
    assert_eq!(
        (change.old, change.new, change.wild),
        (None, Some(900_000_000), false)
    );
}

#[test]
fn a_feed_is_compared_with_what_holds_and_changes_only_that() {
    let below = Catalog::built_in();
    let first = taken(
        &below,
        &Kept::default(),
        &[("openai:gpt-4o", "input=5"), ("openai:o3", "input=900")],
    );
    assert_eq!(names(first.kept.held.keys()), ["openai:o3"]);
    let again = taken(
        &below,
        &first.kept,
        &[("openai:gpt-4o", "input=5"), ("openai:o3", "input=900")],
    );
    assert_eq!(
        (&again.kept, again.changes.len()),
        (&first.kept, 1),
        "only what is held back still differs"
    );
    // Accepted, it is what holds.
    let mut accepted = first.kept.clone();
    accepted.accept(&[], NOW);
    let after = taken(
        &below,
        &accepted,
        &[("openai:gpt-4o", "input=50"), ("openai:o3", "input=901")],
    );
    assert!(after.kept.held.is_empty(), "{:?}", after.changes);
    assert_eq!(after.changes.len(), 2);
    // What is gone keeps its price; what is held back of it is dropped.
    let gone = taken(&below, &first.kept, &[("openai:gpt-4.1", "input=2")]);
    assert_eq!(
        (gone.gone, names(gone.kept.taken.keys())),
        (
            1,
            vec!["openai:gpt-4.1".to_owned(), "openai:gpt-4o".to_owned()]
        )
    );
    assert!(gone.kept.held.is_empty());
    // Two feeds: the later one is compared with what the earlier one says.
    let layer = Layer {
        feed: "e".into(),
        kept: Arc::new(accepted),
    };
    let above = taken(
        &below.priced(vec![layer]),
        &Kept::default(),
        &[("openai:o3", "input=100")],
    );
    assert!(above.kept.held.is_empty(), "{:?}", above.changes);
}

#[test]
fn what_is_not_understood_of_a_model_leaves_what_is_known() {
    let below = catalog();
    let kept = taken(
        &below,
        &Kept::default(),
        &[("house:m", "input=1"), ("house:n", "input=200 output=4")],
    )
    .kept;
    let [(format, feed), ..] = feeds("-1");
    let mut read = try_read(format, &feed).unwrap();
    let other = read.models.pop_first().unwrap().0;
    read.faulty.insert(other, "odd".to_owned());
    let taken = take("f", &below, &kept, read, NOW + 1);
    assert_eq!(taken.kept, kept);
    assert_eq!(
        (taken.faulty.len(), taken.gone, taken.changes.len()),
        (2, 0, 0)
    );
}

/// All that decides where a request goes.
fn routes(catalog: &Catalog) -> String {
    let providers = catalog.providers().iter().map(|provider| {
        let mut provider = crate::catalog::Provider::clone(provider);
        for model in &mut provider.models {
            Arc::make_mut(model).prices = Prices::default();
        }
        format!("{provider:?}")
    });
    providers.collect::<Vec<_>>().join("\n")
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|it| json!(it)),
        (0u64..20).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({"base": 1, "tiers": [{"start": 5, "price": 2}]})),
        Just(json!({"or": [{"contains": ""}]})),
    ]
}

/// Puts `with` in the place of the value that is reached by these steps.
fn mutate(at: &mut Value, steps: &[usize], with: Value) {
    let next = match (steps.split_first(), &mut *at) {
        (Some((step, rest)), Value::Array(list)) if !list.is_empty() => {
            let place = step % list.len();
            Some((&mut list[place], rest))
        }
        (Some((step, rest)), Value::Object(map)) if !map.is_empty() => {
            let place = step % map.len();
            map.values_mut().nth(place).map(|value| (value, rest))
        }
        _ => None,
    };
    match next {
        Some((value, rest)) => mutate(value, rest, with),
        None => *at = with,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_feed_panics_changes_a_route_or_slips_a_wild_price_in(
        which in 0..3usize,
        changes in proptest::collection::vec((proptest::collection::vec(0..9usize, 0..9), value()), 0..4),
        cut in proptest::option::of(0..2_000usize),
    ) {
        let known = catalog();
        let (format, text) = feeds("1e-6")[which].clone();
        let mut feed: Value = serde_json::from_str(&text).unwrap();
        for (steps, with) in changes {
            mutate(&mut feed, &steps, with);
        }
        let mut text = feed.to_string().into_bytes();
        text.truncate(cut.unwrap_or(usize::MAX));
        let Ok(read) = read(format, &text, &known, None) else { return Ok(()) };
        let taken = take("f", &known, &Kept::default(), read, NOW);
        let kept = Kept::parse(&taken.kept.to_string());
        prop_assert_eq!(kept.as_ref(), Ok(&taken.kept));
        let layer = Layer { feed: "f".into(), kept: Arc::new(taken.kept) };
        let after = known.priced(vec![layer]);
        prop_assert_eq!(routes(&after), routes(&known));
        let price = |catalog: &Catalog| {
            let prices = &catalog.provider("house").unwrap().model("n").unwrap().prices;
            prices.find(tollgate_wire::report::Unit::Input, &Default::default(), 0, NOW).unwrap().pico
        };
        prop_assert!((200_000..=20_000_000).contains(&price(&after)), "{}", price(&after));
    }
}
