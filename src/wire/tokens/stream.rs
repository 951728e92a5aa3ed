//! One event's data, read into facts.
//!
//! Data is read once, into borrowed structs that hold only what is looked at. What they cannot hold
//! although it is JSON (a key given twice, half of a surrogate pair) is normalised and read again,
//! or passes unread; what is no JSON is malformed.

use serde::de::IgnoredAny;

use super::facts::{Added, Facts, Read};
use super::{chat, messages, responses};
use crate::Surface;
use crate::report::StreamFailure;
use crate::report::failure;
use crate::report::lenient::{normalised, parse};
use crate::report::template::Template;

/// Reads one event of a stream of `surface`.
pub(super) fn read(
    surface: Surface,
    name: &[u8],
    data: &[u8],
    template: &mut Template,
    facts: &mut Facts,
) -> Read {
    let named_error = name == b"error";
    if let Some(text) = template.text(data).filter(|_| !named_error) {
        facts.plain(text);
        return Read::default();
    }
    if data == b"[DONE]" {
        facts.complete = true;
        return Read::default();
    }
    facts.added = Added::Nothing;
    let read = match typed(surface, data, facts) {
        Ok(read) => {
            if let Added::One(address, len) = facts.added
                && read.failure.is_none()
            {
                template.learn(data, address.wrapping_sub(data.as_ptr().addr()), len);
            }
            read
        }
        Err(_) if data.trim_ascii().is_empty() => return Read::default(),
        Err(_) if data.trim_ascii() == b"[DONE]" => {
            facts.complete = true;
            return Read::default();
        }
        Err(fault) => again(surface, data, &fault, facts),
    };
    if !named_error {
        return read;
    }
    // The event's name says that it is an error, whatever its data looks like.
    let failure = read
        .failure
        .filter(|failure| *failure != StreamFailure::Malformed);
    let failure = failure.or_else(|| Some(failure::of_body(500, data)));
    Read { failure, ..read }
}

fn typed(surface: Surface, data: &[u8], facts: &mut Facts) -> serde_json::Result<Read> {
    let read = match surface {
        Surface::ChatCompletions | Surface::Completions | Surface::Embeddings => {
            parse(data)?.map(|chunk| chat::read(&chunk, facts))
        }
        Surface::Messages => parse(data)?.map(|event| messages::read(&event, facts)),
        Surface::Responses => parse(data)?.map(|event| responses::read(&event, facts)),
    };
    let mut read = read.unwrap_or_default();
    if !read.answers && read.failure.is_none() {
        read.failure = failure::of_document(data);
    }
    Ok(read)
}

/// Whether the bytes are JSON, if not in a form that can be read.
fn is_json(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok() && serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

fn again(surface: Surface, data: &[u8], fault: &serde_json::Error, facts: &mut Facts) -> Read {
    if let Some(data) = normalised(data, fault) {
        return typed(surface, &data, facts).unwrap_or_default();
    }
    let failure = (!is_json(data)).then_some(StreamFailure::Malformed);
    Read {
        failure,
        ..Read::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [(Surface, &[&str]); 3] = [
        (
            Surface::ChatCompletions,
            &[
                r#"{"model":"m","choices":[{"delta":{"content":"a"}}]}"#,
                r#"{"model":"m","choices":[{"delta":{"content":"b"}}]}"#,
                r#"{"model":"m","choices":[{"delta":{"content":""}}]}"#,
                r#"{"model":"m","choices":[{"delta":{"content":"\u00e9"}}]}"#,
                r#"{"model":"n","choices":[{"delta":{"content":"c"}}]}"#,
                r#"{"choices":[{"delta":{"content":"a","reasoning":"b"}}]}"#,
                r#"{"choices":[{"delta":{"content":"d"},"finish_reason":"stop"}]}"#,
                r#"{"choices":[{"delta":{"content":"d"},"finish_reason":"length"}]}"#,
                r#"{"choices":[{"delta":{"content":"e"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
                r#"{"choices":[{"delta":{"content":"f"}}],"usage":{"prompt_tokens":2,"completion_tokens":2}}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":3}}"#,
                r#"{"choices":[{"delta":{"content":"g"}}],"error":{"message":"m"}}"#,
                r#"{"choices":[{"delta":{"content":"h"}}],"obfuscation":"x"}"#,
                r#"{"choices":[{"delta":{"content":"i"}}],"obfuscation":"yz"}"#,
                "[DONE]",
                "{",
            ],
        ),
        (
            Surface::Messages,
            &[
                r#"{"type":"content_block_delta","index":0,"delta":{"text":"a"}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"text":"b"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"partial_json":"c"}}"#,
                r#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"n"}}"#,
                r#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"o"}}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"x"},"usage":{"output_tokens":2}}"#,
            ],
        ),
        (
            Surface::Responses,
            &[
                r#"{"type":"response.output_text.delta","delta":"a","obfuscation":"x"}"#,
                r#"{"type":"response.output_text.delta","delta":"b","obfuscation":"yy"}"#,
                r#"{"type":"response.output_audio.delta","delta":"b","obfuscation":"yy"}"#,
                r#"{"type":"response.output_item.added","item":{"type":"x","name":"n"}}"#,
                r#"{"type":"response.failed","delta":"a","obfuscation":"x"}"#,
            ],
        ),
    ];

    proptest! {
        #[test]
        fn the_shortcut_tells_what_reading_in_full_tells(
            which in 0..EVENTS.len(), order in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..40),
        ) {
            let (surface, events) = EVENTS[which];
            let (mut short, mut full, mut template) = (Facts::default(), Facts::default(), Template::default());
            for (index, named) in order {
                let event = index.get(events).as_bytes();
                let name: &[u8] = if named && index.index(7) == 0 { b"error" } else { b"" };
                let read = read(surface, name, event, &mut template, &mut short);
                let want = super::read(surface, name, event, &mut Template::default(), &mut full);
                prop_assert_eq!((read.failure, read.usage_only), (want.failure, want.usage_only));
                (short.added, full.added) = (Added::Nothing, Added::Nothing);
                prop_assert_eq!(&short, &full);
            }
        }
    }
}
