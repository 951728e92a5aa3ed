//! What all pages are made of: their frame, tables, forms, notices.
//!
//! Invariant: all text is escaped by the template engine; no page has a style or a script of its own.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use super::api::Fault;
use super::assets;
use super::format::{day, list, text};
use super::visit::{Answer, CURSORS, Visit};
use crate::DECLARED;
use crate::admin::operation::Needs;
use tollgate_ledger::HOUSE;

/// A page of the menu: its path, its name, and what it needs.
type Entry = (&'static str, &'static str, Needs);

/// The menu: headings, and the pages under each.
const MENU: [(&str, &[Entry]); 3] = [
    (
        "Watch",
        &[
            ("/", "Overview", Needs::Usage),
            ("/console/requests", "Requests", Needs::Usage),
            ("/console/usage", "Usage", Needs::Usage),
            ("/console/credits", "Credits", Needs::Usage),
            ("/console/books", "Books", Needs::Read),
            ("/console/alerts", "Alerts", Needs::Read),
            ("/console/fleet", "Fleet", Needs::Read),
        ],
    ),
    (
        "Set up",
        &[
            ("/console/access-keys", "Access keys", Needs::Read),
            ("/console/configurations", "Configurations", Needs::Read),
            ("/console/budgets", "Budgets", Needs::Read),
            ("/console/providers", "Providers", Needs::Read),
            ("/console/catalog", "Catalog", Needs::Read),
            ("/console/playground", "Playground", Needs::Read),
        ],
    ),
    (
        "Govern",
        &[
            ("/console/accounts", "Accounts", Needs::Read),
            ("/console/api-keys", "API keys", Needs::Read),
            ("/console/audit-log", "Audit log", Needs::Read),
        ],
    ),
];

/// Pages for whoever may act for all accounts.
const FOR_ALL: [&str; 2] = ["/console/accounts", "/console/fleet"];

/// What was done, by the parameter `done` of the page that says so.
const DONE: [(&str, &str); 8] = [
    ("created", "Created."),
    ("saved", "Saved."),
    ("deleted", "Deleted."),
    (
        "revoked",
        "Revoked: every gateway refuses it within a second.",
    ),
    ("granted", "Granted."),
    ("rotated", "The key has its new value."),
    (
        "cleared",
        "Cleared: every gateway tries it in its turn again.",
    ),
    ("known", "This grant was given before; nothing has changed."),
];

/// A page's frame without a menu.
pub(super) fn document(title: &str, body: &Markup) -> Markup {
    framed(title, &html! {}, body)
}

/// The same, with more in its head.
pub(super) fn framed(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Tollgate" }
                link rel="icon" href=(assets::ICON);
                link rel="stylesheet" href=(assets::style());
                script type="module" src=(assets::script()) {}
                (head)
            }
            (body)
        }
    }
}

/// A page for whoever is signed in. `accounts`: those to choose from.
fn page(visit: &Visit, accounts: &Value, title: &str, main: &Markup) -> Markup {
    let body = html! {
        body {
            a.skip href="#main" { "Skip to the content" }
            header.top {
                a.brand href=(visit.to("/", &[])) { (mark()) "Tollgate" }
                (account(visit, accounts))
                (who(visit))
            }
            (menu(visit))
            main #main tabindex="-1" {
                h1 { (title) }
                @if let Some((_, said)) = DONE.iter().find(|(name, _)| *name == visit.asked("done")) {
                    p.notice role="status" { (said) }
                }
                (main)
            }
        }
    };
    document(title, &body)
}

pub(super) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 16 16" aria-hidden="true" {
            path d="M2 3h12v2H2zM4 5h2v9H4zM10 5h2v9h-2z" {}
        }
    }
}

fn menu(visit: &Visit) -> Markup {
    let shown = |path: &str, needs: Needs| {
        visit.may(needs) && (!FOR_ALL.contains(&path) || visit.is_for_all())
    };
    let here = |path: &str| match path {
        "/" => visit.path == "/",
        path => visit.path.starts_with(path),
    };
    html! {
        nav.menu aria-label="Pages" {
            @for (heading, pages) in MENU {
                @if pages.iter().any(|(path, _, needs)| shown(path, *needs)) {
                    p.heading { (heading) }
                    ul {
                        @for (path, name, needs) in pages {
                            @if shown(path, *needs) {
                                li {
                                    a href=(visit.to(path, &[])) aria-current=[here(path).then_some("page")] { (name) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn account(visit: &Visit, known: &Value) -> Markup {
    let own = visit.from.caller.account.as_deref();
    if let Some(own) = own.filter(|_| visit.accounts.len() < 2) {
        return html! { p.account { span.quiet { "Account " } strong { (own) } } };
    }
    let accounts = list(known, "accounts");
    if accounts.is_empty() && own.is_none() {
        return html! {};
    }
    let has_more = known["nextPageUri"].is_string();
    let now = own.or(visit.account()).unwrap_or(crate::DEFAULT_ACCOUNT);
    let mut ids: Vec<&str> = accounts.iter().map(|account| text(account, "id")).collect();
    match own {
        Some(_) => ids.extend(visit.accounts.iter().map(|account| &**account)),
        None => ids.push(HOUSE),
    }
    if !ids.contains(&now) {
        ids.push(now);
    }
    ids.sort_unstable();
    html! {
        form.account method="get" action=(section(&visit.path)) {
            label for="account" { "Account" }
            @if has_more {
                input #account name="account" value=(now) autocomplete="off";
            } @else {
                select #account name="account" {
                    @for id in ids {
                        option value=(id) selected[id == now] {
                            (id) @if id == HOUSE { " (failed attempts)" }
                        }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

/// The list that a page belongs to: what it shows may not be there for another account.
fn section(path: &str) -> String {
    path.split('/').take(3).collect::<Vec<_>>().join("/")
}

fn who(visit: &Visit) -> Markup {
    let caller = &visit.from.caller;
    let role = caller.role.map_or("no role", |role| role.as_str());
    html! {
        form.who method="post" action="/console/sign-out" {
            (token(visit))
            span { (caller.name.as_deref().unwrap_or(&caller.id)) " " span.quiet { (role) } }
            button type="submit" { "Sign out" }
        }
    }
}

/// The field that every form carries.
pub(super) fn token(visit: &Visit) -> Markup {
    html! { input type="hidden" name="form-token" value=(visit.form_token); }
}

/// The answer that is a page.
pub(super) async fn shown(visit: &Visit, title: &str, main: Markup) -> Answer {
    with_status(visit, StatusCode::OK, title, main).await
}

/// The same with a status of its own.
pub(super) async fn with_status(
    visit: &Visit,
    status: StatusCode,
    title: &str,
    main: Markup,
) -> Answer {
    let chooses = visit.is_for_all() && visit.may(Needs::Read);
    let known = match chooses {
        true => visit.get("/accounts", &[]).await.unwrap_or_default(),
        false => Value::Null,
    };
    Answer::Page(status, page(visit, &known, title, &main))
}

/// The same with a form, which may have been refused.
pub(super) async fn with_form(
    visit: &Visit,
    fault: Option<&Fault>,
    title: &str,
    main: Markup,
) -> Answer {
    let status = fault.map_or(StatusCode::OK, |fault| fault.status);
    with_status(visit, status, title, main).await
}

/// The page of what went wrong.
pub(super) async fn failed(visit: &Visit, fault: Fault) -> Answer {
    let main = html! {
        p.fault role="alert" { (fault.msg) }
        @if !fault.details.is_empty() {
            ul { @for (field, what) in &fault.details { li { code { (field) } " " (what) } } }
        }
        p { a href=(visit.to("/", &[])) { "To the overview" } }
    };
    with_status(visit, fault.status, reason(fault.status), main).await
}

/// A status in words.
pub(super) fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "Not allowed",
        404 => "Not found",
        405 => "Not like this",
        409 => "In conflict",
        422 => "Not valid",
        501 => "Not available here",
        503 => "Not reachable just now",
        _ => "That did not work",
    }
}

/// A table's column: its heading and its class (`n` for numbers, `wide` for what small screens leave out).
pub(super) type Column<'a> = (&'a str, &'a str);

/// A table, in a region that scrolls by itself where it is too wide.
pub(super) fn table(caption: &str, columns: &[Column<'_>], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for (name, class) in columns { th scope="col" class=(class) { (name) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// Whether a resource is declared in the configuration file, and read-only here.
pub(super) fn is_declared(resource: &Value) -> bool {
    text(&resource["createdBy"], "id") == DECLARED
}

/// When a resource was made, and by whom.
pub(super) fn made(resource: &Value) -> Markup {
    let by = text(&resource["createdBy"], "id");
    html! { (day(text(resource, "createdAt"))) " by " (by) }
}

/// How a resource is changed and deleted, by whoever may; of a declared one, where. `page` is its own, `fields` the form.
pub(super) fn changes(visit: &Visit, resource: &Value, page: &str, fields: &Markup) -> Markup {
    html! {
        @if is_declared(resource) {
            p.quiet { "It is declared in the configuration file, and changed there." }
        } @else if visit.may_change() {
            section.card aria-labelledby="change" {
                h2 #change { "Change it" }
                (fields)
            }
            div.buttons { a.button.danger href=(visit.to(&format!("{page}/delete"), &[])) { "Delete" } }
        }
    }
}

/// What is said where there is nothing, and what to do next.
pub(super) fn empty(what: &str, next: &Markup) -> Markup {
    html! { div.empty { p { strong { (what) } } (next) } }
}

/// Where a list goes on.
pub(super) fn paging(visit: &Visit, answer: &Value) -> Markup {
    let next = visit.next(answer);
    let is_first = CURSORS.iter().all(|name| visit.asked(name).is_empty());
    if next.is_none() && is_first {
        return html! {};
    }
    html! {
        nav.paging aria-label="Parts of the list" {
            @if !is_first { a href=(visit.here_with("cursor", "")) { "First part" } }
            @if let Some(next) = next { a rel="next" href=(next) { "Next part" } }
        }
    }
}

/// Leads to the form below a list, for whoever may use it.
pub(super) fn to_form(visit: &Visit, word: &str) -> Markup {
    html! { @if visit.may_change() { p { a.button href="#new" { (word) } } } }
}

/// A short word with a colour that does not stand alone.
pub(super) fn badge(kind: &str, word: &str) -> Markup {
    html! { span.badge.(kind) { (word) } }
}

/// Facts by name.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// A button in a form of its own that changes something. `to`: the action.
pub(super) fn action(visit: &Visit, to: &str, class: &str, word: &str) -> Markup {
    html! {
        form.inline method="post" action=(visit.to(to, &[])) {
            (token(visit))
            button type="submit" class=(class) { (word) }
        }
    }
}

/// The page that asks once more before a resource is deleted. `kind`: what it is; `user`: what it may be in use by.
pub(super) async fn confirm_deletion(
    visit: &Visit,
    (kind, resource): (&str, &Value),
    user: &str,
    back: &str,
) -> Answer {
    let name = text(resource, "name");
    let what = format!("Delete the {kind} “{name}”? It is refused while {user}.");
    confirm(visit, &format!("Delete “{name}”"), &what, "Delete", back).await
}

/// The page that asks once more before something is gone.
pub(super) async fn confirm(
    visit: &Visit,
    title: &str,
    what: &str,
    word: &str,
    back: &str,
) -> Answer {
    let main = html! {
        div.card {
            p { (what) }
            form.inline method="post" action=(visit.to(&visit.path, &[])) {
                (token(visit))
                button.danger type="submit" { (word) }
                a.button href=(visit.to(back, &[])) { "Cancel" }
            }
        }
    };
    shown(visit, title, main).await
}
