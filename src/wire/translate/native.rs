//! Requests that go to the client's own surface, where bytes pass untouched but for what failing over makes necessary.
//!
//! A conversation that one provider answered one turn may be another's the next: what a thought of the one proves, the
//! other refuses, and some want thoughts of a turn that they never had. And a model that cannot think refuses a setting
//! of how hard. A model that the client named second gets the settings that it takes (`second`). Everything else is
//! between the client and its provider.

mod second;

use serde_json::{Map, Value};

use super::chat::{THOUGHTS, stand_in};
use super::json::str_of;
use super::messages::lacks_its_thought;
use super::neutral::{Field, Proof};
use super::{Lost, Surface, Target, Thinks};

/// A body with changes.
#[derive(Clone, Debug)]
pub struct Adapted {
    /// The body.
    pub body: Vec<u8>,
    /// What it lost, as in [`super::Translated::dropped`].
    pub dropped: Vec<String>,
}

/// Returns the body as the target takes it; `None` if it does already, which costs no more than a search through the
/// bytes. `second` says that the client named another model first.
pub fn adapted(
    surface: Surface,
    body: &[u8],
    target: &Target<'_>,
    second: bool,
) -> Option<Adapted> {
    let has = |needle: &str| memchr::memmem::find(body, needle.as_bytes()).is_some();
    let told = ["\"reasoning", "\"thinking\"", "\"output_config\""];
    let thinks = target.thinks == Thinks::Never && told.iter().any(|name| has(name));
    let marked = match surface {
        Surface::ChatCompletions => target.thoughts().is_some_and(|_| {
            let names = [
                "\"reasoning",
                "\"thinking_blocks\"",
                "\"extra_content\"",
                "\"tool_calls\"",
            ];
            names.iter().any(|name| has(name))
        }),
        Surface::Responses | Surface::Messages => has("\"tollgate."),
        Surface::Completions | Surface::Embeddings => return None,
    };
    let second = second && (has("effort\"") || has("\"thinking\""));
    if !marked && !thinks && !second {
        return None;
    }
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let map = value.as_object_mut()?;
    let mut lost = Lost::of(surface);
    let changed = match surface {
        Surface::Messages => messages(map, target, &mut lost),
        Surface::Responses => responses(map, target, &mut lost),
        _ => chat(map, target, &mut lost),
    };
    let changed = (second && for_another(surface, map, target, &mut lost)) | changed;
    changed.then(|| Adapted {
        body: value.to_string().into_bytes(),
        dropped: lost.names,
    })
}

/// What was written for another model.
fn for_another(
    surface: Surface,
    body: &mut Map<String, Value>,
    target: &Target<'_>,
    lost: &mut Lost,
) -> bool {
    match surface {
        Surface::Messages => second::claude(body, target, lost),
        Surface::Responses => match body.get_mut("reasoning") {
            Some(Value::Object(reasoning)) => second::effort(reasoning, "effort", target, lost),
            _ => false,
        },
        _ => second::effort(body, "reasoning_effort", target, lost),
    }
}

fn messages(body: &mut Map<String, Value>, target: &Target<'_>, lost: &mut Lost) -> bool {
    let mut changed = false;
    if let Some(Value::Array(turns)) = body.get_mut("messages") {
        for turn in turns.iter_mut() {
            let Some(blocks) = turn.get_mut("content").and_then(Value::as_array_mut) else {
                continue;
            };
            let before = blocks.len();
            blocks.retain(|block| match str_of(block, "type") {
                "thinking" => Proof::open(str_of(block, "signature")).is_none(),
                "redacted_thinking" => Proof::open(str_of(block, "data")).is_none(),
                _ => true,
            });
            changed |= blocks.len() != before;
        }
        turns.retain(|turn| {
            let blocks = turn.get("content").and_then(Value::as_array);
            blocks.is_none_or(|blocks| !blocks.is_empty())
        });
        lost.add_if(Field::Thinking, changed);
        let thoughtless = changed && lacks_its_thought(turns);
        let budgeted = body
            .get("thinking")
            .is_some_and(|it| str_of(it, "type") == "enabled");
        if thoughtless && budgeted {
            body.shift_remove("thinking");
            lost.add(Field::Thinks);
            keep_no_thoughts(body, lost);
        }
    }
    if target.thinks == Thinks::Never {
        let off = |it: &mut Value| str_of(it, "type") == "disabled";
        if !body.get_mut("thinking").is_none_or(off) {
            body.shift_remove("thinking");
            lost.add(Field::Thinks);
            keep_no_thoughts(body, lost);
            changed = true;
        }
        if let Some(Value::Object(config)) = body.get_mut("output_config")
            && config.shift_remove("effort").is_some()
        {
            lost.add(Field::Effort);
            changed = true;
        }
    }
    changed
}

/// Takes out what says which thoughts to keep, which is refused where there are none ("Context editing").
fn keep_no_thoughts(body: &mut Map<String, Value>, lost: &mut Lost) {
    let edits = body
        .get_mut("context_management")
        .and_then(|it| it.get_mut("edits"));
    let Some(Value::Array(edits)) = edits else {
        return;
    };
    let before = edits.len();
    edits.retain(|edit| !str_of(edit, "type").starts_with("clear_thinking"));
    let (after, changed) = (edits.len(), edits.len() != before);
    if after == 0 {
        body.shift_remove("context_management");
    }
    if changed {
        lost.name("context_management");
    }
}

fn responses(body: &mut Map<String, Value>, target: &Target<'_>, lost: &mut Lost) -> bool {
    let mut changed = false;
    if let Some(Value::Array(items)) = body.get_mut("input") {
        let before = items.len();
        items.retain(|item| {
            str_of(item, "type") != "reasoning"
                || Proof::open(str_of(item, "encrypted_content")).is_none()
        });
        changed = items.len() != before;
        lost.add_if(Field::Thinking, changed);
    }
    if target.thinks == Thinks::Never {
        if body
            .shift_remove("reasoning")
            .is_some_and(|it| !it.is_null())
        {
            lost.add(Field::Effort);
            changed = true;
        }
        if let Some(Value::Array(include)) = body.get_mut("include") {
            let before = include.len();
            include.retain(|what| what != "reasoning.encrypted_content");
            if include.len() != before {
                lost.name("include");
                changed = true;
            }
        }
    }
    changed
}

fn chat(body: &mut Map<String, Value>, target: &Target<'_>, lost: &mut Lost) -> bool {
    let mut changed = false;
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    let known = target.thoughts();
    for message in messages
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if message.get("role").is_none_or(|role| role != "assistant") {
            continue;
        }
        for (key, taken_by) in THOUGHTS {
            let refused =
                known.is_some_and(|known| !taken_by.contains(&known)) && !target.extensions;
            if !refused {
                continue;
            }
            let mut found = message.shift_remove(key).is_some();
            let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
            for call in calls.into_iter().flatten().filter_map(Value::as_object_mut) {
                found |= key == "extra_content" && call.shift_remove(key).is_some();
            }
            if found {
                lost.name(&format!("messages.{key}"));
                changed = true;
            }
        }
        changed |= stand_in(message, target);
    }
    if target.thinks == Thinks::Never {
        for key in ["reasoning_effort", "reasoning", "thinking"] {
            if body.shift_remove(key).is_some_and(|it| !it.is_null()) {
                lost.name(key);
                changed = true;
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests;
