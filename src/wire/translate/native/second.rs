//! What is said of thinking to a model that the client named second: it was written for the first one, which may take
//! other efforts, and take them in another way.

use serde_json::{Map, Value, json};

use super::super::json::str_of;
use super::super::messages::{LEAST_BUDGET, budget_of, effort_of, lacks_its_thought};
use super::super::neutral::Field;
use super::super::target::ThinkingStyle;
use super::super::{Lost, Target, Thinks};
use super::keep_no_thoughts;
use crate::reasoning::Effort;

/// Says an effort that the model takes in the place of one that it does not; whether anything is changed.
pub(super) fn effort(
    body: &mut Map<String, Value>,
    key: &str,
    target: &Target<'_>,
    lost: &mut Lost,
) -> bool {
    let said = body
        .get(key)
        .and_then(Value::as_str)
        .and_then(Effort::named);
    let Some(said) = said else {
        return false;
    };
    let nearest = target.effort(said);
    if nearest == Some(said) {
        return false;
    }
    match nearest {
        Some(nearest) => drop(body.insert(key.to_owned(), nearest.name().into())),
        None => drop(body.shift_remove(key)),
    }
    lost.add(Field::Effort);
    true
}

/// Asks a Claude model to think in the way of its version; whether anything is changed.
pub(super) fn claude(body: &mut Map<String, Value>, target: &Target<'_>, lost: &mut Lost) -> bool {
    if !target.is_claude() {
        return false;
    }
    let config = body.get("output_config");
    let said = config.and_then(|config| Effort::named(str_of(config, "effort")));
    let kind = body
        .get("thinking")
        .map(|thinking| str_of(thinking, "type").to_owned());
    let thinking = match (kind.as_deref(), target.thinking) {
        (Some("adaptive"), ThinkingStyle::Budget) => Some(enabled(body, said)),
        (Some("enabled"), ThinkingStyle::Adaptive { xhigh: true }) => {
            Some(Some(json!({"type": "adaptive"})))
        }
        (Some("disabled"), _) if target.thinks == Thinks::Always => Some(None),
        _ => None,
    };
    let mut changed = thinking.is_some();
    match thinking {
        Some(Some(thinking)) => drop(body.insert("thinking".to_owned(), thinking)),
        Some(None) => {
            body.shift_remove("thinking");
            keep_no_thoughts(body, lost);
        }
        None => {}
    }
    lost.add_if(Field::Thinks, changed);
    let told = match target.thinking {
        // Before efforts there were budgets only.
        ThinkingStyle::Budget if target.capabilities.efforts.is_none() => None,
        _ => said.and_then(|said| effort_of(said, target)),
    };
    if let Some(Value::Object(config)) = body.get_mut("output_config")
        && told != said
    {
        match told {
            Some(told) => drop(config.insert("effort".to_owned(), told.name().into())),
            None => drop(config.shift_remove("effort")),
        }
        if config.is_empty() {
            body.shift_remove("output_config");
        }
        lost.add(Field::Effort);
        changed = true;
    }
    changed
}

/// The budget that an effort amounts to, where there is room for one.
fn enabled(body: &Map<String, Value>, effort: Option<Effort>) -> Option<Value> {
    let most = body.get("max_tokens").and_then(Value::as_u64).unwrap_or(0);
    let budget = budget_of(effort).min(most.saturating_sub(1));
    let forced = body
        .get("tool_choice")
        .is_some_and(|choice| matches!(str_of(choice, "type"), "any" | "tool"));
    let turns = body.get("messages").and_then(Value::as_array);
    let thoughtless = turns.is_some_and(|turns| lacks_its_thought(turns));
    (budget >= LEAST_BUDGET && !forced && !thoughtless)
        .then(|| json!({"type": "enabled", "budget_tokens": budget}))
}
