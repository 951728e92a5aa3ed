//! The three APIs: how each asks, and how each says the same answer.
//!
//! The answer: a thought, a text in words, two calls, and 100 prompt tokens of which 40 were cached, 20 answer
//! tokens. Shapes follow platform.openai.com/docs/api-reference and docs.claude.com/en/api/messages.

mod events;
mod read;

use serde_json::{Value, json};

use crate::common::TOKEN;
use crate::common::client::Answer;
use crate::common::requests::Request;
use crate::common::script::{Script, openai_error};
use crate::common::sse;
use events::{chat_events, messages_events, response, responses_events};
use read::{
    chat_joined, chat_said, message_joined, message_said, response_said, responses_stream_said,
};

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
