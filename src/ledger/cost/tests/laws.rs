//! What holds of every bill, whatever was used and whatever it is priced at.

use proptest::prelude::*;

use super::*;

fn any_prices() -> impl Strategy<Value = Prices> {
    let rates = || {
        let rate = (
            0u64..200_000_000,
            prop::option::of((0u64..4_000_000, 0u64..200_000_000)),
        );
        prop::collection::vec(prop::option::of(rate), Unit::ALL.len()).prop_map(|all| {
            let mut rates = Rates::default();
            for (unit, rate) in Unit::ALL.into_iter().zip(all) {
                if let Some((base, tier)) = rate {
                    let place = rates.entry(unit);
                    place.base = Some(base);
                    if let Some((above, pico)) = tier {
                        place.set_tier(above, pico);
                    }
                }
            }
            rates
        })
    };
    (rates(), 1u64..200_000_000, 1u64..200_000_000, rates()).prop_map(
        |(mut standard, input, output, priority)| {
            standard.entry(Unit::Input).base.get_or_insert(input);
            standard.entry(Unit::Output).base.get_or_insert(output);
            Prices {
                variants: vec![Variant {
                    when: Context::default().with(Dimension::ServiceTier, "priority"),
                    holds: Holds::Always,
                    rates: priority,
                }],
                ..Prices::flat(standard)
            }
        },
    )
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let quantity = prop_oneof![2 => Just(0u64), 3 => 1u64..3_000_000];
    prop::collection::vec(quantity, Unit::ALL.len()).prop_map(|all| {
        let all: Vec<(Unit, u64)> = Unit::ALL.into_iter().zip(all).collect();
        units(&all)
    })
}

fn any_context() -> impl Strategy<Value = Context> {
    prop::sample::select(vec![
        "standard",
        "service_tier=priority",
        "speed=fast",
        "service_tier=priority speed=fast",
    ])
    .prop_map(served)
}

proptest! {
    #[test]
    fn a_bill_explains_itself(usage in any_usage(), prices in any_prices(), context in any_context(), fee in 0u64..1_000_000) {
        let terms = terms(Some(&prices), fee);
        let bill = terms.bill(&usage, &context).unwrap();
        prop_assert_eq!(bill.cost, terms.cost(&usage, &context).unwrap());
        let lines: u128 = bill.sheet.rates.iter().map(|(unit, pico)| {
            let quantity = if *unit == Unit::Request { usage[*unit].max(1) } else { usage[*unit] };
            u128::from(quantity) * u128::from(*pico)
        }).sum();
        let picos = lines + u128::from(usage.total()) * u128::from(fee);
        prop_assert_eq!(u128::try_from(bill.cost.0).unwrap(), (picos + 500) / 1_000);
        let charged = bill.sheet.rates.iter().map(|(unit, _)| *unit).collect::<Vec<_>>();
        for (unit, _) in usage.units() {
            prop_assert!(charged.contains(&unit), "{:?} is free", unit);
        }
    }

    #[test]
    fn more_of_a_unit_never_costs_less(usage in any_usage(), prices in any_prices(), more in 0u64..1_000_000, which in 0usize..19) {
        // In a tier a longer prompt may be cheaper: then it is the price list's word.
        let mut flat = prices.clone();
        for unit in Unit::ALL {
            if flat.standard[0].rates.get(unit).is_some() {
                flat.standard[0].rates.entry(unit).tiers.clear();
            }
        }
        let mut longer = usage;
        longer[Unit::ALL[which]] += more;
        let [before, after] = [usage, longer].map(|usage| cost(&usage, Some(&flat), 0).unwrap());
        prop_assert!(before >= NanoUsd::ZERO && after >= before);
    }

    #[test]
    fn what_has_no_price_is_never_cheaper_than_usual(usage in any_usage(), prices in any_prices()) {
        let terms = terms(Some(&prices), 0);
        let usual = terms.bill(&usage, &Context::STANDARD).unwrap();
        let unheard_of = terms.bill(&usage, &served("service_tier=unheard-of")).unwrap();
        prop_assert!(unheard_of.cost >= usual.cost);
        prop_assert!(unheard_of.assumed || usage == Usage::default());
    }
}
