//! Bounds of size: bodies, compressed or not, heads, prompts, and requests under way.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use super::help::{Raw, SOON, answers, post_head, small_body, status};
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_word};

/// `max_body` of these gateways.
const MAX_BODY: usize = 64 << 10;

async fn gateway(fake: &Fake) -> Gateway {
    let limits = json!({"proxy": {"max_body": "64KiB", "max_headers": "8KiB"}});
    Gateway::builder()
        .fake("f", fake)
        .config(limits)
        .start()
        .await
}

/// A chat completion of exactly `size` bytes.
fn chat_of(size: usize) -> Vec<u8> {
    let mut body = small_body().to_vec();
    body.resize(size, b' ');
    body
}

fn compressed(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::encode_all(body, 19).unwrap(),
    }
}

fn encoded(encoding: &str, body: Vec<u8>) -> Request {
    Request::post("/v1/chat/completions", body).header("content-encoding", encoding)
}

fn refused(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (status, code),
        "{what}: {}",
        answer.text()
    );
    assert!(answer.clean, "{what}");
}

#[tokio::test]
async fn a_body_may_be_as_long_as_max_body_and_no_byte_longer() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = gateway(&fake).await;
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        let answer = client
            .ask(&Request::post("/v1/chat/completions", chat_of(MAX_BODY)))
            .await;
        assert_eq!(answer.status(), 200, "{version:?}: {}", answer.text());
        let mut client = Client::connect(version, gateway.address).await;
        let message = Request::post("/v1/messages", chat_of(MAX_BODY + 1));
        let answer = client.ask(&message).await;
        let shape = &answer.json()["type"];
        assert_eq!((answer.status(), shape), (413, &json!("error")));
        assert!(answer.text().contains("ERR_TOLLGATE_3811"));
        for size in [MAX_BODY + 1, 20 << 20] {
            let mut client = Client::connect(version, gateway.address).await;
            let answer = client
                .ask(&Request::post("/v1/chat/completions", chat_of(size)))
                .await;
            refused(
                &answer,
                413,
                "ERR_TOLLGATE_3811",
                &format!("{version:?} {size}"),
            );
        }
    }
    assert_eq!(fake.count(), 2, "nothing that is too long goes upstream");

    // By its length alone, before a byte of it has come.
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(
        format!(
            "{}content-length: 99999999\r\n\r\n",
            post_head("/v1/chat/completions")
        )
        .as_bytes(),
    )
    .await;
    let (answer, closed) = raw.read(SOON).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && closed, "{answer}");

    // To a client that sends all of it before it listens.
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(
        format!(
            "{}content-length: 5000000\r\n\r\n",
            post_head("/v1/chat/completions")
        )
        .as_bytes(),
    )
    .await;
    for _ in 0..500 {
        raw.send(&[b' '; 10_000]).await;
    }
    let (answer, _) = raw.read(SOON).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 "),
        "the refusal must not be lost: {answer}"
    );

    // In chunks, without a length.
    let head = format!(
        "{}transfer-encoding: chunked\r\n\r\n",
        post_head("/v1/chat/completions")
    );
    for (chunks, expected) in [(60, "HTTP/1.1 200 "), (70, "HTTP/1.1 413 ")] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(head.as_bytes()).await;
        let body = small_body();
        raw.send(&[format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat())
            .await;
        for _ in 0..chunks {
            raw.send(format!("400\r\n{}\r\n", " ".repeat(0x400)).as_bytes())
                .await;
        }
        raw.send(b"0\r\n\r\n").await;
        let answer = raw.read_until("\r\n\r\n", SOON).await;
        assert!(answer.starts_with(expected), "{chunks}: {answer}");
    }
}

#[tokio::test]
async fn compressed_bodies_are_understood_and_bombs_are_not() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = gateway(&fake).await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    for encoding in ["gzip", "deflate", "zstd"] {
        let answer = client
            .ask(&encoded(encoding, compressed(encoding, &chat_of(MAX_BODY))))
            .await;
        assert_eq!(answer.status(), 200, "{encoding}: {}", answer.text());
        let seen = fake.seen().pop().unwrap();
        assert!(
            seen.body == chat_of(MAX_BODY),
            "{encoding}: what goes upstream is plain"
        );
        assert_eq!(seen.header("content-encoding"), None, "{encoding}");
    }
    let sent = fake.count();
    let before = memory_at_rest(&gateway).await;
    for encoding in ["gzip", "deflate", "zstd"] {
        let bomb = compressed(encoding, &vec![b' '; 60 << 20]);
        assert!(
            bomb.len() < MAX_BODY,
            "{encoding}: the bomb itself is small: {}",
            bomb.len()
        );
        refused(
            &client.ask(&encoded(encoding, bomb)).await,
            413,
            "ERR_TOLLGATE_3811",
            encoding,
        );
        let mut broken = compressed(encoding, &chat_of(1000));
        broken.truncate(broken.len() - 9);
        refused(
            &client.ask(&encoded(encoding, broken)).await,
            415,
            "ERR_TOLLGATE_3824",
            encoding,
        );
        let plain = small_body().to_vec();
        refused(
            &client.ask(&encoded(encoding, plain)).await,
            415,
            "ERR_TOLLGATE_3824",
            encoding,
        );
    }
    let answer = client.ask(&encoded("br", small_body().to_vec())).await;
    refused(&answer, 415, "ERR_TOLLGATE_3824", "br");
    if answer.header("connection") == Some("close") {
        client = Client::connect(Version::H1, gateway.address).await;
    }
    // A frame that wants a window of 128 MiB: magic, one byte of flags, the window's size.
    let greedy = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    refused(
        &client.ask(&encoded("zstd", greedy)).await,
        415,
        "ERR_TOLLGATE_3824",
        "a window of 128 MiB",
    );
    let grown = memory(&gateway).saturating_sub(before);
    assert!(grown < 30 << 20, "bombs of 180 MiB took {grown} bytes");
    assert_eq!(fake.count(), sent, "none of these goes upstream");
}

/// The same, once the process has nothing to prepare any more.
async fn memory_at_rest(gateway: &Gateway) -> usize {
    for _ in 0..20 {
        let before = memory(gateway);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if memory(gateway) == before {
            break;
        }
    }
    memory(gateway)
}

/// Resident memory at its peak, in bytes.
fn memory(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}

#[tokio::test]
async fn heads_are_bounded() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = gateway(&fake).await;
    for version in [Version::H1, Version::H2] {
        let padded =
            |size: usize| Request::chat(&["m"], false).header("x-padding", &"x".repeat(size));
        let mut client = Client::connect(version, gateway.address).await;
        assert_eq!(
            client.ask(&padded(7 << 10)).await.status(),
            200,
            "{version:?}"
        );
        let mut client = Client::connect(version, gateway.address).await;
        refused(
            &client.ask(&padded(9 << 10)).await,
            431,
            "ERR_TOLLGATE_3823",
            &format!("{version:?}"),
        );
        let mut long = Request::chat(&["m"], false);
        long.path += &format!("?{}", "x".repeat(9 << 10));
        let mut client = Client::connect(version, gateway.address).await;
        refused(
            &client.ask(&long).await,
            414,
            "ERR_TOLLGATE_3827",
            &format!("{version:?} path"),
        );
    }
    let mut many = Request::chat(&["m"], false);
    for index in 0..50 {
        many = many.header(&format!("x-large-{index}"), &"x".repeat(4_000));
    }
    let mut client = Client::connect(Version::H2, gateway.address).await;
    let answer = client.try_ask(&many).await;
    let refused = answer.map_or(true, |answer| matches!(answer.status(), 400 | 413 | 431));
    assert!(refused, "200 KB of headers over HTTP/2");
    // Far beyond: whoever sends it is not listened to for ever.
    for (name, size) in [("one header", 3 << 20), ("many headers", 0)] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(post_head("/v1/chat/completions").as_bytes()).await;
        let more = if size > 0 {
            format!("x: {}\r\n", "x".repeat(size))
        } else {
            "x: y\r\n".repeat(1000)
        };
        raw.send(more.as_bytes()).await;
        raw.send(b"content-length: 0\r\n\r\n").await;
        let (answer, closed) = raw.read(SOON).await;
        assert!(
            closed && (answer.is_empty() || answer.starts_with("HTTP/1.1 4")),
            "{name}: {answer}"
        );
    }
    assert_eq!(fake.count(), 2);
}

/// A provider whose streams do not end, behind a gateway with these settings of `proxy`.
async fn endless(proxy: Value) -> (Fake, Gateway) {
    let often = Act::Forever(chat_word("x").into(), Duration::from_millis(100));
    let fake = Fake::answering(Wire::H1, move |seen| {
        match seen.json()["stream"].as_bool() {
            Some(true) => Script::sse().then(often.clone()),
            _ => Script::chat(false, "hi"),
        }
    })
    .await;
    let builder = Gateway::builder().fake("f", &fake);
    let gateway = builder.config(json!({"proxy": proxy})).start().await;
    (fake, gateway)
}

#[tokio::test]
async fn requests_under_way_are_bounded() {
    let (_fake, gateway) = endless(json!({"max_in_flight": 2})).await;
    let mut running = Vec::new();
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        client.begin(&Request::chat(&["m"], true)).await.unwrap();
        running.push(client);
    }
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let answer = client.ask(&Request::chat(&["m"], false)).await;
    refused(&answer, 503, "ERR_TOLLGATE_3830", "the third");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    assert!(
        answers(gateway.address, &Request::get("/v1/models"), 200, SOON).await,
        "lists need no place"
    );
    running.pop();
    assert!(
        answers(gateway.address, &Request::chat(&["m"], false), 200, SOON).await,
        "a place is free again"
    );
}

#[tokio::test]
async fn connections_are_bounded() {
    let (_fake, gateway) = endless(json!({"max_connections": 2})).await;
    let mut first = Client::connect(Version::H1, gateway.address).await;
    let mut second = Client::connect(Version::H2, gateway.address).await;
    for client in [&mut first, &mut second] {
        let head = client.begin(&Request::chat(&["m"], true)).await;
        assert_eq!(head.unwrap().status, 200);
    }
    assert_eq!(
        status(gateway.address, &Request::chat(&["m"], false)).await,
        None,
        "a third connection is closed without an answer"
    );
    drop(first);
    assert!(
        answers(gateway.address, &Request::chat(&["m"], false), 200, SOON).await,
        "its place is free again"
    );
    // One that waits for its client gives way to one that comes.
    let request = Request::chat(&["m"], false);
    let end = tollgate_base::clock::now() + SOON;
    let mut idle = loop {
        // The one before may not have gone yet.
        let mut idle = Client::connect(Version::H1, gateway.address).await;
        match idle.try_ask(&request).await {
            Ok(answer) => {
                assert_eq!(answer.status(), 200, "{}", answer.text());
                break idle;
            }
            Err(why) => assert!(tollgate_base::clock::now() < end, "{why}"),
        }
    };
    assert!(
        answers(gateway.address, &request, 200, SOON).await,
        "one that waits gives way"
    );
    assert!(idle.try_ask(&request).await.is_err(), "it was closed");
}

#[tokio::test]
async fn long_prompts_are_counted_only_when_their_length_does_not_tell() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let limits = json!({"limits": {"max_input_tokens": 300}});
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(limits)
        .start()
        .await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let saying = |text: String| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
        Request::post("/v1/chat/completions", body.to_string())
    };
    for words in [1, 250] {
        // 1,500 letters could be 1,500 tokens; these are 250.
        let answer = client.ask(&saying(" hello".repeat(words))).await;
        assert_eq!(answer.status(), 200, "{words}: {}", answer.text());
    }
    let answer = client.ask(&saying(" hello".repeat(400))).await;
    refused(&answer, 413, "context_length_exceeded", "400 words");
    let said = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    let counted = said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse::<u64>().ok());
    let counted: Vec<u64> = counted.collect();
    assert!(counted.contains(&300), "the limit is named: {said}");
    assert!(
        counted.iter().any(|n| (400..=415).contains(n)),
        "the exact count is named: {said}"
    );
    assert_eq!(fake.count(), 2);
}
