//! What is no HTTP request is refused: one answer that SDKs do not take for a reason to send it again, one line in the
//! access log, and none that alarms. The kinds are those of Http11Probe (MDA2AV/Http11Probe).

use std::time::Duration;

use super::help::{Raw, SOON, post_head, small_body};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::{TOKEN, eventually};

/// What the gateway says to bytes from nowhere: status, error code and message; asserts that the connection ends there.
async fn told(gateway: &Gateway, what: &str, bytes: &[u8]) -> (String, String) {
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(bytes).await;
    let (answer, closed) = raw.read(SOON).await;
    assert!(closed, "{what}: still open: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("connection: close\r\n"),
        "{what}: {answer}"
    );
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let said: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {answer}"));
    let code = said["error"]["code"].as_str().unwrap_or_default();
    assert!(head.contains("x-request-id: "), "{what}: {head}");
    (status, code.to_owned())
}

#[tokio::test]
async fn what_is_no_request_is_told_so_and_logged_once() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let get = |rest: &str| format!("GET /v1/models HTTP/1.1\r\n{rest}\r\n\r\n").into_bytes();
    let line = |line: &str| format!("{line}\r\nhost: x\r\n\r\n").into_bytes();
    let chunks = |chunks: &str| {
        let head = post_head("/v1/chat/completions");
        format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}").into_bytes()
    };
    let (malformed, method) = (("400", "ERR_TOLLGATE_3826"), ("405", "ERR_TOLLGATE_3821"));
    let (target, headers) = (("414", "ERR_TOLLGATE_3827"), ("431", "ERR_TOLLGATE_3823"));
    let all: Vec<(&str, Vec<u8>, (&str, &str))> = vec![
        ("no host", get("x: y"), malformed),
        ("an empty host", get("host:"), malformed),
        ("two hosts", get("host: x\r\nhost: x"), malformed),
        ("hosts in a list", get("host: x, y"), malformed),
        ("a host with a path", get("host: x/y"), malformed),
        ("a host with a user", get("host: me@x"), malformed),
        ("a space before the colon", get("host : x"), malformed),
        ("a folded line", get("host: x\r\na: b\r\n c"), malformed),
        ("a line without a colon", get("host: x\r\nabc"), malformed),
        ("a space before the headers", get(" host: x"), malformed),
        (
            "a space in the target",
            line("GET /v1/chat completions HTTP/1.1"),
            malformed,
        ),
        ("two spaces", line("GET  /v1/models HTTP/1.1"), malformed),
        ("no version", b"GET /v1/models\r\n".to_vec(), malformed),
        (
            "an unknown version",
            line("GET /v1/models HTTP/9.9"),
            malformed,
        ),
        (
            "HTTP/2 without its preface",
            line("GET /v1/models HTTP/2.0"),
            malformed,
        ),
        ("no target", line("GET HTTP/1.1"), malformed),
        ("a fragment", line("GET /v1/models#a HTTP/1.1"), malformed),
        (
            "letters in the target",
            "GET /v1/mod\u{e9}ls HTTP/1.1\r\n".into(),
            malformed,
        ),
        (
            "only LF",
            b"GET /v1/models HTTP/1.1\nhost: x\n\n".to_vec(),
            malformed,
        ),
        (
            "only CR",
            b"GET /v1/models HTTP/1.1\rhost: x\r\r".to_vec(),
            malformed,
        ),
        ("garbage", vec![0, 1, 2, 255, 254, 10], malformed),
        ("TLS", vec![0x16, 3, 1, 0, 64, 1, 0, 0, 60, 3, 3], malformed),
        ("a tunnel", line("CONNECT x:443 HTTP/1.1"), method),
        (
            "a method of 100 KB",
            [vec![b'M'; 100 << 10], line(" / HTTP/1.1")].concat(),
            malformed,
        ),
        (
            "a target of 100 KB",
            line(&format!("GET /{} HTTP/1.1", "x".repeat(100 << 10))),
            target,
        ),
        (
            "a target that does not end",
            format!("GET /{}", "x".repeat(100 << 10)).into(),
            target,
        ),
        (
            "a value of 100 KB",
            get(&format!("host: x\r\na: {}", "b".repeat(100 << 10))),
            headers,
        ),
        (
            "a name of 100 KB",
            get(&format!("host: x\r\n{}: b", "a".repeat(100 << 10))),
            headers,
        ),
        (
            "300 headers",
            get(&format!("host: x{}", "\r\na: b".repeat(300))),
            headers,
        ),
        (
            "a chunk size that is none",
            chunks("zz\r\nhi\r\n0\r\n\r\n"),
            malformed,
        ),
        (
            "a chunk size with a prefix",
            chunks("0x2\r\n{}\r\n0\r\n\r\n"),
            malformed,
        ),
        (
            "a negative chunk size",
            chunks("-2\r\n{}\r\n0\r\n\r\n"),
            malformed,
        ),
        (
            "a chunk size beyond 64 bits",
            chunks("1ffffffffffffffff\r\n{}\r\n"),
            malformed,
        ),
        (
            "a space before a chunk size",
            chunks(" 2\r\n{}\r\n0\r\n\r\n"),
            malformed,
        ),
        (
            "a chunk that is too long",
            chunks("2\r\n{}{}\r\n0\r\n\r\n"),
            malformed,
        ),
        (
            "a chunk without its end",
            chunks("2\r\n{}0\r\n\r\n"),
            malformed,
        ),
        (
            "a chunk that ends in LF",
            chunks("2\r\n{}\n0\r\n\r\n"),
            malformed,
        ),
        (
            "an extension without a name",
            chunks("2;\r\n{}\r\n0\r\n\r\n"),
            malformed,
        ),
        (
            "a CR in an extension",
            chunks("2;a\rb\r\n{}\r\n0\r\n\r\n"),
            malformed,
        ),
        (
            "64 KB of extensions",
            chunks(&format!("2;{}\r\n", "a".repeat(64 << 10))),
            malformed,
        ),
        (
            "a trailer that is none",
            chunks("2\r\n{}\r\n0\r\nabc\r\n\r\n"),
            malformed,
        ),
    ];
    let one = async |(what, bytes, expected): &(&str, Vec<u8>, (&str, &str))| {
        let (status, code) = told(&gateway, what, bytes).await;
        assert_eq!((&*status, &*code), *expected, "{what}");
    };
    for some in all.chunks(8) {
        futures::future::join_all(some.iter().map(one)).await;
    }
    assert_eq!(fake.count(), 0, "{:?}", fake.seen());

    // A line for each, and each says which.
    let whole = || gateway.access_log().len() == all.len();
    assert!(
        eventually(SOON, whole).await,
        "{} of {}: {:?}",
        gateway.access_log().len(),
        all.len(),
        gateway.access_log()
    );
    for entry in gateway.access_log() {
        assert!(
            entry["status"].as_u64().is_some_and(|s| s >= 400),
            "{entry}"
        );
        assert!(entry["error"].is_string(), "{entry}");
        assert_eq!(entry["client_ip"], "127.0.0.1", "{entry}");
        assert!(entry.to_string().len() < 2_000, "{entry}");
    }
    let output = gateway.output();
    assert!(!output.contains(" ERROR "), "{output}");
    assert!(
        gateway
            .admin_get("/metrics")
            .contains(r#"tollgate_errors_total{code="ERR_TOLLGATE_3826"}"#)
    );
}

#[tokio::test]
async fn connections_that_end_early_alarm_nobody() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).tls().start().await;
    let head = post_head("/v1/chat/completions");
    let begun = [
        (gateway.address, Vec::new()),
        (gateway.address, b"GET /v1".to_vec()),
        (gateway.address, b"PRI * HTTP/2.0\r\n\r\nS".to_vec()),
        (
            gateway.address,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense, not a frame".to_vec(),
        ),
        (
            gateway.address,
            format!("{head}content-length: 100\r\n\r\n{{").into_bytes(),
        ),
        (
            gateway.address,
            format!("{head}transfer-encoding: chunked\r\n\r\n2\r\n{{").into_bytes(),
        ),
        (gateway.tls.unwrap(), Vec::new()),
        (gateway.tls.unwrap(), b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (gateway.tls.unwrap(), vec![0x16, 3, 1, 0, 64, 1]),
    ];
    let connections = begun.len();
    for (address, bytes) in begun {
        let mut raw = Raw::connect(address).await;
        raw.send(&bytes).await;
        // The peer has read it before the end reaches it.
        raw.read(Duration::from_millis(20)).await;
    }
    // The gateway has seen all of that once it has answered another one.
    let body = small_body();
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes())
        .await;
    raw.send(&body).await;
    let answer = raw.read_until("\r\n\r\n", SOON).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let output = gateway.output();
    assert!(!output.contains(" ERROR "), "{output}");
    let lines = output.lines().filter(|line| line.contains("andshake"));
    assert!(lines.count() <= connections, "{output}");
    assert!(gateway.access_log().len() <= connections, "{output}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let fake = Fake::answering(Wire::H1, |seen| {
        let text = seen.header("x-test-number").unwrap_or_default().to_owned();
        crate::common::script::Script::chat(false, &text)
    })
    .await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let body = String::from_utf8(small_body().to_vec()).unwrap();
    let chat = |number: usize, framed: &str| {
        let head = post_head("/v1/chat/completions");
        format!("{head}x-test-number: number-{number}\r\n{framed}")
    };
    let length = format!("content-length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "transfer-encoding: chunked\r\n\r\n{:x};a=b\r\n{body}\r\n0\r\nx: y\r\n\r\n",
        body.len()
    );
    let models =
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    let all = [
        chat(0, &length),
        chat(1, &chunked),
        models.clone(),
        chat(3, &length),
        chat(4, &chunked),
        models.clone(),
    ];
    // All at once, cut at odd places, and while the first is being answered.
    for piece in [usize::MAX, 7, 301] {
        let sent = all.concat();
        let mut raw = Raw::connect(gateway.address).await;
        for piece in sent.as_bytes().chunks(piece.min(sent.len())) {
            raw.send(piece).await;
        }
        let mut answer = String::new();
        let whole = |answer: &str| answer.matches("\"object\":\"list\"").count() == 2;
        let began = tollgate_base::clock::now();
        while !whole(&answer) && began.elapsed() < SOON {
            answer += &raw.read(Duration::from_millis(20)).await.0;
        }
        assert_eq!(
            answer.matches("HTTP/1.1 200 ").count(),
            6,
            "by {piece}: {answer}"
        );
        let marks = [
            "number-0", "number-1", "\"list\"", "number-3", "number-4", "\"list\"",
        ];
        let mut from = 0;
        for mark in marks {
            let found = answer[from..].find(mark);
            from += found.unwrap_or_else(|| panic!("{mark} by {piece}: {answer}")) + mark.len();
        }
    }

    // What follows a good one and is none is refused after it.
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(format!("{}GET /\r\n\r\n", chat(7, &length)).as_bytes())
        .await;
    let (answer, closed) = raw.read(SOON).await;
    assert!(closed, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains("\r\n\r\n{") && answer.contains("ERR_TOLLGATE_3826"),
        "{answer}"
    );

    // What follows one that closes is not looked at, and it says so.
    let mut raw = Raw::connect(gateway.address).await;
    let closing = chat(8, &length).replace("content-length", "connection: close\r\ncontent-length");
    raw.send(format!("{closing}{models}").as_bytes()).await;
    let (answer, closed) = raw.read(SOON).await;
    assert!(
        closed && answer.matches("HTTP/1.1 ").count() == 1,
        "{answer}"
    );
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_comes_early_reaches_a_client_that_still_sends() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let head = post_head("/v1/chat/completions").replace(TOKEN, "tg-wrong");
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(format!("{head}content-length: {}\r\n\r\n", 8 << 20).as_bytes())
        .await;
    let piece = vec![b' '; 1 << 20];
    for _ in 0..8 {
        assert!(raw.send(&piece).await, "the connection was reset");
    }
    let (answer, closed) = raw.read(SOON).await;
    assert!(closed && answer.starts_with("HTTP/1.1 401 "), "{answer}");
}
