//! Writing a request.

use serde_json::{Map, Value, json};

use super::super::json::{bytes, put};
use super::super::neutral::{
    Block, CacheMark, Choice, Content, Conversation, Field, Format, Proof, Role, Source,
};
use super::super::target::ThinkingStyle;
use super::super::tools::{self, Takes};
use super::super::{Lost, Refusal, Reply, Target, names, schema};

/// The smallest budget of tokens for thinking that is taken.
const LEAST_BUDGET: u64 = 1024;

/// What stands in for a mode that only OpenAI has: some JSON object, of no schema.
const JSON_PLEASE: &str = "Answer with one valid JSON object and nothing else.";

/// Writes a request.
pub fn write_request(
    c: &Conversation,
    target: &Target<'_>,
    reply: &mut Reply,
    lost: &mut Lost,
) -> Result<Vec<u8>, Refusal> {
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let max_tokens = match (c.max_output_tokens, target.max_output_tokens) {
        (Some(wanted), Some(most)) => wanted.min(most),
        (None, Some(most)) => most,
        (Some(wanted), None) => wanted,
        (None, None) => target.default_max_tokens(),
    };
    let max_tokens = max_tokens.max(1);
    body.insert("max_tokens".to_owned(), max_tokens.into());
    let (mut system, messages) = turns(c, lost)?;
    if c.format == Some(Format::Json) {
        lost.add(Field::Format);
        system.push(json!({"type": "text", "text": JSON_PLEASE}));
    }
    if !system.is_empty() {
        body.insert("system".to_owned(), system.into());
    }
    body.insert("messages".to_owned(), messages.into());
    let forced = write_tools(c, reply, lost, &mut body)?;
    let mut config = Map::new();
    let thinks = write_thinking(c, target, max_tokens, forced, &mut body, &mut config, lost);
    if let Some(Format::Schema { schema, .. }) = &c.format {
        let mut schema = schema.clone();
        lost.add_if(Field::SchemaKeywords, schema::closed(&mut schema));
        let format = json!({"type": "json_schema", "schema": schema});
        config.insert("format".to_owned(), format);
    }
    if !config.is_empty() {
        body.insert("output_config".to_owned(), config.into());
    }
    write_sampling(c, target, thinks, &mut body, lost);
    if let Some(user) = &c.user {
        body.insert("metadata".to_owned(), json!({"user_id": user}));
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

/// OpenAI caches by itself, and its cache key says that the client counts on it; Anthropic caches what is
/// marked, by itself if the whole request is.
fn write_cache(
    c: &Conversation,
    target: &Target<'_>,
    body: &mut Map<String, Value>,
    lost: &mut Lost,
) {
    let asked = c.cache_key.is_some() || c.cache_retention.is_some();
    let mark = match &c.cache {
        Some(mark) => Some(mark.clone()),
        None if asked && target.is_claude() => Some(CacheMark {
            ttl: (c.cache_retention.as_deref() == Some("24h")).then(|| "1h".to_owned()),
        }),
        None => {
            lost.add_if(Field::CacheKey, c.cache_key.is_some());
            lost.add_if(Field::CacheRetention, c.cache_retention.is_some());
            None
        }
    };
    put(body, "cache_control", mark.as_ref().map(cache_control));
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
    match s.temperature {
        Some(temperature) if free => {
            // Anthropic's scale ends at 1.
            put(body, "temperature", Some(temperature.min(1.0)));
        }
        Some(temperature) => lost.add_if(Field::Temperature, (temperature - 1.0).abs() > 1e-9),
        None => {}
    }
    match s.top_p {
        Some(top_p) if free && s.temperature.is_none() => put(body, "top_p", Some(top_p)),
        Some(top_p) => lost.add_if(Field::TopP, (top_p - 1.0).abs() > 1e-9),
        None => {}
    }
    match &s.top_k {
        Some(top_k) if free => put(body, "top_k", Some(top_k.clone())),
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

/// Says how much to think; whether it thinks at all.
fn write_thinking(
    c: &Conversation,
    target: &Target<'_>,
    max_tokens: u64,
    forced: bool,
    body: &mut Map<String, Value>,
    config: &mut Map<String, Value>,
    lost: &mut Lost,
) -> bool {
    use super::super::neutral::Effort;
    let r = &c.reasoning;
    let wanted = match (r.enabled, r.effort, r.budget) {
        (Some(enabled), _, _) => enabled,
        (None, Some(effort), _) => effort != Effort::None,
        (None, None, budget) => budget.is_some() || r.summary.is_some(),
    };
    if !wanted {
        return false;
    }
    // A tool that must be called leaves no room for thought: the provider refuses both together.
    if forced {
        lost.add(Field::Effort);
        return false;
    }
    let mut thinking = Map::new();
    match target.thinking {
        ThinkingStyle::Adaptive { xhigh } => {
            thinking.insert("type".to_owned(), "adaptive".into());
            let effort = r.effort.map(|effort| match effort {
                Effort::None | Effort::Minimal => Effort::Low,
                Effort::Xhigh if !xhigh => Effort::High,
                effort => effort,
            });
            put(config, "effort", effort.map(Effort::name));
        }
        ThinkingStyle::Budget => {
            let budget = r.budget.unwrap_or(match r.effort {
                Some(Effort::None | Effort::Minimal) => 1024,
                Some(Effort::Low) => 4096,
                Some(Effort::Medium) | None => 10_240,
                Some(Effort::High) => 20_480,
                Some(Effort::Xhigh | Effort::Max) => 32_000,
            });
            let budget = budget.min(max_tokens.saturating_sub(1));
            if budget < LEAST_BUDGET {
                lost.add(Field::Effort);
                return false;
            }
            thinking.insert("type".to_owned(), "enabled".into());
            thinking.insert("budget_tokens".to_owned(), budget.into());
        }
    }
    let shown = r.shown.or(r.summary.is_some().then_some(true));
    if let (Some(shown), true) = (shown, target.is_claude()) {
        let display = if shown { "summarized" } else { "omitted" };
        thinking.insert("display".to_owned(), display.into());
    }
    body.insert("thinking".to_owned(), thinking.into());
    true
}

/// Writes tools and choice; whether a call is forced.
fn write_tools(
    c: &Conversation,
    reply: &mut Reply,
    lost: &mut Lost,
    body: &mut Map<String, Value>,
) -> Result<bool, Refusal> {
    let sent = tools::sent(c, false, reply, lost)?;
    if sent.is_empty() {
        return Ok(false);
    }
    let allowed = match &c.choice {
        Some(Choice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    let mut list = Vec::with_capacity(sent.len());
    for tool in sent {
        if allowed.is_some_and(|names| !names.contains(&tool.tool.name)) {
            continue;
        }
        let mut one = Map::new();
        one.insert("name".to_owned(), tool.name.into());
        put(&mut one, "description", tool.description);
        if let Takes::Json(mut schema, strict) = tool.takes {
            if strict == Some(true) {
                lost.add_if(Field::SchemaKeywords, schema::closed(&mut schema));
                one.insert("strict".to_owned(), true.into());
            }
            if let Some(schema) = schema.as_object_mut()
                && schema.get("type").is_none_or(|kind| kind != "object")
            {
                schema.insert("type".to_owned(), "object".into());
            }
            one.insert("input_schema".to_owned(), schema);
        }
        put(
            &mut one,
            "cache_control",
            tool.tool.cache.as_ref().map(cache_control),
        );
        list.push(Value::Object(one));
    }
    body.insert("tools".to_owned(), list.into());
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
    Ok(forced)
}

fn cache_control(mark: &CacheMark) -> Value {
    match mark.ttl.as_deref() {
        None => json!({"type": "ephemeral"}),
        Some("5m") => json!({"type": "ephemeral", "ttl": "5m"}),
        // OpenAI's are 30m and 12h.
        Some(_) => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// The system prompt, and the messages. Instructions in the middle become the user's words in their place,
/// marked as what they are: the role `system` there is taken by the newest models only, and moving them to
/// the front would change what they follow, and the cached prefix.
fn turns(c: &Conversation, lost: &mut Lost) -> Result<(Vec<Value>, Vec<Value>), Refusal> {
    let first = c.turns.iter().position(|turn| !turn.role.instructs());
    // A conversation of instructions alone still needs a message to answer.
    let first = first.unwrap_or_else(|| c.turns.len().saturating_sub(1));
    let mut system = Vec::new();
    let mut messages: Vec<(Role, Vec<Value>, Vec<Value>)> = Vec::new();
    for (at, turn) in c.turns.iter().enumerate() {
        let mut blocks = Vec::with_capacity(turn.blocks.len());
        let mut results = Vec::new();
        let aside = turn.role.instructs() && at > first;
        for block in &turn.blocks {
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
        if turn.role.instructs() && at < first {
            system.extend(blocks);
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
    let messages = messages
        .into_iter()
        .filter(|(_, results, blocks)| !results.is_empty() || !blocks.is_empty())
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

/// A block; `None` for what is empty or another provider's.
fn write_block(block: &Block, lost: &mut Lost) -> Result<Option<Value>, Refusal> {
    let mut value = match &block.content {
        // Empty texts are refused.
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return Ok(None),
        Content::Text(text) | Content::Refusal(text) => json!({"type": "text", "text": text}),
        Content::Image { source, detail } => {
            lost.add_if(Field::Detail, detail.is_some());
            json!({"type": "image", "source": source_value(source, lost)?})
        }
        Content::File { source, name } => {
            let mut document = json!({"type": "document", "source": source_value(source, lost)?});
            if let Some(name) = name {
                document["title"] = name.as_str().into();
            }
            document
        }
        Content::Call(call) => {
            let name = names::tool(call.namespace.as_deref(), &call.name);
            json!({"type": "tool_use", "id": names::call_id(&call.id), "name": name, "input": input(call)})
        }
        Content::Result(result) => {
            let mut inner = Vec::with_capacity(result.blocks.len());
            for block in &result.blocks {
                inner.extend(write_block(block, lost)?);
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
            Proof::Signature(_) | Proof::Redacted(_) => {
                super::super::chat::thinking_value(thinking)
            }
            Proof::None | Proof::Encrypted { .. } => {
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
fn input(call: &super::super::neutral::Call) -> Value {
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

fn source_value(source: &Source, lost: &Lost) -> Result<Value, Refusal> {
    Ok(match source {
        Source::Url(url) => json!({"type": "url", "url": url}),
        Source::Base64 { media_type, data } => {
            json!({"type": "base64", "media_type": media_type, "data": data})
        }
        Source::Id(_) => return Err(lost.file_id("a picture or document")),
    })
}
