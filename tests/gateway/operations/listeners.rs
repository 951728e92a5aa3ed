//! What is listened on: TLS with both protocols, HTTP/2 with prior knowledge, many streams on a connection.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::help::{SOON, slow_words};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::Script;
use crate::common::{TOKEN, sse};

#[tokio::test]
async fn every_listener_speaks_what_it_promises() {
    let fake = Fake::good(Wire::H1, "hello you").await;
    let gateway = Gateway::builder().fake("f", &fake).tls().start().await;
    // The client itself asserts what ALPN agreed on.
    for version in [Version::H1, Version::H2, Version::TlsH1, Version::TlsH2] {
        let mut client = Client::connect(version, gateway.at(version)).await;
        for round in 0..2 {
            let answer = client.ask(&Request::chat(&["m"], true)).await;
            assert_eq!(
                (answer.status(), answer.clean),
                (200, true),
                "{version:?} {round}"
            );
            assert_eq!(
                sse::chat_text(&answer.body),
                "hello you",
                "{version:?} {round}"
            );
            let answer = client.ask(&Request::chat(&["m"], false)).await;
            assert_eq!(
                answer.json()["object"],
                "chat.completion",
                "{version:?} {round}"
            );
        }
    }
    // What is not TLS is not answered on the TLS listener, and the other way round.
    let mut raw = super::help::Raw::connect(gateway.tls.unwrap()).await;
    raw.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    let (answer, closed) = raw.read(SOON).await;
    assert!(closed && !answer.contains("HTTP/1.1 200"), "{answer}");
    let mut raw = super::help::Raw::connect(gateway.address).await;
    raw.send(&[&[0x16, 3, 1, 0, 64, 1, 0, 0, 60, 3, 3][..], &[7; 58]].concat())
        .await;
    let (answer, closed) = raw.read(SOON).await;
    assert!(
        closed && (answer.is_empty() || answer.starts_with("HTTP/1.1 400")),
        "{answer}"
    );
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

/// Status, how many attempts it took and text.
async fn ask(
    mut sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    request: Request,
) -> (u16, String, String) {
    let head = http::Request::builder()
        .method("POST")
        .uri(format!("http://{address}{}", request.path))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    sender.ready().await.unwrap();
    let answer = sender
        .send_request(head.body(Full::new(request.body)).unwrap())
        .await
        .unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let attempts = head
        .headers
        .get("x-tollgate-attempts")
        .map_or("", |value| value.to_str().unwrap());
    (
        head.status.as_u16(),
        attempts.to_owned(),
        sse::chat_text(&body),
    )
}

#[tokio::test]
async fn streams_of_one_connection_do_not_disturb_each_other() {
    let steady = Fake::start(Wire::TlsH2, slow_words(6, 200)).await;
    let failing = Fake::start(Wire::H1, Script::sse().wait(300).cut()).await;
    let gateway = Gateway::builder()
        .fake("steady", &steady)
        .fake("failing", &failing)
        .start()
        .await;
    let sender = connect(gateway.address).await;
    let ask_for = |index: usize| match index % 5 {
        0 => Request::chat(&["failing:m", "steady:m"], true),
        _ => Request::chat(&["steady:m"], true),
    };
    let asked = (0..60).map(|index| {
        let (sender, address) = (sender.clone(), gateway.address);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(index as u64 * 5)).await;
            ask(sender, address, ask_for(index)).await
        })
    });
    for (index, done) in futures::future::join_all(asked)
        .await
        .into_iter()
        .enumerate()
    {
        let (status, attempts, text) = done.unwrap();
        assert_eq!(
            (status, text.as_str()),
            (200, "w0 w1 w2 w3 w4 w5 "),
            "{index}"
        );
        // Once the breaker of the failing one is open, it is passed over.
        assert!(
            attempts == "1" || (index % 5 == 0 && attempts == "2"),
            "{index}: {attempts}"
        );
    }
    assert!(failing.count() > 0);
}
