//! Writing a chat request.

use serde_json::{Map, Value, json};

use super::super::effort::{self, Setting};
use super::super::json::{bytes, put};
use super::super::neutral::{Conversation, Field, Format};
use super::super::tools::{self, Takes};
use super::super::{Lost, Refusal, Reply, Target, format, names};
use super::turns::{cache_control, write_turn};
use crate::vendor::Switch;

/// How many stop sequences OpenAI takes.
const MOST_STOPS: usize = 4;

/// Writes a request.
pub(crate) fn write_request(
    c: &Conversation,
    target: &Target<'_>,
    reply: &mut Reply,
    lost: &mut Lost,
) -> Result<Vec<u8>, Refusal> {
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let mut messages = Vec::new();
    let (format, asked) = format::told(c, target, lost);
    messages.extend(asked.map(|text| json!({"role": "system", "content": text})));
    for turn in &c.turns {
        write_turn(turn, target, &mut messages, lost)?;
    }
    lost.something(&messages)?;
    body.insert("messages".to_owned(), messages.into());
    write_tools(c, target, reply, lost, &mut body)?;
    let limit = target.limited(c.max_output_tokens);
    let limit_name = if target.openai {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    put(&mut body, limit_name, limit);
    let s = &c.sampling;
    let (temperature, top_p) = target.sampled(s.temperature, s.top_p, lost);
    put(&mut body, "temperature", temperature);
    put(&mut body, "top_p", top_p);
    if target.openai {
        lost.add_if(Field::TopK, s.top_k.is_some());
    } else {
        put(&mut body, "top_k", s.top_k.clone());
    }
    put(&mut body, "seed", s.seed.clone());
    if target.openai && s.stop.len() > MOST_STOPS {
        return lost.refuse(Field::Stop, "the provider's API takes no more than four");
    }
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
    let format = format.map(|format| response_format(format, lost));
    put(&mut body, "response_format", format);
    write_thinking(c, target, &mut body, lost);
    put(&mut body, "verbosity", c.verbosity.clone());
    write_common(c, target, &mut body, lost);
    if c.stream {
        body.insert("stream".to_owned(), true.into());
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    Ok(bytes(body))
}

/// Whether and how hard to think, in the words that the provider has for it.
fn write_thinking(
    c: &Conversation,
    target: &Target<'_>,
    body: &mut Map<String, Value>,
    lost: &mut Lost,
) {
    let setting = effort::setting(c, target, lost);
    let (key, value) = match (setting, target.rules.switch) {
        (Setting::Nothing, _) => return,
        (Setting::Off, Switch::Thinking) => ("thinking", json!({"type": "disabled"})),
        (Setting::Off, Switch::Reasoning) => ("reasoning", json!({"enabled": false})),
        (Setting::Off, Switch::Effort) => ("reasoning_effort", "none".into()),
        (_, Switch::Reasoning) if c.reasoning.effort.is_none() => {
            let most = c.reasoning.budget.map(|most| json!({"max_tokens": most}));
            ("reasoning", most.unwrap_or(json!({"enabled": true})))
        }
        (Setting::On, _) => return,
        (Setting::Effort(effort), _) => ("reasoning_effort", effort.name().into()),
    };
    body.insert(key.to_owned(), value);
}

/// Writes what both of OpenAI's surfaces have under the same names.
pub(crate) fn write_common(
    c: &Conversation,
    target: &Target<'_>,
    body: &mut Map<String, Value>,
    lost: &mut Lost,
) {
    put(body, "user", c.user.as_deref().map(user));
    put(body, "metadata", c.metadata.clone());
    put(body, "service_tier", c.tier.clone());
    let cache_key = target.cache_key(c.cache_key.as_deref());
    put(body, "prompt_cache_key", cache_key);
    put(body, "prompt_cache_retention", c.cache_retention.clone());
    lost.add_if(Field::CacheControl, c.cache.is_some());
}

/// OpenAI takes ids of users of at most 64 characters; a longer one is replaced by its hash.
fn user(id: &str) -> String {
    if id.chars().count() <= 64 {
        return id.to_owned();
    }
    hashed(id)
}

/// The SHA-256 of an id, in hexadecimal.
pub(crate) fn hashed(id: &str) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(id.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn response_format(format: &Format, lost: &mut Lost) -> Value {
    match format {
        Format::Json => json!({"type": "json_object"}),
        Format::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut inner = Map::new();
            let name = names::tool(None, name.as_deref().unwrap_or("answer"));
            inner.insert("name".to_owned(), name.into());
            put(&mut inner, "description", description.clone());
            inner.insert("schema".to_owned(), schema.clone());
            let strict = format::strict(schema, *strict, Field::Format, lost);
            put(&mut inner, "strict", strict);
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
    let sent = tools::sent(c, target.openai, target.most_tools(), reply, lost)?;
    let mut list = Vec::with_capacity(sent.len());
    for tool in sent {
        let mut inner = Map::new();
        inner.insert("name".to_owned(), tool.name.into());
        put(&mut inner, "description", tool.description);
        let mut outer = Map::new();
        match tool.takes {
            Takes::Json(schema, strict) => {
                let strict = format::strict(&schema, strict, Field::Strict, lost);
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
    let one = |name: &str, custom: bool| {
        if custom && target.openai {
            json!({"type": "custom", "custom": {"name": name}})
        } else {
            json!({"type": "function", "function": {"name": name}})
        }
    };
    let allowed = |mode: &str, tools| {
        let tools = json!({"mode": mode, "tools": tools});
        json!({"type": "allowed_tools", "allowed_tools": tools})
    };
    let choice = tools::choice(c, one, allowed, lost)?;
    put(body, "tool_choice", choice);
    put(body, "parallel_tool_calls", c.parallel);
    Ok(())
}
