//! Server-sent events, read plainly: these tests know that line ends are LF.

use serde_json::Value;

/// One event, or a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The event's name, if it has one, and its data.
    Event(Option<String>, String),
    /// A comment.
    Comment(String),
}

/// Everything in a body; a last block without its blank line counts too.
pub fn items(body: &[u8]) -> Vec<Item> {
    let text = String::from_utf8_lossy(body);
    let mut items = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let mut name = None;
        let mut data: Option<String> = None;
        for line in block.lines() {
            if let Some(comment) = line.strip_prefix(':') {
                items.push(Item::Comment(comment.trim().to_owned()));
            } else if let Some(value) = line.strip_prefix("event:") {
                name = Some(value.trim().to_owned());
            } else if let Some(value) = line.strip_prefix("data:") {
                let before = data.take().map(|before| before + "\n").unwrap_or_default();
                data = Some(before + value.strip_prefix(' ').unwrap_or(value));
            }
        }
        if let Some(data) = data {
            items.push(Item::Event(name, data));
        }
    }
    items
}

/// The data of every event that is JSON.
pub fn json(body: &[u8]) -> Vec<Value> {
    let data = items(body).into_iter().filter_map(|item| match item {
        Item::Event(_, data) => serde_json::from_str(&data).ok(),
        Item::Comment(_) => None,
    });
    data.collect()
}

/// Number of comments.
pub fn comments(body: &[u8]) -> usize {
    items(body)
        .iter()
        .filter(|item| matches!(item, Item::Comment(_)))
        .count()
}

/// The text of a chat completion stream.
pub fn chat_text(body: &[u8]) -> String {
    let events = json(body);
    events
        .iter()
        .filter_map(|event| event.pointer("/choices/0/delta/content")?.as_str())
        .collect()
}

/// The error event of a stream, in any dialect.
pub fn error(body: &[u8]) -> Option<Value> {
    json(body)
        .into_iter()
        .find(|event| event.get("error").is_some_and(Value::is_object) || event["type"] == "error")
}
