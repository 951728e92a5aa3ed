//! `POST /v1/responses`

use serde_json::{Value, json};

use super::error::Failure;
use super::play::{Frame, Part};
use super::prompt::{self, Prompt};
use super::reply::{Reply, Stop, joined};
use super::{Shape, Surface};
use tollgate_wire::translate;

/// Responses.
pub(super) struct Responses;

impl Shape for Responses {
    const SURFACE: Surface = Surface::Responses;

    fn read(body: &Value) -> Prompt {
        let input = body.get("input").unwrap_or(&Value::Null);
        let items = input.as_array().map_or(&[][..], Vec::as_slice);
        let content = |item: &Value| prompt::text(item.get("content").unwrap_or(&Value::Null));
        let asked = |item: &&Value| prompt::string(item, "role") == "user";
        let returned = |item: &&Value| prompt::string(item, "type") == "function_call_output";
        let output = |item: &Value| prompt::text(item.get("output").unwrap_or(&Value::Null));
        let said = |item: &Value| prompt::words(&content(item)) + prompt::words(&output(item));
        let functions = prompt::list(body, "tools").iter();
        let functions = functions.filter(|tool| prompt::string(tool, "type") == "function");
        let system = prompt::words(prompt::string(body, "instructions"));
        Prompt {
            user: match input.as_str() {
                Some(text) => text.to_owned(),
                None => items.iter().rfind(asked).map(content).unwrap_or_default(),
            },
            tool_result: items.last().filter(returned).map(output),
            tools: prompt::tools(functions, "parameters"),
            choice: prompt::choice(body),
            schema: body.pointer("/text/format/schema").cloned(),
            words: system
                + input.as_str().map_or(0, prompt::words)
                + items.iter().map(said).sum::<usize>(),
            stream: prompt::flag(body, "stream"),
            include_usage: true,
            max_tokens: prompt::limit(body, &["max_output_tokens"]),
            echo: translate::response_echo(body.to_string().as_bytes()),
        }
    }

    fn whole(reply: &Reply) -> Value {
        response(reply, State::Ended, items(reply))
    }

    fn stream(reply: &Reply) -> Vec<Frame> {
        let mut events = Events::begin(reply);
        for (index, item) in items(reply).into_iter().enumerate() {
            events.item(reply, index, &item);
        }
        let whole = response(reply, State::Ended, items(reply));
        let ended = format!("response.{}", prompt::string(&whole, "status"));
        events.push(Part::Frame, json!({"type": ended, "response": whole}));
        events.frames
    }

    /// A plain error comes as an `error` event at once; an overload as `response.failed` after the prelude.
    fn failed(reply: &Reply, failure: &Failure) -> Vec<Frame> {
        let (code, message) = (failure.code(), failure.message());
        if reply.model == "error-event" {
            let event = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": 0});
            return vec![Frame::named(Part::Frame, &event)];
        }
        let mut events = Events::begin(reply);
        let mut failed = response(reply, State::Failed, Vec::new());
        failed["error"] = json!({"code": code, "message": message});
        events.push(
            Part::Frame,
            json!({"type": "response.failed", "response": failed}),
        );
        events.frames
    }
}

/// Where a response stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
    Failed,
}

/// The events of a stream, numbered.
struct Events {
    frames: Vec<Frame>,
}

impl Events {
    fn begin(reply: &Reply) -> Events {
        let mut events = Events { frames: Vec::new() };
        for kind in ["response.created", "response.in_progress"] {
            events.push(
                Part::Frame,
                json!({"type": kind, "response": response(reply, State::Running, Vec::new())}),
            );
        }
        events
    }

    fn push(&mut self, part: Part, mut event: Value) {
        event["sequence_number"] = json!(self.frames.len());
        self.frames.push(Frame::named(part, &event));
    }

    /// Everything about one output item: added, its content piece by piece, done.
    fn item(&mut self, reply: &Reply, index: usize, item: &Value) {
        let kind = prompt::string(item, "type");
        let mut empty = item.clone();
        match kind {
            "reasoning" => empty["summary"] = json!([]),
            "message" => empty["content"] = json!([]),
            _ => empty["arguments"] = json!(""),
        }
        if kind != "reasoning" {
            empty["status"] = json!("in_progress");
        }
        self.push(
            Part::Frame,
            json!({"type": "response.output_item.added", "output_index": index, "item": empty}),
        );
        let at = json!({"item_id": item["id"], "output_index": index});
        match kind {
            "reasoning" => self.reasoning(&at, &reply.reasoning),
            "message" => self.text(&at, &reply.text),
            _ => {
                let call = reply
                    .calls
                    .iter()
                    .find(|call| item["call_id"] == call.id.as_str());
                let (name, arguments) = (&item["name"], &item["arguments"]);
                for fragment in call.map(super::reply::Call::fragments).unwrap_or_default() {
                    self.at(
                        Part::Content,
                        &at,
                        "function_call_arguments.delta",
                        json!({"delta": fragment}),
                    );
                }
                let done = json!({"name": name, "arguments": arguments});
                self.at(Part::Frame, &at, "function_call_arguments.done", done);
            }
        }
        self.push(
            Part::Frame,
            json!({"type": "response.output_item.done", "output_index": index, "item": item}),
        );
    }

    fn reasoning(&mut self, at: &Value, words: &[String]) {
        let part = |text: &str| json!({"summary_index": 0, "part": {"type": "summary_text", "text": text}});
        self.at(Part::Frame, at, "reasoning_summary_part.added", part(""));
        for word in words {
            let delta = json!({"summary_index": 0, "delta": word});
            self.at(Part::Content, at, "reasoning_summary_text.delta", delta);
        }
        let text = joined(words);
        self.at(
            Part::Frame,
            at,
            "reasoning_summary_text.done",
            json!({"summary_index": 0, "text": text}),
        );
        self.at(Part::Frame, at, "reasoning_summary_part.done", part(&text));
    }

    fn text(&mut self, at: &Value, words: &[String]) {
        self.at(
            Part::Frame,
            at,
            "content_part.added",
            json!({"content_index": 0, "part": output_text("")}),
        );
        for word in words {
            let delta = json!({"content_index": 0, "delta": word, "logprobs": []});
            self.at(Part::Content, at, "output_text.delta", delta);
        }
        let text = joined(words);
        let done = json!({"content_index": 0, "text": text, "logprobs": []});
        self.at(Part::Frame, at, "output_text.done", done);
        self.at(
            Part::Frame,
            at,
            "content_part.done",
            json!({"content_index": 0, "part": output_text(&text)}),
        );
    }

    /// An event about an item: its type, where it belongs, and its own fields.
    fn at(&mut self, part: Part, at: &Value, kind: &str, fields: Value) {
        let mut event = json!({"type": format!("response.{kind}")});
        if let Value::Object(event) = &mut event {
            event.extend(at.as_object().cloned().unwrap_or_default());
            event.extend(fields.as_object().cloned().unwrap_or_default());
        }
        self.push(part, event);
    }
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// The finished output items.
fn items(reply: &Reply) -> Vec<Value> {
    let mut items = Vec::new();
    let number = reply.number;
    if !reply.reasoning.is_empty() {
        let summary = json!({"type": "summary_text", "text": joined(&reply.reasoning)});
        items.push(
            json!({"id": format!("rs_demo_{number}"), "type": "reasoning", "summary": [summary]}),
        );
    }
    if !reply.text.is_empty() {
        let content = output_text(&joined(&reply.text));
        items.push(
            json!({"id": format!("msg_demo_{number}"), "type": "message", "status": "completed",
            "role": "assistant", "content": [content]}),
        );
    }
    for call in &reply.calls {
        let id = call.id.replacen("call_", "fc_", 1);
        items.push(
            json!({"id": id, "type": "function_call", "status": "completed", "call_id": call.id,
            "name": call.name, "arguments": call.arguments}),
        );
    }
    items
}

fn response(reply: &Reply, state: State, output: Vec<Value>) -> Value {
    let cut = state == State::Ended && reply.stop == Stop::Length;
    let status = match state {
        State::Running => "in_progress",
        State::Failed => "failed",
        State::Ended if cut => "incomplete",
        State::Ended => "completed",
    };
    let mut response = json!({
        "id": format!("resp_demo_{}", reply.number), "object": "response", "created_at": reply.created,
        "completed_at": (state == State::Ended && !cut).then_some(reply.created),
        "status": status, "background": false, "error": null, "frequency_penalty": 0.0,
        "incomplete_details": cut.then(|| json!({"reason": "max_output_tokens"})),
        "instructions": null, "max_output_tokens": null, "max_tool_calls": null, "model": reply.model,
        "output": output, "parallel_tool_calls": true, "presence_penalty": 0.0, "previous_response_id": null,
        "prompt_cache_key": null, "reasoning": {"effort": null, "summary": null}, "safety_identifier": null,
        "service_tier": "default", "store": false, "temperature": 1.0, "text": {"format": {"type": "text"}},
        "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0,
        "truncation": "disabled", "usage": null, "user": null, "metadata": {},
    });
    for (key, asked) in &reply.echo {
        response[key] = asked.clone();
    }
    if let (State::Ended, Some(usage)) = (state, reply.usage) {
        response["usage"] = json!({
            "input_tokens": usage.input, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        });
    }
    response
}
