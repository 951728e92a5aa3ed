//! What was used lately, beside the time before.

use std::collections::BTreeMap;

use futures::try_join;
use maud::{Markup, html};
use serde_json::Value;

use super::api::Fault;
use super::chart::{Bar, bars, share};
use super::format::{change, count, list, millis, number, rough, short, text, usd};
use super::sum::Sum;
use super::view;
use super::visit::{Answered, Visit};
use crate::admin::operation::Needs;
use tollgate_base::clock;
use tollgate_base::time::civil;

/// A time to look at: its name in the query, its days, what it and the time before it are called.
struct Period {
    name: &'static str,
    days: u64,
    label: &'static str,
    before: &'static str,
}

const PERIODS: [Period; 5] = [
    Period {
        name: "day",
        days: 1,
        label: "Today",
        before: "all of yesterday",
    },
    Period {
        name: "week",
        days: 7,
        label: "7 days",
        before: "the 7 days before",
    },
    Period {
        name: "month",
        days: 30,
        label: "30 days",
        before: "the 30 days before",
    },
    Period {
        name: "quarter",
        days: 90,
        label: "90 days",
        before: "the 90 days before",
    },
    Period {
        name: "year",
        days: 365,
        label: "365 days",
        before: "the 365 days before",
    },
];

const DEFAULT: &Period = &PERIODS[1];

const HOUR_MS: u64 = 3_600_000;
/// Hours of the charts of today.
const HOURS: u64 = 24;

/// Most rows of a table.
const ROWS: usize = 10;

pub(super) async fn show(visit: &Visit) -> Answered {
    let asked = visit.asked("period");
    let period = PERIODS.iter().find(|period| period.name == asked);
    let period = period.unwrap_or(DEFAULT);
    let now_ms = clock::wall_ms();
    let today = now_ms / 86_400_000;
    let first = (today + 1).saturating_sub(period.days);
    let earlier = first.saturating_sub(period.days);
    let (start, before, end) = (midnight(first), midnight(earlier), midnight(first));
    let (models, keys, before) = try_join!(
        usage(visit, "model", "day", (&start, "")),
        usage(visit, "accessKey", "total", (&start, "")),
        usage(visit, "provider", "total", (&before, &end)),
    )?;
    let series = match period.days {
        1 => Series::of_hours(&hours(visit, now_ms).await?, now_ms),
        _ => Series::of_days(&models, first, period),
    };
    let names = super::keys::names(visit).await;
    let health = match visit.is_for_all() && visit.may(Needs::Read) {
        true => visit.get("/provider-health", &[]).await?,
        false => Value::Null,
    };
    let (now, before) = (&models["totals"], &before["totals"]);
    let main = html! {
        (choice(visit, period))
        (figures(now, before, period))
        (latency(&health))
        @if number(now, "requests") == 0 {
            (view::empty("No requests in this time", &html! {
                p {
                    "Point an SDK at " code { (visit.proxy) } " with an access key. "
                    a href=(visit.to("/console/access-keys", &[])) { "Access keys" } " shows how."
                }
            }))
        } @else {
            (charts(&series))
            (ranking("By provider", "Provider", &models, provider, |key| {
                html! { a href=(visit.to("/console/requests", &[("provider", key)])) { (key) } }
            }))
            (ranking("By model", "Model", &models, |key| key, |key| {
                let (provider, model) = key.split_once(':').unwrap_or(("", key));
                let target = visit.to("/console/requests", &[("provider", provider), ("model", model)]);
                html! { a href=(target) { (key) } }
            }))
            (ranking("By access key", "Access key", &keys, |key| key, |key| {
                let name = names.get(key).map_or(key, String::as_str);
                html! { a href=(visit.to("/console/requests", &[("key", key)])) { (name) } }
            }))
        }
    };
    Ok(view::shown(visit, "Overview", main).await)
}

async fn usage(
    visit: &Visit,
    by: &str,
    interval: &str,
    (start, end): (&str, &str),
) -> Result<Value, Fault> {
    let pairs = [
        ("startTime", start),
        ("endTime", end),
        ("groupBy", by),
        ("interval", interval),
        ("extended", "true"),
    ];
    visit.own("/usage/overview", &pairs).await
}

/// The last 24 hours, the one of now included.
async fn hours(visit: &Visit, now_ms: u64) -> Result<Value, Fault> {
    let first = first_hour(now_ms);
    let start = format!("{}T{:02}:00:00Z", date(first / 24), first % 24);
    let pairs = [
        ("startTime", &*start),
        ("interval", "hour"),
        ("extended", "true"),
    ];
    visit.own("/usage/overview", &pairs).await
}

fn first_hour(now_ms: u64) -> u64 {
    (now_ms / HOUR_MS + 1).saturating_sub(HOURS)
}

/// A day's begin; days are counted from 1970.
fn midnight(day: u64) -> String {
    format!("{}T00:00:00Z", date(day))
}

pub(super) fn date(day: u64) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

fn choice(visit: &Visit, now: &Period) -> Markup {
    html! {
        nav.choice aria-label="Time" {
            @for period in &PERIODS {
                a href=(visit.here_with("period", period.name))
                    aria-current=[(period.name == now.name).then_some("true")] { (period.label) }
            }
        }
    }
}

fn figures(now: &Value, before: &Value, period: &Period) -> Markup {
    let figure = |name: &str, shown: String, now: f64, before: f64, less_is_good: Option<bool>| {
        let change = change(now, before);
        let class = match less_is_good {
            Some(less) if change.is_some() && now < before => {
                if less {
                    "good"
                } else {
                    "worse"
                }
            }
            Some(less) if change.is_some() && now > before => {
                if less {
                    "worse"
                } else {
                    "good"
                }
            }
            _ => "quiet",
        };
        html! {
            div.figure {
                dt { (name) }
                dd { (shown) }
                @if let Some(change) = change { dd.change.(class) { (change) } }
            }
        }
    };
    let counted = |name: &str, label: &str, less_is_good| {
        let (now, before) = (number(now, name), number(before, name));
        let (shown, now, before) = (
            short(now),
            rough(&now.to_string()),
            rough(&before.to_string()),
        );
        figure(label, shown, now, before, less_is_good)
    };
    let (cost, cost_before) = (text(now, "cost"), text(before, "cost"));
    let (saved, saved_before) = (text(now, "cacheSavings"), text(before, "cacheSavings"));
    html! {
        dl.figures {
            (counted("requests", "Requests", None))
            (counted("errors", "Errors", Some(true)))
            (counted("inputTokens", "Tokens in", None))
            (counted("outputTokens", "Tokens out", None))
            (figure("Cost", usd(cost), rough(cost), rough(cost_before), None))
            (figure("Saved by caches", usd(saved), rough(saved), rough(saved_before), None))
        }
        p.quiet {
            @if number(before, "requests") > 0 { "Compared with " (period.before) "." } @else { "There were no requests in " (period.before) "." }
            " Days are UTC. What caches saved is by the prices of each day, less what writing to them cost more."
        }
    }
}

/// How long answers take at this gateway, if the visitor may know.
fn latency(health: &Value) -> Markup {
    let shown = |of: &str, name: &str| health[of][name].as_u64().map(millis);
    let both = |of| Some((shown(of, "p50Ms")?, shown(of, "p95Ms")?));
    let all = [
        ("to the first token of a stream", both("firstToken")),
        ("to the end of an answer", both("duration")),
    ];
    let said = all.into_iter().filter_map(|(what, both)| {
        let (p50, p95) = both?;
        Some(format!("{p50} {what} at the median, {p95} for 95 of 100"))
    });
    let said: Vec<String> = said.collect();
    html! {
        @if !said.is_empty() {
            p.quiet { "Since this gateway was started it takes " (said.join("; ")) ". " a href="/console/providers" { "By provider" } "." }
        }
    }
}

/// What the charts show: what a bar stands for, and each bar, the oldest first, with when it begins.
struct Series {
    each: &'static str,
    bars: Vec<(String, Sum)>,
}

impl Series {
    /// The days of a time, or its weeks: a year of days is more than a chart can show.
    fn of_days(usage: &Value, first: u64, period: &Period) -> Series {
        let step = if period.days > 90 { 7 } else { 1 };
        let each = if step > 1 { "week" } else { "day" };
        let days = 0..period.days;
        let bars = days.map(|day| (date(first + day), date(first + day - day % step)));
        Series::new(each, usage, bars)
    }

    /// The last 24 hours, of those that are told.
    fn of_hours(usage: &Value, now_ms: u64) -> Series {
        let told = text(usage, "toldFrom").get(..13).unwrap_or_default();
        let hours = first_hour(now_ms)..=now_ms / HOUR_MS;
        let bars = hours.map(|hour| {
            let (day, hour) = (date(hour / 24), hour % 24);
            (format!("{day}T{hour:02}"), format!("{day} {hour:02}:00"))
        });
        Series::new("hour", usage, bars.filter(|(hour, _)| &**hour >= told))
    }

    /// `bars`: what the begin of a bucket begins with, and the bar that it belongs to.
    fn new(
        each: &'static str,
        usage: &Value,
        bars: impl Iterator<Item = (String, String)>,
    ) -> Series {
        let place: BTreeMap<String, String> = bars.collect();
        let length = place.keys().next().map_or(0, String::len);
        let none = |bar: &String| (bar.clone(), Sum::default());
        let mut sums: BTreeMap<String, Sum> = place.values().map(none).collect();
        for bucket in list(usage, "buckets") {
            let begun = text(bucket, "bucketStart").get(..length);
            let bar = begun.and_then(|begun| place.get(begun));
            if let Some(sum) = bar.and_then(|bar| sums.get_mut(bar)) {
                sum.add(bucket);
            }
        }
        Series {
            each,
            bars: sums.into_iter().collect(),
        }
    }
}

fn charts(series: &Series) -> Markup {
    let Series { each, bars: all } = series;
    let (Some((first, _)), Some((last, _))) = (all.first(), all.last()) else {
        return html! {};
    };
    let ends = (&**first, &**last);
    let bar = |value: f64, bad: u64, name: &str, said: String| Bar {
        value,
        bad: rough(&bad.to_string()),
        words: format!("{name}: {said}"),
    };
    let by_requests: Vec<Bar> = all
        .iter()
        .map(|(name, sum)| {
            let said = format!(
                "{} requests, {} errors",
                count(sum.requests),
                count(sum.errors)
            );
            bar(rough(&sum.requests.to_string()), sum.errors, name, said)
        })
        .collect();
    let by_cost: Vec<Bar> = all
        .iter()
        .map(|(name, sum)| bar(rough(&sum.cost()), 0, name, usd(&sum.cost())))
        .collect();
    let busiest = all.iter().map(|(_, sum)| sum.requests).max();
    let dearest = all.iter().map(|(_, sum)| sum).max_by_key(|sum| sum.cost);
    let most_cost = dearest.map(|sum| usd(&sum.cost())).unwrap_or_default();
    html! {
        div.charts {
            (bars(&format!("Requests by {each}, errors in red"), &by_requests, &short(busiest.unwrap_or_default()), ends))
            (bars(&format!("Cost by {each}"), &by_cost, &most_cost, ends))
        }
        @if *each == "hour" && all.len() < 24 { p.quiet { "There are too many requests to tell earlier hours." } }
        details {
            summary { "The charts as a table" }
            (view::table(&format!("By {each}"), &[("From", ""), ("Requests", "n"), ("Errors", "n"), ("Tokens", "n"), ("Cost", "n")], &html! {
                @for (name, sum) in all.iter().rev() {
                    tr {
                        th scope="row" { (name) }
                        td.n { (count(sum.requests)) }
                        td.n { (count(sum.errors)) }
                        td.n { (count(sum.tokens())) }
                        td.n { (usd(&sum.cost())) }
                    }
                }
            }))
        }
    }
}

/// The provider of `provider:model`.
fn provider(key: &str) -> &str {
    key.split_once(':').map_or(key, |(provider, _)| provider)
}

/// The rows with the most requests, of what `group` says of the usage's keys.
fn ranking(
    caption: &str,
    heading: &str,
    usage: &Value,
    group: impl Fn(&str) -> &str,
    name: impl Fn(&str) -> Markup,
) -> Markup {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for bucket in list(usage, "buckets") {
        sums.entry(group(text(bucket, "groupKey")))
            .or_default()
            .add(bucket);
    }
    let mut rows: Vec<(&str, Sum)> = sums.into_iter().collect();
    rows.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.requests));
    let all: u64 = rows.iter().map(|(_, sum)| sum.requests).sum();
    let left_out = rows.len().saturating_sub(ROWS);
    let columns = [
        (heading, ""),
        ("Share", "wide"),
        ("Requests", "n"),
        ("Errors", "n"),
        ("Tokens", "n wide"),
        ("Cost", "n"),
    ];
    html! {
        (view::table(caption, &columns, &html! {
            @for (key, sum) in rows.iter().take(ROWS) {
                tr {
                    th scope="row" { (name(key)) }
                    td.wide { (share(rough(&sum.requests.to_string()), rough(&all.to_string()))) }
                    td.n { (count(sum.requests)) }
                    td.n { (count(sum.errors)) }
                    td.n.wide { (short(sum.tokens())) }
                    td.n { (usd(&sum.cost())) }
                }
            }
        }))
        @if left_out > 0 { p.quiet { "The " (ROWS) " with the most requests; " (count(count_of(left_out))) " more are not shown." } }
    }
}

fn count_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
