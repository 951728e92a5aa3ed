//! Whoever leaves an answer pays what its provider reports of the whole of it.
//!
//! The gateway had stopped reading with its client, so that whoever left between the last word and the usage paid
//! for what had been counted until then: nothing of what was cached or thought, and nothing of what came after.

use futures::StreamExt;
use futures::stream;

use super::*;
use crate::common::script::{Act, Script};
use talk::paused;

/// How many leave at a time.
const CROWD: usize = 24;

/// The answer's event after which its provider waits for the gate.
const AT: &str = "x-test-pause-at";

/// Providers of every API, named after it, that pause after the event that the client names.
async fn providers(wire: Wire) -> (Gateway, Vec<Fake>, Gates) {
    let mut builder = Gateway::builder().tls().config(settings("20s"));
    let (mut fakes, gates) = (Vec::new(), Gates::default());
    for talk in Talk::ALL {
        let gates = gates.clone();
        let fake = Fake::answering(wire, move |seen| {
            let (at, gate) = (seen.header(AT), gates.of(seen));
            match at.and_then(|at| at.parse().ok()) {
                Some(at) => paused(&talk.events(), at, gate),
                None => talk.long(gate),
            }
        });
        let fake = fake.await;
        builder = builder.provider(managed(talk.name(), &fake, talk));
        fakes.push(fake);
    }
    (builder.start().await, fakes, gates)
}

/// Checks that these requests are charged as reported; how many of them left.
async fn all_reported(gateway: &Gateway, ids: &[String]) -> usize {
    let bank = bank(gateway);
    at_rest(gateway).await;
    let mut gone = 0;
    let all = told_of(&bank, ids.iter().map(String::as_str)).await;
    for id in ids {
        let told = &all[id];
        assert_eq!(told.cost, REPORTED, "{id}: {told:?}");
        assert_eq!(
            (told.price(), told.estimated),
            (REPORTED, false),
            "{id}: {told:?}"
        );
        gone += usize::from(told.outcome == "client_gone");
    }
    let count = i64::try_from(ids.len()).unwrap();
    books(gateway, NanoUsd(count * REPORTED)).await;
    gone
}

async fn at_every_event(wire: Wire) {
    let (gateway, _fakes, gates) = providers(wire).await;
    let mut cases = Vec::new();
    for (client, provider) in Talk::pairs() {
        for at in 0..provider.events().len() {
            for version in [Version::H1, Version::H2] {
                let id = format!("{}-{}-{at}-{version:?}", client.name(), provider.name());
                let request = client.request(provider, true, 1000, &id);
                let request = request.header(AT, &at.to_string());
                cases.push((version, id, request));
            }
        }
    }
    let ids: Vec<String> = cases.iter().map(|(_, id, _)| id.clone()).collect();
    let (gateway, gates) = (&gateway, &gates);
    stream::iter(cases)
        .for_each_concurrent(CROWD, |(version, id, request)| async move {
            // An answer that has not begun at its event begins with the rest of it.
            let late = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                gates.open(&id);
                std::future::pending().await
            };
            tokio::select! {
                client = begun(version, gateway, &request) => leave(client).await,
                () = late => {}
            }
            gates.open(&id);
        })
        .await;
    let gone = all_reported(gateway, &ids).await;
    // Whoever leaves after the last event has not left.
    assert!(gone * 2 > ids.len(), "{gone} of {} left", ids.len());
    let by_usage = ended(gateway, "usage");
    assert!(by_usage * 2 > ids.len(), "{by_usage} of {gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_event_of_every_stream_from_http1() {
    at_every_event(Wire::H1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_event_of_every_stream_from_http2() {
    at_every_event(Wire::TlsH2).await;
}

#[tokio::test]
async fn a_document_is_read_to_its_end() {
    for wire in [Wire::H1, Wire::TlsH2] {
        let (gateway, _fakes, gates) = providers(wire).await;
        let mut ids = Vec::new();
        for talk in Talk::ALL {
            for version in [Version::H1, Version::H2, Version::TlsH1, Version::TlsH2] {
                let id = format!("{}-{version:?}", talk.name());
                let request = talk.request(talk, false, 1000, &id);
                leave(begun(version, &gateway, &request).await).await;
                ids.push(id);
            }
        }
        read_on(&gateway, ids.len()).await;
        ids.iter().for_each(|id| gates.open(id));
        let gone = all_reported(&gateway, &ids).await;
        let by_usage = ended(&gateway, "usage");
        assert_eq!((gone, by_usage), (ids.len(), ids.len()), "{wire:?}");
    }
}

/// A stream is left by a reset, and its connection goes on with the next one.
#[tokio::test]
async fn a_connection_that_leaves_its_streams_one_after_the_other_pays_for_each() {
    let (gateway, _fakes, gates) = providers(Wire::H1).await;
    let mut client = Client::connect(Version::H2, gateway.address).await;
    let mut ids = Vec::new();
    for turn in 0..10 {
        let id = format!("turn-{turn}");
        let talk = Talk::ALL[turn % Talk::ALL.len()];
        // Some text of each is there.
        let events = talk.events();
        let at = events.iter().position(|event| event.contains("\"the \""));
        let request = talk.request(talk, true, 1000, &id);
        let request = request.header(AT, &at.unwrap().to_string());
        let head = client.begin(&request).await.unwrap();
        assert_eq!(head.status, 200);
        ids.push(id);
    }
    leave(client).await;
    read_on(&gateway, ids.len()).await;
    ids.iter().for_each(|id| gates.open(id));
    assert_eq!(all_reported(&gateway, &ids).await, ids.len());
}

/// What a provider reports once everybody has left is the bill, however late within the grace; and whoever says no
/// more is let go.
#[tokio::test]
async fn usage_that_comes_late_is_waited_for_and_nothing_after_it() {
    let gates = Gates::default();
    let mut builder = Gateway::builder().config(settings("5m"));
    let mut fakes = Vec::new();
    for talk in Talk::ALL {
        let gates = gates.clone();
        let fake = Fake::answering(Wire::H1, move |seen| {
            let events = talk.events();
            let at = events.iter().position(|event| event.contains("\"good \""));
            paused(&events, at.unwrap(), gates.of(seen)).silence()
        });
        let fake = fake.await;
        builder = builder.provider(managed(talk.name(), &fake, talk));
        fakes.push(fake);
    }
    let gateway = builder.start().await;
    let mut ids = Vec::new();
    for talk in Talk::ALL {
        ids.push(talk.name().to_owned());
        let request = talk.request(talk, true, 1000, talk.name());
        leave(begun(Version::H1, &gateway, &request).await).await;
    }
    read_on(&gateway, ids.len()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    read_on(&gateway, ids.len()).await;
    ids.iter().for_each(|id| gates.open(id));
    assert_eq!(all_reported(&gateway, &ids).await, ids.len());
    let gone = || fakes.iter().all(|fake| fake.seen()[0].gone.is_some());
    assert!(eventually(PATIENCE, gone).await, "providers are let go");
}

/// One of several choices ends before the others, and usage stands in every chunk: the first end is not the last.
#[tokio::test]
async fn another_choice_may_go_on_after_the_first_has_ended() {
    let choice = |index: u64, word: &str, finish: Value, tokens: u64| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": index, "delta": {"content": word}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens,
                "prompt_tokens_details": {"cached_tokens": 40}}});
        format!("data: {chunk}\n\n")
    };
    let gates = Gates::default();
    let mut script = Script::sse()
        .data(choice(0, "a", Value::Null, 1))
        .data(choice(0, "b", json!("stop"), 2))
        .then(Act::Gate(gates.gate("two")));
    for tokens in 3..20 {
        script = script.data(choice(1, "c", Value::Null, tokens)).wait(80);
    }
    let script = script
        .data(choice(1, "d", json!("stop"), 20))
        .data("data: [DONE]\n\n");
    let fake = Fake::start(Wire::H1, script).await;
    let chat = Talk::ALL[0];
    let gateway = Gateway::builder()
        .provider(managed(chat.name(), &fake, chat))
        .config(settings("20s"))
        .start()
        .await;
    let request = chat.request(chat, true, 1000, "two");
    leave(begun(Version::H1, &gateway, &request).await).await;
    gates.open("two");
    assert_eq!(all_reported(&gateway, &["two".to_owned()]).await, 1);
}
