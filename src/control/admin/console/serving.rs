//! How requests of a configuration are served: the fields of a form, what they make of a body, and how they are shown.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::forms::{Form, number};
use super::visit::Visit;

/// A field: where it stands in the API's body, its words, its hint, and what it is.
struct Field(&'static str, &'static str, &'static str, Kind);

enum Kind {
    Text,
    Number,
    /// One of several; what it means that nothing is chosen comes first.
    Choice(&'static [(&'static str, &'static str)]),
    /// A choice of yes or no, and what it means that nothing is chosen.
    Flag(&'static str),
    /// A list with one entry, or none.
    Entry(&'static [(&'static str, &'static str)]),
}

const AS_GATEWAY: &str = "As the gateway has it";

const FIELDS: [Field; 11] = [
    Field(
        "failover",
        "Failover",
        "Whether a failed candidate is followed by the next one",
        Kind::Flag(AS_GATEWAY),
    ),
    Field(
        "stopOn",
        "No other model after",
        "",
        Kind::Entry(&[
            ("", "Nothing"),
            ("content_filter", "A content filter's refusal"),
        ]),
    ),
    Field(
        "retry.same",
        "Tries of the last candidate again",
        "At most 3; empty is as the gateway has it",
        Kind::Number,
    ),
    Field(
        "retry.most",
        "Longest Retry-After that is waited for",
        "As in 3s, at most 30s",
        Kind::Text,
    ),
    Field(
        "hedge.atLeast",
        "Begin the next candidate beside a slow one after, at least",
        "As in 500ms; empty is never",
        Kind::Text,
    ),
    Field(
        "hedge.budgetPercent",
        "Requests that may be sent twice, of 100",
        "Empty is 2, if any",
        Kind::Number,
    ),
    Field(
        "commit",
        "An answer begins to leave",
        "From then on no other candidate is tried",
        Kind::Choice(&[
            ("", "With its first content"),
            ("whole", "When it is whole"),
        ]),
    ),
    Field(
        "priority",
        "Priority",
        "Where requests wait for quota",
        Kind::Choice(&[("", "Interactive"), ("batch", "Batch")]),
    ),
    Field(
        "cacheHints",
        "Cache hints in translated prompts",
        "Whether providers are told what to keep",
        Kind::Flag(AS_GATEWAY),
    ),
    Field(
        "idempotency.store",
        "Keep answers to requests with an Idempotency-Key for",
        "As in 24h, at most 720h; empty keeps none",
        Kind::Text,
    ),
    Field(
        "idempotency.joinRetries",
        "An SDK's retry gets the first one's answer",
        "While that is under way",
        Kind::Flag("No"),
    ),
];

/// The fields.
pub(super) fn fields(form: &Form<'_>) -> Markup {
    let flag = |none| [("", none), ("true", "On"), ("false", "Off")];
    html! {
        fieldset {
            legend { "How requests are served" }
            div.columns {
                @for Field(name, label, hint, kind) in &FIELDS {
                    @match kind {
                        Kind::Text | Kind::Number => { (form.line(name, label, hint, false)) },
                        Kind::Choice(choices) | Kind::Entry(choices) => { (form.choice(name, label, hint, choices)) },
                        Kind::Flag(none) => { (form.choice(name, label, hint, &flag(*none))) },
                    }
                }
            }
        }
    }
}

/// The names of the fields.
pub(super) fn names() -> [&'static str; FIELDS.len()] {
    FIELDS.map(|Field(name, ..)| name)
}

/// What the fields begin with, for a configuration as it is.
pub(super) fn begin(now: &Value) -> Vec<(String, String)> {
    let begin = FIELDS.iter().map(|Field(name, _, _, kind)| {
        let found = now.pointer(&format!("/{}", name.replace('.', "/")));
        let found = match kind {
            Kind::Entry(_) => found.and_then(|list| list.get(0)),
            _ => found,
        };
        let text = match found {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        ((*name).to_owned(), text)
    });
    let mut begin: Vec<_> = begin.collect();
    // One that takes all defaults is one.
    if now["hedge"].is_object() {
        let mut begin = begin.iter_mut();
        if let Some((_, text)) =
            begin.find(|(name, text)| name == "hedge.atLeast" && text.is_empty())
        {
            *text = "500ms".to_owned();
        }
    }
    begin
}

/// Puts what was sent into a body. `clears`: what is empty is put there as well, and clears what there is.
pub(super) fn put(visit: &Visit, body: &mut Map<String, Value>, clears: bool) {
    for Field(name, _, _, kind) in &FIELDS {
        let text = visit.sent(name);
        let (member, inner) = name.split_once('.').unwrap_or((name, ""));
        if text.is_empty() {
            if clears {
                body.entry(member).or_insert(Value::Null);
            }
            continue;
        }
        let value = match kind {
            Kind::Text | Kind::Choice(_) => text.into(),
            Kind::Number => number(text),
            Kind::Flag(_) => (text == "true").into(),
            Kind::Entry(_) => vec![text].into(),
        };
        if inner.is_empty() {
            body.insert(member.to_owned(), value);
        } else {
            body.entry(member).or_insert(Value::Null)[inner] = value;
        }
    }
}

/// What is not as the gateway has it, in words.
pub(super) fn words(now: &Value) -> Vec<String> {
    let begin = begin(now);
    let said = FIELDS
        .iter()
        .zip(&begin)
        .filter(|(_, (_, text))| !text.is_empty());
    said.map(|(Field(_, label, _, kind), (_, text))| {
        let text = match kind {
            Kind::Choice(choices) | Kind::Entry(choices) => {
                let found = choices.iter().find(|(value, _)| value == text);
                found.map_or(text.as_str(), |(_, words)| words)
            }
            Kind::Flag(_) if text == "true" => "on",
            Kind::Flag(_) => "off",
            Kind::Text | Kind::Number => text,
        };
        format!("{label}: {text}")
    })
    .collect()
}
