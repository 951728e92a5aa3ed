//! What translating a stream costs beside looking at it: per event, text and arguments.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tollgate::dialect::Surface;
use tollgate::dialect::sse::Parser;
use tollgate::dialect::translate::{self, Stream, Target};
use tollgate::tokens::Tap;

/// Events per measured stream.
const EVENTS: usize = 200;

const SURFACES: [Surface; 3] = [
    Surface::ChatCompletions,
    Surface::Responses,
    Surface::Messages,
];

/// An event of text, as each provider sends it; `{}` is the number of the event.
fn text(surface: Surface, at: usize) -> String {
    match surface {
        Surface::Messages => "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" Hello\"}}\n\n".to_owned(),
        Surface::Responses => format!("event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{at},\"item_id\":\"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654\",\"output_index\":0,\"content_index\":0,\"delta\":\" Hello\",\"logprobs\":[],\"obfuscation\":\"PqjvSYz\"}}\n\n"),
        _ => "data: {\"id\":\"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG\",\"object\":\"chat.completion.chunk\",\"created\":1741570283,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" Hello\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"x3Fq\"}\n\n".to_owned(),
    }
}

/// What must come before the text.
fn opening(surface: Surface) -> &'static str {
    match surface {
        Surface::Messages => {
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        }
        Surface::Responses => {
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"in_progress\"}}\n\n"
        }
        _ => "",
    }
}

fn streams(c: &mut Criterion) {
    let mut group = c.benchmark_group("translate");
    group.throughput(Throughput::Elements(u64::try_from(EVENTS).unwrap_or(1)));
    for provider in SURFACES {
        let mut chunks = vec![Bytes::from_static(opening(provider).as_bytes())];
        chunks.extend((0..EVENTS).map(|at| Bytes::from(text(provider, at))));
        group.bench_function(format!("{} untouched", provider.name()), |b| {
            b.iter_batched(
                || Tap::stream(provider, false),
                |mut tap| {
                    for chunk in &chunks {
                        black_box(tap.feed(chunk.clone()));
                    }
                },
                BatchSize::SmallInput,
            );
        });
        for client in SURFACES.into_iter().filter(|client| *client != provider) {
            let body: &[u8] = match client {
                Surface::Responses => br#"{"model":"m","input":"hi","stream":true}"#,
                _ => br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true}"#,
            };
            let target = Target::of_model("m", None);
            let Ok(request) = translate::request(client, provider, body, &target) else {
                continue;
            };
            let name = format!("{} for {}", provider.name(), client.name());
            group.bench_function(name, |b| {
                b.iter_batched(
                    || {
                        let stream = Stream::new(&request.reply, 1);
                        (Tap::stream(provider, false), Parser::new(), stream)
                    },
                    |(mut tap, mut parser, mut stream)| {
                        let mut out = Vec::new();
                        for chunk in &chunks {
                            black_box(tap.feed(chunk.clone()));
                            let mut events = parser.feed(chunk);
                            while let Some(Ok(event)) = events.next() {
                                stream.push(&event, &mut out);
                            }
                            black_box(&out);
                            out.clear();
                        }
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, streams);
criterion_main!(benches);
