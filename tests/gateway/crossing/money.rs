//! Money: an answer costs the same in every dialect.

use serde_json::{Value, json};

use super::api::Api;
use super::{ask, offering, pair, well};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Gateway, access_key, signal};
use crate::common::requests::from;
use crate::common::script::{Act, Script};
use crate::common::{PATIENCE, eventually};

fn events(gateway: &Gateway) -> Vec<Value> {
    let output = gateway.command(&["usage", "--events", "--json"]);
    let events: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    events.as_array().cloned().unwrap_or_default()
}

/// Waits for so many usage events.
pub async fn told(gateway: &Gateway, count: usize) -> Vec<Value> {
    let done = eventually(PATIENCE, || events(gateway).len() >= count).await;
    let events = events(gateway);
    assert!(done && events.len() == count, "{count} events: {events:#?}");
    events
}

/// A provider whose answers credits pay for.
pub fn managed(id: &str, fake: &Fake, api: Api) -> Value {
    let mut entry = offering(id, fake, &[api]);
    entry["keys"] = json!([]);
    entry["managed_keys"] = json!([{"id": format!("{id}-key"), "value": "HOUSE"}]);
    entry["models"] =
        json!([{"id": "m", "prices": {"input": 2, "cached_read": 0.5, "output": 10}}]);
    entry
}

#[tokio::test]
async fn the_charge_is_the_same_whichever_api_is_crossed() {
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for api in Api::ALL {
        let fake = Fake::answering(Wire::H1, well).await;
        builder = builder.provider(managed(api.name(), &fake, api));
        fakes.push(fake);
    }
    let gateway = builder
        .config(json!({"ledger": {"flush": "50ms"}}))
        .start()
        .await;
    let mut asked = 0;
    for client in Api::ALL {
        for provider in Api::ALL {
            for stream in [false, true] {
                let model = format!("{}:m", provider.name());
                let mut body = client.body(&[&model], stream);
                // Whether its client reads it or not.
                body.as_object_mut().unwrap().remove("stream_options");
                let answer = ask(&gateway, &client.post(&body)).await;
                assert_eq!(answer.status(), 200, "{}", answer.text());
                asked += 1;
            }
        }
    }
    let events = told(&gateway, asked).await;
    let figures = |event: &Value| {
        let mut event = event.clone();
        let object = event.as_object_mut().unwrap();
        object.retain(|key, _| key.contains("Token") || key.contains("ost") || key == "estimated");
        event
    };
    let first = figures(&events[0]);
    assert!(first.to_string().contains("100"), "{:#}", events[0]);
    for event in &events {
        assert_eq!(figures(event), first, "{event:#}");
    }
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn a_stream_that_breaks_is_charged_for_what_came() {
    let mut builder = Gateway::builder().config(json!({"ledger": {"flush": "50ms"}}));
    let mut fakes = Vec::new();
    for (client, provider) in Api::pairs() {
        let script = Script::sse().data(provider.start()).wait(30).cut();
        let fake = Fake::start(Wire::H1, script).await;
        builder = builder.provider(managed(&pair(client, provider), &fake, provider));
        fakes.push(fake);
    }
    let gateway = builder.start().await;
    for (client, provider) in Api::pairs() {
        let model = format!("{}:m", pair(client, provider));
        let answer = ask(&gateway, &client.request(&[&model], true)).await;
        assert!(!answer.clean, "{}", answer.text());
    }
    for event in told(&gateway, fakes.len()).await {
        let text = event.to_string();
        assert!(text.contains(r#""estimated":true"#), "{text}");
    }
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn credits_that_run_out_end_the_stream_as_a_token_limit_does() {
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for provider in Api::ALL {
        let word = provider
            .events()
            .into_iter()
            .find(|event| event.contains("\"good \""))
            .unwrap();
        let more = word.replace("good ", &"word ".repeat(40));
        let script = Script::sse().data(provider.start()).then(Act::Forever(
            more.into(),
            std::time::Duration::from_millis(20),
        ));
        let fake = Fake::start(Wire::H1, script).await;
        builder = builder.provider(managed(provider.name(), &fake, provider));
        fakes.push(fake);
    }
    // Everybody has a purse of their own.
    let purses = Api::pairs().map(|(client, provider)| pair(client, provider));
    let purses: Vec<String> = purses.collect();
    let accounts = purses
        .iter()
        .map(|id| json!({"id": id, "grants": [{"id": format!("for-{id}"), "usd": "0.015"}]}));
    let keys = purses
        .iter()
        .map(|id| access_key(id, &json!({"account": id})));
    let gateway = builder
        .config(json!({
            "ledger": {"flush": "50ms", "cut_off": true},
            "accounts": accounts.collect::<Vec<_>>(),
            "access_keys": keys.collect::<Vec<_>>(),
        }))
        .start()
        .await;
    for (client, provider) in Api::pairs() {
        let mut body = client.body(&[&format!("{}:m", provider.name())], true);
        body["max_tokens"] = json!(20);
        if client == Api::Responses {
            body.as_object_mut().unwrap().remove("max_tokens");
            body["max_output_tokens"] = json!(20);
        }
        let request = from(&pair(client, provider), client.post(&body));
        let answer = ask(&gateway, &request).await;
        let case = format!("{client:?} at {provider:?}: {}", answer.text());
        assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
        let reason = match client {
            Api::Chat => r#""finish_reason":"length""#,
            Api::Responses => r#""reason":"max_output_tokens""#,
            Api::Messages => r#""stop_reason":"max_tokens""#,
        };
        assert!(answer.text().contains(reason), "{case}");
        let said = client.said(&answer, true);
        assert!(said.text.starts_with("the word "), "{case}");
    }
    for purse in &purses {
        let cut_off = || {
            let asked = ["usage", "--events", "--json", "--account", purse];
            let output = gateway.command(&asked);
            let events: Value = serde_json::from_slice(&output.stdout).unwrap();
            events[0]["outcome"] == "cut_off"
        };
        assert!(eventually(PATIENCE, cut_off).await, "{purse}");
    }
    let verified = gateway.command(&["ledger", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn what_was_answered_is_paid_for_before_its_last_byte() {
    let mut builder = Gateway::builder().config(json!({"ledger": {"flush": "10s"}}));
    let fake = Fake::answering(Wire::H1, well).await;
    for (client, provider) in Api::pairs() {
        builder = builder.provider(managed(&pair(client, provider), &fake, provider));
    }
    let mut gateway = builder.start().await;
    for (client, provider) in Api::pairs() {
        let model = format!("{}:m", pair(client, provider));
        for stream in [false, true] {
            let answer = ask(&gateway, &client.request(&[&model], stream)).await;
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        // The process dies the moment the client has its answer.
        signal(gateway.pid(), "KILL");
        gateway.kill();
        gateway.restart().await;
        let verified = gateway.command(&["ledger", "verify"]);
        assert!(verified.status.success(), "{verified:?}");
        let totals = gateway.command(&["usage", "--json"]);
        let totals = String::from_utf8_lossy(&totals.stdout).into_owned();
        assert!(
            !totals.contains(r#""orphaned":1"#) && !totals.contains(r#""orphaned":2"#),
            "{client:?} at {provider:?}: {totals}"
        );
    }
}
