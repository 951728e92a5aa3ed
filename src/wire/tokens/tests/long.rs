//! Events that are too long to be gathered pass, and are read or measured. One of 16 MiB once ended the count.

use proptest::prelude::*;

use super::laws::pieces;
use super::*;
use crate::sse::{MAX_EVENT, Parser};

const MIB: usize = 1 << 20;

#[test]
fn an_event_over_16_mib_ends_neither_the_stream_nor_the_count() {
    let stream = format!(
        r#"data: {{"type":"response.completed","response":{{"output":[{{"result":"{}"}}],"usage":{{"input_tokens":3,"output_tokens":4}}}}}}"#,
        "x".repeat(MAX_EVENT)
    );
    let mut observer = Observer::stream(Surface::Responses, false);
    for chunk in stream.as_bytes().chunks(1 << 20) {
        assert_eq!(observer.feed(Bytes::copy_from_slice(chunk)).failure, None);
    }
    assert!(observer.feed(Bytes::from_static(b"\n\n")).too_long, "it is");
    assert_eq!(observer.usage().map(|usage| usage.output()), Some(4));
    assert!(observer.complete() && observer.at_boundary(), "it was read");
}

#[test]
fn an_event_that_is_too_long_is_read_or_measured() {
    const MOST: usize = 2 * MIB;
    let image = "iVBORw0KGgo+/abc".repeat(MOST / 16 + 1);
    let words = "word ".repeat(MOST / 5 + 1);
    let usage =
        r#""usage":{"prompt_tokens":3,"completion_tokens":4,"input_tokens":3,"output_tokens":4}"#;
    let chat = r#"data: {"choices":[{"delta":{"content":" after"},"finish_reason":"stop"}]}"#;
    for (surface, name, data, after, known) in [
        (
            Surface::Responses,
            "response.completed",
            format!(
                r#"{{"type":"response.completed","response":{{"id":"r","model":"m","status":"completed","output":[{{"result":"{image}"}}],{usage}}}}}"#
            ),
            "",
            true,
        ),
        (
            Surface::Responses,
            "response.output_item.done",
            format!(
                r#"{{"type":"response.output_item.done","item":{{"type":"image_generation_call","result":"{image}","usage":{{}}}}}}"#
            ),
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\" after\"}\n\n",
            false,
        ),
        (
            Surface::ChatCompletions,
            "",
            format!(
                r#"{{"choices":[{{"delta":{{"images":[{{"image_url":{{"url":"{image}"}}}}]}}}}],{usage}}}"#
            ),
            "",
            true,
        ),
        (
            Surface::ChatCompletions,
            "",
            format!(
                r#"{{"choices":[{{"delta":{{"images":[{{"image_url":{{"url":"{image}"}}}}]}}}}]}}"#
            ),
            chat,
            false,
        ),
        (
            Surface::Messages,
            "content_block_delta",
            format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{words}"}}}}"#
            ),
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\" after\"}}\n\n",
            false,
        ),
    ] {
        let stream = format!("event: {name}\ndata: {data}\n\n{after}").into_bytes();
        let mut observer = Observer::of(surface, true, Parser::up_to(MOST));
        let (mut out, mut too_long) = (0, 0);
        for chunk in stream.chunks(1 << 18) {
            let seen = observer.feed(Bytes::copy_from_slice(chunk));
            assert_eq!(seen.failure, None, "{surface:?} {name}");
            out += seen.out.len();
            too_long += seen.too_long_ended;
        }
        out += observer.finish().out.len();
        assert_eq!(
            (out, too_long),
            (stream.len(), 1),
            "{surface:?} {name}: bytes pass"
        );
        assert_eq!(observer.usage().is_some(), known, "{surface:?} {name}");
        if known {
            continue;
        }
        assert!(
            observer.output_text().ends_with(" after") || observer.output_text().len() > MIB - 8,
            "{surface:?} {name}"
        );
        let (counted, bytes) = (observer.count_output(Encoding::O200k), MOST as u64);
        assert!(
            (bytes / 6..bytes / 3).contains(&counted),
            "{surface:?} {name}: {counted}"
        );
        assert_eq!(
            observer.blind(),
            surface != Surface::Messages,
            "{surface:?} {name}"
        );
    }
}

#[test]
fn usage_beside_a_text_that_is_not_all_kept_is_about_all_of_it() {
    let words = "word ".repeat(MIB / 4);
    let chunk = format!(
        r#"data: {{"choices":[{{"delta":{{"content":"{words}"}}}}],"usage":{{"prompt_tokens":3,"completion_tokens":4}}}}"#
    );
    for most in [MIB, 4 * MIB] {
        let mut observer = Observer::of(Surface::ChatCompletions, false, Parser::up_to(most));
        let _told = account(&mut observer, &[chunk.as_bytes(), b"\n\n"]);
        assert!(observer.usage_final(), "gathered up to {most}");
        assert_eq!(
            observer.output_bytes(),
            words.len() as u64,
            "gathered up to {most}"
        );
    }
}

#[test]
fn a_request_that_is_repeated_is_no_answer() {
    let asked = "word ".repeat(100);
    let stream = format!(
        r#"data: {{"type":"response.created","response":{{"status":"in_progress","instructions":"{asked}"}}}}"#
    );
    let mut observer = Observer::of(Surface::Responses, false, Parser::up_to(60));
    let _told = account(&mut observer, &[stream.as_bytes(), b"\n\n"]);
    assert!(observer.output_bytes() < 100, "{}", observer.output_bytes());
}

#[test]
fn a_chunk_with_an_image_is_measured_however_long_it_is() {
    for length in [100_000, 3 * MIB] {
        let image = "iVBORw0KGgo+/abc".repeat(length / 16);
        let chunk = |delta: &str| format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n");
        let stream = chunk(&format!(
            r#"{{"images":[{{"image_url":{{"url":"{image}"}}}}]}}"#
        )) + &chunk(r#"{"content":"a"}"#);
        let mut observer = Observer::of(Surface::ChatCompletions, false, Parser::up_to(MIB));
        let told = account(
            &mut observer,
            &stream.as_bytes().chunks(65_536).collect::<Vec<_>>(),
        );
        assert_eq!((told.failure, &*told.text), (None, "a"));
        let measured = observer.output_bytes() - length as u64;
        assert!(observer.blind() && measured < 100, "{measured}");
    }
}

#[test]
fn an_event_that_is_too_long_and_no_json_is_malformed_and_the_next_is_read() {
    let text = "x".repeat(100);
    for (data, failure) in [
        (text.clone(), true),
        (format!("{{\"choices\":[\"{text}"), true),
        (format!("{{\"choices\":[\"{text}\"]}}"), false),
        (" ".repeat(100), false),
    ] {
        let stream = format!(
            "data: {data}\n\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}]}}\n\n"
        );
        let mut observer = Observer::of(Surface::ChatCompletions, false, Parser::up_to(60));
        let told = account(
            &mut observer,
            &stream.as_bytes().chunks(9).collect::<Vec<_>>(),
        );
        assert_eq!(
            told.failure,
            failure.then_some(StreamFailure::Malformed),
            "{data}"
        );
        assert_eq!(told.text, "a", "{data}");
        assert_eq!(observer.blind(), !data.trim().is_empty(), "{data}");
    }
    // An event that is named an error is one.
    let stream = format!("event: error\ndata: {text}\n\n");
    let mut observer = Observer::of(Surface::Messages, false, Parser::up_to(60));
    let told = account(&mut observer, &[stream.as_bytes()]);
    assert_eq!(status(told.failure), Some((500, "error".to_owned())));
}

#[test]
fn stripping_lets_an_event_pass_that_is_too_long() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let long = format!(
        "data: {{\"choices\":[],\"pad\":\"{}\"}}\n\n",
        "x".repeat(200)
    );
    let stream = format!("{long}data: {usage}\n\ndata: [DONE]\n\n");
    let mut observer = Observer::of(Surface::ChatCompletions, true, Parser::up_to(150));
    let mut out = Vec::new();
    for (at, chunk) in stream.as_bytes().chunks(10).enumerate() {
        out.extend_from_slice(&observer.feed(Bytes::copy_from_slice(chunk)).out);
        let fed = (at + 1) * 10;
        if (160..long.len()).contains(&fed) {
            assert_eq!(out.len(), fed, "nothing of it is held back");
            assert!(!observer.at_boundary(), "no comment may stand in it");
        }
    }
    out.extend_from_slice(&observer.finish().out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        format!("{long}data: [DONE]\n\n")
    );
}

proptest! {
    #[test]
    fn events_that_are_too_long_tell_what_they_would_tell(
        which in 0..ALL.len(), most in 16usize..400, crlf: bool, lines: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        broken in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let fixture = ALL[which];
        let mut text = fixture.stream.replace("\r\n", "\n");
        if lines {
            text = text.replace(",\"model\"", ",\ndata: \"model\"");
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let stream = &text.as_bytes()[..broken.map_or(text.len(), |at| at.index(text.len()))];
        let account = |observer: &mut Observer, chunks: &[&[u8]]| {
            let told = account(observer, chunks);
            assert!(told.out == stream, "bytes pass");
            Account { out: vec![], ..told }
        };
        let short = account(&mut Observer::stream(fixture.surface, false), &[stream]);
        let observer = || Observer::of(fixture.surface, false, Parser::up_to(most));
        let long = account(&mut observer(), &[stream]);
        prop_assert_eq!(&long, &account(&mut observer(), &pieces(stream, &cuts)), "cut in pieces");
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&long, &account(&mut observer(), &bytes), "byte by byte");
        if broken.is_none() {
            prop_assert_eq!(&long, &short, "as short ones");
        }
    }
}
