//! One event's data, read into facts.
//!
//! Data is read once, into borrowed structs that hold only what is looked at. What they cannot hold
//! although it is JSON (a key given twice, half of a surrogate pair) is normalised and read again,
//! or passes unread; what is no JSON is malformed.

use serde::de::{Deserialize, IgnoredAny};

use super::StreamFailure;
use super::facts::{Facts, Read};
use super::failure::event;
use super::lenient::Maybe;
use super::messages::MessageEvent;
use super::openai::Chunk;
use super::responses::ResponseEvent;
use crate::dialect::Surface;

/// Reads one event of a stream of `surface`.
pub(super) fn read(surface: Surface, name: &[u8], data: &[u8], facts: &mut Facts) -> Read {
    if data == b"[DONE]" {
        facts.complete = true;
        return Read::default();
    }
    let read = match typed(surface, data, facts) {
        Ok(read) => read,
        Err(_) if data.trim_ascii().is_empty() => return Read::default(),
        Err(_) if data.trim_ascii() == b"[DONE]" => {
            facts.complete = true;
            return Read::default();
        }
        Err(fault) => again(surface, data, &fault, facts),
    };
    if name != b"error" {
        return read;
    }
    // The event's name says that it is an error, whatever its data looks like.
    let unread = matches!(read.failure, None | Some(StreamFailure::Malformed));
    let failure = if unread {
        Some(event(500, "error", &String::from_utf8_lossy(data)))
    } else {
        read.failure
    };
    Read { failure, ..read }
}

fn typed(surface: Surface, data: &[u8], facts: &mut Facts) -> serde_json::Result<Read> {
    match surface {
        Surface::ChatCompletions | Surface::Completions | Surface::Embeddings => {
            parse::<Chunk<'_>>(data)
                .map(|chunk| chunk.map_or_else(Read::default, |chunk| chunk.read(facts)))
        }
        Surface::Messages => parse::<MessageEvent<'_>>(data)
            .map(|event| event.map_or_else(Read::default, |event| event.read(facts))),
        Surface::Responses => parse::<ResponseEvent<'_>>(data)
            .map(|event| event.map_or_else(Read::default, |event| event.read(facts))),
    }
}

/// Parses an object; `None` for other JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(data: &'a [u8]) -> serde_json::Result<Option<T>> {
    serde_json::from_slice::<Maybe<T>>(data).map(|object| object.0)
}

/// The same JSON with every key given once, the last one winning; `None` if that does not help.
pub(super) fn normalised(data: &[u8], fault: &serde_json::Error) -> Option<Vec<u8>> {
    if !fault.is_data() {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(data).ok()?;
    serde_json::to_vec(&value).ok()
}

/// Whether the bytes are JSON, if not in a form that can be read.
pub(super) fn is_json(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok() && serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

fn again(surface: Surface, data: &[u8], fault: &serde_json::Error, facts: &mut Facts) -> Read {
    if let Some(data) = normalised(data, fault) {
        return typed(surface, &data, facts).unwrap_or_default();
    }
    let failure = (!is_json(data)).then_some(StreamFailure::Malformed);
    Read {
        failure,
        usage_only: false,
    }
}
