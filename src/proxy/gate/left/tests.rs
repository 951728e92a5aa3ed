use std::sync::Arc;

use bytes::Bytes;
use pingora_error::{Error, ErrorType};
use pingora_http::ResponseHeader;

use super::super::{HOLD_BYTES, Limits};
use super::*;
use crate::proxy::drain::Drain;
use tollgate_wire::mask::{Mask, Masking};
use tollgate_wire::{Endpoint, Surface};

const GRACE: Duration = Duration::from_secs(20);

const WORD: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
const SO_FAR: &str = r#"data: {"choices":[{"index":1,"delta":{"content":"on"}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
const DONE: &str = "data: [DONE]";
const PING: &str = ": ping";
const FAULT: &str = r#"data: {"error":{"message":"no","type":"server_error"}}"#;

fn event(text: &str) -> HttpTask {
    HttpTask::Body(Some(format!("{text}\n\n").into()), false)
}

fn reset() -> HttpTask {
    HttpTask::Failed(Error::new_up(ErrorType::ConnectionClosed))
}

/// A gate whose answer has begun with these tasks, and its drain.
fn gate(answer: Answer, tasks: Vec<HttpTask>, now: Instant) -> (Gate, Arc<Drain>) {
    let limits = Limits {
        open_at: None,
        idle: Duration::from_secs(5),
        whole: false,
        keepalive: None,
    };
    let drain = Arc::new(Drain::default());
    let gate = Gate::new(limits, drain.clone(), now);
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(answer, None, Masking::new(Arc::new(Mask::new(""))), now);
    let head = ResponseHeader::build(200, None).expect("200 is a status");
    let mut begun = vec![HttpTask::Header(Box::new(head), false)];
    begun.extend(tasks);
    let _pass = gate.pass(begun, now);
    (gate, drain)
}

fn stream() -> Answer {
    Answer::Stream {
        observer: Observer::stream(Surface::ChatCompletions, false),
        close_delimited: false,
        translator: None,
    }
}

/// What happens after the client has left, a second after the other.
enum Then {
    Says(Vec<HttpTask>),
    Waits(u64),
}

#[test]
fn an_answer_is_read_on_until_its_usage_is_known_or_it_takes_too_long() {
    use Then::{Says, Waits};
    let events = |texts: &[&str]| Says(texts.iter().map(|text| event(text)).collect());
    let big = || event(&format!(": {}", "x".repeat(1 << 20)));
    for (name, before, then, want) in [
        (
            "usage and end",
            vec![],
            vec![events(&[WORD, STOP, USAGE, DONE])],
            Ended::Usage,
        ),
        (
            "in pieces",
            vec![],
            vec![events(&[STOP]), events(&[USAGE]), events(&[DONE])],
            Ended::Usage,
        ),
        (
            "no protocol's end",
            vec![],
            vec![events(&[STOP, USAGE]), Waits(1)],
            Ended::Usage,
        ),
        (
            "pings behind it",
            vec![],
            vec![events(&[STOP, USAGE]), events(&[PING])],
            Ended::Usage,
        ),
        (
            "an end without usage",
            vec![],
            vec![events(&[STOP, DONE]), Says(vec![HttpTask::Done])],
            Ended::NoUsage,
        ),
        (
            "its protocol's end only",
            vec![],
            vec![events(&[DONE]), Waits(1)],
            Ended::NoUsage,
        ),
        (
            "a bare end",
            vec![],
            vec![Says(vec![HttpTask::Done])],
            Ended::NoUsage,
        ),
        (
            "nothing more",
            vec![],
            vec![Waits(19), Waits(1)],
            Ended::Time,
        ),
        (
            "words for ever",
            vec![],
            vec![Waits(19), events(&[WORD])],
            Ended::Time,
        ),
        (
            "pings for ever",
            vec![],
            vec![Waits(19), events(&[PING])],
            Ended::Time,
        ),
        (
            "usage all the while",
            vec![],
            vec![events(&[SO_FAR]), Waits(19)],
            Ended::Time,
        ),
        (
            "another choice goes on",
            vec![],
            vec![
                events(&[STOP, SO_FAR]),
                events(&[SO_FAR]),
                events(&[SO_FAR]),
                events(&[DONE]),
            ],
            Ended::Usage,
        ),
        (
            "too much",
            vec![],
            (0..4).map(|_| Says(vec![big()])).collect(),
            Ended::Bytes,
        ),
        (
            "what came before does not count",
            vec![big(), big(), big()],
            vec![Says(vec![big()]), Waits(20)],
            Ended::Time,
        ),
        (
            "it breaks",
            vec![],
            vec![events(&[WORD]), Says(vec![reset()])],
            Ended::Broken,
        ),
        (
            "it breaks within a batch",
            vec![],
            vec![Says(vec![event(WORD), reset()])],
            Ended::Broken,
        ),
        (
            "it says that it failed",
            vec![],
            vec![events(&[WORD, FAULT])],
            Ended::Broken,
        ),
        (
            "it says so and ends",
            vec![],
            vec![Says(vec![event(FAULT), HttpTask::Done])],
            Ended::Broken,
        ),
        (
            "usage was there already",
            vec![event(STOP), event(USAGE)],
            vec![Waits(1)],
            Ended::Usage,
        ),
    ] {
        let mut now = tollgate_base::clock::now();
        let mut begun = vec![event(WORD)];
        begun.extend(before);
        let (gate, _drain) = gate(stream(), begun, now);
        assert!(gate.leave(GRACE, now), "{name}");
        let mut ended = None;
        for step in then {
            assert_eq!(ended, None, "{name}: too early");
            ended = match step {
                Then::Says(tasks) => {
                    now += Duration::from_secs(1);
                    gate.overhear(tasks, now)
                }
                Then::Waits(seconds) => {
                    now += Duration::from_secs(seconds);
                    gate.left_by(now)
                }
            };
            let until = gate.left_until(now);
            assert!(
                ended.is_some() || until > now,
                "{name}: a wait that does not wait"
            );
        }
        assert_eq!(ended, Some(want), "{name}");
        assert_eq!(gate.fault(), Some(Fault::ClientGone), "{name}");
    }
}

#[test]
fn a_document_that_has_begun_to_leave_is_read_to_its_end() {
    let now = tollgate_base::clock::now();
    let chat = || {
        Answer::Whole(Observer::whole(Endpoint::Generate(
            Surface::ChatCompletions,
        )))
    };
    let text = "x".repeat(HOLD_BYTES);
    let begun = format!(r#"{{"choices":[{{"message":{{"content":"{text}"#);
    let rest = r#""}}],"usage":{"prompt_tokens":7,"completion_tokens":90}}"#;
    let begun = || vec![HttpTask::Body(Some(Bytes::from(begun.clone())), false)];
    for (rest, want) in [(rest, Ended::Usage), (r#""}}]}"#, Ended::NoUsage)] {
        let (gate, _drain) = gate(chat(), begun(), now);
        assert!(gate.leave(GRACE, now));
        let last = HttpTask::Body(Some(rest.into()), true);
        assert_eq!(gate.overhear(vec![last], now), Some(want), "{rest}");
    }
}

#[test]
fn what_is_not_under_way_is_not_read_on() {
    let now = tollgate_base::clock::now();
    let role = || event(r#"data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#);
    for (name, answer, tasks) in [
        ("held back", stream(), vec![role()]),
        ("it ended", stream(), vec![event(WORD), HttpTask::Done]),
        ("it failed", stream(), vec![event(WORD), event(FAULT)]),
    ] {
        let (gate, _drain) = gate(answer, tasks, now);
        assert!(!gate.leave(GRACE, now), "{name}");
        assert_eq!(gate.left_by(now + GRACE), None, "{name}");
        assert_eq!(gate.fault(), Some(Fault::ClientGone), "{name}");
    }
}

#[tokio::test]
async fn a_process_that_stops_waits_for_no_usage() {
    let now = tollgate_base::clock::now();
    let (gate, drain) = gate(stream(), vec![event(WORD)], now);
    assert!(gate.leave(GRACE, now));
    let told = gate.draining();
    tokio::pin!(told);
    let early = tokio::time::timeout(Duration::from_millis(5), &mut told).await;
    assert!(early.is_err(), "it does not stop yet");
    drain.begin(now + Duration::from_secs(600));
    told.await;
    assert_eq!(gate.left_by(now), Some(Ended::Drain));
    gate.draining().await;
    assert_eq!(gate.overhear(vec![event(USAGE)], now), Some(Ended::Drain));
    assert_eq!(gate.overhear(vec![event(STOP)], now), Some(Ended::Usage));
}

#[test]
fn without_a_grace_it_ends_at_once_with_what_is_known() {
    let now = tollgate_base::clock::now();
    for (tasks, want) in [
        (vec![event(WORD)], Ended::Time),
        (vec![event(WORD), event(STOP), event(USAGE)], Ended::Usage),
    ] {
        let (gate, _drain) = gate(stream(), tasks, now);
        assert!(gate.leave(Duration::ZERO, now));
        assert_eq!(gate.left_by(now), Some(want));
    }
}
