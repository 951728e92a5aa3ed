//! What a fake provider does with a request, step by step.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// One answer, good or bad.
#[derive(Clone, Debug)]
pub struct Script {
    /// How an HTTP/1.1 body is delimited; HTTP/2 has its own way.
    pub framing: Framing,
    /// In order; a script that does not say how it ends, ends cleanly.
    pub acts: Vec<Act>,
}

/// How an HTTP/1.1 body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`: the sum of the script's data.
    Length,
    /// `Transfer-Encoding: chunked`, one chunk an act.
    Chunked,
    /// The end of the connection.
    Close,
}

/// Becomes true when the script may go on.
pub type Gate = tokio::sync::watch::Receiver<bool>;

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Act {
    /// Nothing happens for so long.
    Wait(Duration),
    /// Nothing happens until the gate is open.
    Gate(Gate),
    /// An interim answer (1xx).
    Interim(u16),
    /// Status and headers.
    Head(u16, Vec<(String, String)>),
    /// Some of the body, written at once.
    Data(Bytes),
    /// Some of the body, every byte in a write (and chunk) of its own.
    Bytewise(Bytes),
    /// The same piece of body again and again, until the peer leaves.
    Forever(Bytes, Duration),
    /// Nothing happens until the peer leaves.
    Silence,
    /// The connection is closed (FIN) here, wherever that is.
    Cut,
    /// The connection is reset (RST) here.
    Reset,
    /// The stream is reset (HTTP/2; over HTTP/1.1 the same as `Cut`).
    ResetStream,
    /// The WebSocket is closed with this code (over HTTP the same as `Cut`).
    Close(u16),
}

impl Script {
    /// No acts yet; chunked.
    pub fn new() -> Script {
        Script {
            framing: Framing::Chunked,
            acts: Vec::new(),
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Script {
        Script::new()
            .length()
            .head(status, &[("content-type", "application/json")])
            .data(body.to_string())
    }

    /// An error in OpenAI's shape.
    pub fn error(status: u16, message: &str) -> Script {
        Script::json(status, &openai_error(message))
    }

    /// An error in OpenAI's shape, with more headers.
    pub fn error_with(status: u16, message: &str, headers: &[(&str, &str)]) -> Script {
        let mut script = Script::error(status, message);
        for act in &mut script.acts {
            if let Act::Head(_, list) = act {
                list.extend(
                    headers
                        .iter()
                        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
                );
            }
        }
        script
    }

    /// The head of an event stream.
    pub fn sse() -> Script {
        Script::new().head(200, &[("content-type", "text/event-stream")])
    }

    /// A whole chat completion, or a stream of its words, as the request asks.
    pub fn chat(stream: bool, text: &str) -> Script {
        if !stream {
            return Script::json(200, &chat_answer(text));
        }
        let words = text
            .split_inclusive(' ')
            .fold(Script::sse().data(chat_role()), |script, word| {
                script.data(chat_word(word))
            });
        words
            .data(chat_stop())
            .data(chat_usage())
            .data("data: [DONE]\n\n")
    }

    /// The agreement to a WebSocket; what its client sends on it is answered by scripts, whose data is said event by
    /// event.
    pub fn websocket() -> Script {
        Script::new().then(Act::Head(101, Vec::new()))
    }

    /// Whether it is one.
    pub fn is_websocket(&self) -> bool {
        matches!(self.acts.first(), Some(Act::Head(101, _)))
    }

    /// Adds any act.
    pub fn then(mut self, act: Act) -> Script {
        self.acts.push(act);
        self
    }

    /// Delimits the body by its length.
    pub fn length(mut self) -> Script {
        self.framing = Framing::Length;
        self
    }

    /// Delimits the body by the end of the connection.
    pub fn close_delimited(mut self) -> Script {
        self.framing = Framing::Close;
        self
    }

    /// Adds status and headers.
    pub fn head(self, status: u16, headers: &[(&str, &str)]) -> Script {
        let owned = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers = owned.collect();
        self.then(Act::Head(status, headers))
    }

    /// Adds some of the body.
    pub fn data(self, data: impl Into<Bytes>) -> Script {
        self.then(Act::Data(data.into()))
    }

    /// Adds a pause.
    pub fn wait(self, milliseconds: u64) -> Script {
        self.then(Act::Wait(Duration::from_millis(milliseconds)))
    }

    /// Adds silence until the peer leaves.
    pub fn silence(self) -> Script {
        self.then(Act::Silence)
    }

    /// Adds the end of the connection.
    pub fn cut(self) -> Script {
        self.then(Act::Cut)
    }

    /// Adds a reset of the connection.
    pub fn reset(self) -> Script {
        self.then(Act::Reset)
    }

    /// All of the body that the script sends.
    pub fn body(&self) -> Vec<u8> {
        let data = self.acts.iter().filter_map(|act| match act {
            Act::Data(data) | Act::Bytewise(data) => Some(data.as_ref()),
            _ => None,
        });
        data.collect::<Vec<_>>().concat()
    }
}

impl Default for Script {
    fn default() -> Self {
        Script::new()
    }
}

/// An error body in OpenAI's shape.
pub fn openai_error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "fake_error", "param": null, "code": "fake"}})
}

/// A chat completion.
pub fn chat_answer(text: &str) -> Value {
    json!({"id": "chatcmpl-fake", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}})
}

fn chat_chunk(delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

/// The first event of a chat stream: a role, no content.
pub fn chat_role() -> String {
    chat_chunk(&json!({"role": "assistant", "content": ""}), None)
}

/// An event of a chat stream with content.
pub fn chat_word(word: &str) -> String {
    chat_chunk(&json!({"content": word}), None)
}

/// The last event of a chat stream before `[DONE]`.
pub fn chat_stop() -> String {
    chat_chunk(&json!({}), Some("stop"))
}

/// The chunk that reports usage to who asked for it, as the gateway always does.
pub fn chat_usage() -> String {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
    let chunk = json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": usage});
    format!("data: {chunk}\n\n")
}

/// `data` as a gzip member of stored blocks: valid, though nothing is compressed.
pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<&[u8]> = if data.is_empty() {
        vec![data]
    } else {
        data.chunks(0xffff).collect()
    };
    for (index, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap();
        member.push(u8::from(index + 1 == blocks.len()));
        member.extend(length.to_le_bytes());
        member.extend((!length).to_le_bytes());
        member.extend_from_slice(block);
    }
    let crc = !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    member.extend(crc.to_le_bytes());
    member.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    member
}
