//! Cache marks.
//!
//! Source: "Prompt caching": at most four marks, and a longer life before a shorter one. What is written to the cache costs
//! 1.25 times as much as without, what is read of it a tenth, and a mark behind less than the model's least (1,024 tokens
//! or more) does nothing and costs nothing.

use std::io;

use serde_json::{Map, Value, json};

use super::super::json::put;
use super::super::neutral::{CacheMark, Conversation, Field, Role};
use super::super::{Lost, Target};

/// Most marks of a request, the whole request's own included.
const MOST: usize = 4;

/// A cache mark.
pub(super) fn cache_control(mark: &CacheMark) -> Value {
    match mark.ttl.as_deref() {
        None => json!({"type": "ephemeral"}),
        Some("5m") => json!({"type": "ephemeral", "ttl": "5m"}),
        // OpenAI's are 30m and 12h.
        Some(_) => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// OpenAI caches by itself, and its cache key says that the client counts on it; Anthropic caches what is
/// marked, by itself if the whole request is.
pub(super) fn write_cache(
    c: &Conversation,
    target: &Target<'_>,
    body: &mut Map<String, Value>,
    lost: &mut Lost,
) {
    let asked = c.cache_key.is_some() || c.cache_retention.is_some();
    let mark = match &c.cache {
        Some(mark) => Some(mark.clone()),
        None if asked && target.is_claude() => Some(CacheMark {
            ttl: (c.cache_retention.as_deref() == Some("24h")).then(|| "1h".to_owned()),
        }),
        None => {
            lost.add_if(Field::CacheKey, c.cache_key.is_some());
            lost.add_if(Field::CacheRetention, c.cache_retention.is_some());
            None
        }
    };
    put(body, "cache_control", mark.as_ref().map(cache_control));
    keep_to_the_rules(body, lost);
    if target.cache_marks && target.is_claude() && pays(c, body) {
        add_marks(body);
    }
}

/// Bytes of a prompt below which no model keeps it, about.
const WORTH: usize = 4 * 1024;

/// Whether marks pay: nobody has set one, the request is one of several that begin alike, as a conversation's or an
/// agent's are, and long enough to be kept.
fn pays(c: &Conversation, body: &mut Map<String, Value>) -> bool {
    let goes_on = !c.tools.is_empty() || c.turns.iter().any(|turn| turn.role == Role::Assistant);
    let mut marked = false;
    each(body, &mut |_| marked = true);
    if marked || !goes_on {
        return false;
    }
    let mut room = Room { left: WORTH };
    let parts = ["tools", "system", "messages"];
    let mut parts = parts.iter().filter_map(|part| body.get(*part));
    parts.any(|part| serde_json::to_writer(&mut room, part).is_err())
}

/// A place for so many bytes, beyond which nothing is written.
struct Room {
    left: usize,
}

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or(io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Marks what other conversations share, the tools and the system prompt, and the user's last two turns: the earlier one
/// is where the last request ended, the later one where the next will go on.
fn add_marks(body: &mut Map<String, Value>) {
    for part in ["tools", "system"] {
        let blocks = body.get_mut(part).and_then(Value::as_array_mut);
        blocks.into_iter().for_each(|blocks| mark_last(blocks));
    }
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    let messages = messages.into_iter().flatten().rev();
    let of_user = messages.filter(|message| message["role"] == "user");
    for message in of_user.take(2) {
        let blocks = message.get_mut("content").and_then(Value::as_array_mut);
        blocks.into_iter().for_each(|blocks| mark_last(blocks));
    }
}

fn mark_last(blocks: &mut [Value]) {
    let last = blocks.last_mut().filter(|last| last["text"] != "");
    if let Some(Value::Object(last)) = last {
        last.insert(
            "cache_control".to_owned(),
            cache_control(&CacheMark::default()),
        );
    }
}

/// Takes marks away that are too many, from the second on, because the last ones cover what is before them; and makes
/// none live longer than one before it.
fn keep_to_the_rules(body: &mut Map<String, Value>, lost: &mut Lost) {
    let mut count = 0_usize;
    each(body, &mut |_| count += 1);
    let too_many = count.saturating_sub(MOST);
    let (mut at, mut short, mut changed) = (0, false, too_many > 0);
    each(body, &mut |marked| {
        at += 1;
        if (2..2 + too_many).contains(&at) {
            marked.shift_remove("cache_control");
            return;
        }
        let Some(Value::Object(mark)) = marked.get_mut("cache_control") else {
            return;
        };
        if mark.get("ttl").is_none_or(|ttl| ttl == "5m") {
            short = true;
        } else if short {
            mark.shift_remove("ttl");
            changed = true;
        }
    });
    lost.add_if(Field::CacheControl, changed);
}

/// Shows everything that has a mark, in the order of the prompt; the whole request is last.
fn each(body: &mut Map<String, Value>, look: &mut dyn FnMut(&mut Map<String, Value>)) {
    for key in ["tools", "system", "messages"] {
        if let Some(value) = body.get_mut(key) {
            inside(value, look);
        }
    }
    if body.contains_key("cache_control") {
        look(body);
    }
}

fn inside(value: &mut Value, look: &mut dyn FnMut(&mut Map<String, Value>)) {
    for value in value.as_array_mut().into_iter().flatten() {
        let Some(map) = value.as_object_mut() else {
            continue;
        };
        if let Some(content) = map.get_mut("content") {
            inside(content, look);
        }
        if map.contains_key("cache_control") {
            look(map);
        }
    }
}
