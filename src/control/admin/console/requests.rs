//! Requests: the list, which goes on by itself, and one of them with its attempts and its charge.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use super::api::Fault;
use super::chart::span;
use super::format::{away, count, exact, list as items, millis, number, text, time, usd};
use super::forms::Form;
use super::view::{self, badge, facts};
use super::visit::{self, Answered, Visit};
use crate::admin::operation::Needs;
use tollgate_base::Timestamp;
use tollgate_base::time::instant;

/// Requests on a page.
const ON_A_PAGE: &str = "50";
/// Most parts of the events that are looked through for one request.
const PARTS: usize = 20;
/// How long a request's attempts may lie apart.
const APART_MS: u64 = 60 * 60 * 1_000;
/// From when on, if nobody says.
const ALWAYS: &str = "1970-01-01T00:00:00Z";

/// What the list can be narrowed to, by this page's own names.
const FILTERS: [&str; 7] = [
    "key", "model", "provider", "status", "from", "to", "request",
];

pub(super) async fn list(visit: &Visit) -> Answered {
    let (from, to) = (moment(visit.asked("from")), moment(visit.asked("to")));
    let failed = match visit.asked("status") {
        "failed" => "true",
        "ok" => "false",
        _ => "",
    };
    let pairs = [
        ("startTime", if from.is_empty() { ALWAYS } else { &from }),
        ("endTime", &to),
        ("accessKeyId", visit.asked("key")),
        ("provider", visit.asked("provider")),
        ("model", visit.asked("model")),
        ("requestId", visit.asked("request")),
        ("isError", failed),
        ("cursor", visit.asked("cursor")),
        ("extended", "true"),
        ("limit", ON_A_PAGE),
    ];
    let answer = visit.own("/usage", &pairs).await;
    let (answer, fault) = match answer {
        Ok(answer) => (answer, None),
        // What was asked for is wrong, and stays in its field.
        Err(fault) if !fault.details.is_empty() => (Value::Null, Some(fault)),
        Err(fault) => return Err(fault),
    };
    let events = items(&answer, "aiGatewayUsage");
    let names = super::keys::names(visit).await;
    let is_live = visit.asked("cursor").is_empty() && to.is_empty();
    // What is looked for among many is looked for less often (ms).
    let every = if is_narrow(visit) { "10000" } else { "2000" };
    let main = html! {
        (filters(visit, fault.as_ref()))
        div #requests data-live=[is_live.then_some(every)] {
            @if !events.is_empty() {
                (table(visit, events, &names))
            } @else if visit::cursor(&answer).is_some() {
                (view::empty("None among those that were looked through", &html! { p { "There are older ones: go on below." } }))
            } @else {
                (none(visit))
            }
            (view::paging(visit, &answer))
        }
    };
    Ok(view::shown(visit, "Requests", main).await)
}

/// A day or a time without a zone is UTC.
fn moment(text: &str) -> String {
    match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

fn filters(visit: &Visit, fault: Option<&Fault>) -> Markup {
    let begin = FILTERS.map(|name| (name, visit.asked(name).to_owned()));
    let form = Form::new(visit, None, &begin);
    html! {
        form.filters method="get" action="/console/requests" {
            @if let Some(account) = visit.account() { input type="hidden" name="account" value=(account); }
            (form.line("key", "Access key", "", false))
            (form.line("provider", "Provider", "", false))
            (form.line("model", "Model", "", false))
            (form.choice("status", "Outcome", "", &[("", "All"), ("ok", "Answered"), ("failed", "Failed")]))
            (form.line("from", "From (UTC)", "", false))
            (form.line("to", "To (UTC)", "", false))
            (form.line("request", "Request id", "", false))
            div.buttons {
                button.primary type="submit" { "Filter" }
                @if is_narrow(visit) { a.button href=(visit.to("/console/requests", &[])) { "Show all" } }
            }
        }
        @if let Some(fault) = fault {
            div.fault role="alert" {
                @for (field, what) in &fault.details { p { code { (field) } " " (what) } }
            }
        }
    }
}

fn is_narrow(visit: &Visit) -> bool {
    FILTERS.iter().any(|name| !visit.asked(name).is_empty())
}

fn none(visit: &Visit) -> Markup {
    view::empty(
        "No requests here",
        &html! {
            p {
                "They appear about a second after they end. If there should be some, look whether the filter is too narrow, or send one with an "
                a href=(visit.to("/console/access-keys", &[])) { "access key" } " to " code { (visit.proxy) } "."
            }
        },
    )
}

fn table(visit: &Visit, events: &[Value], names: &BTreeMap<String, String>) -> Markup {
    let columns = [
        ("Ended (UTC)", ""),
        ("Model", ""),
        ("Status", ""),
        ("Attempts", "n wide"),
        ("Access key", "wide"),
        ("Tokens in", "n wide"),
        ("out", "n wide"),
        ("Time", "n"),
        ("Cost", "n"),
    ];
    view::table(
        "The newest first",
        &columns,
        &html! {
            @for event in events {
                @let id = text(event, "requestId");
                @let at = text(event, "eventTime");
                tr {
                    th scope="row" { a href=(visit.to(&visit::page("requests", id), &[("at", at)])) { (time(at)) } }
                    td { (model(event)) }
                    td { (outcome(event)) }
                    td.n.wide { (number(event, "attemptNumber")) }
                    td.wide { (names.get(key_id(event)).map_or(key_id(event), String::as_str)) }
                    td.n.wide { (count(number(event, "inputTokens"))) }
                    td.n.wide { (count(number(event, "outputTokens"))) }
                    td.n { (millis(number(event, "latencyMs"))) }
                    td.n { (usd(text(event, "totalCost"))) }
                }
            }
        },
    )
}

fn key_id(event: &Value) -> &str {
    text(event, "accessKeyId")
}

fn model(event: &Value) -> String {
    format!("{}:{}", text(event, "provider"), text(event, "model"))
}

fn outcome(event: &Value) -> Markup {
    let (failed, status) = (event["isError"] == true, number(event, "statusCode"));
    let word = match (text(event, "outcome"), status) {
        ("ok", _) => "ok".to_owned(),
        ("", 0) => "no answer".to_owned(),
        ("", status) => status.to_string(),
        (outcome, _) => outcome.to_owned(),
    };
    badge(if failed { "bad" } else { "good" }, &word)
}

pub(super) async fn show(visit: &Visit, id: &str) -> Answered {
    let (from, to) = around(visit.asked("at"));
    let mut attempts = Vec::new();
    let mut cursor = String::new();
    for _ in 0..PARTS {
        let pairs = [
            ("startTime", &*from),
            ("endTime", &to),
            ("requestId", id),
            ("includeRetries", "true"),
            ("extended", "true"),
            ("cursor", &cursor),
        ];
        let mut answer = visit.own("/usage", &pairs).await?;
        let next = visit::cursor(&answer);
        if let Value::Array(more) = answer["aiGatewayUsage"].take() {
            attempts.extend(more);
        }
        match next {
            Some((_, next)) => cursor = next,
            None => break,
        }
    }
    attempts.sort_by_key(|attempt| number(attempt, "attemptNumber"));
    let Some(last) = attempts.last() else {
        let msg = "There is no request with this id, or its events are no longer kept (`ledger.retention`).";
        return Err(Fault::new(axum::http::StatusCode::NOT_FOUND, msg));
    };
    let main = html! {
        (summary(visit, last, &attempts))
        div #attempts { (timeline(&attempts)) }
        @for attempt in attempts.iter().rev() { (charge(attempt)) }
    };
    Ok(view::shown(visit, "Request", main).await)
}

/// The time around a request's end; all time if that is not said.
fn around(at: &str) -> (String, String) {
    let ms = instant(at).and_then(|nanos| u64::try_from(nanos.div_euclid(1_000_000)).ok());
    let Some(ms) = ms else {
        return (ALWAYS.to_owned(), String::new());
    };
    let time = |ms: u64| {
        Timestamp(std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms)).to_string()
    };
    (
        time(ms.saturating_sub(APART_MS)),
        time(ms.saturating_add(APART_MS)),
    )
}

fn summary(visit: &Visit, last: &Value, attempts: &[Value]) -> Markup {
    let streamed = if last["isStreaming"] == true {
        ", streamed"
    } else {
        ""
    };
    let stop = text(last, "stopReason");
    facts(&[
        ("Request", html! { code { (text(last, "requestId")) } }),
        ("Outcome", outcome(last)),
        ("Model", html! { (model(last)) }),
        (
            "Access key",
            html! {
                @if visit.may(Needs::Read) {
                    a href=(visit.to(&visit::page("access-keys", key_id(last)), &[])) { (key_id(last)) }
                } @else {
                    (key_id(last))
                }
            },
        ),
        (
            "Ended",
            html! { (time(text(last, "eventTime"))) " " span.quiet { (away(text(last, "eventTime"))) } },
        ),
        ("API", html! { (text(last, "surface")) (streamed) }),
        (
            "Stopped by",
            html! { @if stop.is_empty() { "–" } @else { (stop) } },
        ),
        ("Attempts", html! { (attempts.len()) }),
    ])
}

fn end_ms(attempt: &Value) -> u64 {
    let nanos = instant(text(attempt, "eventTime")).unwrap_or(0);
    u64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(0)
}

fn timeline(attempts: &[Value]) -> Markup {
    let begin = |attempt: &Value| end_ms(attempt).saturating_sub(number(attempt, "latencyMs"));
    let first = attempts.iter().map(begin).min().unwrap_or(0);
    let whole = attempts
        .iter()
        .map(end_ms)
        .max()
        .unwrap_or(0)
        .saturating_sub(first);
    let columns = [
        ("#", "n"),
        ("Candidate", ""),
        ("Outcome", ""),
        ("When", "wide"),
        ("To commit", "n"),
        ("In all", "n"),
        ("Tokens in", "n wide"),
        ("out", "n wide"),
        ("Cost", "n"),
    ];
    let caption = format!("Attempts, within {}", millis(whole));
    view::table(
        &caption,
        &columns,
        &html! {
            @for attempt in attempts {
                @let all = number(attempt, "latencyMs");
                @let commit = attempt["latencyToCommitMs"].as_u64();
                @let waited = commit.unwrap_or(all).min(all);
                tr {
                    td.n { (number(attempt, "attemptNumber")) }
                    th scope="row" { (model(attempt)) " " span.quiet { (key(attempt)) } }
                    td { (outcome(attempt)) }
                    td.wide { (span(whole, begin(attempt) - first, waited, all - waited, attempt["isError"] != true)) }
                    td.n { @match commit { Some(commit) => { (millis(commit)) }, None => "–" } }
                    td.n { (millis(all)) }
                    td.n.wide { (count(number(attempt, "inputTokens"))) }
                    td.n.wide { (count(number(attempt, "outputTokens"))) }
                    td.n { (usd(text(attempt, "totalCost"))) }
                }
            }
        },
    )
}

fn key(attempt: &Value) -> &str {
    match (text(attempt, "providerKeyId"), text(attempt, "keySource")) {
        ("", source) => source,
        (key, _) => key,
    }
}

fn charge(attempt: &Value) -> Markup {
    let charge = &attempt["charge"];
    let caption = format!(
        "Charge of attempt {}, {}",
        number(attempt, "attemptNumber"),
        model(attempt)
    );
    let lines = items(charge, "lines");
    let said = [
        ("priced as ", text(charge, "pricedAs")),
        ("prices since ", text(charge, "since")),
        ("from ", text(charge, "source")),
    ];
    let said: Vec<String> = said
        .iter()
        .filter(|(_, what)| !what.is_empty())
        .map(|(word, what)| format!("{word}{what}"))
        .collect();
    let columns = [
        ("Unit", ""),
        ("Quantity", "n"),
        ("Rate", "n"),
        ("Cost", "n"),
    ];
    html! {
        @if lines.is_empty() {
            p.quiet { (caption) ": nothing." }
        } @else {
            (view::table(&caption, &columns, &html! {
                @for line in lines {
                    tr {
                        th scope="row" { (text(line, "unit")) }
                        td.n { (count(number(line, "quantity"))) }
                        td.n { (exact(text(line, "rate"))) " / " (count(number(line, "per"))) }
                        td.n { (exact(text(line, "cost"))) }
                    }
                }
                tr { th scope="row" { "Rounding" } td {} td {} td.n { (exact(text(charge, "rounding"))) } }
                tr.total { th scope="row" { "Charged" } td {} td {} td.n { (exact(text(charge, "total"))) } }
            }))
            p.quiet { (said.join(", ")) }
        }
        @for note in items(charge, "notes") { p.quiet { (note.as_str().unwrap_or_default()) } }
    }
}
