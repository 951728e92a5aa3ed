//! Writing the turns of a request.

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::chat::thinking_value;
use super::super::neutral::{
    Block, CacheMark, Call, Content, Conversation, Field, Proof, Role, Source, Turn,
};
use super::super::{Lost, Refusal, names};

/// Stands for what the user said before a conversation that begins with the assistant.
const BEFORE: &str = "(The conversation before this is not shown.)";

/// Asks a model that cannot be given the beginning of its answer to go on.
const GO_ON: &str = "Please go on.";

/// A cache mark.
pub(super) fn cache_control(mark: &CacheMark) -> Value {
    match mark.ttl.as_deref() {
        None => json!({"type": "ephemeral"}),
        Some("5m") => json!({"type": "ephemeral", "ttl": "5m"}),
        // OpenAI's are 30m and 12h.
        Some(_) => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// The system prompt, and the messages. Instructions in the middle become the user's words in their place,
/// marked as what they are: the role `system` there is taken by the newest models only, and moving them to
/// the front would change what they follow, and the cached prefix.
///
/// The first message must be the user's, and roles must alternate. `prefill` says whether the last may be the
/// assistant's, for the model to go on with; else the model is asked to go on.
pub(super) fn turns(
    c: &Conversation,
    prefill: bool,
    lost: &mut Lost,
) -> Result<(Vec<Value>, Vec<Value>), Refusal> {
    // The system prompt is text; with anything else in it, it is said in the user's place.
    let in_front = |turn: &Turn| {
        let text = |block: &Block| matches!(block.content, Content::Text(_) | Content::Refusal(_));
        turn.role.instructs() && turn.blocks.iter().all(text)
    };
    let first = c.turns.iter().position(|turn| !in_front(turn));
    // A conversation of instructions alone still needs a message to answer.
    let first = first.unwrap_or_else(|| c.turns.len().saturating_sub(1));
    let mut system = Vec::new();
    let mut messages: Vec<(Role, Vec<Value>, Vec<Value>)> = Vec::new();
    for (at, turn) in c.turns.iter().enumerate() {
        let mut blocks = Vec::with_capacity(turn.blocks.len());
        let mut results = Vec::new();
        let aside = turn.role.instructs() && (at > first || !in_front(turn));
        for block in &turn.blocks {
            let media = matches!(block.content, Content::Image { .. } | Content::File { .. });
            if media && turn.role == Role::Assistant {
                return Err(lost.media("pictures and documents cannot be the assistant's"));
            }
            let Some(mut value) = write_block(block, lost)? else {
                continue;
            };
            if let (true, Content::Text(text)) = (aside, &block.content) {
                value["text"] = format!("<system-reminder>\n{text}\n</system-reminder>").into();
            }
            match block.content {
                Content::Result(_) => results.push(value),
                _ => blocks.push(value),
            }
        }
        if turn.role.instructs() && at < first {
            system.extend(blocks);
            continue;
        }
        if results.is_empty() && blocks.is_empty() {
            continue;
        }
        let role = match turn.role {
            Role::Assistant => Role::Assistant,
            _ => Role::User,
        };
        match messages.last_mut() {
            Some(last) if last.0 == role => {
                last.1.extend(results);
                last.2.extend(blocks);
            }
            _ => messages.push((role, results, blocks)),
        }
    }
    let said = |text: &str| vec![json!({"type": "text", "text": text})];
    if let Some((Role::Assistant, ..)) = messages.first() {
        messages.insert(0, (Role::User, Vec::new(), said(BEFORE)));
    }
    if let (Some((Role::Assistant, _, blocks)), false) = (messages.last(), prefill)
        && blocks.iter().all(|block| block["type"] != "tool_use")
    {
        messages.push((Role::User, Vec::new(), said(GO_ON)));
    }
    let messages = messages
        .into_iter()
        .map(|(role, mut results, blocks)| {
            // Results must come before anything else.
            results.extend(blocks);
            let role = if role == Role::Assistant {
                "assistant"
            } else {
                "user"
            };
            json!({"role": role, "content": results})
        })
        .collect();
    Ok((system, messages))
}

/// A block; `None` for what is empty or another provider's.
fn write_block(block: &Block, lost: &mut Lost) -> Result<Option<Value>, Refusal> {
    let mut value = match &block.content {
        // Empty texts are refused.
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => json!({"type": "text", "text": text}),
        Content::Image { source, detail } => {
            lost.add_if(Field::Detail, detail.is_some());
            json!({"type": "image", "source": source_value(source, lost)?})
        }
        Content::File {
            source: Source::Base64 { media_type, data },
            name,
        } if media_type.starts_with("text/") => {
            let text = base64::engine::general_purpose::STANDARD
                .decode(data)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = text else {
                return Err(lost.media("a document of text is not base64 of UTF-8"));
            };
            let source = json!({"type": "text", "media_type": "text/plain", "data": text});
            let mut document = json!({"type": "document", "source": source});
            if let Some(name) = name {
                document["title"] = name.as_str().into();
            }
            document
        }
        Content::File { source, name } => {
            let mut document = json!({"type": "document", "source": source_value(source, lost)?});
            if let Some(name) = name {
                document["title"] = name.as_str().into();
            }
            document
        }
        Content::Call(call) => {
            let name = names::tool(call.namespace.as_deref(), &call.name);
            json!({"type": "tool_use", "id": names::call_id(&call.id), "name": name, "input": input(call)})
        }
        Content::Result(result) => {
            let mut inner = Vec::with_capacity(result.blocks.len());
            for block in &result.blocks {
                inner.extend(write_block(block, lost)?);
            }
            let mut value = json!({
                "type": "tool_result", "tool_use_id": names::call_id(&result.id), "content": inner,
            });
            if result.error {
                value["is_error"] = true.into();
            }
            value
        }
        Content::Thinking(thinking) => match &thinking.proof {
            Proof::Signature(_) | Proof::Redacted(_) => thinking_value(thinking),
            Proof::None | Proof::Encrypted { .. } => {
                lost.add(Field::Thinking);
                return Ok(None);
            }
        },
    };
    let thought = matches!(block.content, Content::Thinking(_));
    if let (Some(mark), false) = (&block.cache, thought) {
        value["cache_control"] = cache_control(mark);
    }
    Ok(Some(value))
}

/// Arguments as the object that they must be.
fn input(call: &Call) -> Value {
    if call.custom {
        return json!({ "input": call.arguments });
    }
    match serde_json::from_str(&call.arguments) {
        Ok(Value::Object(map)) => Value::Object(map),
        _ if call.arguments.trim().is_empty() => json!({}),
        // A call that the model broke off or got wrong.
        _ => json!({ "input": call.arguments }),
    }
}

fn source_value(source: &Source, lost: &Lost) -> Result<Value, Refusal> {
    Ok(match source {
        Source::Url(url) => json!({"type": "url", "url": url}),
        Source::Base64 { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
        Source::Id(_) => return Err(lost.file_id("a picture or document")),
    })
}
