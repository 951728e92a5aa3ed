//! What is billed exactly gives no drift, whatever the ledger has; and what is planted is found.

use proptest::prelude::*;

use super::*;

/// Random traffic of a week through two models and two keys.
fn traffic() -> impl Strategy<Value = Vec<Served>> {
    let one = (
        0i64..168,
        prop::sample::select(vec!["gpt-4o-mini", "o3"]),
        prop::sample::select(vec!["house", "lab"]),
        prop::sample::select(vec!["standard", "flex"]),
        [0u64..200_000, 0u64..50_000, 1u64..50_000],
    );
    let one = one.prop_map(|(hour, model, key, variant, units)| Served {
        hour,
        model,
        key,
        variant,
        units,
    });
    prop::collection::vec(one, 1..60)
}

/// Bills what was served in the tier that it was served in.
const BY_TIER: Bills = Bills {
    tier: |served| Some(served.variant),
    ..HONEST
};

const STRICT: Tolerance = Tolerance {
    ppm: 0,
    // What rounding each of sixty requests, and each of its units, may come to.
    floor: NanoUsd(60 * 4),
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_billed_exactly_gives_no_drift(
        traffic in traffic(), usage: bool, by_unit: bool, keys: bool, requests: bool, tiers: bool, rates: bool, context: bool, key: bool,
    ) {
        let tier = if tiers { BY_TIER.tier } else { |_: &Served| None };
        let bills = Bills { usage, by_unit, keys, requests, tier, ..HONEST };
        let says = Says { rates, context, key };
        let outcome = compared_within(&ledger(&traffic, says), &reading(bills.rows(&traffic), &bills), STRICT);
        prop_assert!(outcome.agrees(), "{}", whys(&outcome));
        let drift = outcome.total.drift.unwrap();
        prop_assert!(drift.0.abs() <= STRICT.floor.0, "{drift}");
    }

    #[test]
    fn a_price_that_is_wrong_is_found(traffic in traffic(), more in 101u128..400) {
        prop_assume!(traffic.iter().any(|one| one.model == "o3"));
        let mut rows = BY_TIER.rows(&traffic);
        for row in rows.iter_mut().filter(|row| row.model.as_deref() == Some("o3")) {
            row.cost = row.cost.map(|cost| NanoUsd(cost.0 * i64::try_from(more).unwrap() / 100));
        }
        let outcome = compared_within(&ledger(&traffic, ALL), &reading(rows, &BY_TIER), STRICT);
        prop_assert_eq!(causes(&outcome), [Cause::Price], "{}", whys(&outcome));
        prop_assert!(outcome.lines.iter().all(|line| line.matched == (line.model != "o3")));
    }

    #[test]
    fn a_key_used_outside_is_found(traffic in traffic(), units in [1u64..90_000, 0u64..9_000, 1u64..9_000], hour in 0i64..168) {
        let stranger = Served { hour, model: "o3", key: "laptop", variant: "standard", units };
        let ledger = ledger(&traffic, ALL);
        let mut all = traffic;
        all.push(stranger);
        let outcome = compared_within(&ledger, &reading(BY_TIER.rows(&all), &BY_TIER), STRICT);
        let day = Day(START + u32::try_from(hour / 24).unwrap());
        let drifted: Vec<_> = outcome.lines.iter().filter(|line| !line.matched).collect();
        prop_assert_eq!(drifted.len(), 1, "{}", whys(&outcome));
        prop_assert_eq!(drifted[0].day, day);
        let finding = drifted[0].finding.as_ref().unwrap();
        prop_assert_eq!(finding.cause, Cause::OutsideTraffic);
        prop_assert!(finding.why.contains("key_laptop"), "{}", finding.why);
    }

    #[test]
    fn a_tier_that_was_not_the_one_charged_is_found(traffic in traffic(), from in 0usize..60) {
        let ledger = ledger(&traffic, ALL);
        let at = from % traffic.len();
        let mut served = traffic;
        served[at].variant = "priority";
        let bills = Bills { price: |served, _| if served.variant == "priority" { 200 } else { 100 }, ..BY_TIER };
        let outcome = compared_within(&ledger, &reading(bills.rows(&served), &bills), STRICT);
        let drifted: Vec<_> = outcome.lines.iter().filter(|line| !line.matched).collect();
        prop_assert_eq!(drifted.len(), 1, "{}", whys(&outcome));
        prop_assert_eq!(drifted[0].finding.as_ref().unwrap().cause, Cause::TierOrVariant, "{}", whys(&outcome));
    }
}
