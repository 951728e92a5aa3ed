//! Writing a stream.
//!
//! Messages have one block open at a time, and other dialects may have several: what comes for a later block
//! while an earlier one is open waits in a queue. The earliest block never waits.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::super::neutral::{Delta, Event, Kind, Proof};
use super::super::{Dialect, errors, names, out};
use super::answer::{call_block, stop_names, text_block, usage_value};

/// Writes events as messages' events.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// The next block's index on the wire.
    next: u64,
    open: Option<Open>,
    waiting: VecDeque<Waiting>,
    refused: bool,
    /// As the start said.
    tier: Option<String>,
}

/// The block that is open.
#[derive(Debug)]
struct Open {
    index: u32,
    /// Its index on the wire.
    number: u64,
    what: What,
    /// A thought has been proved.
    proved: bool,
}

#[derive(Clone, Debug)]
enum What {
    Text,
    Thinking,
    /// What the client carries and does not read.
    Opaque {
        data: String,
    },
    Call {
        id: String,
        name: String,
    },
}

/// A block that waits for the open one.
#[derive(Debug)]
struct Waiting {
    index: u32,
    what: What,
    text: String,
    proof: Option<Proof>,
    closed: bool,
}

impl Encoder {
    /// Appends what an event becomes.
    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Delta(index, delta) => self.delta(*index, delta, out),
            Event::Start {
                id,
                model,
                usage,
                tier,
            } => {
                self.tier = tier.map(str::to_owned);
                let data = json!({
                    "type": "message_start",
                    "message": {
                        "id": names::answer_id("msg_", id),
                        "type": "message",
                        "role": "assistant",
                        "model": model,
                        "content": [],
                        "stop_reason": null,
                        "stop_sequence": null,
                        "stop_details": null,
                        "container": null,
                        "usage": usage_value(*usage, *tier),
                    },
                });
                out::named(out, "message_start", &data);
                self.ping(out);
            }
            Event::Open(index, kind) => {
                self.refused |= *kind == Kind::Refusal;
                let what = match kind {
                    Kind::Text | Kind::Refusal => What::Text,
                    Kind::Thinking => What::Thinking,
                    Kind::Proof(proof) => What::Opaque { data: proof.seal() },
                    Kind::Call { id, name, .. } => What::Call {
                        id: names::call_id(id),
                        name: (*name).to_owned(),
                    },
                };
                self.begin(*index, what, out);
            }
            Event::Close(index) => self.end(*index, out),
            Event::Stop { stop, usage, tier } => {
                self.end_all(out);
                let (reason, sequence) = stop_names(stop, self.refused);
                let data = json!({
                    "type": "message_delta",
                    "delta": {
                        "stop_reason": reason, "stop_sequence": sequence,
                        "stop_details": null, "container": null,
                    },
                    "usage": usage_value(*usage, tier.or(self.tier.as_deref())),
                });
                out::named(out, "message_delta", &data);
                out::named(out, "message_stop", &json!({"type": "message_stop"}));
            }
            Event::Error(fault) => {
                out::named(
                    out,
                    "error",
                    &errors::value(Dialect::Anthropic, fault, None),
                );
            }
            Event::Ping => self.ping(out),
        }
    }

    fn ping(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ping\ndata: {\"type\": \"ping\"}\n\n");
    }

    fn begin(&mut self, index: u32, what: What, out: &mut Vec<u8>) {
        if self.open.is_some() {
            self.waiting.push_back(Waiting {
                index,
                what,
                text: String::new(),
                proof: None,
                closed: false,
            });
            return;
        }
        let block = match &what {
            What::Text => text_block(""),
            What::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
            What::Opaque { data } => json!({"type": "redacted_thinking", "data": data}),
            What::Call { id, name } => call_block(id, name, &json!({})),
        };
        let number = self.next;
        self.next += 1;
        let data = json!({"type": "content_block_start", "index": number, "content_block": block});
        out::named(out, "content_block_start", &data);
        self.open = Some(Open {
            index,
            number,
            what,
            proved: false,
        });
    }

    fn delta(&mut self, index: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match &mut self.open {
            Some(open) if open.index == index => fragment(open, delta, out),
            _ => {
                let found = self
                    .waiting
                    .iter_mut()
                    .rev()
                    .find(|waiting| waiting.index == index);
                let Some(waiting) = found else { return };
                match delta {
                    Delta::Text(text) => waiting.text.push_str(text),
                    Delta::Proof(proof) => waiting.proof = Some((*proof).clone()),
                    Delta::Logprobs(_) => {}
                }
            }
        }
    }

    fn end(&mut self, index: u32, out: &mut Vec<u8>) {
        if self.open.as_ref().is_some_and(|open| open.index == index) {
            self.end_open(out);
            self.go_on(out);
        } else if let Some(waiting) = self
            .waiting
            .iter_mut()
            .find(|waiting| waiting.index == index)
        {
            waiting.closed = true;
        }
    }

    fn end_open(&mut self, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        // A thought that nobody vouches for is marked as such, so that it is known when it comes back.
        if matches!(open.what, What::Thinking) && !open.proved {
            fragment(&mut open, &Delta::Proof(&Proof::None), out);
        }
        let data: Value = json!({"type": "content_block_stop", "index": open.number});
        out::named(out, "content_block_stop", &data);
    }

    /// Writes what has waited, up to a block that goes on.
    fn go_on(&mut self, out: &mut Vec<u8>) {
        while self.open.is_none() {
            let Some(waiting) = self.waiting.pop_front() else {
                return;
            };
            self.begin(waiting.index, waiting.what, out);
            if let Some(open) = &mut self.open {
                if !waiting.text.is_empty() {
                    fragment(open, &Delta::Text(&waiting.text), out);
                }
                if let Some(proof) = &waiting.proof {
                    fragment(open, &Delta::Proof(proof), out);
                }
            }
            if waiting.closed {
                self.end_open(out);
            }
        }
    }

    fn end_all(&mut self, out: &mut Vec<u8>) {
        while self.open.is_some() || !self.waiting.is_empty() {
            self.end_open(out);
            self.go_on(out);
        }
    }
}

fn fragment(open: &mut Open, delta: &Delta<'_>, out: &mut Vec<u8>) {
    let sealed;
    let (kind, key, text): (&[u8], &[u8], &str) = match (delta, &open.what) {
        (Delta::Text(text), What::Text) => (b"text_delta", b"text", text),
        (Delta::Text(text), What::Thinking) => (b"thinking_delta", b"thinking", text),
        (Delta::Text(text), What::Call { .. }) => (b"input_json_delta", b"partial_json", text),
        (Delta::Proof(proof), What::Thinking) => {
            open.proved = true;
            sealed = match proof {
                Proof::Signature(signature) => signature.clone(),
                proof => proof.seal(),
            };
            (b"signature_delta", b"signature", &sealed)
        }
        _ => return,
    };
    out.extend_from_slice(
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
    );
    out::number(out, open.number);
    out.extend_from_slice(b",\"delta\":{\"type\":\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(key);
    out.extend_from_slice(b"\":");
    out::string(out, text);
    out.extend_from_slice(b"}}\n\n");
}
