//! Writing a request.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::super::chat::{breakpoint, write_common};
use super::super::effort::{self, Setting};
use super::super::json::{bytes, put};
use super::super::neutral::{
    Block, Content, Conversation, Field, Format, Proof, Role, Source, Turn,
};
use super::super::tools::{self, Takes};
use super::super::{Lost, Refusal, Reply, Target, format, media, names};
use crate::reasoning::Effort;

/// The fewest tokens that the API takes as a limit.
const LEAST_OUTPUT: u64 = 16;

/// Writes a request.
pub(crate) fn write_request(
    c: &Conversation,
    target: &Target<'_>,
    reply: &mut Reply,
    lost: &mut Lost,
) -> Result<Vec<u8>, Refusal> {
    let s = &c.sampling;
    if !s.stop.is_empty() {
        return lost.refuse(Field::Stop, "the provider's API has no stop sequences");
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let mut input = Vec::new();
    let mut custom = HashSet::new();
    let (format, asked) = format::told(c, target, lost);
    let ask = |text| json!({"type": "message", "role": "system", "content": text});
    input.extend(asked.map(ask));
    for turn in &c.turns {
        write_turn(turn, &mut input, &mut custom, lost)?;
    }
    lost.something(&input)?;
    body.insert("input".to_owned(), input.into());
    write_tools(c, target, reply, lost, &mut body)?;
    let limit = target.limited(c.max_output_tokens);
    put(
        &mut body,
        "max_output_tokens",
        limit.map(|n| n.max(LEAST_OUTPUT)),
    );
    let (temperature, top_p) = target.sampled(s.temperature, s.top_p, lost);
    put(&mut body, "temperature", temperature);
    put(&mut body, "top_p", top_p);
    lost.add_if(Field::TopK, s.top_k.is_some());
    lost.add_if(Field::Seed, s.seed.is_some());
    lost.add_if(Field::FrequencyPenalty, s.frequency_penalty.is_some());
    lost.add_if(Field::PresencePenalty, s.presence_penalty.is_some());
    lost.add_if(Field::LogitBias, s.logit_bias.is_some());
    let mut include = Vec::new();
    if s.logprobs {
        include.push("message.output_text.logprobs");
        put(&mut body, "top_logprobs", s.top_logprobs);
    }
    if let Some(reasoning) = reasoning(c, target, lost) {
        include.push("reasoning.encrypted_content");
        body.insert("reasoning".to_owned(), reasoning.into());
    }
    if !include.is_empty() {
        body.insert("include".to_owned(), json!(include));
    }
    let mut text = Map::new();
    let format = format.map(|format| text_format(format, lost));
    put(&mut text, "format", format);
    put(&mut text, "verbosity", c.verbosity.clone());
    if !text.is_empty() {
        body.insert("text".to_owned(), text.into());
    }
    write_common(c, target, &mut body, lost);
    body.insert("store".to_owned(), false.into());
    if c.stream {
        body.insert("stream".to_owned(), true.into());
    }
    Ok(bytes(body))
}

fn reasoning(c: &Conversation, target: &Target<'_>, lost: &mut Lost) -> Option<Map<String, Value>> {
    let r = &c.reasoning;
    let (effort, thinks) = match effort::setting(c, target, lost) {
        Setting::Nothing => return None,
        Setting::Off => (Some(Effort::None), false),
        Setting::On => (None, true),
        Setting::Effort(effort) => (Some(effort), effort != Effort::None),
    };
    let mut map = Map::new();
    put(&mut map, "effort", effort.map(Effort::name));
    // Thinking of a budget is shown unless asked otherwise.
    let shown = thinks && r.shown.unwrap_or(r.budget.is_some());
    let summary = r.summary.clone().or(shown.then(|| "auto".to_owned()));
    put(&mut map, "summary", summary);
    Some(map)
}

fn text_format(format: &Format, lost: &mut Lost) -> Value {
    match format {
        Format::Json => json!({"type": "json_object"}),
        Format::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            let name = names::tool(None, name.as_deref().unwrap_or("answer"));
            let mut map = Map::new();
            map.insert("type".to_owned(), "json_schema".into());
            map.insert("name".to_owned(), name.into());
            put(&mut map, "description", description.clone());
            map.insert("schema".to_owned(), schema.clone());
            let strict = format::strict(schema, *strict, Field::Format, lost);
            put(&mut map, "strict", strict);
            Value::Object(map)
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
    let sent = tools::sent(c, true, target.most_tools(), reply, lost)?;
    let mut list = Vec::with_capacity(sent.len());
    for tool in sent {
        let mut one = Map::new();
        one.insert("name".to_owned(), tool.name.into());
        put(&mut one, "description", tool.description);
        match tool.takes {
            Takes::Json(schema, strict) => {
                let strict = format::strict(&schema, strict, Field::Strict, lost);
                one.insert("type".to_owned(), "function".into());
                one.insert("parameters".to_owned(), schema);
                // Elsewhere the default is no; here it is yes.
                one.insert("strict".to_owned(), strict.unwrap_or(false).into());
            }
            Takes::Text(format) => {
                one.insert("type".to_owned(), "custom".into());
                put(&mut one, "format", format.cloned());
            }
        }
        lost.add_if(Field::CacheControl, tool.tool.cache.is_some());
        list.push(Value::Object(one));
    }
    if list.is_empty() {
        return Ok(());
    }
    body.insert("tools".to_owned(), list.into());
    let one = |name: &str, custom: bool| {
        let kind = if custom { "custom" } else { "function" };
        json!({"type": kind, "name": name})
    };
    let allowed =
        |mode: &str, tools| json!({"type": "allowed_tools", "mode": mode, "tools": tools});
    let choice = tools::choice(c, one, allowed, lost)?;
    put(body, "tool_choice", choice);
    put(body, "parallel_tool_calls", c.parallel);
    Ok(())
}

fn write_turn(
    turn: &Turn,
    input: &mut Vec<Value>,
    custom: &mut HashSet<String>,
    lost: &mut Lost,
) -> Result<(), Refusal> {
    let role = match turn.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut parts = Vec::new();
    for block in &turn.blocks {
        let told = block.cache.is_none() || is_marked(block, turn.role, lost);
        lost.add_if(Field::CacheControl, !told);
        if let (Role::Assistant, Content::Text(text)) = (turn.role, &block.content) {
            // In parts it would need the id that it once had.
            flush(role, &mut parts, input);
            input.push(json!({"type": "message", "role": role, "content": text}));
        } else if let Some(item) = item(block, custom, lost)? {
            flush(role, &mut parts, input);
            input.push(item);
        } else {
            let mut part = part(&block.content, turn.role, lost)?;
            if let (Some(part), Some(mark), true) = (&mut part, &block.cache, told) {
                part["prompt_cache_breakpoint"] = breakpoint(mark);
            }
            parts.extend(part);
        }
    }
    flush(role, &mut parts, input);
    Ok(())
}

/// Whether a cache mark can be sent: OpenAI's own, on a part of a message.
fn is_marked(block: &Block, role: Role, lost: &Lost) -> bool {
    let part = matches!(
        block.content,
        Content::Text(_) | Content::Image { .. } | Content::File { .. }
    );
    part && role != Role::Assistant && lost.is_openai()
}

fn flush(role: &str, parts: &mut Vec<Value>, input: &mut Vec<Value>) {
    if !parts.is_empty() {
        let parts = std::mem::take(parts);
        input.push(json!({"type": "message", "role": role, "content": parts}));
    }
}

/// What is an item of its own; `None` for parts of messages.
fn item(
    block: &Block,
    custom: &mut HashSet<String>,
    lost: &mut Lost,
) -> Result<Option<Value>, Refusal> {
    Ok(match &block.content {
        Content::Call(call) => {
            let (id, name) = (
                names::call_id(&call.id),
                names::tool(call.namespace.as_deref(), &call.name),
            );
            Some(if call.custom {
                custom.insert(id.clone());
                json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": call.arguments})
            } else {
                let arguments = match call.arguments.as_str() {
                    "" => "{}",
                    text => text,
                };
                json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
            })
        }
        Content::Result(result) => {
            lost.add_if(Field::IsError, result.error);
            let id = names::call_id(&result.id);
            let kind = if custom.contains(&id) {
                "custom_tool_call_output"
            } else {
                "function_call_output"
            };
            let output = match result.blocks.as_slice() {
                [] => "".into(),
                [
                    Block {
                        content: Content::Text(text),
                        ..
                    },
                ] => text.as_str().into(),
                blocks => {
                    let mut parts = Vec::with_capacity(blocks.len());
                    for block in blocks {
                        lost.add_if(Field::CacheControl, block.cache.is_some());
                        parts.extend(part(&block.content, Role::User, lost)?);
                    }
                    Value::Array(parts)
                }
            };
            Some(json!({"type": kind, "call_id": id, "output": output}))
        }
        Content::Thinking(thinking) => match &thinking.proof {
            Proof::Encrypted { id, content } if !content.is_empty() => {
                let summary = match thinking.text.as_str() {
                    "" => json!([]),
                    text => json!([{"type": "summary_text", "text": text}]),
                };
                Some(json!({
                    "type": "reasoning", "id": id, "summary": summary, "encrypted_content": content,
                }))
            }
            _ => {
                lost.add(Field::Thinking);
                None
            }
        },
        _ => None,
    })
}

fn part(content: &Content, role: Role, lost: &Lost) -> Result<Option<Value>, Refusal> {
    let own = role == Role::Assistant;
    Ok(Some(match content {
        Content::Text(text) => json!({"type": "input_text", "text": text}),
        Content::Refusal(text) if own => json!({"type": "refusal", "refusal": text}),
        Content::Refusal(text) => json!({"type": "input_text", "text": text}),
        Content::Image { .. } | Content::File { .. } if own => {
            return Err(lost.media("pictures and documents cannot be the assistant's"));
        }
        Content::Image { source, detail } => {
            let detail = detail.as_deref().unwrap_or("auto");
            let mut part = json!({"type": "input_image", "detail": detail});
            match source {
                Source::Url(url) => part["image_url"] = url.as_str().into(),
                Source::Base64 { media_type, data } => {
                    part["image_url"] = media::data_url(media_type, data).into();
                }
                Source::Id(id) if lost.is_openai() => part["file_id"] = id.as_str().into(),
                Source::Id(_) => return Err(lost.file_id("a picture")),
            }
            part
        }
        Content::File { source, name } => {
            let mut part = json!({"type": "input_file"});
            match source {
                Source::Url(url) => part["file_url"] = url.as_str().into(),
                Source::Base64 { media_type, data } => {
                    part["filename"] = media::file_name(name.as_deref(), media_type).into();
                    part["file_data"] = media::data_url(media_type, data).into();
                }
                Source::Id(id) if lost.is_openai() => part["file_id"] = id.as_str().into(),
                Source::Id(_) => return Err(lost.file_id("a document")),
            }
            part
        }
        Content::Call(_) | Content::Result(_) | Content::Thinking(_) => return Ok(None),
    }))
}
