//! `POST /v1/completions`: text only; tools do not exist here, and reasoning is not shown.

use serde_json::{Value, json};

use super::chat::include_usage;
use super::play::{Frame, Part};
use super::prompt::{self, Prompt};
use super::reply::{End, Reply};
use super::{Shape, Surface};

/// Completions.
pub(super) struct Completions;

impl Shape for Completions {
    const SURFACE: Surface = Surface::Completions;

    fn read(body: &Value) -> Prompt {
        let user = prompt::text(body.get("prompt").unwrap_or(&Value::Null));
        Prompt {
            words: prompt::words(&user),
            user,
            stream: prompt::flag(body, "stream"),
            include_usage: include_usage(body),
            max_tokens: prompt::limit(body, &["max_tokens"]),
            ..Prompt::default()
        }
    }

    fn whole(reply: &Reply) -> Value {
        with_usage(
            chunk(reply, &reply.text.concat(), Some(finish(reply))),
            reply,
        )
    }

    fn stream(reply: &Reply) -> Vec<Frame> {
        let word = |word: &String| Frame::data(Part::Content, &chunk(reply, word, None));
        let mut frames: Vec<Frame> = reply.text.iter().map(word).collect();
        let last = chunk(reply, "", Some(finish(reply)));
        frames.push(Frame::data(Part::Frame, &last));
        if reply.include_usage && reply.usage.is_some() {
            let mut last = chunk(reply, "", None);
            last["choices"] = json!([]);
            frames.push(Frame::data(Part::Frame, &with_usage(last, reply)));
        }
        frames.push(Frame::done());
        frames
    }
}

fn chunk(reply: &Reply, text: &str, finish: Option<&str>) -> Value {
    json!({
        "id": format!("cmpl-{}", reply.id), "object": "text_completion",
        "created": reply.created, "model": reply.model,
        "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish}],
    })
}

/// Adds `usage` if the model reports it.
fn with_usage(mut answer: Value, reply: &Reply) -> Value {
    if let Some(tokens) = reply.usage {
        let (input, output) = (tokens.input, tokens.output);
        answer["usage"] = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        });
    }
    answer
}

fn finish(reply: &Reply) -> &'static str {
    match reply.end {
        End::Length => "length",
        End::Complete | End::Tools => "stop",
    }
}
