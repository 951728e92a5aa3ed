//! Reports written after the providers' public documentation, and what is refused of them.

use std::collections::BTreeSet;

use proptest::prelude::*;
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

/// A page of OpenAI's costs with one result.
fn costs(amount: &str) -> String {
    format!(
        "{{\"object\": \"page\", \"has_more\": false, \"next_page\": null, \"data\": [\n \
         {{\"start_time\": 1793491200, \"end_time\": 1793577600, \"results\": [\n  \
         {{\"object\": \"organization.costs.result\", \"amount\": {amount}}}]}}]}}"
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
fn what_cannot_be_understood_is_refused_with_its_place() {
    let page = |results: &str| {
        format!(
            "{{\"object\":\"page\",\"data\":[{{\"start_time\":1793491200,\"end_time\":1793577600,\"results\":[{results}]}}]}}"
        )
    };
    let mixed = page(
        "{\"object\":\"organization.costs.result\",\"amount\":{\"value\":1,\"currency\":\"usd\"}},\
         {\"object\":\"organization.usage.completions.result\",\"num_model_requests\":1}",
    );
    let cases = [
        (
            costs(r#"{"value": 0.06, "currency": "eur"}"#),
            "a.json:3: data[0].results[0].amount.currency: the currency is `eur`",
        ),
        (
            costs(r#"{"value": "lots", "currency": "usd"}"#),
            "a.json:3: data[0].results[0].amount.value: expected a decimal number, not `lots`",
        ),
        (
            costs(r#"{"value": 1e30, "currency": "usd"}"#),
            "amount.value: `1e30` is more than anybody is billed",
        ),
        (
            costs(r#"{"value": null, "currency": "usd"}"#),
            "data[0].results[0].amount: `value` is missing",
        ),
        (costs(r#"{"value": 1}"#), "amount: `currency` is missing"),
        (costs("7"), "amount: expected an object, not `7`"),
        (
            cents("GBP", "\"1\""),
            "a.json:2: data[0].results[0].currency: the currency is `GBP`",
        ),
        (cents("USD", "\"1,5\""), "amount: expected a decimal number, not `1,5`"),
        (mixed, "data[0].results[1]: costs and usage are in one page"),
        (
            page("{\"object\":\"organization.usage.completions.result\",\"input_tokens\":-1}"),
            "input_tokens: `-1` is below zero",
        ),
        (
            page("{\"object\":\"organization.usage.completions.result\",\"input_tokens\":1.5}"),
            "input_tokens: expected a whole number, not `1.5`",
        ),
        (
            page("{\"input_tokens\":1,\"input_cached_tokens\":2}"),
            "input_cached_tokens is more than input_tokens",
        ),
        (
            page("{\"object\":\"list\"}"),
            "expected a result of the organization's costs or usage, not `list`",
        ),
        (
            "{\"object\":\"page\",\"data\":[{\"start_time\":1793491200,\"end_time\":1794096000,\"results\":[]}]}".to_owned(),
            "data[0].start_time: the interval is longer than a day",
        ),
        (
            "{\"data\":[{\"starting_at\":\"yesterday\",\"results\":[]}]}".to_owned(),
            "data[0].starting_at: expected a time such as 2026-11-29T00:00:00Z, not `yesterday`",
        ),
        (
            "{\"data\":[{\"starting_at\":\"2026-11-01T00:00:00Z\"}]}".to_owned(),
            "data[0]: `results` is missing",
        ),
        (
            "{\"error\": {\"message\": \"Incorrect API key\"}}".to_owned(),
            "the answer to a request that failed: `Incorrect API key`",
        ),
        ("{\"data\": []}".to_owned(), "expected a page of OpenAI's"),
        ("{\"data\": 3}".to_owned(), "data: expected a list, not `3`"),
        ("{\"data\": [".to_owned(), "a.json:1: this is not JSON"),
        ("{}".to_owned(), "`data` is missing"),
        (String::new(), "a.json: it is empty"),
        (
            "date,model,cost\n2026-11-01,m,1\n".to_owned(),
            "a.json:1: no export of a console has these columns: `date`, `model`, `cost`.",
        ),
        (
            "usage_date_utc,model\n2026-11-01,m\n".to_owned(),
            "it looks like Anthropic's export of costs, but has no column `cost_usd`",
        ),
        (
            "start_time,amount_value\n1793491200,1\n".to_owned(),
            "it looks like OpenAI's export of costs, but has no column `amount_currency`",
        ),
        (
            "start_time,amount_value,amount_currency\n1793491200,1,eur\n".to_owned(),
            "a.json:2: amount_currency: the currency is `eur`",
        ),
        (
            "usage_date_utc,cost_usd\n2026-11-01,1\n2026-11-01,much\n".to_owned(),
            "a.json:3: cost_usd: expected a decimal number, not `much`",
        ),
        (
            "usage_date_utc,cost_usd\n01.11.2026,1\n".to_owned(),
            "a.json:2: usage_date_utc: expected a day such as 2026-11-29, not `01.11.2026`",
        ),
        (
            "usage_date_utc,cost_usd\n2026-11-01,\n".to_owned(),
            "a.json:2: cost_usd: the amount is missing",
        ),
        (
            "usage_date_utc,cost_usd\n,1\n".to_owned(),
            "a.json:2: usage_date_utc: the day is missing",
        ),
        (
            "usage_date_utc,cost_usd,thinking_tokens\n2026-11-01,1,0\n2026-11-01,1,3\n".to_owned(),
            "a.json:3: thinking_tokens: this column is not understood, and has figures",
        ),
        (
            "usage_date_utc,cost_usd,cost_usd\n2026-11-01,1,1\n".to_owned(),
            "a.json:1: cost_usd: the column is there twice",
        ),
    ];
    for (text, expected) in cases {
        let fault = read_all(&[&text], first()).unwrap_err().to_string();
        assert!(
            fault.contains(expected),
            "{text}\n  says    {fault}\n  expects {expected}"
        );
    }
}

#[test]
fn a_column_that_is_no_figure_may_be_anything() {
    let table = "usage_date_utc,cost_usd,account_id,colour\n2026-11-01,1,acct_9,7\n";
    assert!(read_all(&[table], first()).is_ok());
}

#[test]
fn a_missing_page_is_named() {
    let [one, two] = OPENAI_COSTS;
    let fault = read_all(&[one], period("2026-11-01", "2026-11-02")).unwrap_err();
    let text = fault.to_string();
    assert!(text.starts_with("a.json:1: has_more is true"), "{text}");
    assert!(
        text.contains("the cost report at 2026-11-03") && text.contains("page=`page_AAAAAGkE5QA=`"),
        "{text}"
    );
    let fault = read_all(&[two, COMPLETIONS], first()).unwrap_err();
    assert!(
        fault
            .what
            .contains("the cost report has nothing of 2026-11-01"),
        "{fault}"
    );
    let cut = one.replace(
        "\"next_page\": \"page_AAAAAGkE5QA=\"",
        "\"next_page\": null",
    );
    let fault = read_all(&[&cut], first()).unwrap_err();
    assert!(fault.what.contains("no `next_page`"), "{fault}");
}

#[test]
fn missing_days_are_named_unless_the_form_leaves_empty_ones_out() {
    let week = period("2026-11-01", "2026-11-07");
    let fault = read_all(&OPENAI_COSTS, week).unwrap_err().to_string();
    assert_eq!(
        fault,
        "a.json, b.json: the cost report has nothing of 2026-11-04 and 3 more of its days: fetch all of 2026-11-01 to \
         2026-11-07, or compare fewer days"
    );
    let fault = read_all(&[OPENAI_COSTS_CSV], week).unwrap_err();
    assert!(fault.what.contains("2026-11-03 and 4 more"), "{fault}");
    let fault = read_all(&[ANTHROPIC_USAGE], week).unwrap_err();
    assert!(
        fault.what.contains("the usage report of messages"),
        "{fault}"
    );
    let reading = read_all(&[ANTHROPIC_COSTS_CSV, ANTHROPIC_USAGE_CSV], week).unwrap();
    assert!(reading.rows.iter().all(|row| row.day == day("2026-11-01")));
}

#[test]
fn a_page_given_twice_counts_once_by_being_refused() {
    let [one, two] = OPENAI_COSTS;
    let fault = read_all(&[one, two, one], first()).unwrap_err().to_string();
    assert!(
        fault.starts_with("c.json:1: it repeats what a.json:1 tells of 2026-11-01"),
        "{fault}"
    );
    let fault = read_all(&[ANTHROPIC_COSTS_CSV, ANTHROPIC_COSTS_CSV], first()).unwrap_err();
    assert!(fault.what.contains("repeats"), "{fault}");
    // Pages of other projects are about something else.
    let other = COMPLETIONS
        .replace("proj_abc", "proj_other")
        .replace("null", "\"x\"");
    let other = other.replace("\"next_page\": \"x\"", "\"next_page\": null");
    let other = other.replace("\"batch\": \"x\"", "\"batch\": false");
    assert!(read_all(&[COMPLETIONS, &other], first()).is_ok());
}

#[test]
fn reports_of_two_providers_are_not_mixed() {
    let fault = read_all(&[COMPLETIONS, ANTHROPIC_USAGE], first()).unwrap_err();
    assert!(
        fault
            .what
            .contains("this is a report of Anthropic, and a.json is one of OpenAI"),
        "{fault}"
    );
    assert!(read(&[], first()).is_err());
}

#[test]
fn days_that_begin_elsewhere_are_said() {
    let page = costs(r#"{"value": 1, "currency": "usd"}"#)
        .replace("1793491200", "1793520000")
        .replace("1793577600", "1793606400");
    let reading = read_all(&[&page], first()).unwrap();
    assert_eq!(
        reading.notes,
        ["the report's 2026-11-01 begins at 08:00 UTC, not at midnight"]
    );
    assert_eq!(reading.rows[0].day, day("2026-11-01"));
}

#[test]
fn what_cannot_be_added_up_is_refused() {
    let costing = |nanos: i64| Billed {
        cost: Some(NanoUsd(nanos)),
        ..Billed::on(day("2026-11-01"))
    };
    let using = |quantity: u64| Billed {
        quantity: Some(quantity),
        ..Billed::on(day("2026-11-01"))
    };
    let fault = |rows: &[Billed]| countable("report.json", rows).map_err(|fault| fault.to_string());
    let most = MOST_MONEY.0;
    assert_eq!(fault(&[costing(most / 2), costing(-most / 2)]), Ok(()));
    let wrong = fault(&[costing(most), costing(-1)]).unwrap_err();
    assert!(wrong.starts_with("report.json: the costs"), "{wrong}");
    assert_eq!(fault(&[costing(i64::MIN)]), Err(wrong));
    assert!(fault(&[using(u64::MAX), using(1)]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(
        file in 0usize..8, from in 0usize..2_000, length in 0usize..40, with in "\\PC{0,6}|[0-9\",{}\\[\\]:\n]{0,6}",
    ) {
        let files = [
            OPENAI_COSTS[0], COMPLETIONS, EMBEDDINGS, ANTHROPIC_USAGE, ANTHROPIC_COSTS, OPENAI_COSTS_CSV,
            OPENAI_ACTIVITY, ANTHROPIC_COSTS_CSV,
        ];
        let chars: Vec<char> = files[file].chars().collect();
        let from = from.min(chars.len());
        let to = (from + length).min(chars.len());
        let text: String = chars[..from].iter().copied().chain(with.chars()).chain(chars[to..].iter().copied()).collect();
        read_all(&[&text], first()).ok();
    }
}
