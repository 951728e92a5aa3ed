//! Where one request ends and the next begins: nobody may be led to see it differently.

use std::time::Duration;

use super::help::{Raw, SOON, post_head, small_body};
use crate::common::TOKEN;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;

/// Silence after which an answer counts as all there is.
const SILENCE: Duration = Duration::from_millis(700);

fn smuggled() -> String {
    format!(
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 2\r\n\r\n{{}}"
    )
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_nothing_is_smuggled() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let head = post_head("/v1/chat/completions");
    let body = String::from_utf8(small_body().to_vec()).unwrap();
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let smuggled = smuggled();
    // Name, the rest of the head and what follows it.
    let attempts: Vec<(&str, String)> = vec![
        (
            "two lengths",
            format!(
                "content-length: {length}\r\ncontent-length: {}\r\n\r\n{body}",
                length + 5
            ),
        ),
        (
            "lengths in a list",
            format!("content-length: {length}, 5\r\n\r\n{body}"),
        ),
        (
            "a signed length",
            format!("content-length: +{length}\r\n\r\n{body}"),
        ),
        (
            "a negative length",
            format!("content-length: -1\r\n\r\n{body}"),
        ),
        (
            "a hexadecimal length",
            format!("content-length: 0x{length:x}\r\n\r\n{body}"),
        ),
        (
            "a length beyond 64 bits",
            format!("content-length: 99999999999999999999999\r\n\r\n{body}"),
        ),
        (
            "an unknown coding",
            format!("transfer-encoding: xchunked\r\n\r\n{chunked}"),
        ),
        (
            "chunked and then another",
            format!("transfer-encoding: chunked, identity\r\n\r\n{chunked}"),
        ),
        (
            "identity",
            format!("transfer-encoding: identity\r\ncontent-length: {length}\r\n\r\n{body}"),
        ),
        (
            "a space before the colon",
            format!("content-length : {length}\r\n\r\n{body}"),
        ),
        (
            "a folded header",
            format!("x: a\r\n b\r\ncontent-length: {length}\r\n\r\n{body}"),
        ),
        (
            "a folded length",
            format!("x: a\r\n content-length: {length}\r\n\r\n{body}"),
        ),
        (
            "a length of its own and a coding",
            format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{body}"),
        ),
        (
            "a folded coding",
            format!("transfer-encoding:\r\n chunked\r\n\r\n{chunked}"),
        ),
        (
            "a NUL in a value",
            format!("x: a\0b\r\ncontent-length: {length}\r\n\r\n{body}"),
        ),
        (
            "a NUL in a name",
            format!("x\0y: a\r\ncontent-length: {length}\r\n\r\n{body}"),
        ),
        (
            "a bare CR",
            format!("x: a\rtransfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{body}"),
        ),
        (
            "a chunk size that is none",
            format!("transfer-encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a negative chunk size",
            format!("transfer-encoding: chunked\r\n\r\n-1\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk size beyond 64 bits",
            format!("transfer-encoding: chunked\r\n\r\n1ffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk that is too long",
            format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}xx\r\n0\r\n\r\n"),
        ),
    ];
    let one = async |name: &str, rest: &str| {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(format!("{head}{rest}{smuggled}").as_bytes()).await;
        let (answer, closed) = raw.read(SILENCE).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{name}: {answer}"
        );
        assert!(
            closed,
            "{name}: the connection must not be used again: {answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            usize::from(!answer.is_empty()),
            "{name}: {answer}"
        );
    };
    futures::future::join_all(attempts.iter().map(|(name, rest)| one(name, rest))).await;
    assert_eq!(fake.count(), 0, "{:?}", fake.seen());
}

#[tokio::test]
async fn odd_but_clear_requests_are_served_and_their_tails_are_not() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let head = post_head("/v1/chat/completions");
    let body = String::from_utf8(small_body().to_vec()).unwrap();
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let smuggled = smuggled();
    // The coding decides (RFC 9112, 6.3), and the connection is not used again.
    for (name, lengths) in [
        ("both", "content-length: 3\r\ntransfer-encoding: chunked"),
        (
            "the other way round",
            "transfer-encoding: chunked\r\ncontent-length: 3",
        ),
    ] {
        let before = fake.count();
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(format!("{head}{lengths}\r\n\r\n{chunked}{smuggled}").as_bytes())
            .await;
        let (answer, closed) = raw.read(SOON).await;
        assert!(closed, "{name}: {answer}");
        assert!(
            answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 400 "),
            "{name}: {answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{name}: one answer: {answer}"
        );
        let seen = fake.seen();
        assert!(seen.len() <= before + 1, "{name}");
        assert!(
            seen.iter()
                .all(|seen| seen.path == "/v1/chat/completions" && seen.body == body),
            "{name}: {seen:?}"
        );
    }
    for (name, rest) in [
        (
            "the same length twice",
            format!("content-length: {length}\r\ncontent-length: {length}\r\n\r\n{body}"),
        ),
        (
            "a chunk extension",
            format!("transfer-encoding: chunked\r\n\r\n{length:x};a=b\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a trailer",
            format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\nx: y\r\n\r\n"),
        ),
        (
            "CHUNKED",
            format!("transfer-encoding: CHUNKED\r\n\r\n{chunked}"),
        ),
        (
            "bare line feeds",
            format!("content-length: {length}\r\n\r\n{body}").replace("\r\n", "\n"),
        ),
    ] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(format!("{head}{rest}").as_bytes()).await;
        let answer = raw.read_until("\r\n\r\n", SOON).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 400 "),
            "{name}: {answer}"
        );
        if answer.starts_with("HTTP/1.1 200 ") {
            assert_eq!(fake.seen().pop().unwrap().body, body, "{name}");
        }
    }
}

#[tokio::test]
async fn a_pipelined_request_is_answered_or_dropped_but_never_garbled() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let body = String::from_utf8(small_body().to_vec()).unwrap();
    let chat = format!(
        "{}content-length: {}\r\n\r\n{body}",
        post_head("/v1/chat/completions"),
        body.len()
    );
    let models =
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    for (first, second) in [
        (&chat, &chat),
        (&chat, &models),
        (&models, &chat),
        (&models, &models),
    ] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(format!("{first}{second}").as_bytes()).await;
        let (answer, closed) = raw.read(SILENCE).await;
        let heads: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).collect();
        assert!(heads.len() == 2 || closed, "{answer}");
        assert!(
            heads.len() <= 2 && heads.iter().all(|head| head.starts_with("200 ")),
            "{answer}"
        );
        assert!(!heads.is_empty() || closed, "{answer}");
    }
}

#[tokio::test]
async fn a_client_decides_whether_its_connection_is_kept() {
    let fake = Fake::good(Wire::H1, "hello you").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let body = String::from_utf8(small_body().to_vec()).unwrap();
    let head = post_head("/v1/chat/completions");
    for (what, credential) in [("served", TOKEN), ("refused", "tg-wrong")] {
        let head = head.replace(TOKEN, credential);
        let mut raw = Raw::connect(gateway.address).await;
        let closing = format!(
            "{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        raw.send(closing.as_bytes()).await;
        let (answer, closed) = raw.read(SOON).await;
        assert!(
            closed && answer.contains("Connection: close\r\n"),
            "{what}: {answer}"
        );

        if what == "refused" {
            continue; // before the body was read, so its connection is not kept either
        }
        let keeping = closing.replace("connection: close\r\n", "");
        let mut raw = Raw::connect(gateway.address).await;
        for round in 0..3 {
            assert!(raw.send(keeping.as_bytes()).await, "{what} {round}");
            let answer = raw.read_until("}}", SOON).await;
            assert!(
                answer.contains("Connection: keep-alive\r\n"),
                "{what} {round}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn http_1_0_clients_get_what_they_can_read() {
    let fake = Fake::good(Wire::H1, "hello you").await;
    let gateway = Gateway::builder().fake("f", &fake).start().await;
    let body = String::from_utf8(small_body().to_vec()).unwrap();
    for stream in [false, true] {
        let body = if stream {
            body.replace("\"messages\"", "\"stream\":true,\"messages\"")
        } else {
            body.clone()
        };
        let head = post_head("/v1/chat/completions").replace("HTTP/1.1", "HTTP/1.0");
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
            .await;
        let (answer, closed) = raw.read(SOON).await;
        assert!(closed, "{answer}");
        assert!(
            answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "),
            "{answer}"
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            !head.to_ascii_lowercase().contains("transfer-encoding"),
            "HTTP/1.0 knows no chunks: {head}"
        );
        assert!(
            body.starts_with(if stream { "data: " } else { "{" }),
            "{body}"
        );
        assert!(
            body.ends_with(if stream { "data: [DONE]\n\n" } else { "}" }),
            "{body}"
        );
    }
}
