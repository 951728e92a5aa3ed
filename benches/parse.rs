//! What reading and editing a request body costs, by the body's size and kind.
//!
//! `read` is what every request pays; `read, same` adds rendering without a change (no copy), and
//! `read, model` rendering with another model id (one copy).

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::hint::black_box;
use tollgate_wire::request::{Edit, RequestBody};
use tollgate_wire::{Endpoint, Surface};

const PROSE: &str = "The quick brown fox jumps over the lazy dog while the gateway counts tokens. ";

/// One user message of about `size` bytes, `line` as often as it fits.
fn chat(size: usize, line: &str) -> Bytes {
    let head = r#"{"model":"openai:gpt-4o","stream":true,"temperature":0.7,"max_tokens":256,"messages":[{"role":"system","content":"You are brief."},{"role":"user","content":""#;
    let mut body = String::with_capacity(size + 128);
    body.push_str(head);
    while body.len() + line.len() + 4 < size {
        body.push_str(line);
    }
    body.push_str("\"}]}");
    Bytes::from(body)
}

/// What a coding agent sends: twelve tools, and turns of tool calls with code in their results.
fn agent(size: usize) -> Bytes {
    let mut body =
        String::from(r#"{"model":"claude-sonnet-4-5","max_tokens":32000,"stream":true,"tools":["#);
    for n in 0..12 {
        let comma = if n == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"name":"tool_{n}","description":"{}","input_schema":{{"type":"object","properties":{{"path":{{"type":"string","description":"{PROSE}"}},"limit":{{"type":"integer"}}}},"required":["path"]}}}}"#,
            PROSE.repeat(10)
        )
        .expect("a string takes all");
    }
    write!(
        body,
        r#"],"system":[{{"type":"text","text":"{}"}}],"messages":["#,
        PROSE.repeat(80)
    )
    .expect("a string takes all");
    let mut turn = 0;
    while turn == 0 || body.len() < size {
        let comma = if turn == 0 { "" } else { "," };
        write!(
            body,
            r#"{comma}{{"role":"assistant","content":[{{"type":"tool_use","id":"toolu_{turn}","name":"tool_3","input":{{"path":"src/main.rs"}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_{turn}","content":"fn main() {{\n    let list = [1, 2, 3];\n    println!(\"{{list:?}}\");\n}}\n{PROSE}"}}]}}"#
        )
        .expect("a string takes all");
        turn += 1;
    }
    body.push_str("]}");
    Bytes::from(body)
}

fn parse(c: &mut Criterion) {
    let bodies = [
        ("300 B", chat(300, PROSE)),
        ("40 KB agent", agent(40_000)),
        ("128 KiB", chat(128 << 10, PROSE)),
        ("1 MiB", chat(1 << 20, PROSE)),
        (
            "1 MiB of code",
            chat(1 << 20, r#"    if list[0] == \"x\" { return {}; }\n"#),
        ),
        ("1 MiB agent", agent(1 << 20)),
        (
            "1 MiB of Chinese",
            chat(1 << 20, "敏捷的棕色狐狸跳过了懒狗。"),
        ),
    ];
    let mut group = c.benchmark_group("parse");
    let endpoint = Endpoint::Generate(Surface::ChatCompletions);
    let read = |body: &Bytes| RequestBody::parse(endpoint, body.clone()).expect("a good body");
    for (name, body) in &bodies {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::new("read", name), body, |b, body| {
            b.iter(|| read(black_box(body)))
        });
        for (what, model) in [
            ("read, same", None),
            ("read, model", Some("gpt-4o-2024-11-20")),
        ] {
            group.bench_with_input(BenchmarkId::new(what, name), body, |b, body| {
                b.iter(|| {
                    let read = read(black_box(body));
                    let model = model.unwrap_or(read.model());
                    read.render(&Edit {
                        model,
                        strip: &[],
                        max_output_tokens: Some(8192),
                        include_usage: false,
                        limit: None,
                    })
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
