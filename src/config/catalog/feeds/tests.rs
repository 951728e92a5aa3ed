use proptest::prelude::*;

use super::kept::{COLUMNS, HEAD};
use super::*;
use crate::catalog::{Catalog, show};
use crate::yaml::types;

/// 2026-11-29 12:00.
const NOON: u64 = 1_795_953_600;

fn name(provider: &str, model: &str) -> Name {
    Name {
        provider: provider.into(),
        model: model.into(),
    }
}

/// Prices by rows of when, holds and rates.
fn prices(rows: &[(&str, &str, &str)]) -> Prices {
    let mut prices = Prices::default();
    for (when, holds, rates) in rows {
        let (holds, rates) = (holds.parse().unwrap(), rates.parse().unwrap());
        match when.is_empty() {
            true => prices.standard.push(Period { holds, rates }),
            false => prices.variants.push(Variant {
                when: when.parse().unwrap(),
                holds,
                rates,
            }),
        }
    }
    prices
}

fn rows(prices: &Prices) -> Vec<String> {
    let standard = prices.standard.iter();
    let standard = standard.map(|it| format!("standard {}: {}", it.holds, it.rates));
    let variants = prices.variants.iter();
    let variants = variants.map(|it| format!("{} {}: {}", it.when, it.holds, it.rates));
    standard.chain(variants).collect()
}

fn laid(known: &[(&str, &str, &str)], feed: &[(&str, &str, &str)]) -> Vec<String> {
    let mut known = prices(known);
    let entry = Entry {
        since: NOON,
        prices: prices(feed),
    };
    entry.lay("f", &mut known);
    assert_eq!(&*known.source.0, "feed f 2026-11-29");
    rows(&known)
}

#[test]
fn a_feed_without_days_changes_what_holds_now() {
    let known = [
        ("", "", "input=1 cached_read=0.1"),
        (
            "",
            "2026-11-01",
            "input=2;>200000:4 cached_read=0.1 output=9",
        ),
        ("", "2027-01-01", "input=3 output=9"),
        ("", "01:00-04:00", "input=0.5"),
    ];
    assert_eq!(
        laid(&known, &[("", "", "input=5 output=6;>100:7")]),
        [
            "standard : input=5 cached_read=0.1 output=6;>100:7",
            "standard 2027-01-01: input=3 output=9",
            "standard 01:00-04:00: input=0.5",
        ],
        "what is named is replaced with its tiers; what is known of later and of hours stays"
    );
    assert_eq!(laid(&[], &[("", "", "input=5")]), ["standard : input=5"]);
}

#[test]
fn a_feed_with_days_says_all_periods() {
    let known = [
        ("", "", "input=1 output=9"),
        ("", "2027-06-01", "input=8 output=9"),
    ];
    let feed = [("", "", "input=2"), ("", "2027-01-01", "input=3")];
    assert_eq!(
        laid(&known, &feed),
        [
            "standard : input=2 output=9",
            "standard 2027-01-01: input=3 output=9"
        ]
    );
    assert_eq!(
        laid(&known, &[("", "2027-01-01", "input=3")]),
        [
            "standard : input=1 output=9",
            "standard 2027-01-01: input=3 output=9"
        ],
        "before its first day holds what held"
    );
}

#[test]
fn a_feeds_variants_count_first_and_add_to_known_ones() {
    let known = [
        ("", "", "input=4"),
        ("processing=batch", "", "input=2 output=1"),
        ("service_tier=flex", "", "input=3"),
    ];
    let feed = [
        ("service_tier=priority", "", "input=8"),
        ("processing=batch", "", "input=1"),
    ];
    assert_eq!(
        laid(&known, &feed),
        [
            "standard : input=4",
            "service_tier=priority : input=8",
            "processing=batch : input=1 output=1",
            "service_tier=flex : input=3",
        ]
    );
}

#[test]
fn what_says_more_of_how_it_is_served_still_comes_first() {
    let known = [
        ("", "", "input=4"),
        ("inference_geo=us processing=batch", "", "input=2.2"),
        ("processing=batch", "2027-01-01", "input=9"),
        ("processing=batch", "2026-10-14", "input=2"),
        ("processing=batch", "", "input=3 output=7"),
        ("inference_geo=us", "", "input=4.4"),
    ];
    assert_eq!(
        laid(&known, &[("processing=batch", "", "input=1")]),
        [
            "standard : input=4",
            "inference_geo=us processing=batch : input=2.2",
            "processing=batch 2027-01-01: input=9",
            "processing=batch : input=1 output=7",
            "inference_geo=us : input=4.4",
        ]
    );
    assert_eq!(
        laid(
            &known[..2],
            &[
                ("processing=batch", "", "input=1"),
                ("speed=fast", "", "input=8")
            ]
        ),
        [
            "standard : input=4",
            "speed=fast : input=8",
            "inference_geo=us processing=batch : input=2.2",
            "processing=batch : input=1",
        ]
    );
}

fn catalog(feeds: &[(&str, &str, &str, &str)]) -> Catalog {
    let layers = feeds.iter().map(|(feed, provider, model, rates)| {
        let entry = Entry {
            since: NOON,
            prices: prices(&[("", "", rates)]),
        };
        let taken = Models::from([(name(provider, model), entry)]);
        Layer {
            feed: (*feed).into(),
            kept: Arc::new(Kept {
                taken,
                held: Models::new(),
            }),
        }
    });
    Catalog::built_in().priced(layers.collect())
}

fn declared(catalog: &Catalog, yaml: &str) -> Catalog {
    let declared: Vec<types::Provider> = crate::from_yaml(yaml).unwrap();
    catalog.with(&declared, |_| Err(String::new())).unwrap()
}

fn usual(catalog: &Catalog, provider: &str, model: &str) -> String {
    let provider = catalog.provider(provider).unwrap();
    provider.model(model).unwrap().prices.standard[0]
        .rates
        .to_string()
}

#[test]
fn feeds_lie_between_what_is_built_in_and_the_configuration() {
    let catalog = catalog(&[
        ("one", "openai", "gpt-4o", "input=7 output=8"),
        ("two", "openai", "gpt-4o", "output=9"),
        ("three", "house", "own", "input=1"),
        ("four", "openai", "gpt-99", "input=1"),
    ]);
    let changed = |catalog: &Catalog| {
        let rates = usual(catalog, "openai", "gpt-4o");
        let known = ["input=", "cached_read=", "output="];
        let known = rates
            .split(' ')
            .filter(|rate| known.iter().any(|it| rate.starts_with(it)));
        known.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(changed(&catalog), "input=7 cached_read=1.25 output=9");
    let yaml = "[{id: openai, models: [{id: GPT-4o, prices: {input: 6}}]}, \
                 {id: house, base_url: 'http://127.0.0.1:1', models: [{id: own, prices: {output: 2}}, {id: other}]}]";
    let catalog = declared(&catalog, yaml);
    assert_eq!(changed(&catalog), "input=6 cached_read=1.25 output=9");
    assert_eq!(usual(&catalog, "house", "own"), "input=1 output=2");
    let house = catalog.provider("house").unwrap();
    assert!(house.model("other").unwrap().prices.standard.is_empty());
    let openai = catalog.provider("openai").unwrap();
    assert!(openai.model("gpt-99").is_none(), "a feed adds no model");
    let shown = show(&catalog, openai, openai.model("gpt-4o").unwrap(), false);
    for from in [
        "] configuration",
        "] feed two 2026-11-29",
        "] the providers' price lists, ",
    ] {
        assert!(shown.contains(from), "{from}: {shown}");
    }
    assert!(
        !shown.contains("feed one"),
        "both of its figures are replaced: {shown}"
    );
}

#[test]
fn what_is_kept_is_read_as_it_was_written() {
    let rows = [
        ("", "", "input=1;>200000:2 output=0"),
        ("", "2027-01-01", "input=2"),
        ("", "23:00-01:00", "input=0.000001 web_search=10"),
        ("service_tier=priority speed=fast", "2026-12-01", "input=9"),
    ];
    let entry = |since| Entry {
        since,
        prices: prices(&rows),
    };
    let kept = Kept {
        taken: Models::from([
            (name("openai", "gpt-5"), entry(1)),
            (name("a", "b/c:d"), entry(NOON)),
        ]),
        held: Models::from([(name("openai", "gpt-5"), entry(2))]),
    };
    assert_eq!(Kept::parse(&kept.to_string()), Ok(kept.clone()));
    let mut accepted = kept.clone();
    assert_eq!(accepted.accept(&["gpt-4".to_owned()], 3), []);
    assert_eq!(
        accepted.accept(&["gpt-5".to_owned()], 3),
        [name("openai", "gpt-5")]
    );
    assert_eq!(accepted.taken[&name("openai", "gpt-5")].since, 3);
    assert!(accepted.held.is_empty());
    let only = kept.of(Some(&["a".to_owned()]));
    assert_eq!((only.taken.len(), only.held.len()), (1, 0));
    assert_eq!(
        Kept::parse(&Kept::default().to_string()),
        Ok(Kept::default())
    );
}

#[test]
fn what_is_kept_is_not_trusted() {
    let good = format!("{HEAD}\n{COLUMNS}\nopenai\tgpt-5\ttaken\t1\t\t\tinput=1\n");
    assert!(Kept::parse(&good).is_ok());
    for (from, to, fault) in [
        ("form 1", "form 2", "line 1: "),
        ("\tinput=1", "", "line 3: 6 columns"),
        ("taken", "given", "line 3: its state"),
        ("\t1\t", "\t-1\t", "line 3: its time"),
        ("\t1\t", "\t18446744073709551615\t", "line 3: its time"),
        ("input=1", "input=1e-30", "line 3: `input=1e-30`"),
        ("input=1", "input=-1", "line 3: "),
        ("input=1", "input=1 input=2", "line 3: "),
        ("input=1", "input=NaN", "line 3: "),
        ("input=1", "input=1000001", "line 3: "),
        ("input=1", "wisdom=1", "line 3: "),
        (
            "input=1",
            "input=;>5:1",
            "openai:gpt-5: input has a price for long prompts",
        ),
        ("input=1", "", "openai:gpt-5: it has no price"),
        ("\t1\t\t", "\t1\tmoon=full\t", "line 3: "),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        let told = Kept::parse(&text).expect_err(&text);
        assert!(told.starts_with(fault), "{text}: {told}");
    }
    let twice = good.clone() + good.lines().last().unwrap();
    assert!(
        Kept::parse(&twice)
            .unwrap_err()
            .contains("two prices for the same")
    );
    let long = good.replace("input=1", &"input=1 ".repeat(10_000));
    assert!(Kept::parse(&long).unwrap_err().contains("too long"));
}

proptest! {
    #[test]
    fn nothing_that_is_found_on_disk_panics(text in "(# Prices of a feed, form 1. Written by Tollgate: do not edit.\nprovider\tmodel\tstate\tsince\twhen\tholds\trates\n)?([a-z]{0,3}\t[a-z]{0,3}\t(taken|held)\t[0-9]{0,22}\t[a-z=_ ]{0,8}\t[0-9:-]{0,10}\t[a-z_]{0,6}=?[0-9.;>:]{0,9}\n){0,3}\\PC{0,20}") {
        if let Ok(kept) = Kept::parse(&text) {
            prop_assert_eq!(Kept::parse(&kept.to_string()), Ok(kept));
        }
    }
}
