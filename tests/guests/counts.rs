//! Work that keeps a core busy.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::house::{BROKE, Bank, House, repeatedly};
use crate::common::client::Client;
use crate::common::fake::Fake;
use crate::common::gateway::provider_at;
use crate::common::requests::{Request, from};

/// A count of 2 MB.
fn count(model: &str) -> Request {
    let text = "many words that nobody reads, ".repeat(70_000);
    let body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
    from(
        BROKE,
        Request::post("/v1/messages/count_tokens", body.to_string()),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_for_one_account_keeps_no_other_waiting() {
    // A provider that cannot count, so that the gateway does.
    let house = House::open(Bank::Sqlite, |builder| {
        let mut entry = provider_at("silent", &Fake::refused());
        entry["surfaces"] = json!(["openai/chat-completions"]);
        entry["keys"][0]["account"] = BROKE.into();
        builder.provider(entry)
    })
    .await;
    let (address, request) = (house.gateway.address, count("silent:m"));
    let (counted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let attack = repeatedly(20, Duration::from_secs(2), |_| async {
        let mut client = Client::try_connect(address).await.unwrap();
        let answer = client.try_ask(&request).await.unwrap();
        match answer.status() {
            200 => {
                assert!(answer.json()["input_tokens"].as_u64() > Some(100_000));
                counted.fetch_add(1, Ordering::Relaxed);
            }
            429 => {
                assert!(answer.header("retry-after").is_some(), "{}", answer.text());
                refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    });
    house.withstands(attack).await;
    let (counted, refused) = (counted.into_inner(), refused.into_inner());
    assert!(counted >= 24 && refused > 0, "{counted} and {refused}");
}
