//! Streams: one dialect's events in, another's out, each as it comes.

use super::custom::Unwrap;
use super::neutral::{Delta, Event, Kind};
use super::{Reply, Surface, chat, messages, responses, sse};

/// Where a decoder puts what it reads.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&Event<'_>);

/// Hands an event's data to a reader, and once more with every key given once if serde stumbles over a
/// duplicate. What is no JSON is passed over: the tap on the provider's bytes has judged it already.
pub(super) fn object(data: &[u8], read: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>) {
    let Err(fault) = read(data) else { return };
    if !fault.is_data() {
        return;
    }
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    // What it still stumbles over says nothing that is understood.
    drop(read(value.to_string().as_bytes()));
}

#[derive(Debug)]
enum Decoder {
    Chat(chat::Decoder),
    Responses(responses::Decoder),
    Messages(messages::Decoder),
}

#[derive(Debug)]
enum Encoder {
    Chat(chat::Encoder),
    Responses(Box<responses::Encoder>),
    Messages(messages::Encoder),
}

/// Translates one answer's stream.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    writer: Writer,
}

/// Gives calls the client's names back, and writes.
#[derive(Debug)]
struct Writer {
    reply: Reply,
    encoder: Encoder,
    /// Custom tools that the provider calls as functions.
    wrapped: Vec<(u32, Unwrap)>,
    /// Room for unwrapped text.
    text: String,
}

impl Stream {
    /// A translation of the answer to a translated request. `created` is in Unix time (s).
    pub fn new(reply: &Reply, created: u64) -> Stream {
        let decoder = match reply.provider {
            Surface::Responses => Decoder::Responses(responses::Decoder::default()),
            Surface::Messages => Decoder::Messages(messages::Decoder::default()),
            _ => Decoder::Chat(chat::Decoder::default()),
        };
        let encoder = match reply.client {
            Surface::Responses => {
                Encoder::Responses(Box::new(responses::Encoder::new(reply, created)))
            }
            Surface::Messages => Encoder::Messages(messages::Encoder::default()),
            _ => Encoder::Chat(chat::Encoder::new(created, reply.include_usage)),
        };
        Stream {
            decoder,
            writer: Writer {
                reply: reply.clone(),
                encoder,
                wrapped: Vec::new(),
                text: String::new(),
            },
        }
    }

    /// Reads one event of the provider's and appends to `out` what it becomes, whole events only.
    pub fn push(&mut self, event: &sse::Event<'_>, out: &mut Vec<u8>) {
        let writer = &mut self.writer;
        let sink: Sink<'_> = &mut |event| writer.write(event, out);
        match &mut self.decoder {
            Decoder::Chat(decoder) => decoder.read(event.data, sink),
            Decoder::Responses(decoder) => decoder.read(event.name, event.data, sink),
            Decoder::Messages(decoder) => decoder.read(event.name, event.data, sink),
        }
    }

    /// The provider's stream has ended. Appends the client's own end if the answer was whole, and says
    /// whether it was; if not, nothing that looks like an end is written.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        let writer = &mut self.writer;
        let sink: Sink<'_> = &mut |event| writer.write(event, out);
        match &mut self.decoder {
            Decoder::Chat(decoder) => decoder.finish(sink),
            Decoder::Responses(decoder) => decoder.finish(),
            Decoder::Messages(decoder) => decoder.finish(sink),
        }
    }
}

impl Writer {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Open(
                index,
                Kind::Call {
                    id,
                    name,
                    namespace,
                    custom,
                },
            ) => {
                let own = self.reply.own(name);
                if own.wrapped {
                    self.wrapped.push((*index, Unwrap::default()));
                }
                let kind = Kind::Call {
                    id,
                    name: own.name,
                    namespace: own.namespace.or(*namespace),
                    custom: *custom || own.wrapped,
                };
                encode(&mut self.encoder, &Event::Open(*index, kind), out);
            }
            Event::Delta(index, Delta::Text(fragment)) => {
                let found = self
                    .wrapped
                    .iter_mut()
                    .find(|(wrapped, _)| wrapped == index);
                let Some((_, unwrap)) = found else {
                    return encode(&mut self.encoder, event, out);
                };
                self.text.clear();
                unwrap.feed(fragment, &mut self.text);
                if !self.text.is_empty() {
                    let event = Event::Delta(*index, Delta::Text(&self.text));
                    encode(&mut self.encoder, &event, out);
                }
            }
            event => encode(&mut self.encoder, event, out),
        }
    }
}

fn encode(encoder: &mut Encoder, event: &Event<'_>, out: &mut Vec<u8>) {
    match encoder {
        Encoder::Chat(encoder) => encoder.write(event, out),
        Encoder::Responses(encoder) => encoder.write(event, out),
        Encoder::Messages(encoder) => encoder.write(event, out),
    }
}
