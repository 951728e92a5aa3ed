//! Writing the turns of a request.

use serde_json::{Value, json};

use super::super::chat::thinking_value;
use super::super::neutral::{Block, Call, Content, Conversation, Field, Proof, Role, Source, Turn};
use super::super::{Lost, Refusal, media, names};
use super::cache::cache_control;

/// Stands for what the user said before a conversation that begins with the assistant.
const BEFORE: &str = "(The conversation before this is not shown.)";

/// What a result says that must say something.
const FAILED: &str = "(The tool failed, and said nothing.)";

/// Asks a model that cannot be given the beginning of its answer to go on.
const GO_ON: &str = "Please go on.";

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
    let mut messages: Vec<Message> = Vec::new();
    for (at, turn) in c.turns.iter().enumerate() {
        let aside = turn.role.instructs() && (at > first || !in_front(turn));
        let (results, blocks) = write_turn(turn, aside, lost)?;
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
    ends(&mut messages, c, prefill, lost);
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

/// A turn's results, and its other blocks. What is said `aside` is marked as instructions in the middle.
fn write_turn(
    turn: &Turn,
    aside: bool,
    lost: &mut Lost,
) -> Result<(Vec<Value>, Vec<Value>), Refusal> {
    let mut blocks = Vec::with_capacity(turn.blocks.len());
    let mut results = Vec::new();
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
    Ok((results, blocks))
}

/// A message: its role, its results, and its other blocks.
type Message = (Role, Vec<Value>, Vec<Value>);

/// Makes the first message the user's, and the last one such that the model goes on.
fn ends(messages: &mut Vec<Message>, c: &Conversation, prefill: bool, lost: &mut Lost) {
    let said = |text: &str| vec![json!({"type": "text", "text": text})];
    if let Some((Role::Assistant, ..)) = messages.first() {
        messages.insert(0, (Role::User, Vec::new(), said(BEFORE)));
    }
    // A user's turn of white space alone asks to go on, too.
    let last = c.turns.last();
    let own = last.is_some_and(|turn| turn.role == Role::Assistant);
    match messages.last_mut() {
        Some((Role::Assistant, _, blocks)) if prefill && own => {
            begin(blocks, lost);
            if blocks.is_empty() {
                messages.pop();
            }
        }
        Some((Role::Assistant, ..)) => messages.push((Role::User, Vec::new(), said(GO_ON))),
        _ => {}
    }
}

/// Makes the beginning of an answer one that is taken: it ends with no thought and with no white space.
fn begin(blocks: &mut Vec<Value>, lost: &mut Lost) {
    while blocks.last().is_some_and(is_thought) {
        lost.add(Field::Thinking);
        blocks.pop();
    }
    if let Some(Value::String(text)) = blocks.last_mut().and_then(|last| last.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}

fn is_thought(block: &Value) -> bool {
    block["type"] == "thinking" || block["type"] == "redacted_thinking"
}

/// A block; `None` for what is empty or another provider's.
fn write_block(block: &Block, lost: &mut Lost) -> Result<Option<Value>, Refusal> {
    let mut value = match &block.content {
        // Texts of white space are refused like empty ones.
        Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => {
            lost.add_if(Field::CacheControl, block.cache.is_some());
            return Ok(None);
        }
        Content::Text(text) | Content::Refusal(text) => json!({"type": "text", "text": text}),
        Content::Image { source, detail } => {
            lost.add_if(Field::Detail, detail.is_some());
            media_value("image", source, None, lost)?
        }
        Content::File { source, name } => media_value("document", source, name.as_deref(), lost)?,
        Content::Call(call) => {
            let name = names::tool(call.namespace.as_deref(), &call.name);
            json!({"type": "tool_use", "id": names::call_id(&call.id), "name": name, "input": input(call)})
        }
        Content::Result(result) => {
            let mut inner = Vec::with_capacity(result.blocks.len());
            for block in &result.blocks {
                inner.extend(write_block(block, lost)?);
            }
            if result.error && inner.is_empty() {
                inner.push(json!({"type": "text", "text": FAILED}));
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
            _ => {
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

/// A picture or document, by what its bytes are, or by its `kind` if they are elsewhere. Sources: "Vision", "PDF support".
fn media_value(
    kind: &str,
    source: &Source,
    name: Option<&str>,
    lost: &Lost,
) -> Result<Value, Refusal> {
    let mut value = match source {
        Source::Url(url) if !url.starts_with("https://") => {
            return Err(lost.media("the provider's API fetches https URLs only; send base64"));
        }
        Source::Url(url) => json!({"type": kind, "source": {"type": "url", "url": url}}),
        Source::Base64 { media_type, data } => match media::kind(media_type, data) {
            media::Kind::Picture(media_type) => {
                let source = json!({"type": "base64", "media_type": media_type, "data": data});
                return Ok(json!({"type": "image", "source": source}));
            }
            media::Kind::Pdf => {
                let source =
                    json!({"type": "base64", "media_type": "application/pdf", "data": data});
                json!({"type": "document", "source": source})
            }
            media::Kind::Text => {
                let Some(text) = media::text(data) else {
                    return Err(lost.media("a document of text is not base64 of UTF-8"));
                };
                let source = json!({"type": "text", "media_type": "text/plain", "data": text});
                json!({"type": "document", "source": source})
            }
            media::Kind::Other => {
                return Err(lost.media(
                    "the provider's API reads JPEG, PNG, GIF, WebP, PDF and text, and nothing else",
                ));
            }
        },
        Source::Id(_) => return Err(lost.file_id("a picture or document")),
    };
    if let (Some(name), true) = (name, value["type"] == "document") {
        value["title"] = name.into();
    }
    Ok(value)
}
