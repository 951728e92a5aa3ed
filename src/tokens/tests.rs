//! The laws of the tap, over realistic answers and over arbitrary bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::fixtures::{ALL, CHAT, COMPLETION, Fixture, MESSAGE, TOOLS};
use super::*;
use crate::dialect::{Endpoint, Surface};

/// Everything a tap says of an answer fed in `chunks`, with the forwarded bytes joined.
#[derive(Debug, PartialEq)]
struct Account {
    out: Vec<u8>,
    /// How many bytes had been fed when content was first seen, and how many of them were needed.
    committed: bool,
    failure: Option<StreamFailure>,
    facts: (Option<Usage>, bool, bool, bool),
    names: (Option<String>, Option<String>),
    text: String,
}

fn account(tap: &mut Tap, chunks: &[&[u8]]) -> Account {
    let (mut out, mut committed, mut failure) = (vec![], false, None);
    for chunk in chunks {
        let seen = tap.feed(Bytes::copy_from_slice(chunk));
        assert!(!committed || seen.content, "content stays seen");
        committed = seen.content;
        failure = failure.or(seen.failure);
        out.extend_from_slice(&seen.out);
    }
    let seen = tap.finish();
    out.extend_from_slice(&seen.out);
    Account {
        out,
        committed: seen.content,
        failure: failure.or(seen.failure),
        facts: (
            tap.usage(),
            tap.usage_final(),
            tap.complete(),
            tap.may_end(),
        ),
        names: (
            tap.model().map(str::to_owned),
            tap.finish_reason().map(str::to_owned),
        ),
        text: tap.output_text().to_owned(),
    }
}

fn streamed(surface: Surface, strip: bool, stream: &str) -> Account {
    account(&mut Tap::stream(surface, strip), &[stream.as_bytes()])
}

fn whole(endpoint: Endpoint, body: &str) -> Account {
    account(&mut Tap::whole(endpoint), &[body.as_bytes()])
}

fn status(failure: Option<StreamFailure>) -> Option<(u16, String)> {
    match failure? {
        StreamFailure::ErrorEvent { status, kind, .. } => Some((status, kind)),
        StreamFailure::Malformed => Some((0, "malformed".to_owned())),
    }
}

#[test]
fn streamed_and_whole_answers_tell_the_same() {
    for fixture in ALL {
        let Fixture { name, surface, .. } = fixture;
        let stream = streamed(surface, false, fixture.stream);
        assert_eq!(stream.out, fixture.stream.as_bytes(), "{name}: bytes pass");
        assert_eq!(
            stream.facts,
            (Some(fixture.usage), true, true, true),
            "{name}: streamed"
        );
        let names = (
            Some(fixture.model.to_owned()),
            Some(fixture.finish.to_owned()),
        );
        assert_eq!(stream.names, names, "{name}: streamed");
        assert_eq!(stream.text, fixture.text, "{name}: streamed");
        assert!(
            stream.committed && stream.failure.is_none(),
            "{name}: a good answer"
        );

        let body = whole(fixture.endpoint(), fixture.whole);
        assert_eq!(body.out, fixture.whole.as_bytes(), "{name}: bytes pass");
        assert_eq!(body.facts.0, stream.facts.0, "{name}: whole");
        assert_eq!(body.names, stream.names, "{name}: whole");
        assert!(
            body.committed && body.failure.is_none() && body.facts.2,
            "{name}: a good answer"
        );

        let silent = fixture.whole.replace("\"usage\"", "\"unused\"");
        let body = whole(fixture.endpoint(), &silent);
        assert_eq!(
            (body.facts.0, body.text.as_str()),
            (None, fixture.text),
            "{name}: text without usage"
        );
    }
}

#[test]
fn the_first_content_commits_and_nothing_before_it() {
    for Fixture {
        name,
        surface,
        stream,
        commit,
        ..
    } in ALL
    {
        let at = stream.find(commit).expect("the commit is in the stream");
        let before = stream[..at]
            .rfind("\n\n")
            .or(stream[..at].rfind("\r\n\r\n"))
            .expect("events precede it");
        let end = at
            + stream[at..]
                .find("\n\n")
                .or(stream[at..].find("\r\n\r\n"))
                .expect("it ends")
            + 4;
        let mut tap = Tap::stream(surface, false);
        let seen = tap.feed(Bytes::copy_from_slice(&stream.as_bytes()[..before + 2]));
        assert!(!seen.content, "{name}: a prelude does not commit");
        let seen = tap.feed(Bytes::copy_from_slice(&stream.as_bytes()[before + 2..end]));
        assert!(seen.content, "{name}: content commits");
    }
}

#[test]
fn what_commits() {
    use Surface::{ChatCompletions as Chat, Messages, Responses};
    for (surface, data, commits) in [
        (
            Chat,
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            false,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":null}}]}"#,
            false,
        ),
        (Chat, r#"{"choices":[],"prompt_filter_results":[]}"#, false),
        (
            Chat,
            r#"{"choices":[{"delta":{"content":[{"type":"text","text":"parts"}]}}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{"function_call":{"name":"f"}}}]}"#,
            true,
        ),
        (Chat, r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#, true),
        (Chat, r#"{"choices":[{"delta":{"refusal":"no"}}]}"#, true),
        (
            Chat,
            r#"{"choices":[{"delta":{"audio":{"id":"a"}}}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            true,
        ),
        (
            Chat,
            r#"{"choices":[{"delta":{}},{"delta":{"content":"second choice"}}]}"#,
            true,
        ),
        (Chat, r#"{"choices":"what","model":7}"#, false),
        (Chat, r#"[1,2]"#, false),
        (Chat, r#""text""#, false),
        (
            Chat,
            r#"{"choices":[{"delta":{"content":"a"}}],"choices":[{"delta":{"content":"last wins"}}]}"#,
            true,
        ),
        (Messages, r#"{"type":"ping"}"#, false),
        (
            Messages,
            r#"{"type":"unheard_of","delta":{"text":"x"}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"content_block_start","content_block":{"type":"redacted_thinking","data":"x"}}"#,
            true,
        ),
        (
            Messages,
            r#"{"type":"content_block_start","content_block":{"type":"server_tool_use","name":"s"}}"#,
            true,
        ),
        (
            Messages,
            r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"s"}}"#,
            true,
        ),
        (
            Messages,
            r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":""}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"message_delta","delta":{"stop_reason":null}}"#,
            false,
        ),
        (
            Messages,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
            true,
        ),
        (Messages, r#"{"type":"message_stop"}"#, true),
        (
            Responses,
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
            false,
        ),
        (
            Responses,
            r#"{"type":"response.output_item.added","item":{"type":"custom_tool_call","name":"t"}}"#,
            true,
        ),
        (
            Responses,
            r#"{"type":"response.output_item.done","item":{"type":"compaction"}}"#,
            true,
        ),
        (
            Responses,
            r#"{"type":"response.output_text.delta","delta":""}"#,
            false,
        ),
        (
            Responses,
            r#"{"type":"response.custom_tool_call_input.delta","delta":"x"}"#,
            true,
        ),
        (
            Responses,
            r#"{"type":"response.content_part.added","part":{"type":"output_text","text":""}}"#,
            false,
        ),
        (
            Responses,
            r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
            true,
        ),
    ] {
        let seen = streamed(surface, false, &format!("data: {data}\n\n"));
        assert_eq!(seen.committed, commits, "{data}");
        assert_eq!(seen.failure, None, "{data}");
    }
}

#[test]
fn failures_inside_streams() {
    use Surface::{ChatCompletions as Chat, Messages, Responses};
    for (surface, stream, want, kind) in [
        (
            Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            529,
            "overloaded_error",
        ),
        (
            Messages,
            "data: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"\"}}\n\n",
            500,
            "api_error",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"quota\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}\n\n",
            429,
            "insufficient_quota",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"slow\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}\n\n",
            429,
            "rate_limit_exceeded",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"bad key\",\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}\n\n",
            401,
            "invalid_api_key",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"code\":null}}\n\n",
            400,
            "invalid_request_error",
        ),
        (
            Chat,
            "data: {\"id\":\"x\",\"error\":{\"code\":502,\"message\":\"up\"},\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
            502,
            "error",
        ),
        (
            Chat,
            "data: {\"error\":{\"message\":\"x\",\"code\":\"503\"}}\n\n",
            503,
            "error",
        ),
        (Chat, "data: {\"error\":\"plain words\"}\n\n", 500, "error"),
        (
            Chat,
            "data: {\"object\":\"error\",\"message\":\"m\",\"code\":400}\n\n",
            400,
            "error",
        ),
        (
            Chat,
            "event: error\ndata: Internal Server Error\n\n",
            500,
            "error",
        ),
        (
            Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"}}}\n\n",
            500,
            "server_error",
        ),
        (
            Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}}\n\n",
            429,
            "rate_limit_exceeded",
        ),
        (
            Responses,
            "data: {\"type\":\"response.failed\"}\n\n",
            500,
            "response.failed",
        ),
        (
            Responses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"server_is_overloaded\",\"message\":\"m\"}\n\n",
            503,
            "server_is_overloaded",
        ),
        (
            Responses,
            "data: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\",\"message\":\"m\"}}\n\n",
            400,
            "context_length_exceeded",
        ),
        (Chat, "data: oops\n\n", 0, "malformed"),
        (Chat, "data: {\"choices\":[\n\n", 0, "malformed"),
        (
            Messages,
            "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"cut in the mid",
            0,
            "malformed",
        ),
    ] {
        let seen = streamed(surface, false, stream);
        assert_eq!(
            status(seen.failure),
            Some((want, kind.to_owned())),
            "{stream}"
        );
        assert!(!seen.committed, "no content: {stream}");
        let later =
            format!("{stream}data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}]}}\n\n");
        assert!(
            !streamed(surface, false, &later).committed,
            "what follows a failure is no content: {stream}"
        );
    }
    for harmless in [
        "data: {\"error\":null,\"choices\":[]}\n\n",
        "data:\n\n",
        "data:  \n\n",
        "data: {\"error\":{}}\n\n",
    ] {
        assert_eq!(streamed(Chat, false, harmless).failure, None, "{harmless}");
    }
    // JSON that no Rust text can hold is JSON all the same.
    assert_eq!(
        streamed(Chat, false, "data: {\"model\":\"\\ud83d\",\"n\":1e999}\n\n").failure,
        None,
        "half a pair"
    );
}

#[test]
fn a_failure_after_content_is_told_with_it() {
    let mut tap = Tap::stream(Surface::ChatCompletions, false);
    let seen = tap.feed(Bytes::from_static(
        b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"error\":{\"type\":\"server_error\"}}\n\n",
    ));
    assert!(seen.content, "content came first");
    assert_eq!(
        status(seen.failure),
        Some((500, "server_error".to_owned())),
        "and then the failure"
    );
    assert!(!tap.may_end(), "no end was seen");
}

#[test]
fn the_usage_chunk_is_cut_out_and_nothing_else() {
    for (fixture, cut) in [
        (CHAT, true),
        (COMPLETION, true),
        (TOOLS, false),
        (MESSAGE, false),
    ] {
        let stream = fixture.stream;
        let kept = streamed(fixture.surface, true, stream);
        let want = if cut {
            let from = stream
                .find("\"choices\":[]")
                .and_then(|at| stream[..at].rfind("data: "))
                .expect("a usage chunk");
            let to = from + stream[from..].find("\n\n").expect("its end") + 2;
            [&stream[..from], &stream[to..]].concat()
        } else {
            stream.to_owned()
        };
        assert_eq!(String::from_utf8_lossy(&kept.out), want, "{}", fixture.name);
        assert_eq!(
            kept.facts.0,
            Some(fixture.usage),
            "{}: still counted",
            fixture.name
        );
    }
    let unterminated = CHAT
        .stream
        .strip_suffix("\n\ndata: [DONE]\n\n")
        .expect("it ends so");
    let kept = streamed(CHAT.surface, true, unterminated);
    assert!(
        !kept.out.windows(12).any(|bytes| bytes == b"\"choices\":[]"),
        "also as the last, unterminated event"
    );
}

#[test]
fn stripping_holds_back_only_the_unfinished_event() {
    let mut tap = Tap::stream(Surface::ChatCompletions, true);
    let seen = tap.feed(Bytes::from_static(
        b"data: {\"choices\":[]}\n\ndata: {\"cho",
    ));
    assert_eq!(
        seen.out,
        &b"data: {\"choices\":[]}\n\n"[..],
        "up to the boundary"
    );
    assert!(tap.at_boundary(), "what was forwarded ends at a boundary");
    assert_eq!(
        tap.feed(Bytes::from_static(b"ices\":[]}\n")).out,
        &b""[..],
        "still unfinished"
    );
    assert_eq!(
        tap.feed(Bytes::from_static(b"\n: hi\n")).out,
        &b"data: {\"choices\":[]}\n\n: hi\n"[..],
        "released"
    );
    let mut plain = Tap::stream(Surface::ChatCompletions, false);
    assert!(plain.at_boundary(), "before anything");
    assert_eq!(
        plain.feed(Bytes::from_static(b"data: x")).out,
        &b"data: x"[..],
        "nothing held back"
    );
    assert!(!plain.at_boundary(), "inside an event");
}

#[test]
fn lying_usage_neither_panics_nor_wraps() {
    for (usage, want) in [
        ("null", None),
        ("{}", None),
        ("[]", None),
        ("\"12\"", None),
        (r#"{"prompt_tokens":null,"completion_tokens":3}"#, None),
        (r#"{"prompt_tokens":5}"#, None),
        (r#"{"prompt_tokens":5,"total_tokens":8}"#, Some((5, 3))),
        (r#"{"prompt_tokens":-5,"completion_tokens":3}"#, None),
        (
            r#"{"prompt_tokens":5.0,"completion_tokens":3.9}"#,
            Some((5, 3)),
        ),
        (
            r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}"#,
            None,
        ),
        (r#"{"prompt_tokens":1e300,"completion_tokens":3}"#, None),
        (
            r#"{"prompt_tokens":5,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":99}}"#,
            Some((5, 3)),
        ),
        (
            r#"{"prompt_tokens":5,"completion_tokens":3,"completion_tokens_details":null,"x":[{}]}"#,
            Some((5, 3)),
        ),
        (
            r#"{"prompt_tokens":5,"completion_tokens":3,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":7}}"#,
            Some((5, 10)),
        ),
    ] {
        let chunk = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
        let body = format!("{{\"choices\":[],\"usage\":{usage}}}");
        let stream = streamed(Surface::ChatCompletions, false, &chunk).facts.0;
        let whole = whole(Endpoint::Generate(Surface::ChatCompletions), &body)
            .facts
            .0;
        assert_eq!(
            stream.map(|usage| (usage.input, usage.output)),
            want,
            "{usage}"
        );
        assert_eq!(stream, whole, "whole: {usage}");
        if let Some(usage) = stream {
            assert!(
                usage.cached_read <= usage.input && usage.reasoning <= usage.output,
                "{usage:?}"
            );
        }
    }
}

#[test]
fn the_last_complete_usage_wins_and_zeros_do_not_erase_a_prompt() {
    let stream = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\ndata: {\"choices\":[],\"usage\":null}\n\n";
    let usage = streamed(Surface::ChatCompletions, false, stream)
        .facts
        .0
        .expect("usage");
    assert_eq!((usage.input, usage.output), (5, 2), "chat");
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}"#;
    for (delta, want) in [
        (r#"{"output_tokens":9}"#, (15, 5, 9)),
        (
            r#"{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9}"#,
            (15, 5, 9),
        ),
        (
            r#"{"input_tokens":40,"cache_read_input_tokens":7,"cache_creation_input_tokens":2,"output_tokens":9}"#,
            (49, 7, 9),
        ),
        (r#"{"input_tokens":null,"output_tokens":null}"#, (15, 5, 1)),
    ] {
        let stream = format!(
            "data: {start}\n\ndata: {{\"type\":\"message_delta\",\"delta\":{{}},\"usage\":{delta}}}\n\n"
        );
        let seen = streamed(Surface::Messages, false, &stream);
        let usage = seen.facts.0.expect("usage");
        assert_eq!(
            (usage.input, usage.cached_read, usage.output),
            want,
            "{delta}"
        );
        assert_eq!(
            seen.facts.1,
            usage.output == 9,
            "final only with the output: {delta}"
        );
    }
}

#[test]
fn whole_answers_judged() {
    let chat = Endpoint::Generate(Surface::ChatCompletions);
    for (body, want) in [
        ("", Some((0, "malformed"))),
        ("<html>", Some((0, "malformed"))),
        ("{\"choices\":[", Some((0, "malformed"))),
        (
            r#"{"error":{"type":"server_error","message":"m"}}"#,
            Some((500, "server_error")),
        ),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            Some((529, "overloaded_error")),
        ),
        (
            r#"{"status":"failed","output":[],"error":{"code":"rate_limit_exceeded"}}"#,
            Some((429, "rate_limit_exceeded")),
        ),
        (
            r#"{"object":"error","message":"m","code":404}"#,
            Some((404, "error")),
        ),
        (r#"{"error":null,"choices":[]}"#, None),
        (r#"{"choices":[],"choices":[]}"#, None),
        ("[]", None),
    ] {
        let seen = whole(chat, body);
        assert_eq!(
            status(seen.failure),
            want.map(|(status, kind)| (status, kind.to_owned())),
            "{body}"
        );
        assert_eq!(seen.committed, want.is_none(), "{body}");
    }
    let counted = whole(Endpoint::CountTokens, r#"{"input_tokens":14}"#);
    assert_eq!(
        (counted.facts.0, counted.committed),
        (None, true),
        "a count is no usage"
    );
    let embedded = whole(
        Endpoint::Generate(Surface::Embeddings),
        r#"{"object":"list","data":[{"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
    );
    assert_eq!(
        embedded.facts.0,
        Some(Usage {
            input: 8,
            ..Usage::default()
        }),
        "embeddings"
    );
}

#[test]
fn a_huge_answer_is_not_kept_and_its_usage_is_found_at_either_end() {
    let usage = r#""model":"big","usage": {"prompt_tokens":8,"total_tokens":8}"#;
    let vector = r#"{"embedding":[0.123456789]},"#.repeat(100_000);
    for body in [
        format!("{{\"data\":[{vector}{{}}],{usage}}}"),
        format!("{{{usage},\"data\":[{vector}{{\"text\":\"\\\"usage\\\": {{}}\"}}]}}"),
    ] {
        for size in [1000, 70_000, 900_000, body.len()] {
            let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
            let seen = account(
                &mut Tap::whole(Endpoint::Generate(Surface::Embeddings)),
                &chunks,
            );
            assert_eq!(
                seen.facts.0.map(|usage| usage.input),
                Some(8),
                "in chunks of {size}"
            );
            assert_eq!(seen.names.0.as_deref(), Some("big"), "in chunks of {size}");
            assert_eq!(seen.out.len(), body.len(), "bytes pass");
        }
    }
}

#[test]
fn a_missing_done_may_end_but_a_missing_reason_may_not() {
    let done = CHAT
        .stream
        .strip_suffix("data: [DONE]\n\n")
        .expect("it ends so");
    let seen = streamed(CHAT.surface, false, done);
    assert_eq!(
        (seen.facts.2, seen.facts.3),
        (false, true),
        "no [DONE], but a reason"
    );
    let cut = &CHAT.stream[..CHAT.stream.find("\"stop\"").expect("a reason")];
    assert!(!streamed(CHAT.surface, false, cut).facts.3, "cut before it");
    let stop = MESSAGE.stream.find("event: message_stop").expect("a stop");
    assert!(
        !streamed(MESSAGE.surface, false, &MESSAGE.stream[..stop])
            .facts
            .3,
        "messages have their own end"
    );
}

#[test]
fn endless_text_is_measured_not_kept() {
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "word ".repeat(10_000)
    );
    let mut tap = Tap::stream(Surface::ChatCompletions, false);
    for _ in 0..40 {
        let _seen = tap.feed(Bytes::copy_from_slice(event.as_bytes()));
    }
    assert!(tap.output_text().len() <= 1 << 20, "bounded");
    let counted = tap.count_output(Encoding::O200k);
    assert!(
        (399_000..402_000).contains(&counted),
        "about a token a word: {counted}"
    );
}

fn pieces<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #[test]
    fn any_split_tells_the_same(
        which in 0..ALL.len(), strip: bool, crlf: bool, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        broken in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let fixture = ALL[which];
        let text = if crlf { fixture.stream.replace("\r\n", "\n").replace('\n', "\r\n") } else { fixture.stream.to_owned() };
        let stream = text.as_bytes();
        let stream = &stream[..broken.map_or(stream.len(), |at| at.index(stream.len()))];
        let tap = || Tap::stream(fixture.surface, strip);
        let whole = account(&mut tap(), &[stream]);
        prop_assert_eq!(&whole, &account(&mut tap(), &pieces(stream, &cuts)), "cut in pieces");
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&whole, &account(&mut tap(), &bytes), "byte by byte");
        if !strip {
            prop_assert_eq!(whole.out.as_slice(), stream, "bytes pass");
        }
    }

    #[test]
    fn the_commit_comes_with_the_same_byte(which in 0..ALL.len(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let Fixture { surface, stream, .. } = ALL[which];
        let first = |chunks: &[&[u8]]| {
            let (mut tap, mut fed) = (Tap::stream(surface, false), 0);
            for chunk in chunks {
                let before = fed;
                fed += chunk.len();
                if tap.feed(Bytes::copy_from_slice(chunk)).content {
                    return before..fed;
                }
            }
            0..0
        };
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        let exact = first(&bytes).end;
        let within = first(&pieces(stream.as_bytes(), &cuts));
        prop_assert!(within.start < exact && exact <= within.end, "byte {} in {:?}", exact, within);
    }

    #[test]
    fn a_whole_answer_split_tells_the_same(which in 0..ALL.len(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let fixture = ALL[which];
        let body = fixture.whole.as_bytes();
        let split = account(&mut Tap::whole(fixture.endpoint()), &pieces(body, &cuts));
        prop_assert_eq!(split, whole(fixture.endpoint(), fixture.whole));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0..Surface::ALL.len(), strip: bool, at: prop::sample::Index,
        fixture in 0..ALL.len(),
    ) {
        let surface = Surface::ALL[which];
        let mut stream = ALL[fixture].stream.as_bytes().to_vec();
        let from = at.index(stream.len());
        let to = (from + bytes.len()).min(stream.len());
        stream.splice(from..to, bytes.iter().copied());
        for input in [&bytes, &stream] {
            let mut taps = [Tap::stream(surface, strip), Tap::whole(Endpoint::Generate(surface)), Tap::whole(Endpoint::CountTokens)];
            for tap in &mut taps {
                let chunks: Vec<&[u8]> = input.chunks(7).collect();
                let seen = account(tap, &chunks);
                prop_assert!(seen.out.len() <= input.len(), "nothing is invented");
            }
        }
    }
}
