//! Reading a request.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::chat::read_choice;
use super::super::json::Fields;
use super::super::neutral::{Conversation, Effort, Format, Role};
use super::super::{Refusal, Surface};
use super::items::{item, tool};
use crate::translate::neutral::Block;

/// Reads a request.
pub(crate) fn read_request(body: &[u8]) -> Result<Conversation, Refusal> {
    let mut body = Fields::body(body)?;
    let mut c = Conversation::new(Surface::Responses);
    c.echo = Arc::new(echo(&body));
    refuse_what_needs_a_memory(&mut body)?;
    for gone in ["model", "models", "stream_options"] {
        body.take(gone);
    }
    if let Some(text) = body.text("instructions")? {
        c.push(Role::System, vec![Block::text(text)]);
    }
    for (at, value) in body.list("tools")?.into_iter().enumerate() {
        tool(
            Fields::of(value, format!("tools[{at}]"))?,
            None,
            &mut c.tools,
        )?;
    }
    match body.take("input") {
        Some(Value::String(text)) => c.push(Role::User, vec![Block::text(text)]),
        Some(Value::Array(items)) => {
            for (at, value) in items.into_iter().enumerate() {
                item(Fields::of(value, format!("input[{at}]"))?, &mut c)?;
            }
        }
        _ => return body.refuse("input", "expected a string or an array"),
    }
    if c.turns.is_empty() {
        return body.refuse("input", "it is empty");
    }
    c.choice = match body.take("tool_choice") {
        Some(value) => Some(read_choice(value, "tool_choice")?),
        None => None,
    };
    c.parallel = body.flag("parallel_tool_calls")?;
    c.sampling.temperature = body.number("temperature")?;
    c.sampling.top_p = body.number("top_p")?;
    c.sampling.top_logprobs = body.count("top_logprobs")?;
    c.sampling.logprobs = c.sampling.top_logprobs.is_some_and(|most| most > 0);
    for include in body.list("include")? {
        match include.as_str() {
            // Without a memory it always comes.
            Some("reasoning.encrypted_content") => {}
            Some("message.output_text.logprobs") => c.sampling.logprobs = true,
            _ => c.unknown.push("include".to_owned()),
        }
    }
    c.unknown.dedup();
    c.max_output_tokens = body.count("max_output_tokens")?;
    reasoning(&mut body, &mut c)?;
    if let Some(mut text) = body.object("text")? {
        c.format = format(&mut text)?;
        c.verbosity = text.text("verbosity")?;
    }
    c.stream = body.flag("stream")?.unwrap_or(false);
    let user = body.text("user")?;
    c.user = body.text("safety_identifier")?.or(user);
    c.metadata = body.map("metadata")?.filter(|map| !map.is_empty());
    c.tier = body.text("service_tier")?;
    c.cache_key = body.text("prompt_cache_key")?;
    c.cache_retention = body.text("prompt_cache_retention")?;
    if body.take("store") == Some(Value::Bool(true)) {
        c.unknown.push("store".to_owned());
    }
    if body
        .text("truncation")?
        .is_some_and(|how| how != "disabled")
    {
        c.unknown.push("truncation".to_owned());
    }
    c.unknown.extend(body.rest());
    Ok(c)
}

/// What a response repeats of a request's body; nothing of what is no JSON object.
pub(crate) fn echo_of(body: &[u8]) -> Map<String, Value> {
    Fields::body(body)
        .map(|body| echo(&body))
        .unwrap_or_default()
}

/// What a response repeats of its request: what shaped it, as it was asked for, with the members that its schema wants.
fn echo(body: &Fields) -> Map<String, Value> {
    let mut echo = body.copies(&[
        "frequency_penalty",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]);
    let defaults = |value: &mut Value, defaults: &[(&str, Value)]| {
        if let Value::Object(map) = value {
            for (key, value) in defaults {
                map.entry(*key).or_insert_with(|| value.clone());
            }
        }
    };
    let (null, text) = (Value::Null, json!({"type": "text"}));
    for (key, value) in &mut echo {
        match (key.as_str(), value) {
            ("reasoning", value) => defaults(
                value,
                &[("effort", null.clone()), ("summary", null.clone())],
            ),
            ("text", value) => defaults(value, &[("format", text.clone())]),
            ("tools", Value::Array(tools)) => {
                for tool in tools.iter_mut().filter(|tool| tool["type"] == "function") {
                    let members = ["description", "parameters", "strict"];
                    defaults(tool, &members.map(|key| (key, null.clone())));
                }
            }
            _ => {}
        }
    }
    echo
}

/// What refers to things that only the provider that made them has.
fn refuse_what_needs_a_memory(body: &mut Fields) -> Result<(), Refusal> {
    for key in ["previous_response_id", "conversation", "prompt"] {
        if body.take(key).is_some() {
            return body.refuse(
                key,
                "it refers to what only its own provider keeps; send the whole input, with `store: false`",
            );
        }
    }
    if body.flag("background")? == Some(true) {
        return body.refuse("background", "the answer cannot be fetched later");
    }
    Ok(())
}

fn reasoning(body: &mut Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let Some(mut reasoning) = body.object("reasoning")? else {
        return Ok(());
    };
    if let Some(effort) = reasoning.text("effort")? {
        match Effort::named(&effort) {
            Some(effort) => c.reasoning.effort = Some(effort),
            None => return reasoning.refuse("effort", "it is no effort that is known"),
        }
    }
    let old = reasoning.text("generate_summary")?;
    c.reasoning.summary = reasoning.text("summary")?.or(old);
    Ok(())
}

fn format(text: &mut Fields) -> Result<Option<Format>, Refusal> {
    let Some(mut format) = text.object("format")? else {
        return Ok(None);
    };
    match format.text("type")?.unwrap_or_default().as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => Ok(Some(Format::Schema {
            name: format.text("name")?,
            description: format.text("description")?,
            strict: format.flag("strict")?,
            schema: Value::Object(format.map("schema")?.unwrap_or_default()),
        })),
        _ => format.refuse("type", "it is no format that is known"),
    }
}
