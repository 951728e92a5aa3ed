//! Writing a request.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::super::chat::hashed;
use super::super::json::{bytes, put};
use super::super::neutral::{Choice, Conversation, Field, Format, ToolKind};
use super::super::schema::{self, Closed};
use super::super::target::ThinkingStyle;
use super::super::tools::{self, Sent, Takes};
use super::super::{Lost, Refusal, Reply, Target, format, names};
use super::cache::{cache_control, write_cache};
use super::thinking::{Room, lacks_its_thought, write_thinking};
use super::turns::turns;

/// Most strict tools of a request ("Structured outputs").
const MOST_STRICT: u32 = 20;

/// Writes a request.
pub(crate) fn write_request(
    c: &Conversation,
    target: &Target<'_>,
    reply: &mut Reply,
    lost: &mut Lost,
) -> Result<Vec<u8>, Refusal> {
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let limit = target.limited(c.max_output_tokens);
    let max_tokens = limit
        .or(target.max_output_tokens)
        .unwrap_or_else(|| target.default_max_tokens())
        .max(1);
    body.insert("max_tokens".to_owned(), max_tokens.into());
    let held = match &c.format {
        Some(Format::Schema { schema, .. }) => held_to(schema, target),
        _ => None,
    };
    // An answer of a schema is not begun by the client.
    let (mut system, messages) = turns(c, target.prefill && held.is_none(), lost)?;
    match (&c.format, &held) {
        (Some(format), None) => {
            lost.add(Field::Format);
            system.push(json!({"type": "text", "text": format::asked(format)}));
        }
        (_, held) => lost.add_if(Field::SchemaKeywords, matches!(held, Some((_, true)))),
    }
    if !system.is_empty() {
        body.insert("system".to_owned(), system.into());
    }
    lost.something(&messages)?;
    let thoughtless = lacks_its_thought(&messages);
    body.insert("messages".to_owned(), messages.into());
    let forced = write_tools(c, target, reply, lost, &mut body)?;
    let budgeted = target.thinking == ThinkingStyle::Budget;
    let room = Room {
        max_tokens,
        may_think: !forced && (!thoughtless || !budgeted),
    };
    let mut config = Map::new();
    let thinks = write_thinking(c, target, room, &mut body, &mut config, lost);
    if let Some((schema, _)) = held {
        let format = json!({"type": "json_schema", "schema": schema});
        config.insert("format".to_owned(), format);
    }
    if !config.is_empty() {
        body.insert("output_config".to_owned(), config.into());
    }
    write_sampling(c, target, thinks, &mut body, lost);
    if let Some(id) = c.user.as_deref().map(user) {
        body.insert("metadata".to_owned(), json!({"user_id": id}));
    }
    lost.add_if(
        Field::Metadata,
        c.metadata.as_ref().is_some_and(|map| !map.is_empty()),
    );
    match c.tier.as_deref() {
        None => {}
        Some("auto") => put(&mut body, "service_tier", Some("auto")),
        Some("default") => put(&mut body, "service_tier", Some("standard_only")),
        Some(_) => lost.add(Field::Tier),
    }
    write_cache(c, target, &mut body, lost);
    lost.add_if(Field::Verbosity, c.verbosity.is_some());
    if c.stream {
        body.insert("stream".to_owned(), true.into());
    }
    Ok(bytes(body))
}

/// The schema that the model can be held to, and whether it says less; `None` if it can be held to none of it.
fn held_to(schema: &Value, target: &Target<'_>) -> Option<(Value, bool)> {
    let mut schema = schema.clone();
    let closed = target.structured.then(|| schema::closed(&mut schema))?;
    (closed != Closed::Impossible).then_some((schema, closed == Closed::Less))
}

/// Longest id of a user.
const MAX_USER: usize = 256;

/// A user's id. One that is no opaque id, as an address or a number of a telephone, is refused (the reference of
/// `metadata.user_id`), and so is a long one: both are replaced by their hash.
fn user(id: &str) -> Cow<'_, str> {
    let number = id.trim_start_matches('+').trim();
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let plain = |byte: u8| byte.is_ascii_digit() || b" -().".contains(&byte);
    let is_number = (7..=15).contains(&digits) && number.bytes().all(plain);
    if id.contains('@') || is_number || id.chars().count() > MAX_USER {
        return Cow::Owned(hashed(id));
    }
    Cow::Borrowed(id)
}

fn write_sampling(
    c: &Conversation,
    target: &Target<'_>,
    thinks: bool,
    body: &mut Map<String, Value>,
    lost: &mut Lost,
) {
    let s = &c.sampling;
    // Thinking goes with no temperature but 1, and the newest models take none at all.
    let free = target.sampling && !thinks;
    let temperature = free && target.takes("temperature");
    match s.temperature {
        Some(value) if temperature => {
            // Anthropic's scale ends at 1.
            put(body, "temperature", Some(value.min(1.0)));
        }
        Some(value) => lost.add_if(Field::Temperature, (value - 1.0).abs() > 1e-9),
        None => {}
    }
    match s.top_p {
        // Not both, so it takes the place of a temperature that is not sent.
        Some(top_p) if free && target.takes("top_p") && !body.contains_key("temperature") => {
            put(body, "top_p", Some(top_p));
        }
        Some(top_p) => lost.add_if(Field::TopP, (top_p - 1.0).abs() > 1e-9),
        None => {}
    }
    match &s.top_k {
        Some(top_k) if free && target.takes("top_k") => put(body, "top_k", Some(top_k.clone())),
        top_k => lost.add_if(Field::TopK, top_k.is_some()),
    }
    // A stop of white space alone is refused.
    let stop: Vec<&String> = s
        .stop
        .iter()
        .filter(|text| !text.trim().is_empty())
        .collect();
    lost.add_if(Field::Stop, stop.len() != s.stop.len());
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(stop));
    }
    lost.add_if(Field::Seed, s.seed.is_some());
    lost.add_if(Field::FrequencyPenalty, s.frequency_penalty.is_some());
    lost.add_if(Field::PresencePenalty, s.presence_penalty.is_some());
    lost.add_if(Field::LogitBias, s.logit_bias.is_some());
    lost.add_if(Field::Logprobs, s.logprobs);
}

/// Calls and results go with tools only. A request without any, as to sum up what was done with them, names
/// those that were called, and that none may be now.
fn write_called(c: &Conversation, body: &mut Map<String, Value>) {
    let called = c.called();
    if called.is_empty() {
        return;
    }
    let mut seen = HashSet::new();
    let names = called
        .into_iter()
        .map(|(namespace, name)| names::tool(namespace, name))
        .filter(|name| seen.insert(name.clone()));
    let any = |name| json!({"name": name, "input_schema": {"type": "object"}});
    let tools: Vec<Value> = names.map(any).collect();
    body.insert("tools".to_owned(), tools.into());
    body.insert("tool_choice".to_owned(), json!({"type": "none"}));
}

/// Writes tools and choice; whether a call is forced.
fn write_tools(
    c: &Conversation,
    target: &Target<'_>,
    reply: &mut Reply,
    lost: &mut Lost,
    body: &mut Map<String, Value>,
) -> Result<bool, Refusal> {
    let sent = tools::sent(c, false, usize::MAX, reply, lost)?;
    let allowed = match &c.choice {
        Some(Choice::Allowed { names, .. }) => Some(names.iter().collect::<HashSet<_>>()),
        _ => None,
    };
    let mut list = Vec::with_capacity(sent.len());
    let mut stricts = 0;
    for tool in sent {
        let is_allowed = |names: &HashSet<&String>| names.contains(&tool.tool.name);
        if allowed.as_ref().is_none_or(is_allowed) {
            list.push(write_tool(tool, target, &mut stricts, lost)?);
        }
    }
    if list.is_empty() {
        if let Some(Choice::Allowed { required: true, .. }) = c.choice {
            return lost.refuse(Field::ToolChoice, "it allows no tool that is sent");
        }
        write_called(c, body);
        return Ok(false);
    }
    body.insert("tools".to_owned(), list.into());
    Ok(write_choice(c, body))
}

/// A tool; `stricts` counts those that the model is held to.
fn write_tool(
    tool: Sent<'_>,
    target: &Target<'_>,
    stricts: &mut u32,
    lost: &mut Lost,
) -> Result<Value, Refusal> {
    let mut one = Map::new();
    one.insert("name".to_owned(), tool.name.into());
    put(&mut one, "description", tool.description);
    if let Takes::Json(mut schema, strict) = tool.takes {
        if target.rules.plain_properties && !schema::has_plain_properties(&schema) {
            let why = "the provider takes names of properties of 1 to 64 letters, digits, `_`, `.` and `-` only";
            return lost.refuse(Field::ToolKeywords, why);
        }
        let is_open = match &tool.tool.kind {
            ToolKind::Function { schema, .. } => {
                schema.as_ref().is_some_and(schema::has_open_object)
            }
            _ => false,
        };
        let is_strict = strict == Some(true) && *stricts < MOST_STRICT && !is_open;
        let held = is_strict.then(|| held_to(&schema, target)).flatten();
        lost.add_if(Field::Strict, strict == Some(true) && held.is_none());
        if let Some((closed, less)) = held {
            schema = closed;
            lost.add_if(Field::ToolKeywords, less);
            one.insert("strict".to_owned(), true.into());
            *stricts += 1;
        }
        one.insert("input_schema".to_owned(), schema);
    }
    let cache = tool.tool.cache.as_ref().map(cache_control);
    put(&mut one, "cache_control", cache);
    Ok(Value::Object(one))
}

/// Writes which tool is to be called; whether one must be.
fn write_choice(c: &Conversation, body: &mut Map<String, Value>) -> bool {
    let choice = c.choice.as_ref().unwrap_or(&Choice::Auto);
    let mut map = Map::new();
    let (kind, forced) = match choice {
        Choice::Auto
        | Choice::Hosted
        | Choice::Allowed {
            required: false, ..
        } => ("auto", false),
        Choice::None => ("none", false),
        Choice::Required | Choice::Allowed { required: true, .. } => ("any", true),
        Choice::One(name) => {
            map.insert("name".to_owned(), tools::chosen(c, name).into());
            ("tool", true)
        }
    };
    map.insert("type".to_owned(), kind.into());
    let single = c.parallel == Some(false) && kind != "none";
    if single {
        map.insert("disable_parallel_tool_use".to_owned(), true.into());
    }
    if c.choice.is_some() || single {
        body.insert("tool_choice".to_owned(), map.into());
    }
    forced
}
