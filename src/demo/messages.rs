//! `POST /v1/messages` and `POST /v1/messages/count_tokens`

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::error::Failure;
use super::play::{Frame, Part};
use super::prompt::{self, Prompt};
use super::reply::{Call, Reply, Stop, arguments, joined};
use super::{Shape, Surface, admit};
use tollgate_wire::Dialect;

/// What stands for a thinking block's signature.
const SIGNATURE: &str = "ZGVtbyBzaWduYXR1cmU=";

/// Messages.
pub(super) struct Messages;

/// Counts a prompt's words.
pub(super) async fn count_tokens(body: bytes::Bytes) -> Response {
    match admit(Dialect::Anthropic, &body).await {
        Ok((_, body)) => super::json(
            StatusCode::OK,
            &json!({"input_tokens": Messages::read(&body).words}),
        ),
        Err(refusal) => refusal,
    }
}

impl Shape for Messages {
    const SURFACE: Surface = Surface::Messages;

    fn read(body: &Value) -> Prompt {
        let messages = prompt::list(body, "messages");
        let content =
            |message: &Value| prompt::text(message.get("content").unwrap_or(&Value::Null));
        let system = prompt::text(body.get("system").unwrap_or(&Value::Null));
        let results: Vec<String> = messages
            .last()
            .map_or(&[][..], |last| prompt::list(last, "content"))
            .iter()
            .filter(|block| prompt::string(block, "type") == "tool_result")
            .map(content)
            .collect();
        let asked = |message: &&Value| {
            prompt::string(message, "role") == "user" && !content(message).is_empty()
        };
        let said: usize = messages
            .iter()
            .map(|message| prompt::words(&content(message)))
            .sum();
        let returned: usize = results.iter().map(|result| prompt::words(result)).sum();
        Prompt {
            user: messages
                .iter()
                .rfind(asked)
                .map(content)
                .unwrap_or_default(),
            tool_result: (!results.is_empty()).then(|| results.join(" ")),
            tools: prompt::tools(prompt::list(body, "tools").iter(), "input_schema"),
            choice: prompt::choice(body),
            schema: body.pointer("/output_config/format/schema").cloned(),
            words: prompt::words(&system) + said + returned,
            stream: prompt::flag(body, "stream"),
            include_usage: true,
            max_tokens: prompt::limit(body, &["max_tokens"]),
            ..Prompt::default()
        }
    }

    fn whole(reply: &Reply) -> Value {
        let mut content = Vec::new();
        if !reply.reasoning.is_empty() {
            let thinking = joined(&reply.reasoning);
            content.push(json!({"type": "thinking", "thinking": thinking, "signature": SIGNATURE}));
        }
        if !reply.text.is_empty() {
            content.push(text(&joined(&reply.text)));
        }
        for call in &reply.calls {
            let input = arguments(call);
            content.push(tool_use(call, &input));
        }
        message(
            reply,
            json!(content),
            Some(stop(reply)),
            reply.usage.map_or(0, |usage| usage.output),
        )
    }

    fn stream(reply: &Reply) -> Vec<Frame> {
        let start = message(reply, json!([]), None, 1);
        let mut frames = vec![frame(&json!({"type": "message_start", "message": start}))];
        frames.push(frame(&json!({"type": "ping"})));
        let mut index = 0;
        if !reply.reasoning.is_empty() {
            let deltas = reply
                .reasoning
                .iter()
                .map(|word| json!({"type": "thinking_delta", "thinking": word}));
            let signature = json!({"type": "signature_delta", "signature": SIGNATURE});
            let empty = json!({"type": "thinking", "thinking": "", "signature": ""});
            block(&mut frames, &mut index, &empty, deltas.chain([signature]));
        }
        if !reply.text.is_empty() {
            let deltas = reply
                .text
                .iter()
                .map(|word| json!({"type": "text_delta", "text": word}));
            block(&mut frames, &mut index, &text(""), deltas);
        }
        for call in &reply.calls {
            let empty = tool_use(call, &json!({}));
            let fragments = call.fragments().into_iter();
            let deltas = fragments
                .map(|fragment| json!({"type": "input_json_delta", "partial_json": fragment}));
            block(&mut frames, &mut index, &empty, deltas);
        }
        let mut end = json!({"type": "message_delta", "delta": {"stop_reason": stop(reply), "stop_sequence": null,
            "stop_details": null, "container": null}});
        if let Some(usage) = reply.usage {
            end["usage"] = json!({"output_tokens": usage.output});
        }
        frames.push(frame(&end));
        frames.push(Frame::named(Part::End, &json!({"type": "message_stop"})));
        frames
    }

    fn failed(_reply: &Reply, failure: &Failure) -> Vec<Frame> {
        vec![frame(&failure.body(Dialect::Anthropic))]
    }
}

fn frame(event: &Value) -> Frame {
    Frame::named(Part::Frame, event)
}

/// The events of one content block.
fn block(
    frames: &mut Vec<Frame>,
    index: &mut usize,
    empty: &Value,
    deltas: impl Iterator<Item = Value>,
) {
    frames.push(frame(
        &json!({"type": "content_block_start", "index": *index, "content_block": empty}),
    ));
    for delta in deltas {
        let event = json!({"type": "content_block_delta", "index": *index, "delta": delta});
        frames.push(Frame::named(Part::Content, &event));
    }
    frames.push(frame(
        &json!({"type": "content_block_stop", "index": *index}),
    ));
    *index += 1;
}

fn message(reply: &Reply, content: Value, stop: Option<&str>, output: usize) -> Value {
    let mut message = json!({
        "id": format!("msg_demo_{}", reply.number), "type": "message", "role": "assistant",
        "model": reply.model, "content": content, "stop_reason": stop, "stop_sequence": null, "stop_details": null,
        "container": null,
    });
    if let Some(usage) = reply.usage {
        message["usage"] = json!({"input_tokens": usage.input, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "output_tokens": output, "cache_creation": null, "inference_geo": null,
            "output_tokens_details": null, "server_tool_use": null, "service_tier": "standard"});
    }
    message
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text, "citations": null})
}

fn tool_use(call: &Call, input: &Value) -> Value {
    json!({"type": "tool_use", "id": tool_id(&call.id), "name": call.name, "input": input,
        "caller": {"type": "direct"}})
}

fn tool_id(id: &str) -> String {
    id.replacen("call_", "toolu_", 1)
}

fn stop(reply: &Reply) -> &'static str {
    match reply.stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tools => "tool_use",
    }
}
