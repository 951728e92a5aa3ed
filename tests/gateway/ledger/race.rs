//! Four replicas, one Redis, one account: exactly what it can pay for is served.

use super::*;
use crate::common::fake::{Fake, Wire};
use crate::common::process::Process;

const REPLICAS: usize = 4;
const AFFORDABLE: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_never_promise_the_same_money_twice() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    // The prompt's bound and the expected answer make the estimate; an answer costs less than its hold.
    let credits = AFFORDABLE as i64 * COST.0 + ESTIMATE_AT_MOST;
    let mut gateways = Vec::new();
    for _ in 0..REPLICAS {
        let gateway = Gateway::builder()
            .fake("f", &fake)
            .config(money(credits))
            .config(json!({"ledger": {"bank": "redis", "redis": {"url": format!("redis://127.0.0.1:{}", redis.port)}}}))
            .start()
            .await;
        gateways.push(gateway);
    }
    let request = Request::post(
        "/v1/chat/completions",
        json!({"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]})
            .to_string(),
    );
    let tasks: Vec<_> = (0..AFFORDABLE * 10)
        .map(|index| {
            let (address, request) = (gateways[index % REPLICAS].address, request.clone());
            tokio::spawn(async move { until_decided(address, &request).await })
        })
        .collect();
    let (mut served, mut held) = (0, 0);
    for task in tasks {
        let (answer, waits) = task.await.unwrap();
        held += waits;
        match (answer.status(), answer.code().as_str()) {
            (200, _) => served += 1,
            (403, "ERR_TOLLGATE_4026") => {}
            other => panic!("{other:?}: {}", answer.text()),
        }
    }
    println!(
        "{served} of {} requests served, {AFFORDABLE} affordable at least, {held} told to wait",
        AFFORDABLE * 10
    );
    let spent = NanoUsd(served as i64 * COST.0);
    let books = books(&gateways[0], spent).await;
    let left = NanoUsd(credits) - spent;
    assert!(served >= AFFORDABLE, "served {served}");
    assert!(
        left < NanoUsd(ESTIMATE_AT_MOST),
        "what is left, {left}, would pay for another request"
    );
    assert!(
        books.free + books.lent() >= NanoUsd::ZERO,
        "nothing was overspent"
    );
    verified(&gateways[0]);
}

/// More than the estimate of the request above, in nano-dollars.
const ESTIMATE_AT_MOST: i64 = 200 * FEE;

/// Does as `Retry-After` says: of money that is held, and of prompts that wait to be counted, being many at once.
async fn until_decided(address: std::net::SocketAddr, request: &Request) -> (Answer, usize) {
    let mut waits = 0;
    loop {
        let answer = Client::connect(Version::H1, address)
            .await
            .ask(request)
            .await;
        if !["ERR_TOLLGATE_3813", "ERR_TOLLGATE_3830"].contains(&&*answer.code()) {
            return (answer, waits);
        }
        let seconds = answer.header("retry-after").and_then(|s| s.parse().ok());
        tokio::time::sleep(Duration::from_secs(seconds.expect("when to try again"))).await;
        waits += 1;
    }
}
