//! What is refused of a report, and how that is said.

use proptest::prelude::*;

use super::*;

/// A page of OpenAI's costs with one result.
fn costs(amount: &str) -> String {
    format!(
        "{{\"object\": \"page\", \"has_more\": false, \"next_page\": null, \"data\": [\n \
         {{\"start_time\": 1793491200, \"end_time\": 1793577600, \"results\": [\n  \
         {{\"object\": \"organization.costs.result\", \"amount\": {amount}}}]}}]}}"
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
