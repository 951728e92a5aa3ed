//! `POST /v1/embeddings`: small vectors that depend on nothing but the text.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error;
use super::prompt;
use super::{Dialect, Model, admit, play};

/// Dimensions unless the request says otherwise.
const DIMENSIONS: usize = 8;
/// Most dimensions that a request may ask for.
const MAX_DIMENSIONS: usize = 4_096;

/// Answers one request.
pub(super) async fn embed(body: bytes::Bytes) -> Response {
    let (model, body) = match admit(Dialect::OpenAi, &body).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    match model.event_failure(Dialect::OpenAi) {
        Some(failure) => error::response(Dialect::OpenAi, &failure),
        None => play::whole(model, &answer(model, &body)).await,
    }
}

fn answer(model: Model, body: &Value) -> Value {
    let dimensions = prompt::limit(body, &["dimensions"])
        .unwrap_or(DIMENSIONS)
        .clamp(1, MAX_DIMENSIONS);
    let base64 = prompt::string(body, "encoding_format") == "base64";
    let inputs = inputs(body.get("input").unwrap_or(&Value::Null));
    let embedding = |(index, input): (usize, &String)| {
        let vector = vector(input, dimensions);
        let embedding = if base64 {
            json!(encoded(&vector))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = inputs.iter().enumerate().map(embedding).collect();
    let mut answer =
        json!({"object": "list", "data": data, "model": prompt::string(body, "model")});
    if model != Model::NoUsage {
        let words: usize = inputs.iter().map(|input| prompt::words(input)).sum();
        answer["usage"] = json!({"prompt_tokens": words, "total_tokens": words});
    }
    answer
}

/// A text, a list of texts, a list of tokens, or a list of lists of tokens; a token counts as a word.
fn inputs(input: &Value) -> Vec<String> {
    let tokens = |list: &[Value]| {
        list.iter()
            .map(|token| format!("{token} "))
            .collect::<String>()
    };
    match input {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) if list.first().is_some_and(Value::is_number) => vec![tokens(list)],
        Value::Array(list) => list
            .iter()
            .map(|item| match item {
                Value::Array(list) => tokens(list),
                other => other.as_str().unwrap_or_default().to_owned(),
            })
            .collect(),
        _ => vec![String::new()],
    }
}

/// Numbers in [-1, 1) from an FNV-1a hash of the text.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut mix = |byte: u8| {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        hash.to_be_bytes()
    };
    for byte in text.bytes() {
        mix(byte);
    }
    let number = |_| {
        let bytes = mix(1);
        f32::from(i16::from_be_bytes([bytes[2], bytes[3]])) / 32_768.0
    };
    (0..dimensions).map(number).collect()
}

/// Little-endian 32-bit floats in base64, as OpenAI's SDKs ask for them by default.
fn encoded(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}
