//! Whose fault an error is, by its body: providers say with 400, 402, 403, 404, 413, 422 and 429 also what is
//! wrong with a *key*, which another key may not have.
//!
//! | cause | what it is about | cools down |
//! | --- | --- | --- |
//! | credit | the key's account has no credit left, or has reached its spending limit | the key |
//! | key | the key is invalid, expired, disabled, or may not do this | the key |
//! | model | the model is not there for this key | the key, for this model |
//! | limit | the request is beyond what this key may use at a time | the key, for this model |
//! | request | the caller's own doing, under a status that says otherwise | nothing |
//! | filter | what the caller wrote was refused by a content filter | nothing |
//!
//! Invariant: nothing that a caller can write makes a key cool down. Codes are the provider's own words and are compared
//! whole; messages are compared from their beginning, and one whose beginning stands in the request itself is an echo
//! and is not believed. What is said of a model cools down no more than the key for that model.

mod table;

use std::borrow::Cow;

use memchr::memmem;
use serde_json::Value;

use table::{TABLE, Words};
use tollgate_config::catalog::{ErrorCause as Cause, ErrorRule};

/// The longest error that is read, in bytes.
pub const LONGEST: usize = 64 << 10;

/// Returns whether errors of this status are worth reading before they are judged.
pub fn is_told(status: u16, rules: &[ErrorRule]) -> bool {
    matches!(status, 400 | 402..=404 | 413 | 422 | 429)
        || rules.iter().any(|rule| rule.statuses.contains(&status))
}

/// An error as its provider sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// Every type, code, status and reason in it.
    codes: Vec<String>,
    message: String,
    /// It names what of the prompt was flagged.
    flagged: bool,
}

/// What was asked, to distinguish an echo of it from the provider's own words.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The model's id, as the provider knows it.
    pub model: &'a str,
    /// The request's body.
    pub body: &'a [u8],
}

impl ProviderError {
    /// Reads an error's body: an error object of any dialect, one in a list, a bare message, or plain text.
    pub fn read(body: &[u8]) -> ProviderError {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            let text = String::from_utf8_lossy(body);
            return ProviderError::event("", text.trim());
        };
        // Google's are in a list.
        let whole = match &value {
            Value::Array(list) => list.first().unwrap_or(&Value::Null),
            other => other,
        };
        let mut told = ProviderError::default();
        match &whole["error"] {
            Value::String(message) => {
                told.message.clone_from(message);
                told.codes_of(whole);
            }
            inner @ Value::Object(_) => {
                told.message_of(inner);
                told.codes_of(inner);
            }
            _ => {
                told.message_of(whole);
                told.codes_of(whole);
            }
        }
        told
    }

    /// Returns what an error inside a stream says: its type or code, and its message.
    pub fn event(kind: &str, message: &str) -> ProviderError {
        ProviderError {
            codes: vec![kind.to_owned()],
            message: message.to_owned(),
            flagged: false,
        }
    }

    fn message_of(&mut self, object: &Value) {
        let texts = ["message", "detail", "msg"].map(|name| object[name].as_str());
        self.message = texts
            .into_iter()
            .flatten()
            .next()
            .unwrap_or_default()
            .to_owned();
    }

    fn codes_of(&mut self, object: &Value) {
        let names = ["type", "code", "status", "reason"].map(|name| &object[name]);
        let details = &object["details"];
        let reasons = details.as_array().into_iter().flatten();
        let reasons = reasons.map(|detail| &detail["reason"]);
        let all = names
            .into_iter()
            .chain(reasons)
            .chain([&details["error_code"]]);
        self.codes.extend(all.filter_map(|code| match code {
            Value::String(code) => Some(code.clone()),
            Value::Number(code) => Some(code.to_string()),
            _ => None,
        }));
        self.flagged = !object["metadata"]["flagged_input"].is_null();
    }

    /// Returns whose fault it is, if that is known: by the operator's own rules first, then by the table.
    pub fn cause(&self, status: u16, rules: &[ErrorRule], asked: Asked<'_>) -> Option<Cause> {
        let own = rules.iter().find(|rule| {
            let statuses = &rule.statuses;
            (statuses.is_empty() || statuses.contains(&status))
                && rule.code.as_ref().is_none_or(|code| self.has(code))
                && rule
                    .message
                    .as_ref()
                    .is_none_or(|text| self.begins(text, asked))
        });
        if let Some(rule) = own {
            return Some(rule.cause);
        }
        if self.flagged {
            return Some(Cause::Filter);
        }
        let rows = TABLE.iter().flat_map(|(_, rows)| rows.iter());
        let mut fitting = rows.filter(|row| row.status.is_none_or(|only| only == status));
        let found = fitting.find(|row| match row.words {
            Words::Code(code) => self.has(code),
            Words::Begins(text) => self.begins(text, asked),
        });
        found.map(|row| row.cause)
    }

    fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|known| known == code)
    }

    /// Whether the message begins so, in the provider's own words.
    fn begins(&self, pattern: &str, asked: Asked<'_>) -> bool {
        beginning(&self.message, pattern, asked.model).is_some_and(|begun| !echoes(asked, begun))
    }
}

/// The part of `text` that a pattern describes, if `text` begins with it. `{model}` stands for the model's id, `*` for
/// one word.
fn beginning<'t>(text: &'t str, pattern: &str, model: &str) -> Option<&'t str> {
    let mut rest = text;
    let mut pattern = pattern;
    while !pattern.is_empty() {
        let next = pattern.find(['*', '{']).unwrap_or(pattern.len());
        let (plain, tail) = pattern.split_at(next);
        rest = rest.strip_prefix(plain)?;
        pattern = tail;
        if let Some(tail) = pattern.strip_prefix('*') {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            (rest, pattern) = (&rest[end..], tail);
        } else if let Some(tail) = pattern.strip_prefix("{model}") {
            (rest, pattern) = (rest.strip_prefix(model)?, tail);
        } else if pattern.starts_with('{') {
            rest = rest.strip_prefix('{')?;
            pattern = &pattern[1..];
        }
    }
    Some(&text[..text.len() - rest.len()])
}

/// Whether the request says it itself: then the provider may be repeating it.
fn echoes(asked: Asked<'_>, words: &str) -> bool {
    memmem::find(&unescaped(asked.body), words.as_bytes()).is_some()
}

/// A JSON text in which no plain character is escaped.
fn unescaped(json: &[u8]) -> Cow<'_, [u8]> {
    let escape = |at: usize| -> Option<(u8, usize)> {
        match json.get(at + 1)? {
            b'u' => {
                let digits = std::str::from_utf8(json.get(at + 2..at + 6)?).ok()?;
                let code = u16::from_str_radix(digits, 16).ok()?;
                let plain = u8::try_from(code).ok().filter(u8::is_ascii)?;
                Some((plain, 6))
            }
            plain @ (b'/' | b'"' | b'\\') => Some((*plain, 2)),
            _ => None,
        }
    };
    let mut slashes = memchr::memchr_iter(b'\\', json);
    if slashes.next().is_none() {
        return json.into();
    }
    let mut plain = Vec::with_capacity(json.len());
    let mut at = 0;
    while at < json.len() {
        let slash = memchr::memchr(b'\\', &json[at..]).map_or(json.len(), |found| at + found);
        plain.extend_from_slice(&json[at..slash]);
        at = slash;
        if let Some((byte, length)) = escape(at).filter(|_| at < json.len()) {
            plain.push(byte);
            at += length;
        } else if at < json.len() {
            plain.push(b'\\');
            at += 1;
        }
    }
    plain.into()
}

#[cfg(test)]
mod tests;
