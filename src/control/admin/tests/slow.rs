//! Clients that are slow, silent or greedy.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Listener;

async fn sent(listener: &Listener, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(listener.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// What the listener says until it closes the connection; the clock is paused and runs ahead when all wait.
async fn said(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let within = tokio::time::timeout(Duration::from_secs(100), read).await;
    within.expect("the connection is closed").ok();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn nobody_holds_a_connection_by_being_slow() {
    let listener = Listener::start().await;
    let silent = sent(&listener, b"").await;
    let half_a_preface = sent(&listener, b"PRI * HT").await;
    let half_a_head = sent(&listener, b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    let half_a_body = sent(
        &listener,
        b"POST /things HTTP/1.1\r\nhost: a\r\nauthorization: Bearer full\r\ncontent-type: application/json\r\n\
          content-length: 100\r\nconnection: close\r\n\r\n{\"name\":",
    )
    .await;
    // What was sent has arrived before time runs ahead.
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::time::pause();
    assert_eq!(said(silent).await, "");
    assert_eq!(said(half_a_preface).await, "");
    assert!(!said(half_a_head).await.contains("200 OK"));
    let refused = said(half_a_body).await;
    assert!(
        refused.starts_with("HTTP/1.1 408") && refused.contains("ERR_TOLLGATE_4080"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let listener = Listener::start().await;
    let mut head = b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-long: ".to_vec();
    head.resize(200_000, b'a');
    let mut stream = TcpStream::connect(listener.address).await.unwrap();
    stream.write_all(&head).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("200 OK"), "{answer}");
}
