//! The items of an input.

use serde_json::Value;

use super::super::chat::read_mark;
use super::super::json::Fields;
use super::super::neutral::{
    Block, Call, CallResult, Content, Conversation, Field, Proof, Role, Source, Thinking, Tool,
    ToolKind,
};
use super::super::{Refusal, media};

const REFERENCE: &str = "it refers to what only its own provider keeps; set `store` to false in the client, so that it \
     sends every item whole";
const COMPACTS: &str = "only OpenAI compacts this way, into a form that only OpenAI reads; a client that knows the \
     gateway as a provider of its own (Codex: an entry in `model_providers`) asks for a summary in words instead";
const COMPACTED: &str = "it is a conversation in a form that only OpenAI reads; go on with one of OpenAI's models, or \
     begin a new conversation";

/// Reads one item.
pub(super) fn item(mut item: Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let kind = item.text("type")?.unwrap_or_else(|| "message".to_owned());
    match kind.as_str() {
        "message" => message(item, c),
        "function_call" | "custom_tool_call" => {
            let custom = kind == "custom_tool_call";
            let arguments = item.text(if custom { "input" } else { "arguments" })?;
            let call = Call {
                id: item.needed("call_id")?,
                name: item.needed("name")?,
                namespace: item.text("namespace")?,
                arguments: arguments.unwrap_or_default(),
                custom,
            };
            c.push(Role::Assistant, vec![Content::Call(call).into()]);
            Ok(())
        }
        "function_call_output" | "custom_tool_call_output" => {
            let path = item.path("output");
            let (blocks, _) = content(item.take("output").unwrap_or_default(), &path)?;
            result(item.needed("call_id")?, blocks, c);
            Ok(())
        }
        "reasoning" => reasoning(item, c),
        "additional_tools" => {
            let path = item.path("tools");
            for (at, value) in item.list("tools")?.into_iter().enumerate() {
                let tool = Fields::of(value, format!("{path}[{at}]"))?;
                self::tool(tool, None, &mut c.tools)?;
            }
            Ok(())
        }
        "local_shell_call" | "shell_call" | "apply_patch_call" | "computer_call" => {
            client_call(item, kind.trim_end_matches("_call"), c)
        }
        "local_shell_call_output" | "shell_call_output" | "apply_patch_call_output" => {
            client_output(item, c)
        }
        "computer_call_output" => screenshot(item, c),
        // Reasoning that another provider keeps says nothing to this one, even if it were here.
        "item_reference" if item.text("id")?.is_some_and(|id| id.starts_with("rs_")) => {
            c.leave_out("input.item_reference".to_owned());
            Ok(())
        }
        "item_reference" => item.refuse("type", REFERENCE),
        "compaction_trigger" => item.refuse("type", COMPACTS),
        "compaction" => item.refuse("type", COMPACTED),
        // What a provider's own tool did is in the words that followed it.
        "mcp_list_tools"
        | "mcp_approval_request"
        | "mcp_approval_response"
        | "tool_search_output"
        | "configuration_update" => {
            c.leave_out(format!("input.{kind}"));
            Ok(())
        }
        _ if kind.ends_with("_call") => {
            c.leave_out(format!("input.{kind}"));
            Ok(())
        }
        _ => item.refuse("type", "items of this type are not translated"),
    }
}

/// Reads a call of a tool that the client runs, in a form of its own: what it is to do are its arguments.
fn client_call(mut item: Fields, tool: &str, c: &mut Conversation) -> Result<(), Refusal> {
    let keys = ["action", "actions", "operation"];
    let does = keys.into_iter().find_map(|key| item.take(key));
    let call = Call {
        id: item.needed("call_id")?,
        name: tool.to_owned(),
        namespace: None,
        arguments: does.map_or_else(|| "{}".to_owned(), |does| does.to_string()),
        custom: false,
    };
    c.push(Role::Assistant, vec![Content::Call(call).into()]);
    Ok(())
}

/// Reads what such a tool returned, whatever its form, as text.
fn client_output(mut item: Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let id = match item.text("call_id")? {
        Some(id) => id,
        None => item.needed("id")?,
    };
    let text = match item.take("output") {
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
        None => String::new(),
    };
    result(id, vec![Block::text(text)], c);
    Ok(())
}

/// Reads a picture of the screen.
fn screenshot(mut item: Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let id = item.needed("call_id")?;
    let mut blocks = Vec::new();
    if let Some(mut output) = item.object("output")? {
        let source = match (output.text("image_url")?, output.text("file_id")?) {
            (Some(url), _) => Some(media::source(url)),
            (None, id) => id.map(Source::Id),
        };
        let image = |source| Content::Image {
            source,
            detail: None,
        };
        blocks.extend(source.map(|source| image(source).into()));
    }
    result(id, blocks, c);
    Ok(())
}

fn result(id: String, blocks: Vec<Block>, c: &mut Conversation) {
    let result = CallResult {
        id,
        blocks,
        error: false,
    };
    c.push(Role::User, vec![Content::Result(result).into()]);
}

fn reasoning(mut item: Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let mut words = Vec::new();
    for key in ["summary", "content"] {
        let path = item.path(key);
        for (at, part) in item.list(key)?.into_iter().enumerate() {
            let mut part = Fields::of(part, format!("{path}[{at}]"))?;
            words.extend(part.text("text")?);
        }
        if !words.is_empty() {
            break;
        }
    }
    let id = item.text("id")?.unwrap_or_default();
    let content = item.text("encrypted_content")?.unwrap_or_default();
    let proof = proof(&id, &content);
    let thinking = Thinking {
        text: words.join("\n\n"),
        proof,
    };
    c.push(Role::Assistant, vec![Content::Thinking(thinking).into()]);
    Ok(())
}

/// What an item's `encrypted_content` proves.
pub(super) fn proof(id: &str, content: &str) -> Proof {
    Proof::open(content).unwrap_or_else(|| Proof::Encrypted {
        id: id.to_owned(),
        content: content.to_owned(),
    })
}

/// A content that is a text or a list of parts, and whether it had citations.
pub(super) fn content(value: Value, path: &str) -> Result<(Vec<Block>, bool), Refusal> {
    let parts = match value {
        Value::Null => return Ok((Vec::new(), false)),
        Value::String(text) => return Ok((vec![Block::text(text)], false)),
        Value::Array(parts) => parts,
        _ => return Err(Refusal::new(path, "expected a string or an array")),
    };
    let mut cited = false;
    let mut blocks = Vec::with_capacity(parts.len());
    for (at, part) in parts.into_iter().enumerate() {
        let mut part = Fields::of(part, format!("{path}[{at}]"))?;
        let cache = read_mark(&mut part)?;
        let content = match part.needed("type")?.as_str() {
            "input_text" | "output_text" | "text" | "summary_text" => {
                cited |= !part.list("annotations")?.is_empty();
                Content::Text(part.needed("text")?)
            }
            "refusal" => Content::Refusal(part.needed("refusal")?),
            "input_image" => Content::Image {
                source: match (part.text("image_url")?, part.text("file_id")?) {
                    (Some(url), _) => media::source(url),
                    (None, Some(id)) => Source::Id(id),
                    (None, None) => return part.refuse("image_url", "it is missing"),
                },
                detail: part.text("detail")?.filter(|detail| detail != "auto"),
            },
            "input_file" => file(part)?,
            _ => return part.refuse("type", "parts of this type are not translated"),
        };
        blocks.push(Block { content, cache });
    }
    Ok((blocks, cited))
}

fn file(mut part: Fields) -> Result<Content, Refusal> {
    let name = part.text("filename")?;
    let given = (
        part.text("file_data")?,
        part.text("file_url")?,
        part.text("file_id")?,
    );
    let source = match given {
        (Some(data), ..) => match media::source(data) {
            Source::Url(data) => Source::Base64 {
                media_type: "application/pdf".to_owned(),
                data,
            },
            source => source,
        },
        (None, Some(url), _) => Source::Url(url),
        (None, None, Some(id)) => Source::Id(id),
        (None, None, None) => return part.refuse("file_data", "it is missing"),
    };
    Ok(Content::File { source, name })
}

/// A tool, or a group of them.
pub(super) fn tool(
    mut tool: Fields,
    namespace: Option<&str>,
    tools: &mut Vec<Tool>,
) -> Result<(), Refusal> {
    let kind = tool.needed("type")?;
    if kind == "namespace" && namespace.is_none() {
        let name = tool.needed("name")?;
        let path = tool.path("tools");
        for (at, value) in tool.list("tools")?.into_iter().enumerate() {
            let inner = Fields::of(value, format!("{path}[{at}]"))?;
            self::tool(inner, Some(&name), tools)?;
        }
        return Ok(());
    }
    let takes = match kind.as_str() {
        "function" => ToolKind::Function {
            schema: tool.map("parameters")?.map(Value::Object),
            strict: tool.flag("strict")?,
        },
        "custom" => ToolKind::Custom {
            format: tool
                .map("format")?
                .filter(|format| format.get("type").is_some_and(|kind| kind == "grammar"))
                .map(Value::Object),
        },
        _ => ToolKind::Hosted,
    };
    let name = match takes {
        ToolKind::Hosted => kind,
        _ => tool.needed("name")?,
    };
    tools.push(Tool {
        name,
        namespace: namespace.map(str::to_owned),
        description: tool.text("description")?,
        kind: takes,
        cache: None,
    });
    Ok(())
}

/// A message's content.
pub(super) fn message(mut message: Fields, c: &mut Conversation) -> Result<(), Refusal> {
    let role = match message.needed("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        _ => return message.refuse("role", "it is no role that is known"),
    };
    let path = message.path("content");
    let (blocks, cited) = content(message.take("content").unwrap_or_default(), &path)?;
    if cited {
        c.dropped.push(Field::Citations);
    }
    c.push(role, blocks);
    Ok(())
}
