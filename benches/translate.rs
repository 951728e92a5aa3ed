//! What translating costs: a stream's event beside only looking at it, and a whole request by its size.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tollgate_wire::Surface;
use tollgate_wire::sse::Event;
use tollgate_wire::tokens::Observer;
use tollgate_wire::translate;
use tollgate_wire::translate::{Stream, Target};

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
                || Observer::stream(provider, false),
                |mut observer| {
                    for chunk in &chunks {
                        black_box(observer.feed(chunk.clone()));
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
                        (Observer::stream(provider, false), stream)
                    },
                    // As the gateway does it: the observer cuts the stream into events for both.
                    |(mut observer, mut stream)| {
                        for chunk in &chunks {
                            let mut out = Vec::new();
                            let push = |event: &Event<'_>| stream.push(event, &mut out);
                            black_box(observer.feed_each(chunk.clone(), push));
                            black_box(out);
                        }
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

/// A text of about this length, in bytes, with what must be escaped in JSON, escaped.
fn words(length: usize) -> String {
    let line = r#"pub fn main() {\n    println!(\"the request of a gateway\"); // naïve\n}\n"#;
    line.repeat(length / line.len())
}

/// A request of about `length` bytes in messages of 8 KiB, without tools.
fn long(surface: Surface, length: usize) -> String {
    const TEXT: usize = 8 << 10;
    let turns: Vec<String> = ["user", "assistant"]
        .iter()
        .cycle()
        .take(length / TEXT)
        .map(|role| format!(r#"{{"role":"{role}","content":"{}"}}"#, words(TEXT)))
        .collect();
    let turns = turns.join(",");
    match surface {
        Surface::Responses => format!(r#"{{"model":"m","input":[{turns}]}}"#),
        _ => format!(r#"{{"model":"m","max_tokens":900,"messages":[{turns}]}}"#),
    }
}

/// A text without escapes of this length.
fn plain(length: usize) -> String {
    "the request of a gateway returns, and please summarise this. "
        .chars()
        .cycle()
        .take(length)
        .collect()
}

/// An agent's request: a system prompt, sixteen tools, and turns of calls with their results, 48 KiB in all.
fn agent(surface: Surface) -> String {
    let schema = r#"{"type":"object","properties":{"path":{"type":"string","description":"Absolute path of the file to read, never a directory."},"offset":{"type":"integer","description":"The line to begin with."},"limit":{"type":"integer"},"mode":{"type":"string","enum":["text","image","auto"]}},"required":["path"],"additionalProperties":false}"#;
    let about = plain(400);
    let tools: Vec<String> = (0..16)
        .map(|at| match surface {
            Surface::Messages => format!(
                r#"{{"name":"tool_{at}","description":"{about}","input_schema":{schema}}}"#
            ),
            Surface::Responses => format!(
                r#"{{"type":"function","name":"tool_{at}","description":"{about}","parameters":{schema}}}"#
            ),
            _ => format!(
                r#"{{"type":"function","function":{{"name":"tool_{at}","description":"{about}","parameters":{schema}}}}}"#
            ),
        })
        .collect();
    let system = plain(12 << 10);
    let result = words(3 << 9);
    let turns: Vec<String> = (0..12)
        .map(|at| match surface {
            Surface::Messages => format!(
                r#"{{"role":"user","content":"Go on."}},{{"role":"assistant","content":[{{"type":"text","text":"I shall read it."}},{{"type":"tool_use","id":"toolu_{at}","name":"tool_1","input":{{"path":"/src/lib.rs","limit":{at}}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_{at}","content":"{result}"}}]}}"#
            ),
            Surface::Responses => format!(
                r#"{{"role":"user","content":"Go on."}},{{"role":"assistant","content":"I shall read it."}},{{"type":"function_call","call_id":"call_{at}","name":"tool_1","arguments":"{{\"path\":\"/src/lib.rs\"}}"}},{{"type":"function_call_output","call_id":"call_{at}","output":"{result}"}}"#
            ),
            _ => format!(
                r#"{{"role":"user","content":"Go on."}},{{"role":"assistant","content":"I shall read it.","tool_calls":[{{"id":"call_{at}","type":"function","function":{{"name":"tool_1","arguments":"{{\"path\":\"/src/lib.rs\"}}"}}}}]}},{{"role":"tool","tool_call_id":"call_{at}","content":"{result}"}}"#
            ),
        })
        .collect();
    let (tools, turns) = (tools.join(","), turns.join(","));
    match surface {
        Surface::Messages => format!(
            r#"{{"model":"m","max_tokens":900,"system":"{system}","tools":[{tools}],"messages":[{turns}],"stream":true}}"#
        ),
        Surface::Responses => format!(
            r#"{{"model":"m","instructions":"{system}","tools":[{tools}],"input":[{turns}],"stream":true}}"#
        ),
        _ => format!(
            r#"{{"model":"m","tools":[{tools}],"messages":[{{"role":"system","content":"{system}"}},{turns}],"stream":true}}"#
        ),
    }
}

/// Reading a client's request and writing the provider's.
fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("translate a request");
    let pairs = [
        (Surface::Messages, Surface::ChatCompletions),
        (Surface::ChatCompletions, Surface::Messages),
        (Surface::Responses, Surface::ChatCompletions),
    ];
    for (client, provider) in pairs {
        for (kind, body) in [
            ("an agent's", agent(client)),
            ("1 MiB of text", long(client, 1 << 20)),
        ] {
            let target = Target::of_model("m", None);
            if let Err(refusal) = translate::request(client, provider, body.as_bytes(), &target) {
                eprintln!(
                    "{kind} request of {} is refused: {refusal:?}",
                    client.name()
                );
                continue;
            }
            group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap_or(1)));
            let name = format!("{kind}, {} for {}", client.name(), provider.name());
            group.bench_function(name, |b| {
                b.iter(|| {
                    translate::request(client, provider, black_box(body.as_bytes()), &target)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, streams, requests);
criterion_main!(benches);
