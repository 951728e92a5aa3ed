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

pub(super) const ZONE: &str = "timeZone";
pub(super) const STARTS: &str = "weekStarts";

/// What the names of the fields of calendars begin with.
const CALENDARS: &str = "calendar";

/// By whose calendar a budget begins anew.
const CALENDAR: [&str; 2] = [ZONE, STARTS];

/// The days that a week may begin on; the first if nothing is said.
pub(super) const DAYS: [(&str, &str); 7] = [
    ("", "Monday"),
    ("tuesday", "Tuesday"),
    ("wednesday", "Wednesday"),
    ("thursday", "Thursday"),
    ("friday", "Friday"),
    ("saturday", "Saturday"),
    ("sunday", "Sunday"),
];

fn calendar(per: &str, name: &str) -> String {
    format!("{CALENDARS}.{per}.{name}")
}

/// The day that a week begins on, as the choice has it.
pub(super) fn starts(budget: &Value) -> String {
    text(budget, STARTS).replace("monday", "")
}

/// The fields.
pub(super) fn fields(form: &Form<'_>, limits: &[&[Limit]]) -> Markup {
    html! {
        fieldset {
            legend { "Limits" }
            p.hint { "What is empty is not limited." }
            div.columns {
                @for (name, label, hint) in limits.concat() { (form.line(&field(name), label, hint, false)) }
                @for (per, label) in BUDGETS { (form.line(&budget(per), label, "", false)) }
            }
            @let zones = BUDGETS.iter().filter(|(per, _)| *per != "total");
            @let said = CALENDAR.iter().any(|name| BUDGETS.iter().any(|(per, _)| form.says(&calendar(per, name))));
            details open[said] {
                summary { "When they begin anew" }
                p.hint { "At midnight of these time zones, as in Europe/Berlin. What is empty is UTC." }
                div.columns {
                    @for (per, _) in zones { (form.line(&calendar(per, ZONE), &format!("Time zone of the {per}"), "", false)) }
                    (form.choice(&calendar("week", STARTS), "First day of the week", "", &DAYS))
                }
            }
        }
    }
}

/// The names of the fields.
pub(super) fn names(limits: &[&[Limit]]) -> Vec<String> {
    let limits = limits.concat();
    let limits = limits.iter().map(|(name, ..)| field(name));
    let limits = limits.chain(BUDGETS.map(|(per, _)| budget(per)));
    limits.chain([CALENDARS.to_owned()]).collect()
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
        [
            (budget(per), text(one, "usd").to_owned()),
            (calendar(per, ZONE), text(one, ZONE).to_owned()),
            (calendar(per, STARTS), starts(one)),
        ]
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

/// Those that say something; the API refuses one that says no amount.
fn sent_budgets(visit: &Visit) -> impl Iterator<Item = (&'static str, &str)> {
    let sent = BUDGETS
        .into_iter()
        .map(|(per, _)| (per, visit.sent(&budget(per))));
    let says = |per: &str, name: &str| !visit.sent(&calendar(per, name)).is_empty();
    sent.filter(move |(per, usd)| !usd.is_empty() || CALENDAR.iter().any(|name| says(per, name)))
}

/// The fault with the budgets called as their fields are.
pub(super) fn at_fields(visit: &Visit, mut fault: Fault) -> Fault {
    let budgets: Vec<&str> = sent_budgets(visit).map(|(per, _)| per).collect();
    let details = std::mem::take(&mut fault.details);
    let renamed = details.into_iter().map(|(field, what)| {
        let place = field.strip_prefix("limits.budgets.").and_then(|rest| {
            let (place, member) = rest.split_once('.').unwrap_or((rest, ""));
            let per = budgets.get(place.parse::<usize>().ok()?)?;
            Some(match CALENDAR.contains(&member) {
                true => calendar(per, member),
                false => budget(per),
            })
        });
        (place.unwrap_or(field), what)
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
