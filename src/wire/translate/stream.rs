//! Streams: one dialect's events in, another's out, each as it comes.

use std::collections::HashMap;

use super::custom::Unwrap;
use super::encoder::Encoder;
use super::neutral::{Answer, Collector, Delta, Event, Fault, Kind, MOST_PARTS, Stop};
use super::reply::Given;
use super::sink::Sink;
use super::{Reply, Surface, chat, messages, responses, sse};
use crate::report::Usage;
use crate::report::template::Template;

#[derive(Debug)]
enum Decoder {
    Chat(chat::Decoder),
    Responses(responses::Decoder),
    Messages(messages::Decoder),
}

/// Translates one answer's stream.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    writer: Writer,
    shortcut: Shortcut,
}

/// Passes over reading events that differ from the last one in their text only, as nearly all do.
///
/// Invariant: a match is what reading would have found. It holds because an event is learnt only if one
/// fragment of text was all that it said, and is forgotten with the next event that is read, which may have
/// changed what the same bytes mean.
#[derive(Debug, Default)]
struct Shortcut {
    template: Template,
    /// The block of the fragment learnt last.
    block: Option<u32>,
}

/// What one event said.
#[derive(Clone, Copy, Debug, Default)]
struct Emitted {
    events: u32,
    /// The last fragment: its block, address and length.
    fragment: Option<(u32, usize, usize)>,
}

impl Emitted {
    fn note(&mut self, event: &Event<'_>) {
        self.events += 1;
        if let Event::Delta(block, Delta::Text(text)) = event {
            self.fragment = Some((*block, text.as_ptr().addr(), text.len()));
        }
    }

    /// The only thing said, as a block and the offset and length of its text in `data`.
    fn only(&self, data: &[u8]) -> Option<(u32, usize, usize)> {
        let (block, address, len) = self.fragment.filter(|_| self.events == 1)?;
        let at = address.wrapping_sub(data.as_ptr().addr());
        let end = at.checked_add(len).filter(|end| *end < data.len())?;
        let quoted = at > 0 && data[at - 1] == b'"' && data[end] == b'"';
        quoted.then_some((block, at, len))
    }
}

/// Gives calls the client's names back and ids of their own, and writes.
#[derive(Debug)]
struct Writer {
    reply: Reply,
    encoder: Encoder,
    started: bool,
    /// In Unix time (s).
    created: u64,
    /// The ids of the calls so far.
    called: Given,
    /// Custom tools that the provider calls as functions.
    wrapped: HashMap<u32, Unwrap>,
    /// Room for unwrapped text.
    text: String,
    /// Bytes of text and proofs so far, some of which encoders keep to the end.
    told: usize,
}

/// The most text and proofs that one translated stream may have, in bytes.
const LONGEST: usize = 32 << 20;
/// What a part counts for among them, so that there are no more than [`MOST_PARTS`].
const PART: usize = LONGEST / MOST_PARTS;

impl Decoder {
    fn of(provider: Surface) -> Decoder {
        match provider {
            Surface::Responses => Decoder::Responses(responses::Decoder::default()),
            Surface::Messages => Decoder::Messages(messages::Decoder::default()),
            _ => Decoder::Chat(chat::Decoder::default()),
        }
    }

    fn read(&mut self, event: &sse::Event<'_>, sink: Sink<'_>) {
        match self {
            Decoder::Chat(decoder) => decoder.read(event.name, event.data, sink),
            Decoder::Responses(decoder) => decoder.read(event.name, event.data, sink),
            Decoder::Messages(decoder) => decoder.read(event.name, event.data, sink),
        }
    }

    /// Reads a whole answer as a stream of one event; says whether it is one.
    fn whole(&mut self, body: &[u8], sink: Sink<'_>) -> bool {
        match self {
            Decoder::Chat(decoder) => decoder.whole(body, sink),
            Decoder::Responses(decoder) => decoder.whole(body, sink),
            Decoder::Messages(decoder) => decoder.whole(body, sink),
        }
    }

    fn finish(&mut self, sink: Sink<'_>) -> bool {
        match self {
            Decoder::Chat(decoder) => decoder.finish(sink),
            Decoder::Responses(decoder) => decoder.finish(),
            Decoder::Messages(decoder) => decoder.finish(sink),
        }
    }
}

/// The answer that a provider's whole stream amounts to; `None` if it does not come to its end, or fails.
pub(super) fn collect(reply: &Reply, stream: &[u8]) -> Option<Answer> {
    let (mut decoder, mut answer) = (Decoder::of(reply.provider), Collector::default());
    let mut parser = sse::Parser::new();
    let mut events = parser.feed(stream);
    while let Some(event) = events.next() {
        decoder.read(&event.ok()?, &mut |event| answer.take(event));
        if answer.is_too_long() {
            return None;
        }
    }
    drop(events);
    let sink: Sink<'_> = &mut |event| answer.take(event);
    if let Some(event) = parser.finish() {
        decoder.read(&event, sink);
    }
    decoder.finish(sink);
    answer.finish()
}

impl Stream {
    /// Returns a translation of the answer to a translated request. `created` is in Unix time (s).
    pub fn new(reply: &Reply, created: u64) -> Stream {
        Stream {
            decoder: Decoder::of(reply.provider),
            writer: Writer {
                reply: reply.clone(),
                encoder: Encoder::new(reply, created),
                started: false,
                created,
                called: Given::default(),
                wrapped: HashMap::new(),
                text: String::new(),
                told: 0,
            },
            shortcut: Shortcut::default(),
        }
    }

    /// Reads one event of the provider's and appends to `out` what it becomes, whole events only.
    pub fn push(&mut self, event: &sse::Event<'_>, out: &mut Vec<u8>) {
        let (writer, shortcut) = (&mut self.writer, &mut self.shortcut);
        if writer.is_too_long() {
            return;
        }
        if let Some(block) = shortcut.block
            && let Some(text) = shortcut.template.text(event.data)
        {
            if !text.is_empty() {
                writer.write(&Event::Delta(block, Delta::Text(text)), out);
            }
            return;
        }
        let mut emitted = Emitted::default();
        let sink: Sink<'_> = &mut |event| {
            emitted.note(event);
            writer.write(event, out);
        };
        self.decoder.read(event, sink);
        let only = emitted
            .only(event.data)
            .filter(|(block, ..)| match &self.decoder {
                Decoder::Chat(decoder) => decoder.is_plain(*block),
                Decoder::Responses(_) | Decoder::Messages(_) => true,
            });
        shortcut.block = only.map(|(block, at, len)| {
            shortcut.template.learn(event.data, at, len);
            block
        });
    }

    /// Ends the client's stream here, as at a token limit: what is open is closed first. For a gateway that
    /// stops an answer itself. Nothing may be pushed after it.
    pub fn cut(&mut self, usage: Option<Usage>, out: &mut Vec<u8>) {
        let event = Event::Stop {
            stop: Stop::Length,
            usage,
            tier: None,
        };
        self.writer.write(&event, out);
    }

    /// Reads every event in full, for tests that hold the shortcut against it.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.shortcut = Shortcut::default();
    }

    /// The provider's stream has ended. Appends the client's own end if the answer was whole, and says
    /// whether it was; if not, nothing that looks like an end is written.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        let writer = &mut self.writer;
        let ended = self.decoder.finish(&mut |event| writer.write(event, out));
        ended && !self.writer.is_too_long()
    }

    /// Reads a whole answer instead of events, and appends all that it becomes; says whether it is one. Nothing else may
    /// be pushed.
    pub(super) fn whole(&mut self, body: &[u8], out: &mut Vec<u8>) -> bool {
        let writer = &mut self.writer;
        self.decoder
            .whole(body, &mut |event| writer.write(event, out))
    }
}

/// How many bytes of text or proof an event has, or counts for.
fn size(event: &Event<'_>) -> usize {
    match event {
        Event::Delta(_, Delta::Text(text)) => text.len(),
        Event::Delta(_, Delta::Proof(proof)) => proof.len(),
        Event::Open(_, Kind::Proof(proof)) => PART.saturating_add(proof.len()),
        Event::Open(..) => PART,
        _ => 0,
    }
}

impl Writer {
    fn is_too_long(&self) -> bool {
        self.told > LONGEST
    }

    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.is_too_long() {
            return;
        }
        self.told = self.told.saturating_add(size(event));
        if self.is_too_long() {
            let fault = Fault {
                status: 502,
                kind: "api_error".to_owned(),
                message: "the provider's answer is longer than can be translated".to_owned(),
            };
            return self.encoder.write(&Event::Error(fault), out);
        }
        match event {
            // A stream begins once, and before anything else, whatever the provider's did.
            Event::Start { .. } if std::mem::replace(&mut self.started, true) => return,
            Event::Start { .. } | Event::Ping | Event::Error(_) => {}
            _ if self.started => {}
            _ => self.write(&Event::UNTOLD_START, out),
        }
        self.write_in_clients_names(event, out);
    }

    /// Writes an event with the ids and names that the client knows.
    fn write_in_clients_names(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start {
                id: "",
                model,
                usage,
                tier,
            } => {
                let start = Event::Start {
                    id: &self.reply.answer_id("", self.created),
                    model,
                    usage: *usage,
                    tier: *tier,
                };
                self.encoder.write(&start, out);
            }
            Event::Open(
                index,
                Kind::Call {
                    id,
                    name,
                    namespace,
                    custom,
                },
            ) => {
                let id = &self.reply.call_id(id, &mut self.called);
                let own = self.reply.own(name);
                if own.wrapped {
                    self.wrapped.insert(*index, Unwrap::default());
                }
                let kind = Kind::Call {
                    id,
                    name: own.name,
                    namespace: own.namespace.or(*namespace),
                    custom: *custom || own.wrapped,
                };
                self.encoder.write(&Event::Open(*index, kind), out);
            }
            Event::Open(index, Kind::Proof(proof)) => {
                let proof = self.reply.of_next_call(proof, &mut self.called);
                self.encoder
                    .write(&Event::Open(*index, Kind::Proof(&proof)), out);
            }
            Event::Delta(index, Delta::Text(fragment)) => {
                let Some(unwrap) = self.wrapped.get_mut(index) else {
                    return self.encoder.write(event, out);
                };
                self.text.clear();
                unwrap.feed(fragment, &mut self.text);
                if !self.text.is_empty() {
                    let event = Event::Delta(*index, Delta::Text(&self.text));
                    self.encoder.write(&event, out);
                }
            }
            event => self.encoder.write(event, out),
        }
    }
}
