//! The form of an access key or an API key, new or as it is.

use maud::{Markup, html};
use serde_json::Value;

use super::api::Fault;
use super::budgets;
use super::format::{list, text};
use super::forms::Form;
use super::limits;
use super::plans;
use super::view;
use super::visit::Visit;
use tollgate_config::secrets::Role;

/// The fields, besides limits.
pub(super) const FIELDS: [&str; 5] = [
    "name",
    "description",
    "accessKeyConfigurationId",
    "budgetId",
    "role",
];

/// The form of a key that is `now` as it is, `null` for a new one. `serves`: applications use it.
pub(super) fn form(
    visit: &Visit,
    serves: bool,
    to: &str,
    (now, configurations, budgets): (&Value, &Value, &Value),
    fault: Option<&Fault>,
) -> Markup {
    let held = &now["accessKeyConfiguration"];
    let mut begin = limits::begin(now, &[limits::RATES]);
    for (name, value) in [
        ("name", text(now, "name")),
        ("description", text(now, "description")),
        ("accessKeyConfigurationId", text(held, "id")),
        ("budgetId", text(&now["budget"], "id")),
        ("role", text(now, "role")),
    ] {
        begin.push((name.to_owned(), value.to_owned()));
    }
    let form = Form::new(visit, fault, &begin);
    let configurations = list(configurations, "aiGatewayAccessKeyConfigurations");
    let mut choices = vec![("", "None: all is allowed")];
    // The list may not reach to the one that it has, and not have what the file declares.
    let own = configurations.iter().any(|one| one["id"] == held["id"]);
    choices.extend((!held.is_null() && !own).then(|| (text(held, "id"), text(held, "name"))));
    choices.extend(
        configurations
            .iter()
            .map(|one| (text(one, "id"), text(one, "name"))),
    );
    let budgets = budgets::choices(budgets, &now["budget"], "");
    let roles = [
        (Role::Full.as_str(), "full: reads and changes everything"),
        (Role::ReadOnly.as_str(), "read-only: reads everything"),
        (
            Role::UsageOnly.as_str(),
            "usage-only: reads usage and the balance",
        ),
    ];
    let names = limits::names(&[limits::RATES]);
    let names: Vec<&str> = names.iter().map(String::as_str).chain(FIELDS).collect();
    html! {
        (form.others(&names))
        form method="post" action=(visit.to(to, &plans::asked(visit))) {
            (view::token(visit))
            (form.line("name", "Name", "For people, as in Web app", false))
            (form.line("description", "Description", "", false))
            @if serves {
                (form.choice("accessKeyConfigurationId", "Configuration", "What it may call, and with whose keys", &choices))
                (form.choice("budgetId", "Budget", "What it is part of, as its team's", &budgets))
                (limits::fields(&form, &[limits::RATES]))
            } @else {
                (form.choice("role", "Role", "", &roles))
            }
            button.primary type="submit" { @if now.is_null() { "Create" } @else { "Save" } }
        }
    }
}
