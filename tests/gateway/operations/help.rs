//! What several of these tests need.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::TOKEN;
use crate::common::client::{Client, Version};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Script, chat_word};

/// Long enough for a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(10);

/// Sends a signal to the gateway's process.
pub fn signal(gateway: &Gateway, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), gateway.pid().to_string()])
        .status();
    assert!(sent.unwrap().success(), "cannot send SIG{name}");
}

/// The status of one request on a connection of its own; `None` if there is no answer.
pub async fn status(address: SocketAddr, request: &Request) -> Option<u16> {
    let mut client = Client::try_connect(address).await.ok()?;
    client
        .try_ask(request)
        .await
        .ok()
        .map(|answer| answer.status())
}

/// Whether `address` answers `request` with `expected` before `patience` is over.
pub async fn answers(
    address: SocketAddr,
    request: &Request,
    expected: u16,
    patience: Duration,
) -> bool {
    let end = tollgate_base::clock::now() + patience;
    loop {
        if status(address, request).await == Some(expected) {
            return true;
        }
        if tollgate_base::clock::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The answer of the operators' listener.
pub async fn admin(gateway: &Gateway, path: &str) -> (u16, String) {
    let mut client = Client::connect(Version::H1, gateway.admin).await;
    let answer = client.ask(&Request::get(path)).await;
    (answer.status(), answer.text())
}

/// A stream of `words`, each `pause` after the one before.
pub fn slow_words(words: usize, pause: u64) -> Script {
    let script = (0..words).fold(Script::sse(), |script, index| {
        script.data(chat_word(&format!("w{index} "))).wait(pause)
    });
    script.data("data: [DONE]\n\n")
}

/// The head and the first text of a stream in Anthropic's shape.
pub fn message_begin(text: &str) -> String {
    let event = |value: Value| {
        format!(
            "event: {}\ndata: {value}\n\n",
            value["type"].as_str().unwrap()
        )
    };
    [
        event(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "model": "m", "content": [], "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        message_delta(text),
    ]
    .concat()
}

/// More text of a stream in Anthropic's shape.
pub fn message_delta(text: &str) -> String {
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    format!("event: content_block_delta\ndata: {delta}\n\n")
}

/// A connection on which any bytes can be sent.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Raw(stream)
    }

    /// Sends; whether the peer still takes bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// What arrives until the peer closes or is silent for `silence`, and whether it closed.
    pub async fn read(&mut self, silence: Duration) -> (String, bool) {
        let mut all = Vec::new();
        loop {
            let mut buffer = [0; 16 << 10];
            match tokio::time::timeout(silence, self.0.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&all).into_owned(), true),
                Ok(Ok(count)) => all.extend_from_slice(&buffer[..count]),
                Err(_) => return (String::from_utf8_lossy(&all).into_owned(), false),
            }
        }
    }

    /// What arrives until `text` did, or the peer closes, or `patience` is over.
    pub async fn read_until(&mut self, text: &str, patience: Duration) -> String {
        let end = tollgate_base::clock::now() + patience;
        let mut all = String::new();
        while !all.contains(text) && tollgate_base::clock::now() < end {
            let (more, closed) = self.read(Duration::from_millis(20)).await;
            all += &more;
            if closed {
                break;
            }
        }
        all
    }
}

/// The head of a POST with the tests' access key, without its end.
pub fn post_head(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n"
    )
}

/// A short chat completion.
pub fn small_body() -> Bytes {
    Request::chat(&["m"], false).body
}
