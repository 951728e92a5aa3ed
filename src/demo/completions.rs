//! `POST /v1/completions`: text only; tools do not exist here, and reasoning is not shown.

use serde_json::{Value, json};

use super::chat::{include_usage, with_usage};
use super::error::Failure;
use super::play::{Frame, Part};
use super::prompt::{self, Prompt};
use super::reply::{Reply, Stop, joined};
use super::{Shape, Surface};
use tollgate_wire::Dialect;

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
            chunk(reply, &joined(&reply.text), Some(finish(reply))),
            reply,
        )
    }

    fn stream(reply: &Reply) -> Vec<Frame> {
        let word = |word: &String| Frame::data(Part::Content, &chunk(reply, word, None));
        let mut frames: Vec<Frame> = reply.text.iter().map(word).collect();
        frames.push(Frame::data(
            Part::Frame,
            &chunk(reply, "", Some(finish(reply))),
        ));
        if reply.include_usage && reply.usage.is_some() {
            let mut last = chunk(reply, "", None);
            last["choices"] = json!([]);
            frames.push(Frame::data(Part::Frame, &with_usage(last, reply)));
        }
        frames.push(Frame::done());
        frames
    }

    fn failed(_reply: &Reply, failure: &Failure) -> Vec<Frame> {
        vec![Frame::data(Part::Frame, &failure.body(Dialect::OpenAi))]
    }
}

fn chunk(reply: &Reply, text: &str, finish: Option<&str>) -> Value {
    json!({
        "id": format!("cmpl-demo-{}", reply.number), "object": "text_completion",
        "created": reply.created, "model": reply.model,
        "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish}],
    })
}

fn finish(reply: &Reply) -> &'static str {
    if reply.stop == Stop::Length {
        "length"
    } else {
        "stop"
    }
}
