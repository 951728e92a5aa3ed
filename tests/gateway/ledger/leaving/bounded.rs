//! What ends the reading of an answer that was left, and whom it does not keep waiting.

use std::time::Instant;

use super::*;
use crate::common::script::Script;
use house::{House, Then, grace, left};
use talk::forever;

/// Waits until the provider is let go; how long it took.
async fn let_go(fake: &Fake, since: Instant) -> Duration {
    let gone = eventually(PATIENCE, || {
        fake.seen().iter().all(|seen| seen.gone.is_some())
    });
    assert!(gone.await, "the provider still works for nobody");
    tollgate_base::clock::now() - since
}

#[tokio::test]
async fn no_more_than_so_many_bytes_are_read() {
    let comment = format!(": {}\n\n", "x".repeat(60_000));
    let document = json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message":
        {"role": "assistant", "content": "x".repeat(300 << 10)}, "finish_reason": "stop"}]});
    for wire in [Wire::H1, Wire::TlsH2] {
        let mut builder = Gateway::builder().config(settings("5m"));
        let mut fakes = Vec::new();
        for talk in Talk::ALL {
            let (comment, document) = (comment.clone(), document.to_string());
            let fake = Fake::answering(wire, move |seen| {
                if seen.json()["stream"] == json!(true) {
                    let start = Script::sse().data(talk.start(1));
                    return start.then(forever(comment.clone(), 1));
                }
                let json = [("content-type", "application/json")];
                let start = Script::new().head(200, &json).data(document.clone());
                start.then(forever(" ".repeat(60_000), 1))
            });
            let fake = fake.await;
            builder = builder.provider(managed(talk.name(), &fake, talk));
            fakes.push(fake);
        }
        let gateway = builder.start().await;
        let bank = bank(&gateway);
        let (mut count, mut due) = (0, Vec::new());
        for (talk, fake) in Talk::ALL.into_iter().zip(&fakes) {
            for (stream, version) in [
                (true, Version::H1),
                (true, Version::H2),
                (false, Version::H1),
            ] {
                let id = format!("{}-{stream}-{version:?}", talk.name());
                let held = left(&gateway, version, &talk.request(talk, stream, 1_000, &id)).await;
                let since = tollgate_base::clock::now();
                settled(&gateway).await;
                let case = format!("{id} from {wire:?}");
                let took = let_go(fake, since).await;
                assert!(took < Duration::from_secs(50), "{case}: {took:?}");
                count += 1;
                assert_eq!(ended(&gateway, "bytes"), count, "{case}");
                due.push((id, held));
            }
        }
        let all = told_of(&bank, due.iter().map(|(id, _)| id.as_str())).await;
        for (id, held) in due {
            let told = &all[&id];
            let cost = (held.max(told.price()), true);
            assert_eq!((told.cost, told.estimated), cost, "{id}: {told:?}");
        }
        at_rest(&gateway).await;
    }
}

#[tokio::test]
async fn without_a_grace_nothing_is_read_on() {
    for wire in [Wire::H1, Wire::TlsH2] {
        let house = House::new(wire, 1, Then::Words, grace("0s")).await;
        let (gateway, bank) = (&house.gateway, bank(&house.gateway));
        let mut due = Vec::new();
        for (talk, fake) in Talk::ALL.into_iter().zip(&house.fakes) {
            for version in [Version::H1, Version::H2] {
                let id = format!("{}-{version:?}", talk.name());
                let held = house
                    .left(version, &talk.request(talk, true, 1_000, &id))
                    .await;
                let since = tollgate_base::clock::now();
                let took = let_go(fake, since).await;
                assert!(took < Duration::from_secs(5), "{id}: {took:?}");
                settled(gateway).await;
                due.push((id, held));
            }
        }
        let all = told_of(&bank, due.iter().map(|(id, _)| id.as_str())).await;
        for (id, held) in due {
            let told = &all[&id];
            assert_eq!((told.cost, told.estimated), (held, true), "{id}: {told:?}");
        }
        at_rest(gateway).await;
    }
}

/// Without a ledger nobody pays for what nobody reads.
#[tokio::test]
async fn without_a_ledger_nothing_is_read_on() {
    let mut more = grace("5m");
    more["ledger"]["credits"] = json!("off");
    more["accounts"] = json!([{"id": "default"}]);
    let house = House::new(Wire::H1, 1, Then::Words, more).await;
    let chat = Talk::ALL[0];
    for version in [Version::H1, Version::H2] {
        let since = tollgate_base::clock::now();
        let request = chat.request(chat, true, 10, "x");
        leave(begun(version, &house.gateway, &request).await).await;
        let took = let_go(&house.fakes[0], since).await;
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

/// A drain waits for clients, and not for the usage of those who left.
#[tokio::test]
async fn a_gateway_that_stops_waits_for_no_usage() {
    for (wire, then) in [(Wire::H1, Then::Silence), (Wire::TlsH2, Then::Words)] {
        let mut house = House::new(wire, 1, then, grace("5m")).await;
        let mut due = Vec::new();
        for talk in Talk::ALL {
            for version in [Version::H1, Version::H2] {
                let id = format!("{}-{version:?}", talk.name());
                let request = talk.request(talk, true, 1_000, &id);
                let held = house.left(version, &request).await;
                due.push((id, held));
            }
        }
        read_on(&house.gateway, due.len()).await;
        let since = tollgate_base::clock::now();
        house.gateway.stop().await;
        let took = tollgate_base::clock::now() - since;
        assert!(took < Duration::from_secs(10), "{took:?}");
        let all = all_told(&bank(&house.gateway)).await;
        for (id, held) in &due {
            let told = &all[id];
            let due = told.price().max(*held);
            assert_eq!((told.cost, told.estimated), (due, true), "{id}: {told:?}");
            assert_eq!(told.outcome, "client_gone", "{id}");
        }
        verified(&house.gateway);
    }
}

/// A gateway that stops already does not begin to read on.
#[tokio::test]
async fn whoever_leaves_during_the_drain_holds_nothing_up() {
    let mut house = House::new(Wire::H1, 1, Then::Words, grace("5m")).await;
    let gateway = &mut house.gateway;
    let chat = Talk::ALL[0];
    let request = chat.request(chat, true, 1_000, "late");
    let client = begun(Version::H1, gateway, &request).await;
    let held = held(gateway);
    crate::common::gateway::signal(gateway.pid(), "TERM");
    let stopping = || gateway.admin_get("/readyz").contains("shutting down");
    assert!(eventually(PATIENCE, stopping).await);
    let since = tollgate_base::clock::now();
    leave(client).await;
    assert!(eventually(PATIENCE, || !gateway.is_running()).await);
    let took = tollgate_base::clock::now() - since;
    assert!(took < Duration::from_secs(10), "{took:?}");
    let told = told(&bank(gateway), "late").await;
    let due = held.max(told.price());
    assert_eq!((told.cost, told.estimated), (due, true), "{told:?}");
    verified(gateway);
}

/// A client that does not read has left, too: its connection is closed at once, and its answer read on.
#[tokio::test]
async fn a_client_that_does_not_read_its_answer_pays_for_it() {
    let chat = Talk::ALL[0];
    let word = chat.more().replace("good ", &"good ".repeat(10_000));
    let script = Script::sse().data(chat.start(1)).then(forever(word, 1));
    let fake = Fake::start(Wire::H1, script).await;
    let gateway = Gateway::builder()
        .provider(managed(chat.name(), &fake, chat))
        .config(settings("5m"))
        .config(json!({"proxy": {"read_timeout": "1s"}}))
        .start()
        .await;
    for version in [Version::H1, Version::H2] {
        let id = format!("{version:?}");
        let client = begun(version, &gateway, &chat.request(chat, true, 1_000, &id)).await;
        let held = held(&gateway);
        let told = told(&bank(&gateway), &id).await;
        let case = format!("{version:?}: {told:?}");
        assert_eq!(told.outcome, "client_gone", "{case}");
        assert_eq!(
            (told.cost, told.estimated),
            (held.max(told.price()), true),
            "{case}"
        );
        assert!(told.output > 10_000, "{case}");
        drop(client);
    }
    assert_eq!(
        ended(&gateway, "bytes"),
        2,
        "{}",
        gateway.admin_get("/metrics")
    );
    at_rest(&gateway).await;
}

/// What is read on is a request under way, for its key as well.
#[tokio::test]
async fn an_answer_that_is_read_on_keeps_its_place() {
    let sha = crate::common::gateway::sha256(crate::common::TOKEN);
    let limits = json!({"concurrent_requests": 1});
    let key = json!({"access_keys": [{"id": "test", "sha256": sha, "limits": limits}]});
    let house = House::new(Wire::H1, 1, Then::End, key).await;
    let (gateway, bank) = (&house.gateway, bank(&house.gateway));
    let chat = Talk::ALL[0];
    let request = |id: &str| chat.request(chat, true, 1_000, id);
    leave(begun(Version::H1, gateway, &request("first")).await).await;
    let refused = ask(gateway, &request("refused")).await;
    assert_eq!(refused.status(), 429, "{}", refused.text());
    house.gates.open("first");
    told(&bank, "first").await;
    house.left(Version::H1, &request("second")).await;
    told(&bank, "second").await;
    at_rest(gateway).await;
}

/// Credits that are cut off are not spent on for a client that has left.
#[tokio::test]
async fn credits_that_run_out_end_the_reading() {
    let chat = Talk::ALL[0];
    let words = chat.more().replace("good ", &"good ".repeat(40));
    let script = Script::sse().data(chat.start(1)).then(forever(words, 20));
    let fake = Fake::start(Wire::H1, script).await;
    let gateway = Gateway::builder()
        .provider(managed(chat.name(), &fake, chat))
        .config(settings("5m"))
        .config(money(40_000_000))
        .config(json!({"ledger": {"cut_off": true}}))
        .start()
        .await;
    leave(
        begun(
            Version::H1,
            &gateway,
            &chat.request(chat, true, 150, "poor"),
        )
        .await,
    )
    .await;
    let told = told(&bank(&gateway), "poor").await;
    assert_eq!(
        ended(&gateway, "credits"),
        1,
        "{told:?}\n{}",
        gateway.admin_get("/metrics")
    );
    assert!(told.cost >= told.price() && told.estimated, "{told:?}");
    at_rest(&gateway).await;
}

/// So many are read on at a time; see `src/proxy/closing.rs`.
const PLACES: usize = 1_024;

#[tokio::test]
async fn when_many_are_read_on_others_are_not() {
    let house = House::new(Wire::TlsH2, 1, Then::Silence, grace("5m")).await;
    let (mut gateway, chat) = (house.gateway, Talk::ALL[0]);
    let mut held_each = 0;
    let ids: Vec<String> = (0..PLACES + 10).map(|n| format!("n-{n:04}")).collect();
    let mut client = Client::connect(Version::H2, gateway.address).await;
    for (turn, id) in ids.iter().enumerate() {
        // The one before is left.
        let head = client.begin(&chat.request(chat, true, 1_000, id)).await;
        assert_eq!(head.unwrap().status, 200, "{id}");
        if turn == 0 {
            held_each = held(&gateway);
        }
    }
    drop(client);
    let over = || ended(&gateway, "limit") == 10;
    assert!(
        eventually(PATIENCE, over).await,
        "{}",
        gateway.admin_get("/metrics")
    );
    read_on(&gateway, PLACES).await;
    gateway.stop().await;
    let told = all_told(&bank(&gateway)).await;
    for id in &ids {
        assert_eq!(
            (told[id].cost, told[id].estimated),
            (held_each, true),
            "{id}"
        );
    }
    verified(&gateway);
}
