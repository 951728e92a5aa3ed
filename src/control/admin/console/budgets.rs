//! Budgets that access keys share.

use axum::http::Method;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::api::Fault;
use super::format::{day, list, text};
use super::forms::{Form, put, put_or_clear};
use super::limits;
use super::view::{self, badge, facts};
use super::visit::{self, Answer, Answered, Visit};

const HERE: &str = "/console/budgets";
const SEGMENT: &str = "budgets";
const ITEMS: &str = "aiGatewayBudgets";
const FIELDS: [&str; 3] = ["name", "description", "parentId"];

pub(super) async fn answer(visit: &Visit, post: bool, rest: &[&str]) -> Answered {
    match (post, rest) {
        (false, []) => all(visit, None).await,
        (true, []) => create(visit).await,
        (false, [id]) => one(visit, id, None).await,
        (true, [id]) => update(visit, id).await,
        (false, [id, "delete"]) => {
            let found = visit.own(&visit::resource(SEGMENT, id), &[]).await?;
            let user = "an access key or another budget is part of it";
            let back = visit::page(SEGMENT, id);
            Ok(view::confirm_deletion(visit, ("budget", &found), user, &back).await)
        }
        (true, [id, "delete"]) => {
            let path = visit::resource(SEGMENT, id);
            visit.send(Method::DELETE, &path, None).await?;
            Ok(Answer::See(visit.to(HERE, &[("done", "deleted")])))
        }
        _ => Err(super::not_there(post)),
    }
}

async fn all(visit: &Visit, fault: Option<&Fault>) -> Answered {
    let pairs = [("beforeId", visit.asked("beforeId"))];
    let answer = visit.own(&format!("/{SEGMENT}"), &pairs).await?;
    let found = list(&answer, ITEMS);
    let columns = [
        ("Name", ""),
        ("Part of", ""),
        ("Limits", ""),
        ("Made", "wide"),
    ];
    let main = html! {
        @if found.is_empty() {
            (view::empty("No budgets yet", &html! {
                p { "Access keys share one, as a team's, and budgets may be part of each other, as a team's of its organisation's." }
            }))
        } @else {
            (view::to_form(visit, "New budget"))
            (view::table("The newest first", &columns, &html! {
                @for one in found {
                    tr {
                        th scope="row" {
                            (link(visit, one))
                            @if view::is_declared(one) { " " (badge("plain", "in the file")) }
                        }
                        td { (parent(visit, one)) }
                        td { (limits::shown(one)) }
                        td.wide { (day(text(one, "createdAt"))) }
                    }
                }
            }))
        }
        (view::paging(visit, &answer))
        @if visit.may_change() {
            section.card aria-labelledby="new" {
                h2 #new { "New budget" }
                (fields(visit, HERE, fault, (&Value::Null, &answer), "Create"))
            }
        }
    };
    Ok(view::with_form(visit, fault, "Budgets", main).await)
}

async fn one(visit: &Visit, id: &str, fault: Option<&Fault>) -> Answered {
    let found = visit.own(&visit::resource(SEGMENT, id), &[]).await?;
    let here = visit::page(SEGMENT, id);
    let others = match visit.may_change() && !view::is_declared(&found) {
        true => visit.own(&format!("/{SEGMENT}"), &[]).await?,
        false => Value::Null,
    };
    let main = html! {
        (facts(&[
            ("Id", html! { code { (id) } }),
            ("Part of", parent(visit, &found)),
            ("Limits", limits::shown(&found)),
            ("Made", view::made(&found)),
        ]))
        (view::changes(visit, &found, &here, &fields(visit, &here, fault, (&found, &others), "Save")))
    };
    Ok(view::with_form(visit, fault, text(&found, "name"), main).await)
}

/// A link to a budget.
pub(super) fn link(visit: &Visit, budget: &Value) -> Markup {
    let page = visit::page(SEGMENT, text(budget, "id"));
    html! { a href=(visit.to(&page, &[])) { (text(budget, "name")) } }
}

fn parent(visit: &Visit, one: &Value) -> Markup {
    match &one["parent"] {
        Value::Null => html! { span.quiet { "none" } },
        parent => link(visit, parent),
    }
}

/// The budgets that something may be part of; `held` is the one that it is part of, and `but` is left out. `answer` is the
/// API's list, which may not reach to all of them.
pub(super) fn choices<'a>(
    answer: &'a Value,
    held: &'a Value,
    but: &str,
) -> Vec<(&'a str, &'a str)> {
    let found = list(answer, ITEMS).iter();
    let found = found.filter(|one| one["id"] != but && one["id"] != held["id"]);
    let own = (!held.is_null()).then_some(held);
    let named = own.into_iter().chain(found);
    let named = named.map(|one| (text(one, "id"), text(one, "name")));
    std::iter::once(("", "None")).chain(named).collect()
}

fn fields(
    visit: &Visit,
    to: &str,
    fault: Option<&Fault>,
    (now, others): (&Value, &Value),
    word: &str,
) -> Markup {
    let mut begin = limits::begin(now, &[limits::RATES]);
    for (name, value) in [
        ("name", text(now, "name")),
        ("description", text(now, "description")),
        ("parentId", text(&now["parent"], "id")),
    ] {
        begin.push((name.to_owned(), value.to_owned()));
    }
    let form = Form::new(visit, fault, &begin);
    let names = limits::names(&[limits::RATES]);
    let names: Vec<&str> = names.iter().map(String::as_str).chain(FIELDS).collect();
    let choices = choices(others, &now["parent"], text(now, "id"));
    html! {
        (form.others(&names))
        form method="post" action=(visit.to(to, &[])) {
            (view::token(visit))
            (form.line("name", "Name", "As in Research", true))
            (form.line("description", "Description", "", false))
            (form.choice("parentId", "Part of", "What it uses counts there, too", &choices))
            (limits::fields(&form, &[limits::RATES]))
            button.primary type="submit" { (word) }
        }
    }
}

async fn create(visit: &Visit) -> Answered {
    let mut body = Map::new();
    for name in FIELDS {
        put(&mut body, name, visit.sent(name));
    }
    if let Some(limits) = limits::sent(visit, &[limits::RATES]) {
        body.insert("limits".to_owned(), limits);
    }
    let path = format!("/{SEGMENT}");
    match visit.send(Method::POST, &path, Some(&body.into())).await {
        Ok(_) => Ok(Answer::See(visit.to(HERE, &[("done", "created")]))),
        Err(fault) => {
            let fault = limits::at_fields(visit, fault.of_form()?);
            all(visit, Some(&fault)).await
        }
    }
}

async fn update(visit: &Visit, id: &str) -> Answered {
    let mut body = Map::new();
    put(&mut body, "name", visit.sent("name"));
    for name in ["description", "parentId"] {
        put_or_clear(&mut body, name, visit.sent(name));
    }
    let limits = limits::sent(visit, &[limits::RATES]);
    body.insert("limits".to_owned(), limits.unwrap_or_default());
    let path = visit::resource(SEGMENT, id);
    match visit.send(Method::PATCH, &path, Some(&body.into())).await {
        Ok(_) => {
            let page = visit::page(SEGMENT, id);
            Ok(Answer::See(visit.to(&page, &[("done", "saved")])))
        }
        Err(fault) => {
            let fault = limits::at_fields(visit, fault.of_form()?);
            one(visit, id, Some(&fault)).await
        }
    }
}
