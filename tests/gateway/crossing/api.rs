//! The three APIs: how each asks, and how each says the same answer.
//!
//! The answer: a thought, a text in words, two calls, and 100 prompt tokens of which 40 were cached, 20 answer
//! tokens. Shapes follow platform.openai.com/docs/api-reference and docs.claude.com/en/api/messages.

use serde_json::{Value, json};

use crate::common::TOKEN;
use crate::common::client::Answer;
use crate::common::requests::Request;
use crate::common::script::{Script, openai_error};
use crate::common::sse;

pub const TEXT: &str = "the good one";
pub const THOUGHT: &str = "let me see";
pub const CALLS: [(&str, &str, &str); 2] = [
    ("call_1", "get_weather", r#"{"city":"Paris"}"#),
    ("call_2", "get_time", r#"{"zone":"CET"}"#),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Chat,
    Responses,
    Messages,
}

/// What a client reads out of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub text: String,
    pub thought: String,
    /// Id, name, arguments.
    pub calls: Vec<(String, String, String)>,
    /// Why it ended, as the API says it.
    pub stop: String,
    pub model: String,
}

impl Said {
    /// What every client should read, in its own words for the end.
    pub fn good(api: Api) -> Said {
        let calls = CALLS
            .iter()
            .map(|(id, name, arguments)| ((*id).into(), (*name).into(), (*arguments).into()));
        Said {
            text: TEXT.to_owned(),
            thought: THOUGHT.to_owned(),
            calls: calls.collect(),
            stop: api.called().to_owned(),
            model: "m".to_owned(),
        }
    }
}

impl Api {
    pub const ALL: [Api; 3] = [Api::Chat, Api::Responses, Api::Messages];

    /// Every client with every provider of another API.
    pub fn pairs() -> impl Iterator<Item = (Api, Api)> {
        let all = Api::ALL.into_iter();
        all.flat_map(|client| Api::ALL.into_iter().map(move |provider| (client, provider)))
            .filter(|(client, provider)| client != provider)
    }

    pub fn of_path(path: &str) -> Api {
        let path = path.split('?').next().unwrap_or_default();
        match path.rsplit('/').next() {
            Some("completions") => Api::Chat,
            Some("responses") => Api::Responses,
            _ => Api::Messages,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Api::Chat => "chat",
            Api::Responses => "responses",
            Api::Messages => "messages",
        }
    }

    pub fn surface(self) -> &'static str {
        match self {
            Api::Chat => "openai/chat-completions",
            Api::Responses => "openai/responses",
            Api::Messages => "anthropic/messages",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Api::Chat => "/v1/chat/completions",
            Api::Responses => "/v1/responses",
            Api::Messages => "/v1/messages",
        }
    }

    /// The stop reason of an answer that calls tools.
    fn called(self) -> &'static str {
        match self {
            Api::Chat => "tool_calls",
            Api::Responses => "completed",
            Api::Messages => "tool_use",
        }
    }

    /// The body of a request with two tools over these candidates.
    pub fn body(self, models: &[&str], stream: bool) -> Value {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let turns = json!([{"role": "user", "content": "hi"}]);
        let mut body = match self {
            Api::Chat => json!({"messages": turns}),
            Api::Responses => json!({"input": turns, "store": false}),
            Api::Messages => json!({"messages": turns, "max_tokens": 100}),
        };
        body["model"] = json!(models[0]);
        if models.len() > 1 {
            body["models"] = json!(models[1..]);
        }
        if stream {
            body["stream"] = json!(true);
            if self == Api::Chat {
                body["stream_options"] = json!({"include_usage": true});
            }
        }
        let tool = |name: &str| match self {
            Api::Chat => {
                json!({"type": "function", "function": {"name": name, "parameters": schema}})
            }
            Api::Responses => json!({"type": "function", "name": name, "parameters": schema}),
            Api::Messages => json!({"name": name, "input_schema": schema}),
        };
        body["tools"] = json!([tool("get_weather"), tool("get_time")]);
        body
    }

    pub fn request(self, models: &[&str], stream: bool) -> Request {
        self.post(&self.body(models, stream))
    }

    /// As the API's own SDK sends it.
    pub fn post(self, body: &Value) -> Request {
        let request = Request::post(self.path(), body.to_string());
        if self != Api::Messages {
            return request;
        }
        request
            .without("authorization")
            .header("x-api-key", TOKEN)
            .header("anthropic-version", "2023-06-01")
    }

    /// An error in the API's dialect.
    pub fn error(self, message: &str) -> Value {
        match self {
            Api::Messages => {
                json!({"type": "error", "error": {"type": "overloaded_error", "message": message}})
            }
            _ => openai_error(message),
        }
    }

    /// An error as an event.
    pub fn error_event(self, message: &str) -> String {
        match self {
            Api::Chat => format!("data: {}\n\n", self.error(message)),
            _ => {
                let mut event = self.error(message);
                event["type"] = json!("error");
                format!("event: error\ndata: {event}\n\n")
            }
        }
    }

    /// The good answer.
    pub fn answer(self, stream: bool) -> Script {
        if stream {
            let events = self.events().into_iter();
            events.fold(Script::sse(), |script, event| script.data(event))
        } else {
            Script::json(200, &self.whole())
        }
    }

    /// The good answer as one document.
    pub fn whole(self) -> Value {
        match self {
            Api::Chat => {
                let calls: Vec<Value> = CALLS
                    .iter()
                    .map(|(id, name, arguments)| {
                        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
                    })
                    .collect();
                json!({
                    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                    "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {
                        "role": "assistant", "content": TEXT, "reasoning_content": THOUGHT, "tool_calls": calls,
                    }}],
                    "usage": chat_usage(),
                })
            }
            Api::Responses => response("completed"),
            Api::Messages => {
                let mut content = vec![
                    json!({"type": "thinking", "thinking": THOUGHT, "signature": "EqoB"}),
                    json!({"type": "text", "text": TEXT}),
                ];
                for (id, name, arguments) in CALLS {
                    let input: Value = serde_json::from_str(arguments).unwrap();
                    content
                        .push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
                }
                json!({
                    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
                    "stop_reason": "tool_use", "stop_sequence": null, "usage": messages_usage(20),
                })
            }
        }
    }

    /// The good answer as events, up to some content and from there.
    pub fn events(self) -> Vec<String> {
        match self {
            Api::Chat => chat_events(),
            Api::Responses => responses_events(),
            Api::Messages => messages_events(),
        }
    }

    /// Its events before any content.
    pub fn prelude(self) -> String {
        match self {
            Api::Chat | Api::Responses => self.events()[0].clone(),
            Api::Messages => self.events()[..2].concat(),
        }
    }

    /// Its events up to some of its text.
    pub fn start(self) -> String {
        let events = self.events();
        let some = events.iter().position(|event| event.contains("\"the \""));
        events[..=some.unwrap()].concat()
    }

    /// What the client reads.
    pub fn said(self, answer: &Answer, stream: bool) -> Said {
        match (self, stream) {
            (Api::Chat, false) => chat_said(&answer.json()),
            (Api::Chat, true) => chat_said(&chat_joined(&sse::json(&answer.body))),
            (Api::Responses, false) => response_said(&answer.json()),
            (Api::Responses, true) => responses_stream_said(&sse::json(&answer.body)),
            (Api::Messages, false) => message_said(&answer.json()),
            (Api::Messages, true) => message_said(&message_joined(&sse::json(&answer.body))),
        }
    }

    /// Prompt tokens, cached ones among them, and answer tokens, as the client reads them.
    pub fn usage(self, answer: &Answer, stream: bool) -> (u64, u64, u64) {
        let usage = if stream {
            let events = sse::json(&answer.body);
            let last = events.iter().rev().find_map(|event| {
                let usage = [&event["usage"], &event["response"]["usage"]];
                usage.into_iter().find(|usage| usage.is_object()).cloned()
            });
            last.unwrap_or_default()
        } else {
            answer.json()["usage"].clone()
        };
        let n = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        match self {
            Api::Chat => (
                n("/prompt_tokens"),
                n("/prompt_tokens_details/cached_tokens"),
                n("/completion_tokens"),
            ),
            Api::Responses => (
                n("/input_tokens"),
                n("/input_tokens_details/cached_tokens"),
                n("/output_tokens"),
            ),
            Api::Messages => {
                let cached = n("/cache_read_input_tokens");
                (n("/input_tokens") + cached, cached, n("/output_tokens"))
            }
        }
    }

    /// Whether a stream came to its protocol's end.
    pub fn ended(self, answer: &Answer) -> bool {
        let text = answer.text();
        match self {
            Api::Chat => text.trim_end().ends_with("data: [DONE]"),
            Api::Responses => text.contains("event: response.completed\n"),
            Api::Messages => text.contains("event: message_stop\n"),
        }
    }
}

pub fn chat_usage() -> Value {
    json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 40}})
}

pub fn messages_usage(output: u64) -> Value {
    json!({"input_tokens": 60, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 40,
        "output_tokens": output})
}

fn responses_usage() -> Value {
    json!({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 120})
}

fn words() -> impl Iterator<Item = &'static str> {
    TEXT.split_inclusive(' ')
}

/// Two halves.
fn halves(text: &str) -> [&str; 2] {
    let (a, b) = text.split_at(text.len() / 2);
    [a, b]
}

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

fn chat_events() -> Vec<String> {
    let mut events = vec![
        chunk(&json!({"role": "assistant", "content": ""}), None),
        chunk(&json!({"reasoning_content": THOUGHT}), None),
    ];
    events.extend(words().map(|word| chunk(&json!({"content": word}), None)));
    for (index, (id, name, _)) in CALLS.iter().enumerate() {
        let call = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        events.push(chunk(&json!({"tool_calls": [call]}), None));
    }
    // The calls' arguments come in turns.
    for half in 0..2 {
        for (index, (_, _, arguments)) in CALLS.iter().enumerate() {
            let call = json!({"index": index, "function": {"arguments": halves(arguments)[half]}});
            events.push(chunk(&json!({"tool_calls": [call]}), None));
        }
    }
    events.push(chunk(&json!({}), Some("tool_calls")));
    let usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": chat_usage()});
    events.push(format!("data: {usage}\n\n"));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn named(data: &Value) -> String {
    let name = data["type"].as_str().unwrap();
    format!("event: {name}\ndata: {data}\n\n")
}

fn messages_events() -> Vec<String> {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": messages_usage(1)}});
    let mut events = vec![named(&start), named(&json!({"type": "ping"}))];
    let mut block = |index: usize, start: Value, deltas: Vec<Value>| {
        let start = json!({"type": "content_block_start", "index": index, "content_block": start});
        events.push(named(&start));
        for delta in deltas {
            let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
            events.push(named(&delta));
        }
        events.push(named(
            &json!({"type": "content_block_stop", "index": index}),
        ));
    };
    block(
        0,
        json!({"type": "thinking", "thinking": "", "signature": ""}),
        vec![
            json!({"type": "thinking_delta", "thinking": THOUGHT}),
            json!({"type": "signature_delta", "signature": "EqoB"}),
        ],
    );
    let words = words().map(|word| json!({"type": "text_delta", "text": word}));
    block(1, json!({"type": "text", "text": ""}), words.collect());
    for (index, (id, name, arguments)) in CALLS.iter().enumerate() {
        let pieces = halves(arguments).into_iter();
        let deltas = pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        block(
            index + 2,
            json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
            deltas.collect(),
        );
    }
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
        "usage": messages_usage(20)});
    events.push(named(&end));
    events.push(named(&json!({"type": "message_stop"})));
    events
}

fn items() -> Vec<Value> {
    let mut items = vec![
        json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}],
            "encrypted_content": "gAAA"}),
        json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}),
    ];
    for (id, name, arguments) in CALLS {
        items.push(
            json!({"id": format!("fc_{id}"), "type": "function_call", "call_id": id, "name": name,
            "arguments": arguments, "status": "completed"}),
        );
    }
    items
}

fn response(status: &str) -> Value {
    let done = status == "completed";
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "error": null,
        "incomplete_details": null, "output": if done { items() } else { Vec::new() },
        "usage": if done { responses_usage() } else { Value::Null },
    })
}

fn responses_events() -> Vec<String> {
    let mut number = 0;
    let mut events = Vec::new();
    let mut push = |mut data: Value| {
        data["sequence_number"] = json!(number);
        number += 1;
        events.push(named(&data));
    };
    push(json!({"type": "response.created", "response": response("in_progress")}));
    for (at, item) in items().into_iter().enumerate() {
        let mut added = item.clone();
        let id = item["id"].clone();
        match item["type"].as_str().unwrap() {
            "reasoning" => {
                added["summary"] = json!([]);
                added["encrypted_content"] = json!("");
                push(
                    json!({"type": "response.output_item.added", "output_index": at, "item": added}),
                );
                push(
                    json!({"type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": at,
                    "summary_index": 0, "delta": THOUGHT}),
                );
            }
            "message" => {
                added["content"] = json!([]);
                push(
                    json!({"type": "response.output_item.added", "output_index": at, "item": added}),
                );
                push(
                    json!({"type": "response.content_part.added", "item_id": id, "output_index": at,
                    "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
                );
                for word in words() {
                    push(
                        json!({"type": "response.output_text.delta", "item_id": id, "output_index": at,
                        "content_index": 0, "delta": word}),
                    );
                }
                push(
                    json!({"type": "response.output_text.done", "item_id": id, "output_index": at,
                    "content_index": 0, "text": TEXT}),
                );
                push(
                    json!({"type": "response.content_part.done", "item_id": id, "output_index": at,
                    "content_index": 0, "part": item["content"][0]}),
                );
            }
            _ => {
                added["arguments"] = json!("");
                push(
                    json!({"type": "response.output_item.added", "output_index": at, "item": added}),
                );
                let arguments = item["arguments"].as_str().unwrap();
                for piece in halves(arguments) {
                    push(
                        json!({"type": "response.function_call_arguments.delta", "item_id": id,
                        "output_index": at, "delta": piece}),
                    );
                }
                push(
                    json!({"type": "response.function_call_arguments.done", "item_id": id,
                    "output_index": at, "arguments": arguments}),
                );
            }
        }
        push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    push(json!({"type": "response.completed", "response": response("completed")}));
    events
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Arguments without the liberties of JSON.
fn arguments(value: &Value) -> String {
    let value = match value {
        Value::String(text) => serde_json::from_str(text)
            .unwrap_or_else(|_| panic!("arguments that are no JSON: {text}")),
        value => value.clone(),
    };
    value.to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn chat_said(body: &Value) -> Said {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    let calls = list(&message["tool_calls"]).iter().map(|call| {
        let function = &call["function"];
        (
            text(&call["id"]),
            text(&function["name"]),
            arguments(&function["arguments"]),
        )
    });
    Said {
        text: text(&message["content"]),
        thought: text(&message["reasoning_content"]),
        calls: calls.collect(),
        stop: text(&choice["finish_reason"]),
        model: text(&body["model"]),
    }
}

/// A chat stream's chunks as one completion.
fn chat_joined(chunks: &[Value]) -> Value {
    let (mut content, mut thought, mut finish) = (String::new(), String::new(), Value::Null);
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for chunk in chunks {
        let choice = &chunk["choices"][0];
        content += &text(&choice["delta"]["content"]);
        thought += &text(&choice["delta"]["reasoning_content"]);
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
        for call in list(&choice["delta"]["tool_calls"]) {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if calls.len() <= at {
                calls.resize(at + 1, Default::default());
            }
            calls[at].0 += &text(&call["id"]);
            calls[at].1 += &text(&call["function"]["name"]);
            calls[at].2 += &text(&call["function"]["arguments"]);
        }
    }
    let calls: Vec<Value> = calls
        .into_iter()
        .map(|(id, name, arguments)| json!({"id": id, "function": {"name": name, "arguments": arguments}}))
        .collect();
    let model = chunks.first().map(|chunk| chunk["model"].clone());
    json!({"model": model, "choices": [{"finish_reason": finish,
        "message": {"content": content, "reasoning_content": thought, "tool_calls": calls}}]})
}

fn message_said(body: &Value) -> Said {
    let mut said = Said {
        stop: text(&body["stop_reason"]),
        model: text(&body["model"]),
        ..Said::default()
    };
    for block in list(&body["content"]) {
        match block["type"].as_str().unwrap() {
            "text" => said.text += &text(&block["text"]),
            "thinking" => said.thought += &text(&block["thinking"]),
            "tool_use" => said.calls.push((
                text(&block["id"]),
                text(&block["name"]),
                arguments(&block["input"]),
            )),
            other => panic!("a block of the type {other}"),
        }
    }
    said
}

/// A message's events as one message; checks that blocks follow one another.
fn message_joined(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut content: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    let mut open = None;
    for event in events {
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(open, None, "one block at a time: {event}");
                assert_eq!(event["index"], json!(content.len()), "{event}");
                open = Some(content.len());
                content.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let at = open.expect("an open block");
                assert_eq!(event["index"], json!(at), "{event}");
                for key in ["text", "thinking"] {
                    if let Some(more) = event["delta"][key].as_str() {
                        content[at][key] = json!(text(&content[at][key]) + more);
                    }
                }
                inputs[at] += &text(&event["delta"]["partial_json"]);
            }
            "content_block_stop" => {
                assert_eq!(event["index"], json!(open.take()), "{event}");
            }
            "message_delta" => message["stop_reason"] = event["delta"]["stop_reason"].clone(),
            _ => {}
        }
    }
    for (block, input) in content.iter_mut().zip(inputs) {
        if block["type"] == "tool_use" {
            block["input"] = json!(input);
        }
    }
    message["content"] = json!(content);
    message
}

fn response_said(body: &Value) -> Said {
    let mut said = Said {
        stop: text(&body["status"]),
        model: text(&body["model"]),
        ..Said::default()
    };
    for item in list(&body["output"]) {
        match item["type"].as_str().unwrap() {
            "message" => {
                for part in list(&item["content"]) {
                    said.text += &text(&part["text"]);
                }
            }
            "reasoning" => {
                for part in list(&item["summary"]) {
                    said.thought += &text(&part["text"]);
                }
            }
            "function_call" => said.calls.push((
                text(&item["call_id"]),
                text(&item["name"]),
                arguments(&item["arguments"]),
            )),
            other => panic!("an item of the type {other}"),
        }
    }
    said
}

/// What the fragments say; it must be what the last event says.
fn responses_stream_said(events: &[Value]) -> Said {
    let mut fragments = (String::new(), String::new(), String::new());
    let mut last = Said::default();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(at), "{event}");
        let delta = text(&event["delta"]);
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" => fragments.0 += &delta,
            "response.reasoning_summary_text.delta" => fragments.1 += &delta,
            "response.function_call_arguments.delta" => fragments.2 += &delta,
            "response.completed" | "response.incomplete" => {
                last = response_said(&event["response"])
            }
            _ => {}
        }
    }
    if last.stop.is_empty() {
        return Said {
            text: fragments.0,
            thought: fragments.1,
            ..last
        };
    }
    assert_eq!(fragments.0, last.text, "fragments and the whole text");
    assert_eq!(fragments.1, last.thought, "fragments and the whole thought");
    last
}
