//! What turns cost, and what is refused for money's sake.

use tokio::sync::watch;
use tollgate_ledger::NanoUsd;

use super::*;
use crate::common::eventually;
use crate::common::requests::Request;
use crate::ledger::{COST, ask, books, money, totals, verified};

const TURNS: i64 = 5;

#[tokio::test]
async fn turns_cost_what_as_many_requests_cost() {
    let mut spent = Vec::new();
    for (over_websocket, upstream) in [(false, false), (true, false), (true, true)] {
        let fake = match upstream {
            true => upstream::agreeing(|number, _| response(number)).await,
            false => provider().await,
        };
        let entry = upstream::entry("p", &fake);
        let builder = Gateway::builder().provider(entry);
        let gateway = builder.config(money(1_000_000_000)).start().await;
        let mut socket = Socket::open(&gateway).await;
        for _ in 0..TURNS {
            let more = json!({"input": "hi"});
            if over_websocket {
                socket.completed(more).await;
            } else {
                let body = json!({"model": "p:m", "input": "hi", "store": false, "stream": true});
                let answer = ask(&gateway, &Request::post("/v1/responses", body.to_string())).await;
                assert_eq!(answer.status(), 200, "{}", answer.text());
            }
        }
        // What only prepares costs nothing.
        socket
            .completed(json!({"input": "hi", "generate": false}))
            .await;
        let books = books(&gateway, NanoUsd(TURNS * COST.0)).await;
        let totals = totals(&gateway).await;
        spent.push((
            books.spent,
            totals.requests,
            totals.input,
            totals.output,
            totals.cost,
        ));
        verified(&gateway);
    }
    assert!(spent.iter().all(|one| *one == spent[0]), "{spent:?}");
}

/// Its provider's answer is read to its end, and charged as reported, though nobody is there any more.
#[tokio::test]
async fn who_closes_in_the_middle_of_a_turn_pays_for_all_of_it() {
    let (open, gate) = watch::channel(false);
    let fake = gated(gate.clone()).await;
    let over_websocket = upstream::agreeing(move |number, _| gated_response(number, &gate)).await;
    let gateway = builder(&fake)
        .provider(upstream::entry("q", &over_websocket))
        .config(money(1_000_000_000))
        .start()
        .await;
    for (number, politely, model) in [(1, true, "p:m"), (2, false, "p:m"), (3, true, "q:m")] {
        open.send_replace(false);
        let mut socket = Socket::open(&gateway).await;
        socket.create(json!({"input": "hi", "model": model})).await;
        // One that waits, and is nobody's then.
        socket.create(json!({"input": "hi"})).await;
        assert_eq!(kind(&socket.hear().await), "response.created");
        assert_eq!(kind(&socket.hear().await), "response.output_text.delta");
        if politely {
            socket.0.close(None).await.unwrap();
            socket.closed().await;
        }
        drop(socket);
        let gone = || open_sockets(&gateway).ends_with(" 0");
        assert!(eventually(PATIENCE, gone).await);
        open.send_replace(true);
        books(&gateway, NanoUsd(number * COST.0)).await;
    }
    // A handshake and a turn.
    assert_eq!((fake.count(), over_websocket.count()), (2, 2));
    let told = || {
        gateway
            .access_log()
            .iter()
            .filter(|line| line["client_gone"] == true)
            .count()
            == 3
    };
    assert!(
        eventually(PATIENCE, told).await,
        "{:?}",
        gateway.access_log()
    );
    verified(&gateway);
}

#[tokio::test]
async fn who_has_no_credits_or_has_reached_a_limit_is_told_turn_by_turn() {
    let fake = provider().await;
    let poor = builder(&fake).config(money(1_000)).start().await;
    let mut socket = Socket::open(&poor).await;
    let refused = socket.refused(json!({"input": "hi"})).await;
    assert_eq!(failure(&refused), (403, "ERR_TOLLGATE_4026"));

    let mut config = money(1_000_000_000);
    config["configurations"] = json!([{"id": "c", "limits": {"requests_per_minute": 2}}]);
    config["access_keys"] = json!([{"id": "test", "sha256": crate::common::gateway::sha256(TOKEN), "configuration": "c"}]);
    let limited = builder(&fake).config(config).start().await;
    let mut socket = Socket::open(&limited).await;
    // A minute may end in between.
    let mut refused = None;
    for _ in 0..6 {
        socket.create(json!({"input": "hi"})).await;
        let last = socket.turn().await.pop().unwrap();
        if kind(&last) == "error" {
            refused = Some(last);
            break;
        }
    }
    let refused = refused.expect("a turn beyond the limit");
    assert_eq!(failure(&refused), (429, "ERR_TOLLGATE_3812"));
    assert!(refused["headers"]["retry-after"].is_string(), "{refused}");
}
