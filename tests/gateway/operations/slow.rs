//! Clients that take their time, or all of it.

use std::time::Duration;

use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::help::{Raw, SOON, post_head, small_body};
use crate::common::TOKEN;
use crate::common::certs;
use crate::common::client::{Client, Version};
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::requests::Request;
use crate::common::script::{Act, Script, chat_word};

async fn gateway(fake: &Fake) -> Gateway {
    let impatient = json!({"proxy": {"read_timeout": "1s", "keepalive": "1s"}});
    Gateway::builder()
        .fake("f", fake)
        .config(impatient)
        .start()
        .await
}

/// Sends byte by byte, until the peer closes or all is sent; what the peer said.
async fn trickle(raw: &mut Raw, bytes: &[u8], pause: u64) -> (String, bool) {
    let mut said = String::new();
    for byte in bytes {
        let (more, closed) = raw.read(Duration::from_millis(pause)).await;
        said += &more;
        if closed || !raw.send(&[*byte]).await {
            return (said, true);
        }
    }
    (said, false)
}

#[tokio::test]
async fn slow_bodies_end_with_408_and_without_an_attempt() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = gateway(&fake).await;
    let head = |length: usize| {
        format!(
            "{}content-length: {length}\r\n\r\n",
            post_head("/v1/chat/completions")
        )
    };

    let began = tollgate_base::clock::now();
    let mut stalls = Raw::connect(gateway.address).await;
    stalls.send(head(100).as_bytes()).await;
    stalls.send(b"{\"model\":").await;
    let mut trickles = Raw::connect(gateway.address).await;
    trickles.send(head(100_000).as_bytes()).await;
    let chunks = vec![b' '; 1000];
    let (stalled, trickled) = tokio::join!(stalls.read(SOON), trickle(&mut trickles, &chunks, 50));
    for (name, (answer, closed)) in [("stalled", stalled), ("trickled", trickled)] {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{name}: {answer}");
        assert!(
            answer.contains("ERR_TOLLGATE_3825") && closed,
            "{name}: {answer}"
        );
    }
    let took = tollgate_base::clock::now().duration_since(began);
    assert!(took < SOON, "{took:?}");

    // Slowly, but whole in time.
    let mut raw = Raw::connect(gateway.address).await;
    let body = small_body();
    raw.send(head(body.len()).as_bytes()).await;
    assert_eq!(trickle(&mut raw, &body, 4).await, (String::new(), false));
    assert!(
        raw.read_until("\r\n\r\n", SOON)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert_eq!(fake.count(), 1, "what never came whole never went upstream");
}

#[tokio::test]
async fn slow_heads_and_silent_connections_are_closed() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = gateway(&fake).await;
    let endless = format!("GET /v1/models HTTP/1.1\r\nx: {}", "x".repeat(400));
    let (mut silent, mut short, mut slow) = (
        Raw::connect(gateway.address).await,
        Raw::connect(gateway.address).await,
        Raw::connect(gateway.address).await,
    );
    short.send(b"GET /v1").await;
    let began = tollgate_base::clock::now();
    let (silent, short, slow) = tokio::join!(
        silent.read(SOON),
        short.read(SOON),
        trickle(&mut slow, endless.as_bytes(), 50)
    );
    let took = tollgate_base::clock::now().duration_since(began);
    for (name, (answer, closed)) in [("silent", silent), ("short", short), ("slow", slow)] {
        assert!(closed, "{name}: still open after {took:?}");
        assert!(!answer.contains("200 OK"), "{name}: {answer}");
    }

    // On a kept-alive connection as well: once a head has begun, and while none has.
    let ask =
        format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    for (name, next) in [("idle", ""), ("slow", &endless)] {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(ask.as_bytes()).await;
        assert!(
            raw.read_until("\"object\":\"list\"", SOON)
                .await
                .starts_with("HTTP/1.1 200 "),
            "{name}"
        );
        let (_, closed) = trickle(&mut raw, next.as_bytes(), 50).await;
        assert!(closed || raw.read(SOON).await.1, "{name}");
    }

    // A head that is slow, but whole in time; a stream that lasts longer than any head may.
    let mut raw = Raw::connect(gateway.address).await;
    assert_eq!(
        trickle(&mut raw, ask.as_bytes(), 4).await,
        (String::new(), false)
    );
    assert!(
        raw.read_until("\r\n\r\n", SOON)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn who_agrees_on_http2_and_does_not_begin_it_is_closed() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .tls()
        .config(json!({"proxy": {"read_timeout": "1s"}}))
        .start()
        .await;
    let one = async |begins: &[u8]| {
        let stream = TcpStream::connect(gateway.tls.unwrap()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(certs::client(&["h2"]));
        let mut stream = connector.connect(name, stream).await.unwrap();
        stream.write_all(begins).await.unwrap();
        stream.flush().await.unwrap();
        let mut all = Vec::new();
        let end = async { while let Ok(1..) = stream.read_buf(&mut all).await {} };
        let ended = tokio::time::timeout(SOON, end).await.is_ok();
        assert!(ended, "{:?}", String::from_utf8_lossy(begins));
    };
    tokio::join!(
        one(&b""[..]),
        one(&b"PRI * HTTP/2.0\r\n"[..]),
        one(&b"GET /v1/models HTTP/1.1\r\n\r\n"[..]),
    );
    let output = gateway.output();
    assert!(!output.contains(" ERROR "), "{output}");
}

#[tokio::test]
async fn answers_and_http2_connections_may_last_longer_than_heads() {
    let fake = Fake::start(Wire::H1, super::help::slow_words(10, 300)).await;
    let gateway = gateway(&fake).await;
    let mut streams = Vec::new();
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        let head = client.begin(&Request::chat(&["m"], true)).await.unwrap();
        streams.push((version, client, head));
    }
    for (version, mut client, head) in streams {
        let answer = client.finish(head, tollgate_base::clock::now()).await;
        assert!(answer.clean, "{version:?}: {}", answer.text());
        if version == Version::H2 {
            assert_eq!(
                client.ask(&Request::get("/v1/models")).await.status(),
                200,
                "the connection goes on"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_continue() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = gateway(&fake).await;
    let body = small_body();
    let head = format!(
        "{}expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        post_head("/v1/chat/completions"),
        body.len()
    );
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(head.as_bytes()).await;
    assert!(
        raw.read_until("\r\n\r\n", SOON)
            .await
            .starts_with("HTTP/1.1 100 ")
    );
    raw.send(&body).await;
    let answer = raw.read_until("\r\n\r\n", SOON).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(fake.seen()[0].header("expect"), None);

    // Whoever is refused is not invited first.
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(head.replace(TOKEN, "tg-wrong").as_bytes()).await;
    let (answer, _) = raw.read(Duration::from_millis(500)).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn who_goes_on_sending_after_a_refusal_is_closed() {
    let fake = Fake::good(Wire::H1, "hi").await;
    let gateway = gateway(&fake).await;
    let wrong = post_head("/v1/chat/completions").replace(TOKEN, "tg-wrong");
    let drips = async |framed: &str| {
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(format!("{wrong}{framed}\r\n\r\n").as_bytes())
            .await;
        // Each byte is in time; 30 s of them are not.
        let (answer, closed) = trickle(&mut raw, &[b'1'; 300], 100).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{framed}: {answer}");
        assert!(closed, "{framed}: still open");
    };
    tokio::join!(
        drips("content-length: 1000"),
        drips("content-length: 30000000"),
        drips("transfer-encoding: chunked"),
    );
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn clients_that_stop_reading_are_given_up() {
    let flood = Act::Forever(chat_word(&"x".repeat(64 << 10)).into(), Duration::ZERO);
    let fake = Fake::start(Wire::H1, Script::sse().then(flood)).await;
    let gateway = gateway(&fake).await;
    let mut idle = Vec::new();
    for version in [Version::H1, Version::H2] {
        let mut client = Client::connect(version, gateway.address).await;
        client.begin(&Request::chat(&["m"], true)).await.unwrap();
        client.chunk().await;
        idle.push(client);
    }
    let given_up = || {
        fake.seen()
            .iter()
            .filter(|seen| seen.gone.is_some())
            .count()
            == 2
    };
    assert!(
        eventually(SOON, given_up).await,
        "the provider is still asked for more: {:?}",
        gateway.access_log()
    );
    assert!(
        eventually(SOON, || gateway.access_log().len() == 2).await,
        "both are over"
    );
    assert!(
        gateway
            .admin_get("/metrics")
            .contains("tollgate_requests_in_flight 0")
    );
}

/// A stream of an HTTP/2 connection on which the client takes no byte of a body.
async fn without_a_window(
    address: std::net::SocketAddr,
    stream: bool,
) -> (
    h2::client::ResponseFuture,
    h2::client::SendRequest<bytes::Bytes>,
) {
    let io = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (sender, connection) = builder
        .initial_window_size(0)
        .handshake::<_, bytes::Bytes>(io)
        .await
        .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut sender = sender.ready().await.unwrap();
    let request = Request::chat(&["m"], stream);
    let head = http::Request::builder()
        .method("POST")
        .uri(format!("http://{address}{}", request.path))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    let (answer, mut body) = sender.send_request(head.body(()).unwrap(), false).unwrap();
    body.send_data(request.body, true).unwrap();
    (answer, sender)
}

#[tokio::test]
async fn http2_clients_without_a_window_keep_nobody_out() {
    let silent = Script::sse().then(Act::Silence);
    let pings = Script::sse().then(Act::Forever(
        ": ping\n\n".into(),
        Duration::from_millis(300),
    ));
    let held = Script::sse().then(Act::Forever(
        crate::common::script::chat_role().into(),
        Duration::from_millis(300),
    ));
    let words = super::help::slow_words(1000, 300);
    let broken = Script::sse().wait(700).then(Act::ResetStream);
    let refused = Script::error(400, "no");
    let cases = [
        ("a silent provider", true, silent),
        ("one that sends comments", true, pings),
        ("one that never says a word", true, held),
        ("one that talks", true, words),
        ("one that fails", true, broken),
        ("one that refuses", false, refused),
        ("one that answers", false, Script::chat(false, "hello")),
    ];
    let one = async |(what, stream, script)| {
        let fake = Fake::start(Wire::H1, script).await;
        let config = json!({
            "proxy": {"read_timeout": "1s", "max_in_flight": 2},
            "timeouts": {"hold": "100ms", "keepalive": "200ms"},
            "ledger": {"usage_grace": "1s"},
        });
        let gateway = Gateway::builder()
            .fake("f", &fake)
            .config(config)
            .start()
            .await;
        let _open = tokio::join!(
            without_a_window(gateway.address, stream),
            without_a_window(gateway.address, stream)
        );
        assert!(eventually(SOON, || fake.count() == 2).await, "{what}");
        let is_free = || {
            let metrics = gateway.admin_get("/metrics");
            metrics.contains("tollgate_requests_in_flight 0\n")
        };
        assert!(
            eventually(SOON, is_free).await,
            "{what}: {:?}",
            gateway.access_log()
        );
    };
    futures::future::join_all(cases.map(one)).await;
}
