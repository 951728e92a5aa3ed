use std::time::Duration;

use pingora_http::ResponseHeader;
use proptest::prelude::*;

use super::*;
use tollgate_base::clock;
use tollgate_wire::mask::Mask;
use tollgate_wire::{Dialect, Endpoint, Surface};

const ROLE: &[u8] =
    b"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const TEXT: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const ERROR: &[u8] = b"data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\"}}\n\n";

fn gate(now: Instant) -> Gate {
    let limits = Limits {
        open_at: Some(now + Duration::from_secs(10)),
        idle: Duration::from_secs(60),
        whole: false,
        keepalive: Some(Duration::from_secs(15)),
    };
    Gate::new(limits, Arc::default(), now)
}

fn stream() -> Answer {
    Answer::Stream {
        observer: Observer::stream(Surface::ChatCompletions, false),
        close_delimited: false,
        translator: None,
    }
}

fn masking() -> Masking {
    Masking::new(Arc::new(Mask::new("a-secret-of-the-provider")))
}

fn head() -> HttpTask {
    let head = ResponseHeader::build(200, None).expect("200 is a status");
    HttpTask::Header(Box::new(head), false)
}

fn body(bytes: &'static [u8], end: bool) -> HttpTask {
    HttpTask::Body(Some(Bytes::from_static(bytes)), end)
}

fn written(pass: Pass) -> usize {
    match pass {
        Pass::Write(tasks) | Pass::Last(tasks) => tasks.len(),
        Pass::Hold => 0,
        Pass::Fail(error) => panic!("the attempt failed: {error}"),
        Pass::Translate(_) => panic!("nothing was to be translated"),
    }
}

#[test]
fn a_stream_is_held_until_its_first_content() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(stream(), None, masking(), now);
    assert_eq!(
        written(gate.pass(vec![head(), body(ROLE, false)], now)),
        0,
        "a role commits nothing"
    );
    assert_eq!(
        written(gate.pass(vec![body(TEXT, false)], now)),
        3,
        "head, role and text leave together"
    );
    assert_eq!(gate.phase(), Phase::Committed);
}

#[test]
fn an_error_before_content_fails_the_attempt_and_leaves_nothing_behind() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(stream(), None, masking(), now);
    let pass = gate.pass(vec![head(), body(ROLE, false), body(ERROR, false)], now);
    assert!(matches!(pass, Pass::Fail(_)), "nothing of it may leave");
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(stream(), None, masking(), now);
    assert_eq!(
        written(gate.pass(vec![head(), body(TEXT, false)], now)),
        2,
        "only the second attempt's tasks leave"
    );
}

#[test]
fn a_client_that_was_given_a_head_gets_no_second_one() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    assert_eq!(gate.tick(now + Duration::from_secs(10)), Tick::Open);
    gate.answering(stream(), None, masking(), now);
    assert_eq!(
        written(gate.pass(vec![head(), body(TEXT, false)], now)),
        1,
        "the text without the head"
    );
}

#[test]
fn another_attempt_is_begun_beside_one_of_which_nothing_has_come() {
    let now = clock::now();
    let after = |millis| now + Duration::from_millis(millis);
    for has_begun in [false, true] {
        let gate = gate(now);
        gate.begin(after(60_000), now);
        gate.hedge_at(after(500));
        gate.answering(stream(), None, masking(), now);
        assert_eq!(gate.wake_at(now), after(500));
        if has_begun {
            assert_eq!(written(gate.pass(vec![head(), body(ROLE, false)], now)), 0);
        }
        let due = if has_begun { Tick::Wait } else { Tick::Hedge };
        assert_eq!(gate.tick(after(500)), due);
        assert_eq!(gate.tick(after(501)), Tick::Wait, "once");
        assert!(gate.overtake());
        assert_eq!(gate.tick(after(502)), Tick::Expire);
        assert!(!gate.overtake(), "once");
    }
}

#[test]
fn comments_stand_only_between_events() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(stream(), None, masking(), now);
    let half =
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"cho";
    let _ = written(gate.pass(vec![head(), body(half, false)], now));
    let later = now + Duration::from_secs(20);
    assert_eq!(gate.tick(later), Tick::Wait, "an event is half written");
    let _ = written(gate.pass(vec![body(b"ices\":[]}\n\n", false)], now));
    assert_eq!(gate.tick(later), Tick::Comment);
}

#[test]
fn the_end_of_a_drain_ends_everything() {
    let now = clock::now();
    let drain = Arc::new(Drain::default());
    let limits = Limits {
        open_at: None,
        idle: Duration::from_secs(60),
        whole: false,
        keepalive: None,
    };
    let gate = Gate::new(limits, drain.clone(), now);
    gate.begin(now + Duration::from_secs(60), now);
    drain.begin(now + Duration::from_secs(5));
    assert_eq!(gate.tick(now), Tick::Wait);
    assert!(
        gate.wake_at(now) <= now + Duration::from_secs(5),
        "it must look again by then"
    );
    assert_eq!(gate.tick(now + Duration::from_secs(5)), Tick::Expire);
    assert_eq!(gate.fault(), Some(Fault::Drain));
}

/// Some providers report usage with every chunk, and one choice of several may end before the others. An answer was
/// settled with what had been reported when the first reason to end was seen.
#[test]
fn a_stream_is_settled_at_its_last_event_and_not_at_a_finish_reason() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(stream(), None, masking(), now);
    let early = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let pass = gate.pass(vec![head(), body(early, false)], now);
    assert!(matches!(pass, Pass::Write(_)), "another choice goes on");
    let late = b"data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":90}}\n\n";
    let pass = gate.pass(vec![body(late, false)], now);
    assert!(matches!(pass, Pass::Write(_)), "there may be more");
    let pass = gate.pass(vec![body(b"data: [DONE]\n\n", false)], now);
    assert!(matches!(pass, Pass::Last(_)), "the protocol's end");
    let usage = gate.with_observer(|observer| observer.usage().map(|usage| usage.output()));
    assert_eq!(usage, Some(Some(90)));
}

/// An attempt that came to its end without an answer left its mark: the next one's first event was taken for its
/// last, and the request was settled with what had been counted until then.
#[test]
fn an_attempt_that_ended_without_an_answer_does_not_end_the_next_one() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(stream(), None, masking(), now);
    let pass = gate.pass(vec![head(), body(ROLE, true)], now);
    assert!(matches!(pass, Pass::Fail(_)), "an answer without content");
    gate.begin(now + Duration::from_secs(60), now);
    gate.answering(stream(), None, masking(), now);
    let pass = gate.pass(vec![head(), body(TEXT, false)], now);
    assert!(matches!(pass, Pass::Write(_)), "it has only begun");
}

/// An answer whose length was announced is whole when its last byte is there, and an HTTP/2 provider may say only
/// afterwards that it was the last: by then it had left without having been settled.
#[test]
fn the_last_piece_of_a_long_document_waits_for_its_end() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    let observer = Observer::whole(Endpoint::Generate(Surface::ChatCompletions));
    gate.answering(Answer::Whole(observer), None, masking(), now);
    let long: &'static [u8] = Box::leak(vec![b' '; HOLD_BYTES + 1].into_boxed_slice());
    assert_eq!(
        written(gate.pass(vec![head(), body(long, false)], now)),
        1,
        "the head: the answer has committed"
    );
    assert_eq!(written(gate.pass(vec![body(b"{}", false)], now)), 1);
    match gate.pass(vec![body(b"", true)], now) {
        Pass::Last(tasks) => assert_eq!(tasks.len(), 2, "the rest, and the end"),
        _ => panic!("it is the end"),
    }
}

/// Where only the end of the connection ends a document, a cut looked like its end.
#[test]
fn a_long_document_that_is_cut_does_not_end_cleanly() {
    let now = clock::now();
    let gate = gate(now);
    gate.begin(now + Duration::from_secs(60), now);
    let observer = Observer::whole(Endpoint::Generate(Surface::ChatCompletions));
    gate.answering(Answer::Whole(observer), None, masking(), now);
    let long = format!("{{\"text\":\"{}", "x".repeat(HOLD_BYTES));
    let long = HttpTask::Body(Some(Bytes::from(long)), false);
    assert_eq!(
        written(gate.pass(vec![head(), long], now)),
        1,
        "the head: the answer has committed"
    );
    let pass = gate.pass(vec![HttpTask::Done], now);
    assert!(matches!(pass, Pass::Fail(_)), "a cut");
    assert_eq!(gate.fault(), Some(Fault::Truncated));
    assert!(!gate.is_complete(), "it has not come to its end");
}

/// It was judged while nothing had left, and its body came after the client had been given a head: it stood among the
/// events as it came, before a clean end.
#[test]
fn an_error_does_not_leave_behind_comments() {
    let start = clock::now();
    let now = start + Duration::from_secs(10);
    let short: &'static [u8] = b"{\"error\":{\"message\":\"no\"}}";
    let long: &'static [u8] = Box::leak(vec![b' '; HOLD_BYTES + 1].into_boxed_slice());
    let reworded = || {
        let error = Gathered::error(Dialect::OpenAi, "id".into(), 500, 1 << 20);
        Answer::Gathered(Box::new(error))
    };
    for (name, answer, rest) in [
        ("as it is", Answer::Relay, body(short, true)),
        ("too long to hold", Answer::Relay, body(long, false)),
        ("in other words", reworded(), body(short, true)),
    ] {
        let gate = gate(start);
        gate.begin(start + Duration::from_secs(60), start);
        gate.answering(answer, None, masking(), start);
        assert_eq!(written(gate.pass(vec![head()], start)), 0, "{name}");
        assert_eq!(gate.tick(now), Tick::Open, "{name}");
        let pass = gate.pass(vec![rest], now);
        assert!(matches!(pass, Pass::Fail(_)), "{name}");
        assert_eq!(gate.phase(), Phase::Opened, "{name}");
        assert_eq!(gate.fault(), Some(Fault::Refused), "{name}");
    }
}

/// Claude thinks without a word, and says so by pings only: it is alive for as long as they come.
#[test]
fn a_stream_that_shows_life_is_bounded_by_its_silences() {
    let start = clock::now();
    let secs = Duration::from_secs;
    let gate = gate(start);
    gate.begin(start + secs(60), start);
    gate.answering(stream(), None, masking(), start);
    let _ = written(gate.pass(vec![head()], start + secs(1)));
    assert_eq!(
        gate.tick(start + secs(59)),
        Tick::Open,
        "only its head has come"
    );
    let mut now = start + secs(59);
    for ping in [&b": ping\n\n"[..], ROLE, ROLE, ROLE] {
        let _ = written(gate.pass(vec![body(ping, false)], now));
        assert_eq!(gate.phase(), Phase::Opened, "nothing of it is content");
        now += secs(59);
        assert_ne!(gate.tick(now), Tick::Expire, "it lives");
    }
    assert_eq!(gate.tick(now + secs(1)), Tick::Expire, "it is silent");
    assert_eq!(gate.fault(), Some(Fault::Idle));
    gate.begin(now + secs(60), now);
    gate.answering(stream(), None, masking(), now);
    assert_eq!(
        gate.tick(now + secs(60)),
        Tick::Expire,
        "the next one has its own time"
    );
    assert_eq!(gate.fault(), Some(Fault::Attempt));
}

#[test]
fn a_stream_that_leaves_when_it_is_whole_can_still_fail() {
    let now = clock::now();
    let done: &[u8] = b"data: [DONE]\n\n";
    let whole = || {
        let limits = Limits {
            open_at: None,
            idle: Duration::from_secs(60),
            whole: true,
            keepalive: None,
        };
        let gate = Gate::new(limits, Arc::default(), now);
        gate.begin(now + Duration::from_secs(60), now);
        gate.answering(stream(), None, masking(), now);
        assert_eq!(written(gate.pass(vec![head(), body(TEXT, false)], now)), 0);
        gate
    };
    assert_eq!(
        written(whole().pass(vec![body(done, false)], now)),
        3,
        "all at once"
    );
    assert!(matches!(
        whole().pass(vec![body(ERROR, false)], now),
        Pass::Fail(_)
    ));
    assert!(
        matches!(whole().pass(vec![HttpTask::Done], now), Pass::Fail(_)),
        "a cut"
    );
    let malformed = body(b"data: {\"choices\":[{\n\n", false);
    assert!(matches!(whole().pass(vec![malformed], now), Pass::Fail(_)));
}

/// What Pingora and the clock may do to a gate.
#[derive(Clone, Debug)]
enum Event {
    Begin,
    Head,
    Bytes(&'static [u8], bool),
    Done,
    Wait(u64),
    Overtake,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Begin),
        Just(Event::Head),
        (
            prop_oneof![Just(ROLE), Just(TEXT), Just(ERROR), Just(&b""[..])],
            any::<bool>()
        )
            .prop_map(|(b, end)| Event::Bytes(b, end)),
        Just(Event::Done),
        (0u64..90).prop_map(Event::Wait),
        Just(Event::Overtake),
    ]
}

proptest! {
    /// The law: nothing leaves before the commit, once committed the gate stays so, and of an attempt that gave way to
    /// another nothing leaves any more.
    #[test]
    fn nothing_leaves_before_commit(events in proptest::collection::vec(event(), 1..40)) {
        let mut now = clock::now();
        let gate = gate(now);
        gate.begin(now + Duration::from_secs(60), now);
        gate.answering(stream(), None, masking(), now);
        let (mut committed, mut gave_way) = (false, false);
        for event in events {
            let tasks = match event {
                // The machine never begins another attempt after commit.
                Event::Begin if !committed => {
                    gate.begin(now + Duration::from_secs(60), now);
                    gate.answering(stream(), None, masking(), now);
                    gave_way = false;
                    continue;
                }
                Event::Begin => continue,
                Event::Overtake => {
                    let gives_way = gate.overtake();
                    prop_assert!(!(gives_way && committed), "what has committed gives way to nobody");
                    gave_way |= gives_way;
                    continue;
                }
                Event::Head => vec![head()],
                Event::Bytes(bytes, end) => vec![body(bytes, end)],
                Event::Done => vec![HttpTask::Done],
                Event::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    let _ = gate.tick(now);
                    prop_assert!(gate.wake_at(now) > now || gate.tick(now) != Tick::Wait, "a wait that does not wait");
                    continue;
                }
            };
            if let Pass::Write(tasks) | Pass::Last(tasks) = gate.pass(tasks, now) {
                prop_assert_eq!(gate.phase(), Phase::Committed, "{} tasks left before commit", tasks.len());
            }
            prop_assert!(!gave_way || gate.phase() != Phase::Committed, "what gave way has committed");
            prop_assert!(!committed || gate.phase() == Phase::Committed, "a commit was taken back");
            committed = gate.phase() == Phase::Committed;
        }
    }
}
