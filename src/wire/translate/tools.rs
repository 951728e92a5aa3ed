//! What tools have in common on every surface that is written.

use std::collections::HashSet;

use super::custom;
use super::neutral::{Choice, Conversation, Field, Tool, ToolKind};
use super::{Lost, Refusal, Reply, names, schema};
use serde_json::{Value, json};

/// A tool as it is sent.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    /// The tool itself.
    pub tool: &'a Tool,
    /// Its name at the provider.
    pub name: String,
    /// Its description at the provider.
    pub description: Option<String>,
    /// What it takes.
    pub takes: Takes<'a>,
}

/// What a tool takes, as it is sent.
#[derive(Debug)]
pub(super) enum Takes<'a> {
    /// JSON of a schema.
    Json(Value, Option<bool>),
    /// Free text.
    Text(Option<&'a Value>),
}

/// The tools to send. Hosted ones are dropped, and refused if nothing else is left to call.
///
/// `custom` says whether the target knows custom tools; else they become functions. `most` is how many it takes.
pub(super) fn sent<'a>(
    c: &'a Conversation,
    custom: bool,
    most: usize,
    reply: &mut Reply,
    lost: &mut Lost,
) -> Result<Vec<Sent<'a>>, Refusal> {
    let mut sent = Vec::with_capacity(c.tools.len());
    let mut names = HashSet::new();
    let room = most - usize::from(matches!(c.choice, Some(Choice::One(_))));
    for tool in &c.tools {
        let name = names::tool(tool.namespace.as_deref(), &tool.name);
        let mut description = tool.description.clone();
        let (takes, wrapped) = match &tool.kind {
            ToolKind::Hosted => {
                lost.add(Field::HostedTools);
                continue;
            }
            ToolKind::Function { schema, strict } => {
                let mut schema = schema.clone().unwrap_or_else(|| json!({}));
                lost.add_if(Field::ToolKeywords, schema::arguments(&mut schema));
                (Takes::Json(schema, *strict), false)
            }
            ToolKind::Custom { format } if custom => (Takes::Text(format.as_ref()), false),
            ToolKind::Custom { format } => {
                lost.add_if(Field::Grammar, format.is_some());
                description = custom::description(description.as_deref(), format.as_ref());
                (Takes::Json(custom::schema(), None), true)
            }
        };
        // Names must be unlike each other, and the one that is to be called is never left out.
        let needed = matches!(&c.choice, Some(Choice::One(chosen)) if *chosen == tool.name);
        if !names.insert(name.clone()) || (names.len() > room && !needed) {
            lost.add(Field::HostedTools);
            continue;
        }
        reply.sent(&name, &tool.name, tool.namespace.as_deref(), wrapped);
        sent.push(Sent {
            tool,
            name,
            description,
            takes,
        });
    }
    let hosted_only = sent.is_empty() && !c.tools.is_empty();
    if hosted_only && c.choice != Some(Choice::None) {
        return lost.refuse(
            Field::HostedTools,
            "its tools are run by another provider, and nothing else may be called",
        );
    }
    // A hosted tool may be forced by its name as well.
    let is_hosted = |name: &String| {
        let hosted = |tool: &Tool| tool.name == *name && matches!(tool.kind, ToolKind::Hosted);
        let is_sent = sent.iter().any(|sent| sent.tool.name == *name);
        !is_sent && c.tools.iter().any(hosted)
    };
    let forced = matches!(&c.choice, Some(Choice::One(name)) if is_hosted(name));
    if forced || c.choice == Some(Choice::Hosted) {
        return lost.refuse(Field::ToolChoice, "the tool is run by another provider");
    }
    Ok(sent)
}

/// The name at the provider of a tool that a choice names.
pub(super) fn chosen(c: &Conversation, name: &str) -> String {
    let tool = c.tools.iter().find(|tool| tool.name == name);
    names::tool(tool.and_then(|tool| tool.namespace.as_deref()), name)
}

/// Writes a choice for one of OpenAI's surfaces. `one` writes a tool by its name there, and whether it is a custom one;
/// `allowed` writes a mode and the tools that it allows, of those that are sent.
pub(super) fn choice(
    c: &Conversation,
    one: impl Fn(&str, bool) -> Value,
    allowed: impl FnOnce(&str, Vec<Value>) -> Value,
    lost: &mut Lost,
) -> Result<Option<Value>, Refusal> {
    let known = |name: &str| {
        let custom = |tool: &&Tool| matches!(tool.kind, ToolKind::Custom { .. });
        let named = c.tools.iter().filter(|tool| tool.name == name);
        one(
            &chosen(c, name),
            named.into_iter().any(|tool| custom(&tool)),
        )
    };
    Ok(Some(match &c.choice {
        None => return Ok(None),
        Some(Choice::Auto | Choice::Hosted) => "auto".into(),
        Some(Choice::None) => "none".into(),
        Some(Choice::Required) => "required".into(),
        Some(Choice::One(name)) => known(name),
        Some(Choice::Allowed { required, names }) => {
            let names: HashSet<&str> = names.iter().map(String::as_str).collect();
            let mut written = HashSet::new();
            let tools = c.tools.iter().filter(|tool| {
                let is_allowed = names.contains(tool.name.as_str());
                let is_hosted = matches!(tool.kind, ToolKind::Hosted);
                is_allowed && !is_hosted && written.insert(tool.name.as_str())
            });
            let tools = tools.map(|tool| {
                let name = names::tool(tool.namespace.as_deref(), &tool.name);
                one(&name, matches!(tool.kind, ToolKind::Custom { .. }))
            });
            let tools: Vec<Value> = tools.collect();
            match (tools.is_empty(), *required) {
                (true, true) => {
                    return lost.refuse(Field::ToolChoice, "it allows no tool that is sent");
                }
                (true, false) => "none".into(),
                (false, true) => allowed("required", tools),
                (false, false) => allowed("auto", tools),
            }
        }
    }))
}
