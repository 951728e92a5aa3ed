//! What looking at an answer costs: parsing SSE, the observer per event, a whole answer, counting.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tollgate_wire::sse::Parser;
use tollgate_wire::tokens::{Counter, Encoding, Observer};
use tollgate_wire::{Endpoint, Surface};

const CHAT: &str = concat!(
    r#"data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" Hello"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x3Fq"}"#,
    "\n\n"
);

const MESSAGES: &str = concat!(
    "event: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" Hello"}}"#,
    "\n\n"
);

const RESPONSES: &str = concat!(
    "event: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","sequence_number":12,"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654","output_index":0,"content_index":0,"delta":" Hello","logprobs":[],"obfuscation":"PqjvSYz"}"#,
    "\n\n"
);

/// Events per measured stream, so that an observer's start is spread over as many as in a real answer.
const EVENTS: usize = 200;

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse");
    group.throughput(Throughput::Elements(1));
    let mut parser = Parser::new();
    group.bench_function("parse one event in one chunk", |b| {
        b.iter(|| {
            let mut events = parser.feed(black_box(CHAT.as_bytes()));
            black_box(
                events
                    .next()
                    .map(|event| event.map_or(0, |event| event.data.len())),
            )
        });
    });
    let (head, tail) = CHAT.as_bytes().split_at(CHAT.len() / 2);
    group.bench_function("parse one event in two chunks", |b| {
        b.iter(|| {
            drop(parser.feed(black_box(head)));
            let mut events = parser.feed(black_box(tail));
            black_box(
                events
                    .next()
                    .map(|event| event.map_or(0, |event| event.data.len())),
            )
        });
    });
    group.finish();
}

fn observer(c: &mut Criterion) {
    let mut group = c.benchmark_group("observer, per event");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, surface, strip, event) in [
        ("chat", Surface::ChatCompletions, false, CHAT),
        ("chat, stripping", Surface::ChatCompletions, true, CHAT),
        ("messages", Surface::Messages, false, MESSAGES),
        ("responses", Surface::Responses, false, RESPONSES),
    ] {
        let chunk = Bytes::from_static(event.as_bytes());
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut observer = Observer::stream(surface, strip);
                for _ in 0..EVENTS {
                    black_box(observer.feed(chunk.clone()));
                }
                observer
            });
        });
    }
    group.finish();
}

fn whole(c: &mut Criterion) {
    let body = Bytes::from(format!(
        r#"{{"id":"c","object":"chat.completion","model":"gpt-4o","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":19,"completion_tokens":800,"total_tokens":819}}}}"#,
        "plain words, ".repeat(300)
    ));
    c.bench_function("observer, whole 4 KiB answer", |b| {
        b.iter_batched(
            || Observer::whole(Endpoint::Generate(Surface::ChatCompletions)),
            |mut observer| {
                black_box(observer.feed(body.clone()));
                black_box(observer.finish());
                observer
            },
            BatchSize::SmallInput,
        );
    });
}

fn count(c: &mut Criterion) {
    // Loads the vocabulary.
    Encoding::O200k.count("warm");
    let text = "The quick brown fox jumps over the lazy dog; it isn't 42 years old.\n".repeat(60);
    let mut group = c.benchmark_group("count, o200k");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("whole 4 KiB text", |b| {
        b.iter(|| Encoding::O200k.count(black_box(&text)))
    });
    group.bench_function("the same in deltas of 5 bytes", |b| {
        b.iter(|| {
            let mut counter = Counter::new(Encoding::O200k);
            for delta in text.as_bytes().chunks(5) {
                counter.push(std::str::from_utf8(delta).unwrap_or_default());
            }
            counter.total()
        });
    });
    group.finish();
}

criterion_group!(benches, parse, observer, whole, count);
criterion_main!(benches);
