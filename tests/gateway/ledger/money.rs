//! What requests are charged, and the commands that show it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::provider;
use crate::common::script::Script;

#[tokio::test]
async fn every_kind_of_answer_is_charged_once_and_shown() {
    let fake = Fake::answering(Wire::H1, |seen| {
        let body = seen.json();
        match body["model"].as_str() {
            Some("bad") => Script::error(400, "no"),
            _ => Script::chat(body["stream"].as_bool() == Some(true), "hello"),
        }
    })
    .await;
    let mut f = provider("f", &fake);
    f["passthrough"] = json!(true);
    let mut managed = provider("house", &fake);
    managed["keys"] = json!([]);
    managed["managed_keys"] = json!([{"id": "house", "value": "HOUSE"}]);
    // 7 x 2,000 + 3 x 10,000 nano-dollars
    managed["models"] =
        json!([{"id": "paid", "prices": {"input": 2, "output": 10}}, {"id": "unpriced"}]);
    let mut gateway = Gateway::builder()
        .provider(f)
        .provider(managed)
        .config(money(10_000_000_000))
        .start()
        .await;

    assert_eq!(
        ask(&gateway, &Request::chat(&["f:m"], false))
            .await
            .status(),
        200
    );
    let mut spent = COST;
    books(&gateway, spent).await;
    assert_eq!(
        ask(&gateway, &Request::chat(&["f:m"], true)).await.status(),
        200
    );
    spent += COST;
    assert_eq!(
        ask(&gateway, &Request::chat(&["house:paid"], false))
            .await
            .status(),
        200
    );
    spent += COST + NanoUsd(7 * 2_000 + 3 * 10_000);
    assert_eq!(
        ask(&gateway, &Request::chat(&["f:bad"], false))
            .await
            .status(),
        400
    );
    let refused = ask(&gateway, &Request::chat(&["house:unpriced"], false)).await;
    assert_eq!(
        (refused.status(), refused.code().as_str()),
        (422, "ERR_TOLLGATE_3806")
    );
    let count = Request::message(&["f:m"], false);
    let count = Request {
        path: "/v1/messages/count_tokens".to_owned(),
        ..count
    };
    ask(&gateway, &count).await;
    books(&gateway, spent).await;

    // What costs nothing is reported a little later.
    let mut total = totals(&gateway).await;
    while total.requests < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        total = totals(&gateway).await;
    }
    assert_eq!((total.requests, total.failed, total.orphaned), (4, 1, 0));
    assert_eq!((total.input, total.output, total.cost), (21, 9, spent));

    let shown = |args: &[&str]| {
        let output = gateway.command(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let balance = shown(&["credits", "balance"]);
    assert!(balance.contains("$0.000074"), "{balance}");
    // One for each attempt; counting tokens is one, too, and costs nothing.
    let events: Value = serde_json::from_str(&shown(&["usage", "--events", "--json"])).unwrap();
    assert_eq!(events.as_array().map(Vec::len), Some(5), "{events:#}");
    let metrics = gateway.admin_get("/metrics");
    assert!(
        metrics.contains("tollgate_cost_usd_total{model=\"m\",provider=\"f\""),
        "{metrics}"
    );
    assert!(
        metrics.contains("tollgate_ledger_bank_failures_total 0"),
        "{metrics}"
    );

    shown(&[
        "credits",
        "grant",
        "--account",
        "default",
        "--usd",
        "1",
        "--id",
        "more",
    ]);
    verified(&gateway);
    gateway.stop().await;
    let after = books(&gateway, spent).await;
    assert_eq!(
        after.lent(),
        NanoUsd::ZERO,
        "a gateway that stops gives its allotment back"
    );
    assert_eq!(after.free, NanoUsd(11_000_000_000) - spent);
    gateway.restart().await;
    assert_eq!(
        ask(&gateway, &Request::chat(&["f:m"], false))
            .await
            .status(),
        200
    );
    books(&gateway, spent + COST).await;
}

#[tokio::test]
async fn credits_run_out_and_a_grant_brings_them_back() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(0))
        .config(json!({"accounts": [{"id": "default"}]}))
        .start()
        .await;
    let answer = ask(&gateway, &Request::chat(&["m"], false)).await;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (403, "ERR_TOLLGATE_4026")
    );
    assert!(
        answer.text().contains("Out of credits"),
        "{}",
        answer.text()
    );
    assert_eq!(fake.count(), 0, "nothing went upstream");
    let granted = gateway.command(&["credits", "grant", "--account", "default", "--usd", "1"]);
    assert!(granted.status.success());
    let answer = ask(&gateway, &Request::chat(&["m"], false)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    books(&gateway, COST).await;
}

#[tokio::test]
async fn metered_credits_are_counted_and_never_refused() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(0))
        .config(json!({"ledger": {"credits": "metered"}, "accounts": [{"id": "default"}]}))
        .start()
        .await;
    for _ in 0..3 {
        assert_eq!(
            ask(&gateway, &Request::chat(&["m"], false)).await.status(),
            200
        );
    }
    let books = books(&gateway, NanoUsd(3 * COST.0)).await;
    assert_eq!(
        (books.debt, books.free),
        (NanoUsd(3 * COST.0), NanoUsd(-3 * COST.0))
    );
}

/// Its hold was taken for that of a request that broke off, and charged.
#[tokio::test]
async fn a_request_whose_time_is_over_before_it_goes_upstream_costs_nothing() {
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateway = Gateway::builder()
        .fake("f", &fake)
        .config(money(10_000_000_000))
        .config(json!({"timeouts": {"total": "1s"}}))
        .start()
        .await;
    let body = Request::chat(&["m"], false).body;
    let (front, back) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        common::TOKEN,
        body.len()
    );
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let begun = [head.as_bytes(), front].concat();
    stream.write_all(&begun).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stream.write_all(back).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(common::PATIENCE, stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(matches!(read, Ok(Ok(_))), "{read:?}: {answer}");
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains("ERR_TOLLGATE_3810"), "{answer}");
    assert_eq!(fake.count(), 0, "nothing went upstream");

    let served = ask(&gateway, &Request::chat(&["m"], false)).await;
    assert_eq!(served.status(), 200, "{}", served.text());
    books(&gateway, COST).await;
    assert_eq!(totals(&gateway).await.orphaned, 0);
    verified(&gateway);
}
