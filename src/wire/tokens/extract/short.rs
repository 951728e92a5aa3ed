//! A document that is short enough to be kept as it is: most are.
//!
//! It says the same as if it was looked at as it passed, for a fraction of the cost; a property test holds the two against
//! each other. One that is no object, or no JSON, or may have half a character somewhere, at which readers stumble, is
//! left to the other way.

use std::ops::Range;

use super::members::{Keep, is_tool, member};
use super::slot::Slot;
use super::{End, Kept};
use crate::skip::{self, Fault};

/// The longest such document, in bytes.
pub(super) const LONGEST: usize = 16 << 10;

/// What is known of a document; it itself if it is no object.
pub(super) fn read(all: Vec<u8>) -> Result<Kept, Vec<u8>> {
    let mut slots: Vec<Slot> = Vec::with_capacity(8);
    let known = |key: &[u8], at: Range<usize>| {
        if let Some((name, keep)) = member(key) {
            // Of a member given twice the last one counts.
            slots.retain(|slot| slot.name != name);
            slots.push(Slot {
                name,
                keep,
                length: at.len() as u64,
                at,
                ..Slot::default()
            });
        }
    };
    let is_text = simdutf8::basic::from_utf8(&all).is_ok() && !has_surrogates(&all);
    if !is_text || skip::places(&all, known).is_err() {
        return Err(all);
    }
    let mut tools = false;
    for slot in slots.iter_mut().filter(|slot| slot.keep == Keep::Looked) {
        let seen = match slot.name {
            "choices" => inside(&all, slot.at.start, b"finish_reason", |at| {
                if !matches!(&all[at.clone()], b"null" | b"\"\"") {
                    slot.reason = Some(at);
                }
            }),
            "output" => inside(&all, slot.at.start, b"type", |at| {
                tools |= is_tool(&all[at])
            }),
            _ => continue,
        };
        if seen.is_err() {
            return Err(all);
        }
    }
    Ok(Kept {
        end: End::Whole,
        is_object: true,
        length: all.len() as u64,
        tools,
        bytes: all,
        slots,
        is_all: true,
    })
}

/// Whether a character is written as two halves, or one of them is missing.
fn has_surrogates(json: &[u8]) -> bool {
    let half = |at: usize| matches!(json.get(at + 1..at + 3), Some([b'u', b'd' | b'D']));
    memchr::memchr_iter(b'\\', json).any(half)
}

/// Hands over the values of this key in the objects of the array at `at`, if it is one.
fn inside(
    json: &[u8],
    at: usize,
    key: &[u8],
    mut each: impl FnMut(Range<usize>),
) -> Result<(), Fault> {
    if json[at] != b'[' {
        return Ok(());
    }
    let element = |at: usize| match json.get(at) {
        Some(b'{') => skip::object(json, at, |name, at| {
            let end = skip::value(json, at)?;
            if name == key {
                each(at..end);
            }
            Ok(end)
        }),
        _ => skip::value(json, at),
    };
    skip::array(json, at, element).map(drop)
}
