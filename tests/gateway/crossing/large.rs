//! Large bodies: they come through whole, keep nobody waiting, and fail over as small ones do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::find;
use serde_json::{Value, json};

use super::api::Api;
use super::{ask, ask_over, offering, pair, well};
use crate::common::client::{Answer, Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, provider_at};
use crate::common::script::Script;

/// Over this many bytes of body a request is translated elsewhere; the tests are well over it.
const MIB: usize = 1 << 20;

/// One that gives unoptimised code the time that it takes.
fn patient() -> Builder {
    let timeouts = json!({"per_request": "50s", "total": "55s", "stream_idle": "50s"});
    Gateway::builder().config(json!({"timeouts": timeouts}))
}

/// A text that shows where it was cut, if it was.
fn text(bytes: usize) -> String {
    let words = (0..).map(|n| format!("{n} \"\u{e9}\"\n"));
    let mut text = String::new();
    words
        .take_while(|word| {
            text.push_str(word);
            text.len() < bytes
        })
        .for_each(drop);
    text
}

fn saying(client: Api, models: &[&str], text: &str) -> Value {
    let mut body = client.body(models, false);
    let turns = if client == Api::Responses {
        "input"
    } else {
        "messages"
    };
    body[turns][0]["content"] = json!(text);
    body
}

/// A conversation of many turns, which is much more work to translate than to move.
fn turns(client: Api, models: &[&str], bytes: usize) -> Value {
    let said = "x".repeat(1000);
    let mut body = client.body(models, false);
    let turns = (0..=bytes / said.len() / 2 * 2)
        .map(|n| json!({"role": if n % 2 == 0 { "user" } else { "assistant" }, "content": said}));
    body["messages"] = turns.collect();
    body
}

#[tokio::test]
async fn text_of_megabytes_comes_through_whole_both_ways() {
    let sent = text(2 * MIB);
    let answered = text(MIB + 77);
    let quoted = |text: &str| Value::from(text).to_string();
    let mut builder = patient();
    let mut cases = Vec::new();
    for (client, provider) in Api::pairs() {
        let whole = provider.whole().to_string();
        let whole = whole.replace("\"the good one\"", &quoted(&answered));
        let head = [("content-type", "application/json")];
        // The end comes with the last piece, or after it.
        let (wire, version, script) = if client == Api::Chat {
            let script = Script::new().length().head(200, &head).data(whole);
            (Wire::H1, Version::H1, script)
        } else {
            let script = Script::new().head(200, &head).data(whole).wait(20);
            (Wire::TlsH2, Version::H2, script)
        };
        let fake = Fake::start(wire, script).await;
        builder = builder.provider(offering(&pair(client, provider), &fake, &[provider]));
        cases.push((client, provider, version, fake));
    }
    let gateway = builder.start().await;
    for (client, provider, version, fake) in cases {
        let model = format!("{}:m", pair(client, provider));
        let request = client.post(&saying(client, &[&model], &sent));
        let answer = ask_over(version, &gateway, &request).await;
        let case = format!("{client:?} at {provider:?}, {version:?}");
        assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
        assert!(client.said(&answer, false).text == answered, "{case}");
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(&*length), "{case}");
        let seen = fake.seen().pop().unwrap();
        let came = find(&seen.body, quoted(&sent).as_bytes());
        assert!(came.is_some(), "what was sent; {case}");
    }
}

#[tokio::test]
async fn a_long_document_that_is_no_answer_fails_its_attempt() {
    let long = "x".repeat(600 << 10);
    let odd = Script::json(200, &json!({"odd": long}));
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": long}});
    for script in [odd, Script::json(200, &error)] {
        let bad = Fake::start(Wire::H1, script).await;
        let good = Fake::answering(Wire::H1, well).await;
        let gateway = patient()
            .provider(offering("bad", &bad, &[Api::Messages]))
            .provider(offering("good", &good, &[Api::Messages]))
            .start()
            .await;
        let answer = ask(&gateway, &Api::Chat.request(&["bad:m", "good:m"], false)).await;
        let provider = answer.header("x-tollgate-provider");
        assert_eq!(provider, Some("good"), "{} bytes", answer.body.len());
    }
}

#[tokio::test]
async fn small_requests_are_answered_while_large_ones_are_translated() {
    const LARGE: usize = 3;
    let fake = Fake::answering(Wire::H1, well).await;
    let gateway = patient()
        .provider(offering("p", &fake, &[Api::Messages]))
        .config(json!({"proxy": {"threads": 1}}))
        .start()
        .await;
    let body = turns(Api::Chat, &["m"], 15 * MIB);
    let request = Api::Chat.post(&body).header("x-test-size", "large");
    let done = Arc::new(AtomicBool::new(false));
    let address = gateway.address;
    let large = tokio::spawn({
        let done = done.clone();
        async move {
            let one = || async {
                let mut client = Client::connect(Version::H1, address).await;
                client.ask(&request).await
            };
            let answers: [Answer; LARGE] = tokio::join!(one(), one(), one()).into();
            done.store(true, Ordering::Relaxed);
            answers
        }
    });
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let small = Api::Chat
        .request(&["m"], false)
        .header("x-test-size", "small");
    while !done.load(Ordering::Relaxed) {
        let answer = client.ask(&small).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    for answer in large.await.unwrap() {
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    let order: Vec<bool> = fake
        .seen()
        .iter()
        .map(|seen| seen.header("x-test-size") == Some("large"))
        .collect();
    assert_eq!(order.iter().filter(|large| **large).count(), LARGE);
    let last = order.iter().rposition(|large| *large).unwrap();
    let before = last + 1 - LARGE;
    // On one thread each large one would let some ten through; it is hundreds if none waits.
    assert!(
        before >= 100,
        "only {before} small requests reached the provider before the last large one"
    );
}

/// What a client can tell apart.
fn outcome(answer: &Answer) -> (u16, Option<String>, Option<String>, Value) {
    let own = |name: &str| answer.header(name).map(str::to_owned);
    let error = answer.json()["error"].clone();
    let provider = own("x-tollgate-provider");
    (answer.status(), provider, own("x-tollgate-attempts"), error)
}

#[tokio::test]
async fn large_requests_fail_over_as_small_ones_do() {
    let fine = Fake::answering(Wire::H1, well).await;
    let mut bad = vec![("refused", None)];
    for (name, script) in [
        ("500", Script::json(500, &Api::Messages.error("down"))),
        ("400", Script::json(400, &Api::Messages.error("no"))),
        ("429", Script::json(429, &Api::Messages.error("later"))),
        ("cut", Script::new().cut()),
        ("no answer", Script::json(200, &json!({"odd": 1}))),
    ] {
        bad.push((name, Some(Fake::start(Wire::H1, script).await)));
    }
    let mut builder = patient()
        .provider(offering("own", &fine, &[Api::Chat]))
        .provider(offering("messages", &fine, &[Api::Messages]))
        .provider(offering("responses", &fine, &[Api::Responses]));
    // One that is known to be down is not asked again for a while, so each is asked once. All names are alike
    // but for their digits.
    let mut ids = (10..).map(|number| format!("bad{number}"));
    let mut cases = Vec::new();
    for (name, fake) in &bad {
        let first: Vec<String> = ids.by_ref().take(6).collect();
        for id in &first {
            let mut entry = match fake {
                Some(fake) => offering(id, fake, &[Api::Messages]),
                None => provider_at(id, &Fake::refused()),
            };
            entry["surfaces"] = json!([Api::Messages.surface()]);
            builder = builder.provider(entry);
        }
        cases.push((name, first));
    }
    let gateway = builder.start().await;
    for (name, first) in cases {
        let mut first = first.iter().map(|id| format!("{id}:m"));
        let mut seen = Vec::new();
        for bytes in [10, MIB / 2] {
            for (second, stop) in [("own", true), ("messages", true), ("responses", true)] {
                let models = [first.next().unwrap(), format!("{second}:m")];
                let mut body = saying(Api::Chat, &[&models[0], &models[1]], &text(bytes));
                if stop {
                    body["stop"] = json!("END"); // which Responses has no member for
                }
                let before = fine.count();
                let answer = ask(&gateway, &Api::Chat.post(&body)).await;
                let attempted = fine.count() - before;
                seen.push((second, stop, attempted, outcome(&answer)));
            }
        }
        let (small, large) = seen.split_at(seen.len() / 2);
        for (small, large) in small.iter().zip(large) {
            let ports = |text: String| text.replace(|c: char| c.is_ascii_digit(), "#");
            let said = |case: &(_, _, _, (u16, _, _, Value))| ports(case.3.3.to_string());
            let whose = |case: &(_, _, _, (u16, Option<String>, _, _))| case.3.1.clone().map(ports);
            assert_eq!(
                (small.2, small.3.0, whose(small), &small.3.2, said(small)),
                (large.2, large.3.0, whose(large), &large.3.2, said(large)),
                "{name}, then {}, {}",
                small.0,
                small.1
            );
            if *name != "400" {
                let served = u16::from(!(small.0 == "responses" && small.1));
                assert_eq!(small.2, usize::from(served), "{name}: {small:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_large_request_that_nobody_can_be_told_is_refused_before_any_attempt() {
    let fake = Fake::answering(Wire::H1, well).await;
    let mut builder = patient();
    for id in ["a", "b"] {
        builder = builder.provider(offering(id, &fake, &[Api::Messages]));
    }
    let gateway = builder.start().await;
    let mut body = saying(Api::Chat, &["a:m", "b:m"], &text(2 * MIB));
    body["n"] = json!(2);
    let answer = ask(&gateway, &Api::Chat.post(&body)).await;
    assert_eq!(answer.status(), 422, "{}", answer.text());
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("`n`"), "{message}");
    assert_eq!(fake.count(), 0, "before any attempt");

    // One that can be is found behind those that cannot.
    let own = Fake::answering(Wire::H1, well).await;
    let gateway = patient()
        .provider(offering("a", &fake, &[Api::Messages]))
        .provider(offering("own", &own, &[Api::Chat]))
        .start()
        .await;
    body["models"] = json!(["own:m"]);
    let answer = ask(&gateway, &Api::Chat.post(&body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-attempts"), Some("1"));
}
