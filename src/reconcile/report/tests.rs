//! Reports written after the providers' public documentation.

mod refused;

use std::collections::BTreeSet;

use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Day;

use super::*;
use crate::day::parse_day;
use crate::unit::Unit;

const OPENAI_COSTS: [&str; 2] = [
    include_str!("fixtures/openai-costs-1.json"),
    include_str!("fixtures/openai-costs-2.json"),
];
const COMPLETIONS: &str = include_str!("fixtures/openai-completions.json");
const EMBEDDINGS: &str = include_str!("fixtures/openai-embeddings.json");
const ANTHROPIC_USAGE: &str = include_str!("fixtures/anthropic-usage.json");
const ANTHROPIC_COSTS: &str = include_str!("fixtures/anthropic-costs.json");
const OPENAI_COSTS_CSV: &str = include_str!("fixtures/openai-costs.csv");
const OPENAI_ACTIVITY: &str = include_str!("fixtures/openai-activity.tsv");
const ANTHROPIC_USAGE_CSV: &str = include_str!("fixtures/anthropic-usage.csv");
const ANTHROPIC_COSTS_CSV: &str = include_str!("fixtures/anthropic-costs.csv");

fn day(text: &str) -> Day {
    parse_day(text).unwrap()
}

fn period(from: &str, to: &str) -> Period {
    Period {
        from: day(from),
        to: day(to),
    }
}

fn first() -> Period {
    period("2026-11-01", "2026-11-01")
}

fn read_all(texts: &[&str], period: Period) -> Result<Reading, Fault> {
    let names = ["a.json", "b.json", "c.json", "d.json"];
    let files: Vec<_> = names
        .iter()
        .zip(texts)
        .map(|(name, text)| File { name, text })
        .collect();
    read(&files, period)
}

/// A row in short: model, key, variant, unit, quantity, requests, nano-dollars.
type Short<'a> = (
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
    Option<Unit>,
    Option<u64>,
    Option<u64>,
    Option<i64>,
);

fn short(row: &Billed) -> Short<'_> {
    (
        row.model.as_deref(),
        row.key.as_deref(),
        row.variant.as_deref(),
        row.unit,
        row.quantity,
        row.requests,
        row.cost.map(|cost| cost.0),
    )
}

/// A bucket of a page of Anthropic's costs with one result.
fn cents(currency: &str, amount: &str) -> String {
    format!(
        "{{\"data\": [{{\"starting_at\": \"2026-11-01T00:00:00Z\", \"ending_at\": \"2026-11-02T00:00:00Z\",\n \
         \"results\": [{{\"currency\": \"{currency}\", \"amount\": {amount}}}]}}], \"has_more\": false}}"
    )
}

#[test]
fn openai_costs_are_read_from_all_their_pages() {
    let reading = read_all(&OPENAI_COSTS, period("2026-11-01", "2026-11-03")).unwrap();
    assert_eq!(reading.vendor, Vendor::OpenAi);
    assert!(reading.has_costs && !reading.has_usage);
    let rows: Vec<_> = reading
        .rows
        .iter()
        .map(|row| (row.day, short(row)))
        .collect();
    let (model, key) = (Some("gpt-4o-2024-08-06"), Some("key_house"));
    let cost = |unit, quantity, nanos| (model, key, None, Some(unit), quantity, None, Some(nanos));
    assert_eq!(
        rows,
        [
            (day("2026-11-01"), cost(Unit::Input, Some(1_534), 3_835_980)),
            (day("2026-11-01"), cost(Unit::CachedRead, None, 64_000)),
            (
                day("2026-11-01"),
                (
                    None,
                    None,
                    None,
                    Some(Unit::WebSearch),
                    Some(3),
                    None,
                    Some(30_000_000)
                )
            ),
            (day("2026-11-03"), cost(Unit::Output, None, -500_000_000)),
        ]
    );
    assert_eq!(reading.rows[0].project.as_deref(), Some("proj_house"));
    // The pages in one file, in any order, or one after the other, are the same.
    let [one, two] = OPENAI_COSTS;
    for text in [format!("[{two},{one}]"), format!("{one}\n{two}")] {
        let again = read_all(&[&text], period("2026-11-01", "2026-11-03")).unwrap();
        let sorted = |reading: &Reading| {
            let mut rows = reading.rows.clone();
            rows.sort_by_key(|row| row.cost);
            rows
        };
        assert_eq!(sorted(&again), sorted(&reading));
    }
}

#[test]
fn openai_usage_is_read_by_unit() {
    let reading = read_all(&[COMPLETIONS, EMBEDDINGS], first()).unwrap();
    assert!(!reading.has_costs && reading.has_usage);
    let rows: Vec<_> = reading.rows.iter().map(short).collect();
    let used = |model, key, variant, unit, quantity| {
        (
            Some(model),
            key,
            variant,
            Some(unit),
            Some(quantity),
            None,
            None,
        )
    };
    let requests = |model, key, variant, requests| {
        (Some(model), key, variant, None, None, Some(requests), None)
    };
    let (mini, key, tier) = ("gpt-4o-mini-2024-07-18", Some("key_abc"), Some("standard"));
    let (five, batch) = ("gpt-5-2025-08-07", Some("batch"));
    let (small, house) = ("text-embedding-3-small", Some("key_house"));
    assert_eq!(
        rows,
        [
            requests(mini, key, tier, 5),
            used(mini, key, tier, Unit::Input, 1_000),
            used(mini, key, tier, Unit::InputAudio, 300),
            used(mini, key, tier, Unit::CachedRead, 4_000),
            used(mini, key, tier, Unit::Output, 1_000),
            used(mini, key, tier, Unit::OutputAudio, 200),
            requests(five, None, batch, 1),
            used(five, None, batch, Unit::Input, 250),
            used(five, None, batch, Unit::InputAudio, 100),
            used(five, None, batch, Unit::InputImage, 50),
            used(five, None, batch, Unit::CachedRead, 60),
            used(five, None, batch, Unit::CachedAudio, 40),
            used(five, None, batch, Unit::CacheWriteAny, 200),
            used(five, None, batch, Unit::Output, 80),
            used(five, None, batch, Unit::OutputAudio, 10),
            requests(small, house, None, 2),
            used(small, house, None, Unit::Input, 16),
            requests(small, house, None, 1),
            used(small, house, None, Unit::Input, 8),
        ]
    );
    assert_eq!(
        reading.notes,
        ["a.json: the field `reasoning_effort_tokens` is not known, and is not compared"]
    );
}

#[test]
fn anthropic_reports_are_read_by_unit_and_in_cents() {
    let reading = read_all(&[ANTHROPIC_USAGE, ANTHROPIC_COSTS], first()).unwrap();
    assert_eq!(reading.vendor, Vendor::Anthropic);
    assert!(reading.has_costs && reading.has_usage);
    let rows: Vec<_> = reading.rows.iter().map(short).collect();
    let (opus, key) = (Some("claude-opus-4-5-20251101"), Some("apikey_01House"));
    let haiku = Some("claude-haiku-4-5-20251001");
    let tier = Some("priority+fast+us");
    let used = |unit, quantity| (opus, key, tier, Some(unit), Some(quantity), None, None);
    let cost = |model, tier, unit, nanos| (model, None, tier, Some(unit), None, None, Some(nanos));
    assert_eq!(
        rows,
        [
            used(Unit::Input, 1_500),
            used(Unit::CachedRead, 200),
            used(Unit::Output, 500),
            used(Unit::CacheWrite, 500),
            used(Unit::CacheWrite1h, 1_000),
            (None, key, None, Some(Unit::WebSearch), Some(10), None, None),
            (haiku, None, None, Some(Unit::Input), Some(7), None, None),
            (haiku, None, None, Some(Unit::Output), Some(3), None, None),
            cost(opus, Some("standard"), Unit::Input, 1_237_891_200),
            cost(Some("Claude Haiku 4.5"), None, Unit::Output, 13),
            cost(None, None, Unit::WebSearch, 100_000_000),
        ]
    );
}

#[test]
fn what_is_no_model_and_no_known_tool_is_named_by_its_description() {
    let page = cents("USD", "\"250\"").replace(
        "\"currency\"",
        "\"description\": \"Session Usage\", \"cost_type\": \"session_usage\", \"model\": null, \"currency\"",
    );
    let reading = read_all(&[&page], first()).unwrap();
    let row = &reading.rows[0];
    assert_eq!(
        (row.model.as_deref(), row.unit),
        (Some("Session Usage"), None)
    );
    assert_eq!(row.cost, Some(NanoUsd(2_500_000_000)));
}

#[test]
fn tables_of_both_consoles_are_read() {
    let reading = read_all(&[OPENAI_COSTS_CSV], period("2026-11-01", "2026-11-02")).unwrap();
    let rows: Vec<_> = reading.rows.iter().map(short).collect();
    let (nano, key) = (Some("gpt-5-nano"), Some("key_house"));
    assert_eq!(
        rows,
        [(
            nano,
            key,
            None,
            Some(Unit::Input),
            Some(1_000),
            None,
            Some(500_000_000)
        )]
    );

    let reading = read_all(&[OPENAI_ACTIVITY], first()).unwrap();
    let rows: Vec<_> = reading.rows.iter().map(short).collect();
    let (model, tier) = (Some("gpt-4o-2024-08-06"), Some("standard"));
    let used = |unit, quantity| (model, key, tier, Some(unit), Some(quantity), None, None);
    assert_eq!(
        rows,
        [
            (model, key, tier, None, None, Some(10), None),
            used(Unit::Input, 53_440),
            used(Unit::CachedRead, 5_760),
            used(Unit::Output, 10_646),
        ]
    );

    let reading = read_all(&[ANTHROPIC_USAGE_CSV, ANTHROPIC_COSTS_CSV], first()).unwrap();
    let rows: Vec<_> = reading.rows.iter().map(short).collect();
    let (opus, haiku) = (
        Some("claude-opus-4-5-20251101"),
        Some("claude-haiku-4-5-20251001"),
    );
    let (house, name) = (Some("house"), Some("Claude Haiku 4.5"));
    let used = |model, tier, unit, quantity| {
        (
            model,
            house,
            Some(tier),
            Some(unit),
            Some(quantity),
            None,
            None,
        )
    };
    let cost = |model, unit, nanos| {
        (
            model,
            house,
            Some("standard"),
            Some(unit),
            None,
            None,
            Some(nanos),
        )
    };
    assert_eq!(
        rows,
        [
            used(opus, "standard", Unit::Input, 109_911),
            used(opus, "standard", Unit::CacheWrite, 2_528),
            used(opus, "standard", Unit::CachedRead, 17),
            used(opus, "standard", Unit::Output, 34_988),
            (
                None,
                house,
                None,
                Some(Unit::WebSearch),
                Some(2),
                None,
                None
            ),
            used(haiku, "batch+fast+us", Unit::Input, 10),
            used(haiku, "batch+fast+us", Unit::CacheWrite1h, 4),
            used(haiku, "batch+fast+us", Unit::Output, 5),
            cost(name, Unit::Input, 50_000_000),
            cost(name, Unit::CacheWrite1h, 100_000_000),
            cost(None, Unit::WebSearch, 20_000_000),
        ]
    );
    let rounding: BTreeSet<_> = reading.rows.iter().map(|row| row.rounding).collect();
    assert_eq!(
        rounding,
        BTreeSet::from([NanoUsd::ZERO, NanoUsd(5_000_000)]),
        "amounts rounded to cents are known to be"
    );
}

#[test]
fn the_order_and_the_case_of_columns_do_not_matter() {
    let table =
        "Cost USD;Token Type;MODEL;Usage Date (UTC)\n0.125;output;Claude Haiku 4.5;2026-11-01\n";
    let reading = read_all(&[table], first()).unwrap();
    let row = &reading.rows[0];
    assert_eq!(
        (row.unit, row.cost),
        (Some(Unit::Output), Some(NanoUsd(125_000_000)))
    );
    assert_eq!(row.rounding, NanoUsd::ZERO, "three decimals are no cents");
}
