//! `POST /v1/chat/completions`

use serde_json::{Value, json};

use super::error::Failure;
use super::play::{Frame, Part};
use super::prompt::{self, Prompt};
use super::reply::{Reply, Stop, Tokens, joined};
use super::{Shape, Surface};
use tollgate_wire::Dialect;

/// Chat completions.
pub(super) struct Chat;

impl Shape for Chat {
    const SURFACE: Surface = Surface::ChatCompletions;

    fn read(body: &Value) -> Prompt {
        let messages = prompt::list(body, "messages");
        let content =
            |message: &Value| prompt::text(message.get("content").unwrap_or(&Value::Null));
        let role = |message: &Value, role: &str| prompt::string(message, "role") == role;
        let functions = prompt::list(body, "tools")
            .iter()
            .filter_map(|tool| tool.get("function"));
        Prompt {
            user: messages
                .iter()
                .rfind(|message| role(message, "user"))
                .map(content)
                .unwrap_or_default(),
            tool_result: messages
                .last()
                .filter(|last| role(last, "tool"))
                .map(content),
            tools: prompt::tools(functions, "parameters"),
            choice: prompt::choice(body),
            schema: body.pointer("/response_format/json_schema/schema").cloned(),
            words: messages
                .iter()
                .map(|message| prompt::words(&content(message)))
                .sum(),
            stream: prompt::flag(body, "stream"),
            include_usage: include_usage(body),
            max_tokens: prompt::limit(body, &["max_completion_tokens", "max_tokens"]),
            ..Prompt::default()
        }
    }

    fn whole(reply: &Reply) -> Value {
        let text = joined(&reply.text);
        let mut message =
            json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
        if !reply.reasoning.is_empty() {
            message["reasoning_content"] = json!(joined(&reply.reasoning));
        }
        if !reply.calls.is_empty() {
            message["content"] = Value::Null;
            message["tool_calls"] = reply
                .calls
                .iter()
                .map(|call| {
                    json!({"id": call.id, "type": "function",
                        "function": {"name": call.name, "arguments": call.arguments}})
                })
                .collect();
        }
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish(reply)});
        let mut answer = base(reply, "chat.completion");
        answer["choices"] = json!([choice]);
        with_usage(answer, reply)
    }

    fn stream(reply: &Reply) -> Vec<Frame> {
        let mut frames = vec![delta(
            reply,
            Part::Frame,
            &json!({"role": "assistant", "content": ""}),
            None,
        )];
        for word in &reply.reasoning {
            frames.push(delta(
                reply,
                Part::Content,
                &json!({"reasoning_content": word}),
                None,
            ));
        }
        for word in &reply.text {
            frames.push(delta(reply, Part::Content, &json!({"content": word}), None));
        }
        for (index, call) in reply.calls.iter().enumerate() {
            let start = json!({"index": index, "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": ""}});
            frames.push(delta(
                reply,
                Part::Content,
                &json!({"tool_calls": [start]}),
                None,
            ));
            for fragment in call.fragments() {
                let more = json!({"index": index, "function": {"arguments": fragment}});
                frames.push(delta(
                    reply,
                    Part::Content,
                    &json!({"tool_calls": [more]}),
                    None,
                ));
            }
        }
        frames.push(delta(reply, Part::Frame, &json!({}), Some(finish(reply))));
        if reply.include_usage && reply.usage.is_some() {
            let mut chunk = base(reply, "chat.completion.chunk");
            chunk["choices"] = json!([]);
            frames.push(Frame::data(Part::Frame, &with_usage(chunk, reply)));
        }
        frames.push(Frame::done());
        frames
    }

    fn failed(_reply: &Reply, failure: &Failure) -> Vec<Frame> {
        vec![Frame::data(Part::Frame, &failure.body(Dialect::OpenAi))]
    }
}

fn base(reply: &Reply, object: &str) -> Value {
    json!({"id": format!("chatcmpl-demo-{}", reply.number), "object": object, "created": reply.created,
        "model": reply.model, "system_fingerprint": "fp_demo"})
}

fn delta(reply: &Reply, part: Part, delta: &Value, finish: Option<&str>) -> Frame {
    let mut chunk = base(reply, "chat.completion.chunk");
    chunk["choices"] =
        json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    if reply.include_usage {
        chunk["usage"] = Value::Null;
    }
    Frame::data(part, &chunk)
}

fn finish(reply: &Reply) -> &'static str {
    match reply.stop {
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
    }
}

/// Whether `stream_options` asks for a usage chunk.
pub(super) fn include_usage(body: &Value) -> bool {
    body.get("stream_options")
        .is_some_and(|options| prompt::flag(options, "include_usage"))
}

/// Adds `usage` if the model reports it.
pub(super) fn with_usage(mut answer: Value, reply: &Reply) -> Value {
    if let Some(Tokens {
        input,
        output,
        reasoning,
    }) = reply.usage
    {
        answer["usage"] = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
        });
    }
    answer
}
