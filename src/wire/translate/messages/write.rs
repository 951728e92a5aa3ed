//! Writing a request.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::super::json::{bytes, put};
use super::super::neutral::{CacheMark, Choice, Conversation, Effort, Field, Format};
use super::super::target::ThinkingStyle;
use super::super::tools::{self, Takes};
use super::super::{Lost, Refusal, Reply, Target, names, schema};
use super::turns::{cache_control, turns};

/// The smallest budget of tokens for thinking that is taken.
const LEAST_BUDGET: u64 = 1024;

/// What stands in for a mode that only OpenAI has, some JSON object of no schema, and for schemas where a
/// model is not held to them.
const JSON_PLEASE: &str = "Answer with one valid JSON object and nothing else.";

/// Writes a request.
pub(crate) fn write_request(
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
    let (mut system, messages) = turns(c, target.prefill, lost)?;
    match &c.format {
        Some(Format::Json) => {
            lost.add(Field::Format);
            system.push(json!({"type": "text", "text": JSON_PLEASE}));
        }
        Some(Format::Schema { schema, .. }) if !target.structured => {
            lost.add(Field::Format);
            let text = format!("{JSON_PLEASE} It must match this JSON Schema:\n{schema}");
            system.push(json!({"type": "text", "text": text}));
        }
        _ => {}
    }
    if !system.is_empty() {
        body.insert("system".to_owned(), system.into());
    }
    lost.something(&messages)?;
    let thoughtless = answers_a_call_without_thought(&messages);
    body.insert("messages".to_owned(), messages.into());
    let forced = write_tools(c, target, reply, lost, &mut body)?;
    let budgeted = target.thinking == ThinkingStyle::Budget;
    let may_think = !forced && (!thoughtless || !budgeted);
    let mut config = Map::new();
    let thinks = write_thinking(
        c,
        target,
        max_tokens,
        may_think,
        &mut body,
        &mut config,
        lost,
    );
    if let (Some(Format::Schema { schema, .. }), true) = (&c.format, target.structured) {
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

/// Whether the last turn gives results to a turn that did not begin with a thought of Anthropic's, as after
/// another provider's turn. A budget for thinking is refused then ("Extended thinking", "Preserving thinking
/// blocks").
fn answers_a_call_without_thought(messages: &[Value]) -> bool {
    let first = |message: &Value| {
        let kind = message.pointer("/content/0/type").and_then(Value::as_str);
        kind.unwrap_or_default().to_owned()
    };
    match messages {
        [.., called, last] => first(last) == "tool_result" && !first(called).ends_with("thinking"),
        _ => false,
    }
}

/// Says how much to think; whether it thinks at all. It may not where a tool must be called: the provider
/// refuses both together.
fn write_thinking(
    c: &Conversation,
    target: &Target<'_>,
    max_tokens: u64,
    may_think: bool,
    body: &mut Map<String, Value>,
    config: &mut Map<String, Value>,
    lost: &mut Lost,
) -> bool {
    let r = &c.reasoning;
    let wanted = match (r.enabled, r.effort, r.budget) {
        (Some(enabled), _, _) => enabled,
        (None, Some(effort), _) => effort != Effort::None,
        (None, None, budget) => budget.is_some() || r.summary.is_some(),
    };
    if !wanted {
        return false;
    }
    if !may_think {
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
    let sent = tools::sent(c, false, reply, lost)?;
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
            if strict == Some(true) && target.structured {
                lost.add_if(Field::ToolKeywords, schema::closed(&mut schema));
                one.insert("strict".to_owned(), true.into());
            } else {
                lost.add_if(Field::Strict, strict == Some(true));
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
    if list.is_empty() {
        if let Some(Choice::Allowed { required: true, .. }) = c.choice {
            return lost.refuse(Field::ToolChoice, "it allows no tool that is sent");
        }
        write_called(c, body);
        return Ok(false);
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
