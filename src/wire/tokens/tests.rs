//! The laws of the observer, over realistic answers and over arbitrary bytes.

mod judged;
mod large;
mod laws;
mod long;
mod usage;

use super::fixtures::{ALL, CHAT, COMPLETION, Fixture, MESSAGE, TOOLS};
use super::*;
use crate::report::{StreamFailure, Usage};
use crate::{Endpoint, Surface};
use bytes::Bytes;

/// Everything an observer says of an answer fed in `chunks`, with the forwarded bytes joined.
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

fn account(observer: &mut Observer, chunks: &[&[u8]]) -> Account {
    let (mut out, mut committed, mut failure) = (vec![], false, None);
    for chunk in chunks {
        let seen = observer.feed(Bytes::copy_from_slice(chunk));
        assert!(!committed || seen.content, "content stays seen");
        committed = seen.content;
        failure = failure.or(seen.failure);
        out.extend_from_slice(&seen.out);
    }
    let seen = observer.finish();
    out.extend_from_slice(&seen.out);
    Account {
        out,
        committed: seen.content,
        failure: failure.or(seen.failure),
        facts: (
            observer.usage(),
            observer.usage_final(),
            observer.complete(),
            observer.may_end(),
        ),
        names: (
            observer.model().map(str::to_owned),
            observer.finish_reason().map(str::to_owned),
        ),
        text: observer.output_text().to_owned(),
    }
}

fn streamed(surface: Surface, strip: bool, stream: &str) -> Account {
    account(&mut Observer::stream(surface, strip), &[stream.as_bytes()])
}

fn whole(endpoint: Endpoint, body: &str) -> Account {
    account(&mut Observer::whole(endpoint), &[body.as_bytes()])
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
        let mut observer = Observer::stream(surface, false);
        let seen = observer.feed(Bytes::copy_from_slice(&stream.as_bytes()[..before + 2]));
        assert!(!seen.content, "{name}: a prelude does not commit");
        let seen = observer.feed(Bytes::copy_from_slice(&stream.as_bytes()[before + 2..end]));
        assert!(seen.content, "{name}: content commits");
    }
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
    let mut observer = Observer::stream(Surface::ChatCompletions, true);
    let seen = observer.feed(Bytes::from_static(
        b"data: {\"choices\":[]}\n\ndata: {\"cho",
    ));
    assert_eq!(
        seen.out,
        &b"data: {\"choices\":[]}\n\n"[..],
        "up to the boundary"
    );
    assert!(
        observer.at_boundary(),
        "what was forwarded ends at a boundary"
    );
    assert_eq!(
        observer.feed(Bytes::from_static(b"ices\":[]}\n")).out,
        &b""[..],
        "still unfinished"
    );
    assert_eq!(
        observer.feed(Bytes::from_static(b"\n: hi\n")).out,
        &b"data: {\"choices\":[]}\n\n: hi\n"[..],
        "released"
    );
    let mut plain = Observer::stream(Surface::ChatCompletions, false);
    assert!(plain.at_boundary(), "before anything");
    assert_eq!(
        plain.feed(Bytes::from_static(b"data: x")).out,
        &b"data: x"[..],
        "nothing held back"
    );
    assert!(!plain.at_boundary(), "inside an event");
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
