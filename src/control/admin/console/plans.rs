//! How a request would be served, on the pages of what decides it.

use maud::{Markup, html};
use serde_json::Value;

use super::api::Fault;
use super::format::{away, list, text};
use super::forms::Form;
use super::view::{self, badge};
use super::visit::Visit;
use tollgate_wire::Surface;

/// The parameters of a page with a plan.
pub(super) const ASKED: [&str; 2] = ["model", "surface"];

/// The reasons of the API, in words.
const REASONS: [(&str, &str); 8] = [
    ("provider-not-allowed", "The provider is not allowed"),
    ("model-not-allowed", "The model is not allowed"),
    (
        "not-offered",
        "It is not offered on this API, nor on one that it can be translated to",
    ),
    ("no-key", "There is no provider key for it"),
    ("not-in-rule", "The routing rule does not name this key"),
    ("no-price", "It has no price, so credits cannot pay for it"),
    ("failover-off", "Failover is off: only the first is tried"),
    ("too-many", "The plan is as long as one can be"),
];

/// What is asked of a page's plan.
pub(super) fn asked(visit: &Visit) -> [(&'static str, &str); 2] {
    ASKED.map(|name| (name, visit.asked(name)))
}

/// The form that asks for the plan of a key or a configuration (`about`: the API's parameter, and its value), and the
/// plan. `model`: what is asked for if the visitor says nothing.
pub(super) async fn section(
    visit: &Visit,
    about: (&str, &str),
    model: &str,
) -> Result<Markup, Fault> {
    let asked = Some(visit.asked("model")).filter(|asked| !asked.is_empty());
    let model = asked.unwrap_or(model);
    let pairs = [("model", model), ("surface", visit.asked("surface")), about];
    let plan = match model {
        "" => None,
        _ => Some(visit.own("/plan", &pairs).await),
    };
    let plan = match plan {
        Some(Err(fault)) => Some(Err(fault.of_form()?)),
        plan => plan,
    };
    let begin = [
        ("model", model.to_owned()),
        ("surface", visit.asked("surface").to_owned()),
    ];
    let form = Form::new(visit, None, &begin);
    let surfaces = Surface::ALL.map(|surface| (surface.name(), surface.name()));
    Ok(html! {
        section aria-labelledby="plan" {
            h2 #plan { "Plan" }
            p.quiet { "Which candidates a request for a model is tried at, in which order, as things are now; nothing is sent." }
            form.filters method="get" action=(visit.path) {
                @if let Some(account) = visit.account() { input type="hidden" name="account" value=(account); }
                (form.line("model", "Model", "", true))
                (form.choice("surface", "API", "", &surfaces))
                div.buttons { button type="submit" { "Show" } }
            }
            @match plan {
                None => {},
                Some(Err(fault)) => div.fault role="alert" {
                    p { (fault.msg) }
                    @for (field, what) in &fault.details { p { code { (field) } " " (what) } }
                },
                Some(Ok(plan)) => (shown(&plan)),
            }
        }
    })
}

fn shown(plan: &Value) -> Markup {
    let candidates = list(plan, "candidates");
    let passed_over = list(plan, "passedOver");
    let refusal = &plan["refusal"];
    html! {
        @if !refusal.is_null() {
            div.fault {
                p { "It would be refused with " (refusal["status"]) " (" code { (text(refusal, "code")) } "): " (text(refusal, "message")) }
            }
        }
        @if !candidates.is_empty() {
            (view::table("Tried, in this order", &[("Order", "n"), ("Model", ""), ("Provider key", ""), ("Called on", "wide"), ("State", "")], &html! {
                @for (place, one) in candidates.iter().enumerate() {
                    tr {
                        td.n { (place + 1) }
                        th scope="row" { (model(one)) }
                        td { (key(one)) }
                        td.wide { (text(one, "surface")) }
                        td {
                            @match one["coolingUntil"].as_str() {
                                None => (badge("good", "ready")),
                                Some(until) => {
                                    (badge("bad", match text(one, "cooling") {
                                        "provider" => "not reached",
                                        "quota" => "no quota",
                                        _ => "rests",
                                    }))
                                    " " (away(until))
                                },
                            }
                        }
                    }
                }
            }))
        }
        @if !passed_over.is_empty() {
            (view::table("Not tried", &[("Model", ""), ("Provider key", ""), ("Why", "")], &html! {
                @for one in passed_over {
                    tr {
                        th scope="row" { (model(one)) }
                        td { (key(one)) }
                        td { (reason(text(one, "reason"))) }
                    }
                }
            }))
        }
    }
}

fn model(place: &Value) -> String {
    format!("{}:{}", text(place, "providerId"), text(place, "modelId"))
}

fn key(place: &Value) -> Markup {
    html! {
        @match (place["providerKeyName"].as_str(), place["keySource"].as_str()) {
            (Some(name), source) => { (name) " " span.quiet { (if source == Some("managed") { "the operator's" } else { "the account's" }) } },
            (None, Some(_)) => "the operator's",
            (None, None) => span.quiet { "any" },
        }
    }
}

fn reason(name: &str) -> &str {
    let found = REASONS.iter().find(|(known, _)| *known == name);
    found.map_or(name, |(_, words)| words)
}
