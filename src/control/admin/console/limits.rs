//! Limits of keys and configurations: the fields of a form, what they make of a body, and how they are shown.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::api::Fault;
use super::format::{count, list, text, usd};
use super::forms::{Form, number, put};
use super::visit::Visit;

/// What may be limited: the API's name, the words, the hint.
type Limit = (&'static str, &'static str, &'static str);

/// Limits over time.
pub(super) const RATES: &[Limit] = &[
    ("requestsPerMinute", "Requests a minute", ""),
    (
        "tokensPerMinute",
        "Tokens a minute",
        "Of prompts and answers",
    ),
    ("concurrentRequests", "Requests at once", ""),
];

/// Limits of one request.
pub(super) const SIZES: &[Limit] = &[
    (
        "maxInputTokens",
        "Tokens of a prompt",
        "Longer ones are refused",
    ),
    (
        "maxOutputTokens",
        "Tokens of an answer",
        "A request's own limit is lowered to it",
    ),
];

/// Times that have a budget, and their words.
const BUDGETS: [(&str, &str); 5] = [
    ("day", "US dollars a day"),
    ("week", "US dollars a week"),
    ("month", "US dollars a month"),
    ("quarter", "US dollars a quarter"),
    ("total", "US dollars in total"),
];

fn field(name: &str) -> String {
    format!("limits.{name}")
}

fn budget(per: &str) -> String {
    format!("budget.{per}")
}

/// What else a budget says, which stays as it is.
const CALENDAR: [&str; 2] = ["timeZone", "weekStarts"];

fn calendar(per: &str, name: &str) -> String {
    format!("{}.{name}", budget(per))
}

/// The fields.
pub(super) fn fields(form: &Form<'_>, limits: &[&[Limit]]) -> Markup {
    html! {
        fieldset {
            legend { "Limits" }
            p.hint { "What is empty is not limited." }
            div.columns {
                @for (name, label, hint) in limits.concat() { (form.line(&field(name), label, hint, false)) }
                @for (per, label) in BUDGETS {
                    (form.line(&budget(per), label, "", false))
                    @for name in CALENDAR { (form.hidden(&calendar(per, name))) }
                }
            }
        }
    }
}

/// The names of the fields.
pub(super) fn names(limits: &[&[Limit]]) -> Vec<String> {
    let limits = limits.concat();
    let limits = limits.iter().map(|(name, ..)| field(name));
    limits.chain(BUDGETS.map(|(per, _)| budget(per))).collect()
}

/// What the fields begin with, for a resource as it is.
pub(super) fn begin(resource: &Value, limits: &[&[Limit]]) -> Vec<(String, String)> {
    let now = &resource["limits"];
    let limits = limits.concat();
    let limits = limits.iter().filter_map(|(name, ..)| {
        let limit = now[*name].as_u64()?;
        Some((field(name), limit.to_string()))
    });
    let budgets = list(now, "budgets").iter();
    let budgets = budgets.flat_map(|one| {
        let per = text(one, "per");
        let also = CALENDAR.map(|name| (calendar(per, name), text(one, name).to_owned()));
        also.into_iter()
            .chain([(budget(per), text(one, "usd").to_owned())])
    });
    limits.chain(budgets).collect()
}

/// The limits that were sent; `None` if there are none.
pub(super) fn sent(visit: &Visit, limits: &[&[Limit]]) -> Option<Value> {
    let mut body = Map::new();
    for (name, ..) in limits.concat() {
        let limit = visit.sent(&field(name));
        if !limit.is_empty() {
            body.insert(name.to_owned(), number(limit));
        }
    }
    let budgets: Vec<Value> = sent_budgets(visit)
        .map(|(per, usd)| {
            let mut one = Map::new();
            put(&mut one, "per", per);
            put(&mut one, "usd", usd);
            for name in CALENDAR {
                put(&mut one, name, visit.sent(&calendar(per, name)));
            }
            one.into()
        })
        .collect();
    if !budgets.is_empty() {
        body.insert("budgets".to_owned(), budgets.into());
    }
    (!body.is_empty()).then(|| body.into())
}

fn sent_budgets(visit: &Visit) -> impl Iterator<Item = (&'static str, &str)> {
    let sent = BUDGETS
        .into_iter()
        .map(|(per, _)| (per, visit.sent(&budget(per))));
    sent.filter(|(_, usd)| !usd.is_empty())
}

/// The fault with the budgets called as their fields are.
pub(super) fn at_fields(visit: &Visit, mut fault: Fault) -> Fault {
    let budgets: Vec<&str> = sent_budgets(visit).map(|(per, _)| per).collect();
    let details = std::mem::take(&mut fault.details);
    let renamed = details.into_iter().map(|(field, what)| {
        let place = field.strip_prefix("limits.budgets.").and_then(|rest| {
            let (place, _) = rest.split_once('.').unwrap_or((rest, ""));
            budgets.get(place.parse::<usize>().ok()?)
        });
        (place.map_or(field.clone(), |per| budget(per)), what)
    });
    fault.details = renamed.collect();
    fault
}

/// The limits in words; empty if there are none.
pub(super) fn words(resource: &Value) -> Vec<String> {
    let now = &resource["limits"];
    let limits = [SIZES, RATES].concat();
    let limits = limits.iter().filter_map(|(name, label, _)| {
        let limit = now[*name].as_u64()?;
        Some(format!("{label}: {}", count(limit)))
    });
    let budgets = list(now, "budgets").iter().map(spending);
    let tags = now["tags"].as_object().into_iter().flatten();
    let tags = tags.flat_map(|(name, budgets)| {
        let budgets = budgets.as_array().into_iter().flatten();
        budgets.map(move |one| format!("{} for each {name}", spending(one)))
    });
    limits.chain(budgets).chain(tags).collect()
}

/// A budget in words.
fn spending(budget: &Value) -> String {
    let most = usd(text(budget, "usd"));
    match (text(budget, "per"), text(budget, "timeZone")) {
        ("total", _) => format!("{most} in total"),
        (per, "") => format!("{most} a {per}"),
        (per, zone) => format!("{most} a {per} ({zone})"),
    }
}

/// The limits, or that there are none.
pub(super) fn shown(resource: &Value) -> Markup {
    let words = words(resource);
    html! { @if words.is_empty() { span.quiet { "none" } } @else { (words.join(", ")) } }
}
