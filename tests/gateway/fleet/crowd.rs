//! A thousand keys, made by eight clients on two replicas at once.

use futures::future::join_all;

use super::*;
use crate::common::fake::{Fake, Wire};

const CLIENTS: usize = 8;
const EACH: usize = 125;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_keys_are_made_at_once_and_none_is_lost() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let gateways = [
        replica(&redis).fake("f", &fake).start().await,
        replica(&redis).fake("f", &fake).start().await,
    ];
    let began = clock::now();
    let clients = (0..CLIENTS).map(|number| {
        let address = gateways[number % 2].admin;
        tokio::spawn(async move {
            let mut client = Client::connect(Version::H1, address).await;
            let mut keys = Vec::new();
            let mut slowest = Duration::ZERO;
            for turn in 0..EACH {
                let name = json!({"name": format!("{number}-{turn}")});
                let asked = clock::now();
                let answer = client
                    .ask(&admin("POST", "/access-keys", Some(&name)))
                    .await;
                slowest = slowest.max(clock::now() - asked);
                keys.push(created(&answer));
            }
            (keys, slowest)
        })
    });
    let mut keys = Vec::new();
    let mut slowest = Duration::ZERO;
    for client in join_all(clients).await {
        let (some, slow) = client.unwrap();
        keys.extend(some);
        slowest = slowest.max(slow);
    }
    let took = clock::now() - began;
    println!(
        "{} keys by {CLIENTS} clients on two replicas in {took:.1?}, the slowest in {slowest:.1?}",
        keys.len()
    );
    // Within a second of the last one, every replica knows all.
    tokio::time::sleep(SOON.saturating_sub(clock::now() - (began + took))).await;
    for gateway in &gateways {
        let shares = keys.chunks(EACH).map(|share| {
            let (address, share) = (gateway.address, share.to_vec());
            tokio::spawn(async move {
                let mut client = Client::connect(Version::H1, address).await;
                for (id, token) in share {
                    let answer = client.ask(&chat(&token)).await;
                    assert_eq!(answer.status(), 200, "{id}: {}", answer.text());
                }
            })
        });
        for share in join_all(shares).await {
            share.unwrap();
        }
        let mut listed: Vec<String> = Vec::new();
        let mut path = "/access-keys?limit=100".to_owned();
        loop {
            let page = ask(gateway.admin, &admin("GET", &path, None)).await;
            let page = page.json();
            let page = page["aiGatewayAccessKeys"].as_array().unwrap();
            let ids = page
                .iter()
                .map(|key| key["id"].as_str().unwrap().to_owned());
            listed.extend(ids);
            if page.is_empty() {
                break;
            }
            path = format!("/access-keys?limit=100&beforeId={}", listed.last().unwrap());
        }
        listed.retain(|id| id.starts_with("ak_"));
        let mut made: Vec<String> = keys.iter().map(|(id, _)| id.clone()).collect();
        made.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(listed, made, "each is listed once, the newest first");
    }
}
