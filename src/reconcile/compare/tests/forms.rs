//! What both sides may look like.

use super::*;

#[test]
fn a_time_zone_moves_what_is_outside_the_period_as_well() {
    let mut traffic = week();
    traffic.push(served(-1, 22, [9_000, 0, 900]));
    traffic.push(served(7, 3, [8_000, 0, 800]));
    let ledger = ledger(&traffic, ALL);
    let bills = Bills {
        ahead: -8,
        ..HONEST
    };
    let outcome = compared(&ledger, &reading(bills.rows(&traffic), &bills));
    assert_eq!(causes(&outcome), [Cause::TimeZone], "{}", whys(&outcome));
}

#[test]
fn a_request_that_ends_after_midnight_is_no_loss() {
    let traffic = week();
    let mut billed = traffic.clone();
    // The last of the third day.
    billed[8].hour += 5;
    let bills = HONEST;
    let outcome = compared(
        &ledger(&traffic, ALL),
        &reading(bills.rows(&billed), &bills),
    );
    assert_eq!(causes(&outcome), [Cause::TimeZone], "{}", whys(&outcome));
    assert_eq!(outcome.total.drifted, 2);
    assert!(
        whys(&outcome).contains("from 2026-11-03 to 2026-11-04 the sums agree"),
        "{}",
        whys(&outcome)
    );
    assert_eq!(
        outcome.total.drift,
        Some(outcome.total.billed.unwrap() - outcome.total.ledger)
    );
}

#[test]
fn days_that_make_up_for_others_after_a_week_are_no_midnight() {
    let traffic: Vec<Served> = (0..9)
        .map(|day| served(day, 9, [1_000_000, 0, 0]))
        .collect();
    let bills = Bills {
        units: |one| match one.hour < 24 {
            true => [1_800_000, 0, 0],
            false => [900_000, 0, 0],
        },
        ..HONEST
    };
    let outcome = compare(&Request {
        provider: "openai",
        ledger: &ledger(&traffic, ALL),
        reading: &reading(bills.rows(&traffic), &bills),
        period: period(9),
        tolerance: Tolerance::DEFAULT,
        keys: &[("house".to_owned(), "key_house".to_owned())],
    });
    assert_eq!(outcome.total.drifted, 9);
    assert!(
        !causes(&outcome).contains(&Cause::TimeZone),
        "{}",
        whys(&outcome)
    );
}

#[test]
fn days_that_one_side_lacks_are_missing() {
    let traffic = week();
    let bills = Bills {
        usage: false,
        ..HONEST
    };
    let without: Vec<Served> = traffic
        .iter()
        .filter(|one| one.hour / 24 != 3)
        .cloned()
        .collect();
    let outcome = compared(
        &ledger(&traffic, ALL),
        &reading(bills.rows(&without), &bills),
    );
    assert_eq!(causes(&outcome), [Cause::MissingDays], "{}", whys(&outcome));
    assert!(whys(&outcome).contains("the report has nothing of 2026-11-04 at all"));

    let kept: Vec<Served> = traffic
        .iter()
        .filter(|one| one.hour >= 48)
        .cloned()
        .collect();
    let outcome = compared(
        &ledger(&kept, ALL),
        &reading(HONEST.rows(&traffic), &HONEST),
    );
    assert_eq!(causes(&outcome), [Cause::MissingDays], "{}", whys(&outcome));
    assert!(whys(&outcome).contains("begin on 2026-11-03: they are kept for ledger.retention"));
}

#[test]
fn what_the_provider_did_not_bill_is_said_with_what_was_assumed() {
    let traffic = week();
    let fewer: Vec<Served> = traffic
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != 4)
        .map(|(_, one)| one.clone())
        .collect();
    let mut ledger = ledger(&traffic, ALL);
    let assumed = Charged {
        hour: Hour(START * 24 + 33),
        model: "gpt-4o-mini".to_owned(),
        key: Some("house".to_owned()),
        variant: Some("standard".to_owned()),
        requests: 0,
        units: BTreeMap::new(),
        cost: NanoUsd::ZERO,
        assumed: NanoUsd(5_000_000),
    };
    ledger.add(assumed).unwrap();
    let outcome = compared(&ledger, &reading(HONEST.rows(&fewer), &HONEST));
    assert_eq!(causes(&outcome), [Cause::NotBilled], "{}", whys(&outcome));
    assert!(
        whys(&outcome).contains("$0.005 of the"),
        "{}",
        whys(&outcome)
    );
}

#[test]
fn costs_alone_of_a_single_day_tell_nothing() {
    let bills = Bills {
        price: |served, _| if served.hour == 9 { 133 } else { 100 },
        usage: false,
        by_unit: false,
        ..HONEST
    };
    let outcome = outcome(LITTLE, &bills, &[]);
    assert_eq!(causes(&outcome), [Cause::Unknown], "{}", whys(&outcome));
    assert!(whys(&outcome).contains("give the provider's usage report"));
}

#[test]
fn costs_that_say_nothing_of_models_are_compared_by_day() {
    let traffic = week();
    let bills = HONEST;
    let mut rows = bills.rows(&traffic);
    for row in rows.iter_mut().filter(|row| row.cost.is_some()) {
        row.model = None;
        row.unit = None;
        row.key = None;
    }
    let outcome = compared(&ledger(&traffic, LITTLE), &reading(rows, &bills));
    assert!(outcome.agrees(), "{}", whys(&outcome));
    assert!(outcome.lines.iter().all(|line| line.model == "(all)"));
    assert!(outcome.notes[0].contains("group"), "{:?}", outcome.notes);
}

#[test]
fn amounts_that_were_rounded_to_cents_match() {
    let traffic = week();
    let bills = Bills {
        usage: false,
        ..HONEST
    };
    let mut rows = bills.rows(&traffic);
    for row in &mut rows {
        let cents = (row.cost.unwrap().0 + 5_000_000) / 10_000_000;
        row.cost = Some(NanoUsd(cents * 10_000_000));
        row.rounding = NanoUsd(5_000_000);
    }
    let ledger = ledger(&traffic, LITTLE);
    let outcome = compared(&ledger, &reading(rows.clone(), &bills));
    assert!(outcome.agrees(), "{}", whys(&outcome));
    for row in &mut rows {
        row.rounding = NanoUsd::ZERO;
    }
    assert!(!compared(&ledger, &reading(rows, &bills)).agrees());
}

#[test]
fn a_tier_that_only_costs_name_is_found() {
    let traffic = week();
    for usage in [true, false] {
        let bills = Bills {
            price: |_, _| 55,
            tier: |_| None,
            usage,
            ..HONEST
        };
        let mut rows = bills.rows(&traffic);
        for row in rows.iter_mut().filter(|row| row.cost.is_some()) {
            row.variant = Some("batch".to_owned());
        }
        let outcome = compared(&ledger(&traffic, ALL), &reading(rows, &bills));
        assert_eq!(
            causes(&outcome),
            [Cause::TierOrVariant],
            "{}",
            whys(&outcome)
        );
        assert!(whys(&outcome).contains("billed some of it as batch"));
    }
}

#[test]
fn tools_stand_beside_the_models_that_used_them() {
    let mut searched = Charged {
        hour: Hour(START * 24 + 1),
        model: "gpt-4o-mini".to_owned(),
        key: None,
        variant: None,
        requests: 1,
        units: BTreeMap::from([
            (
                Unit::Input,
                Used {
                    quantity: 1_000,
                    picos: Some(150_000_000),
                },
            ),
            (
                Unit::WebSearch,
                Used {
                    quantity: 2,
                    picos: Some(20_000_000_000),
                },
            ),
        ]),
        cost: NanoUsd(20_150_000),
        assumed: NanoUsd::ZERO,
    };
    let row = |model: Option<&str>, unit, cost| Billed {
        model: model.map(str::to_owned),
        unit: Some(unit),
        cost: Some(NanoUsd(cost)),
        ..Billed::on(Day(START))
    };
    let rows = vec![
        row(Some("gpt-4o-mini"), Unit::Input, 150_000),
        row(None, Unit::WebSearch, 20_000_000),
    ];
    let bills = Bills {
        usage: false,
        ..HONEST
    };
    let mut ledger = Ledger::default();
    ledger.add(searched.clone()).unwrap();
    let outcome = compared(&ledger, &reading(rows.clone(), &bills));
    assert!(outcome.agrees(), "{}", whys(&outcome));
    assert_eq!(
        outcome.models.keys().collect::<Vec<_>>(),
        ["(tools)", "gpt-4o-mini"]
    );

    searched.units.remove(&Unit::WebSearch);
    searched.cost = NanoUsd(150_000);
    let mut ledger = Ledger::default();
    ledger.add(searched).unwrap();
    let outcome = compared(&ledger, &reading(rows, &bills));
    assert_eq!(
        causes(&outcome),
        [Cause::OutsideTraffic],
        "{}",
        whys(&outcome)
    );
}

#[test]
fn the_report_is_json_with_exact_amounts() {
    let outcome = outcome(
        ALL,
        &Bills {
            price: |_, _| 110,
            ..HONEST
        },
        &[],
    );
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["from"], "2026-11-01");
    assert_eq!(json["tolerance"]["percent"], "0.1");
    assert_eq!(json["tolerance"]["floorUsd"], "0.00001");
    assert_eq!(json["causes"]["price"]["drifted"], 7);
    let line = &json["lines"][0];
    assert_eq!(line["day"], "2026-11-01");
    assert_eq!(line["cause"], "price");
    assert_eq!(line["key"], "house");
    let drift = outcome.lines[0].drift.unwrap();
    assert_eq!(line["driftUsd"], crate::decimal::show_usd(drift));
    assert_eq!(line["units"][0]["unit"], "input");
}

#[test]
fn usage_that_names_no_model_does_not_confuse_costs_that_do() {
    let traffic = week();
    let mut rows = HONEST.rows(&traffic);
    for row in rows.iter_mut().filter(|row| row.cost.is_none()) {
        row.model = None;
    }
    let outcome = compared(&ledger(&traffic, ALL), &reading(rows, &HONEST));
    assert!(outcome.agrees(), "{}", whys(&outcome));
    assert!(outcome.lines.iter().all(|line| line.model == "gpt-4o-mini"));
    assert_eq!(outcome.notes.len(), 1, "{:?}", outcome.notes);
}

#[test]
fn a_few_tokens_are_not_why_a_price_is_wrong() {
    let bills = Bills {
        price: |_, _| 110,
        units: |served| [served.units[0] + 40, served.units[1], served.units[2]],
        ..HONEST
    };
    let outcome = outcome(ALL, &bills, &[]);
    assert_eq!(causes(&outcome), [Cause::Price], "{}", whys(&outcome));
}

/// Traffic of which a single request more is less than the tolerance.
fn heavy() -> Vec<Served> {
    let one = |number: i64| {
        let more = u64::try_from(number).unwrap();
        served(
            1,
            number % 24,
            [4_000 + more % 97, more % 31, 400 + more % 13],
        )
    };
    (0..3_000).map(one).collect()
}

#[test]
fn a_single_request_of_thousands_is_found() {
    let traffic = heavy();
    let outside = served(1, 5, [70_000, 0, 9_000]);
    let cheap = served(1, 5, [30_000, 0, 10]);
    // Without a count of requests, a prompt with hardly an answer looks like one that is counted otherwise.
    for (more, counts) in [(outside, &[true, false][..]), (cheap, &[true][..])] {
        let mut all = traffic.clone();
        all.push(more);
        for requests in counts.iter().copied() {
            let bills = Bills { requests, ..HONEST };
            let rows = bills.rows(&all);
            let found = compared(&ledger(&traffic, LITTLE), &reading(rows, &bills));
            assert_eq!(causes(&found), [Cause::OutsideTraffic], "{}", whys(&found));
            let rows = bills.rows(&traffic);
            let found = compared(&ledger(&all, LITTLE), &reading(rows, &bills));
            assert_eq!(causes(&found), [Cause::NotBilled], "{}", whys(&found));
        }
    }
}

#[test]
fn a_request_more_does_not_hide_what_else_is_wrong() {
    let traffic = heavy();
    let mut all = traffic.clone();
    all.push(served(1, 5, [4_000, 0, 400]));
    let bills = Bills {
        price: |_, _| 110,
        ..HONEST
    };
    let rows = bills.rows(&all);
    let found = compared(&ledger(&traffic, ALL), &reading(rows, &bills));
    assert_eq!(causes(&found), [Cause::Price], "{}", whys(&found));
}
