//! Credits: what the account has, what came and went, and granting more.

use std::time::Duration;

use axum::http::Method;
use futures::try_join;
use maud::{Markup, html};
use serde_json::Value;

use super::api::Fault;
use super::format::{cents, day, list, rough, text, time, usd};
use super::forms::Form;
use super::overview::date;
use super::view::{self, badge};
use super::visit::{Answer, Answered, Visit};
use crate::admin::operation::Needs;
use tollgate_base::time::instant;
use tollgate_base::{clock, id};

const HERE: &str = "/console/credits";
const DAY_MS: u64 = 86_400_000;
/// Days before today that tell the pace.
const PACE: u64 = 7;
/// Days beyond which no day is named.
const FAR: u64 = 3_650;
const FIELDS: [&str; 4] = ["usd", "category", "expiresAfter", "note"];

pub(super) async fn show(visit: &Visit) -> Answered {
    page(visit, None).await
}

async fn page(visit: &Visit, fault: Option<&Fault>) -> Answered {
    let today = clock::wall_ms() / DAY_MS;
    let first = format!("{}T00:00:00Z", date(today.saturating_sub(PACE)));
    let pace = [("startTime", &*first)];
    let known = async {
        match visit.may(Needs::Read) {
            true => visit.own("/credits/transactions", &[]).await,
            false => Ok(Value::Null),
        }
    };
    let (balance, known, used) = try_join!(
        visit.own("/credits/balance", &[]),
        known,
        visit.own("/usage/overview", &pace),
    )?;
    let balance = balance["balanceCents"].as_i64().unwrap_or(0);
    let items = list(&known, "items");
    let end = used_up(balance, &used, clock::wall_ms());
    let grants = visit.may_change() && visit.is_for_all();
    let main = html! {
        dl.figures {
            div.figure {
                dt { "Balance" }
                dd class=[(balance < 0).then_some("bad-text")] { (cents(balance)) }
                dd.change.quiet { "granted, and neither spent nor expired" }
            }
            @if let Some((pace, day)) = end {
                div.figure {
                    dt { "Used up" }
                    dd { @match day { Some(day) => { (date(day)) }, None => "not soon" } }
                    dd.change.quiet { "at the pace of the last days, " (usd(&format!("{pace:.2}"))) " a day, if no grant expires before" }
                }
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

/// The pace of the last days (US dollars a day), and the day on which it uses the balance up: `None` if that is more than ten
/// years away. `None` at all without a pace or a balance.
fn used_up(cents: i64, used: &Value, now_ms: u64) -> Option<(f64, Option<u64>)> {
    let first = list(used, "buckets").first()?;
    let begun = instant(text(first, "bucketStart"))?.div_euclid(1_000_000);
    let passed = i128::from(now_ms).saturating_sub(begun).max(0);
    let days = rough(&passed.to_string()) / rough(&DAY_MS.to_string());
    let pace = rough(text(&used["totals"], "cost")) / days.max(1.0);
    let left = rough(&cents.to_string()) / 100.0 / pace;
    if cents <= 0 || pace <= 0.0 {
        return None;
    }
    let seconds = Duration::try_from_secs_f64(left * 86_400.0).ok();
    let days = seconds.map(|time| time.as_secs() / 86_400);
    let near = days.filter(|days| *days < FAR);
    Some((pace, near.map(|days| now_ms / DAY_MS + days)))
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
    let body = visit.body(FIELDS.into_iter().chain(["id"]));
    match visit
        .send(Method::POST, "/credits/grants", Some(&body.into()))
        .await
    {
        Ok(_) => Ok(Answer::See(visit.to(HERE, &[("done", "granted")]))),
        Err(fault) => page(visit, Some(&fault.of_form()?)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_day_on_which_credits_end_is_told_by_the_last_days() {
        const NOON: u64 = 20_000 * DAY_MS + DAY_MS / 2;
        let used = |first: &str, cost: &str| json!({"buckets": [{"bucketStart": first}], "totals": {"cost": cost}});
        // Day 20,000 is 2024-10-04: two and a half days at 4 dollars.
        let three = used("2024-10-02T00:00:00Z", "10.00000");
        assert_eq!(used_up(4_000, &three, NOON), Some((4.0, Some(20_010))));
        let today = used("2024-10-04T00:00:00Z", "2.00000");
        let pace = used_up(100, &today, NOON);
        assert_eq!(pace, Some((2.0, Some(20_000))), "half a day counts as one");
        assert_eq!(used_up(100_000_000, &three, NOON), Some((4.0, None)));
        for (cents, used) in [
            (0, &three),
            (-5, &three),
            (5, &used("2024-10-02T00:00:00Z", "0.00000")),
        ] {
            assert_eq!(used_up(cents, used, NOON), None);
        }
        assert_eq!(used_up(5, &json!({"buckets": []}), NOON), None);
    }
}
