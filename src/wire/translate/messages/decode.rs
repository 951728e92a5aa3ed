//! Reading a stream, and a whole answer as one.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::neutral::{Answer, Collector, Delta, Event, Kind, MOST_PARTS, Proof, Stop};
use super::super::sink::{Sink, failed, is_over};
use super::answer::{stop, tier};
use crate::payload::messages::{self as wire, Block, Message};
use crate::report::Usage;
use crate::report::figures::Figures;
use crate::report::lenient::{Content, Maybe, Raw, Text, object, parse};

/// The tier, which Anthropic puts inside the usage.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tier<'a> {
    #[serde(borrow)]
    service_tier: Text<'a>,
}

/// Reads messages' events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    ended: bool,
    /// The next block's index.
    next: u32,
    open: Vec<Open>,
    called: bool,
    reason: Option<Stop>,
    usage: Option<Usage>,
    tier: Option<String>,
}

#[derive(Debug)]
struct Open {
    /// The provider's index.
    number: u64,
    index: u32,
    call: bool,
    said: bool,
    /// The signature, which may come in pieces.
    signature: String,
}

impl Decoder {
    /// Reads one event.
    pub(crate) fn read(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) {
        if is_over(&mut self.ended, name, data, sink) {
            return;
        }
        object(data, &mut |data| {
            if let Some(event) = parse(data)? {
                self.event(&event, data, sink);
            }
            Ok(())
        });
    }

    /// Reads a whole answer; says whether it is one.
    pub(crate) fn whole(&mut self, body: &[u8], sink: Sink<'_>) -> bool {
        object(body, &mut |body| {
            if let Some(message) = parse::<Message<'_>>(body)? {
                self.start(&message, sink);
                let is_answer = message.kind.0 == "message" || !message.stop_reason.is_empty();
                if is_answer || self.next > 0 {
                    let reason = self.reason(&message.stop_reason.0, message.stop_sequence.some());
                    self.reason = Some(reason);
                }
            }
            Ok(())
        });
        self.finish(sink)
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
        let said = self.reason.take();
        let stop = said.unwrap_or_else(|| self.reason("", None));
        for open in std::mem::take(&mut self.open) {
            close(&open, sink);
        }
        self.ended = true;
        sink(&Event::Stop {
            stop,
            usage: self.usage,
            tier: self.tier.as_deref(),
        });
    }

    fn event(&mut self, event: &wire::Event<'_>, data: &[u8], sink: Sink<'_>) {
        let last = self.open.last().map_or(0, |open| open.number);
        match &*event.kind.0 {
            "content_block_delta" => {
                if let Some(delta) = &event.delta.0 {
                    self.delta(event.index.0.unwrap_or(last), delta, sink);
                }
            }
            "message_start" => {
                if let Some(message) = &event.message.0 {
                    self.start(message, sink);
                }
            }
            "content_block_start" => {
                if let Some(block) = &event.content_block.0 {
                    let number = event.index.0.unwrap_or(self.next.into());
                    self.open(number, block, sink);
                }
            }
            "content_block_stop" => {
                let number = event.index.0.unwrap_or(last);
                if let Some(at) = self.open.iter().position(|open| open.number == number) {
                    close(&self.open.remove(at), sink);
                }
            }
            "message_delta" => {
                self.report(event.usage);
                if let Some(delta) = &event.delta.0
                    && let Some(reason) = delta.stop_reason.some()
                {
                    self.reason = Some(self.reason(reason, delta.stop_sequence.some()));
                }
            }
            "message_stop" => self.stop(sink),
            "ping" => sink(&Event::Ping),
            "error" | "" => self.ended = failed(b"", data, sink),
            _ => {}
        }
    }

    fn start(&mut self, message: &Message<'_>, sink: Sink<'_>) {
        self.report(message.usage);
        let told: Maybe<Tier<'_>> = message.usage.read();
        self.tier = told.0.and_then(|told| tier(&told.service_tier.0));
        sink(&Event::Start {
            id: &message.id.0,
            model: &message.model.0,
            usage: self.usage,
            tier: self.tier.as_deref(),
        });
        if let Some([b'"', ..]) = message.content.0 {
            let text: Text<'_> = message.content.read();
            if !text.is_empty() {
                let block = Block {
                    text,
                    ..Block::default()
                };
                self.block(&block, sink);
            }
            return;
        }
        let blocks = message.content.read::<Vec<&RawValue>>().into_iter();
        for block in blocks.take(MOST_PARTS + 1) {
            Raw::of(block).object(&mut |block| {
                if let Some(block) = parse(block)? {
                    self.block(&block, sink);
                }
                Ok(())
            });
        }
    }

    /// A whole block.
    fn block(&mut self, block: &Block<'_>, sink: Sink<'_>) {
        self.open(self.next.into(), block, sink);
        for open in std::mem::take(&mut self.open) {
            close(&open, sink);
        }
    }

    fn reason(&self, reason: &str, sequence: Option<&str>) -> Stop {
        match reason {
            "" if self.called => Stop::Calls,
            reason => stop(reason, sequence),
        }
    }

    fn report(&mut self, usage: Raw<'_>) {
        if let Some(figures) = Figures::of(usage) {
            let earlier = self.usage.unwrap_or_default();
            self.usage = figures.anthropic(earlier).or(self.usage);
        }
    }

    fn open(&mut self, number: u64, block: &Block<'_>, sink: Sink<'_>) {
        let kind = match &*block.kind.0 {
            "thinking" | "redacted_thinking" => Kind::Thinking,
            "tool_use" => Kind::Call {
                id: &block.id.0,
                name: &block.name.0,
                namespace: None,
                custom: false,
            },
            "text" => Kind::Text,
            "" if !block.text.is_empty() => Kind::Text,
            // Tools that the provider runs are never sent, so they are never called.
            _ => return,
        };
        self.begin(number, kind, sink);
        let Some(open) = self.open.last() else { return };
        if let Some(data) = block.data.some() {
            let proof = Proof::open(data).unwrap_or_else(|| Proof::Redacted(data.to_owned()));
            sink(&Event::Delta(open.index, Delta::Proof(&proof)));
        }
        // Compatible providers give a call's whole input at once.
        let input: Content<'_> = block.input.read();
        let input = input.arguments();
        let input = match input.trim() {
            "{}" | "null" => "",
            input => input,
        };
        let delta = wire::Delta {
            text: Text(block.text.0.as_ref().into()),
            thinking: Text(block.thinking.0.as_ref().into()),
            signature: Text(block.signature.0.as_ref().into()),
            partial_json: Content::Text(Text(input.into())),
            ..wire::Delta::default()
        };
        self.delta(number, &delta, sink);
    }

    /// A block begins; one of the same index that did not end is over.
    fn begin(&mut self, number: u64, kind: Kind<'_>, sink: Sink<'_>) {
        if let Some(at) = self.open.iter().position(|open| open.number == number) {
            close(&self.open.remove(at), sink);
        }
        let call = matches!(kind, Kind::Call { .. });
        self.called |= call;
        let index = self.next;
        self.next += 1;
        sink(&Event::Open(index, kind));
        self.open.push(Open {
            number,
            index,
            call,
            said: false,
            signature: String::new(),
        });
    }

    fn delta(&mut self, number: u64, delta: &wire::Delta<'_>, sink: Sink<'_>) {
        if !self.open.iter().any(|open| open.number == number) {
            // Its beginning is missing.
            let kind = match (delta.text.is_empty(), delta.thinking.is_empty()) {
                (false, _) => Kind::Text,
                (true, false) => Kind::Thinking,
                (true, true) => return,
            };
            self.begin(number, kind, sink);
        }
        let Some(open) = self.open.iter_mut().find(|open| open.number == number) else {
            return;
        };
        let json = delta.partial_json.arguments();
        for text in [&*delta.text.0, &*delta.thinking.0, &*json] {
            if !text.is_empty() {
                open.said = true;
                sink(&Event::Delta(open.index, Delta::Text(text)));
            }
        }
        open.signature.push_str(&delta.signature.0);
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

/// Reads an answer; `None` if it is none.
pub(crate) fn read_answer(body: &[u8]) -> Option<Answer> {
    let mut answer = Collector::default();
    Decoder::default().whole(body, &mut |event| answer.take(event));
    answer.finish()
}
