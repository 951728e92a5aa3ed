//! How the gateway treats its own connections to providers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::help::{SOON, slow_words};
use crate::common::certs::ca_pem;
use crate::common::client::{Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_answer, chat_stop, chat_word, gzip};
use crate::common::sse;

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    for wire in [Wire::H1, Wire::TlsH1, Wire::TlsH2] {
        let fake = Fake::good(wire, "hi").await;
        let gateway = Gateway::builder()
            .fake("f", &fake)
            .config(json!({"proxy": {"threads": 1}}))
            .start()
            .await;
        let mut client = Client::connect(Version::H1, gateway.address).await;
        for round in 0..10 {
            let answer = client.ask(&Request::chat(&["m"], round % 2 == 0)).await;
            assert_eq!(
                (answer.status(), answer.clean),
                (200, true),
                "{wire:?} {round}"
            );
        }
        assert_eq!(fake.connections(), 1, "{wire:?}");
    }
}

#[tokio::test]
async fn tls_sessions_of_providers_that_the_system_trusts_are_taken_up_again() {
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(trusted.path(), ca_pem()).unwrap();
    // A connection is no more than one answer's.
    let fake = Fake::start(Wire::TlsH1, Script::chat(false, "hi").cut()).await;
    let gateway = Gateway::builder()
        .provider(provider_at("f", &fake.base_url()))
        .env("SSL_CERT_FILE", trusted.path().to_str().unwrap())
        .config(json!({"proxy": {"threads": 1}}))
        .start()
        .await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    for _ in 0..3 {
        let answer = client.ask(&Request::chat(&["m"], false)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!((fake.connections(), fake.resumed()), (3, 2));
}

#[tokio::test]
async fn http2_upstream_is_multiplexed() {
    let fake = Fake::start(Wire::TlsH2, slow_words(4, 250)).await;
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(json!({"proxy": {"threads": 1}}))
        .start()
        .await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    client.ask(&Request::chat(&["m"], true)).await;
    let asked = (0..20).map(|_| async {
        let mut client = Client::connect(Version::H1, gateway.address).await;
        client.ask(&Request::chat(&["m"], true)).await
    });
    for answer in futures::future::join_all(asked).await {
        assert_eq!((answer.status(), answer.clean), (200, true));
    }
    assert_eq!(fake.count(), 21);
    assert_eq!(
        fake.connections(),
        1,
        "twenty streams at a time on the one connection there was"
    );
}

/// A provider that answers one request a connection, says that it keeps it, and closes it `linger` later. It counts the
/// requests that it was sent all the same.
async fn forgetful(
    linger: Duration,
    received: Arc<AtomicUsize>,
) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let body = chat_answer("hi").to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (received, answer) = (received.clone(), answer.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                tokio::time::sleep(linger).await;
                stream.shutdown().await.unwrap();
                if stream.read(&mut buffer).await.unwrap_or(0) > 0 {
                    received.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    (base, task)
}

#[tokio::test]
async fn a_pooled_connection_that_the_provider_closed_is_replaced_without_a_word() {
    // Closed long before the next request, and just about when it comes.
    for (linger, pause) in [(0, 100), (20, 20), (20, 19), (20, 21)] {
        let received = Arc::new(AtomicUsize::new(0));
        let (base, task) = forgetful(Duration::from_millis(linger), received.clone()).await;
        let gateway = Gateway::builder()
            .provider(provider_at("f", &base))
            .start()
            .await;
        let mut client = Client::connect(Version::H1, gateway.address).await;
        let mut lost = 0;
        for round in 0..15 {
            let case = format!("{linger} {pause} {round}");
            let answer = client.ask(&Request::chat(&["m"], false)).await;
            assert_eq!(answer.header("x-tollgate-attempts"), Some("1"), "{case}");
            // What the provider had before it closed may have been carried out: it is not sent again.
            if answer.status() != 200 {
                lost += 1;
                let was_sent = || received.load(Ordering::SeqCst) >= lost;
                assert!(
                    eventually(SOON, was_sent).await,
                    "{case}: {}",
                    answer.text()
                );
                // Which says that its connection closes.
                client = Client::connect(Version::H1, gateway.address).await;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        assert!(pause < 100 || lost == 0, "{lost} of those that came late");
        task.abort();
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Fake::good(Wire::H1, "stolen").await;
    let location = format!("{}/chat/completions", elsewhere.base_url());
    let redirecting = Fake::answering(Wire::H1, move |seen| {
        let status = seen.header("x-test-status").unwrap().parse().unwrap();
        Script::new()
            .length()
            .head(status, &[("location", &location)])
            .data("moved")
    })
    .await;
    let gateway = Gateway::builder().fake("f", &redirecting).start().await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    for status in ["301", "302", "303", "307", "308"] {
        let answer = client
            .ask(&Request::chat(&["m"], false).header("x-test-status", status))
            .await;
        assert!(answer.status() >= 300, "{status}: {}", answer.text());
        assert_eq!(
            answer.header("location"),
            None,
            "{status}: an application must not be led around the gateway"
        );
    }
    assert_eq!(
        elsewhere.count(),
        0,
        "a key travels only to where it belongs"
    );
}

#[tokio::test]
async fn interim_answers_are_between_the_gateway_and_its_provider() {
    for wire in [Wire::H1, Wire::TlsH2] {
        let script = [Script::chat(false, "hi"), Script::chat(true, "hi")];
        let fake = Fake::answering(wire, move |seen| {
            let mut script = script[usize::from(seen.json()["stream"] == true)].clone();
            for status in [103, 102] {
                script.acts.insert(0, Act::Interim(status));
            }
            script
        })
        .await;
        let gateway = Gateway::builder().fake("f", &fake).start().await;
        let mut raw = super::help::Raw::connect(gateway.address).await;
        let body = super::help::small_body();
        let head = super::help::post_head("/v1/chat/completions");
        raw.send(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes())
            .await;
        raw.send(&body).await;
        let answer = raw
            .read_until("\"total_tokens\":10}}", super::help::SOON)
            .await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{wire:?}: {answer}");
        assert!(!answer.contains("x-interim"), "{wire:?}: {answer}");
        let mut client = Client::connect(Version::H2, gateway.address).await;
        let answer = client.ask(&Request::chat(&["m"], true)).await;
        assert_eq!(
            (answer.status(), sse::chat_text(&answer.body).as_str()),
            (200, "hi"),
            "{wire:?}"
        );
    }
}

#[tokio::test]
async fn answers_that_are_compressed_all_the_same_are_undone() {
    let stream = [
        chat_word("hello "),
        chat_word("you"),
        chat_stop(),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    for wire in [Wire::H1, Wire::TlsH2] {
        let stream = stream.clone();
        let fake = Fake::answering(wire, move |seen| {
            let (kind, body) = match seen.json()["stream"] == true {
                true => ("text/event-stream", stream.clone()),
                false => ("application/json", chat_answer("hello you").to_string()),
            };
            let script =
                Script::new().head(200, &[("content-type", kind), ("content-encoding", "gzip")]);
            gzip(body.as_bytes())
                .chunks(50)
                .fold(script, |script, piece| script.data(piece.to_vec()))
        })
        .await;
        let gateway = Gateway::builder().fake("f", &fake).start().await;
        for version in [Version::H1, Version::H2] {
            let mut client = Client::connect(version, gateway.address).await;
            let answer = client.ask(&Request::chat(&["m"], true)).await;
            assert_eq!(
                sse::chat_text(&answer.body),
                "hello you",
                "{wire:?} {version:?}: {}",
                answer.text()
            );
            assert_eq!(
                answer.header("content-encoding"),
                None,
                "{wire:?} {version:?}"
            );
            let answer = client.ask(&Request::chat(&["m"], false)).await;
            assert_eq!(
                answer.json(),
                chat_answer("hello you"),
                "{wire:?} {version:?}"
            );
            assert!(answer.clean, "{wire:?} {version:?}");
        }
        assert_eq!(fake.seen()[0].header("accept-encoding"), Some("identity"));
        let log = gateway.access_log();
        assert!(
            log.iter()
                .all(|line| line["tokens"]["output"].as_u64() > Some(0)),
            "the observer reads it too: {log:?}"
        );
    }
}

/// A provider whose whole answer is `head`, a byte every `pause`, or all at once.
async fn odd_head(head: Vec<u8>, pause: Option<Duration>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = head.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                drop(stream.read(&mut buffer).await);
                let size = if pause.is_some() { 1 } else { head.len() };
                for piece in head.chunks(size) {
                    if stream.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause.unwrap_or_default()).await;
                }
                tokio::time::sleep(Duration::from_secs(20)).await;
            });
        }
    });
    (base, task)
}

#[tokio::test]
async fn odd_heads_are_failures_of_the_attempt() {
    let good = Fake::good(Wire::H1, "hi").await;
    let slow = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(2000)).into_bytes();
    let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(8 << 20)).into_bytes();
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(20_000)).into_bytes();
    let cases = [
        ("slow", slow, Some(Duration::from_millis(20))),
        ("huge", huge, None),
        ("many", many, None),
        ("garbage", b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), None),
        ("status", b"HTTP/1.1 20x OK\r\n\r\n".to_vec(), None),
        (
            "lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_vec(),
            None,
        ),
    ];
    let mut builder = Gateway::builder().fake("good", &good);
    let mut tasks = Vec::new();
    for (id, head, pause) in cases.clone() {
        let (base, task) = odd_head(head, pause).await;
        builder = builder.provider(provider_at(id, &base));
        tasks.push(task);
    }
    let gateway = builder.start().await;
    let asked = cases.iter().map(|(id, ..)| {
        let address = gateway.address;
        async move {
            let mut client = Client::connect(Version::H1, address).await;
            let answer = client
                .ask(&Request::chat(&[&format!("{id}:m"), "good:m"], false))
                .await;
            assert_eq!(answer.status(), 200, "{id}: {}", answer.text());
            assert_eq!(answer.header("x-tollgate-attempts"), Some("2"), "{id}");
            assert!(
                answer.to_head < Duration::from_secs(10),
                "{id}: {:?}",
                answer.to_head
            );
        }
    });
    futures::future::join_all(asked).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}
