//! The parts of a message's content.

use serde_json::{Value, json};

use super::super::json::Fields;
use super::super::neutral::{Block, CacheMark, Content, Proof, Source, Thinking};
use super::super::{Refusal, media};

/// A content that is a text or a list of parts.
pub(super) fn content(value: Value, path: &str) -> Result<Vec<Block>, Refusal> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Block::text(text)]),
        Value::Array(parts) => parts
            .into_iter()
            .enumerate()
            .map(|(at, part)| {
                if let Value::String(text) = part {
                    return Ok(Block::text(text));
                }
                block(Fields::of(part, format!("{path}[{at}]"))?)
            })
            .collect(),
        _ => Err(Refusal::new(path, "expected a string or an array")),
    }
}

fn block(mut part: Fields) -> Result<Block, Refusal> {
    let cache = mark(&mut part)?;
    let kind = part.needed("type")?;
    let content = match kind.as_str() {
        "text" => Content::Text(part.needed("text")?),
        "refusal" => Content::Refusal(part.needed("refusal")?),
        "image_url" => {
            let mut image = match part.take("image_url") {
                Some(Value::String(url)) => {
                    Fields::of(json!({ "url": url }), part.path("image_url"))?
                }
                Some(value) => Fields::of(value, part.path("image_url"))?,
                None => return part.refuse("image_url", "it is missing"),
            };
            Content::Image {
                source: media::source(image.needed("url")?),
                detail: image.text("detail")?.filter(|detail| detail != "auto"),
            }
        }
        "file" => {
            let Some(mut file) = part.object("file")? else {
                return part.refuse("file", "it is missing");
            };
            let name = file.text("filename")?;
            let source = match (file.text("file_data")?, file.text("file_id")?) {
                (Some(data), _) => match media::source(data) {
                    // Some clients send the base64 alone.
                    Source::Url(data) => Source::Base64 {
                        media_type: "application/pdf".to_owned(),
                        data,
                    },
                    source => source,
                },
                (None, Some(id)) => Source::Id(id),
                (None, None) => return file.refuse("file_data", "it is missing"),
            };
            Content::File { source, name }
        }
        "input_audio" => return part.refuse("input_audio", "audio is not translated"),
        _ => return part.refuse("type", "parts of this type are not translated"),
    };
    Ok(Block { content, cache })
}

/// A cache mark: OpenAI's, or Anthropic's as clients of gateways write it into chat messages.
pub(crate) fn mark(part: &mut Fields) -> Result<Option<CacheMark>, Refusal> {
    for key in ["prompt_cache_breakpoint", "cache_control"] {
        if let Some(mut mark) = part.object(key)? {
            return Ok(Some(CacheMark {
                ttl: mark.text("ttl")?,
            }));
        }
    }
    Ok(None)
}

/// A thinking block of Anthropic's, as messages and `thinking_blocks` have it; `None` if it is no such block.
pub(crate) fn thinking_block(mut block: Fields) -> Result<Option<Thinking>, Refusal> {
    let kind = block.text("type")?.unwrap_or_default();
    Ok(match kind.as_str() {
        "thinking" => {
            let text = block.text("thinking")?.unwrap_or_default();
            let signature = block.text("signature")?.unwrap_or_default();
            let proof = match Proof::open(&signature) {
                Some(proof) => proof,
                None if signature.is_empty() => Proof::None,
                None => Proof::Signature(signature),
            };
            Some(Thinking { text, proof })
        }
        "redacted_thinking" => {
            let data = block.text("data")?.unwrap_or_default();
            let proof = Proof::open(&data).unwrap_or(Proof::Redacted(data));
            Some(Thinking {
                text: String::new(),
                proof,
            })
        }
        _ => None,
    })
}

/// A thought as a thinking block of Anthropic's, sealed if it is another's.
pub(crate) fn thinking_value(thinking: &Thinking) -> Value {
    match &thinking.proof {
        Proof::Signature(signature) => {
            json!({"type": "thinking", "thinking": thinking.text, "signature": signature})
        }
        Proof::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
        // It has no words, and clients carry such blocks without looking into them.
        proof @ Proof::Extra { .. } => json!({"type": "redacted_thinking", "data": proof.seal()}),
        proof => json!({"type": "thinking", "thinking": thinking.text, "signature": proof.seal()}),
    }
}
