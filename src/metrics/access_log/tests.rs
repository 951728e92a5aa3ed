//! Lines are whole, escaped, bounded and in the file.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::*;
use tollgate_base::Timestamp;
use tollgate_wire::Surface;
use tollgate_wire::report::Usage;

const PATIENCE: Duration = Duration::from_secs(10);

fn counter() -> IntCounter {
    IntCounter::new("dropped", "for tests").unwrap()
}

fn entry<'a>(model: &'a str, attempts: &'a [Attempt<'a>]) -> Entry<'a> {
    Entry {
        time: Timestamp(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)),
        request_id: "req-1",
        trace_id: None,
        access_key: Some("app"),
        account: Some("default"),
        configuration: None,
        method: "POST",
        path: "/v1/chat/completions",
        surface: Some(Surface::ChatCompletions),
        requested_model: Some(model),
        provider: Some("demo"),
        model: Some("echo"),
        attempts,
        status: Some(200),
        error: None,
        stream: true,
        bytes_in: 300,
        bytes_out: 4_096,
        tokens: Some(Usage::tokens(3, 5)),
        estimated: false,
        to_commit: Some(Duration::from_micros(12_900)),
        total: Duration::from_millis(250),
        client_ip: Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        client_gone: false,
        idempotency: None,
    }
}

fn written(entry: &Entry<'_>) -> String {
    let mut line = Vec::new();
    entry.write(&mut line);
    String::from_utf8(line).expect("a line is UTF-8")
}

#[test]
fn one_line_says_it_all() {
    let attempts = [
        Attempt {
            provider: "demo",
            model: "429",
            outcome: "status_429",
            provider_request_id: None,
        },
        Attempt {
            provider: "demo",
            model: "echo",
            outcome: "ok",
            provider_request_id: None,
        },
    ];
    let line = written(&entry("demo:429", &attempts));
    insta::assert_snapshot!(line, @r#"{"time":"2023-11-14T22:13:20.123Z","request_id":"req-1","access_key":"app","account":"default","method":"POST","path":"/v1/chat/completions","surface":"openai/chat-completions","requested_model":"demo:429","provider":"demo","model":"echo","attempts":[{"provider":"demo","model":"429","outcome":"status_429"},{"provider":"demo","model":"echo","outcome":"ok"}],"status":200,"stream":true,"bytes_in":300,"bytes_out":4096,"tokens":{"input":3,"cached_read":0,"cache_write":0,"output":5,"reasoning":0},"commit_ms":12,"total_ms":250,"client_ip":"::1"}"#);
}

#[test]
fn a_trace_is_named_as_tracing_backends_do() {
    let traced = Entry {
        trace_id: Some(0xabc),
        ..entry("m", &[])
    };
    let line = written(&traced);
    let named = r#""request_id":"req-1","trace_id":"00000000000000000000000000000abc","#;
    assert!(line.contains(named), "{line}");
}

#[test]
fn what_is_not_known_is_left_out() {
    let nothing = Entry {
        access_key: None,
        account: None,
        surface: None,
        requested_model: None,
        provider: None,
        model: None,
        status: None,
        tokens: None,
        to_commit: None,
        client_ip: None,
        client_gone: true,
        idempotency: Some("joined"),
        error: Some("ERR_TOLLGATE_27007"),
        ..entry("", &[])
    };
    let line = written(&nothing);
    assert!(!line.contains("null"), "{line}");
    assert!(line.contains(r#""client_gone":true"#), "{line}");
    assert!(line.ends_with(r#","idempotency":"joined"}"#), "{line}");
}

#[test]
fn lines_of_many_threads_stay_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let dropped = counter();
    let log = AccessLog::start(&Target::File(path.clone()), dropped.clone()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = log.clone();
            scope.spawn(move || {
                for n in 0..500 {
                    log.write(&entry(&format!("m-{thread}-{n}"), &[]));
                }
            });
        }
    });
    assert!(log.flush(PATIENCE), "everything is written in time");
    let text = fs::read_to_string(&path).unwrap();
    let mut models: Vec<String> = text
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect(line);
            value["requested_model"].as_str().unwrap().to_owned()
        })
        .collect();
    models.sort();
    models.dedup();
    assert_eq!(models.len(), 2_000, "each line once");
    assert_eq!(dropped.get(), 0);
}

#[test]
fn a_rotated_file_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (
        dir.path().join("access.log"),
        dir.path().join("access.log.1"),
    );
    let log = AccessLog::start(&Target::File(path.clone()), counter()).unwrap();
    log.write(&entry("before", &[]));
    assert!(log.flush(PATIENCE));
    fs::rename(&path, &rotated).unwrap();
    log.reopen();
    log.write(&entry("after", &[]));
    assert!(log.flush(PATIENCE));
    let (old, new) = (
        fs::read_to_string(&rotated).unwrap(),
        fs::read_to_string(&path).unwrap(),
    );
    assert!(
        old.contains("before") && !new.contains("before"),
        "{old}\n{new}"
    );
    assert!(new.contains("after"), "{old}\n{new}");
}

#[test]
fn a_full_buffer_drops_and_counts() {
    let shared = Shared {
        state: Mutex::new(Queue::default()),
        work: Condvar::new(),
        written: Condvar::new(),
        dropped: counter(),
    };
    // No writer: nothing ever leaves the buffer.
    let line = vec![b'x'; 1024 * 1024];
    for _ in 0..10 {
        shared.append(&line);
    }
    assert_eq!(shared.dropped.get(), 2, "8 MiB fit");
    assert_eq!(shared.state.lock().pending.len(), MAX_PENDING);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let target = Target::File("/nonexistent/dir/access.log".into());
    let error = AccessLog::start(&target, counter())
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nonexistent/dir/access.log"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_counted_and_does_not_hang() {
    let dropped = counter();
    let log = AccessLog::start(&Target::File("/dev/full".into()), dropped.clone()).unwrap();
    log.write(&entry("lost", &[]));
    log.write(&entry("lost", &[]));
    assert!(log.flush(PATIENCE), "the writer must not stall");
    assert_eq!(dropped.get(), 2, "both lines are lost and counted");
}

#[test]
fn off_is_off() {
    let log = AccessLog::start(&Target::Off, counter()).unwrap();
    log.write(&entry("m", &[]));
    assert!(log.flush(Duration::ZERO));
}

/// Any entry, made of texts that include what JSON escapes.
#[derive(Clone, Debug)]
struct Sample {
    texts: Vec<Option<String>>,
    attempts: Vec<(String, String, String)>,
    numbers: [u64; 7],
    surface: Option<Surface>,
    status: Option<u16>,
    flags: [bool; 4],
    millis: (Option<u64>, u64),
    ip: Option<IpAddr>,
}

fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x7f]{0,20}",
        "[a-z0-9:/._-]{0,40}",
        "([\"\\\\\\x00-\\x1f\\x7f]|é|\\u{2028}|😀){0,9}",
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    (
        prop::collection::vec(prop::option::of(odd_text()), 9),
        prop::collection::vec((odd_text(), odd_text(), odd_text()), 0..4),
        any::<[u64; 7]>(),
        prop::option::of(prop::sample::select(Surface::ALL.to_vec())),
        any::<Option<u16>>(),
        any::<[bool; 4]>(),
        any::<(Option<u32>, u64)>(),
        any::<Option<IpAddr>>(),
    )
        .prop_map(
            |(texts, attempts, numbers, surface, status, flags, millis, ip)| Sample {
                texts,
                attempts,
                numbers,
                surface,
                status,
                flags,
                millis: (millis.0.map(u64::from), millis.1),
                ip,
            },
        )
}

proptest! {
    // Seeds of failures are kept beside this file, not at the top level.
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        ..ProptestConfig::default()
    })]

    /// The line is what serde_json would write, but for the spelling of escapes.
    #[test]
    fn what_is_written_reads_back_as_what_it_was(sample in sample()) {
        let text = |n: usize| sample.texts[n].as_deref();
        let attempts: Vec<Attempt<'_>> = sample
            .attempts
            .iter()
            .map(|(provider, model, outcome)| Attempt { provider, model, outcome, provider_request_id: None })
            .collect();
        let [input, cached_read, cache_write, output, reasoning, bytes_in, bytes_out] = sample.numbers;
        let [stream, estimated, client_gone, used] = sample.flags;
        let tokens = used.then_some(Usage::of(input, cached_read, cache_write, output, reasoning));
        let [input, cached_read, cache_write, output, reasoning] = tokens.unwrap_or_default().figures();
        let time = Timestamp(UNIX_EPOCH + Duration::from_millis(sample.millis.1 % (1 << 41)));
        let line = written(&Entry {
            time,
            request_id: text(0).unwrap_or_default(),
            trace_id: None,
            access_key: text(1),
            account: text(2),
            configuration: text(3),
            method: text(4).unwrap_or_default(),
            path: text(5).unwrap_or_default(),
            surface: sample.surface,
            requested_model: text(6),
            provider: text(7),
            model: text(8),
            attempts: &attempts,
            status: sample.status,
            error: None,
            stream,
            bytes_in,
            bytes_out,
            tokens,
            estimated,
            to_commit: sample.millis.0.map(Duration::from_millis),
            total: Duration::from_millis(sample.millis.1),
            client_ip: sample.ip,
            client_gone,
            idempotency: None,
        });
        prop_assert!(!line.contains(['\n', '\r']), "one line: {line}");
        let back: serde_json::Value = serde_json::from_str(&line).expect(&line);
        let mut expected = serde_json::json!({
            "time": time,
            "request_id": text(0).unwrap_or_default(),
            "access_key": text(1),
            "account": text(2),
            "configuration": text(3),
            "method": text(4).unwrap_or_default(),
            "path": text(5).unwrap_or_default(),
            "surface": sample.surface,
            "requested_model": text(6),
            "provider": text(7),
            "model": text(8),
            "attempts": sample.attempts.iter().map(|(provider, model, outcome)| {
                serde_json::json!({ "provider": provider, "model": model, "outcome": outcome })
            }).collect::<Vec<_>>(),
            "status": sample.status,
            "stream": stream,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "tokens": used.then(|| serde_json::json!({
                "input": input, "cached_read": cached_read, "cache_write": cache_write, "output": output,
                "reasoning": reasoning,
            })),
            "estimated": estimated.then_some(true),
            "commit_ms": sample.millis.0,
            "total_ms": sample.millis.1,
            "client_ip": sample.ip,
            "client_gone": client_gone.then_some(true),
        });
        if let Some(members) = expected.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        prop_assert_eq!(back, expected, "{}", line);
    }
}
