//! Routing rules: the fields of a form, and what they make of a body.
//!
//! A rule is what it is for and what is used, in order: each use is a provider key, or all that the operator has. Steps
//! are made of it, uses of one kind that follow each other in one.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::api::Fault;
use super::format::{list, text};
use super::forms::Form;
use super::visit::{self, Visit};

/// Rules that a form has room for.
const MOST: usize = 20;
/// What is left free in a form for another rule's uses, and for more of one that there is.
const FREE: usize = 2;
/// Parts of the list of provider keys that are looked through.
const PARTS: usize = 5;

/// What every field's name begins with.
pub(super) const FIELDS: &str = "rule";

/// A rule as the form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    target: String,
    /// `managed`, or `user:` or `managed:` and a provider key's id.
    uses: Vec<String>,
}

fn target_field(rule: usize) -> String {
    format!("{FIELDS}.{rule}.for")
}

fn use_field(rule: usize, place: usize) -> String {
    format!("{FIELDS}.{rule}.use.{place}")
}

/// The rules of a configuration.
fn of(configuration: &Value) -> Vec<Rule> {
    let rules = list(&configuration["router"], "rules").iter();
    let one = |rule: &Value| Rule {
        target: target(rule).to_owned(),
        uses: list(rule, "steps").iter().flat_map(uses).collect(),
    };
    rules.map(one).collect()
}

/// What a rule is for.
fn target(rule: &Value) -> &str {
    let model = rule["model"].as_str();
    model.unwrap_or_else(|| text(rule, "provider"))
}

/// What a step uses, in order.
fn uses(step: &Value) -> Vec<String> {
    let kind = text(step, "type");
    match step["keys"].as_array() {
        None => vec![kind.to_owned()],
        Some(keys) => {
            let ids = keys.iter().map(|key| text(key, "id"));
            ids.map(|id| format!("{kind}:{id}")).collect()
        }
    }
}

/// The rules as they were sent, each with its number in the form; those that say nothing are left out.
fn typed(visit: &Visit) -> Vec<(usize, Rule)> {
    let numbers: BTreeSet<usize> = numbers(visit, FIELDS);
    let one = |number: usize| {
        let places = numbers_of_uses(visit, number).into_iter();
        let uses = places.map(|place| visit.sent(&use_field(number, place)).to_owned());
        let rule = Rule {
            target: visit.sent(&target_field(number)).to_owned(),
            uses: uses.filter(|one| !one.is_empty()).collect(),
        };
        (number, rule)
    };
    let all = numbers.into_iter().map(one);
    all.filter(|(_, rule)| *rule != Rule::default()).collect()
}

fn numbers_of_uses(visit: &Visit, rule: usize) -> BTreeSet<usize> {
    numbers(visit, &format!("{FIELDS}.{rule}.use"))
}

/// The numbers that follow this in the names of what was sent; not more of them than any form has.
pub(super) fn numbers(visit: &Visit, before: &str) -> BTreeSet<usize> {
    let names = visit.form.iter().map(|(name, _)| name);
    let numbers = names.filter_map(|name| {
        let rest = name.strip_prefix(before)?.strip_prefix('.')?;
        rest.split('.').next()?.parse().ok()
    });
    numbers.filter(|number| *number < 1_000).collect()
}

/// The provider keys that rules may name.
pub(super) async fn keys(visit: &Visit) -> Result<Vec<Value>, Fault> {
    let mut all = Vec::new();
    let mut before = String::new();
    for _ in 0..PARTS {
        let pairs = [("beforeId", &*before)];
        let part = visit.own("/provider-keys", &pairs).await?;
        all.extend_from_slice(list(&part, "aiGatewayProviderKeys"));
        match visit::cursor(&part) {
            Some((_, next)) => before = next,
            None => break,
        }
    }
    Ok(all)
}

/// What the fields begin with, for a configuration as it is.
pub(super) fn begin(configuration: &Value) -> Vec<(String, String)> {
    let mut begin = Vec::new();
    for (number, rule) in of(configuration).into_iter().enumerate() {
        begin.push((target_field(number), rule.target));
        let uses = rule.uses.into_iter().enumerate();
        begin.extend(uses.map(|(place, used)| (use_field(number, place), used)));
    }
    begin
}

/// The fields. `was_sent`: they are those of a form that was refused.
pub(super) fn fields(
    visit: &Visit,
    form: &Form<'_>,
    was_sent: bool,
    configuration: &Value,
    keys: &[Value],
) -> Markup {
    let now = of(configuration);
    if now.len() > MOST {
        return html! {
            p.hint {
                "Its routing rules are too many for a form: change them with "
                code { "tollgate access-key-configurations update --router" } " or the API."
            }
        };
    }
    let sent = match was_sent {
        true => typed(visit),
        false => Vec::new(),
    };
    let last = sent.last().map_or(0, |(number, _)| number + 1);
    let count = now.len().max(last).min(MOST);
    html! {
        fieldset {
            legend { "Routing" }
            p.hint {
                "Whose provider keys serve, for a provider or one model of it. Without a rule the account's own do, in their order, and then the operator's."
            }
            @for number in 0..(count + 1).min(MOST) {
                @let rule = sent.iter().find(|(sent, _)| *sent == number).map(|(_, rule)| rule);
                @let rule = rule.or_else(|| now.get(number).filter(|_| !was_sent));
                (one(visit, form, (number, was_sent), rule, keys))
            }
        }
    }
}

fn one(
    visit: &Visit,
    form: &Form<'_>,
    (number, was_sent): (usize, bool),
    rule: Option<&Rule>,
    keys: &[Value],
) -> Markup {
    let target = rule.map_or("", |rule| &*rule.target);
    let used = rule.map_or(&[][..], |rule| &rule.uses);
    let last = numbers_of_uses(visit, number).last().copied();
    let last = last.filter(|_| was_sent).map_or(0, |last| last + 1);
    let choices = choices(target, used, keys);
    let choices: Vec<(&str, &str)> = choices
        .iter()
        .map(|(value, words)| (&**value, &**words))
        .collect();
    html! {
        fieldset.rule {
            legend { @if rule.is_some() { "Rule " (number + 1) } @else { "Another rule" } }
            (form.line(&target_field(number), "For", "A provider, as in openai, or one model of it, as in openai:gpt-4o", false))
            div.columns {
                @for place in 0..last.max(used.len() + FREE) {
                    (form.choice(&use_field(number, place), if place == 0 { "First" } else { "Then" }, "", &choices))
                }
            }
        }
    }
}

/// What a rule may use: the keys of its provider, if that has some, and what it uses now.
fn choices(target: &str, used: &[String], keys: &[Value]) -> Vec<(String, String)> {
    let provider = target.split([':', '/']).next().unwrap_or_default();
    let has_keys = keys.iter().any(|key| text(key, "providerId") == provider);
    let mut choices = vec![
        (String::new(), "Nothing".to_owned()),
        (
            "managed".to_owned(),
            "All of the operator's keys".to_owned(),
        ),
    ];
    let fitting = keys
        .iter()
        .filter(|key| !has_keys || text(key, "providerId") == provider);
    choices.extend(fitting.map(|key| {
        let (kind, whose) = match text(key, "keySource") {
            "managed" => ("managed", "the operator's"),
            _ => ("user", "the account's"),
        };
        let (name, provider) = (text(key, "name"), text(key, "providerId"));
        let value = format!("{kind}:{}", text(key, "id"));
        (value, format!("{name} of {provider}, {whose}"))
    }));
    for used in used {
        if !choices.iter().any(|(value, _)| value == used) {
            choices.push((used.clone(), used.replacen(':', ": ", 1)));
        }
    }
    choices
}

/// The router that was sent, for a configuration as it is; `None` leaves it as it is.
pub(super) fn sent(visit: &Visit, now: &Value) -> Option<Value> {
    let has_fields = visit.form.iter().any(|(name, _)| {
        name.strip_prefix(FIELDS)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    let typed: Vec<Rule> = typed(visit).into_iter().map(|(_, rule)| rule).collect();
    if !has_fields || typed == of(now) {
        return None;
    }
    if typed.is_empty() {
        return Some(Value::Null);
    }
    let known = list(&now["router"], "rules");
    let rules: Vec<Value> = typed.iter().map(|rule| body(rule, known)).collect();
    Some(json!({ "rules": rules }))
}

fn body(rule: &Rule, known: &[Value]) -> Value {
    let mut body = Map::new();
    if rule.target.contains([':', '/']) {
        // Of a rule that says both, both are kept.
        let same = known
            .iter()
            .find(|known| text(known, "model") == rule.target);
        if let Some(provider) = same.and_then(|same| same["provider"].as_str()) {
            body.insert("provider".to_owned(), provider.into());
        }
        body.insert("model".to_owned(), rule.target.clone().into());
    } else if !rule.target.is_empty() {
        body.insert("provider".to_owned(), rule.target.clone().into());
    }
    let steps = steps(rule, known).into_iter();
    let steps: Vec<Value> = steps.map(|(step, _)| step).collect();
    body.insert("steps".to_owned(), steps.into());
    body.into()
}

/// The steps of a rule, each with the places of its uses among the rule's. One that selects keys in another way than by
/// their order is as it was, as long as its uses are.
fn steps(rule: &Rule, known: &[Value]) -> Vec<(Value, Vec<usize>)> {
    let same = known.iter().find(|known| target(known) == rule.target);
    let selecting = same.map(|same| list(same, "steps")).unwrap_or_default();
    let selecting = selecting.iter().filter(|step| selects(step));
    let selecting: Vec<(&Value, Vec<String>)> = selecting.map(|step| (step, uses(step))).collect();

    let mut steps: Vec<(Value, Vec<usize>)> = Vec::new();
    let mut place = 0;
    // Whether the last step takes more keys of its kind.
    let mut is_open = false;
    while let Some(used) = rule.uses.get(place) {
        let rest = &rule.uses[place..];
        if let Some((step, uses)) = selecting.iter().find(|(_, uses)| rest.starts_with(uses)) {
            steps.push((as_sent(step), (place..place + uses.len()).collect()));
            (place, is_open) = (place + uses.len(), false);
            continue;
        }
        match (used.split_once(':'), steps.last_mut()) {
            (Some((kind, id)), Some((last, places))) if is_open && last["type"] == kind => {
                if let Some(keys) = last["keys"].as_array_mut() {
                    keys.push(json!({ "id": id }));
                }
                places.push(place);
            }
            (Some((kind, id)), _) => {
                steps.push((json!({"type": kind, "keys": [{ "id": id }]}), vec![place]));
                is_open = true;
            }
            (None, _) => {
                steps.push((json!({ "type": used }), vec![place]));
                is_open = false;
            }
        }
        place += 1;
    }
    steps
}

/// Whether a step selects its keys in another way than by their order.
fn selects(step: &Value) -> bool {
    let has_keys = !list(step, "keys").is_empty();
    has_keys && !matches!(text(step, "keySelectionStrategy"), "" | "ordered")
}

/// A step that is shown, as it is sent.
fn as_sent(step: &Value) -> Value {
    let only = |from: &Value, members: &[&str]| -> Value {
        let there = members.iter().filter(|member| !from[**member].is_null());
        let there = there.map(|member| ((*member).to_owned(), from[*member].clone()));
        Value::Object(there.collect())
    };
    let mut sent = only(step, &["type", "keySelectionStrategy"]);
    let keys = list(step, "keys").iter();
    sent["keys"] = keys.map(|key| only(key, &["id", "weight"])).collect();
    sent
}

/// The fault with the rules called as their fields are, of a configuration as it is.
pub(super) fn at_fields(visit: &Visit, now: &Value, mut fault: Fault) -> Fault {
    let (typed, known) = (typed(visit), list(&now["router"], "rules"));
    let details = std::mem::take(&mut fault.details).into_iter();
    let renamed = details.map(|(field, what)| {
        let place = field.strip_prefix("router.rules.");
        let place = place.and_then(|rest| field_of(visit, &typed, known, rest));
        (place.unwrap_or(field), what)
    });
    fault.details = renamed.collect();
    fault
}

/// The form's field of what the API calls `router.rules.<rest>`, as in `0.steps.1.keys.0.id`.
fn field_of(visit: &Visit, typed: &[(usize, Rule)], known: &[Value], rest: &str) -> Option<String> {
    let mut parts = rest.split('.');
    let (number, rule) = typed.get(parts.next()?.parse::<usize>().ok()?)?;
    if parts.next() != Some("steps") {
        return Some(target_field(*number));
    }
    let step = parts.next().and_then(|step| step.parse::<usize>().ok());
    let key = parts.nth(1).and_then(|key| key.parse::<usize>().ok());
    let steps = steps(rule, known);
    let places = step
        .and_then(|step| steps.get(step))
        .map(|(_, places)| places);
    let place = places.and_then(|places| places.get(key.unwrap_or(0)).or(places.first()));
    // Uses may have free fields between them.
    let filled = numbers_of_uses(visit, *number).into_iter();
    let mut filled = filled.filter(|place| !visit.sent(&use_field(*number, *place)).is_empty());
    let field = filled.nth(place.copied().unwrap_or(0)).unwrap_or(0);
    Some(use_field(*number, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_of_one_kind_in_a_row_are_one_step() {
        let configuration = json!({"router": {"rules": [
            {"provider": "openai", "model": "openai:x", "steps": [
                {"type": "user", "keys": [{"id": "a"}, {"id": "b"}]},
                {"type": "managed"},
                {"type": "managed", "keys": [{"id": "c"}]},
                {"type": "user", "keys": [{"id": "a"}]},
            ]},
        ]}});
        let rules = of(&configuration);
        let uses = ["user:a", "user:b", "managed", "managed:c", "user:a"];
        assert_eq!(
            (&*rules[0].target, &rules[0].uses[..]),
            ("openai:x", &uses.map(str::to_owned)[..])
        );
        let known = list(&configuration["router"], "rules");
        assert_eq!(body(&rules[0], known), known[0]);
    }

    #[test]
    fn a_step_that_shares_sessions_goes_on_sharing_them() {
        let shown = |id: &str, weight: u32| json!({"id": id, "name": "n", "keyRedacted": "r", "weight": weight});
        let configuration = json!({"router": {"rules": [
            {"model": "openai:x", "steps": [
                {"type": "user", "keySelectionStrategy": "ordered", "keys": [{"id": "c"}]},
                {"type": "user", "keySelectionStrategy": "session", "keys": [shown("a", 3), shown("b", 1)]},
            ]},
        ]}});
        let known = list(&configuration["router"], "rules");
        let sharing = json!({"type": "user", "keySelectionStrategy": "session",
            "keys": [{"id": "a", "weight": 3}, {"id": "b", "weight": 1}]});
        let mut rule = of(&configuration).remove(0);
        rule.uses.push("user:d".to_owned());
        let one = |id: &str| json!({"type": "user", "keys": [{ "id": id }]});
        assert_eq!(
            body(&rule, known)["steps"],
            json!([one("c"), sharing, one("d")])
        );
        let places: Vec<Vec<usize>> = steps(&rule, known).into_iter().map(|(_, at)| at).collect();
        assert_eq!(places, [vec![0], vec![1, 2], vec![3]]);
        rule.uses.remove(2);
        let keys = json!(["c", "a", "d"].map(|id| json!({ "id": id })));
        assert_eq!(
            body(&rule, known)["steps"],
            json!([{"type": "user", "keys": keys}]),
            "another choice of keys is one in order"
        );
    }
}
