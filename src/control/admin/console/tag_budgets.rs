//! Budgets of the values of tags: the fields of a form, and what they make of a configuration's limits.
//!
//! A row of the form is one budget: of which tag, how much, and in which time. Rows of one tag are its budgets, in their
//! order.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::api::Fault;
use super::format::text;
use super::forms::{Form, put};
use super::limits::{DAYS, STARTS, ZONE, starts};
use super::rules::numbers;
use super::visit::Visit;
use crate::admin::validate::shown;
use tollgate_wire::tags::is_name;

/// What every field's name begins with.
pub(super) const FIELDS: &str = "tag";
/// Rows that are left free.
const FREE: usize = 2;
/// Where the API has them.
const PLACE: &str = "limits.tags";

const NAME: &str = "name";
const USD: &str = "usd";
const PER: &str = "per";

/// The members of a budget.
const MEMBERS: [&str; 4] = [USD, PER, ZONE, STARTS];

const PERS: [(&str, &str); 5] = [
    ("day", "Day"),
    ("week", "Week"),
    ("month", "Month"),
    ("quarter", "Quarter"),
    ("total", "For good"),
];

fn field(row: usize, member: &str) -> String {
    format!("{FIELDS}.{row}.{member}")
}

/// The budgets of a configuration, each with its tag's name.
fn of(configuration: &Value) -> Vec<(&str, &Value)> {
    let tags = configuration["limits"]["tags"].as_object();
    let each = tags.into_iter().flatten().flat_map(|(name, budgets)| {
        let budgets = budgets.as_array().into_iter().flatten();
        budgets.map(|one| (name.as_str(), one))
    });
    each.collect()
}

/// What the fields begin with, for a configuration as it is.
pub(super) fn begin(configuration: &Value) -> Vec<(String, String)> {
    let rows = of(configuration).into_iter().enumerate();
    let each = rows.flat_map(|(row, (name, budget))| {
        [
            (field(row, NAME), name.to_owned()),
            (field(row, USD), text(budget, USD).to_owned()),
            (field(row, PER), text(budget, PER).to_owned()),
            (field(row, ZONE), text(budget, ZONE).to_owned()),
            (field(row, STARTS), starts(budget)),
        ]
    });
    each.collect()
}

/// The fields.
pub(super) fn fields(visit: &Visit, form: &Form<'_>, configuration: &Value) -> Markup {
    let sent = numbers(visit, FIELDS).last().map_or(0, |last| last + 1);
    let there = of(configuration)
        .len()
        .max(typed(visit).last().map_or(0, |row| row + 1));
    html! {
        fieldset {
            legend { "Budgets of tags" }
            p.hint {
                "What may be charged for each value of a tag, as 5 US dollars a month for each customer. Requests without that tag are refused."
            }
            @for row in 0..(there + FREE).max(sent) {
                fieldset.rule {
                    legend { @if row < there { "Budget " (row + 1) } @else { "Another budget" } }
                    div.columns {
                        (form.line(&field(row, NAME), "Tag", "As in customer", false))
                        (form.line(&field(row, USD), "US dollars for each value", "", false))
                        (form.choice(&field(row, PER), "Time", "", &PERS))
                        (form.line(&field(row, ZONE), "Time zone", "As in Europe/Berlin; else UTC", false))
                        (form.choice(&field(row, STARTS), "First day of the week", "Of a budget of a week", &DAYS))
                    }
                }
            }
        }
    }
}

/// The rows that say something.
fn typed(visit: &Visit) -> Vec<usize> {
    let says = |row: &usize| {
        [NAME, USD, ZONE]
            .iter()
            .any(|one| !visit.sent(&field(*row, one)).is_empty())
    };
    numbers(visit, FIELDS).into_iter().filter(says).collect()
}

/// The budgets that were sent, by their tags; `None` if there are none.
pub(super) fn sent(visit: &Visit) -> Option<Value> {
    let mut tags = Map::new();
    for row in typed(visit) {
        let mut budget = Map::new();
        for member in MEMBERS {
            put(&mut budget, member, visit.sent(&field(row, member)));
        }
        let budgets = tags.entry(visit.sent(&field(row, NAME)));
        if let Value::Array(budgets) = budgets.or_insert_with(|| Value::Array(Vec::new())) {
            budgets.push(budget.into());
        }
    }
    (!tags.is_empty()).then(|| tags.into())
}

/// The fault with budgets called as their fields are.
pub(super) fn at_fields(visit: &Visit, mut fault: Fault) -> Fault {
    let rows = typed(visit);
    let details = std::mem::take(&mut fault.details).into_iter();
    fault.details = details
        .map(|(path, what)| (place(visit, &rows, &path).unwrap_or(path), what))
        .collect();
    fault
}

/// The field of a path: the API counts the budgets of each tag.
fn place(visit: &Visit, rows: &[usize], path: &str) -> Option<String> {
    let rest = path.strip_prefix(PLACE)?;
    let name = |row: &usize| visit.sent(&field(*row, NAME));
    if rest.is_empty() {
        let wrong = rows.iter().find(|row| !is_name(name(row)));
        return wrong.map(|row| field(*row, NAME));
    }
    let row = rows.iter().find_map(|row| {
        let of_tag = rest.strip_prefix('.')?.strip_prefix(shown(name(row)))?;
        let (place, member) = match of_tag.strip_prefix('.') {
            Some(of_tag) => of_tag.split_once('.').unwrap_or((of_tag, USD)),
            None if of_tag.is_empty() => ("0", NAME),
            None => return None,
        };
        let place: usize = place.parse().ok()?;
        let same = rows.iter().filter(|other| name(other) == name(row));
        Some((*same.into_iter().nth(place)?, member.to_owned()))
    });
    row.map(|(row, member)| field(row, &member))
}
