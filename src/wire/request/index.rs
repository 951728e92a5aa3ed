//! The top level of a body as byte ranges; nothing below it is built.
//!
//! Invariant: members are in the body's order, and between `start` of one and `value.end` of the one
//! before there is only white space and a comma.

use std::borrow::Cow;
use std::ops::Range;

use super::BadRequest;
use super::names::{Field, Name};
use super::scan::{after_string, unescape};
use crate::skip;
use crate::skip::{Fault, MAX_DEPTH, What};

/// Most members of a body's top level. An index entry is larger than the shortest member, so without a
/// bound a small body could make a large index.
pub(crate) const MAX_MEMBERS: usize = 1024;

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

/// The body as text.
pub(super) fn text(bytes: &[u8]) -> Result<&str, BadRequest> {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return Ok(text);
    }
    // The fast check does not say where.
    std::str::from_utf8(bytes).map_err(|error| {
        BadRequest::body(format!(
            "We could not parse the JSON body of your request: it is not valid UTF-8 at byte {}. Send JSON \
             encoded as UTF-8.",
            error.valid_up_to()
        ))
    })
}

/// Validates the whole text as one JSON object of at most `values` values below its members, and indexes these; `name`
/// says what a key is to us.
pub(super) fn members(
    text: &str,
    mut values: usize,
    name: impl Fn(&str) -> Name,
) -> Result<Vec<Member>, Fault> {
    let json = text.as_bytes();
    let mut members: Vec<Member> = Vec::with_capacity(16);
    let mut at = skip::space(json, 0);
    at = skip::space(json, skip::expect(json, at, b'{', "expected an object")?);
    if json.get(at) != Some(&b'}') {
        loop {
            if members.len() == MAX_MEMBERS {
                return Err(Fault {
                    what: What::Width,
                    at,
                });
            }
            let start = at;
            let from = skip::key(json, start)?;
            // The key ends at the last quote before its value.
            let key = text
                .get(start..from)
                .unwrap_or_default()
                .trim_end_matches([':', ' ', '\t', '\r', '\n']);
            let name = named(key, &name).ok_or(Fault {
                what: What::Syntax("lone surrogate in a key"),
                at,
            })?;
            let end = skip::value_of(json, from, 0, &mut values)?;
            members.push(Member {
                name,
                start,
                value: from..end,
            });
            at = skip::space(json, end);
            if json.get(at) != Some(&b',') {
                break;
            }
            at = skip::space(json, at + 1);
        }
    }
    at = skip::space(json, skip::expect(json, at, b'}', "expected `,` or `}`")?);
    if at == json.len() {
        Ok(members)
    } else {
        Err(Fault {
            what: What::Syntax("trailing characters"),
            at,
        })
    }
}

/// What a key, quotes included, is to us; `None` if it says nothing in Unicode: parsers read such a key in
/// different ways.
fn named(key: &str, name: &impl Fn(&str) -> Name) -> Option<Name> {
    if key.contains('\\') {
        return serde_json::from_str::<String>(key)
            .ok()
            .map(|key| name(&key));
    }
    key.get(1..key.len().checked_sub(1)?).map(name)
}

/// The message for the sender of a body that is not one JSON object.
pub(super) fn refusal(text: &str, fault: Fault) -> BadRequest {
    let why = match (fault.what, text.trim_ascii_start().as_bytes()) {
        (What::Depth, _) => {
            format!("it is nested too deeply, at most {MAX_DEPTH} levels are accepted.")
        }
        (What::Values, _) => "it has too many values.".to_owned(),
        (What::Width, _) => format!("it has more than {MAX_MEMBERS} members at the top level."),
        (_, []) => "it is empty. Send a JSON object.".to_owned(),
        (_, [0xef, 0xbb, 0xbf, ..]) => {
            "it starts with a byte order mark. Send JSON without one.".to_owned()
        }
        (_, [first, ..]) if *first != b'{' => "it is not a JSON object.".to_owned(),
        (What::Syntax(what), _) => format!("{what} at {}.", fault.place(text.as_bytes())),
    };
    BadRequest::body(format!(
        "We could not parse the JSON body of your request: {why}"
    ))
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
