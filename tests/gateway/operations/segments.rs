//! What a request costs on the way to its provider: its head and its body leave together, and nothing waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::client::{Client, Version};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::requests::{Request, chat_body};
use crate::common::script::chat_answer;

/// A segment of the kernel's waits for so long to be filled, at most.
const CORKED: Duration = Duration::from_millis(200);

/// A provider on connections that it keeps; it counts the heads that came without anything behind them.
async fn provider(alone: Arc<AtomicUsize>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let body = chat_answer("hi").to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (alone, answer) = (alone.clone(), answer.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 4 << 20];
                loop {
                    let mut read = stream.read(&mut buffer).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    let text = String::from_utf8_lossy(&buffer[..read]).to_ascii_lowercase();
                    let head = text.find("\r\n\r\n").unwrap() + 4;
                    alone.fetch_add(usize::from(read == head), Ordering::Relaxed);
                    let length = text.split("content-length: ").nth(1).unwrap();
                    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                    while read < head + length {
                        read += stream.read(&mut buffer[read..]).await.unwrap();
                    }
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (base, task)
}

/// Pingora writes the head and the body of a request apart: two segments, and a provider that is woken twice.
#[tokio::test]
async fn the_head_and_the_body_of_a_request_leave_together() {
    let alone = Arc::new(AtomicUsize::new(0));
    let (base, task) = provider(alone.clone()).await;
    let gateway = Gateway::builder()
        .provider(provider_at("f", &base))
        .config(json!({"proxy": {"threads": 1}}))
        .start()
        .await;
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        // Less than a segment, some, and more than the kernel takes at once.
        for size in [10, 1_400, 20_000, 3_000_000] {
            let mut body = chat_body(&["m"], false);
            body["messages"][0]["content"] = "x".repeat(size).into();
            let request = Request::post("/v1/chat/completions", body.to_string());
            let mut fastest = Duration::MAX;
            for _ in 0..4 {
                let answer = client.ask(&request).await;
                assert_eq!(answer.status(), 200, "{size}: {}", answer.text());
                fastest = fastest.min(answer.to_head);
            }
            assert!(size > 1 << 20 || fastest < CORKED, "{size}: {fastest:?}");
        }
    }
    assert_eq!(alone.load(Ordering::Relaxed), 0, "heads that came alone");
    task.abort();
}
