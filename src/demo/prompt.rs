//! What a request asks for, whatever surface it came by.

use serde_json::{Map, Value};

/// A request, reduced to what the demo's answer depends on.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// The last text of the user.
    pub(super) user: String,
    /// What a tool returned, if that is the last thing in the conversation.
    pub(super) tool_result: Option<String>,
    /// The tools that may be called.
    pub(super) tools: Vec<Tool>,
    /// Whether a tool must be called.
    pub(super) choice: Choice,
    /// The JSON Schema that the answer must follow.
    pub(super) schema: Option<Value>,
    /// Words of the whole prompt.
    pub(super) words: usize,
    /// Whether the answer is streamed.
    pub(super) stream: bool,
    /// Whether a stream ends with a usage chunk (chat completions and completions).
    pub(super) include_usage: bool,
    /// Most words of the answer.
    pub(super) max_tokens: Option<usize>,
    /// What a response repeats of its request.
    pub(super) echo: Map<String, Value>,
}

/// A function that the model may call.
#[derive(Debug)]
pub(super) struct Tool {
    /// Its name.
    pub(super) name: String,
    /// JSON Schema of its arguments.
    pub(super) parameters: Value,
}

/// Whether a tool must be called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// The text decides.
    #[default]
    Auto,
    /// None may be.
    Never,
    /// Any must be.
    Any,
    /// This one must be.
    Named(String),
}

/// Words of a text: the demo's tokens.
pub(super) fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The text of a message's content: a string, or a list of parts of which those with text count.
pub(super) fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| {
                    part.as_str()
                        .or_else(|| part.get("text").and_then(Value::as_str))
                })
                .collect();
            texts.join(" ")
        }
        _ => String::new(),
    }
}

/// A top-level flag; absent is false.
pub(super) fn flag(body: &Value, name: &str) -> bool {
    body.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The first of these top-level fields that is a number of tokens.
pub(super) fn limit(body: &Value, names: &[&str]) -> Option<usize> {
    let limit = names
        .iter()
        .find_map(|name| body.get(*name).and_then(Value::as_u64))?;
    usize::try_from(limit).ok()
}

/// The elements of an array field; none if it is absent or something else.
pub(super) fn list<'a>(body: &'a Value, name: &str) -> &'a [Value] {
    body.get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A string field; empty if it is absent or something else.
pub(super) fn string<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The tools of a list whose entries have a `name`, and their parameters under `schema`.
pub(super) fn tools<'a>(entries: impl Iterator<Item = &'a Value>, schema: &str) -> Vec<Tool> {
    entries
        .filter_map(|entry| {
            let name = entry.get("name")?.as_str()?.to_owned();
            Some(Tool {
                name,
                parameters: entry.get(schema).cloned().unwrap_or(Value::Null),
            })
        })
        .collect()
}

/// A `tool_choice` in any dialect.
pub(super) fn choice(body: &Value) -> Choice {
    let Some(choice) = body.get("tool_choice") else {
        return Choice::Auto;
    };
    let kind = choice.as_str().unwrap_or_else(|| string(choice, "type"));
    match kind {
        "none" => Choice::Never,
        "required" | "any" => Choice::Any,
        "function" | "tool" => {
            let named = choice.get("function").unwrap_or(choice);
            Choice::Named(string(named, "name").to_owned())
        }
        _ => Choice::Auto,
    }
}
