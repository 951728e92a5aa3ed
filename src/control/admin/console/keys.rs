//! Access keys and API keys: listed, made, shown, changed, rotated, revoked.

use std::collections::BTreeMap;

use axum::http::Method;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::api::Fault;
use super::budgets;
use super::format::{away, day, list, text};
use super::forms::{Form, put_or_clear};
use super::key_form::{FIELDS, form};
use super::limits;
use super::plans;
use super::snippets::snippets;
use super::view::{self, badge, facts};
use super::visit::{self, Answer, Answered, Visit};
use crate::admin::operation::Needs;
use tollgate_config::secrets::Role;

/// One of the two kinds.
pub(super) struct Kind {
    segment: &'static str,
    /// Of the API's list.
    items: &'static str,
    title: &'static str,
    one: &'static str,
    many: &'static str,
    /// What is said where there are none.
    first: &'static str,
    /// Whether applications use it, rather than operators.
    serves: bool,
}

/// What applications send.
pub(super) const ACCESS: Kind = Kind {
    segment: "access-keys",
    items: "aiGatewayAccessKeys",
    title: "Access keys",
    one: "access key",
    many: "access keys",
    first: "Make one for each application: it says who calls, what it may call, and how much it may spend.",
    serves: true,
};

/// What operators send.
pub(super) const API: Kind = Kind {
    segment: "api-keys",
    items: "aiGatewayApiKeys",
    title: "API keys",
    one: "API key",
    many: "API keys",
    first: "Make one for each person or program that manages this gateway, with no more of a role than it needs.",
    serves: false,
};

pub(super) async fn answer(visit: &Visit, kind: &Kind, post: bool, rest: &[&str]) -> Answered {
    match (post, rest) {
        (false, []) => all(visit, kind, None).await,
        (true, []) => create(visit, kind).await,
        (false, [id]) => one(visit, kind, id, None).await,
        (true, [id]) => update(visit, kind, id).await,
        (false, [id, "rotate"]) if kind.serves => rotate_form(visit, kind, id, None).await,
        (true, [id, "rotate"]) if kind.serves => rotate(visit, kind, id).await,
        (false, [id, "revoke"]) => {
            let (title, key) = named(visit, kind, id).await?;
            let what = format!(
                "Revoke {title} ({})? It is refused by every gateway within a second, and cannot be brought back. \
                 Requests under way are finished.",
                text(&key, "keyRedacted"),
            );
            let back = visit::page(kind.segment, id);
            let title = format!("Revoke {title}");
            Ok(view::confirm(visit, &title, &what, "Revoke", &back).await)
        }
        (true, [id, "revoke"]) => {
            visit
                .send(Method::DELETE, &visit::resource(kind.segment, id), None)
                .await?;
            Ok(Answer::See(
                visit.to(&section(kind), &[("done", "revoked")]),
            ))
        }
        _ => Err(super::not_there(post)),
    }
}

fn section(kind: &Kind) -> String {
    format!("/console/{}", kind.segment)
}

async fn named(visit: &Visit, kind: &Kind, id: &str) -> Result<(String, Value), Fault> {
    let key = visit.own(&visit::resource(kind.segment, id), &[]).await?;
    let name = key["name"].as_str().unwrap_or(id);
    Ok((format!("the {} “{name}”", kind.one), key))
}

async fn all(visit: &Visit, kind: &Kind, fault: Option<&Fault>) -> Answered {
    let pairs = [("beforeId", visit.asked("beforeId"))];
    let answer = visit.own(&format!("/{}", kind.segment), &pairs).await?;
    let keys = list(&answer, kind.items);
    let (configurations, budgets) = offered(visit, kind).await?;
    let main = html! {
        @if keys.is_empty() {
            (view::empty(&format!("No {} yet", kind.many), &html! { p { (kind.first) } }))
        } @else {
            (view::to_form(visit, &format!("New {}", kind.one)))
            (table(visit, kind, keys))
        }
        (view::paging(visit, &answer))
        @if visit.may_change() {
            section.card aria-labelledby="new" {
                h2 #new { "New " (kind.one) }
                (form(visit, kind.serves, &section(kind), (&Value::Null, &configurations, &budgets), fault))
            }
        }
    };
    Ok(view::with_form(visit, fault, kind.title, main).await)
}

/// What the form of a key offers to be held to: configurations, budgets.
async fn offered(visit: &Visit, kind: &Kind) -> Result<(Value, Value), Fault> {
    if !kind.serves || !visit.may_change() {
        return Ok((Value::Null, Value::Null));
    }
    let configurations = visit.own("/access-key-configurations", &[]).await?;
    Ok((configurations, visit.own("/budgets", &[]).await?))
}

fn table(visit: &Visit, kind: &Kind, keys: &[Value]) -> Markup {
    let columns = [
        ("Name", ""),
        ("Key", ""),
        (if kind.serves { "Configuration" } else { "Role" }, ""),
        ("Limits", "wide"),
        ("Last used", ""),
        ("Made", "wide"),
    ];
    let columns: Vec<_> = columns
        .into_iter()
        .filter(|(name, _)| kind.serves || *name != "Limits")
        .collect();
    view::table(
        "The newest first",
        &columns,
        &html! {
            @for key in keys {
                tr {
                    th scope="row" {
                        a href=(visit.to(&visit::page(kind.segment, text(key, "id")), &[])) { (name(key)) }
                        @if view::is_declared(key) { " " (badge("plain", "in the file")) }
                    }
                    td { code { (text(key, "keyRedacted")) } }
                    td { (scope(visit, kind, key)) }
                    @if kind.serves { td.wide { (limits::shown(key)) } }
                    td { (used(key)) }
                    td.wide { (day(text(key, "createdAt"))) }
                }
            }
        },
    )
}

/// The names of access keys by their ids, of the newest ones.
pub(super) async fn names(visit: &Visit) -> BTreeMap<String, String> {
    if !visit.may(Needs::Read) {
        return BTreeMap::new();
    }
    // Without them ids are shown.
    let keys = visit.own("/access-keys", &[]).await.unwrap_or_default();
    let named = list(&keys, ACCESS.items).iter();
    let named = named.map(|key| (text(key, "id").to_owned(), name(key).to_owned()));
    named.collect()
}

fn name(key: &Value) -> &str {
    key["name"].as_str().unwrap_or_else(|| text(key, "id"))
}

fn used(key: &Value) -> Markup {
    match key["lastUsed"].as_str() {
        Some(used) => away(used),
        None => html! { span.quiet { "never" } },
    }
}

fn scope(visit: &Visit, kind: &Kind, key: &Value) -> Markup {
    let configuration = &key["accessKeyConfiguration"];
    html! {
        @if !kind.serves {
            (key["role"].as_str().unwrap_or(Role::Full.as_str()))
        } @else if configuration.is_null() {
            span.quiet { "allows all" }
        } @else {
            a href=(visit.to(&visit::page("configurations", text(configuration, "id")), &[])) { (text(configuration, "name")) }
        }
    }
}

async fn one(visit: &Visit, kind: &Kind, id: &str, fault: Option<&Fault>) -> Answered {
    let key = visit.own(&visit::resource(kind.segment, id), &[]).await?;
    let (configurations, budgets) = offered(visit, kind).await?;
    let plan = match kind.serves {
        true => Some(plans::section(visit, ("accessKeyId", id), "").await?),
        false => None,
    };
    let limits = limits::words(&key);
    let declared = view::is_declared(&key);
    let mut all = vec![
        ("Id", html! { code { (text(&key, "id")) } }),
        ("Key", html! { code { (text(&key, "keyRedacted")) } }),
        (
            if kind.serves { "Configuration" } else { "Role" },
            scope(visit, kind, &key),
        ),
        ("Last used", used(&key)),
        ("Made", view::made(&key)),
    ];
    if kind.serves {
        let limits = if limits.is_empty() {
            "none of its own".to_owned()
        } else {
            limits.join(", ")
        };
        all.push(("Limits", html! { (limits) }));
        if !key["budget"].is_null() {
            all.push(("Budget", budgets::link(visit, &key["budget"])));
        }
    }
    if let Some(description) = key["description"].as_str() {
        all.push(("Description", html! { (description) }));
    }
    if let Some(until) = key["formerTokenUntil"].as_str() {
        all.push(("Token before", html! { "works on, ends " (away(until)) }));
    }
    let here = visit::page(kind.segment, id);
    let main = html! {
        (facts(&all))
        div.buttons {
            @if kind.serves {
                a.button href=(visit.to("/console/requests", &[("key", id)])) { "Its requests" }
            }
            @if visit.may_change() && !declared {
                @if kind.serves { a.button href=(visit.to(&format!("{here}/rotate"), &[])) { "Rotate" } }
                a.button.danger href=(visit.to(&format!("{here}/revoke"), &[])) { "Revoke" }
            }
        }
        @if declared { p.quiet { "It is declared in the configuration file, and changed there." } }
        @if kind.serves {
            h2 { "How to use it" }
            (snippets(&visit.proxy, "YOUR_TOKEN"))
        }
        @if let Some(plan) = plan { (plan) }
        @if visit.may_change() && !declared {
            section.card aria-labelledby="change" {
                h2 #change { "Change it" }
                (form(visit, kind.serves, &here, (&key, &configurations, &budgets), fault))
            }
        }
    };
    Ok(view::with_form(visit, fault, name(&key), main).await)
}

async fn update(visit: &Visit, kind: &Kind, id: &str) -> Answered {
    let mut body = Map::new();
    let held = match kind.serves {
        true => &["accessKeyConfigurationId", "budgetId"][..],
        false => &["role"],
    };
    for name in ["name", "description"].iter().chain(held) {
        put_or_clear(&mut body, name, visit.sent(name));
    }
    if kind.serves {
        let limits = limits::sent(visit, &[limits::RATES]);
        body.insert("limits".to_owned(), limits.unwrap_or_default());
    }
    let path = visit::resource(kind.segment, id);
    match visit.send(Method::PATCH, &path, Some(&body.into())).await {
        Ok(_) => {
            let page = visit::page(kind.segment, id);
            let [model, surface] = plans::asked(visit);
            Ok(Answer::See(
                visit.to(&page, &[model, surface, ("done", "saved")]),
            ))
        }
        Err(fault) => {
            let fault = limits::at_fields(visit, fault.of_form()?);
            one(visit, kind, id, Some(&fault)).await
        }
    }
}

async fn rotate_form(visit: &Visit, kind: &Kind, id: &str, fault: Option<&Fault>) -> Answered {
    const GRACES: [(&str, &str); 5] = [
        ("0s", "Not at all: within a second every gateway refuses it"),
        ("1h", "For an hour"),
        ("24h", "For a day"),
        ("168h", "For a week"),
        ("720h", "For 30 days"),
    ];
    let (title, key) = named(visit, kind, id).await?;
    let begin = [("gracePeriod", "24h".to_owned())];
    let form = Form::new(visit, fault, &begin);
    let main = html! {
        section.card {
            p { "It gets another token, which is shown once. All else of it stays: its limits, what it has used, its configuration." }
            (form.others(&["gracePeriod"]))
            form method="post" action=(visit.to(&visit.path, &[])) {
                (view::token(visit))
                (form.choice("gracePeriod", "The token that it has works on", text(&key, "keyRedacted"), &GRACES))
                button.primary type="submit" { "Rotate" }
                " " a.button href=(visit.to(&visit::page(kind.segment, id), &[])) { "Cancel" }
            }
        }
    };
    Ok(view::with_form(visit, fault, &format!("Rotate {title}"), main).await)
}

async fn rotate(visit: &Visit, kind: &Kind, id: &str) -> Answered {
    let path = format!("{}/rotate", visit::resource(kind.segment, id));
    let body = visit.body(["gracePeriod"]);
    match visit.send(Method::POST, &path, Some(&body.into())).await {
        Ok(key) => Ok(told(visit, kind, &key).await),
        Err(fault) => rotate_form(visit, kind, id, Some(&fault.of_form()?)).await,
    }
}

async fn create(visit: &Visit, kind: &Kind) -> Answered {
    let mut body = visit.body(FIELDS);
    if let Some(limits) = limits::sent(visit, &[limits::RATES]) {
        body.insert("limits".to_owned(), limits);
    }
    let path = format!("/{}", kind.segment);
    let made = match visit.send(Method::POST, &path, Some(&body.into())).await {
        Ok(made) => made,
        Err(fault) => {
            let fault = limits::at_fields(visit, fault.of_form()?);
            return all(visit, kind, Some(&fault)).await;
        }
    };
    Ok(told(visit, kind, &made).await)
}

/// The page that shows a token once.
async fn told(visit: &Visit, kind: &Kind, key: &Value) -> Answer {
    let token = text(key, "token");
    let main = html! {
        p.notice role="status" {
            strong { "Keep this token now." } " It is shown only this once, and works on every gateway within a second."
        }
        p.token { code #token { (token) } " " button type="button" data-copy="token" hidden { "Copy" } }
        div.buttons {
            a.button href=(visit.to(&section(kind), &[])) { "To all " (kind.many) }
        }
        @if kind.serves {
            h2 { "How to use it" }
            (snippets(&visit.proxy, token))
        }
    };
    view::shown(visit, name(key), main).await
}
