//! What chat providers give along with words and calls, and want back as it was: OpenRouter's `reasoning_details` and
//! Google's `extra_content`.
//!
//! Wire facts: openrouter.ai/docs, "Preserving reasoning"; ai.google.dev/gemini-api/docs/thought-signatures.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::json::str_of;
use super::super::neutral::{Content, Event, Field, Kind, Proof, Thinking, Turn};
use super::super::sink::Sink;
use super::super::{Lost, Target};
use super::parts::thinking_value;
use crate::reasoning::Thoughts;
use crate::report::lenient::Raw;

/// What Google takes for the signature of a call that none of its models made (thought-signatures, "FAQs").
const SKIP: &str = "skip_thought_signature_validator";

/// What stands for the thoughts of another provider's turn: a text that says nothing, where one must be.
const UNTOLD: &str = " ";

/// Details of a thought, put together from fragments.
#[derive(Debug, Default)]
pub(super) struct Details(pub(super) Vec<Value>);

impl Details {
    /// The details of a whole message.
    pub(super) fn of(value: Option<&Value>) -> Details {
        let list = value.and_then(Value::as_array);
        Details(list.cloned().unwrap_or_default())
    }

    /// Adds fragments. Words of the same place and kind are one text, and its signature comes with one of its fragments.
    pub(super) fn add(&mut self, fragments: Details) {
        for fragment in fragments.0 {
            let same = |last: &&mut Value| {
                let encrypted = str_of(last, "type").ends_with("encrypted");
                !encrypted
                    && ["type", "index"]
                        .iter()
                        .all(|key| last.get(key) == fragment.get(key))
            };
            match (self.0.last_mut().filter(same), fragment) {
                (Some(Value::Object(last)), Value::Object(more)) => extend(last, more),
                (_, fragment @ Value::Object(_)) => self.0.push(fragment),
                _ => {}
            }
        }
    }

    /// Their words.
    pub(super) fn words(&self) -> String {
        self.0.iter().map(word).collect()
    }

    /// What they prove; `None` if they are words only.
    pub(super) fn proof(&self) -> Option<Proof> {
        let proves = |detail: &Value| {
            ["signature", "data"]
                .iter()
                .any(|key| !str_of(detail, key).is_empty())
        };
        let list = || Value::Array(self.0.clone()).to_string();
        self.0.iter().any(proves).then(|| Proof::Details(list()))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn word(detail: &Value) -> &str {
    match str_of(detail, "text") {
        "" => str_of(detail, "summary"),
        text => text,
    }
}

fn extend(last: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (last.get_mut(&key), value) {
            (Some(Value::String(all)), Value::String(text))
                if matches!(key.as_str(), "text" | "summary") =>
            {
                all.push_str(&text);
            }
            (_, Value::Null) => {}
            (_, value) => {
                last.insert(key, value);
            }
        }
    }
}

/// What the `extra_content` of a call proves, or that of a message.
pub(super) fn extra_proof(call: Option<&str>, content: Option<&Value>) -> Option<Proof> {
    let content = content?.as_object().filter(|map| !map.is_empty())?;
    // Google marks the text of thoughts there too, which proves nothing.
    let signs = |of: &Value| !str_of(of, "thought_signature").is_empty();
    (call.is_some() || content.values().any(signs)).then(|| Proof::Extra {
        call: call.map(str::to_owned),
        content: Value::Object(content.clone()).to_string(),
    })
}

/// Tells what the `extra_content` of the next call proves, or that of the message; `next` is the next block's index.
pub(super) fn extra(call: Option<&str>, content: Raw<'_>, next: &mut u32, sink: Sink<'_>) {
    let content: Value = content.read();
    if let Some(proof) = extra_proof(call, Some(&content)) {
        sink(&Event::Open(*next, Kind::Proof(&proof)));
        sink(&Event::Close(*next));
        *next += 1;
    }
}

/// The thoughts of a turn, as its message has them.
#[derive(Debug, Default)]
pub(super) struct ReasoningMembers {
    words: String,
    blocks: Vec<Value>,
    details: Vec<Value>,
    extra: Option<Value>,
    /// By the ids of the calls that they belong to.
    of_calls: HashMap<String, Value>,
}

impl ReasoningMembers {
    /// Whether anything is known of them.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.blocks.is_empty() && self.details.is_empty()
    }

    /// Adds a thought, where the target takes one of its kind.
    pub(super) fn add(&mut self, thinking: &Thinking, target: &Target<'_>, lost: &mut Lost) {
        match &thinking.proof {
            Proof::Details(list) if target.takes_thoughts(Thoughts::Details) => {
                let list: Vec<Value> = serde_json::from_str(list).unwrap_or_default();
                self.details.extend(list);
            }
            Proof::Extra { call, content } if target.takes_thoughts(Thoughts::Signature) => {
                let content = serde_json::from_str::<Map<_, _>>(content).unwrap_or_default();
                match call {
                    None => self.extra = Some(content.into()),
                    Some(call) => {
                        let of_call = self.of_calls.entry(target.call_id(call));
                        of_call.or_insert_with(|| content.into());
                    }
                }
            }
            Proof::None | Proof::Signature(_) | Proof::Redacted(_) | Proof::Encrypted { .. }
                if target.extensions =>
            {
                self.words.push_str(&thinking.text);
                self.blocks.push(thinking_value(thinking));
            }
            // Thoughts without a proof came from a chat provider, which may want them back.
            Proof::None if words_key(target).is_some() => self.words.push_str(&thinking.text),
            _ => lost.add(Field::Thinking),
        }
    }

    /// Puts them into the message, whose calls are there already, with what stands for those that another provider kept.
    pub(super) fn put(self, message: &mut Map<String, Value>, target: &Target<'_>) {
        if !self.words.is_empty() {
            let key = words_key(target).unwrap_or("reasoning_content");
            message.insert(key.to_owned(), self.words.into());
        }
        let lists = [
            ("thinking_blocks", self.blocks),
            ("reasoning_details", self.details),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            message.insert(key.to_owned(), list.into());
        }
        if let Some(extra) = self.extra {
            message.insert("extra_content".to_owned(), extra);
        }
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten() {
            if let Some(content) = self.of_calls.get(str_of(call, "id")) {
                call["extra_content"] = content.clone();
            }
        }
        stand_in(message, target);
    }
}

/// The members of an assistant's message that have thoughts, and who takes each.
pub(crate) const THOUGHTS: [(&str, &[Thoughts]); 5] = [
    ("reasoning_content", &[Thoughts::Content, Thoughts::Details]),
    ("reasoning", &[Thoughts::Words, Thoughts::Details]),
    ("reasoning_details", &[Thoughts::Details]),
    ("thinking_blocks", &[]),
    ("extra_content", &[Thoughts::Signature]),
];

/// Where a target takes thoughts in words alone.
fn words_key(target: &Target<'_>) -> Option<&'static str> {
    match target.thoughts() {
        Some(Thoughts::Words | Thoughts::Details) => Some("reasoning"),
        Some(Thoughts::Nowhere | Thoughts::Signature) => None,
        Some(Thoughts::Content) => Some("reasoning_content"),
        None => (!target.openai).then_some("reasoning_content"),
    }
}

/// Puts what stands for thoughts into an assistant's message with calls that has none where the model wants some;
/// whether any was missing.
pub(crate) fn stand_in(message: &mut Map<String, Value>, target: &Target<'_>) -> bool {
    let Some(Value::Array(calls)) = message.get_mut("tool_calls") else {
        return false;
    };
    match target.thoughts() {
        // One signature of the calls that are made together is enough.
        Some(Thoughts::Signature)
            if calls.iter().all(|call| call.get("extra_content").is_none()) =>
        {
            let Some(first) = calls.first_mut().filter(|first| first.is_object()) else {
                return false;
            };
            first["extra_content"] = json!({"google": {"thought_signature": SKIP}});
            true
        }
        Some(Thoughts::Content) if !calls.is_empty() => {
            let told = message.get("reasoning_content").and_then(Value::as_str);
            if told.is_some_and(|told| !told.is_empty()) {
                return false;
            }
            message.insert("reasoning_content".to_owned(), UNTOLD.into());
            true
        }
        _ => false,
    }
}

/// Collects the thoughts of a turn into the members that carry them.
pub(super) fn reasoning_members(
    turn: &Turn,
    target: &Target<'_>,
    lost: &mut Lost,
) -> ReasoningMembers {
    let mut members = ReasoningMembers::default();
    for block in &turn.blocks {
        if let Content::Thinking(thinking) = &block.content {
            members.add(thinking, target, lost);
        }
    }
    members
}
