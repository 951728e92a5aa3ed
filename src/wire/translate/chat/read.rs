//! Reading a chat request.

use serde_json::{Map, Value};

use super::super::json::{Fields, put};
use super::super::neutral::{
    Block, CacheMark, Call, CallResult, Choice, Content, Conversation, Effort, Field, Format,
    Proof, Role, Sampling, Thinking, Tool, ToolKind,
};
use super::super::{Refusal, Surface};
use super::opaque::{Details, extra_proof};
use super::parts::{content, mark, thinking_block};

/// Reads a request.
pub(crate) fn read_request(body: &[u8]) -> Result<Conversation, Refusal> {
    let mut body = Fields::body(body)?;
    let mut c = Conversation::new(Surface::ChatCompletions);
    for gone in ["model", "models"] {
        body.take(gone);
    }
    for (at, message) in body.list("messages")?.into_iter().enumerate() {
        read_message(Fields::of(message, format!("messages[{at}]"))?, &mut c)?;
    }
    if c.turns.is_empty() {
        return body.refuse("messages", "it is empty");
    }
    refuse_what_has_no_equal(&mut body)?;
    for (at, value) in body.list("tools")?.into_iter().enumerate() {
        c.tools.push(tool(value, format!("tools[{at}]"))?);
    }
    c.choice = match body.take("tool_choice") {
        Some(value) => Some(choice(value, "tool_choice")?),
        None => None,
    };
    c.parallel = body.flag("parallel_tool_calls")?;
    c.sampling = sampling(&mut body)?;
    let limits = [
        body.count("max_completion_tokens")?,
        body.count("max_tokens")?,
    ];
    c.max_output_tokens = limits.into_iter().flatten().max();
    c.format = format(&mut body)?;
    if let Some(effort) = body.text("reasoning_effort")? {
        match Effort::named(&effort) {
            Some(effort) => c.reasoning.effort = Some(effort),
            None => return body.refuse("reasoning_effort", "it is no effort that is known"),
        }
    }
    c.verbosity = body.text("verbosity")?;
    c.stream = body.flag("stream")?.unwrap_or(false);
    if let Some(mut options) = body.object("stream_options")? {
        c.include_usage = c.stream && options.flag("include_usage")?.unwrap_or(false);
    }
    let user = body.text("user")?;
    c.user = body.text("safety_identifier")?.or(user);
    c.metadata = body.map("metadata")?;
    c.tier = body.text("service_tier")?;
    c.cache_key = body.text("prompt_cache_key")?;
    c.cache_retention = body.text("prompt_cache_retention")?;
    if let Some(mark) = body.object("cache_control")? {
        c.cache = Some(cache(mark)?);
    }
    // Storing is between OpenAI and its user; no other provider does it.
    if body.take("store") == Some(Value::Bool(true)) {
        c.unknown.push("store".to_owned());
    }
    c.unknown.extend(body.rest());
    Ok(c)
}

fn cache(mut mark: Fields) -> Result<CacheMark, Refusal> {
    Ok(CacheMark {
        ttl: mark.text("ttl")?,
    })
}

/// Fields without which the answer would be another thing altogether.
fn refuse_what_has_no_equal(body: &mut Fields) -> Result<(), Refusal> {
    if body.count("n")?.is_some_and(|n| n > 1) {
        return body.refuse(
            "n",
            "the provider's API gives one answer; ask again for more",
        );
    }
    let modalities = body.list("modalities")?;
    if modalities.iter().any(|modality| modality != "text") {
        return body.refuse("modalities", "only text is translated");
    }
    if modalities.is_empty() && body.take("audio").is_some() {
        return body.refuse("audio", "audio is not translated");
    }
    body.take("audio");
    for legacy in ["functions", "function_call"] {
        if body.take(legacy).is_some() {
            return body.refuse(legacy, "it is the old form; use `tools` and `tool_choice`");
        }
    }
    if body.take("web_search_options").is_some() {
        return body.refuse(
            "web_search_options",
            "the search is run by another provider",
        );
    }
    Ok(())
}

fn sampling(body: &mut Fields) -> Result<Sampling, Refusal> {
    let stop = match body.take("stop") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => {
            let texts: Option<Vec<String>> = list
                .iter()
                .map(|each| each.as_str().map(str::to_owned))
                .collect();
            match texts {
                Some(texts) => texts,
                None => return body.refuse("stop", "expected strings"),
            }
        }
        Some(_) => return body.refuse("stop", "expected a string or an array"),
    };
    Ok(Sampling {
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.take("top_k"),
        seed: body.take("seed"),
        stop,
        frequency_penalty: body
            .take("frequency_penalty")
            .filter(|n| n.as_f64() != Some(0.0)),
        presence_penalty: body
            .take("presence_penalty")
            .filter(|n| n.as_f64() != Some(0.0)),
        logit_bias: body
            .map("logit_bias")?
            .filter(|map| !map.is_empty())
            .map(Value::Object),
        logprobs: body.flag("logprobs")?.unwrap_or(false),
        top_logprobs: body.count("top_logprobs")?,
    })
}

fn format(body: &mut Fields) -> Result<Option<Format>, Refusal> {
    let Some(mut format) = body.object("response_format")? else {
        return Ok(None);
    };
    match format.text("type")?.unwrap_or_default().as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let Some(mut schema) = format.object("json_schema")? else {
                return format.refuse("json_schema", "it is missing");
            };
            Ok(Some(Format::Schema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                strict: schema.flag("strict")?,
                schema: Value::Object(schema.map("schema")?.unwrap_or_default()),
            }))
        }
        _ => format.refuse("type", "it is no format that is known"),
    }
}

/// A tool, in chat's form: `{"type": "function", "function": {...}}`.
fn tool(value: Value, path: String) -> Result<Tool, Refusal> {
    let mut outer = Fields::of(value, path)?;
    let cache = mark(&mut outer)?;
    let kind = outer.needed("type")?;
    let inner = match kind.as_str() {
        "function" | "custom" => outer.object(&kind)?,
        _ => {
            return Ok(Tool {
                name: kind,
                namespace: None,
                description: None,
                kind: ToolKind::Hosted,
                cache,
            });
        }
    };
    let Some(mut inner) = inner else {
        return outer.refuse(&kind, "it is missing");
    };
    let cache = mark(&mut inner)?.or(cache);
    let name = inner.needed("name")?;
    let description = inner.text("description")?;
    let kind = if kind == "function" {
        ToolKind::Function {
            schema: inner.map("parameters")?.map(Value::Object),
            strict: inner.flag("strict")?,
        }
    } else {
        ToolKind::Custom {
            format: custom_format(&mut inner)?,
        }
    };
    Ok(Tool {
        name,
        namespace: None,
        description,
        kind,
        cache,
    })
}

/// Chat has the grammar in an object of its own; the neutral form, like Responses', does not.
fn custom_format(custom: &mut Fields) -> Result<Option<Value>, Refusal> {
    let Some(mut format) = custom.object("format")? else {
        return Ok(None);
    };
    let Some(mut grammar) = format.object("grammar")? else {
        return Ok(None);
    };
    let mut flat = Map::new();
    flat.insert("type".to_owned(), "grammar".into());
    put(&mut flat, "syntax", grammar.text("syntax")?);
    put(&mut flat, "definition", grammar.text("definition")?);
    Ok(Some(Value::Object(flat)))
}

/// A tool choice, in chat's form or in Responses', which is the same without the inner object.
pub(crate) fn choice(value: Value, path: &str) -> Result<Choice, Refusal> {
    let mut choice = match value {
        Value::String(word) => {
            return match word.as_str() {
                "auto" => Ok(Choice::Auto),
                "none" => Ok(Choice::None),
                "required" => Ok(Choice::Required),
                _ => Err(Refusal::new(path, "it is no choice that is known")),
            };
        }
        value => Fields::of(value, path)?,
    };
    let kind = choice.needed("type")?;
    match kind.as_str() {
        "function" | "custom" => {
            let name = match choice.object(&kind)? {
                Some(mut inner) => inner.needed("name")?,
                None => choice.needed("name")?,
            };
            Ok(Choice::One(name))
        }
        "allowed_tools" => {
            let mut allowed = match choice.object("allowed_tools")? {
                Some(inner) => inner,
                None => choice,
            };
            let required = allowed.text("mode")?.as_deref() == Some("required");
            let mut names = Vec::new();
            for (at, value) in allowed.list("tools")?.into_iter().enumerate() {
                let mut tool = Fields::of(value, allowed.path(&format!("tools[{at}]")))?;
                let kind = tool.needed("type")?;
                let name = match tool.object(&kind)? {
                    Some(mut inner) => inner.needed("name")?,
                    None => tool.text("name")?.unwrap_or(kind),
                };
                names.push(name);
            }
            Ok(Choice::Allowed { required, names })
        }
        _ => Ok(Choice::Hosted),
    }
}

fn read_message(mut message: Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let role = message.needed("role")?;
    let path = message.path("content");
    let cache = mark(&mut message)?;
    let mut blocks = content(message.take("content").unwrap_or_default(), &path)?;
    if let (Some(cache), Some(last)) = (cache, blocks.last_mut()) {
        last.cache = Some(cache);
    }
    match role.as_str() {
        "system" => c.push(Role::System, blocks),
        "developer" => c.push(Role::Developer, blocks),
        "user" => c.push(Role::User, blocks),
        "tool" => {
            let result = CallResult {
                id: message.needed("tool_call_id")?,
                blocks,
                error: false,
            };
            c.push(Role::User, vec![Content::Result(result).into()]);
        }
        "assistant" => assistant(message, blocks, c)?,
        "function" => {
            return message.refuse("role", "it is the old form; use `tool` with `tool_call_id`");
        }
        _ => return message.refuse("role", "it is no role that is known"),
    }
    Ok(())
}

fn assistant(mut message: Fields, said: Vec<Block>, c: &mut Conversation) -> Result<(), Refusal> {
    let mut blocks: Vec<Block> = Vec::new();
    for (at, block) in message.list("thinking_blocks")?.into_iter().enumerate() {
        let block = Fields::of(block, message.path(&format!("thinking_blocks[{at}]")))?;
        blocks.extend(thinking_block(block)?.map(|thinking| Content::Thinking(thinking).into()));
    }
    let words = [message.take("reasoning_content"), message.take("reasoning")];
    let words = words.into_iter().flatten().next();
    let words = words.as_ref().and_then(Value::as_str).unwrap_or_default();
    let details = Details::of(message.take("reasoning_details").as_ref());
    // What stands in for thoughts says nothing.
    if blocks.is_empty() && !(words.trim().is_empty() && details.is_empty()) {
        let thinking = Thinking {
            text: words.to_owned(),
            proof: details.proof().unwrap_or_default(),
        };
        blocks.push(Content::Thinking(thinking).into());
    }
    let proved =
        |of: Option<Proof>| of.map(|proof| Content::Thinking(Thinking::proof(&proof)).into());
    blocks.extend(proved(extra_proof(
        None,
        message.take("extra_content").as_ref(),
    )));
    blocks.extend(said);
    if let Some(refusal) = message.text("refusal")? {
        blocks.push(Content::Refusal(refusal).into());
    }
    for (at, call) in message.list("tool_calls")?.into_iter().enumerate() {
        let mut call = Fields::of(call, message.path(&format!("tool_calls[{at}]")))?;
        let content = call.take("extra_content");
        let call = read_call(call)?;
        blocks.extend(proved(extra_proof(Some(&call.id), content.as_ref())));
        blocks.push(Content::Call(call).into());
    }
    for legacy in ["audio", "function_call"] {
        if message.take(legacy).is_some() {
            return message.refuse(legacy, "it is not translated");
        }
    }
    if message
        .take("annotations")
        .is_some_and(|list| list != Value::Array(Vec::new()))
    {
        c.dropped.push(Field::Citations);
    }
    c.push(Role::Assistant, blocks);
    Ok(())
}

fn read_call(mut call: Fields) -> Result<Call, Refusal> {
    let kind = call.text("type")?.unwrap_or_else(|| "function".to_owned());
    let custom = kind == "custom";
    let Some(mut inner) = call.object(if custom { "custom" } else { "function" })? else {
        return call.refuse("function", "it is missing");
    };
    Ok(Call {
        id: call.needed("id")?,
        name: inner.needed("name")?,
        namespace: None,
        arguments: inner
            .text(if custom { "input" } else { "arguments" })?
            .unwrap_or_default(),
        custom,
    })
}
