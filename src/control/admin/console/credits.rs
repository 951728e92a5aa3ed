//! Credits: what the account has, what came and went, and granting more.

use axum::http::Method;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::api::Fault;
use super::format::{cents, day, list, text, time};
use super::forms::{Form, put};
use super::view::{self, badge};
use super::visit::{Answer, Answered, Visit};
use crate::admin::operation::Needs;
use tollgate_base::{clock, id};

const HERE: &str = "/console/credits";
const FIELDS: [&str; 4] = ["usd", "category", "expiresAfter", "note"];

pub(super) async fn show(visit: &Visit) -> Answered {
    page(visit, None).await
}

async fn page(visit: &Visit, fault: Option<&Fault>) -> Answered {
    let balance = visit.own("/credits/balance", &[]).await?;
    let known = match visit.may(Needs::Read) {
        true => visit.own("/credits/transactions", &[]).await?,
        false => Value::Null,
    };
    let balance = balance["balanceCents"].as_i64().unwrap_or(0);
    let items = list(&known, "items");
    let grants = visit.may_change() && visit.is_for_all();
    let main = html! {
        dl.figures {
            div.figure {
                dt { "Balance" }
                dd class=[(balance < 0).then_some("bad-text")] { (cents(balance)) }
                dd.change.quiet { "granted, and neither spent nor expired" }
            }
        }
        @if visit.may(Needs::Read) {
            @if items.is_empty() {
                (view::empty("Nothing came and nothing went", &html! {
                    p { "Credits begin with a grant" @if grants { ", below" } @else { ": the operator makes them" } "." }
                }))
            } @else {
                (transactions(items))
            }
        }
        @if grants { (form(visit, fault)) }
    };
    let status = fault.map_or(axum::http::StatusCode::OK, |fault| fault.status);
    Ok(view::with_status(visit, status, "Credits", main).await)
}

fn transactions(items: &[Value]) -> Markup {
    let columns = [
        ("When (UTC)", ""),
        ("What", ""),
        ("Expires", "wide"),
        ("Came", "n"),
        ("Went", "n"),
        ("Owed", "n"),
    ];
    let amount = |item: &Value, name: &str| cents(item[name].as_i64().unwrap_or(0));
    view::table(
        "Transactions, the newest first",
        &columns,
        &html! {
            @for item in items {
                tr {
                    th scope="row" { (time(text(item, "createdAt"))) }
                    @if text(item, "type") == "credits" {
                        td { "Grant " (badge("plain", text(item, "category"))) }
                        td.wide { @if item["expiresAt"].is_null() { "never" } @else { (day(text(item, "expiresAt"))) } }
                        td.n { (amount(item, "amountCents")) }
                        td.n {}
                        td.n {}
                    } @else {
                        td { "Usage of " (text(item, "periodStart").get(..7).unwrap_or_default()) @if text(item, "type") == "usageInvoicePreview" { ", so far" } }
                        td.wide {}
                        td.n {}
                        td.n { (amount(item, "totalCents")) }
                        td.n { @if item["amountDueCents"].as_i64().unwrap_or(0) > 0 { (amount(item, "amountDueCents")) } }
                    }
                }
            }
        },
    )
}

fn form(visit: &Visit, fault: Option<&Fault>) -> Markup {
    // One grant, however often its form is sent.
    let again = visit.sent("id");
    let id = if fault.is_some() && !again.is_empty() {
        again.to_owned()
    } else {
        id::new("grant_", clock::wall_ms())
    };
    let begin = [("expiresAfter", "365d".to_owned())];
    let form = Form::new(visit, fault, &begin);
    html! {
        section.card aria-labelledby="grant" {
            h2 #grant { "Grant credits to " (visit.account().unwrap_or(crate::DEFAULT_ACCOUNT)) }
            (form.others(&FIELDS))
            form method="post" action=(visit.to(HERE, &[])) {
                (view::token(visit))
                input type="hidden" name="id" value=(id);
                (form.line("usd", "US dollars", "As in 20.00", true))
                (form.choice("category", "Category", "Whether somebody paid for them", &[("promotional", "Promotional"), ("purchase", "Purchase")]))
                (form.line("expiresAfter", "May be spent for", "As in 365d, 12h or never", true))
                (form.line("note", "Note", "For people; may be empty", false))
                button.primary type="submit" { "Grant" }
            }
        }
    }
}

pub(super) async fn grant(visit: &Visit) -> Answered {
    let mut body = Map::new();
    for name in FIELDS.into_iter().chain(["id"]) {
        put(&mut body, name, visit.sent(name));
    }
    match visit
        .send(Method::POST, "/credits/grants", Some(&body.into()))
        .await
    {
        Ok(_) => Ok(Answer::See(visit.to(HERE, &[("done", "granted")]))),
        Err(fault) => page(visit, Some(&fault.of_form()?)).await,
    }
}
