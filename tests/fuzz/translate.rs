//! What must hold for any translation. The first byte of an input chooses the pair of surfaces.

use tollgate_wire::sse::{MAX_EVENT, Parser};
use tollgate_wire::translate;
use tollgate_wire::translate::{Reply, Stream, Target};
use tollgate_wire::{Dialect, Surface};

#[path = "shapes.rs"]
mod shapes;

const SURFACES: [Surface; 3] = [
    Surface::ChatCompletions,
    Surface::Responses,
    Surface::Messages,
];

/// The client's surface, the provider's, and the rest of the input.
fn pair(data: &[u8]) -> Option<(Surface, Surface, &[u8])> {
    let (first, rest) = data.split_first()?;
    let at = usize::from(*first);
    let client = SURFACES[at % 3];
    let provider = SURFACES[(at + 1 + at / 3 % 2) % 3];
    Some((client, provider, rest))
}

fn target(provider: Surface) -> Target<'static> {
    let model = match provider {
        Surface::Messages => "claude-haiku-4-5",
        _ => "gpt-5.6-luna",
    };
    Target::of_model(model, Some(64_000))
}

/// A request is refused with a field's name, or it becomes one that the provider's reference allows and its own
/// reader understands, in which every result follows its call.
pub fn request(data: &[u8]) {
    let Some((client, provider, body)) = pair(data) else {
        return;
    };
    match translate::request(client, provider, body, &target(provider)) {
        Err(refusal) => assert!(!refusal.field.is_empty() && !refusal.why.is_empty()),
        Ok(translated) => {
            let value: serde_json::Value =
                serde_json::from_slice(&translated.body).expect("a translated body is JSON");
            assert_eq!(value["model"], target(provider).model);
            let asked = translate::read(client, body).expect("what was translated");
            let answered = asked.calls_are_answered();
            shapes::request(provider, &value, answered);
            match translate::read(provider, &translated.body) {
                Err(refusal) => panic!("what is written can be read: {refusal}"),
                Ok(sent) => assert!(
                    !answered || sent.calls_are_answered(),
                    "results follow their calls: {value}"
                ),
            }
            for name in &translated.dropped {
                assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
            }
        }
    }
}

fn reply(client: Surface, provider: Surface) -> Option<Reply> {
    let body: &[u8] = match client {
        Surface::Responses => br#"{"input":"hi","tools":[{"type":"custom","name":"f"}]}"#,
        _ => br#"{"messages":[{"role":"user","content":"hi"}]}"#,
    };
    let translated = translate::request(client, provider, body, &target(provider)).ok()?;
    Some(translated.reply)
}

/// The client's stream, and whether it is whole.
fn streamed(reply: &Reply, chunks: &[&[u8]]) -> (Vec<u8>, bool) {
    let mut stream = Stream::new(reply, 1);
    let mut parser = Parser::new();
    let mut out = Vec::new();
    for chunk in chunks {
        let mut events = parser.feed(chunk);
        while let Some(Ok(event)) = events.next() {
            stream.push(&event, &mut out);
        }
    }
    if let Some(event) = parser.finish() {
        stream.push(&event, &mut out);
    }
    let whole = stream.finish(&mut out);
    (out, whole)
}

/// An error has words, whatever it is. An answer is translated, in either form, or is none; as a stream, any split gives the same events, in an order that the client's
/// reference allows.
pub fn answer(data: &[u8]) {
    let Some((client, provider, bytes)) = pair(data) else {
        return;
    };
    let Some(reply) = reply(client, provider) else {
        return;
    };
    if let Ok(body) = translate::answer(&reply, bytes, 1) {
        let value: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        assert!(value.is_ok(), "a translated answer is JSON");
        let stream = translate::stream_of_answer(&reply, bytes, 1);
        let stream = stream.expect("what can be told whole can be told as a stream");
        shapes::stream(client, &stream, true);
    }
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let error = translate::error(dialect, 400, bytes, "req_1");
        let error: serde_json::Value = serde_json::from_slice(&error).expect("an error is JSON");
        let words = error["error"]["message"].as_str();
        assert!(
            words.is_some_and(|words| !words.is_empty()),
            "an error has words: {error}"
        );
    }
    if bytes.len() > MAX_EVENT {
        return;
    }
    let (seen, whole) = streamed(&reply, &[bytes]);
    let size = usize::from(data[0] / 7).max(1);
    let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
    assert!(
        streamed(&reply, &chunks) == (seen.clone(), whole),
        "in pieces of {size}"
    );
    shapes::stream(client, &seen, whole);
    if let Ok(body) = translate::answer_of_stream(&reply, bytes, 1) {
        let value: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        assert!(
            value.is_ok() && whole,
            "only a whole stream is a whole answer"
        );
    }
}
