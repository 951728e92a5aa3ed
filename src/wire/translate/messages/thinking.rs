//! How much to think, in the words of Anthropic's models.

use serde_json::{Map, Value, json};

use super::super::effort::{is_off, lose};
use super::super::json::put;
use super::super::neutral::{Conversation, Field};
use super::super::target::ThinkingStyle;
use super::super::{Lost, Target, Thinks};
use crate::reasoning::Effort;
use crate::vendor::Switch;

/// The smallest budget of tokens for thinking that is taken.
pub(crate) const LEAST_BUDGET: u64 = 1024;

/// What a request allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Most tokens of the answer.
    pub max_tokens: u64,
    /// Whether it may think at all: the provider refuses it where a tool must be called, and a budget for it where the
    /// last turn has no thought of its own.
    pub may_think: bool,
}

/// Says whether and how much to think; whether it will, as far as is asked.
pub(super) fn write_thinking(
    c: &Conversation,
    target: &Target<'_>,
    room: Room,
    body: &mut Map<String, Value>,
    config: &mut Map<String, Value>,
    lost: &mut Lost,
) -> bool {
    let r = &c.reasoning;
    let asked =
        r.enabled.is_some() || r.effort.is_some() || r.budget.is_some() || r.summary.is_some();
    let off = is_off(r);
    let wanted = asked && !off;
    if wanted && (!room.may_think || target.thinks == Thinks::Never) {
        lose(r, lost);
    }
    let switched = target.thinks == Thinks::Perhaps && target.rules.switch == Switch::Thinking;
    if off || !room.may_think {
        if target.thinks == Thinks::Unasked || (off && switched) {
            body.insert("thinking".to_owned(), json!({"type": "disabled"}));
        } else if off && target.thinks == Thinks::Always {
            lose(r, lost);
            put(
                config,
                "effort",
                effort_of(Effort::None, target).map(Effort::name),
            );
        }
        return false;
    }
    if !wanted || target.thinks == Thinks::Never {
        return false;
    }
    let mut thinking = Map::new();
    match target.thinking {
        ThinkingStyle::Adaptive { .. } => {
            thinking.insert("type".to_owned(), "adaptive".into());
            let said = r.effort.and_then(|said| effort_of(said, target));
            lost.add_if(Field::Effort, said != r.effort);
            put(config, "effort", said.map(Effort::name));
        }
        ThinkingStyle::Budget => {
            let budget = r.budget.unwrap_or_else(|| budget_of(r.effort));
            let most = target.capabilities.budget.and_then(|budget| budget.most);
            let most = most.map_or(u64::MAX, u64::from);
            let budget = budget.min(room.max_tokens.saturating_sub(1)).min(most);
            if budget < LEAST_BUDGET {
                lose(r, lost);
                return false;
            }
            thinking.insert("type".to_owned(), "enabled".into());
            thinking.insert("budget_tokens".to_owned(), budget.into());
        }
    }
    let shown = r.shown.or(r.summary.is_some().then_some(true));
    if let (Some(shown), true) = (shown, target.is_claude()) {
        let display = if shown { "summarized" } else { "omitted" };
        thinking.insert("display".to_owned(), display.into());
    }
    body.insert("thinking".to_owned(), thinking.into());
    true
}

/// The budget of tokens that an effort amounts to.
pub(crate) fn budget_of(effort: Option<Effort>) -> u64 {
    match effort {
        Some(Effort::None | Effort::Minimal) => 1024,
        Some(Effort::Low) => 4096,
        Some(Effort::Medium | Effort::Default) | None => 10_240,
        Some(Effort::High) => 20_480,
        Some(Effort::Xhigh | Effort::Max) => 32_000,
    }
}

/// The effort of a model that takes one: the nearest that it takes.
pub(crate) fn effort_of(wanted: Effort, target: &Target<'_>) -> Option<Effort> {
    let knows_xhigh = target.thinking == ThinkingStyle::Adaptive { xhigh: true };
    match wanted {
        Effort::Default => None,
        wanted if target.capabilities.efforts.is_some() => target.effort(wanted),
        Effort::None | Effort::Minimal => Some(Effort::Low),
        Effort::Xhigh if !knows_xhigh => Some(Effort::High),
        wanted => Some(wanted),
    }
}

/// Whether the last turn gives results to a turn that did not begin with a thought of Anthropic's, as after another
/// provider's turn, or is itself the beginning of an answer. A budget for thinking is refused then ("Extended thinking",
/// "Preserving thinking blocks").
pub(crate) fn lacks_its_thought(messages: &[Value]) -> bool {
    let first = |message: &Value| {
        let kind = message.pointer("/content/0/type").and_then(Value::as_str);
        kind.unwrap_or_default().to_owned()
    };
    let thinks = |message: &Value| first(message).ends_with("thinking");
    match messages {
        [.., last] if last["role"] == "assistant" => !thinks(last),
        [.., called, last] => first(last) == "tool_result" && !thinks(called),
        _ => false,
    }
}
