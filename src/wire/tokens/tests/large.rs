//! Answers of any size: what is looked at is found in them, and what is not found is measured.
//!
//! An answer of 1.25 MB was once counted as nothing, and a `usage` in a tool's input was believed.

use proptest::prelude::*;

use super::*;

const MIB: usize = 1 << 20;

/// Members that no reader looks at, longer together than what is kept of an answer.
fn pads(length: usize) -> Vec<String> {
    let text = "lorem \\\"usage\\\": {} ".repeat(length / 19);
    let fake =
        r#"{"usage":{"prompt_tokens":1,"completion_tokens":1,"input_tokens":1,"output_tokens":1}}"#;
    vec![
        format!(r#""pad":"{text}""#),
        format!(r#""pad":[{}0]"#, "0.125,".repeat(length / 6)),
        format!(
            r#""pad":[{}{fake}]"#,
            format!("{fake},").repeat(length / fake.len())
        ),
        format!(
            r#""pad":{}{{{}}}{}"#,
            "[".repeat(500),
            &fake[1..fake.len() - 1],
            "]".repeat(500)
        ),
    ]
}

/// The document with a member more, in front of its own or behind them.
fn padded(document: &str, pad: &str, behind: bool) -> String {
    let members = &document[1..document.len() - 1];
    if behind {
        format!("{{{members},{pad}}}")
    } else {
        format!("{{{pad},{members}}}")
    }
}

fn told(endpoint: Endpoint, body: &str, size: usize) -> Account {
    let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
    let told = account(&mut Observer::whole(endpoint), &chunks);
    assert!(told.out == body.as_bytes(), "bytes pass");
    Account {
        out: vec![],
        ..told
    }
}

#[test]
fn a_large_answer_says_what_a_small_one_says() {
    for fixture in ALL {
        let endpoint = fixture.endpoint();
        for document in [
            fixture.whole.to_owned(),
            fixture.whole.replace("\"usage\"", "\"unused\""),
        ] {
            let small = told(endpoint, &document, document.len());
            for (at, pad) in pads(5 * MIB / 4).iter().enumerate() {
                let large = padded(&document, pad, at % 2 == 0);
                let seen = told(endpoint, &large, 50_021);
                assert_eq!(seen, small, "{}: {}", fixture.name, &pad[..20]);
            }
        }
    }
}

#[test]
fn a_usage_that_is_not_the_answers_own_is_never_believed() {
    let fake = r#"{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18,"input_tokens":9,"output_tokens":9}"#;
    let escaped = format!(r#"\"usage\": {}"#, fake.replace('"', "\\\""));
    for (surface, members) in [
        (
            Surface::Messages,
            format!(r#""content":[{{"type":"tool_use","name":"n","input":{{"usage":{fake}}}}}]"#),
        ),
        (
            Surface::Messages,
            format!(r#""content":[{{"type":"text","text":"{escaped}"}}]"#),
        ),
        (
            Surface::Messages,
            format!(
                r#""content":[{{"type":"text","text":"x","usage":{fake}}}],"metadata":{{"usage":{fake}}}"#
            ),
        ),
        (
            Surface::Messages,
            format!(r#""content":[],"message":{{"usage":{fake}}},"delta":{{"usage":{fake}}}"#),
        ),
        (
            Surface::ChatCompletions,
            format!(
                r#""choices":[{{"message":{{"content":"{escaped}","usage":{fake}}},"usage":{fake}}}],"error":{{"usage":{fake}}}"#
            ),
        ),
        (
            Surface::ChatCompletions,
            format!(
                r#""choices":[{{"message":{{"tool_calls":[{{"function":{{"name":"n","arguments":"{{{escaped}}}"}}}}]}}}}]"#
            ),
        ),
        (
            Surface::Responses,
            format!(
                r#""output":[{{"type":"function_call","name":"n","arguments":"{{{escaped}}}","usage":{fake}}}],"response":{{"usage":{fake}}}"#
            ),
        ),
        (
            Surface::Responses,
            format!(r#""output":[],"instructions":"{escaped}","tools":[{{"usage":{fake}}}]"#),
        ),
        (
            Surface::Embeddings,
            format!(r#""data":[{{"usage":{fake}}}],"item":{{"usage":{fake}}}"#),
        ),
    ] {
        let endpoint = Endpoint::Generate(surface);
        let small = format!("{{\"id\":\"x\",{members}}}");
        assert_eq!(told(endpoint, &small, small.len()).facts.0, None, "{small}");
        let large = padded(&small, &pads(5 * MIB / 4)[0], true);
        let seen = told(endpoint, &large, 65_536).facts.0;
        assert_eq!(seen, None, "{small}, large");
        // What it says itself is believed all the same, wherever it stands.
        for usage in [
            r#""usage":{"prompt_tokens":3,"completion_tokens":4,"input_tokens":3,"output_tokens":4}"#,
            r#""usage":{"prompt_tokens":1},"usage":{"prompt_tokens":3,"completion_tokens":4,"input_tokens":3,"output_tokens":4}"#,
        ] {
            for behind in [false, true] {
                let said = padded(&small, usage, behind);
                let seen = told(endpoint, &said, 7).facts.0.expect("usage");
                assert_eq!((seen.input(), seen.output()), (3, 4), "{said}");
            }
        }
    }
}

#[test]
fn of_a_usage_given_twice_the_last_one_counts_however_far_apart() {
    let usage = |tokens: u64| {
        format!(r#""usage":{{"prompt_tokens":{tokens},"completion_tokens":{tokens}}}"#)
    };
    let pad = &pads(3 * MIB / 2)[0];
    let body = format!(r#"{{{},"choices":[],{pad},{}}}"#, usage(1), usage(2));
    let seen = told(Endpoint::Generate(Surface::ChatCompletions), &body, 65_536);
    assert_eq!(seen.facts.0.map(|usage| usage.output()), Some(2));
    let body = format!(r#"{{{},"choices":[],{pad},"usage":null}}"#, usage(1));
    let seen = told(Endpoint::Generate(Surface::ChatCompletions), &body, 65_536);
    assert_eq!(seen.facts.0, None, "`null` takes it back");
}

/// Our count of a whole answer, and whether it is blind.
fn counted(surface: Surface, body: &str) -> (u64, bool) {
    let mut observer = Observer::whole(Endpoint::Generate(surface));
    for chunk in body.as_bytes().chunks(65_536) {
        let _seen = observer.feed(Bytes::copy_from_slice(chunk));
    }
    let seen = observer.finish();
    assert_eq!(seen.failure, None, "a good answer");
    assert!(observer.output_text().len() <= MIB, "bounded");
    (observer.count_output(Encoding::O200k), observer.blind())
}

#[test]
fn large_answers_without_usage_are_counted() {
    let words = 300_000; // of five bytes: more than is kept
    let text = "word ".repeat(words);
    for (surface, body) in [
        (
            Surface::ChatCompletions,
            format!(
                r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#
            ),
        ),
        (
            Surface::Completions,
            format!(r#"{{"choices":[{{"text":"{text}"}}]}}"#),
        ),
        (
            Surface::Messages,
            format!(
                r#"{{"content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn"}}"#
            ),
        ),
        (
            Surface::Messages,
            format!(
                r#"{{"content":[{{"type":"tool_use","name":"n","input":{{"deep":[{{"a":"{text}"}}]}}}}]}}"#
            ),
        ),
        (
            Surface::Responses,
            format!(
                r#"{{"output":[{{"type":"reasoning","summary":[{{"text":"hm"}}]}},{{"type":"message","content":[{{"text":"{text}"}}]}}]}}"#
            ),
        ),
        (
            Surface::Responses,
            format!(
                r#"{{"output":[{}]}}"#,
                vec![
                    format!(
                        r#"{{"content":[{{"text":"{}"}}]}}"#,
                        &text[..text.len() / 50]
                    );
                    50
                ]
                .join(",")
            ),
        ),
    ] {
        let (tokens, blind) = counted(surface, &body);
        let want = words as u64 * 99 / 100..words as u64 * 101 / 100 + 20;
        assert!(want.contains(&tokens), "{surface:?}: {tokens}");
        assert!(!blind, "{surface:?}: it was read");
    }
}

#[test]
fn what_is_no_text_counts_by_its_bytes() {
    for image in [100, 100_000, 3 * MIB] {
        let data = "iVBORw0KGgo+/abc".repeat(image / 16);
        for (surface, body) in [
            (
                Surface::ChatCompletions,
                format!(
                    r#"{{"choices":[{{"message":{{"content":null,"images":[{{"image_url":{{"url":"{data}"}}}}]}}}}]}}"#
                ),
            ),
            (
                Surface::Messages,
                format!(r#"{{"content":[{{"type":"image","source":{{"data":"{data}"}}}}]}}"#),
            ),
            (
                Surface::Responses,
                format!(r#"{{"output":[{{"type":"image_generation_call","result":"{data}"}}]}}"#),
            ),
            // A form that no reader knows, and half a character that none can hold.
            (
                Surface::Responses,
                format!(r#"{{"output":{{"result":"{data}"}}}}"#),
            ),
            (
                Surface::ChatCompletions,
                format!(r#"{{"choices":[{{"message":{{"content":"\ud83d{data}"}}}}]}}"#),
            ),
            (
                Surface::ChatCompletions,
                format!(r#"[{{"choices":"{data}"}}]"#),
            ),
        ] {
            let (tokens, blind) = counted(surface, &body);
            let want = data.len() as u64 / BYTES_PER_TOKEN;
            assert!(
                (want..want + 50).contains(&tokens),
                "{surface:?}: {tokens} of {want}"
            );
            assert!(blind, "{surface:?}: {}", &body[..60]);
        }
        let usage = r#","usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let body = format!(r#"{{"choices":[{{"message":{{"image":"{data}"}}}}]{usage}"#);
        assert!(
            !counted(Surface::ChatCompletions, &body).1,
            "its usage was read"
        );
        let body = format!(r#"{{"data":[{{"embedding":"{data}"}}]}}"#);
        assert_eq!(
            counted(Surface::Embeddings, &body),
            (0, false),
            "a vector is no answer"
        );
    }
}

#[test]
fn json_of_any_depth_hides_no_usage_and_is_never_free() {
    let usage = r#""usage":{"input_tokens":3,"output_tokens":4}"#;
    for (levels, seen) in [(100, true), (200, true), (60_000, true), (70_000, false)] {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let body = format!(
            r#"{{"content":[{{"type":"tool_use","name":"n","input":{{"a":{deep}}}}}],{usage}}}"#
        );
        let mut observer = Observer::whole(Endpoint::Generate(Surface::Messages));
        let told = account(
            &mut observer,
            &body.as_bytes().chunks(10_000).collect::<Vec<_>>(),
        );
        assert_eq!(told.failure, None, "{levels}: an answer");
        assert_eq!(observer.usage().is_some(), seen, "{levels}");
        assert_eq!(observer.blind(), !seen, "{levels}");
        let least = body.len() as u64 / 5;
        assert!(
            seen || observer.count_output(Encoding::O200k) > least,
            "{levels}: by its bytes"
        );
    }
}

#[test]
fn large_documents_that_are_none_are_malformed() {
    let chat = Endpoint::Generate(Surface::ChatCompletions);
    let text = "word ".repeat(400_000);
    let good = format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}],"model":"m"}}"#);
    assert_eq!(told(chat, &good, 65_536).failure, None);
    for bad in [
        good[..good.len() - 1].to_owned(),
        good[..good.len() / 2].to_owned(),
        format!("{good}x"),
        good.replace("}]", "]]"),
        good.replacen("word", "wo\u{1}d", 1),
        text.clone(),
        format!("<html>{text}"),
    ] {
        for size in [65_536, bad.len()] {
            let seen = told(chat, &bad, size);
            assert_eq!(
                seen.failure,
                Some(StreamFailure::Malformed),
                "{}",
                &bad[..20]
            );
            assert!(!seen.committed && !seen.facts.2, "no answer");
        }
    }
}

#[test]
fn what_an_answer_said_before_it_broke_off_counts() {
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4},"#;
    for (before, body) in [(Some(4), usage), (None, "")] {
        let text = "word ".repeat(50_000);
        let body = format!(r#"{{{body}"choices":[{{"message":{{"content":"{text}"#);
        for ended in [false, true] {
            let mut observer = Observer::whole(Endpoint::Generate(Surface::ChatCompletions));
            let _seen = observer.feed(Bytes::from(body.clone()));
            if ended {
                let _seen = observer.finish();
            }
            observer.break_off();
            assert_eq!(observer.usage().map(|usage| usage.output()), before);
            let counted = observer.count_output(Encoding::O200k);
            let want = if before.is_some() {
                4..5
            } else {
                49_500..50_500
            };
            assert!(want.contains(&counted), "{counted}");
            assert!(!observer.complete(), "it is no whole answer");
        }
    }
}

proptest! {
    #[test]
    fn any_split_of_a_padded_answer_tells_the_same(
        which in 0..ALL.len(), silent: bool, pad in 0..4usize, behind: bool, size in 1usize..300,
        broken in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let fixture = ALL[which];
        let document = if silent { fixture.whole.replace("\"usage\"", "\"unused\"") } else { fixture.whole.to_owned() };
        let document = padded(&document, &pads(500)[pad], behind);
        let cut = broken.map_or(document.len(), |at| at.index(document.len()));
        let bytes = &document.as_bytes()[..cut];
        let tell = |chunks: &[&[u8]]| {
            let mut observer = Observer::whole(fixture.endpoint());
            let told = account(&mut observer, chunks);
            (told, observer.output_bytes(), observer.blind(), observer.served().clone())
        };
        let whole = tell(&[bytes]);
        prop_assert_eq!(&whole, &tell(&bytes.chunks(size).collect::<Vec<_>>()));
        prop_assert_eq!(whole.0.out.as_slice(), bytes, "bytes pass");
    }
}
