//! Work that keeps a core busy.

use serde_json::json;

use super::house::{ATTACKER, BROKE, Bank, House};
use crate::common::client::Client;
use crate::common::fake::Fake;
use crate::common::gateway::provider_at;
use crate::common::requests::{Request, from};

/// A count of the tokens of a text.
fn count(text: &str) -> Request {
    let body = json!({"model": "silent:m", "messages": [{"role": "user", "content": text}]});
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
        let key = |guest: &str| json!({"id": format!("silent-{guest}"), "value": "KEY-silent", "account": guest});
        entry["keys"] = json!([BROKE, ATTACKER].map(key));
        builder.provider(entry)
    })
    .await;
    let (address, request) = (house.gateway.address, count(&"words, ".repeat(300_000)));
    let ask = async |request: &Request| {
        let mut client = Client::try_connect(address).await.unwrap();
        client.try_ask(request).await.unwrap()
    };
    let attack = futures::future::join_all((0..20).map(|_| async {
        let answer = ask(&request).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.json()["input_tokens"].as_u64() > Some(100_000));
    }));
    house.withstands(attack).await;
    // Two dozen at once are no attack, nor when some agents begin together; many more are.
    let request = from(ATTACKER, count("hi"));
    let line = async || {
        let mut answers = Vec::new();
        for _ in 0..40 {
            answers.push(ask(&request).await);
        }
        answers
    };
    let answers = futures::future::join_all((0..10).map(|_| line()))
        .await
        .concat();
    let (counted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|one| one.status() == 200);
    assert!(counted.len() >= 240, "{} were counted", counted.len());
    assert!(!refused.is_empty());
    for answer in refused {
        assert_eq!(answer.status(), 429, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
}
