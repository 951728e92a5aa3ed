//! Thoughts that this gateway sealed for a client, on a request that is not translated.
//!
//! A conversation that was answered by an OpenAI model one turn may be answered by Anthropic's the next, on
//! the client's own surface, where bytes pass untouched: the provider would refuse the seal as a signature
//! that is not its own. And OpenAI refuses members of chat messages that it does not know.

use serde_json::Value;

use super::Surface;
use super::json::str_of;
use super::neutral::Proof;

const MARK: &[u8] = b"\"tollgate.";

/// Where a chat message has thoughts that are not its provider's.
const THINKING_BLOCKS: &[u8] = b"\"thinking_blocks\"";

/// The body without thoughts that another provider's model thought; `None` if there are none, which costs no
/// more than a search through the bytes. For requests that go to the client's own surface.
pub fn without_foreign_thoughts(surface: Surface, body: &[u8]) -> Option<Vec<u8>> {
    let needle = match surface {
        Surface::ChatCompletions => THINKING_BLOCKS,
        _ => MARK,
    };
    memchr::memmem::find(body, needle)?;
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let mut found = false;
    match surface {
        Surface::Messages => {
            let turns = value.get_mut("messages")?.as_array_mut()?;
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
                found |= blocks.len() != before;
            }
            turns.retain(|turn| {
                turn.get("content")
                    .and_then(Value::as_array)
                    .is_none_or(|blocks| !blocks.is_empty())
            });
        }
        Surface::Responses => {
            let items = value.get_mut("input")?.as_array_mut()?;
            let before = items.len();
            items.retain(|item| {
                str_of(item, "type") != "reasoning"
                    || Proof::open(str_of(item, "encrypted_content")).is_none()
            });
            found = items.len() != before;
        }
        Surface::ChatCompletions => {
            let messages = value.get_mut("messages")?.as_array_mut()?;
            for message in messages.iter_mut().filter_map(Value::as_object_mut) {
                if let Some(blocks) = message.shift_remove("thinking_blocks") {
                    found = true;
                    // Thoughts in words alone are the provider's own, and some want them back.
                    let own = |block: &Value| {
                        Proof::open(str_of(block, "signature")) == Some(Proof::None)
                    };
                    let blocks = blocks.as_array().map(Vec::as_slice).unwrap_or_default();
                    if !blocks.iter().all(own) {
                        message.shift_remove("reasoning_content");
                    }
                }
            }
        }
        Surface::Completions | Surface::Embeddings => {}
    }
    found.then(|| value.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_sealed_thoughts_are_taken_out() {
        let seal = Proof::None.seal();
        let body = json!({"messages": [{"role": "assistant", "content": [
            {"type": "thinking", "thinking": "a", "signature": seal},
            {"type": "thinking", "thinking": "b", "signature": "EqoB"},
            {"type": "text", "text": "c"},
        ]}]});
        let clean = without_foreign_thoughts(Surface::Messages, body.to_string().as_bytes());
        let clean: Value = serde_json::from_slice(&clean.expect("there is one")).expect("JSON");
        let left = clean["messages"][0]["content"].as_array().map(Vec::len);
        assert_eq!(left, Some(2), "{clean}");
        let body = json!({"messages": [{
            "role": "assistant", "content": "c", "reasoning_content": "b",
            "thinking_blocks": [{"type": "thinking", "thinking": "b", "signature": "EqoB"}],
        }]});
        let clean = without_foreign_thoughts(Surface::ChatCompletions, body.to_string().as_bytes());
        let clean: Value = serde_json::from_slice(&clean.expect("there is one")).expect("JSON");
        let expected = json!({"messages": [{"role": "assistant", "content": "c"}]});
        assert_eq!(clean, expected);
        let none = json!({"messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(
            without_foreign_thoughts(Surface::Messages, none.to_string().as_bytes()),
            None
        );
    }
}
