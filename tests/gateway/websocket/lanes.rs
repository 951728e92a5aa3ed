//! Turns in their order, and beside each other.

use tokio::sync::watch;

use super::*;
use crate::common::eventually;

fn lane(id: &str) -> Value {
    json!({"input": id, "stream_id": id})
}

#[tokio::test]
async fn turns_of_one_lane_wait_for_each_other_and_lanes_do_not() {
    let (open, gate) = watch::channel(false);
    let fake = gated(gate).await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    socket.create(json!({"input": "first"})).await;
    socket.create(json!({"input": "second"})).await;
    assert!(eventually(PATIENCE, || fake.count() == 1).await);
    socket.create(lane("a")).await;
    socket.create(lane("a")).await;
    assert!(eventually(PATIENCE, || fake.count() == 2).await);
    open.send_replace(true);
    let mut ended = Vec::new();
    while ended.len() < 4 {
        let event = socket.hear().await;
        if kind(&event) == "response.completed" {
            ended.push(event["stream_id"].as_str().map(str::to_owned));
        }
    }
    assert_eq!(fake.count(), 4);
    let named = ended
        .iter()
        .filter(|lane| lane.as_deref() == Some("a"))
        .count();
    assert_eq!(named, 2, "{ended:?}");
    let order: Vec<Value> = fake
        .seen()
        .iter()
        .map(|seen| seen.json()["input"].clone())
        .collect();
    assert!(
        order.iter().position(|input| input == "first")
            < order.iter().position(|input| input == "second")
    );
}

#[tokio::test]
async fn a_conversation_forks_into_another_lane() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    let mut more = lane("planner");
    let id = socket.completed(more.clone()).await;
    more = lane("critic");
    more["previous_response_id"] = json!(id);
    socket.completed(more).await;
    let input = fake.seen()[1].json()["input"].clone();
    assert_eq!(input, json!([user("planner"), item(1), user("critic")]));
}

#[tokio::test]
async fn what_waits_and_how_many_lanes_there_are_is_bounded() {
    let (open, gate) = watch::channel(false);
    let fake = gated(gate).await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    // One under way, and 16 that wait for it.
    for _ in 0..17 {
        socket.create(json!({"input": "hi"})).await;
    }
    let full = socket.refused(json!({"input": "hi"})).await;
    assert_eq!(failure(&full), (429, "websocket_queue_full"));
    open.send_replace(true);
    let mut ended = 0;
    while ended < 17 {
        ended += usize::from(kind(&socket.hear().await) == "response.completed");
    }
    for number in 0..32 {
        socket.completed(lane(&number.to_string())).await;
    }
    let many = socket.refused(lane("one-more")).await;
    assert_eq!(failure(&many), (400, "websocket_stream_limit_reached"));
    assert_eq!(many["stream_id"], "one-more");
    socket.completed(lane("7")).await;
    let odd = socket
        .refused(json!({"input": "hi", "stream_id": "a b"}))
        .await;
    assert_eq!(failure(&odd), (400, "invalid_stream_id"));
}

/// A hundred turns as fast as they are answered, each of which goes on from the last one.
#[tokio::test]
async fn a_long_conversation_stays_whole() {
    let fake = provider().await;
    let gateway = builder(&fake).start().await;
    let mut socket = Socket::open(&gateway).await;
    let mut id = socket.completed(json!({"input": "0"})).await;
    for turn in 1..100 {
        id = socket
            .completed(json!({"input": turn.to_string(), "previous_response_id": id}))
            .await;
    }
    let input = fake.seen()[99].json()["input"].clone();
    assert_eq!(input.as_array().unwrap().len(), 199);
}
