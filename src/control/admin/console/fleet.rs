//! The gateways that share the store, and how each is.

use maud::{Markup, html};
use serde_json::Value;

use super::format::{away, count, list, number, text};
use super::view::{self, badge};
use super::visit::{Answered, Visit};

pub(super) async fn show(visit: &Visit) -> Answered {
    let answer = visit.get("/fleet", &[]).await?;
    let gateways = list(&answer, "gateways");
    let newest = gateways.iter().map(|one| number(one, "revision")).max();
    let versions = gateways.iter().map(|one| text(one, "version"));
    let is_mixed = versions.collect::<std::collections::BTreeSet<_>>().len() > 1;
    let main = html! {
        div #fleet data-live="5000" {
            @if is_mixed {
                p.notice role="status" { strong { "Several versions run side by side." } " They may, for as long as an upgrade takes." }
            }
            (table(gateways, newest.unwrap_or_default()))
        }
        p.quiet {
            "Gateways that share a Redis tell each other every 5 seconds that they are there, and are listed for 20 seconds after the \
             last time; one with SQLite is alone."
        }
    };
    Ok(view::shown(visit, "Fleet", main).await)
}

fn table(gateways: &[Value], newest: u64) -> Markup {
    let columns = [
        ("Gateway", ""),
        ("State", ""),
        ("Version", ""),
        ("Started", "wide"),
        ("Requests under way", "n"),
        ("Resources", ""),
        ("Journal", "n"),
        ("Heard of", "wide"),
    ];
    view::table(
        "Gateways",
        &columns,
        &html! {
            @for one in gateways {
                tr {
                    th scope="row" {
                        (text(one, "host")) " " code { (text(one, "id")) }
                        @if one["answers"] == true { " " (badge("plain", "shows this page")) }
                    }
                    td { (state(one)) }
                    td { (text(one, "version")) }
                    td.wide { (away(text(one, "startedAt"))) }
                    td.n { (count(number(one, "inFlight"))) }
                    td { (resources(one, newest)) }
                    td.n { @if one["journalRecords"].is_u64() { (count(number(one, "journalRecords"))) } @else { "–" } }
                    td.wide { (away(text(one, "heardAt"))) }
                }
            }
        },
    )
}

fn state(one: &Value) -> Markup {
    let reason = text(one, "reason");
    html! {
        @match text(one, "state") {
            "ready" => (badge("good", "ready")),
            "stopping" => (badge("plain", "stopping")),
            other => { (badge("bad", other)) @if !reason.is_empty() { " " (reason) } }
        }
    }
}

/// Which revision it serves, and how long ago it looked for a newer one.
fn resources(one: &Value, newest: u64) -> Markup {
    let revision = number(one, "revision");
    html! {
        @match one["readAt"].as_str() {
            None => "from its file only",
            Some(read) => {
                "revision " (count(revision)) ", read " (away(read))
                @if revision < newest { " " (badge("bad", "behind")) }
            }
        }
    }
}
