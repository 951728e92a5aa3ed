//! A document that is short enough to be kept as it is: most are.
//!
//! It says the same as if it was looked at as it passed, for a fraction of the cost; a property test holds the two against
//! each other. One that is no object, or no JSON, or may have half a character somewhere, at which readers stumble, is
//! left to the other way.

use std::ops::Range;

use super::members::{is_tool, member};
use super::slot::Slot;
use super::{End, Kept};
use crate::skip::{self, Fault};

/// The longest such document, in bytes.
pub(super) const LONGEST: usize = 16 << 10;

/// What is known of a document; it itself if it is no object.
pub(super) fn read(all: Vec<u8>) -> Result<Kept, Vec<u8>> {
    let mut slots: Vec<Slot> = Vec::with_capacity(8);
    let mut tools = false;
    let is_text = simdutf8::basic::from_utf8(&all).is_ok() && !has_surrogates(&all);
    let end = skip::object(&all, skip::space(&all, 0), |key, at| {
        let Some((name, keep)) = member(key) else {
            return skip::value(&all, at);
        };
        let mut slot = Slot {
            name,
            keep,
            ..Slot::default()
        };
        let end = match name {
            "choices" => inside(&all, at, b"finish_reason", |at| {
                if !matches!(&all[at.clone()], b"null" | b"\"\"") {
                    slot.reason = Some(at);
                }
            })?,
            "output" => {
                tools = false;
                inside(&all, at, b"type", |at| tools |= is_tool(&all[at]))?
            }
            _ => skip::value(&all, at)?,
        };
        slot.length = (end - at) as u64;
        slot.at = at..end;
        // Of a member given twice the last one counts.
        slots.retain(|slot| slot.name != name);
        slots.push(slot);
        Ok(end)
    });
    if !is_text || !end.is_ok_and(|end| skip::space(&all, end) == all.len()) {
        return Err(all);
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

/// Hands over the values of this key in the objects of the array that is the member at `at`; the index after the member,
/// whatever it is.
fn inside(
    json: &[u8],
    at: usize,
    key: &[u8],
    mut each: impl FnMut(Range<usize>),
) -> Result<usize, Fault> {
    if json.get(at) != Some(&b'[') {
        return skip::value(json, at);
    }
    skip::array(json, at, |at| match json.get(at) {
        Some(b'{') => skip::object(json, at, |name, at| {
            let end = skip::value_below(json, at, 2)?;
            if name == key {
                each(at..end);
            }
            Ok(end)
        }),
        _ => skip::value_below(json, at, 1),
    })
}
