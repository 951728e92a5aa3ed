//! Writes an answer as its surface does, through the gateway's own writers.

use serde_json::{Value, json};
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;
use tollgate_wire::translate::{self, Delta, Encoder, Event, Kind, Proof, Stop};

use super::error::Failure;
use super::play::{Frame, Part};
use super::reply::{End, Reply, Tokens};

/// What stands for a thinking block's signature.
const SIGNATURE: &str = "ZGVtbyBzaWduYXR1cmU=";

/// Writes the answer in one piece.
pub(super) fn whole(surface: Surface, reply: &Reply) -> Value {
    let proof = proof(surface);
    let told = about(surface, reply);
    let answer = translate::answer_of_events(&told, &events(reply, &proof), reply.created);
    let mut answer: Value = serde_json::from_slice(&answer.unwrap_or_default()).unwrap_or_default();
    if reply.usage.is_none() {
        remove_usage(&mut answer);
    }
    answer
}

/// Writes the answer as events.
pub(super) fn stream(surface: Surface, reply: &Reply) -> Vec<Frame> {
    frames(surface, reply, &events(reply, &proof(surface)))
}

/// Writes the failure of a response: a plain error at once, an overload as the end of a response that has begun.
pub(super) fn failed_response(reply: &Reply, failure: &Failure) -> Vec<Frame> {
    let (code, message) = (failure.code(), failure.message());
    if reply.model == "error-event" {
        let event = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": 0});
        return vec![Frame::named(Part::Frame, &event)];
    }
    let mut frames = frames(Surface::Responses, reply, &[start(reply)]);
    let begun = frames.last().and_then(Frame::json).unwrap_or_default();
    let mut response = begun["response"].clone();
    response["status"] = json!("failed");
    response["error"] = json!({"code": code, "message": message});
    let event =
        json!({"type": "response.failed", "sequence_number": frames.len(), "response": response});
    frames.push(Frame::named(Part::Frame, &event));
    frames
}

fn frames(surface: Surface, reply: &Reply, events: &[Event<'_>]) -> Vec<Frame> {
    let mut encoder = Encoder::new(&about(surface, reply), reply.created);
    let mut frames = Vec::new();
    for event in events {
        let part = match event {
            Event::Delta(..) => Part::Content,
            _ => Part::Frame,
        };
        let mut out = Vec::new();
        encoder.write(event, &mut out);
        let out = String::from_utf8_lossy(&out);
        frames.extend(
            out.split_inclusive("\n\n")
                .map(|text| Frame::written(part, text)),
        );
    }
    if reply.usage.is_none() {
        frames
            .iter_mut()
            .for_each(|frame| frame.change(remove_usage));
    }
    frames
}

/// What the writers want to know of the request.
fn about(surface: Surface, reply: &Reply) -> translate::Reply {
    let include_usage = reply.include_usage && reply.usage.is_some();
    translate::Reply::untranslated(surface, include_usage, reply.echo.clone())
}

/// What makes a client believe a thought.
fn proof(surface: Surface) -> Proof {
    match surface {
        Surface::Messages => Proof::Signature(SIGNATURE.to_owned()),
        _ => Proof::None,
    }
}

fn start(reply: &Reply) -> Event<'_> {
    Event::Start {
        id: &reply.id,
        model: reply.model,
        // At first the prompt is known, and the beginning of the answer.
        usage: reply.usage.map(|tokens| {
            usage(Tokens {
                output: 1,
                reasoning: 0,
                ..tokens
            })
        }),
        tier: Some("default"),
    }
}

/// What the answer consists of, in order.
fn events<'a>(reply: &'a Reply, proof: &'a Proof) -> Vec<Event<'a>> {
    let mut events = vec![start(reply)];
    let mut block = |kind, deltas: Vec<Delta<'a>>| {
        let index = u32::try_from(events.len()).unwrap_or(u32::MAX);
        events.push(Event::Open(index, kind));
        events.extend(deltas.into_iter().map(|delta| Event::Delta(index, delta)));
        events.push(Event::Close(index));
    };
    let texts = |pieces: &'a [String]| pieces.iter().map(|piece| Delta::Text(piece)).collect();
    if !reply.reasoning.is_empty() {
        let mut deltas: Vec<Delta<'_>> = texts(&reply.reasoning);
        deltas.push(Delta::Proof(proof));
        block(Kind::Thinking, deltas);
    }
    if !reply.text.is_empty() {
        block(Kind::Text, texts(&reply.text));
    }
    for call in &reply.calls {
        let kind = Kind::Call {
            id: &call.id,
            name: &call.name,
            namespace: None,
            custom: false,
        };
        block(kind, texts(&call.arguments));
    }
    events.push(Event::Stop {
        stop: match reply.end {
            End::Complete => Stop::Done,
            End::Length => Stop::Length,
            End::Tools => Stop::Calls,
        },
        usage: reply.usage.map(usage),
        tier: Some("default"),
    });
    events
}

fn usage(tokens: Tokens) -> Usage {
    let count = |words| u64::try_from(words).unwrap_or(u64::MAX);
    Usage::of(
        count(tokens.input),
        0,
        0,
        count(tokens.output),
        count(tokens.reasoning),
    )
}

/// Takes usage out of where a surface has it: a message has one of zeros where nothing is known.
fn remove_usage(data: &mut Value) {
    for place in ["", "/message"] {
        if let Some(Value::Object(map)) = data.pointer_mut(place) {
            map.remove("usage");
        }
    }
}
