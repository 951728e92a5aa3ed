//! What operators were alerted to, and whether it was delivered.

use maud::{Markup, html};
use serde_json::Value;

use super::format::{list, text, time};
use super::view::{self, badge};
use super::visit::{Answered, Visit};

pub(super) async fn show(visit: &Visit) -> Answered {
    let pairs = [
        ("before", visit.asked("before")),
        ("event", visit.asked("event")),
        ("limit", "50"),
    ];
    let answer = visit.own("/alerts", &pairs).await?;
    let alerts = list(&answer, "alerts");
    let main = html! {
        @if alerts.is_empty() {
            (view::empty("No alerts", &html! {
                p {
                    "Budgets and credits that reach a threshold, keys that spend far more than usual, providers that cannot be \
                     reached, and what is wrong with the books are listed here. "
                    code { "alerts.channels" } " of the configuration says where they are sent."
                }
            }))
        } @else {
            (table(alerts))
        }
        (view::paging(visit, &answer))
    };
    Ok(view::shown(visit, "Alerts", main).await)
}

fn table(alerts: &[Value]) -> Markup {
    let columns = [
        ("When (UTC)", ""),
        ("About", ""),
        ("What has happened", ""),
        ("Account", "wide"),
        ("Delivered", ""),
    ];
    view::table(
        "The newest first",
        &columns,
        &html! {
            @for alert in alerts {
                tr {
                    th scope="row" { (time(text(alert, "at"))) }
                    td { (badge("plain", text(alert, "event"))) }
                    td {
                        details {
                            summary { (text(alert, "title")) }
                            p { (text(alert, "text")) }
                        }
                    }
                    td.wide { (text(alert, "accountId")) }
                    td {
                        @for delivery in list(alert, "deliveries") { (delivered(delivery)) " " }
                    }
                }
            }
        },
    )
}

fn delivered(delivery: &Value) -> Markup {
    let (channel, said) = (text(delivery, "channel"), text(delivery, "said"));
    let (kind, state) = match text(delivery, "state") {
        "sent" => ("good", "sent"),
        "given-up" => ("bad", "given up"),
        _ if said.is_empty() => ("plain", "waiting"),
        _ => ("bad", "tried again"),
    };
    html! {
        span title=[(!said.is_empty()).then_some(said)] { (badge(kind, &format!("{channel}: {state}"))) }
    }
}
