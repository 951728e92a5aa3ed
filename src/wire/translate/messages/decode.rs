//! Reading a stream.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::errors;
use super::super::neutral::{Delta, Event, Kind, Proof, Stop};
use super::super::sink::{Sink, object};
use super::answer::{stop, tier};
use crate::report::Usage;
use crate::report::failure::Fault;
use crate::report::figures::Figures;
use crate::report::lenient::{Code, Maybe, Text};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    index: Code<'a>,
    #[serde(borrow)]
    delta: Maybe<Said<'a>>,
    #[serde(borrow)]
    message: Maybe<Message<'a>>,
    #[serde(borrow)]
    content_block: Maybe<Block<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Fault<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tier<'a> {
    #[serde(borrow)]
    service_tier: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    signature: Text<'a>,
    #[serde(borrow)]
    data: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    partial_json: Text<'a>,
    #[serde(borrow)]
    signature: Text<'a>,
    #[serde(borrow)]
    stop_reason: Text<'a>,
    #[serde(borrow)]
    stop_sequence: Text<'a>,
}

/// Reads messages' events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    ended: bool,
    open: Vec<Open>,
    reason: Option<Stop>,
    usage: Option<Usage>,
    tier: Option<String>,
}

#[derive(Debug)]
struct Open {
    index: u32,
    call: bool,
    said: bool,
    /// The signature, which may come in pieces.
    signature: String,
}

impl Decoder {
    /// Reads one event.
    pub(crate) fn read(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) {
        if self.ended {
            return;
        }
        object(data, &mut |data| {
            let wire: Option<Wire<'_>> = serde_json::from_slice::<Maybe<Wire<'_>>>(data)?.0;
            if let Some(wire) = wire {
                self.event(&wire, name, sink);
            }
            Ok(())
        });
    }

    /// The stream has ended: says so if the answer was whole.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> bool {
        if self.ended {
            return true;
        }
        if self.reason.is_none() {
            return false;
        }
        self.stop(sink);
        true
    }

    fn stop(&mut self, sink: Sink<'_>) {
        for open in std::mem::take(&mut self.open) {
            close(&open, sink);
        }
        self.ended = true;
        sink(&Event::Stop {
            stop: self.reason.take().unwrap_or_default(),
            usage: self.usage,
            tier: self.tier.as_deref(),
        });
    }

    fn event(&mut self, wire: &Wire<'_>, name: &[u8], sink: Sink<'_>) {
        let index = match wire.index {
            Code::Number(index) => u32::try_from(index).unwrap_or(u32::MAX),
            _ => 0,
        };
        match &*wire.kind.0 {
            "content_block_delta" => {
                if let Some(said) = &wire.delta.0 {
                    self.delta(index, said, sink);
                }
            }
            "message_start" => {
                if let Some(message) = &wire.message.0 {
                    self.report(message.usage);
                    let told = message
                        .usage
                        .and_then(|raw| serde_json::from_str(raw.get()).ok());
                    let told: Maybe<Tier<'_>> = told.unwrap_or_default();
                    self.tier = told.0.and_then(|told| tier(&told.service_tier.0));
                    sink(&Event::Start {
                        id: &message.id.0,
                        model: &message.model.0,
                        usage: self.usage,
                        tier: self.tier.as_deref(),
                    });
                }
            }
            "content_block_start" => {
                if let Some(block) = &wire.content_block.0 {
                    self.open(index, block, sink);
                }
            }
            "content_block_stop" => {
                if let Some(at) = self.open.iter().position(|open| open.index == index) {
                    close(&self.open.remove(at), sink);
                }
            }
            "message_delta" => {
                self.report(wire.usage);
                if let Some(said) = &wire.delta.0
                    && let Some(reason) = said.stop_reason.some()
                {
                    self.reason = Some(stop(reason, said.stop_sequence.some()));
                }
            }
            "message_stop" => self.stop(sink),
            "ping" => sink(&Event::Ping),
            kind => {
                let failure = wire.error.failure();
                if let Some(failure) =
                    failure.filter(|_| matches!(kind, "error" | "") || name == b"error")
                {
                    self.ended = true;
                    sink(&Event::Error(errors::of_stream(failure)));
                }
            }
        }
    }

    fn report(&mut self, usage: Option<&RawValue>) {
        let figures = usage.and_then(|usage| Figures::of(usage.get().as_bytes()));
        if let Some(figures) = figures {
            let earlier = self.usage.unwrap_or_default();
            self.usage = figures.anthropic(earlier).or(self.usage);
        }
    }

    fn open(&mut self, index: u32, block: &Block<'_>, sink: Sink<'_>) {
        let kind = match &*block.kind.0 {
            "text" => Kind::Text,
            "thinking" | "redacted_thinking" => Kind::Thinking,
            "tool_use" => Kind::Call {
                id: &block.id.0,
                name: &block.name.0,
                namespace: None,
                custom: false,
            },
            // Tools that the provider runs are never sent, so they are never called.
            _ => return,
        };
        sink(&Event::Open(index, kind));
        self.open.push(Open {
            index,
            call: matches!(kind, Kind::Call { .. }),
            said: false,
            signature: String::new(),
        });
        if let Some(data) = block.data.some() {
            let proof = Proof::open(data).unwrap_or_else(|| Proof::Redacted(data.to_owned()));
            sink(&Event::Delta(index, Delta::Proof(&proof)));
        }
        // Compatible providers give a call's whole input at once.
        let input = block
            .input
            .map(RawValue::get)
            .filter(|input| input.starts_with('{') && input.len() > 2);
        let said = Said {
            text: Text(block.text.0.as_ref().into()),
            thinking: Text(block.thinking.0.as_ref().into()),
            signature: Text(block.signature.0.as_ref().into()),
            partial_json: Text(input.unwrap_or_default().into()),
            ..Said::default()
        };
        self.delta(index, &said, sink);
    }

    fn delta(&mut self, index: u32, said: &Said<'_>, sink: Sink<'_>) {
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else {
            return;
        };
        for text in [&said.text, &said.thinking, &said.partial_json] {
            if let Some(text) = text.some() {
                open.said = true;
                sink(&Event::Delta(index, Delta::Text(text)));
            }
        }
        open.signature.push_str(&said.signature.0);
    }
}

fn close(open: &Open, sink: Sink<'_>) {
    if open.call && !open.said {
        sink(&Event::Delta(open.index, Delta::Text("{}")));
    }
    if !open.signature.is_empty() {
        let proof = Proof::open(&open.signature)
            .unwrap_or_else(|| Proof::Signature(open.signature.clone()));
        sink(&Event::Delta(open.index, Delta::Proof(&proof)));
    }
    sink(&Event::Close(open.index));
}
