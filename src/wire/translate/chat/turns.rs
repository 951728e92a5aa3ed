//! Writing the turns of a request.

use serde_json::{Map, Value, json};

use super::super::json::put;
use super::super::neutral::{Block, CacheMark, Call, Content, Field, Role, Source, Turn};
use super::super::{Lost, Refusal, Target, custom, media, names};
use super::opaque::reasoning_members;

/// What the assistant says between results and the user, where somebody must.
const READ: &str = "(I have read this.)";

/// A cache mark, as clients of gateways write it.
pub(super) fn cache_control(ttl: Option<&str>) -> Value {
    match ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl}),
        None => json!({"type": "ephemeral"}),
    }
}

/// A cache mark, in OpenAI's words.
pub(crate) fn breakpoint(mark: &CacheMark) -> Value {
    match &mark.ttl {
        Some(ttl) => json!({"mode": "explicit", "ttl": ttl}),
        None => json!({"mode": "explicit"}),
    }
}

/// Writes one turn as messages.
pub(super) fn write_turn(
    turn: &Turn,
    target: &Target<'_>,
    messages: &mut Vec<Value>,
    lost: &mut Lost,
) -> Result<(), Refusal> {
    match turn.role {
        Role::System | Role::Developer => {
            let role = if turn.role == Role::Developer && target.openai {
                "developer"
            } else {
                "system"
            };
            let content = content(&turn.blocks, target, lost)?;
            messages.push(json!({"role": role, "content": content}));
        }
        Role::User => user_turn(turn, target, messages, lost)?,
        Role::Assistant => messages.extend(assistant(turn, target, lost)?),
    }
    Ok(())
}

/// Results come first, because chat wants them right behind the calls.
fn user_turn(
    turn: &Turn,
    target: &Target<'_>,
    messages: &mut Vec<Value>,
    lost: &mut Lost,
) -> Result<(), Refusal> {
    let mut rest = Vec::new();
    for block in &turn.blocks {
        let Content::Result(result) = &block.content else {
            rest.push(block.clone());
            continue;
        };
        lost.add_if(Field::IsError, result.error);
        lost.add_if(Field::CacheControl, block.cache.is_some());
        // A tool's message is text only; pictures and documents follow in the user's.
        let (texts, media): (Vec<Block>, Vec<Block>) = result
            .blocks
            .iter()
            .cloned()
            .partition(|block| matches!(block.content, Content::Text(_)));
        let mut text = joined(&texts, "\n");
        if text.is_empty() && !media.is_empty() {
            text = "(see the attachment)".to_owned();
        }
        messages.push(json!({
            "role": "tool", "tool_call_id": target.call_id(&result.id), "content": text,
        }));
        rest.extend(media);
    }
    if !rest.is_empty() {
        let content = content(&rest, target, lost)?;
        let answers = messages.last().is_some_and(|last| last["role"] == "tool");
        if answers && target.rules.assistant_after_tool {
            messages.push(json!({"role": "assistant", "content": READ}));
        }
        messages.push(json!({"role": "user", "content": content}));
    }
    Ok(())
}

fn joined(blocks: &[Block], between: &str) -> String {
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match &block.content {
            Content::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join(between)
}

fn assistant(turn: &Turn, target: &Target<'_>, lost: &mut Lost) -> Result<Option<Value>, Refusal> {
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    let (mut text, mut refusal) = (String::new(), String::new());
    let mut calls = Vec::new();
    let thoughts = reasoning_members(turn, target, lost);
    for block in &turn.blocks {
        lost.add_if(Field::CacheControl, block.cache.is_some());
        match &block.content {
            Content::Text(more) => text.push_str(more),
            Content::Refusal(more) => refusal.push_str(more),
            Content::Call(call) => calls.push(write_call(call, target)),
            Content::Thinking(_) => {}
            Content::Image { .. } | Content::File { .. } | Content::Result(_) => {
                return Err(Refusal::new(
                    "messages",
                    "pictures, documents and results cannot be the assistant's",
                ));
            }
        }
    }
    if text.is_empty() && calls.is_empty() && refusal.is_empty() {
        if thoughts.is_empty() {
            return Ok(None);
        }
        message.insert("content".to_owned(), "".into());
    } else if text.is_empty() {
        message.insert("content".to_owned(), Value::Null);
    } else {
        message.insert("content".to_owned(), text.into());
    }
    put(
        &mut message,
        "refusal",
        Some(refusal).filter(|text| !text.is_empty()),
    );
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    thoughts.put(&mut message, target);
    Ok(Some(Value::Object(message)))
}

fn write_call(call: &Call, target: &Target<'_>) -> Value {
    let name = names::tool(call.namespace.as_deref(), &call.name);
    let id = target.call_id(&call.id);
    if call.custom && target.openai {
        return json!({"id": id, "type": "custom", "custom": {"name": name, "input": call.arguments}});
    }
    let arguments = match call.arguments.as_str() {
        text if call.custom => custom::wrap(text),
        "" => "{}".to_owned(),
        text => text.to_owned(),
    };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// One text as a string, anything else as parts.
fn content(blocks: &[Block], target: &Target<'_>, lost: &mut Lost) -> Result<Value, Refusal> {
    if let [
        Block {
            content: Content::Text(text),
            cache: None,
        },
    ] = blocks
    {
        return Ok(text.as_str().into());
    }
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        let mut part = part(&block.content, lost)?;
        match (
            &block.cache,
            target.extensions || target.rules.cache_control,
        ) {
            (Some(mark), true) => {
                part["cache_control"] = cache_control(mark.ttl.as_deref());
            }
            (Some(mark), false) if target.openai && lost.is_openai() => {
                part["prompt_cache_breakpoint"] = breakpoint(mark);
            }
            (mark, _) => lost.add_if(Field::CacheControl, mark.is_some()),
        }
        parts.push(part);
    }
    // What is only text needs no parts, which not every compatible provider takes.
    let plain = parts.iter().all(|part| {
        part.get("type").is_some_and(|kind| kind == "text")
            && part.as_object().is_some_and(|part| part.len() == 2)
    });
    if plain && !target.openai {
        return Ok(joined(blocks, "\n\n").into());
    }
    Ok(parts.into())
}

fn part(content: &Content, lost: &Lost) -> Result<Value, Refusal> {
    Ok(match content {
        Content::Text(text) | Content::Refusal(text) => json!({"type": "text", "text": text}),
        Content::Image { source, detail } => {
            let url = match source {
                Source::Url(url) => url.clone(),
                Source::Base64 { media_type, data } => media::data_url(media_type, data),
                Source::Id(_) => return Err(lost.file_id("a picture")),
            };
            let mut image = Map::new();
            image.insert("url".to_owned(), url.into());
            put(&mut image, "detail", detail.clone());
            json!({"type": "image_url", "image_url": image})
        }
        Content::File { source, name } => {
            let mut file = Map::new();
            match source {
                Source::Base64 { media_type, data } => {
                    let name = media::file_name(name.as_deref(), media_type);
                    file.insert("filename".to_owned(), name.into());
                    let data = media::data_url(media_type, data);
                    file.insert("file_data".to_owned(), data.into());
                }
                Source::Id(id) if lost.is_openai() => {
                    file.insert("file_id".to_owned(), id.as_str().into());
                }
                Source::Id(_) => return Err(lost.file_id("a document")),
                Source::Url(_) => {
                    return Err(
                        lost.media("the provider's API takes documents as base64, not by URL")
                    );
                }
            }
            json!({"type": "file", "file": file})
        }
        Content::Call(_) | Content::Result(_) | Content::Thinking(_) => {
            return Err(lost.media("only the assistant calls and thinks"));
        }
    })
}
