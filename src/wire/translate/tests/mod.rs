//! Translations are tested by examples taken from the providers' public references (`requests`, `answers`,
//! `streams`), by what was met elsewhere (`field`), by laws that hold for everything (`laws`), and by what is broken (`hostile`).

mod adapted;
mod answers;
mod anthropic;
mod bodies;
mod caching;
mod field;
mod histories;
mod hostile;
mod laws;
mod models;
mod proofs;
mod requests;
mod streams;
mod vendors;

use serde_json::{Value, json};

use super::neutral::{Answer, Call, Delta, Event, Kind, Part, Proof, Stop, Thinking};
use super::sink::Sink;
use super::{Reply, Stream, Surface, Target, Translated, chat, messages, read, responses, write};
use crate::sse::Parser;

const CHAT: Surface = Surface::ChatCompletions;
const RESPONSES: Surface = Surface::Responses;
const MESSAGES: Surface = Surface::Messages;
const SURFACES: [Surface; 3] = [CHAT, RESPONSES, MESSAGES];

/// When every answer in these tests was created.
const CREATED: u64 = 1_700_000_000;

/// A model of each surface's own maker.
fn model(surface: Surface) -> &'static str {
    match surface {
        Surface::Messages => "claude-sonnet-4-5",
        _ => "gpt-5.6-luna",
    }
}

fn translated(from: Surface, to: Surface, body: &Value) -> Translated {
    let target = Target::of_model(model(to), Some(64_000));
    super::request(from, to, body.to_string().as_bytes(), &target)
        .unwrap_or_else(|refusal| panic!("{refusal}: {body}"))
}

fn refused(from: Surface, to: Surface, body: &Value) -> String {
    let target = Target::of_model(model(to), Some(64_000));
    match super::request(from, to, body.to_string().as_bytes(), &target) {
        Err(refusal) => refusal.field,
        Ok(translated) => panic!("{}", String::from_utf8_lossy(&translated.body)),
    }
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(body)))
}

/// What a small request makes of the way back.
fn reply(client: Surface, provider: Surface) -> Reply {
    let body = match client {
        Surface::Responses => json!({"model": "m", "input": "hi"}),
        _ => json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "hi"}]}),
    };
    let mut conversation = read(client, body.to_string().as_bytes()).expect("a small request");
    conversation.include_usage = true;
    let target = Target::of_model(model(provider), None);
    write(&conversation, provider, &target)
        .expect("a small request")
        .reply
}

/// A provider's stream as the client sees it, fed in pieces.
fn streamed(reply: &Reply, chunks: &[&[u8]]) -> String {
    let mut stream = Stream::new(reply, CREATED);
    let mut parser = Parser::new();
    let mut out = Vec::new();
    for chunk in chunks {
        let mut events = parser.feed(chunk);
        while let Some(event) = events.next() {
            stream.push(&event.expect("short events"), &mut out);
        }
    }
    if let Some(event) = parser.finish() {
        stream.push(&event, &mut out);
    }
    stream.finish(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn read_answer(surface: Surface, body: &[u8]) -> Answer {
    match surface {
        Surface::Responses => responses::read_answer(body),
        Surface::Messages => messages::read_answer(body),
        _ => chat::read_answer(body),
    }
    .unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(body)))
}

fn write_answer(surface: Surface, answer: &Answer) -> Vec<u8> {
    match surface {
        Surface::Responses => responses::write_answer(answer, &reply(RESPONSES, CHAT), CREATED),
        Surface::Messages => messages::write_answer(answer),
        _ => chat::write_answer(answer, CREATED),
    }
}

/// A client's stream put together again, as its SDK does it.
#[derive(Default)]
struct Collected {
    answer: Answer,
    open: Vec<(u32, usize)>,
    ended: bool,
    failed: Option<super::neutral::Fault>,
}

impl Collected {
    fn of(surface: Surface, stream: &str) -> Collected {
        let mut collected = Collected::default();
        let sink: Sink<'_> = &mut |event| collected.event(event);
        let mut parser = Parser::new();
        let mut decoders = (
            chat::Decoder::default(),
            responses::Decoder::default(),
            messages::Decoder::default(),
        );
        let mut events = parser.feed(stream.as_bytes());
        while let Some(event) = events.next() {
            let event = event.expect("short events");
            match surface {
                Surface::Responses => decoders.1.read(event.name, event.data, sink),
                Surface::Messages => decoders.2.read(event.name, event.data, sink),
                _ => decoders.0.read(event.name, event.data, sink),
            }
        }
        collected
    }

    fn event(&mut self, event: &Event<'_>) {
        assert!(!self.ended, "nothing follows the end: {event:?}");
        match event {
            Event::Start {
                id, model, tier, ..
            } => {
                self.answer.id = (*id).to_owned();
                self.answer.model = (*model).to_owned();
                self.answer.tier = tier.map(str::to_owned);
            }
            Event::Open(index, kind) => {
                self.open.push((*index, self.answer.parts.len()));
                self.answer.parts.push(Part::of(kind));
            }
            Event::Delta(index, delta) => {
                let at = self.open.iter().find(|(open, _)| open == index);
                let at = at.unwrap_or_else(|| panic!("block {index} is not open")).1;
                match (&mut self.answer.parts[at], delta) {
                    (Part::Text(all, _) | Part::Refusal(all), Delta::Text(text)) => {
                        all.push_str(text)
                    }
                    (Part::Thinking(thinking), Delta::Text(text)) => thinking.text.push_str(text),
                    (Part::Thinking(thinking), Delta::Proof(proof)) => {
                        thinking.proof = Proof::clone(proof);
                    }
                    (Part::Call(call), Delta::Text(text)) => call.arguments.push_str(text),
                    (Part::Text(_, all), Delta::Logprobs(list)) => {
                        let list: Vec<Value> = serde_json::from_str(list).expect("a list");
                        all.extend(list);
                    }
                    (part, delta) => panic!("{delta:?} in {part:?}"),
                }
            }
            Event::Close(index) => self.open.retain(|(open, _)| open != index),
            Event::Stop { stop, usage, tier } => {
                assert!(self.open.is_empty(), "blocks end before the answer does");
                self.answer.stop = Stop::clone(stop);
                self.answer.usage = *usage;
                self.answer.tier = tier.map(str::to_owned).or(self.answer.tier.take());
                self.ended = true;
            }
            Event::Error(fault) => self.failed = Some(fault.clone()),
            Event::Ping => {}
        }
    }
}
