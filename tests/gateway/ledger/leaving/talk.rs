//! The APIs that answer with text, each with the same answer; see [`Api`] for it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::requests::Request;
use crate::common::script::{Act, Gate, Script};
use crate::crossing::api::{Api, TEXT, chat_usage};

/// An API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    Of(Api),
    Completions,
}

impl Talk {
    pub const ALL: [Talk; 4] = [
        Talk::Of(Api::Chat),
        Talk::Of(Api::Responses),
        Talk::Of(Api::Messages),
        Talk::Completions,
    ];

    /// Every client with every provider that can serve it, its own API among them.
    pub fn pairs() -> Vec<(Talk, Talk)> {
        let crossing =
            Api::pairs().map(|(client, provider)| (Talk::Of(client), Talk::Of(provider)));
        Talk::ALL
            .into_iter()
            .map(|own| (own, own))
            .chain(crossing)
            .collect()
    }

    /// Its place in [`Talk::ALL`].
    pub fn place(self) -> usize {
        Talk::ALL.iter().position(|talk| *talk == self).unwrap()
    }

    pub fn name(self) -> &'static str {
        match self {
            Talk::Of(api) => api.name(),
            Talk::Completions => "completions",
        }
    }

    pub fn surface(self) -> &'static str {
        match self {
            Talk::Of(api) => api.surface(),
            Talk::Completions => "openai/completions",
        }
    }

    /// Asks the provider that is named after this API for an answer of `most` tokens.
    pub fn request(self, provider: Talk, stream: bool, most: u64, id: &str) -> Request {
        let model = format!("{}:m", provider.name());
        let request = match self {
            Talk::Of(api) => {
                let mut body = api.body(&[&model], stream);
                let limit = match api {
                    Api::Responses => "max_output_tokens",
                    Api::Chat | Api::Messages => "max_tokens",
                };
                body[limit] = json!(most);
                api.post(&body)
            }
            Talk::Completions => {
                let body =
                    json!({"model": model, "prompt": "hi", "stream": stream, "max_tokens": most});
                Request::post("/v1/completions", body.to_string())
            }
        };
        request.header("x-request-id", id)
    }

    /// The answer's events.
    pub fn events(self) -> Vec<String> {
        let Talk::Of(api) = self else {
            let words = TEXT.split_inclusive(' ').map(|word| completion(word, None));
            let usage = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
                "choices": [], "usage": chat_usage()});
            let end = [
                completion("", Some("stop")),
                event(&usage),
                "data: [DONE]\n\n".to_owned(),
            ];
            return words.chain(end).collect();
        };
        api.events()
    }

    /// Its events up to some of its text; what stands in the place of the text is a text of so many words.
    pub fn start(self, words: usize) -> String {
        let start = match self {
            Talk::Of(api) => api.start(),
            Talk::Completions => completion("the ", None),
        };
        start.replace("\"the \"", &format!("\"{}\"", "the ".repeat(words)))
    }

    /// Another event with some of its text.
    pub fn more(self) -> String {
        let mut events = self.events().into_iter();
        events.find(|event| event.contains("\"good \"")).unwrap()
    }

    /// What a provider says to keep its connection alive.
    pub fn ping(self) -> &'static str {
        match self {
            Talk::Of(Api::Messages) => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            _ => ": ping\n\n",
        }
    }

    /// The provider's word that it has failed.
    pub fn failure(self) -> String {
        match self {
            Talk::Of(api) => api.error_event("no"),
            Talk::Completions => Api::Chat.error_event("no"),
        }
    }

    /// The answer as a document.
    pub fn whole(self) -> Value {
        match self {
            Talk::Of(api) => api.whole(),
            Talk::Completions => {
                json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "text": TEXT, "finish_reason": "stop"}], "usage": chat_usage()})
            }
        }
    }

    /// The same with more than 256 KiB; the second half comes when the gate is open.
    pub fn long(self, gate: Gate) -> Script {
        let long = self.whole().to_string().replace(TEXT, &TEXT.repeat(30_000));
        let (one, other) = long.split_at(300 << 10);
        Script::new()
            .length()
            .head(200, &[("content-type", "application/json")])
            .data(one.to_owned())
            .then(Act::Gate(gate))
            .data(other.to_owned())
    }
}

/// The events up to the one of this index, the others when the gate is open.
pub fn paused(events: &[String], at: usize, gate: Gate) -> Script {
    let (one, other) = events.split_at((at + 1).min(events.len()));
    let script = Script::sse().data(one.concat()).then(Act::Gate(gate));
    other
        .iter()
        .fold(script, |script, event| script.data(event.clone()))
}

/// The same again and again, until the peer leaves.
pub fn forever(data: impl Into<bytes::Bytes>, interval: u64) -> Act {
    Act::Forever(data.into(), Duration::from_millis(interval))
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn completion(text: &str, finish: Option<&str>) -> String {
    event(
        &json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": text, "finish_reason": finish}]}),
    )
}
