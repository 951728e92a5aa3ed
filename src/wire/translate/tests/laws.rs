//! What holds for everything.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::report::Usage;
use crate::translate::neutral::{
    Block, CallResult, Choice, Content, Conversation, Role, Source, Tool, ToolKind, Turn,
};

fn words() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\n\u{e9}\u{1f600} {}]{1,12}".prop_filter("not blank", |text| !text.trim().is_empty())
}

fn arguments() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{}".to_owned()),
        (words(), 0..1000)
            .prop_map(|(text, n)| json!({"text": text, "n": n, "list": [{}]}).to_string()),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    ("[a-zA-Z0-9_-]{1,20}", "[a-z_]{1,12}", arguments()).prop_map(|(id, name, arguments)| Call {
        id,
        name,
        namespace: None,
        arguments,
        custom: false,
    })
}

fn thinking() -> impl Strategy<Value = Thinking> {
    let proof = prop_oneof![
        "[A-Za-z0-9+/=]{4,12}".prop_map(Proof::Signature),
        ("rs_[a-z0-9]{4}", "[A-Za-z0-9+/=]{4,12}")
            .prop_map(|(id, content)| Proof::Encrypted { id, content }),
    ];
    let proof = prop_oneof![
        4 => proof,
        1 => words().prop_map(|text| Proof::Details(json!([{"text": text, "signature": "s"}]).to_string())),
        1 => prop::option::of("[a-z]{1,4}").prop_map(|call| Proof::Extra {
            call,
            content: json!({"google": {"thought_signature": "s"}}).to_string(),
        }),
    ];
    (words(), proof).prop_map(|(text, proof)| match proof {
        proof @ Proof::Extra { .. } => Thinking::proof(&proof),
        proof => Thinking { text, proof },
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    let calls = prop::collection::vec(call(), 0..4);
    let parts = (
        prop::option::of(thinking()),
        prop::option::of(words()),
        calls,
    );
    (parts, any::<bool>(), 1..1000u64, 0..50u64).prop_map(
        |((thinking, text, mut calls), cut, n, m)| {
            for (at, call) in calls.iter_mut().enumerate() {
                call.id = format!("{}_{at}", call.id);
            }
            let stop = match calls.is_empty() {
                _ if cut => Stop::Length,
                true => Stop::Done,
                false => Stop::Calls,
            };
            let mut parts: Vec<Part> = thinking.into_iter().map(Part::Thinking).collect();
            parts.extend(text.map(|text| Part::Text(text, Vec::new())));
            parts.extend(calls.into_iter().map(Part::Call));
            Answer {
                id: "x1".to_owned(),
                model: "m-1".to_owned(),
                parts,
                stop,
                usage: Some(Usage::of(n + m, m, 0, n, m.min(n))),
                tier: Some("default".to_owned()),
            }
        },
    )
}

/// The events of an answer with its texts in pieces. Calls come together if `interleaved`.
fn stream_of(surface: Surface, answer: &Answer, cuts: &[Index], interleaved: bool) -> String {
    let mut encoders = (
        chat::Encoder::new(CREATED, true),
        responses::Encoder::new(&reply(RESPONSES, CHAT), CREATED),
        messages::Encoder::default(),
    );
    let mut out = Vec::new();
    let mut write = |event: Event<'_>| match surface {
        Surface::Responses => encoders.1.write(&event, &mut out),
        Surface::Messages => encoders.2.write(&event, &mut out),
        _ => encoders.0.write(&event, &mut out),
    };
    write(Event::Start {
        id: &answer.id,
        model: &answer.model,
        usage: None,
        tier: answer.tier.as_deref(),
    });
    let mut cuts = cuts.iter().cycle();
    let mut later = Vec::new();
    for (index, part) in (0..).zip(&answer.parts) {
        let (kind, text, proof) = match part {
            Part::Text(text, _) => (Kind::Text, text, None),
            Part::Refusal(text) => (Kind::Refusal, text, None),
            Part::Thinking(Thinking {
                proof: proof @ Proof::Extra { .. },
                ..
            }) => {
                write(Event::Open(index, Kind::Proof(proof)));
                write(Event::Close(index));
                continue;
            }
            Part::Thinking(thinking) => (Kind::Thinking, &thinking.text, Some(&thinking.proof)),
            Part::Call(call) => {
                let kind = Kind::Call {
                    id: &call.id,
                    name: &call.name,
                    namespace: None,
                    custom: call.custom,
                };
                (kind, &call.arguments, None)
            }
        };
        write(Event::Open(index, kind));
        let chars: Vec<char> = text.chars().collect();
        let at = cuts.next().map_or(0, |cut| cut.index(chars.len() + 1));
        let halves = [&chars[..at], &chars[at..]].map(|half| half.iter().collect::<String>());
        write(Event::Delta(index, Delta::Text(&halves[0])));
        if interleaved && matches!(part, Part::Call(_)) {
            later.push((index, halves));
            continue;
        }
        write(Event::Delta(index, Delta::Text(&halves[1])));
        if let Some(proof) = proof {
            write(Event::Delta(index, Delta::Proof(proof)));
        }
        write(Event::Close(index));
    }
    for (index, halves) in &later {
        write(Event::Delta(*index, Delta::Text(&halves[1])));
    }
    for (index, _) in &later {
        write(Event::Close(*index));
    }
    write(Event::Stop {
        stop: answer.stop.clone(),
        usage: answer.usage,
        tier: answer.tier.as_deref(),
    });
    String::from_utf8(out).expect("UTF-8")
}

/// Ids follow the surface's prefix, and Anthropic gives no tier at the end of a stream.
fn comparable(mut answer: Answer) -> Answer {
    answer.id = String::new();
    answer
}

pub(super) fn pairs() -> impl Iterator<Item = (Surface, Surface)> {
    SURFACES
        .into_iter()
        .flat_map(|client| SURFACES.map(|provider| (client, provider)))
        .filter(|(client, provider)| client != provider)
}

proptest! {
    #[test]
    fn a_whole_answer_says_the_same_in_every_dialect(answer in answer()) {
        for (client, provider) in pairs() {
            let body = write_answer(provider, &answer);
            let body = crate::translate::answer(&reply(client, provider), &body, CREATED)
                .expect("an answer");
            prop_assert_eq!(
                comparable(read_answer(client, &body)), comparable(answer.clone()),
                "{:?} from {:?}", client, provider
            );
        }
    }

    #[test]
    fn a_stream_says_what_the_whole_answer_says(
        answer in answer(), cuts in prop::collection::vec(any::<Index>(), 1..8), interleaved: bool,
    ) {
        for (client, provider) in pairs() {
            let stream = stream_of(provider, &answer, &cuts, interleaved);
            let seen = streamed(&reply(client, provider), &[stream.as_bytes()]);
            let collected = Collected::of(client, &seen);
            prop_assert!(collected.ended, "{:?} from {:?}: {}", client, provider, seen);
            prop_assert_eq!(
                comparable(collected.answer), comparable(answer.clone()),
                "{:?} from {:?}: {}", client, provider, seen
            );
        }
    }

    #[test]
    fn a_stream_may_be_split_anywhere(
        answer in answer(), cut in any::<Index>(), client in 0..3usize, other in 1..3usize,
    ) {
        let (client, provider) = (SURFACES[client], SURFACES[(client + other) % 3]);
        let stream = stream_of(provider, &answer, &[cut], false);
        let reply = reply(client, provider);
        let whole = streamed(&reply, &[stream.as_bytes()]);
        let (a, b) = stream.as_bytes().split_at(cut.index(stream.len()));
        prop_assert_eq!(streamed(&reply, &[a, b]), whole);
    }

    /// Chunks of a few shapes in any order, so that shapes are learnt, forgotten and learnt again.
    #[test]
    fn the_shortcut_tells_what_reading_tells(
        events in prop::collection::vec((0..6u8, "[a-z{}\"\\\\ ]{0,3}"), 1..24), provider in 0..2usize,
    ) {
        let chunk = |delta: Value| json!({"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta}]});
        let block = |index: u8, kind: &str| json!({
            "type": "content_block_start", "index": index,
            "content_block": {"type": kind, "id": "t", "name": "f", "input": {}},
        });
        let delta = |index: u8, kind: &str, key: &str, text: &str| json!({
            "type": "content_block_delta", "index": index, "delta": {"type": kind, key: text},
        });
        let events = events.iter().map(|(shape, text)| if provider == 0 {
            chunk(match shape {
                0 | 1 => json!({"content": text}),
                2 => json!({"reasoning_content": text}),
                3 => json!({"refusal": text}),
                n => json!({"tool_calls": [{"index": n, "function": {"name": "f", "arguments": text}}]}),
            })
        } else {
            match shape {
                0 => delta(0, "text_delta", "text", text),
                1 => delta(1, "input_json_delta", "partial_json", text),
                2 => block(0, "text"),
                3 => block(1, "tool_use"),
                4 => json!({"type": "content_block_stop", "index": 0}),
                _ => json!({"type": "ping", "x": text}),
            }
        }.to_string());
        let events: Vec<String> = events.collect();
        let provider = [CHAT, MESSAGES][provider];
        for client in SURFACES.into_iter().filter(|client| *client != provider) {
            let reply = reply(client, provider);
            let (mut short, mut full) = (Stream::new(&reply, 0), Stream::new(&reply, 0));
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for data in &events {
                let event = crate::sse::Event { name: b"", data: data.as_bytes(), start: None, end: 0 };
                short.push(&event, &mut a);
                full.forget();
                full.push(&event, &mut b);
            }
            prop_assert_eq!(String::from_utf8_lossy(&a), String::from_utf8_lossy(&b), "{:?}", events);
        }
    }

    #[test]
    fn a_stream_that_breaks_off_has_no_end(answer in answer(), cut in any::<Index>()) {
        for (client, provider) in pairs() {
            let stream = stream_of(provider, &answer, &[cut], false);
            // Up to where the reason stands.
            let end = ["\"finish_reason\":\"", "event: message_delta", "event: response.completed", "event: response.incomplete"]
                .iter().find_map(|end| stream.find(end)).expect("an end");
let before = &stream.as_bytes()[..cut.index(end)];
            let at = memchr::memmem::rfind(before, b"\n\n").map_or(0, |at| at + 2);
            let seen = streamed(&reply(client, provider), &[&stream.as_bytes()[..at]]);
            prop_assert!(!Collected::of(client, &seen).ended, "{}", seen);
        }
    }
}

fn user_turn() -> impl Strategy<Value = Vec<Block>> {
    let image = "[A-Za-z0-9+/]{4,8}".prop_map(|data| Content::Image {
        source: Source::Base64 {
            media_type: "image/png".to_owned(),
            data,
        },
        detail: None,
    });
    let url = "[a-z]{1,8}".prop_map(|name| Content::Image {
        source: Source::Url(format!("https://example.com/{name}.png")),
        detail: None,
    });
    let file = "[A-Za-z0-9+/]{4,8}".prop_map(|data| Content::File {
        source: Source::Base64 {
            media_type: "application/pdf".to_owned(),
            data,
        },
        name: Some("a.pdf".to_owned()),
    });
    let block = prop_oneof![words().prop_map(Content::Text), image, url, file];
    prop::collection::vec(block.prop_map(Block::from), 1..4)
}

fn conversation() -> impl Strategy<Value = Conversation> {
    let exchange = (
        user_turn(),
        prop::option::of(words()),
        prop::collection::vec((call(), words()), 0..3),
    );
    let turns = prop::collection::vec(exchange, 1..4);
    let tools = prop::collection::vec(("[a-z_]{1,10}", prop::option::of(words())), 0..3);
    let numbers = (
        prop::option::of(0..=10u32),
        prop::option::of(1024..5000u64),
        any::<bool>(),
    );
    (prop::option::of(words()), turns, tools, numbers).prop_map(
        |(system, turns, tools, numbers)| {
            let mut c = Conversation::new(CHAT);
            if let Some(system) = system {
                c.push(Role::System, vec![Block::text(system)]);
            }
            for (turn, (user, said, calls)) in turns.into_iter().enumerate() {
                c.push(Role::User, user);
                let mut blocks: Vec<Block> = said.map(Block::text).into_iter().collect();
                let mut results = Vec::new();
                for (at, (mut call, result)) in calls.into_iter().enumerate() {
                    call.id = format!("{}_{turn}_{at}", call.id);
                    results.push(
                        Content::Result(CallResult {
                            id: call.id.clone(),
                            blocks: vec![Block::text(result)],
                            error: false,
                        })
                        .into(),
                    );
                    blocks.push(Content::Call(call).into());
                }
                if !blocks.is_empty() {
                    c.push(Role::Assistant, blocks);
                }
                if !results.is_empty() {
                    c.push(Role::User, results);
                }
            }
            for (at, (name, description)) in tools.into_iter().enumerate() {
                c.tools.push(Tool {
                    name: format!("{name}{at}"),
                    namespace: None,
                    description,
                    kind: ToolKind::Function {
                        schema: Some(
                            json!({"type": "object", "properties": {"a": {"type": "string"}}}),
                        ),
                        strict: None,
                    },
                    cache: None,
                });
            }
            c.sampling.temperature = numbers.0.map(|n| f64::from(n) / 10.0);
            c.max_output_tokens = numbers.1;
            c.stream = numbers.2;
            c.user = Some("user-1".to_owned());
            c
        },
    )
}

proptest! {
    #[test]
    fn a_request_means_the_same_in_every_dialect(c in conversation()) {
        for surface in SURFACES {
            let target = Target {
                openai: true,
                extensions: true,
                ..Target::of_model(model(surface), None)
            };
            let written = write(&c, surface, &target).expect("it can be said");
            prop_assert_eq!(&written.dropped, &Vec::<String>::new(), "{:?}", surface);
            let mut back = read(surface, &written.body).expect("it can be read");
            // What a dialect requires, or says by default.
            back.surface = CHAT;
            back.include_usage = false;
            if surface == MESSAGES && c.max_output_tokens.is_none() {
                back.max_output_tokens = None;
            }
            // Calls go with tools there.
            if surface == MESSAGES && c.tools.is_empty() && !c.called().is_empty() {
                prop_assert_eq!(back.choice.take(), Some(Choice::None));
                back.tools.clear();
            }
            for tool in &mut back.tools {
                if let ToolKind::Function { strict, .. } = &mut tool.kind {
                    *strict = None;
                }
            }
            back.unknown.clear();
            back.echo = c.echo.clone();
            let mut c = c.clone();
            // The beginning of an answer ends with no white space there.
            if let (MESSAGES, Some(Turn { role: Role::Assistant, blocks })) = (surface, c.turns.last_mut())
                && let Some(Block { content: Content::Text(text), .. }) = blocks.last_mut()
            {
                text.truncate(text.trim_end().len());
            }
            prop_assert_eq!(&back, &c, "{:?}: {}", surface, String::from_utf8_lossy(&written.body));
        }
    }
}
