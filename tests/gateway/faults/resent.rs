//! Which requests are sent again without a word: those that no provider can have read. Every other one is an attempt,
//! and the next one has another candidate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::chat;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, provider_at};
use crate::common::script::chat_answer;

/// How a connection that answered one request meets the next.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// It reads it, and closes.
    ReadAndClose,
    /// It reads it, and resets.
    ReadAndReset,
}

/// A provider that carries out every request that it reads, answers the first one of a connection, and of the next
/// says nothing.
async fn careless(then: Then) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let carried_out = Arc::new(AtomicUsize::new(0));
    let count = carried_out.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, then, count.clone()));
        }
    });
    (base, carried_out)
}

async fn serve(mut stream: TcpStream, then: Then, count: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 64 << 10];
    for number in 0..2 {
        if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
            return;
        }
        // The body may come in a packet of its own.
        drop(tokio::time::timeout(Duration::from_millis(30), stream.read(&mut buffer)).await);
        count.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            let body = chat_answer("hi").to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
            let answer = format!("{head}: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
    if matches!(then, Then::ReadAndReset) {
        stream.set_zero_linger().unwrap();
    }
}

/// A POST reached the provider four times, and was one attempt.
#[tokio::test]
async fn a_request_that_may_have_been_carried_out_is_an_attempt() {
    for then in [Then::ReadAndClose, Then::ReadAndReset] {
        let (base, carried_out) = careless(then).await;
        let spare = Fake::good(Wire::H1, "spare").await;
        let gateway = Gateway::builder()
            .provider(provider_at("p", &base))
            .fake("spare", &spare)
            .config(json!({"proxy": {"threads": 1}}))
            .start()
            .await;
        assert_eq!(chat(&gateway, &["p:m"]).await.status(), 200, "{then:?}");
        let answer = chat(&gateway, &["p:m", "spare:m"]).await;
        let told = (
            answer.status(),
            answer.header("x-tollgate-attempts"),
            answer.header("x-tollgate-provider"),
        );
        assert_eq!(
            told,
            (200, Some("2"), Some("spare")),
            "{then:?}: {}",
            answer.text()
        );
        assert_eq!(
            carried_out.load(Ordering::SeqCst),
            2,
            "{then:?}: never twice"
        );
        assert_eq!(chat(&gateway, &["p:m"]).await.status(), 200, "{then:?}");
        let alone = chat(&gateway, &["p:m"]).await;
        assert_eq!(alone.status(), 502, "{then:?}: {}", alone.text());
        assert_eq!(
            carried_out.load(Ordering::SeqCst),
            4,
            "{then:?}: never twice"
        );
        let events = super::events(&gateway, 5).await;
        let resets = events.iter().filter(|event| event["outcome"] == "reset");
        assert_eq!(resets.count(), 2, "{then:?}: {events:?}");
    }
}
