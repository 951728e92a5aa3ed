//! SIGTERM.

use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use super::help::{Raw, SOON, admin, message_begin, message_delta, signal, slow_words, status};
use crate::common::client::{Chunk, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_word};
use crate::common::{eventually, sse};

/// Waits for the end of the process; its exit code.
async fn exit_code(gateway: &mut Gateway, patience: Duration) -> Option<i32> {
    eventually(patience, || !gateway.is_running()).await;
    gateway.exit_code()
}

#[tokio::test]
async fn an_idle_gateway_ends_at_once_and_leaves_its_last_line() {
    tokio::join!(ends_at_once("TERM"), ends_at_once("INT"));
}

async fn ends_at_once(name: &str) {
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut gateway = Gateway::builder().fake("f", &fake).start().await;
    let mut kept = Client::connect(Version::H1, gateway.address).await;
    let mut kept_h2 = Client::connect(Version::H2, gateway.address).await;
    let mut silent = Raw::connect(gateway.address).await;
    assert_eq!(kept.ask(&Request::chat(&["m"], false)).await.status(), 200);
    assert_eq!(
        kept_h2.ask(&Request::chat(&["m"], false)).await.status(),
        200
    );
    signal(&gateway, name);
    let code = exit_code(&mut gateway, SOON).await;
    assert_eq!(
        code,
        Some(0),
        "kept-alive and silent connections keep nobody waiting"
    );
    assert!(
        kept.try_ask(&Request::chat(&["m"], false)).await.is_err(),
        "the connection is closed"
    );
    assert!(silent.read(SOON).await.1, "the silent connection is closed");
    assert!(
        TcpStream::connect(gateway.address).await.is_err(),
        "nobody listens"
    );
    let log = gateway.access_log();
    assert_eq!(log.len(), 2, "every line is written: {log:?}");
    assert!(log.iter().all(|line| line["status"] == 200), "{log:?}");
}

#[tokio::test]
async fn running_streams_finish_and_new_requests_are_refused() {
    let fake = Fake::start(Wire::H1, slow_words(8, 350)).await;
    let mut gateway = Gateway::builder().fake("f", &fake).start().await;
    let mut clients = Vec::new();
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        let head = client.begin(&Request::chat(&["m"], true)).await.unwrap();
        let Chunk::Data(first) = client.chunk().await else {
            panic!("no first piece")
        };
        clients.push((client, head, first));
    }
    let mut half = Raw::connect(gateway.address).await;
    assert!(half.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n").await);
    signal(&gateway, "TERM");
    let mut refused = None;
    for _ in 0..200 {
        refused = Some(status(gateway.address, &Request::chat(&["m"], false)).await);
        if matches!(refused, Some(None | Some(503))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        matches!(refused, Some(None | Some(503))),
        "new requests are refused: {refused:?}"
    );
    let (ready, why) = admin(&gateway, "/readyz").await;
    assert_eq!(ready, 503, "{why}");
    assert!(why.contains("shutting down"), "{why}");
    assert_eq!(
        admin(&gateway, "/healthz").await.0,
        200,
        "stopping is not sick"
    );
    assert!(half.send(b"\r\n").await || half.read(SOON).await.1);
    let (answer, closed) = half.read(SOON).await;
    assert!(
        closed && (answer.is_empty() || !answer.starts_with("HTTP/1.1 200")),
        "{answer}"
    );
    for (mut client, head, first) in clients {
        let rest = client.finish(head, tollgate_base::clock::now()).await;
        let body = [first.as_ref(), rest.body.as_ref()].concat();
        assert!(rest.clean, "{}", rest.text());
        assert_eq!(sse::chat_text(&body), "w0 w1 w2 w3 w4 w5 w6 w7 ");
    }
    assert_eq!(exit_code(&mut gateway, SOON).await, Some(0));
    let whole = gateway
        .access_log()
        .iter()
        .filter(|line| line["status"] == 200 && line["stream"] == true)
        .count();
    assert_eq!(whole, 2, "{:?}", gateway.access_log());
}

#[tokio::test]
async fn what_outlives_the_drain_is_told_so_in_its_own_dialect() {
    let fake = Fake::answering(Wire::H1, |seen| {
        let often = |text: String| Act::Forever(text.into(), Duration::from_millis(100));
        match (seen.path.as_str(), seen.json()["stream"].as_bool()) {
            ("/v1/messages", _) => Script::sse()
                .data(message_begin("hi"))
                .then(often(message_delta("x"))),
            (_, Some(true)) => Script::sse().then(often(chat_word("x"))),
            _ => Script::new().silence(),
        }
    })
    .await;
    let patient = json!({"proxy": {"drain": "1s"}, "timeouts": {"per_request": "50s"}});
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(patient)
        .start()
        .await;
    let mut streams = Vec::new();
    for version in [Version::H1, Version::H2] {
        for request in [Request::chat(&["m"], true), Request::message(&["m"], true)] {
            let mut client = Client::connect(version, gateway.address).await;
            let head = client.begin(&request).await.unwrap();
            streams.push((version, request.path, client, head));
        }
    }
    let address = gateway.address;
    let waiting = tokio::spawn(async move {
        let mut client = Client::connect(Version::H1, address).await;
        client.try_ask(&Request::chat(&["m"], false)).await
    });
    assert!(eventually(SOON, || fake.count() == 5).await);
    signal(&gateway, "TERM");
    for (version, path, mut client, head) in streams {
        let answer = client.finish(head, tollgate_base::clock::now()).await;
        assert!(!answer.clean, "{version:?} {path}: the end must be unclean");
        let text = answer.text();
        let error = sse::error(&answer.body)
            .unwrap_or_else(|| panic!("{version:?} {path}: no error in {text}"));
        if path == "/v1/messages" {
            assert_eq!(error["type"], "error", "{error}");
            assert_eq!(error["error"]["type"], "overloaded_error", "{error}");
        } else {
            assert_eq!(error["error"]["code"], "ERR_TOLLGATE_3831", "{error}");
        }
    }
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "ERR_TOLLGATE_3831"),
        "{}",
        answer.text()
    );
    assert_eq!(
        answer.header("connection"),
        Some("close"),
        "{:?}",
        answer.head
    );
    assert_eq!(exit_code(&mut gateway, SOON).await, Some(0));
    let log = gateway.access_log();
    assert_eq!(log.len(), 5, "{log:?}");
    assert!(
        log.iter().all(|line| line["error"] == "ERR_TOLLGATE_3831"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_retry_is_not_waited_for_beyond_the_drain() {
    let limited = Script::error_with(429, "later", &[("retry-after", "25")]);
    let fake = Fake::start(Wire::H1, limited).await;
    let patient = json!({"proxy": {"drain": "1s"}, "retry": {"same": 1, "most": "30s"}});
    let mut gateway = Gateway::builder()
        .fake("f", &fake)
        .config(patient)
        .start()
        .await;
    let address = gateway.address;
    let waiting = tokio::spawn(async move {
        let mut client = Client::connect(Version::H1, address).await;
        client.try_ask(&Request::chat(&["m"], false)).await
    });
    assert!(eventually(SOON, || fake.count() == 1).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = tollgate_base::clock::now();
    signal(&gateway, "TERM");
    let answer = waiting.await.unwrap().unwrap();
    let took = tollgate_base::clock::now().duration_since(began);
    assert!(took < SOON, "{took:?}");
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "ERR_TOLLGATE_3831"),
        "{}",
        answer.text()
    );
    assert_eq!(fake.count(), 1, "nothing is tried again");
    assert_eq!(exit_code(&mut gateway, SOON).await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let often = Act::Forever(chat_word("x").into(), Duration::from_millis(100));
    let fake = Fake::start(Wire::H1, Script::sse().then(often)).await;
    let mut gateway = Gateway::builder().fake("f", &fake).start().await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    client.begin(&Request::chat(&["m"], true)).await.unwrap();
    signal(&gateway, "TERM");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(gateway.is_running(), "a stream is running");
    signal(&gateway, "TERM");
    assert_eq!(exit_code(&mut gateway, SOON).await, Some(0));
    assert!(
        gateway.output().contains("told to stop again"),
        "{}",
        gateway.output()
    );
}
