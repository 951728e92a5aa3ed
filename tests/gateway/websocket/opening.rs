//! The handshake.

use super::*;
use crate::common::client::{Client, Version};
use crate::common::eventually;
use crate::common::requests::Request;

#[tokio::test]
async fn who_is_not_known_is_told_so_over_http() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    for headers in [&[][..], &[("authorization", "Bearer tg-test-g1-wrong")]] {
        let (status, body) = Socket::try_open(&gateway, headers).await.err().unwrap();
        assert_eq!(status, 401, "{body}");
        assert!(body.contains("ERR_TOLLGATE_27007"), "{body}");
    }
    assert!(open_sockets(&gateway).ends_with(" 0"));
    let log = gateway.access_log();
    assert!(log.iter().all(|line| line["status"] == 401), "{log:?}");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let fake = provider().await;
    let off = json!({"proxy": {"websocket": {"enabled": false}}});
    let gateway = builder(&fake).config(off).start().await;
    let authorization = format!("Bearer {TOKEN}");
    let refused = Socket::try_open(&gateway, &[("authorization", &authorization)]).await;
    let (status, body) = refused.err().unwrap();
    assert_eq!(status, 426, "{body}");
    assert!(body.contains("ERR_TOLLGATE_3822"), "{body}");
}

/// One of another version, without a key, or that asks for something else is no handshake that is served.
#[tokio::test]
async fn what_is_no_handshake_is_declined_and_the_connection_kept() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let handshake = |version: &str, key: &str, protocol: &str| {
        Request::get("/v1/responses")
            .header("connection", "Upgrade")
            .header("upgrade", protocol)
            .header("sec-websocket-version", version)
            .header("sec-websocket-key", key)
    };
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let mut client = Client::connect(Version::H1, gateway.address).await;
    for request in [
        handshake("12", key, "websocket"),
        handshake("13", "short", "websocket"),
        handshake("13", key, "h2c"),
    ] {
        let answer = client.ask(&request).await;
        assert_eq!(
            (answer.status(), answer.code()),
            (426, "ERR_TOLLGATE_3822".to_owned())
        );
    }
    let elsewhere = Request {
        path: "/v1/chat/completions".to_owned(),
        ..handshake("13", key, "websocket")
    };
    assert_eq!(client.ask(&elsewhere).await.status(), 426);
}

/// It declines compression, and says which request it was.
#[tokio::test]
async fn a_handshake_is_answered_as_the_rfc_has_it() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let (authorization, offer) = (
        format!("Bearer {TOKEN}"),
        "permessage-deflate; client_max_window_bits",
    );
    let headers = [
        ("authorization", authorization.as_str()),
        ("sec-websocket-extensions", offer),
        ("x-request-id", "hello-1"),
    ];
    let (mut socket, response) = Socket::try_open(&gateway, &headers).await.ok().unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["x-request-id"], "hello-1");
    assert!(!response.headers().contains_key("sec-websocket-extensions"));
    assert!(open_sockets(&gateway).ends_with(" 1"));
    socket.completed(json!({"input": "hi"})).await;
    drop(socket);
    let is_over = || gateway.access_log().len() == 2 && open_sockets(&gateway).ends_with(" 0");
    assert!(
        eventually(PATIENCE, is_over).await,
        "{:?}",
        gateway.access_log()
    );
    let log = gateway.access_log();
    let line = |id: &str| log.iter().find(|line| line["request_id"] == id).unwrap();
    let (turn, socket) = (line("hello-1-1"), line("hello-1"));
    assert_eq!(
        (&turn["method"], &turn["status"], &turn["stream"]),
        (&json!("POST"), &json!(200), &json!(true))
    );
    assert_eq!(
        (&socket["method"], &socket["status"]),
        (&json!("GET"), &json!(101))
    );
    for line in [turn, socket] {
        assert_eq!(
            (&line["access_key"], &line["client_ip"]),
            (&json!("test"), &json!("127.0.0.1"))
        );
    }
}

/// A socket that waits for its client is a connection that gives way, as any other.
#[tokio::test]
async fn an_idle_socket_gives_way_where_there_may_be_only_so_many() {
    let fake = provider().await;
    let few = json!({"proxy": {"max_connections": 2}});
    let gateway = builder(&fake).config(few).start().await;
    let mut first = Socket::open(&gateway).await;
    let id = first.completed(json!({"input": "hi"})).await;
    first
        .completed(json!({"input": "more", "previous_response_id": id}))
        .await;
    let mut second = Socket::open(&gateway).await;
    second.completed(json!({"input": "hi"})).await;
    let mut third = Socket::open(&gateway).await;
    assert_eq!(first.closed().await, Some(1013));
    third.completed(json!({"input": "hi"})).await;
}
