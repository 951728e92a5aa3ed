//! The members that routing reads, and what it reads in them.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::index::{self, Member};
use super::names::{Field, Name, looks_like};
use super::{BadRequest, MAX_FALLBACKS, MAX_MODEL, MAX_TOKEN_LIMIT};
use crate::skip::Fault;

/// What `stream_options` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StreamOptions {
    /// Absent or null.
    #[default]
    Absent,
    /// An object.
    Object {
        /// Its last `include_usage` is `true`.
        include_usage: bool,
        /// It says so once and nowhere otherwise, so every parser reads the same.
        plain: bool,
    },
    /// Something else, which is the provider's to refuse.
    Odd,
}

/// What routing read.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub model: String,
    pub fallbacks: Vec<String>,
    pub stream: bool,
    pub stream_options: StreamOptions,
    pub max_output_tokens: Option<u64>,
}

impl Read {
    /// Reads each member once; duplicates are already in shadow.
    pub(super) fn of(text: &str, members: &[Member]) -> Result<Read, BadRequest> {
        let mut read = Read::default();
        let mut found = false;
        for member in members {
            let Name::Read(field) = member.name else {
                continue;
            };
            let raw = text.get(member.value.clone()).unwrap_or_default();
            match field {
                Field::Model => {
                    read.model = model(raw)?;
                    found = true;
                }
                Field::Models => read.fallbacks = models(raw)?,
                Field::Stream => read.stream = stream(raw)?,
                Field::StreamOptions => read.stream_options = stream_options(raw),
                Field::MaxTokens | Field::MaxCompletionTokens | Field::MaxOutputTokens => {
                    read.max_output_tokens =
                        read.max_output_tokens.max(token_limit(field.key(), raw)?);
                }
            }
        }
        if !found {
            return Err(BadRequest::param(
                "model",
                "you must provide a model parameter: a model id, or `provider:model`.",
            ));
        }
        Ok(read)
    }
}

fn model(raw: &str) -> Result<String, BadRequest> {
    let name: String = serde_json::from_str(raw)
        .map_err(|_| BadRequest::param("model", "Invalid type for 'model': expected a string."))?;
    check_name("model", &name)?;
    Ok(name)
}

fn models(raw: &str) -> Result<Vec<String>, BadRequest> {
    let wrong = || {
        BadRequest::param(
            "models",
            "Invalid type for 'models': expected an array of strings.",
        )
    };
    let names: Option<Vec<String>> = match raw.as_bytes() {
        // Refuse a long array before its strings are built.
        [b'[', ..] => Some(serde_json::Deserializer::from_str(raw).deserialize_seq(Names).map_err(|error| {
            if error.to_string().starts_with(TOO_MANY) {
                BadRequest::param(
                    "models",
                    format!("Invalid 'models': too many entries, at most {MAX_FALLBACKS} are accepted."),
                )
            } else {
                wrong()
            }
        })?),
        b"null" => None,
        _ => return Err(wrong()),
    };
    let names = names.unwrap_or_default();
    names
        .iter()
        .try_for_each(|name| check_name("models", name))?;
    Ok(names)
}

const TOO_MANY: &str = "too many";

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element::<String>()? {
            if names.len() == MAX_FALLBACKS {
                return Err(A::Error::custom(TOO_MANY));
            }
            names.push(name);
        }
        Ok(names)
    }
}

fn check_name(param: &'static str, name: &str) -> Result<(), BadRequest> {
    if name.is_empty() {
        return Err(BadRequest::param(
            param,
            format!("Invalid '{param}': a model id must not be empty."),
        ));
    }
    if name.len() > MAX_MODEL {
        return Err(BadRequest::param(
            param,
            format!("Invalid '{param}': a model id is at most {MAX_MODEL} bytes long."),
        ));
    }
    // It travels in a response header, logs and metrics.
    if name.chars().any(char::is_control) {
        return Err(BadRequest::param(
            param,
            format!("Invalid '{param}': a model id must not contain control characters."),
        ));
    }
    Ok(())
}

fn stream(raw: &str) -> Result<bool, BadRequest> {
    match raw {
        "true" => Ok(true),
        "false" | "null" => Ok(false),
        _ => Err(BadRequest::param(
            "stream",
            "Invalid type for 'stream': expected a boolean.",
        )),
    }
}

/// An answer without a token is none.
pub(super) fn no_tokens(members: &[Member]) -> BadRequest {
    let limits = [
        Field::MaxCompletionTokens,
        Field::MaxOutputTokens,
        Field::MaxTokens,
    ];
    let given = |field: &&Field| {
        members
            .iter()
            .any(|member| member.name == Name::Read(**field))
    };
    let param = limits.iter().find(given).unwrap_or(&Field::MaxTokens).key();
    BadRequest::param(
        param,
        format!(
            "Invalid '{param}': expected an integer of at least 1. Leave it out to let the model decide."
        ),
    )
}

fn token_limit(param: &'static str, raw: &str) -> Result<Option<u64>, BadRequest> {
    if raw == "null" {
        return Ok(None);
    }
    if raw.starts_with('-') {
        return Err(BadRequest::param(
            param,
            format!(
                "Invalid '{param}': expected a positive integer. Leave it out instead of asking for no limit with a \
                 negative one."
            ),
        ));
    }
    if !raw.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadRequest::param(
            param,
            format!(
                "Invalid type for '{param}': expected a positive integer, written without fraction or exponent."
            ),
        ));
    }
    match raw.parse() {
        Ok(limit) if limit <= MAX_TOKEN_LIMIT => Ok(Some(limit)),
        _ => Err(BadRequest::param(
            param,
            format!("Invalid '{param}': expected an integer of at most {MAX_TOKEN_LIMIT}."),
        )),
    }
}

/// The member of `stream_options` that asks for the usage chunk.
pub(super) const INCLUDE_USAGE: &str = "include_usage";

/// The members of `stream_options`, with everything that could be read as `include_usage` in shadow.
pub(super) fn option_members(raw: &str) -> Result<Vec<Member>, Fault> {
    index::members(raw, usize::MAX, |key| {
        if looks_like(key, INCLUDE_USAGE) {
            Name::Shadow
        } else {
            Name::Other
        }
    })
}

fn stream_options(raw: &str) -> StreamOptions {
    if raw == "null" {
        return StreamOptions::Absent;
    }
    let Ok(members) = option_members(raw) else {
        return StreamOptions::Odd;
    };
    let mut says = members.iter().filter(|member| member.name == Name::Shadow);
    let last = says
        .clone()
        .rfind(|member| member.key(raw.as_bytes()) == INCLUDE_USAGE);
    StreamOptions::Object {
        include_usage: last.is_some_and(|member| raw.get(member.value.clone()) == Some("true")),
        plain: says.nth(1).is_none(),
    }
}
