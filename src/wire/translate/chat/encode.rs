//! Writing a stream of chunks.

use serde_json::{Value, json};

use super::super::neutral::{Delta, Event, Kind, Proof, Stop, Thinking};
use super::super::{Dialect, errors, names, out, usage};
use super::answer::finish_reason;
use super::parts::thinking_value;

/// Writes events as chunks.
#[derive(Debug)]
pub(crate) struct Encoder {
    created: u64,
    include_usage: bool,
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    tier: Option<String>,
    blocks: Vec<Block>,
    calls: u32,
}

#[derive(Debug)]
struct Block {
    index: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Text,
    Refusal,
    Thinking(Thinking),
    Call { number: u32, custom: bool },
}

/// What a chunk's head ends with.
const CHOICES: &[u8] = b",\"choices\":";

const TAIL: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

impl Encoder {
    /// An encoder; `created` is in Unix time (s).
    pub(crate) fn new(created: u64, include_usage: bool) -> Encoder {
        Encoder {
            created,
            include_usage,
            head: Vec::new(),
            tier: None,
            blocks: Vec::new(),
            calls: 0,
        }
    }

    /// Appends what an event becomes.
    pub(crate) fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start {
                id, model, tier, ..
            } => {
                self.tier = tier.map(str::to_owned);
                self.start(id, model);
                self.delta(
                    out,
                    b"\"role\":\"assistant\",\"content\":\"\",\"refusal\":null",
                );
            }
            Event::Open(index, kind) => self.open(*index, kind, out),
            Event::Delta(index, delta) => self.fragment(*index, delta, out),
            Event::Close(index) => self.close(*index, out),
            Event::Stop { stop, usage, tier } => {
                if let Some(tier) = tier.filter(|_| self.tier.is_none()) {
                    self.served_as(tier);
                }
                self.stop(stop, *usage, out);
            }
            Event::Error(fault) => {
                out::unnamed(out, &errors::value(Dialect::OpenAi, fault, None));
            }
            Event::Ping => {}
        }
    }

    fn start(&mut self, id: &str, model: &str) {
        let head = &mut self.head;
        head.extend_from_slice(b"data: {\"id\":");
        out::string(head, &names::answer_id("chatcmpl-", id));
        head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        out::number(head, self.created);
        head.extend_from_slice(b",\"model\":");
        out::string(head, model);
        if let Some(tier) = &self.tier {
            head.extend_from_slice(b",\"service_tier\":");
            out::string(head, tier);
        }
        head.extend_from_slice(CHOICES);
    }

    /// Says in what follows how it is served, where that is known at the end only.
    fn served_as(&mut self, tier: &str) {
        let head = &mut self.head;
        if head.ends_with(CHOICES) {
            head.truncate(head.len() - CHOICES.len());
            head.extend_from_slice(b",\"service_tier\":");
            out::string(head, tier);
            head.extend_from_slice(CHOICES);
        }
    }

    fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"[{\"index\":0,\"delta\":{");
    }

    fn delta(&self, out: &mut Vec<u8>, inside: &[u8]) {
        self.begin(out);
        out.extend_from_slice(inside);
        out.extend_from_slice(TAIL);
    }

    fn open(&mut self, index: u32, kind: &Kind<'_>, out: &mut Vec<u8>) {
        let what = match kind {
            Kind::Text => What::Text,
            Kind::Refusal => What::Refusal,
            Kind::Thinking => What::Thinking(Thinking::default()),
            Kind::Proof(proof) => What::Thinking(Thinking::proof(proof)),
            Kind::Call {
                id, name, custom, ..
            } => {
                let number = self.calls;
                self.calls += 1;
                self.begin(out);
                out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
                out::number(out, number.into());
                out.extend_from_slice(b",\"id\":");
                out::string(out, id);
                let rest: [&[u8]; 2] = if *custom {
                    [
                        b",\"type\":\"custom\",\"custom\":{\"name\":",
                        b",\"input\":\"\"}}]",
                    ]
                } else {
                    [
                        b",\"type\":\"function\",\"function\":{\"name\":",
                        b",\"arguments\":\"\"}}]",
                    ]
                };
                out.extend_from_slice(rest[0]);
                out::string(out, name);
                out.extend_from_slice(rest[1]);
                out.extend_from_slice(TAIL);
                What::Call {
                    number,
                    custom: *custom,
                }
            }
        };
        self.blocks.push(Block { index, what });
    }

    fn fragment(&mut self, index: u32, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let Some(at) = self.blocks.iter().rposition(|block| block.index == index) else {
            return;
        };
        match (delta, &mut self.blocks[at].what) {
            (Delta::Text(text), What::Thinking(thinking)) => thinking.text.push_str(text),
            (Delta::Proof(proof), What::Thinking(thinking)) => {
                // A signature may come in pieces.
                match (&mut thinking.proof, proof) {
                    (Proof::Signature(all), Proof::Signature(more)) => all.push_str(more),
                    (own, proof) => *own = (*proof).clone(),
                }
                return;
            }
            _ => {}
        }
        let (key, tail): (&[u8], &[u8]) = match (delta, &self.blocks[at].what) {
            (Delta::Text(_), What::Text) => (b"\"content\":", b""),
            (Delta::Text(_), What::Refusal) => (b"\"refusal\":", b""),
            (Delta::Text(_), What::Thinking(_)) => (b"\"reasoning_content\":", b""),
            (Delta::Text(_), What::Call { custom: false, .. }) => {
                (b",\"function\":{\"arguments\":", b"}}]")
            }
            (Delta::Text(_), What::Call { custom: true, .. }) => {
                (b",\"custom\":{\"input\":", b"}}]")
            }
            (Delta::Logprobs(list), _) => {
                self.begin(out);
                out.extend_from_slice(b"},\"logprobs\":{\"content\":");
                // It is the provider's JSON, which may have line breaks between its tokens; ours is one line.
                let flat = |byte| {
                    if matches!(byte, b'\n' | b'\r') {
                        b' '
                    } else {
                        byte
                    }
                };
                out.extend(list.bytes().map(flat));
                out.extend_from_slice(b",\"refusal\":null},\"finish_reason\":null}]}\n\n");
                return;
            }
            (Delta::Proof(_), _) => return,
        };
        let Delta::Text(text) = delta else { return };
        self.begin(out);
        if let What::Call { number, .. } = self.blocks[at].what {
            out.extend_from_slice(b"\"tool_calls\":[{\"index\":");
            out::number(out, number.into());
        }
        out.extend_from_slice(key);
        out::string(out, text);
        out.extend_from_slice(tail);
        out.extend_from_slice(TAIL);
    }

    /// A thought's proof can only be sent once it is whole.
    fn close(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(at) = self.blocks.iter().rposition(|block| block.index == index) else {
            return;
        };
        let block = self.blocks.swap_remove(at);
        if let What::Thinking(thinking) = block.what {
            let value = json!([thinking_value(&thinking)]).to_string();
            let inside = [b"\"thinking_blocks\":", value.as_bytes()].concat();
            self.delta(out, &inside);
        }
    }

    fn stop(&mut self, stop: &Stop, usage: Option<crate::report::Usage>, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(finish_reason(stop).as_bytes());
        out.extend_from_slice(b"\"}]}\n\n");
        if self.include_usage {
            let usage = usage.map_or(Value::Null, usage::chat);
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"[],\"usage\":");
            out.extend_from_slice(usage.to_string().as_bytes());
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
