//! What was used, by provider, model, access key or the values of a tag, in all or by day; and as files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::api::Fault;
use super::format::{count, list, number, short, text, texts, usd};
use super::forms::Form;
use super::overview::date;
use super::sum::Sum;
use super::view;
use super::visit::{Answer, Answered, Visit};
use crate::admin::operation::Needs;
use tollgate_base::clock;

const HERE: &str = "/console/usage";
const FIELDS: [&str; 4] = ["from", "to", "by", "each"];
/// Days that are shown unless others are asked for.
const DAYS: u64 = 30;
/// Most rows of the page; the files have all.
const ROWS: usize = 500;

const BY: [(&str, &str); 3] = [
    ("provider", "Provider"),
    ("model", "Model"),
    ("accessKey", "Access key"),
];

/// What the name of a tag has in front.
const TAG: &str = "tag:";

pub(super) async fn show(visit: &Visit) -> Answered {
    let today = clock::wall_ms() / 86_400_000;
    let asked = |name: &str| Some(visit.asked(name)).filter(|asked| !asked.is_empty());
    let from = asked("from").map_or_else(|| date((today + 1).saturating_sub(DAYS)), str::to_owned);
    let to = asked("to").map_or_else(|| date(today), str::to_owned);
    let by = asked("by").unwrap_or("provider");
    let begin = [
        ("from", from.clone()),
        ("to", to.clone()),
        ("by", by.to_owned()),
        ("each", visit.asked("each").to_owned()),
    ];
    let (start, end) = (format!("{from}T00:00:00Z"), format!("{to}T23:59:59Z"));
    // Files tell of each day.
    let daily = visit.asked("each") == "day" || !visit.asked("download").is_empty();
    let pairs = [
        ("startTime", &*start),
        ("endTime", &end),
        ("groupBy", by),
        ("interval", if daily { "day" } else { "total" }),
        ("extended", "true"),
    ];
    let (usage, fault) = match visit.own("/usage/overview", &pairs).await {
        Ok(usage) => (usage, None),
        Err(fault) => (Value::Null, Some(at_fields(fault.of_form()?))),
    };
    let names = super::keys::names(visit).await;
    let called = |key: &str| match (key, by.strip_prefix(TAG)) {
        ("", Some(tag)) => format!("without {tag}"),
        (value, Some(_)) => value.to_owned(),
        (key, None) => names.get(key).map_or(key.to_owned(), String::clone),
    };
    let choices = choices(visit, by).await?;
    if fault.is_none()
        && let Some(file) = file(
            visit.asked("download"),
            by,
            list(&usage, "buckets"),
            &called,
        )
    {
        return Ok(Answer::Other(file));
    }
    let main = html! {
        (filters(visit, &begin, fault.as_ref(), &choices))
        @if fault.is_none() { (shown(visit, by, &usage, &called)) }
    };
    let status = fault.map_or(axum::http::StatusCode::OK, |fault| fault.status);
    Ok(view::with_status(visit, status, "Usage", main).await)
}

/// What there is to add up by: tags that configurations list, too, for who may read those. The API's list may not reach to all.
async fn choices(visit: &Visit, asked: &str) -> Result<Vec<(String, String)>, Fault> {
    let answer = match visit.may(Needs::Read) {
        true => visit.own("/access-key-configurations", &[]).await?,
        false => Value::Null,
    };
    let all = list(&answer, "aiGatewayAccessKeyConfigurations").iter();
    let mut tags: BTreeSet<&str> = all
        .flat_map(|one| texts(&one["access"]["tags"], "allow"))
        .collect();
    tags.extend(asked.strip_prefix(TAG));
    let fixed = BY.map(|(name, word)| (name.to_owned(), word.to_owned()));
    let tags = tags
        .iter()
        .map(|tag| (format!("{TAG}{tag}"), format!("Tag {tag}")));
    Ok(fixed.into_iter().chain(tags).collect())
}

/// The fault with the API's parameters called as the form's fields are.
fn at_fields(mut fault: Fault) -> Fault {
    const NAMES: [(&str, &str); 3] = [("startTime", "from"), ("endTime", "to"), ("groupBy", "by")];
    let details = std::mem::take(&mut fault.details).into_iter();
    fault.details = details
        .map(|(field, what)| {
            let known = NAMES.iter().find(|(name, _)| *name == field);
            (
                known.map_or(field.clone(), |(_, name)| (*name).to_owned()),
                what,
            )
        })
        .collect();
    fault
}

fn filters(
    visit: &Visit,
    begin: &[(&str, String)],
    fault: Option<&Fault>,
    choices: &[(String, String)],
) -> Markup {
    let choices: Vec<(&str, &str)> = choices
        .iter()
        .map(|(name, word)| (&**name, &**word))
        .collect();
    let form = Form::asked(visit, fault, begin);
    html! {
        (form.others(&FIELDS))
        form.filters method="get" action=(HERE) {
            @if let Some(account) = visit.account() { input type="hidden" name="account" value=(account); }
            (form.line("from", "From (day, UTC)", "", true))
            (form.line("to", "To (day, UTC)", "", true))
            (form.choice("by", "By", "", &choices))
            (form.choice("each", "And by", "", &[("", "Nothing more"), ("day", "Day")]))
            div.buttons { button.primary type="submit" { "Show" } }
        }
    }
}

/// A row's day (empty, if they are not apart) and group, and what was used.
type Row<'a> = ((&'a str, &'a str), Sum);

/// Adds up buckets: rows in the order in which they are shown, and all of them.
fn sums(buckets: &[Value], by_day: bool) -> (Vec<Row<'_>>, Sum) {
    let mut rows: BTreeMap<(&str, &str), Sum> = BTreeMap::new();
    let mut all = Sum::default();
    for bucket in buckets {
        let day = match by_day {
            true => text(bucket, "bucketStart").get(..10).unwrap_or_default(),
            false => "",
        };
        let row = (day, text(bucket, "groupKey"));
        rows.entry(row).or_default().add(bucket);
        all.add(bucket);
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    match by_day {
        true => rows.reverse(),
        false => rows.sort_by_key(|(_, sum)| std::cmp::Reverse((sum.cost, sum.requests))),
    }
    (rows, all)
}

fn shown(visit: &Visit, by: &str, usage: &Value, called: &dyn Fn(&str) -> String) -> Markup {
    let by_day = visit.asked("each") == "day";
    let (rows, all) = sums(list(usage, "buckets"), by_day);
    if rows.is_empty() {
        return view::empty(
            "Nothing was used in this time",
            &html! { p { "Days are UTC, and are kept for ever." } },
        );
    }
    let word = match by.strip_prefix(TAG) {
        Some(tag) => tag,
        None => BY
            .iter()
            .find(|(name, _)| *name == by)
            .map_or("", |(_, word)| word),
    };
    let mut columns = vec![
        (word, ""),
        ("Requests", "n"),
        ("Errors", "n wide"),
        ("Tokens in", "n wide"),
        ("From caches", "n wide"),
        ("Tokens out", "n wide"),
        ("Cost", "n"),
    ];
    if by_day {
        columns.insert(0, ("Day", ""));
    }
    let cells = |sum: &Sum| {
        html! {
            td.n { (count(sum.requests)) }
            td.n.wide { (count(sum.errors)) }
            td.n.wide { (short(sum.input)) }
            td.n.wide { (short(sum.cached)) }
            td.n.wide { (short(sum.output)) }
            td.n { (usd(&sum.cost())) }
        }
    };
    html! {
        (view::table(if by_day { "The newest first" } else { "The dearest first" }, &columns, &html! {
            @for ((day, key), sum) in rows.iter().take(ROWS) {
                tr {
                    @if by_day { td { (day) } }
                    th scope="row" { (called(key)) }
                    (cells(sum))
                }
            }
            tr.total { th scope="row" colspan=[by_day.then_some("2")] { "All" } (cells(&all)) }
        }))
        @if rows.len() > ROWS { p.quiet { "There are " (count(u64::try_from(rows.len()).unwrap_or_default())) " rows; the files have them all." } }
        p { "By day, as " a href=(visit.here_with("download", "csv")) { "CSV" } " or " a href=(visit.here_with("download", "jsonl")) { "JSON lines" }
            ". Every attempt, also as FOCUS: " code { "tollgate usage export" } "." }
    }
}

/// The days as a file of this kind; `None` if there is no such kind.
fn file(
    kind: &str,
    by: &str,
    buckets: &[Value],
    called: &dyn Fn(&str) -> String,
) -> Option<Response> {
    let mut text_of = String::new();
    let content_type = match kind {
        "csv" => {
            text_of.push_str("day,key,name,requests,errors,input_tokens,cached_input_tokens,output_tokens,cost_usd\n");
            for one in buckets {
                let key = text(one, "groupKey");
                let words =
                    [key.to_owned(), called(key)].map(|word| format!("\"{}\"", safe(&word)));
                // Writing to a String cannot fail.
                writeln!(
                    text_of,
                    "{},{},{},{},{},{},{},{}",
                    text(one, "bucketStart").get(..10).unwrap_or_default(),
                    words.join(","),
                    number(one, "requests"),
                    number(one, "errors"),
                    number(one, "inputTokens"),
                    number(one, "cacheReadTokens"),
                    number(one, "outputTokens"),
                    text(one, "cost"),
                )
                .ok();
            }
            "text/csv; charset=utf-8"
        }
        "jsonl" => {
            for one in buckets {
                let key = text(one, "groupKey");
                let mut line = json!({"day": text(one, "bucketStart").get(..10), by: key, "name": called(key)});
                for name in [
                    "requests",
                    "errors",
                    "inputTokens",
                    "cacheReadTokens",
                    "outputTokens",
                    "cost",
                ] {
                    line[name] = one[name].clone();
                }
                writeln!(text_of, "{line}").ok();
            }
            "application/jsonl"
        }
        _ => return None,
    };
    let disposition = format!("attachment; filename=\"usage.{kind}\"");
    let mut response = text_of.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Some(response)
}

/// A text in quotes that no spreadsheet takes for a formula: names are what people write.
fn safe(text: &str) -> String {
    let quoted = text.replace('"', "\"\"").replace(['\n', '\r'], " ");
    match quoted.starts_with(['=', '+', '-', '@', '\t']) {
        true => format!("'{quoted}"),
        false => quoted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_formulas() {
        assert_eq!(safe("=cmd|' /C calc'!A0\n\""), "'=cmd|' /C calc'!A0 \"\"");
    }
}
