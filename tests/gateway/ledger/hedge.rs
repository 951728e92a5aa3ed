//! Requests that are sent to the next candidate, too, when the first one is slow: one answer, one charge to the caller, and
//! what came second is the house's.

use super::*;
use crate::common::eventually;
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Builder, access_key, provider};
use crate::common::requests::from;
use crate::common::script::{Script, chat_role};

const SOON: Duration = Duration::from_secs(5);

/// Each attempt costs 7 x 2,000 + 3 x 10,000 nano-dollars at a provider's price.
const PRICE: NanoUsd = NanoUsd(7 * 2_000 + 3 * 10_000);

/// How many answers teach a gateway how long they take: the last one may not be noted yet when the next request comes.
const TAUGHT: i64 = 21;

/// Two providers of one model, and one more. What one of them does a request says itself: `x-test-first: late` and so on.
struct Providers {
    all: [Fake; 3],
}

const NAMES: [&str; 3] = ["first", "second", "third"];

fn script(name: &'static str, seen: &Seen) -> Script {
    let stream = seen.json()["stream"].as_bool() == Some(true);
    let told = seen.header(match name {
        "first" => "x-test-first",
        "second" => "x-test-second",
        _ => "x-test-third",
    });
    let good = Script::chat(stream, name);
    let after = |wait, rest: Script| Script {
        acts: Script::new()
            .wait(wait)
            .acts
            .into_iter()
            .chain(rest.acts)
            .collect(),
        ..rest
    };
    match told {
        Some("silent") => Script::new().silence(),
        Some("late") => after(350, good),
        Some("same") => after(220, good),
        // As late as the first one, if it is sent when that is 150 ms to 160 ms old.
        Some("soon") => after(65, good),
        Some("broken") => after(250, Script::error(500, "no")),
        Some("failed") => Script::error(500, "no"),
        Some("begun") => Script::sse().data(chat_role()).silence(),
        Some(other) => panic!("{other} is not known"),
        None => good,
    }
}

impl Providers {
    async fn new(wires: [Wire; 3]) -> Providers {
        let fake = |at: usize| Fake::answering(wires[at], move |seen| script(NAMES[at], seen));
        Providers {
            all: [fake(0).await, fake(1).await, fake(2).await],
        }
    }

    /// A gateway with managed keys, whose caller `hedged` may send so many of 100 requests twice.
    fn gateway(&self, percent: u32) -> Builder {
        let mut builder = Gateway::builder().config(money(1_000_000_000_000));
        for (name, fake) in NAMES.iter().zip(&self.all) {
            let mut entry = provider(name, fake);
            entry["managed_keys"] = entry["keys"].take();
            entry["keys"] = json!([]);
            if *name == "second" {
                entry["surfaces"] = json!(["openai/chat-completions"]);
            }
            entry["models"] = json!([{"id": "m", "prices": {"input": 2, "output": 10}}]);
            builder = builder.provider(entry);
        }
        // Longer than a busy machine keeps an answer from coming: what teaches is not to be sent twice.
        let hedge = json!({"at_least": "150ms", "budget_percent": percent});
        builder.config(json!({
            "timeouts": {"per_request": "5s", "stream_idle": "5s"},
            "configurations": [{"id": "hedged", "hedge": hedge}],
            "access_keys": [access_key("hedged", &json!({"configuration": "hedged"}))],
        }))
    }

    /// Requests of number `at` so far that were closed before their answers were over.
    fn gone(&self, at: usize) -> usize {
        self.all[at]
            .seen()
            .iter()
            .filter(|seen| seen.gone.is_some())
            .count()
    }
}

fn request(told: &[(&str, &str)], stream: bool) -> Request {
    let asked = Request::chat(&["first:m", "second:m", "third:m"], stream);
    let asked = told.iter().fold(asked, |asked, (name, does)| {
        asked.header(&format!("x-test-{name}"), does)
    });
    from("hedged", asked)
}

/// Has the gateway learn how long answers take: a few milliseconds.
async fn taught(gateway: &Gateway, stream: bool) {
    let mut client = Client::connect(Version::H1, gateway.address).await;
    for _ in 0..TAUGHT {
        assert_eq!(client.ask(&request(&[], stream)).await.status(), 200);
    }
}

/// The events of an account, the oldest first, from the first one of a request with this id on.
async fn events(gateway: &Gateway, account: &str, request_id: &str) -> Vec<Value> {
    let batches = bank(gateway).events(account, 0, u64::MAX, usize::MAX).await;
    let mut all = Vec::new();
    for batch in batches.unwrap() {
        let shown = stored::decode(&batch).unwrap();
        all.extend(
            shown
                .iter()
                .map(|event| serde_json::to_value(event.shown()).unwrap()),
        );
    }
    all.retain(|event| event["requestId"] == request_id);
    all.sort_by_key(|event| event["attemptNumber"].as_u64());
    all
}

/// What an answer said, whole or as a stream.
fn said(answer: &Answer, stream: bool) -> String {
    match stream {
        false => answer.json()["choices"][0]["message"]["content"].to_string(),
        true => answer.text(),
    }
}

fn line(gateway: &Gateway, id: &str) -> Option<Value> {
    let mut lines = gateway.access_log().into_iter();
    lines.find(|line| line["request_id"] == id)
}

fn outcomes(line: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attempts = line["attempts"].as_array().into_iter().flatten();
    attempts
        .map(|attempt| (text(&attempt["provider"]), text(&attempt["outcome"])))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    expected.iter().map(owned).collect()
}

/// What two providers do, and what comes of it.
struct Case {
    name: &'static str,
    told: &'static [(&'static str, &'static str)],
    /// Attempts by their provider and outcome; the last one is the answer's.
    attempts: &'static [(&'static str, &'static str)],
    /// Which provider's answer came second.
    loser: Option<usize>,
}

const CASES: [Case; 4] = [
    Case {
        name: "overtaken",
        told: &[("first", "silent")],
        attempts: &[("first", "cancelled"), ("second", "ok")],
        loser: Some(0),
    },
    Case {
        name: "in-vain",
        told: &[("first", "late"), ("second", "silent")],
        attempts: &[("second", "cancelled"), ("first", "ok")],
        loser: Some(1),
    },
    Case {
        name: "alone",
        told: &[("first", "broken"), ("second", "late")],
        attempts: &[("first", "http_500"), ("second", "ok")],
        loser: None,
    },
    Case {
        name: "both-fail",
        told: &[("first", "broken"), ("second", "failed")],
        attempts: &[
            ("first", "http_500"),
            ("second", "http_500"),
            ("third", "ok"),
        ],
        loser: None,
    },
];

#[tokio::test]
async fn the_first_content_wins_and_the_rest_is_the_houses() {
    let providers = Providers::new([Wire::H1; 3]).await;
    let gateway = providers.gateway(100).start().await;
    let mut gone = [0; 3];
    for stream in [true, false] {
        taught(&gateway, stream).await;
        for case in &CASES {
            let id = format!("{}-{stream}", case.name);
            let asked = request(case.told, stream).header("x-request-id", &id);
            let answer = ask(&gateway, &asked).await;
            let (text, winner) = (answer.text(), case.attempts[case.attempts.len() - 1].0);
            assert_eq!(answer.status(), 200, "{id}: {text}");
            assert!(said(&answer, stream).contains(winner), "{id}: {text}");
            let named = answer.header("x-tollgate-provider");
            assert_eq!(named, Some(winner), "{id}");
            let attempts = answer.header("x-tollgate-attempts");
            assert_eq!(attempts, Some(&*case.attempts.len().to_string()), "{id}");
            if let Some(loser) = case.loser {
                gone[loser] += 1;
                let left = eventually(SOON, || providers.gone(loser) == gone[loser]).await;
                assert!(left, "{id}: the loser's connection is closed");
            }
        }
    }
    let answered = 2 * TAUGHT + 8;
    books(&gateway, NanoUsd(answered * (PRICE.0 + COST.0))).await;
    for stream in [true, false] {
        for case in &CASES {
            noted(&gateway, case, &format!("{}-{stream}", case.name)).await;
        }
    }
    verified(&gateway);
    let metrics = gateway.admin_get("/metrics");
    for (outcome, count) in [("started", 8), ("won", 2)] {
        let told = format!("tollgate_hedges_total{{outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&told), "{told}: {metrics}");
    }
}

/// The access log has all attempts, the caller is charged for the last one, and the house for the one that came second.
async fn noted(gateway: &Gateway, case: &Case, id: &str) {
    assert!(
        eventually(SOON, || line(gateway, id).is_some()).await,
        "{id}"
    );
    let line = line(gateway, id).unwrap();
    assert_eq!(outcomes(&line), pairs(case.attempts), "{id}: {line}");
    let own = events(gateway, "default", id).await;
    let finals = own.iter().filter(|event| event["isFinalAttempt"] == true);
    let finals: Vec<_> = finals.map(|event| &event["provider"]).collect();
    let winner = case.attempts[case.attempts.len() - 1].0;
    assert_eq!(finals, [winner], "{id}: {own:#?}");
    assert_eq!(own.len(), case.attempts.len(), "{id}: {own:#?}");
    let mut house = events(gateway, "house", id).await;
    let end = tollgate_base::clock::now() + SOON;
    while house.is_empty() && case.loser.is_some() && tollgate_base::clock::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
        house = events(gateway, "house", id).await;
    }
    assert_eq!(
        house.len(),
        usize::from(case.loser.is_some()),
        "{id}: {house:#?}"
    );
    for event in house {
        let told = (&event["outcome"], &event["estimated"]);
        assert_eq!(told, (&json!("cancelled"), &json!(true)), "{id}: {event}");
        assert_ne!(event["totalCost"], "0.00000", "{id}: {event}");
    }
}

/// Whatever the providers speak, and whatever API the client calls.
#[tokio::test]
async fn what_is_begun_early_may_be_translated_and_speak_http2() {
    for wire in [Wire::TlsH2, Wire::TlsH1] {
        let providers = Providers::new([Wire::H1, wire, Wire::H1]).await;
        let gateway = providers.gateway(100).start().await;
        for stream in [true, false] {
            taught(&gateway, stream).await;
            let early = request(&[("first", "silent")], stream);
            let answer = ask(&gateway, &early).await;
            assert_eq!(answer.status(), 200, "{wire:?}: {}", answer.text());
            assert!(
                said(&answer, stream).contains("second"),
                "{wire:?}: {}",
                answer.text()
            );
            let seen = providers.all[1].seen().pop().unwrap();
            let expected = if wire == Wire::TlsH2 {
                "HTTP/2"
            } else {
                "HTTP/1.1"
            };
            assert_eq!(seen.version, expected);
            assert_eq!(seen.header("authorization"), Some("Bearer KEY-second"));
            assert_eq!(seen.json()["model"], "m");
            let message = Request::message(&["first:m", "second:m"], stream);
            let message = from("hedged", message.header("x-test-first", "silent"));
            let answer = ask(&gateway, &message).await;
            assert_eq!(
                answer.header("x-tollgate-provider"),
                Some("second"),
                "{}",
                answer.text()
            );
            let kind = if stream {
                "content_block_delta"
            } else {
                "\"type\":\"message\""
            };
            assert!(answer.text().contains(kind), "{wire:?}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn what_had_better_not_be_sent_twice_is_not() {
    let providers = Providers::new([Wire::H1; 3]).await;
    let gateway = providers.gateway(3).start().await;
    taught(&gateway, true).await;
    // 22 requests earn 0.66 of an extra one.
    let late = request(&[("first", "late")], true);
    assert!(said(&ask(&gateway, &late).await, true).contains("first"));
    let metrics = gateway.admin_get("/metrics");
    assert!(
        metrics.contains("tollgate_hedges_total{outcome=\"over_budget\"} 1"),
        "{metrics}"
    );
    taught(&gateway, true).await;
    let more = |body: Value| {
        let mut asked = late.clone();
        let mut whole: Value = serde_json::from_slice(&asked.body).unwrap();
        whole
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        asked.body = whole.to_string().into();
        asked
    };
    let alone = [
        more(json!({"store": true})),
        late.clone().header("x-tollgate-failover", "off"),
    ];
    for (case, asked) in alone.iter().enumerate() {
        let text = said(&ask(&gateway, asked).await, true);
        assert!(text.contains("first"), "{case}: {text}");
    }
    // Something has come, and it is waited for.
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let begun = request(&[("first", "begun")], true);
    let waited = tokio::time::timeout(Duration::from_millis(400), client.ask(&begun)).await;
    assert!(waited.is_err(), "a stream that has begun is not overtaken");
    assert_eq!(providers.all[1].count(), 0);
    let saved = more(json!({"store": false}));
    assert!(said(&ask(&gateway, &saved).await, true).contains("second"));
    assert_eq!(providers.all[1].count(), 1, "it is sent twice");
}

#[tokio::test]
async fn a_client_that_leaves_ends_both() {
    let providers = Providers::new([Wire::H1; 3]).await;
    let gateway = providers.gateway(100).start().await;
    taught(&gateway, true).await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let silent = request(&[("first", "silent"), ("second", "silent")], true);
    let asked = tokio::spawn(async move { client.ask(&silent).await });
    assert!(
        eventually(SOON, || providers.all[1].count() == 1).await,
        "it is sent twice"
    );
    asked.abort();
    let both = eventually(SOON, || providers.gone(0) == 1 && providers.gone(1) == 1).await;
    assert!(both, "both are cancelled");
    assert!(eventually(SOON, || gateway.access_log().len() == 22).await);
    let line = gateway.access_log().pop().unwrap();
    assert_eq!(
        outcomes(&line),
        pairs(&[("second", "cancelled"), ("first", "client_gone")]),
        "{line}"
    );
    assert_eq!(providers.all[2].count(), 0);
}

/// Whichever is first: one answer, whole, and one charge.
#[tokio::test]
async fn answers_that_come_at_the_same_time_are_one() {
    let providers = Providers::new([Wire::H1; 3]).await;
    let gateway = providers.gateway(100).start().await;
    taught(&gateway, true).await;
    let answered = 15;
    let same: Vec<_> = (0..answered)
        .map(|number| {
            let id = format!("same-{number}");
            let asked = request(&[("first", "same"), ("second", "soon")], true);
            let (asked, address) = (asked.header("x-request-id", &id), gateway.address);
            tokio::spawn(async move {
                Client::connect(Version::H1, address)
                    .await
                    .ask(&asked)
                    .await
            })
        })
        .collect();
    for answer in same {
        let answer = answer.await.unwrap();
        let text = answer.text();
        assert!(answer.status() == 200 && answer.clean, "{text}");
        assert!(text.contains("first") != text.contains("second"), "{text}");
        assert_eq!(text.matches("[DONE]").count(), 1, "{text}");
    }
    books(&gateway, NanoUsd((TAUGHT + answered) * (PRICE.0 + COST.0))).await;
    let charged = charged(&gateway).await;
    assert!(
        charged
            .values()
            .all(|(count, orphaned)| *count == 1 && !orphaned),
        "{charged:?}"
    );
    verified(&gateway);
}

#[tokio::test]
async fn who_dies_with_both_under_way_charges_once() {
    let providers = Providers::new([Wire::H1; 3]).await;
    let mut gateway = providers.gateway(100).start().await;
    taught(&gateway, true).await;
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let silent = request(&[("first", "silent"), ("second", "silent")], true);
    let silent = silent.header("x-request-id", "both");
    let asked = tokio::spawn(async move { client.try_ask(&silent).await });
    assert!(
        eventually(SOON, || providers.all[1].count() == 1).await,
        "it is sent twice"
    );
    gateway.kill();
    drop(asked.await);
    gateway.restart().await;
    gateway.stop().await;
    let charged = charged(&gateway).await;
    assert_eq!(
        charged.get("both"),
        Some(&(1, true)),
        "an orphan, once: {charged:?}"
    );
    verified(&gateway);
}
