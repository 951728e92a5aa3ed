//! Steps over JSON and validates it on the way: one pass, no recursion, nothing built.
//!
//! Invariant: what [`value`] accepts is exactly what serde_json accepts when it ignores a value, to a
//! depth of [`MAX_DEPTH`] levels; a property test holds the two against each other. It is our own because
//! serde_json's has no bound on depth when it ignores, and a pass of our own for the depth alone costs as
//! much again.

mod scanner;
mod text;

use std::fmt;
use std::ops::Range;

pub(crate) use scanner::{Look, Scanner, Stop};
pub(crate) use text::string;

/// Most levels of arrays and objects inside each other, the body's own object included.
pub const MAX_DEPTH: usize = 128;

/// Where and why a text is not the JSON that is wanted. Quotes nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub what: What,
    pub at: usize,
}

/// Why a text is not the JSON that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Something else was expected, or a rule was broken.
    Syntax(&'static str),
    /// Too many levels.
    Depth,
    /// Too many members.
    Width,
    /// More values than were to be looked at.
    Values,
}

impl Fault {
    fn syntax<T>(json: &[u8], at: usize, what: &'static str) -> Result<T, Fault> {
        let what = if at >= json.len() {
            "unexpected end"
        } else {
            what
        };
        Err(Fault {
            what: What::Syntax(what),
            at,
        })
    }

    /// The place as people count, from 1.
    pub(crate) fn place(self, json: &[u8]) -> impl fmt::Display {
        let before = json.get(..self.at).unwrap_or(json);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count()
            + 1;
        format!("line {line} column {column}")
    }
}

/// The index of the first byte at or after `at` that is not white space.
pub(crate) fn space(json: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = json.get(at) {
        at += 1;
    }
    at
}

/// The index after `byte`, which must be at `at`.
pub(crate) fn expect(json: &[u8], at: usize, byte: u8, what: &'static str) -> Result<usize, Fault> {
    if json.get(at) == Some(&byte) {
        Ok(at + 1)
    } else {
        Fault::syntax(json, at, what)
    }
}

/// The index of the value that belongs to the key whose opening quote must be at `at`.
pub(crate) fn key(json: &[u8], at: usize) -> Result<usize, Fault> {
    let at = expect(json, at, b'"', "expected a key in double quotes")?;
    colon(json, string(json, at)?)
}

/// The index of the value that belongs to the key that ended before `at`.
fn colon(json: &[u8], at: usize) -> Result<usize, Fault> {
    let at = space(json, at);
    Ok(space(json, expect(json, at, b':', "expected `:`")?))
}

/// Hands over the members of the object that is the whole of `json`: the key between its quotes as it is
/// written, and the value.
pub(crate) fn members<'a>(
    json: &'a [u8],
    mut member: impl FnMut(&'a [u8], &'a [u8]),
) -> Result<(), Fault> {
    places(json, |key, at| member(key, &json[at]))
}

/// The same, with where the value is.
pub(crate) fn places<'a>(
    json: &'a [u8],
    mut member: impl FnMut(&'a [u8], Range<usize>),
) -> Result<(), Fault> {
    let end = object(json, space(json, 0), |key, at| {
        let end = value(json, at)?;
        member(key, at..end);
        Ok(end)
    })?;
    nothing(json, end)
}

/// The index after the object at `at`. `member` is given each key, between its quotes as it is written, and
/// where its value is, and says where that ends: it passes over it with [`value`], or looks into it.
pub(crate) fn object<'a>(
    json: &'a [u8],
    at: usize,
    mut member: impl FnMut(&'a [u8], usize) -> Result<usize, Fault>,
) -> Result<usize, Fault> {
    let mut at = space(json, expect(json, at, b'{', "expected an object")?);
    if json.get(at) != Some(&b'}') {
        loop {
            let start = expect(json, at, b'"', "expected a key in double quotes")?;
            let after = string(json, start)?;
            let end = member(&json[start..after - 1], colon(json, after)?)?;
            at = space(json, end);
            if json.get(at) != Some(&b',') {
                break;
            }
            at = space(json, at + 1);
        }
    }
    expect(json, at, b'}', "expected `,` or `}`")
}

/// The index after the array at `at`; `element` is given where each element is, and says where it ends.
pub(crate) fn array(
    json: &[u8],
    at: usize,
    mut element: impl FnMut(usize) -> Result<usize, Fault>,
) -> Result<usize, Fault> {
    let mut at = space(json, expect(json, at, b'[', "expected an array")?);
    if json.get(at) != Some(&b']') {
        loop {
            at = space(json, element(at)?);
            if json.get(at) != Some(&b',') {
                break;
            }
            at = space(json, at + 1);
        }
    }
    expect(json, at, b']', "expected `,` or `]`")
}

/// There must be nothing but white space from `at` on.
fn nothing(json: &[u8], at: usize) -> Result<(), Fault> {
    let at = space(json, at);
    if at < json.len() {
        return Fault::syntax(json, at, "trailing characters");
    }
    Ok(())
}

/// The index after the value at `at`, which is a member of the body's object.
pub(crate) fn value(json: &[u8], at: usize) -> Result<usize, Fault> {
    value_below(json, at, 0)
}

/// The same for a value that lies so many levels below the body's object.
pub(crate) fn value_below(json: &[u8], at: usize, level: usize) -> Result<usize, Fault> {
    let mut most = usize::MAX;
    value_of(json, at, level, &mut most)
}

/// The same for a value of at most so many values, which are taken off `most`.
pub(crate) fn value_of(
    json: &[u8],
    mut at: usize,
    level: usize,
    most: &mut usize,
) -> Result<usize, Fault> {
    // The open containers around what is stepped over: a bit each, 1 for an object, the innermost lowest.
    let mut levels = 0u128;
    let start = level + 1;
    let mut depth = start;
    loop {
        *most = most.checked_sub(1).ok_or(Fault {
            what: What::Values,
            at,
        })?;
        match json.get(at) {
            Some(b'"') => at = string(json, at + 1)?,
            Some(&open @ (b'{' | b'[')) => {
                if depth == MAX_DEPTH {
                    return Err(Fault {
                        what: What::Depth,
                        at,
                    });
                }
                let object = open == b'{';
                depth += 1;
                levels = levels << 1 | u128::from(object);
                at = space(json, at + 1);
                match json.get(at) {
                    // Empty: closed below.
                    Some(b'}') if object => {}
                    Some(b']') if !object => {}
                    _ if object => {
                        at = key(json, at)?;
                        continue;
                    }
                    _ => continue,
                }
            }
            Some(b'-' | b'0'..=b'9') => at = number(json, at)?,
            Some(b't') => at = word(json, at, b"true")?,
            Some(b'f') => at = word(json, at, b"false")?,
            Some(b'n') => at = word(json, at, b"null")?,
            _ => return Fault::syntax(json, at, "expected a value"),
        }
        // A value is behind us: close what closes here, and go on where there is another.
        loop {
            if depth == start {
                return Ok(at);
            }
            at = space(json, at);
            let object = levels & 1 == 1;
            match json.get(at) {
                Some(b',') => {
                    at = space(json, at + 1);
                    if object {
                        at = key(json, at)?;
                    }
                    break;
                }
                Some(b'}') if object => {}
                Some(b']') if !object => {}
                _ if object => return Fault::syntax(json, at, "expected `,` or `}`"),
                _ => return Fault::syntax(json, at, "expected `,` or `]`"),
            }
            at += 1;
            depth -= 1;
            levels >>= 1;
        }
    }
}

fn word(json: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    let end = at + word.len();
    if json.get(at..end) == Some(word) {
        Ok(end)
    } else {
        Fault::syntax(json, at, "expected a value")
    }
}

fn number(json: &[u8], mut at: usize) -> Result<usize, Fault> {
    const WHAT: &str = "invalid number";
    let digits = |mut at: usize| {
        let from = at;
        while json.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at > from {
            Ok(at)
        } else {
            Fault::syntax(json, at, WHAT)
        }
    };
    if json.get(at) == Some(&b'-') {
        at += 1;
    }
    let zero = json.get(at) == Some(&b'0');
    let end = digits(at)?;
    if zero && end > at + 1 {
        return Fault::syntax(json, at + 1, WHAT);
    }
    at = end;
    if json.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = json.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = json.get(at) {
            at += 1;
        }
        at = digits(at)?;
    }
    Ok(at)
}

#[cfg(test)]
pub(crate) mod tests;
