//! After commit: a stream that breaks says so in the client's words, and ends so that it shows.

use futures::StreamExt;
use serde_json::json;

use super::api::Api;
use super::{ask, ask_over, offering, pair, well};
use crate::common::client::Version;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::Gateway;
use crate::common::script::{Act, Script};
use crate::common::sse;

/// What is asked for at the same time, as much of it is waiting.
const AT_ONCE: usize = 12;

async fn check(wire: Wire, version: Version) {
    let good = Fake::answering(wire, well).await;
    let mut builder = Gateway::builder();
    for api in Api::ALL {
        builder = builder.provider(offering(&format!("good-{}", api.name()), &good, &[api]));
    }
    let mut cases = Vec::new();
    for (client, provider) in Api::pairs() {
        let start = || Script::sse().data(provider.start()).wait(50);
        let mut close_delimited = start().close_delimited();
        close_delimited = close_delimited.cut();
        let breaks = [
            ("cut", start().cut()),
            ("reset", start().reset()),
            ("stream reset", start().then(Act::ResetStream)),
            ("stall", start().silence()),
            ("close-delimited", close_delimited),
            // What is an end to a reader of bytes is none to a reader of the protocol.
            ("no end", start()),
            ("malformed", start().data("data: {\"half\n\n").wait(50)),
        ];
        for (index, (name, script)) in breaks.into_iter().enumerate() {
            let id = format!("{}-{index}", pair(client, provider));
            let fake = Fake::start(wire, script).await;
            builder = builder.provider(offering(&id, &fake, &[provider]));
            cases.push((client, provider, name, id, fake));
        }
    }
    let gateway = builder.start().await;
    let (gateway, good) = (&gateway, &good);
    let checks = cases
        .iter()
        .map(|(client, provider, name, id, fake)| async move {
            let models = [format!("{id}:m"), format!("good-{}:m", client.name())];
            let request = client.request(&[&models[0], &models[1]], true);
            let answer = ask_over(version, gateway, &request).await;
            let case = format!(
                "{name}: {client:?} at {provider:?}, {version:?}: {}",
                answer.text()
            );
            assert_eq!(answer.status(), 200, "{case}");
            assert!(
                answer.text().contains("\"the \""),
                "what came before; {case}"
            );
            assert!(
                !answer.clean,
                "the end must show that something is missing; {case}"
            );
            assert!(
                !client.ended(&answer),
                "nothing that looks like an end; {case}"
            );
            let errors: Vec<_> = sse::json(&answer.body)
                .into_iter()
                .filter(|event| event["error"].is_object() || event["type"] == "error")
                .collect();
            assert_eq!(errors.len(), 1, "one error event; {case}");
            match client {
                Api::Chat => assert!(errors[0]["error"]["code"].is_string(), "{case}"),
                _ => assert_eq!(errors[0]["type"], "error", "{case}"),
            }
            assert_eq!(
                (fake.count(), good.count()),
                (1, 0),
                "no attempt after commit; {case}"
            );
        });
    futures::stream::iter(checks)
        .for_each_concurrent(AT_ONCE, |check| check)
        .await;
}

#[tokio::test]
async fn a_broken_stream_shows_over_http1() {
    check(Wire::H1, Version::H1).await;
}

#[tokio::test]
async fn a_broken_stream_shows_over_http2() {
    check(Wire::TlsH2, Version::H2).await;
}

#[tokio::test]
async fn the_error_goes_on_with_the_numbers_of_the_stream() {
    let mut builder =
        Gateway::builder().config(json!({"timeouts": {"hold": "100ms", "keepalive": "100ms"}}));
    let mut cases = Vec::new();
    for provider in Api::ALL {
        let half = Script::sse().data(provider.start()).wait(50);
        let mid_event = half
            .clone()
            .data("event: response.output_text.delta\ndata: {\"seq")
            .wait(20);
        let silent = Script::new().silence();
        for (script, numbered) in [(half.cut(), 4..), (mid_event.cut(), 4..), (silent, 1..)] {
            let id = format!("p{}", cases.len());
            let fake = Fake::start(Wire::H1, script).await;
            builder = builder.provider(offering(&id, &fake, &[provider]));
            cases.push((provider, numbered, id, fake));
        }
    }
    let gateway = builder.start().await;
    for (provider, numbered, id, _) in &cases {
        let request = Api::Responses.request(&[&format!("{id}:m")], true);
        let answer = ask(&gateway, &request).await;
        let case = format!("{provider:?}: {}", answer.text());
        let events = sse::json(&answer.body);
        assert_eq!(events.last().unwrap()["type"], "error", "{case}");
        let numbers: Vec<_> = events
            .iter()
            .map(|event| event["sequence_number"].as_u64().unwrap())
            .collect();
        let expected: Vec<_> = (0..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "{case}");
        assert!(numbered.contains(&numbers.len()), "{case}");
    }
}

#[tokio::test]
async fn an_error_event_after_content_is_told_in_the_clients_words() {
    let good = Fake::answering(Wire::H1, well).await;
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for api in Api::ALL {
        builder = builder.provider(offering(&format!("good-{}", api.name()), &good, &[api]));
    }
    for (client, provider) in Api::pairs() {
        let script = Script::sse()
            .data(provider.start())
            .wait(30)
            .data(provider.error_event("out of memory"));
        let bad = Fake::start(Wire::H1, script).await;
        builder = builder.provider(offering(&pair(client, provider), &bad, &[provider]));
        fakes.push(bad);
    }
    let gateway = builder.start().await;
    for (client, provider) in Api::pairs() {
        let bad = format!("{}:m", pair(client, provider));
        let other = format!("good-{}:m", client.name());
        let answer = ask(&gateway, &client.request(&[&bad, &other], true)).await;
        let case = format!("{client:?} at {provider:?}: {}", answer.text());
        let said = answer.text().matches("out of memory").count();
        assert!(said >= 1, "{case}");
        let event = sse::error(&answer.body).expect("an error event");
        match client {
            Api::Messages => assert_eq!(event["error"]["message"], "out of memory", "{case}"),
            Api::Chat => assert_eq!(event["error"]["message"], "out of memory", "{case}"),
            Api::Responses => assert!(event.to_string().contains("out of memory"), "{case}"),
        }
        assert!(!client.ended(&answer), "{case}");
        assert_eq!(good.count(), 0, "no attempt after commit; {case}");
    }
}

#[tokio::test]
async fn a_long_document_is_gathered_whole_before_it_commits() {
    let long = "x".repeat(600 << 10);
    let mut builder = Gateway::builder();
    let mut fakes = Vec::new();
    for provider in Api::ALL {
        let whole = provider.whole().to_string().replace("the good one", &long);
        let head = [("content-type", "application/json")];
        let (front, back) = whole.split_at(500 << 10);
        let breaks = Script::new()
            .head(200, &head)
            .data(front.to_owned())
            .wait(50)
            .cut();
        let comes = Script::new()
            .head(200, &head)
            .data(front.to_owned())
            .wait(50);
        let bad = Fake::start(Wire::H1, breaks).await;
        let good = Fake::start(Wire::H1, comes.data(back.to_owned())).await;
        builder = builder
            .provider(offering(
                &format!("bad-{}", provider.name()),
                &bad,
                &[provider],
            ))
            .provider(offering(
                &format!("good-{}", provider.name()),
                &good,
                &[provider],
            ));
        fakes.extend([bad, good]);
    }
    let gateway = builder.start().await;
    for (client, provider) in Api::pairs() {
        let models = ["bad", "good"].map(|id| format!("{id}-{}:m", provider.name()));
        let answer = ask(&gateway, &client.request(&[&models[0], &models[1]], false)).await;
        assert_eq!((answer.status(), answer.clean), (200, true));
        assert_eq!(client.said(&answer, false).text.len(), long.len());
        assert_eq!(
            answer.header("x-tollgate-attempts"),
            Some("2"),
            "{client:?} at {provider:?}"
        );
    }
}

#[tokio::test]
async fn a_document_longer_than_a_body_may_be_is_no_answer() {
    let long = "x".repeat(2 << 20);
    let whole = Api::Messages
        .whole()
        .to_string()
        .replace("the good one", &long);
    let head = [("content-type", "application/json")];
    let bad = Fake::start(Wire::H1, Script::new().head(200, &head).data(whole)).await;
    let good = Fake::answering(Wire::H1, well).await;
    let gateway = Gateway::builder()
        .provider(offering("bad", &bad, &[Api::Messages]))
        .provider(offering("good", &good, &[Api::Responses]))
        .config(json!({"proxy": {"max_body": "1MiB"}}))
        .start()
        .await;
    let answer = ask(&gateway, &Api::Chat.request(&["bad:m", "good:m"], false)).await;
    assert_eq!(
        answer.header("x-tollgate-provider"),
        Some("good"),
        "{}",
        answer.text()
    );
}

/// One that passes as it is goes on (`ledger/large.rs`).
#[tokio::test]
async fn an_event_too_long_to_be_put_into_other_words_ends_the_stream_visibly() {
    let long = format!(
        "data: {{\"type\":\"ping\",\"pad\":\"{}\"}}\n\n",
        "x".repeat(16 << 20)
    );
    let script = Script::sse()
        .data(Api::Messages.start())
        .data(long)
        .wait(50);
    let bad = Fake::start(Wire::H1, script).await;
    let gateway = Gateway::builder()
        .provider(offering("bad", &bad, &[Api::Messages]))
        .config(json!({"timeouts": {"per_request": "50s", "total": "55s", "stream_idle": "50s"}}))
        .start()
        .await;
    let answer = ask(&gateway, &Api::Chat.request(&["bad:m"], true)).await;
    assert_eq!((answer.status(), answer.clean), (200, false));
    assert!(answer.text().contains("\"the \""), "what came before");
    assert!(!Api::Chat.ended(&answer), "nothing that looks like an end");
    let errors = sse::json(&answer.body);
    let errors = errors.iter().filter(|event| event["error"].is_object());
    assert_eq!(errors.count(), 1, "one error event");
}
