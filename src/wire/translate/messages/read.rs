//! Reading a request.

use serde_json::Value;

use super::super::chat::thinking_block;
use super::super::json::Fields;
use super::super::neutral::{
    Block, CacheMark, Call, CallResult, Choice, Content, Conversation, Effort, Field, Format,
    Reasoning, Role, Sampling, Source, Tool, ToolKind,
};
use super::super::{Refusal, Surface};

/// How the line begins that Claude Code puts before its system prompt.
const BILLING: &str = "x-anthropic-billing-header:";

/// Reads a request.
pub(crate) fn read_request(body: &[u8]) -> Result<Conversation, Refusal> {
    let mut body = Fields::body(body)?;
    let mut c = Conversation::new(Surface::Messages);
    for gone in ["model", "models"] {
        body.take(gone);
    }
    if let Some(system) = body.take("system") {
        let mut blocks = content(system, "system", &mut c)?;
        // Claude Code's telemetry for Anthropic: no prompt, and unlike each time, so that nothing could be cached.
        blocks.retain(
            |block| !matches!(&block.content, Content::Text(text) if text.starts_with(BILLING)),
        );
        c.push(Role::System, blocks);
    }
    for (at, message) in body.list("messages")?.into_iter().enumerate() {
        let mut message = Fields::of(message, format!("messages[{at}]"))?;
        let role = match message.needed("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return message.refuse("role", "it is no role that is known"),
        };
        let blocks = inner(&mut message, &mut c)?;
        c.push(role, blocks);
    }
    refuse_what_is_the_providers(&mut body)?;
    for (at, value) in body.list("tools")?.into_iter().enumerate() {
        let tool = tool(Fields::of(value, format!("tools[{at}]"))?)?;
        c.tools.push(tool);
    }
    choice(&mut body, &mut c)?;
    c.sampling = Sampling {
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.take("top_k"),
        stop: texts(&mut body, "stop_sequences")?,
        ..Sampling::default()
    };
    c.max_output_tokens = body.count("max_tokens")?;
    c.reasoning = reasoning(&mut body)?;
    if let Some(mut config) = body.object("output_config")? {
        if let Some(effort) = config.text("effort")? {
            c.reasoning.effort = Effort::named(&effort);
        }
        c.format = format(config.object("format")?)?;
    }
    // The name that structured outputs had in their beta.
    if let Some(old) = format(body.object("output_format")?)? {
        c.format = Some(old);
    }
    c.stream = body.flag("stream")?.unwrap_or(false);
    if let Some(mut metadata) = body.object("metadata")? {
        c.user = metadata.text("user_id")?;
    }
    c.tier = body.text("service_tier")?.map(|tier| match tier.as_str() {
        "standard_only" => "default".to_owned(),
        _ => tier,
    });
    c.cache = cache(&mut body)?;
    c.unknown.extend(body.rest());
    if c.turns.iter().all(|turn| turn.role.instructs()) {
        return Err(Refusal::new("messages", "it is empty"));
    }
    Ok(c)
}

/// What only the provider can do that the client wrote to.
fn refuse_what_is_the_providers(body: &mut Fields) -> Result<(), Refusal> {
    for hosted in ["mcp_servers", "container"] {
        let value = body.take(hosted);
        if value.is_some_and(|value| value != Value::Array(Vec::new())) {
            return body.refuse(hosted, "it is run by another provider");
        }
    }
    if body.take("inference_geo").is_some() {
        let why = "the provider does not promise where it computes";
        return body.refuse("inference_geo", why);
    }
    Ok(())
}

fn choice(body: &mut Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let Some(mut choice) = body.object("tool_choice")? else {
        return Ok(());
    };
    c.choice = Some(match choice.needed("type")?.as_str() {
        "auto" => Choice::Auto,
        "any" => Choice::Required,
        "none" => Choice::None,
        "tool" => Choice::One(choice.needed("name")?),
        _ => return choice.refuse("type", "it is no choice that is known"),
    });
    if choice.flag("disable_parallel_tool_use")? == Some(true) {
        c.parallel = Some(false);
    }
    Ok(())
}

fn texts(body: &mut Fields, key: &str) -> Result<Vec<String>, Refusal> {
    let path = body.path(key);
    body.list(key)?
        .into_iter()
        .map(|value| match value {
            Value::String(text) => Ok(text),
            _ => Err(Refusal::new(path.clone(), "expected strings")),
        })
        .collect()
}

fn reasoning(body: &mut Fields) -> Result<Reasoning, Refusal> {
    let mut reasoning = Reasoning::default();
    if let Some(mut thinking) = body.object("thinking")? {
        let kind = thinking.needed("type")?;
        reasoning.enabled = Some(kind != "disabled");
        if kind == "enabled" {
            reasoning.budget = thinking.count("budget_tokens")?;
        }
        let display = thinking.text("display")?;
        reasoning.shown = display.map(|display| display != "omitted");
    }
    Ok(reasoning)
}

fn format(format: Option<Fields>) -> Result<Option<Format>, Refusal> {
    let Some(mut format) = format else {
        return Ok(None);
    };
    if format.needed("type")? != "json_schema" {
        return format.refuse("type", "it is no format that is known");
    }
    Ok(Some(Format::Schema {
        name: None,
        description: None,
        schema: Value::Object(format.map("schema")?.unwrap_or_default()),
        strict: Some(true),
    }))
}

fn tool(mut tool: Fields) -> Result<Tool, Refusal> {
    let cache = cache(&mut tool)?;
    let kind = tool.text("type")?.unwrap_or_else(|| "custom".to_owned());
    let name = tool.text("name")?.unwrap_or_else(|| kind.clone());
    let kind = if kind == "custom" {
        ToolKind::Function {
            schema: tool.map("input_schema")?.map(Value::Object),
            strict: tool.flag("strict")?,
        }
    } else {
        ToolKind::Hosted
    };
    Ok(Tool {
        name,
        namespace: None,
        description: tool.text("description")?,
        kind,
        cache,
    })
}

fn cache(block: &mut Fields) -> Result<Option<CacheMark>, Refusal> {
    let Some(mut mark) = block.object("cache_control")? else {
        return Ok(None);
    };
    Ok(Some(CacheMark {
        ttl: mark.text("ttl")?,
    }))
}

/// Reads the blocks under `content`.
fn inner(of: &mut Fields, c: &mut Conversation) -> Result<Vec<Block>, Refusal> {
    let path = of.path("content");
    content(of.take("content").unwrap_or_default(), &path, c)
}

fn content(value: Value, path: &str, c: &mut Conversation) -> Result<Vec<Block>, Refusal> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Block::text(text)]),
        Value::Array(list) => {
            let mut blocks = Vec::with_capacity(list.len());
            for (at, value) in list.into_iter().enumerate() {
                block(Fields::of(value, format!("{path}[{at}]"))?, c, &mut blocks)?;
            }
            Ok(blocks)
        }
        _ => Err(Refusal::new(path, "expected a string or an array")),
    }
}

fn block(mut block: Fields, c: &mut Conversation, blocks: &mut Vec<Block>) -> Result<(), Refusal> {
    let cache = cache(&mut block)?;
    let kind = block.needed("type")?;
    let content = match kind.as_str() {
        "text" => {
            if !block.list("citations")?.is_empty() {
                c.dropped.push(Field::Citations);
            }
            Content::Text(block.needed("text")?)
        }
        "image" => Content::Image {
            source: source(&mut block)?,
            detail: None,
        },
        "document" => return document(block, cache, c, blocks),
        "search_result" => {
            let head = [block.text("title")?, block.text("source")?];
            let found = inner(&mut block, c)?;
            let head: Vec<String> = head.into_iter().flatten().collect();
            blocks.push(Block::text(head.join("\n")));
            blocks.extend(found);
            return Ok(());
        }
        "tool_use" => Content::Call(Call {
            id: block.needed("id")?,
            name: block.needed("name")?,
            namespace: None,
            arguments: block
                .take("input")
                .map_or_else(|| "{}".to_owned(), |input| input.to_string()),
            custom: false,
        }),
        "tool_result" => Content::Result(CallResult {
            id: block.needed("tool_use_id")?,
            blocks: inner(&mut block, c)?,
            error: block.flag("is_error")?.unwrap_or(false),
        }),
        // Which deferred tools a search found: all tools are sent at once elsewhere.
        "tool_reference" => Content::Text(format!("Tool found: {}", block.needed("tool_name")?)),
        "thinking" | "redacted_thinking" => {
            let block = with_type(block, &kind);
            match thinking_block(block)? {
                Some(thinking) => Content::Thinking(thinking),
                None => return Ok(()),
            }
        }
        // A summary in the place of all that was said before it, which the provider passes over ("Compaction").
        "compaction" => match block.text("content")? {
            Some(summary) => {
                c.turns.retain(|turn| turn.role.instructs());
                blocks.clear();
                Content::Text(summary)
            }
            None => return Ok(()),
        },
        // What a provider's own tool did is in the words that followed it.
        kind if ["server_tool_use", "mcp_tool_use"].contains(&kind)
            || kind.ends_with("_tool_result") =>
        {
            c.leave_out(format!("messages.{kind}"));
            return Ok(());
        }
        _ => {
            let why = "blocks of this type belong to tools of the provider";
            return block.refuse("type", why);
        }
    };
    blocks.push(Block { content, cache });
    Ok(())
}

/// Puts a type back that was taken out.
fn with_type(mut block: Fields, kind: &str) -> Fields {
    block.put("type", kind.into());
    block
}

fn source(block: &mut Fields) -> Result<Source, Refusal> {
    let Some(mut source) = block.object("source")? else {
        return block.refuse("source", "it is missing");
    };
    match source.needed("type")?.as_str() {
        "base64" => Ok(Source::Base64 {
            media_type: source.needed("media_type")?,
            data: source.needed("data")?,
        }),
        "url" => Ok(Source::Url(source.needed("url")?)),
        "file" => Ok(Source::Id(source.needed("file_id")?)),
        _ => source.refuse("type", "it is no source that is known"),
    }
}

/// A document; one of text becomes text, since other APIs read documents from PDF.
fn document(
    mut block: Fields,
    cache: Option<CacheMark>,
    c: &mut Conversation,
    blocks: &mut Vec<Block>,
) -> Result<(), Refusal> {
    let name = block.text("title")?;
    let context = block.text("context")?;
    if let Some(mut citations) = block.object("citations")?
        && citations.flag("enabled")? == Some(true)
    {
        c.dropped.push(Field::Citations);
    }
    blocks.extend(context.map(Block::text));
    let Some(mut source) = block.object("source")? else {
        return block.refuse("source", "it is missing");
    };
    let kind = source.needed("type")?;
    match kind.as_str() {
        "text" => {
            let text = source.needed("data")?;
            let text = match name {
                Some(name) => format!("{name}\n\n{text}"),
                None => text,
            };
            blocks.push(Block {
                content: Content::Text(text),
                cache,
            });
        }
        "content" => {
            blocks.extend(name.map(Block::text));
            blocks.extend(inner(&mut source, c)?);
        }
        _ => {
            source.put("type", kind.into());
            block.put("source", source.into_value());
            let source = self::source(&mut block)?;
            blocks.push(Block {
                content: Content::File { source, name },
                cache,
            });
        }
    }
    Ok(())
}
