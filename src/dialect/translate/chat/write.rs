//! Writing a chat request.

use serde_json::{Map, Value, json};

use super::super::json::{bytes, put};
use super::super::neutral::{
    Block, Choice, Content, Conversation, Effort, Field, Format, Proof, Role, Source, Turn,
};
use super::super::tools::{self, Takes};
use super::super::{Lost, Refusal, Reply, Target, custom, media, names};
use super::parts::thinking_value;

/// Writes a request.
pub fn write_request(
    c: &Conversation,
    target: &Target<'_>,
    reply: &mut Reply,
    lost: &mut Lost,
) -> Result<Vec<u8>, Refusal> {
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let mut messages = Vec::new();
    for turn in &c.turns {
        write_turn(turn, target, &mut messages, lost)?;
    }
    body.insert("messages".to_owned(), messages.into());
    write_tools(c, target, reply, lost, &mut body)?;
    let limit = match (c.max_output_tokens, target.max_output_tokens) {
        (Some(wanted), Some(most)) => Some(wanted.min(most)),
        (wanted, _) => wanted,
    };
    let limit_name = if target.openai {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    put(&mut body, limit_name, limit);
    let s = &c.sampling;
    put(&mut body, "temperature", s.temperature);
    put(&mut body, "top_p", s.top_p);
    if target.openai {
        lost.add_if(Field::TopK, s.top_k.is_some());
    } else {
        put(&mut body, "top_k", s.top_k.clone());
    }
    put(&mut body, "seed", s.seed.clone());
    if !s.stop.is_empty() {
        body.insert("stop".to_owned(), json!(s.stop));
    }
    put(&mut body, "frequency_penalty", s.frequency_penalty.clone());
    put(&mut body, "presence_penalty", s.presence_penalty.clone());
    put(&mut body, "logit_bias", s.logit_bias.clone());
    if s.logprobs {
        body.insert("logprobs".to_owned(), true.into());
        put(&mut body, "top_logprobs", s.top_logprobs);
    }
    put(&mut body, "response_format", c.format.as_ref().map(format));
    put(&mut body, "reasoning_effort", effort(c).map(Effort::name));
    put(&mut body, "verbosity", c.verbosity.clone());
    put(&mut body, "user", c.user.as_deref().map(user));
    put(&mut body, "metadata", c.metadata.clone());
    put(&mut body, "service_tier", c.tier.clone());
    put(&mut body, "prompt_cache_key", c.cache_key.clone());
    put(
        &mut body,
        "prompt_cache_retention",
        c.cache_retention.clone(),
    );
    lost.add_if(Field::CacheControl, c.cache.is_some());
    if c.stream {
        body.insert("stream".to_owned(), true.into());
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    Ok(bytes(body))
}

/// OpenAI's effort: the one that is said, or the one that a budget of tokens amounts to.
pub fn effort(c: &Conversation) -> Option<Effort> {
    let of_budget = || {
        let budget = c.reasoning.budget?;
        Some(match budget {
            0..=1024 => Effort::Minimal,
            1025..=4096 => Effort::Low,
            4097..=16_384 => Effort::Medium,
            _ => Effort::High,
        })
    };
    c.reasoning.effort.or_else(of_budget)
}

/// OpenAI takes ids of users of at most 64 characters; a longer one is told by its hash.
pub fn user(id: &str) -> String {
    use sha2::Digest as _;
    if id.chars().count() <= 64 {
        return id.to_owned();
    }
    let hash = sha2::Sha256::digest(id.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn format(format: &Format) -> Value {
    match format {
        Format::Json => json!({"type": "json_object"}),
        Format::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut inner = Map::new();
            let name = name.clone().unwrap_or_else(|| "answer".to_owned());
            inner.insert("name".to_owned(), name.into());
            put(&mut inner, "description", description.clone());
            inner.insert("schema".to_owned(), schema.clone());
            put(&mut inner, "strict", *strict);
            json!({"type": "json_schema", "json_schema": inner})
        }
    }
}

fn write_tools(
    c: &Conversation,
    target: &Target<'_>,
    reply: &mut Reply,
    lost: &mut Lost,
    body: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let sent = tools::sent(c, target.openai, reply, lost)?;
    let mut list = Vec::with_capacity(sent.len());
    for tool in sent {
        let mut inner = Map::new();
        inner.insert("name".to_owned(), tool.name.into());
        put(&mut inner, "description", tool.description);
        let mut outer = Map::new();
        match tool.takes {
            Takes::Json(schema, strict) => {
                inner.insert("parameters".to_owned(), schema);
                put(&mut inner, "strict", strict);
                outer.insert("type".to_owned(), "function".into());
                outer.insert("function".to_owned(), inner.into());
            }
            Takes::Text(grammar) => {
                if let Some(grammar) = grammar.and_then(Value::as_object) {
                    let mut grammar = grammar.clone();
                    grammar.shift_remove("type");
                    let format = json!({"type": "grammar", "grammar": grammar});
                    inner.insert("format".to_owned(), format);
                }
                outer.insert("type".to_owned(), "custom".into());
                outer.insert("custom".to_owned(), inner.into());
            }
        }
        match (&tool.tool.cache, target.extensions) {
            (Some(mark), true) => {
                outer.insert(
                    "cache_control".to_owned(),
                    cache_control(mark.ttl.as_deref()),
                );
            }
            (mark, _) => lost.add_if(Field::CacheControl, mark.is_some()),
        }
        list.push(Value::Object(outer));
    }
    if list.is_empty() {
        return Ok(());
    }
    body.insert("tools".to_owned(), list.into());
    let one = |name: &str| {
        let name = tools::chosen(c, name);
        let custom = target.openai
            && c.tools.iter().any(|tool| {
                tool.name == name
                    && matches!(tool.kind, super::super::neutral::ToolKind::Custom { .. })
            });
        if custom {
            json!({"type": "custom", "custom": {"name": name}})
        } else {
            json!({"type": "function", "function": {"name": name}})
        }
    };
    let choice = c.choice.as_ref().map(|choice| match choice {
        Choice::Auto | Choice::Hosted => "auto".into(),
        Choice::None => "none".into(),
        Choice::Required => "required".into(),
        Choice::One(name) => one(name),
        Choice::Allowed { required, names } => json!({
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": if *required { "required" } else { "auto" },
                "tools": names.iter().map(|name| one(name)).collect::<Vec<_>>(),
            },
        }),
    });
    put(body, "tool_choice", choice);
    put(body, "parallel_tool_calls", c.parallel);
    Ok(())
}

fn cache_control(ttl: Option<&str>) -> Value {
    match ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl}),
        None => json!({"type": "ephemeral"}),
    }
}

fn write_turn(
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
            "role": "tool", "tool_call_id": names::call_id(&result.id), "content": text,
        }));
        rest.extend(media);
    }
    if !rest.is_empty() {
        let content = content(&rest, target, lost)?;
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
    let (mut text, mut refusal, mut words) = (String::new(), String::new(), String::new());
    let (mut calls, mut thoughts) = (Vec::new(), Vec::new());
    for block in &turn.blocks {
        lost.add_if(Field::CacheControl, block.cache.is_some());
        match &block.content {
            Content::Text(more) => text.push_str(more),
            Content::Refusal(more) => refusal.push_str(more),
            Content::Call(call) => calls.push(write_call(call, target)),
            Content::Thinking(thinking) if target.extensions => {
                words.push_str(&thinking.text);
                thoughts.push(thinking_value(thinking));
            }
            // Thoughts without a proof came from a chat provider, which may want them back.
            Content::Thinking(thinking) if thinking.proof == Proof::None && !target.openai => {
                words.push_str(&thinking.text);
            }
            Content::Thinking(_) => lost.add(Field::Thinking),
            Content::Image { .. } | Content::File { .. } | Content::Result(_) => {
                return Err(Refusal::new(
                    "messages",
                    "pictures, documents and results cannot be the assistant's",
                ));
            }
        }
    }
    if text.is_empty() && calls.is_empty() && refusal.is_empty() {
        if thoughts.is_empty() && words.is_empty() {
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
    put(
        &mut message,
        "reasoning_content",
        Some(words).filter(|text| !text.is_empty()),
    );
    for (key, list) in [("thinking_blocks", thoughts), ("tool_calls", calls)] {
        if !list.is_empty() {
            message.insert(key.to_owned(), list.into());
        }
    }
    Ok(Some(Value::Object(message)))
}

fn write_call(call: &super::super::neutral::Call, target: &Target<'_>) -> Value {
    let name = names::tool(call.namespace.as_deref(), &call.name);
    let id = names::call_id(&call.id);
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
        match (&block.cache, target.extensions) {
            (Some(mark), true) => {
                part["cache_control"] = cache_control(mark.ttl.as_deref());
            }
            (mark, _) => lost.add_if(Field::CacheControl, mark.is_some()),
        }
        parts.push(part);
    }
    // What is only text needs no parts, which not every compatible provider takes.
    let plain = parts.iter().all(|part| {
        part.get("type").is_some_and(|kind| kind == "text") && part.get("cache_control").is_none()
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
                    let name = name.clone().unwrap_or_else(|| "document.pdf".to_owned());
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
