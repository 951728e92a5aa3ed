//! How sockets end that do nothing wrong.

use std::time::Duration;

use tokio::sync::watch;

use super::*;
use crate::common::eventually;
use crate::common::gateway::signal;

#[tokio::test]
async fn a_process_that_stops_says_so_and_lets_turns_end() {
    let (open, gate) = watch::channel(false);
    let fake = gated(gate).await;
    let mut gateway = builder(&fake).start().await;
    let mut idle = Socket::open(&gateway).await;
    let mut busy = Socket::open(&gateway).await;
    busy.create(json!({"input": "hi"})).await;
    busy.create(json!({"input": "waits", "stream_id": "x"}))
        .await;
    busy.create(json!({"input": "waits, too"})).await;
    assert!(eventually(PATIENCE, || fake.count() == 2).await);
    signal(gateway.pid(), "TERM");
    assert_eq!(idle.closed().await, Some(1001));
    for late in [false, true] {
        if late {
            busy.create(json!({"input": "too late"})).await;
        }
        let refused = busy.turn().await.pop().unwrap();
        assert_eq!(failure(&refused), (503, "ERR_TOLLGATE_3831"), "{refused}");
    }
    open.send_replace(true);
    let mut ended = 0;
    while ended < 2 {
        ended += usize::from(kind(&busy.hear().await) == "response.completed");
    }
    assert_eq!(busy.closed().await, Some(1001));
    assert!(eventually(PATIENCE, || !gateway.is_running()).await);
    assert_eq!(gateway.exit_code(), Some(0));
}

#[tokio::test]
async fn a_process_that_hands_over_serves_what_waits() {
    let (open, gate) = watch::channel(true);
    let fake = gated(gate).await;
    let mut gateway = builder(&fake).start().await;
    let mut idle = Socket::open(&gateway).await;
    idle.completed(json!({"input": "hi"})).await;
    let mut fresh = Socket::open(&gateway).await;
    let mut busy = Socket::open(&gateway).await;
    open.send_replace(false);
    busy.create(json!({"input": "hi"})).await;
    busy.create(json!({"input": "waits"})).await;
    assert!(eventually(PATIENCE, || fake.count() == 2).await);
    signal(gateway.pid(), "USR2");
    gateway.succeeded().await;
    assert_eq!(idle.closed().await, Some(1001));
    open.send_replace(true);
    for _ in 0..2 {
        let last = busy.turn().await.pop().unwrap();
        assert_eq!(kind(&last), "response.completed", "{last}");
    }
    assert_eq!(busy.closed().await, Some(1001));
    fresh.completed(json!({"input": "hi"})).await;
    assert_eq!(fresh.closed().await, Some(1001));
    assert!(eventually(PATIENCE, || !gateway.is_running()).await);
    assert_eq!(gateway.exit_code(), Some(0));
    let mut next = Socket::open(&gateway).await;
    next.completed(json!({"input": "hi"})).await;
}

#[tokio::test]
async fn one_that_is_old_enough_ends_after_its_turn() {
    let (open, gate) = watch::channel(false);
    let fake = gated(gate).await;
    let short = json!({"proxy": {"websocket": {"max_age": "1s"}}});
    let gateway = builder(&fake).config(short).start().await;
    let mut idle = Socket::open(&gateway).await;
    let mut busy = Socket::open(&gateway).await;
    busy.create(json!({"input": "hi"})).await;
    busy.create(json!({"input": "waits"})).await;
    let last = idle.hear().await;
    assert_eq!(failure(&last), (400, "websocket_connection_limit_reached"));
    assert_eq!(idle.closed().await, Some(1000));
    let mut event = busy.hear().await;
    while kind(&event) != "error" {
        event = busy.hear().await;
    }
    assert_eq!(failure(&event), (400, "websocket_connection_limit_reached"));
    open.send_replace(true);
    while kind(&event) != "response.completed" {
        event = busy.hear().await;
    }
    assert_eq!(
        failure(&busy.hear().await),
        (400, "websocket_connection_limit_reached")
    );
    assert_eq!(busy.closed().await, Some(1000));
    assert_eq!(fake.count(), 1);
}

#[tokio::test]
async fn one_that_asks_for_nothing_ends_and_a_turn_is_not_idle() {
    let (open, gate) = watch::channel(false);
    let fake = gated(gate).await;
    let short = json!({"proxy": {"websocket": {"idle": "500ms"}}});
    let gateway = builder(&fake).config(short).start().await;
    let mut idle = Socket::open(&gateway).await;
    let mut busy = Socket::open(&gateway).await;
    busy.create(json!({"input": "hi"})).await;
    assert_eq!(idle.closed().await, Some(1000));
    tokio::time::sleep(Duration::from_millis(700)).await;
    open.send_replace(true);
    assert_eq!(
        kind(busy.turn().await.last().unwrap()),
        "response.completed"
    );
    assert_eq!(busy.closed().await, Some(1000));
}

/// What a reload says holds for turns of sockets that are open.
#[tokio::test]
async fn a_key_that_is_taken_away_can_ask_for_nothing_more() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    socket.completed(json!({"input": "hi"})).await;
    let path = gateway.path("tollgate.yaml");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["access_keys"] = json!([]);
    std::fs::write(&path, config.to_string()).unwrap();
    signal(gateway.pid(), "HUP");
    let mut last = Value::Null;
    for _ in 0..500 {
        socket.create(json!({"input": "hi"})).await;
        last = socket.turn().await.pop().unwrap();
        if kind(&last) == "error" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(failure(&last), (401, "ERR_TOLLGATE_27007"));
    let prepares = socket
        .refused(json!({"input": "hi", "generate": false}))
        .await;
    assert_eq!(failure(&prepares), (401, "ERR_TOLLGATE_27007"));
}
