//! The writers of answers, one a surface.

use super::neutral::{Collector, Event};
use super::{Refusal, Reply, Surface, chat, messages, responses, written};

/// Writes the events of one answer as its client's stream. Text completions have no writer: they get chat's.
#[derive(Debug)]
pub struct Encoder(Inner);

#[derive(Debug)]
enum Inner {
    Chat(chat::Encoder),
    Responses(Box<responses::Encoder>),
    Messages(messages::Encoder),
}

impl Encoder {
    /// Makes the writer of the reply's client; `created` is in Unix time (s).
    pub fn new(reply: &Reply, created: u64) -> Encoder {
        Encoder(match reply.client {
            Surface::Responses => {
                Inner::Responses(Box::new(responses::Encoder::new(reply, created)))
            }
            Surface::Messages => Inner::Messages(messages::Encoder::default()),
            _ => Inner::Chat(chat::Encoder::new(created, reply.include_usage)),
        })
    }

    /// Appends what an event becomes: whole server-sent events, if any.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match &mut self.0 {
            Inner::Chat(encoder) => encoder.write(event, out),
            Inner::Responses(encoder) => encoder.write(event, out),
            Inner::Messages(encoder) => encoder.write(event, out),
        }
    }
}

/// Writes the events of one answer as a whole answer of its client's surface; `created` is in Unix time (s).
///
/// # Errors
/// A [`Refusal`] if the last event is not [`Event::Stop`].
pub fn answer_of_events(
    reply: &Reply,
    events: &[Event<'_>],
    created: u64,
) -> Result<Vec<u8>, Refusal> {
    let mut answer = Collector::default();
    events.iter().for_each(|event| answer.take(event));
    written(reply, answer.finish(), created)
}
