//! Who changed what.

use maud::{Markup, html};
use serde_json::Value;

use super::format::{list, text, time};
use super::forms::Form;
use super::view::{self, badge};
use super::visit::{Answered, Visit};

const FILTERS: [(&str, &str); 3] = [
    ("kind", "Kind, as in access-key"),
    ("resourceId", "Resource"),
    ("actorId", "By API key"),
];

pub(super) async fn show(visit: &Visit) -> Answered {
    let mut pairs = vec![("before", visit.asked("before")), ("limit", "50")];
    pairs.extend(FILTERS.map(|(name, _)| (name, visit.asked(name))));
    let answer = visit.own("/audit-log", &pairs).await?;
    let entries = list(&answer, "auditLog");
    let main = html! {
        (filters(visit))
        @if entries.is_empty() {
            (view::empty("No changes here", &html! { p { "What is created, changed or deleted over the API, in this console or by commands is listed here." } }))
        } @else {
            (table(entries))
        }
        (view::paging(visit, &answer))
    };
    Ok(view::shown(visit, "Audit log", main).await)
}

fn filters(visit: &Visit) -> Markup {
    let begin = FILTERS.map(|(name, _)| (name, visit.asked(name).to_owned()));
    let form = Form::new(visit, None, &begin);
    let is_narrow = begin.iter().any(|(_, value)| !value.is_empty());
    html! {
        form.filters method="get" action="/console/audit-log" {
            @if let Some(account) = visit.account() { input type="hidden" name="account" value=(account); }
            @for (name, label) in FILTERS { (form.line(name, label, "", false)) }
            div.buttons {
                button.primary type="submit" { "Filter" }
                @if is_narrow { a.button href=(visit.to("/console/audit-log", &[])) { "Show all" } }
            }
        }
    }
}

fn table(entries: &[Value]) -> Markup {
    let columns = [
        ("When (UTC)", ""),
        ("Who", ""),
        ("What", ""),
        ("Resource", ""),
        ("Account", "wide"),
        ("From", "wide"),
        ("Change", ""),
    ];
    view::table(
        "The newest first",
        &columns,
        &html! {
            @for entry in entries {
                @let actor = &entry["actor"];
                tr {
                    th scope="row" { (time(text(entry, "at"))) }
                    td { (actor["name"].as_str().unwrap_or_else(|| text(actor, "id"))) }
                    td { (badge("plain", text(entry, "action"))) " " (text(entry, "kind")) }
                    td { code { (text(entry, "resourceId")) } }
                    td.wide { (text(entry, "accountId")) }
                    td.wide { (text(actor, "address")) }
                    td { (change(&entry["before"], &entry["after"])) }
                }
            }
        },
    )
}

fn change(before: &Value, after: &Value) -> Markup {
    html! {
        details {
            summary { "Before and after" }
            div.sides {
                @for (name, side) in [("Before", before), ("After", after)] {
                    div {
                        p.quiet { (name) }
                        @if side.is_null() { p { "not there" } } @else { pre { (format!("{side:#}")) } }
                    }
                }
            }
        }
    }
}
