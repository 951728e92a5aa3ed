//! What must hold for any answer, however it is cut: the parser's and the observer's laws.

use bytes::Bytes;
use tollgate_wire::sse::Parser;
use tollgate_wire::tokens::Observer;
use tollgate_wire::{Endpoint, Surface};

/// The first byte chooses surface and stripping, the second the chunk size, the rest is the stream.
pub fn sse(data: &[u8]) {
    let [choice, size, stream @ ..] = data else {
        return;
    };
    let chunk_size = usize::from(*size).max(1);
    assert_eq!(
        events(stream, stream.len().max(1)),
        events(stream, chunk_size),
        "any split gives the same events"
    );

    let surface = Surface::ALL[usize::from(*choice) % Surface::ALL.len()];
    let strip = *choice >= 128;
    let whole = answer(
        Observer::stream(surface, strip),
        stream,
        stream.len().max(1),
    );
    let split = answer(Observer::stream(surface, strip), stream, chunk_size);
    assert_eq!(whole, split, "any split tells the same");
    if !strip {
        assert_eq!(whole.0, stream, "bytes pass untouched");
    }
    for endpoint in [Endpoint::Generate(surface), Endpoint::CountTokens] {
        let whole = answer(Observer::whole(endpoint), stream, stream.len().max(1));
        assert_eq!(
            whole,
            answer(Observer::whole(endpoint), stream, chunk_size),
            "any split tells the same"
        );
        // The keys of JSON that can be built are as they are written here, or nothing is known of it.
        let document: Option<serde_json::Value> = serde_json::from_slice(stream).ok();
        if let Some(document) = document {
            let says = ["usage", "x_groq"].map(|key| document.get(key).is_some());
            assert!(
                whole.2.is_none() || says.contains(&true),
                "only its own usage is believed"
            );
        }
    }
}

fn events(stream: &[u8], chunk_size: usize) -> Vec<(Vec<u8>, Vec<u8>, usize)> {
    let (mut parser, mut all, mut fed) = (Parser::new(), Vec::new(), 0);
    for chunk in stream.chunks(chunk_size) {
        let mut events = parser.feed(chunk);
        while let Some(event) = events.next() {
            let event = event.expect("the input is short");
            all.push((event.name.to_vec(), event.data.to_vec(), fed + event.end));
        }
        drop(events);
        fed += chunk.len();
    }
    if let Some(event) = parser.finish() {
        all.push((event.name.to_vec(), event.data.to_vec(), fed));
    }
    all
}

/// Bytes forwarded, content, usage, completeness, text, what was measured, whether it is blind, how it was served.
type Answer = (
    Vec<u8>,
    bool,
    Option<tollgate_wire::report::Usage>,
    bool,
    String,
    (u64, bool, tollgate_wire::report::Context),
);

fn answer(mut observer: Observer, stream: &[u8], chunk_size: usize) -> Answer {
    let mut out = Vec::new();
    for chunk in stream.chunks(chunk_size) {
        out.extend_from_slice(&observer.feed(Bytes::copy_from_slice(chunk)).out);
    }
    let last = observer.finish();
    out.extend_from_slice(&last.out);
    (
        out,
        last.content,
        observer.usage(),
        observer.complete(),
        observer.output_text().to_owned(),
        (
            observer.output_bytes(),
            observer.blind(),
            observer.served().clone(),
        ),
    )
}
