//! Each cause by its name.

use super::*;

fn key_outside() -> Vec<Served> {
    let mut one = served(2, 3, [50_000, 0, 10_000]);
    one.key = "laptop";
    vec![one]
}

#[test]
fn what_is_billed_as_charged_matches_whatever_is_said_of_it() {
    let forms = [
        HONEST,
        Bills {
            costs: false,
            ..HONEST
        },
        Bills {
            usage: false,
            ..HONEST
        },
        Bills {
            usage: false,
            by_unit: false,
            keys: false,
            ..HONEST
        },
        Bills {
            tier: |_| None,
            ..HONEST
        },
        Bills {
            requests: false,
            by_unit: false,
            ..HONEST
        },
    ];
    for (number, bills) in forms.iter().enumerate() {
        for says in [ALL, LITTLE] {
            let outcome = outcome(says, bills, &[]);
            assert!(outcome.agrees(), "form {number}: {}", whys(&outcome));
            assert_eq!(outcome.total.matched, 7, "form {number}");
            assert_eq!(outcome.total.billed.is_some(), bills.costs);
        }
    }
}

/// A fault, what the ledger says, how the provider bills, what did not come through the gateway, the cause, and words of
/// what speaks for it.
type Case<'a> = (&'a str, Says, Bills, &'a [Served], Cause, &'a str);

#[test]
fn every_cause_is_found_by_name() {
    let outside = key_outside();
    let nobody: Vec<Served> = Vec::new();
    let elsewhere = {
        let mut one = served(4, 3, [7_000, 0, 1_000]);
        one.model = "o3";
        vec![one]
    };
    let cases: Vec<Case<'_>> = vec![
        (
            "a price that is wrong by a tenth",
            ALL,
            Bills {
                price: |_, _| 110,
                ..HONEST
            },
            &nobody,
            Cause::Price,
            "on all 7 days",
        ),
        (
            "the same, of an event that says little",
            LITTLE,
            Bills {
                price: |_, _| 110,
                ..HONEST
            },
            &nobody,
            Cause::Price,
            "1.1 times as much was billed as charged",
        ),
        (
            "a price of a single unit",
            ALL,
            Bills {
                price: |_, unit| if unit == Unit::Output { 200 } else { 100 },
                ..HONEST
            },
            &nobody,
            Cause::Price,
            "answer tokens were billed at $1.2 per million and charged at $0.6",
        ),
        (
            "the same, where the report names no tier",
            ALL,
            Bills {
                price: |_, unit| if unit == Unit::Output { 200 } else { 100 },
                tier: |_| None,
                ..HONEST
            },
            &nobody,
            Cause::Price,
            "answer tokens",
        ),
        (
            "a price that doubled, though the provider says that the tier is the ordinary one",
            LITTLE,
            Bills {
                price: |_, _| 200,
                ..HONEST
            },
            &nobody,
            Cause::Price,
            "2 times",
        ),
        (
            "a price that changed",
            ALL,
            Bills {
                price: |served, _| if served.hour >= 72 { 120 } else { 100 },
                ..HONEST
            },
            &nobody,
            Cause::Price,
            "from 2026-11-04 on",
        ),
        (
            "a price, by costs alone",
            LITTLE,
            Bills {
                price: |_, _| 120,
                usage: false,
                by_unit: false,
                ..HONEST
            },
            &nobody,
            Cause::Price,
            "always in the same ratio",
        ),
        (
            "a tier that the provider names",
            ALL,
            Bills {
                price: |_, _| 200,
                tier: |_| Some("priority"),
                ..HONEST
            },
            &nobody,
            Cause::TierOrVariant,
            "the provider served priority",
        ),
        (
            "a tier of some requests",
            LITTLE,
            Bills {
                price: |served, _| if served.hour % 24 == 9 { 200 } else { 100 },
                tier: |served| {
                    Some(if served.hour % 24 == 9 {
                        "priority"
                    } else {
                        "standard"
                    })
                },
                ..HONEST
            },
            &nobody,
            Cause::TierOrVariant,
            "the ledger does not say which it charged",
        ),
        (
            "a tier that only the ratio tells",
            ALL,
            Bills {
                price: |_, _| 50,
                tier: |_| None,
                ..HONEST
            },
            &nobody,
            Cause::TierOrVariant,
            "0.5 times as much was billed as charged, as of the tier batch or flex",
        ),
        (
            "a tier, by costs alone",
            LITTLE,
            Bills {
                price: |_, _| 170,
                usage: false,
                ..HONEST
            },
            &nobody,
            Cause::TierOrVariant,
            "priority",
        ),
        (
            "a tier of some requests that only the ratio tells",
            LITTLE,
            Bills {
                price: |served, _| {
                    if served.hour % 24 == 9 && served.hour % 48 < 24 {
                        170
                    } else {
                        120
                    }
                },
                tier: |_| None,
                by_unit: false,
                ..HONEST
            },
            &nobody,
            Cause::TierOrVariant,
            "another on every day",
        ),
        (
            "tiers, by quantities alone",
            ALL,
            Bills {
                tier: |_| Some("flex"),
                costs: false,
                ..HONEST
            },
            &nobody,
            Cause::TierOrVariant,
            "the provider served flex",
        ),
        (
            "cached tokens that the ledger took for others",
            ALL,
            Bills {
                units: |served| {
                    [
                        served.units[0] - 20_000,
                        served.units[1] + 20_000,
                        served.units[2],
                    ]
                },
                ..HONEST
            },
            &nobody,
            Cause::UsageShape,
            "told apart otherwise",
        ),
        (
            "cached tokens that nobody counted",
            ALL,
            Bills {
                units: |served| [served.units[0], 0, served.units[2]],
                ..HONEST
            },
            &nobody,
            Cause::UsageShape,
            "the provider has none of the ledger's",
        ),
        (
            "an answer that is counted twice",
            LITTLE,
            Bills {
                units: |served| [served.units[0], served.units[1], served.units[2] * 2],
                ..HONEST
            },
            &nobody,
            Cause::UsageShape,
            "half as much in the ledger as at the provider",
        ),
        (
            "everything counted twice",
            ALL,
            Bills {
                units: |served| served.units.map(|unit| unit * 2),
                requests: false,
                ..HONEST
            },
            &nobody,
            Cause::UsageShape,
            "half as much in the ledger",
        ),
        (
            "hidden thinking",
            ALL,
            Bills {
                units: |served| [served.units[0], served.units[1], served.units[2] + 777],
                ..HONEST
            },
            &nobody,
            Cause::UsageShape,
            "counted otherwise",
        ),
        (
            "a unit that is not billed, by costs alone",
            ALL,
            Bills {
                units: |served| [served.units[0], 0, served.units[2]],
                usage: false,
                ..HONEST
            },
            &nobody,
            Cause::UsageShape,
            "the ledger charged cache-read tokens, and the provider billed none",
        ),
        (
            "a key that the gateway does not have",
            ALL,
            HONEST,
            &outside,
            Cause::OutsideTraffic,
            "the provider's key key_laptop is not one that the gateway uses",
        ),
        (
            "the same, of events that name no key",
            LITTLE,
            HONEST,
            &outside,
            Cause::OutsideTraffic,
            "1 requests, 50,000 prompt tokens, 10,000 answer tokens that did not come through the gateway; it is just \
             what the provider's key key_laptop used",
        ),
        (
            "a key, where costs do not tell keys",
            ALL,
            Bills {
                keys: true,
                by_unit: false,
                requests: false,
                ..HONEST
            },
            &outside,
            Cause::OutsideTraffic,
            "key_laptop",
        ),
        (
            "a model that the gateway does not serve",
            ALL,
            HONEST,
            &elsewhere,
            Cause::OutsideTraffic,
            "did not come through the gateway",
        ),
        (
            "the same, by costs alone",
            LITTLE,
            Bills {
                usage: false,
                by_unit: false,
                keys: false,
                ..HONEST
            },
            &elsewhere,
            Cause::OutsideTraffic,
            "nothing of it came through the gateway",
        ),
        (
            "requests without the gateway, with its own key",
            LITTLE,
            Bills {
                keys: false,
                requests: false,
                ..HONEST
            },
            &outside,
            Cause::OutsideTraffic,
            "50,000 prompt tokens, 10,000 answer tokens",
        ),
        (
            "the Pacific's days",
            ALL,
            Bills {
                ahead: -8,
                ..HONEST
            },
            &nobody,
            Cause::TimeZone,
            "UTC-",
        ),
        (
            "the same, by costs alone",
            LITTLE,
            Bills {
                ahead: 9,
                usage: false,
                by_unit: false,
                ..HONEST
            },
            &nobody,
            Cause::TimeZone,
            "UTC+",
        ),
    ];
    for (name, says, bills, more, cause, why) in cases {
        let outcome = outcome(says, &bills, more);
        assert_eq!(causes(&outcome), [cause], "{name}:\n{}", whys(&outcome));
        assert!(whys(&outcome).contains(why), "{name}:\n{}", whys(&outcome));
        assert!(!outcome.agrees(), "{name}");
    }
}
