//! What is written, to the byte; and that it adds up to what was charged.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The columns that FOCUS 1.2 has at the feature level "Mandatory".
const MANDATORY: [&str; 21] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
];

fn entry() -> Entry<'static> {
    let part = |unit, quantity, rate| Part {
        unit,
        quantity,
        rate,
    };
    Entry {
        id: "evt_1",
        // 2026-12-31T23:59:59.500Z
        at_ms: 1_798_761_599_500,
        request_id: "req, \"1\"",
        account: "sales",
        access_key: "app",
        surface: "openai/chat-completions",
        provider: "openai",
        provider_name: "OpenAI",
        model: "gpt-4o-mini",
        model_name: "GPT-4o mini",
        variant: None,
        attempt: 1,
        is_final: true,
        status: 200,
        outcome: "ok",
        streaming: true,
        managed: true,
        provider_key: None,
        parts: vec![
            part(Unit::Input, 1_001, Some(150_000)),
            part(Unit::CachedRead, 13, Some(75_000)),
            part(Unit::Output, 7, Some(600_000)),
            part(Unit::Reasoning, 2, Some(600_000)),
            part(Unit::WebSearch, 1, Some(10_000_000_000)),
        ],
        // 150,150,000 + 975,000 + 4,200,000 + 1,200,000 + 10,000,000,000 pico-dollars.
        tags: vec![("customer", "42"), ("feature", "search")],
        cost: NanoUsd(10_156_525),
        fee: NanoUsd(51_150),
        fee_rate: Some(50_000),
        estimated: false,
        orphaned: false,
        assumed: false,
        latency_ms: 2_000,
    }
}

/// The event does not say at which rates it was charged.
fn without_rates() -> Entry<'static> {
    let mut entry = entry();
    entry.fee_rate = None;
    for part in &mut entry.parts {
        part.rate = None;
    }
    entry
}

/// Rows as they are read back, by heading.
fn written(format: Format, entries: &[Entry<'_>]) -> Vec<BTreeMap<String, String>> {
    let mut out = Vec::new();
    format.head(&mut out).unwrap();
    for entry in entries {
        format.write(&mut out, entry).unwrap();
    }
    let text = String::from_utf8(out).unwrap();
    let mut rows = text.lines().map(cells);
    let head = rows.next().unwrap();
    rows.map(|row| {
        assert_eq!(row.len(), head.len(), "{row:?}");
        head.iter().cloned().zip(row).collect()
    })
    .collect()
}

/// The cells of a line without line breaks in it.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

#[test]
fn focus_has_every_mandatory_column_first_and_ours_last() {
    let mut out = Vec::new();
    Format::Focus.head(&mut out).unwrap();
    let head = cells(String::from_utf8(out).unwrap().trim_end());
    for column in MANDATORY {
        assert!(head.iter().any(|one| one == column), "{column}");
    }
    let ours = head.iter().position(|one| one.starts_with("x_")).unwrap();
    assert!(head[ours..].iter().all(|one| one.starts_with("x_")));
    assert!(head[..ours].is_sorted(), "{head:?}");
}

#[test]
fn focus_has_a_row_a_unit_and_one_for_the_fee() {
    let rows = written(Format::Focus, &[entry()]);
    let column = |name: &str| {
        rows.iter()
            .map(|row| row[name].as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        column("SkuId"),
        [
            "openai/gpt-4o-mini/input",
            "openai/gpt-4o-mini/cached_read",
            "openai/gpt-4o-mini/output",
            "openai/gpt-4o-mini/reasoning",
            "openai/gpt-4o-mini/web_search",
            "tollgate/processing-fee",
        ]
    );
    assert_eq!(
        column("ConsumedQuantity"),
        ["1001", "13", "7", "2", "1", "1023"]
    );
    assert_eq!(
        column("PricingQuantity"),
        [
            "0.001001", "0.000013", "0.000007", "0.000002", "0.001", "0.001023"
        ]
    );
    assert_eq!(
        column("PricingUnit"),
        [
            "1000000 Tokens",
            "1000000 Tokens",
            "1000000 Tokens",
            "1000000 Tokens",
            "1000 Searches",
            "1000000 Tokens"
        ]
    );
    assert_eq!(
        column("ListUnitPrice"),
        ["0.15", "0.075", "0.6", "0.6", "10", "0.05"]
    );
    assert_eq!(
        column("ListCost"),
        [
            "0.00015015",
            "0.000000975",
            "0.0000042",
            "0.0000012",
            "0.01",
            "0.00005115"
        ]
    );
    assert_eq!(column("ListCost"), column("BilledCost"));
    assert_eq!(column("ProviderName")[0], "OpenAI");
    assert_eq!(column("ProviderName")[5], "Tollgate");
    let first = &rows[0];
    for (name, value) in [
        ("BillingPeriodStart", "2026-12-01T00:00:00Z"),
        ("BillingPeriodEnd", "2027-01-01T00:00:00Z"),
        ("ChargePeriodStart", "2026-12-31T23:59:59Z"),
        ("ChargePeriodEnd", "2027-01-01T00:00:00Z"),
        ("BillingAccountId", "sales"),
        ("BillingCurrency", "USD"),
        ("ChargeCategory", "Usage"),
        ("ChargeClass", ""),
        ("ChargeFrequency", "Usage-Based"),
        ("ServiceCategory", "AI and Machine Learning"),
        ("ServiceSubcategory", "Generative AI"),
        ("SkuPriceId", "openai/gpt-4o-mini/input/standard"),
        ("Tags", r#"{"customer":"42","feature":"search"}"#),
        ("x_RequestId", "req, \"1\""),
    ] {
        assert_eq!(first[name], value, "{name}");
    }
}

#[test]
fn an_event_without_rates_is_one_row_without_unit_prices() {
    let rows = written(Format::Focus, &[without_rates()]);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["BilledCost"], "0.010156525");
    assert_eq!(rows[0]["ListUnitPrice"], "");
    assert_eq!(
        (&*rows[0]["PricingQuantity"], &*rows[0]["PricingUnit"]),
        ("1023", "Tokens")
    );
}

#[test]
fn what_is_nobodys_charge_is_no_row_of_focus() {
    let failed = Entry {
        parts: Vec::new(),
        cost: NanoUsd::ZERO,
        fee: NanoUsd::ZERO,
        status: 500,
        ..entry()
    };
    assert!(written(Format::Focus, std::slice::from_ref(&failed)).is_empty());
    assert_eq!(written(Format::Csv, &[failed]).len(), 1);
    let own = Entry {
        managed: false,
        cost: NanoUsd::ZERO,
        provider_key: Some("mine"),
        ..without_rates()
    };
    let rows = written(Format::Focus, &[own]);
    assert_eq!(
        (&*rows[0]["BilledCost"], &*rows[1]["BilledCost"]),
        ("0", "0.00005115")
    );
    assert_eq!(rows[0]["x_KeySource"], "user");
}

#[test]
fn csv_has_a_row_an_attempt() {
    let row = written(Format::Csv, &[entry()]).remove(0);
    for (name, value) in [
        ("time", "2026-12-31T23:59:59.500Z"),
        ("request_id", "req, \"1\""),
        ("input_tokens", "1014"),
        ("cache_read_tokens", "13"),
        ("cache_write_tokens", "0"),
        ("output_tokens", "9"),
        ("reasoning_tokens", "2"),
        (
            "units",
            "input=1001 cached_read=13 output=7 reasoning=2 web_search=1",
        ),
        ("model_usd", "0.010156525"),
        ("fee_usd", "0.00005115"),
        ("total_usd", "0.010207675"),
        ("key_source", "managed"),
        ("provider_key", ""),
        ("final", "true"),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
}

#[test]
fn no_cell_is_a_formula_and_numbers_stay_numbers() {
    let entry = Entry {
        account: "=cmd|' /C calc'!A0",
        access_key: "@sum(1)",
        model: "-2+3",
        model_name: "\t=1",
        request_id: "+1,\"2\"",
        cost: NanoUsd(-5),
        ..without_rates()
    };
    let row = written(Format::Csv, std::slice::from_ref(&entry)).remove(0);
    for (name, value) in [
        ("account", "'=cmd|' /C calc'!A0"),
        ("access_key", "'@sum(1)"),
        ("model", "'-2+3"),
        ("model_name", "'\t=1"),
        ("request_id", "'+1,\"2\""),
        ("provider", "openai"),
        ("model_usd", "-0.000000005"),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    let row = written(Format::Focus, &[entry]).remove(0);
    assert_eq!(row["BillingAccountId"], "'=cmd|' /C calc'!A0");
    assert_eq!(row["ChargeDescription"], "'\t=1: tokens");
    assert_eq!(row["x_Model"], "'-2+3");
    assert_eq!(row["BilledCost"], "-0.000000005");
}

#[test]
fn jsonl_has_an_object_a_line() {
    let mut out = Vec::new();
    Format::Jsonl.head(&mut out).unwrap();
    for _ in 0..2 {
        assert_eq!(Format::Jsonl.write(&mut out, &entry()).unwrap(), 1);
    }
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 2);
    let one: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(one["eventTime"], "2026-12-31T23:59:59.500Z");
    assert_eq!(one["totalCost"], "0.010207675");
    assert_eq!(one["units"]["web_search"], 1);
    assert_eq!(one["inputTokens"], 1_014);
    assert_eq!(one["variant"], serde_json::Value::Null);
}

/// Fails after some bytes, as a full disk does.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 {
            return Err(io::Error::other("full"));
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    for format in [Format::Focus, Format::Csv, Format::Jsonl] {
        for room in [0, 100, 200] {
            assert!(
                format.write(&mut Full(room), &entry()).is_err(),
                "{format:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn rows_of_focus_add_up_to_the_charge(
        quantities in [0u64..10_000_000, 0u64..10_000_000, 0u64..100_000, 0u64..100_000, 0u64..20],
        rates in [0u64..200_000_000, 0u64..200_000_000, 0u64..200_000_000, 0u64..200_000_000, 0u64..20_000_000_000],
        fee in 0i64..1_000_000,
        said: bool,
    ) {
        let mut entry = if said { entry() } else { without_rates() };
        let mut picos = 0u128;
        for ((part, quantity), rate) in entry.parts.iter_mut().zip(quantities).zip(rates) {
            part.quantity = quantity;
            part.rate = part.rate.map(|_| rate);
            picos += u128::from(quantity) * u128::from(rate);
        }
        entry.cost = NanoUsd(i64::try_from((picos + 500) / 1_000).unwrap());
        entry.fee = NanoUsd(fee);
        entry.fee_rate = None;
        let rows = written(Format::Focus, std::slice::from_ref(&entry));
        let whole = |name: &str| -> i128 {
            rows.iter().map(|row| {
                // Twelve decimals of a number that is exact.
                let (whole, fraction) = row[name].split_once('.').unwrap_or((&row[name], ""));
                format!("{whole}{fraction:0<12}").parse::<i128>().unwrap()
            }).sum()
        };
        let charged = i128::from((entry.cost + entry.fee).0) * 1_000;
        if rows.is_empty() {
            prop_assert_eq!(charged, 0);
        } else {
            prop_assert_eq!(whole("BilledCost"), charged);
            prop_assert_eq!(whole("EffectiveCost"), charged);
            let listed = i128::try_from(picos).unwrap() + i128::from(fee) * 1_000;
            let rounded = if said { 0 } else { 500 };
            prop_assert!((whole("ListCost") - listed).abs() <= rounded);
        }
    }
}
