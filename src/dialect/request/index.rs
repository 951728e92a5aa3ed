//! The top level of a body as byte ranges; nothing below it is built.
//!
//! Invariant: members are in the body's order, and between `start` of one and `value.end` of the one
//! before there is only white space and a comma.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::BadRequest;
use super::depth::{MAX_DEPTH, too_deep};
use super::fields::{Field, Name};
use super::scan::{after_string, unescape};

/// Most members of a body's top level. An index entry is larger than the shortest member, so without a
/// bound a small body could make a large index.
pub const MAX_MEMBERS: usize = 1024;

/// One top-level member, duplicates included.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// What it is to us.
    pub name: Name,
    /// Where its key's opening quote is.
    pub start: usize,
    /// Where its value is.
    pub value: Range<usize>,
}

impl Member {
    /// Its key, unescaped, out of the JSON that it indexes.
    pub(super) fn key<'a>(&self, json: &'a [u8]) -> Cow<'a, str> {
        let rest = json.get(self.start..).unwrap_or_default();
        unescape(&rest[..after_string(rest, 1)])
    }
}

/// Checks what can be checked without an index: UTF-8, an object, not too deep.
pub(super) fn validate(bytes: &[u8]) -> Result<&str, BadRequest> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        BadRequest::body(format!(
            "We could not parse the JSON body of your request: it is not valid UTF-8 at byte {}. Send JSON \
             encoded as UTF-8.",
            error.valid_up_to()
        ))
    })?;
    if text.starts_with('\u{feff}') {
        return Err(BadRequest::body(
            "We could not parse the JSON body of your request: it starts with a byte order mark. Send JSON \
             without one.",
        ));
    }
    match text.trim_ascii_start().bytes().next() {
        Some(b'{') => {}
        None => {
            return Err(BadRequest::body(
                "We could not parse the JSON body of your request: it is empty. Send a JSON object.",
            ));
        }
        Some(_) => {
            return Err(BadRequest::body(
                "We could not parse the JSON body of your request: it is not a JSON object.",
            ));
        }
    }
    if too_deep(bytes) {
        return Err(BadRequest::body(format!(
            "The JSON body of your request is nested too deeply: at most {MAX_DEPTH} levels are accepted."
        )));
    }
    Ok(text)
}

/// Validates the whole text as one JSON object and indexes its members; `name` says what a key is to us.
pub(super) fn members(text: &str, name: impl Fn(&str) -> Name) -> serde_json::Result<Vec<Member>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Index { name, text })?;
    json.end()?;
    Ok(members)
}

/// Most parsers take the last of several members with the same name, and so do we; the earlier ones
/// must not reach a parser that takes the first.
pub(super) fn shadow_duplicates(members: &mut [Member]) {
    let mut seen: Vec<Field> = Vec::with_capacity(8);
    for member in members.iter_mut().rev() {
        if let Name::Read(field) = member.name {
            if seen.contains(&field) {
                member.name = Name::Shadow;
            } else {
                seen.push(field);
            }
        }
    }
}

struct Index<'a, F> {
    name: F,
    text: &'a str,
}

impl<'de, F: Fn(&str) -> Name> Visitor<'de> for Index<'de, F> {
    type Value = Vec<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Member>, A::Error> {
        let mut members: Vec<Member> = Vec::with_capacity(16);
        let mut end = 0;
        while let Some(name) = map.next_key_seed(Key(&self.name))? {
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_MEMBERS} members at the top level"
                )));
            }
            // Only white space, a brace or a comma can precede the key, so the first quote is its own.
            let rest = self.text.as_bytes().get(end..).unwrap_or_default();
            let start = end + memchr(b'"', rest).unwrap_or_default();
            let raw: &'de RawValue = map.next_value()?;
            let from = raw.get().as_ptr().addr() - self.text.as_ptr().addr();
            end = from + raw.get().len();
            members.push(Member {
                name,
                start,
                value: from..end,
            });
        }
        Ok(members)
    }
}

/// Reads a key only as far as to know what it is to us; no key is allocated.
struct Key<'f, F>(&'f F);

impl<'de, F: Fn(&str) -> Name> DeserializeSeed<'de> for Key<'_, F> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: Fn(&str) -> Name> Visitor<'_> for Key<'_, F> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Name, E> {
        Ok((self.0)(key))
    }
}
