//! More than the gateway can do at once: each account gets its share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::connections::Raw;
use super::house::{ATTACKER, BANKS, BROKE, Bank, House, ORDINARY, repeatedly};
use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::provider;
use crate::common::requests::{Request, from, token};
use crate::common::script::{Act, Script, chat_word};
use crate::common::{PATIENCE, eventually};

/// One takes all it can get and keeps it; three others ask for little, and get it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_are_shared() {
    for bank in BANKS {
        let endless = Act::Forever(chat_word("x").into(), Duration::from_millis(100));
        let evil = Fake::start(Wire::H1, Script::sse().then(endless)).await;
        let mut entry = provider("evil", &evil);
        entry["keys"][0]["account"] = ATTACKER.into();
        let house = House::open(bank, |builder| {
            builder
                .provider(entry)
                .config(json!({"proxy": {"max_in_flight": 24}}))
        })
        .await;
        let address = house.gateway.address;
        let refused = AtomicUsize::new(0);
        let hostile = repeatedly(24, Duration::from_secs(2), |_| async {
            let mut client = Client::try_connect(address).await.unwrap();
            let request = from(ATTACKER, Request::chat(&["evil:m"], true));
            match client.begin(&request).await.unwrap().status {
                200 => tokio::time::sleep(Duration::from_secs(2)).await,
                503 => {
                    refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                other => panic!("{other}"),
            }
        });
        // Two each, besides the victim's three.
        let ordinary = repeatedly(4, Duration::from_secs(2), |place| {
            let house = &house;
            async move {
                let request = Request::chat(&["f:m"], place == 0);
                let status = house.ask(ORDINARY[place % 2], request).await;
                assert_eq!(status, Ok(200), "{bank:?} {}", ORDINARY[place % 2]);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let attack = async { tokio::join!(hostile, ordinary) };
        house.withstands(attack).await;
        assert!(refused.into_inner() > 0, "{bank:?}");
        assert!(evil.count() >= 8, "{bank:?}: its own share it has");
    }
}

/// A connection of HTTP/2 counts as one, however many requests it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_http2_are_shared() {
    let endless = Act::Forever(chat_word("x").into(), Duration::from_millis(100));
    let evil = Fake::start(Wire::H1, Script::sse().then(endless)).await;
    let mut entry = provider("evil", &evil);
    entry["keys"][0]["account"] = ATTACKER.into();
    let house = House::open(Bank::Sqlite, |builder| {
        builder
            .provider(entry)
            .config(json!({"proxy": {"max_connections": 24}}))
    })
    .await;
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..20 {
        let mut client = Client::connect(Version::H2, house.gateway.address).await;
        let request = from(ATTACKER, Request::chat(&["evil:m"], true));
        match client.begin(&request).await.unwrap().status {
            200 => held.push(client),
            503 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(held.len() >= 8, "{}: its own share it has", held.len());
    assert!(refused >= 4, "{refused} of 20");
    for guest in ORDINARY {
        let status = house.ask(guest, Request::chat(&["f:m"], false)).await;
        assert_eq!(status, Ok(200), "{guest}");
    }
}

/// The head of a chat of this length.
fn head(guest: &str, length: usize) -> String {
    let token = token(guest);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Bodies that come slowly take no place among the requests under way, whoever sends them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_shut_nobody_out() {
    let house = House::open(Bank::Sqlite, |builder| {
        builder.config(json!({"proxy": {"max_in_flight": 8, "max_connections": 200}}))
    })
    .await;
    let address = house.gateway.address;
    let attack = async {
        let slow = (0..60).map(|index| async move {
            let guest = [BROKE, ATTACKER][index % 2];
            let mut raw = Raw::connect(address, [127, 0, 0, 1]).await;
            raw.send(head(guest, 1 << 20).as_bytes()).await;
            for _ in 0..20 {
                raw.send(&[b' '; 140]).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        futures::future::join_all(slow).await;
    };
    house.withstands(attack).await;
}

/// What large bodies take of the memory is shared as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_bodies_is_shared() {
    let house = House::open(Bank::Sqlite, |builder| {
        builder.config(json!({"proxy": {"max_body": "256KiB"}}))
    })
    .await;
    let address = house.gateway.address;
    // Half of what 64 bodies take is 32 bodies.
    let attack = async {
        let bodies = (0..60).map(|_| async move {
            let mut raw = Raw::connect(address, [127, 0, 0, 1]).await;
            raw.send(head(ATTACKER, 256 << 10).as_bytes()).await;
            raw.send(&vec![b' '; (256 << 10) - 1]).await;
            let said = raw.read(Duration::from_secs(2)).await;
            said.starts_with("HTTP/1.1 503 ")
        });
        let refused = futures::future::join_all(bodies).await;
        refused.iter().filter(|refused| **refused).count()
    };
    // The victim's bodies are small; this one is not.
    let large = async {
        let mut body = Request::chat(&["f:m"], false).body.to_vec();
        body.resize(200 << 10, b' ');
        let request = Request::post("/v1/chat/completions", body);
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(house.ask(ORDINARY[0], request.clone()).await, Ok(200));
        }
    };
    let (refused, ()) = house
        .withstands(async { tokio::join!(attack, large) })
        .await;
    assert!((20..=40).contains(&refused), "{refused} of 60");
}

/// However steadily it comes.
#[tokio::test]
async fn a_body_has_a_time_in_all() {
    let house = House::open(Bank::Sqlite, |builder| {
        builder.config(json!({"proxy": {"read_timeout": "400ms"}}))
    })
    .await;
    let mut raw = Raw::connect(house.gateway.address, [127, 0, 0, 1]).await;
    raw.send(head(ATTACKER, 1 << 20).as_bytes()).await;
    let began = tollgate_base::clock::now();
    let mut said = String::new();
    while said.is_empty() && began.elapsed() < PATIENCE {
        raw.send(&[b' '; 100]).await;
        said = raw.read(Duration::from_millis(20)).await;
    }
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    let is_over = || {
        house
            .gateway
            .admin_get("/metrics")
            .contains("tollgate_requests_in_flight 0\n")
    };
    assert!(eventually(PATIENCE, is_over).await);
}
