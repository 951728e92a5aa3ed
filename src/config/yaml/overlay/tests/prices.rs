//! Prices that the YAML declares, laid over the catalog's.

use super::*;

/// What a model costs that is served as usual.
fn usual(catalog: &Catalog, provider: &str, model: &str) -> String {
    prices(catalog, provider, model).standard[0]
        .rates
        .to_string()
}

#[test]
fn only_the_named_prices_change() {
    let count = |catalog: &Catalog| catalog.provider("anthropic").expect("known").models.len();
    let before = usual(&Catalog::built_in(), "anthropic", "claude-sonnet-4-5");
    let catalog =
        laid("[{id: anthropic, models: [{id: Claude-Sonnet-4-5, prices: {output: 1.5}}]}]");
    let after = usual(&catalog, "anthropic", "claude-sonnet-4-5");
    assert_eq!(
        after,
        before.replace("output=15", "output=1.5"),
        "the tier has its own output price"
    );
    assert_eq!(
        count(&catalog),
        count(&Catalog::built_in()),
        "a known id is no new model"
    );
}

#[test]
fn a_price_without_tiers_holds_for_every_length() {
    let catalog = laid("[{id: openai, models: [{id: gpt-5.5, prices: {cache_write: 6.25}}]}]");
    let after = prices(&catalog, "openai", "gpt-5.5").standard[0]
        .rates
        .clone();
    for (unit, prompt, pico) in [
        (Unit::CacheWrite, 0, 6_250_000),
        (Unit::CacheWrite, 300_000, 6_250_000),
        (Unit::Input, 300_000, 10_000_000),
    ] {
        assert_eq!(
            after.price(unit, prompt),
            Some(pico),
            "{unit:?} of {prompt}"
        );
    }
}

#[test]
fn tiers_start_from_the_prices_below_them() {
    let catalog = laid(
        "[{id: openai, models: [{id: gpt-5.5, prices: {tiers: [{above: 500000, input: 11}, {above: 272000, output: 50}]}}]}]",
    );
    let after = prices(&catalog, "openai", "gpt-5.5").standard[0]
        .rates
        .clone();
    for (prompt, input, output) in [(272_000, 5, 30), (272_001, 10, 50), (500_001, 11, 50)] {
        let of = |unit| after.price(unit, prompt).map(|pico| pico / 1_000_000);
        assert_eq!(
            (of(Unit::Input), of(Unit::Output)),
            (Some(input), Some(output)),
            "{prompt}"
        );
    }
}

#[test]
fn every_dimension_of_a_tariff_can_be_declared() {
    let catalog = laid(
        "[{id: own, base_url: 'http://127.0.0.1:1', models: [{id: m, prices: {
            input: 5, output: 30, cache_write_1h: 10, output_audio: 64, web_search: 10,
            tiers: [{above: 200000, input: 10}],
            variants: [
              {when: {service_tier: Priority}, prices: {input: 12.5, tiers: [{above: 100, input: 25}]}},
              {when: {speed: fast, inference_geo: us}, prices: {input: 11, periods: [{from: 2027-01-01, prices: {input: 22}}]}},
            ],
            periods: [
              {daily: '01:00-04:00', prices: {input: 1}},
              {from: 2026-12-01, prices: {output: 20, tiers: [{above: 200000, output: 40}]}},
            ],
        }}]}]",
    );
    let prices = prices(&catalog, "own", "m");
    let standard: Vec<String> = prices
        .standard
        .iter()
        .map(|period| format!("{}: {}", period.holds, period.rates))
        .collect();
    let rest = "cache_write_1h=10 input=5;>200000:10 output=30 output_audio=64 web_search=10";
    assert_eq!(
        rest.split(' ').count(),
        prices.standard[0].rates.iter().count()
    );
    assert_eq!(
        standard,
        [
            ": input=5;>200000:10 cache_write_1h=10 output=30 output_audio=64 web_search=10",
            "2026-12-01: input=5;>200000:10 cache_write_1h=10 output=20;>200000:40 output_audio=64 web_search=10",
            "01:00-04:00: input=1;>200000:10 cache_write_1h=10 output=20;>200000:40 output_audio=64 web_search=10",
        ]
    );
    let variants: Vec<String> = prices
        .variants
        .iter()
        .map(|variant| format!("{} {}: {}", variant.when, variant.holds, variant.rates))
        .collect();
    assert_eq!(
        variants,
        [
            "service_tier=priority : input=12.5;>100:25",
            "speed=fast inference_geo=us 2027-01-01: input=22",
            "speed=fast inference_geo=us : input=11",
        ]
    );
}

#[test]
fn periods_hold_by_their_time_and_not_by_their_place() {
    let periods = [
        "{from: 2026-12-01, prices: {input: 1}}",
        "{from: 2027-01-01, prices: {input: 2}}",
        "{daily: '01:00-04:00', prices: {input: 3}}",
        "{daily: 'Mon 02:00-03:00', prices: {input: 4}}",
    ];
    let laid_by = |order: [usize; 4]| {
        let periods = order.map(|place| periods[place]).join(", ");
        let catalog = laid(&format!(
            "[{{id: own, base_url: 'http://127.0.0.1:1', models: [{{id: m, prices: {{
                input: 9, periods: [{periods}],
                variants: [{{when: {{speed: fast}}, prices: {{input: 9, periods: [{periods}]}}}}] }}}}]}}]"
        ));
        prices(&catalog, "own", "m")
    };
    let first = laid_by([0, 1, 2, 3]);
    let held: Vec<String> = first
        .variants
        .iter()
        .map(|it| it.holds.to_string())
        .collect();
    assert_eq!(
        held,
        [
            "Mon 02:00-03:00",
            "01:00-04:00",
            "2027-01-01",
            "2026-12-01",
            ""
        ]
    );
    for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        assert_eq!(laid_by(order), first, "{order:?}");
    }
}

#[test]
fn a_tariff_that_cannot_be_is_refused_with_its_place() {
    for (prices, at, what) in [
        ("{input: 2000000}", "input", "too large a price"),
        (
            "{variants: [{when: {service_tier: default}, prices: {input: 1}}]}",
            "variants[0].when",
            "can never apply",
        ),
        (
            "{variants: [{when: {}, prices: {input: 1}}]}",
            "variants[0].when",
            "can never apply",
        ),
        (
            "{variants: [{when: {tier: x}, prices: {input: 1}}]}",
            "variants[0].when.tier",
            "is none of service_tier",
        ),
        (
            "{variants: [{when: {speed: fast}, prices: {variants: [{when: {speed: fast}, prices: {}}]}}]}",
            "variants[0].prices.variants",
            "cannot stand here",
        ),
        (
            "{periods: [{from: 2026-02-30, prices: {input: 1}}]}",
            "periods[0].from",
            "is not a day",
        ),
        (
            "{periods: [{daily: '1-2', prices: {input: 1}}]}",
            "periods[0].daily",
            "not two times",
        ),
        (
            "{periods: [{prices: {input: 1}}]}",
            "periods[0].from",
            "needs either",
        ),
        (
            "{periods: [{from: 2026-02-03, prices: {input: 1}}, {from: 2026-02-03, prices: {input: 2}}]}",
            "periods[1]",
            "there is another",
        ),
        (
            "{variants: [{when: {speed: fast}, prices: {input: 1}}, {when: {speed: FAST}, prices: {input: 2}}]}",
            "variants[1].when",
            "there is another",
        ),
    ] {
        let yaml = format!(
            "[{{id: own, base_url: 'http://127.0.0.1:1', models: [{{id: m, prices: {prices}}}]}}]"
        );
        let faults = Catalog::built_in()
            .with(&declared(&yaml), read)
            .expect_err(prices);
        let found = faults.iter().any(|fault| {
            fault.path.ends_with(&format!("prices.{at}")) && fault.message.contains(what)
        });
        assert!(found, "{prices}: {faults:?}");
    }
}
