//! Budgets that access keys share, and those of tags: four replicas, one Redis.

use std::net::SocketAddr;

use super::*;
use crate::common::PATIENCE;
use crate::common::eventually;
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::access_key;
use crate::common::process::Process;
use crate::common::requests::from;

const REPLICAS: usize = 4;

/// More than what a request below is expected to cost, in answers.
const ESTIMATE: i64 = 20;

/// What a team's budget and its organisation's pay for, in answers.
const TEAM: i64 = 40;
const ALL: i64 = 80;

/// Gateways that share all but their journals, and where they are called.
async fn replicas(fake: &Fake, config: &Value) -> (Vec<Gateway>, Vec<SocketAddr>) {
    let mut gateways = Vec::new();
    for _ in 0..REPLICAS {
        let gateway = Gateway::builder()
            .fake("f", fake)
            .config(money(10_000_000_000))
            .config(config.clone());
        gateways.push(gateway.start().await);
    }
    let addresses = gateways.iter().map(|gateway| gateway.address).collect();
    (gateways, addresses)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keys_and_teams_share_is_never_promised_twice() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let mut acme = budget(ALL, "week");
    acme["budget"]["time_zone"] = json!("Asia/Tokyo");
    let config = json!({
        "ledger": {"bank": "redis", "redis": {"url": format!("redis://127.0.0.1:{}", redis.port)}},
        "budgets": [
            {"id": "acme", "limits": acme},
            {"id": "team", "name": "Research", "parent": "acme", "limits": budget(TEAM, "total")},
            {"id": "project", "parent": "team"},
        ],
        "access_keys": [
            access_key("one", &json!({"budget": "project"})),
            access_key("two", &json!({"budget": "team", "limits": budget(ALL, "day")})),
            access_key("three", &json!({"budget": "acme"})),
        ],
    });
    let (gateways, addresses) = replicas(&fake, &config).await;

    let (team, refusal) = spend(&addresses, &["one", "two"]).await;
    assert!((TEAM - ESTIMATE..=TEAM).contains(&team), "served {team}");
    assert!(refusal.contains("the budget `Research`"), "{refusal}");
    let (other, refusal) = spend(&addresses, &["three"]).await;
    let all = team + other;
    assert!((ALL - ESTIMATE..=ALL).contains(&all), "served {all}");
    let anew = ["the budget `acme`", "per week", "it begins anew at 20"];
    assert!(anew.iter().all(|said| refusal.contains(said)), "{refusal}");
    books(&gateways[0], NanoUsd(all * COST.0)).await;
    verified(&gateways[0]);
}

/// A budget that pays for so many answers.
fn budget(answers: i64, per: &str) -> Value {
    let micros = answers * COST.0 / 1_000;
    json!({"budget": {"usd": format!("0.{micros:06}"), "per": per}})
}

/// Customers that have a budget each, and share a tree of them.
fn customers(redis: &str) -> Value {
    let own = json!({
        "id": "own", "access": {"tags": {"allow": ["customer"]}},
        "limits": {"tags": {"customer": budget(TEAM, "week")["budget"]}},
    });
    json!({
        "ledger": {"bank": "redis", "redis": {"url": redis}},
        "budgets": [
            {"id": "acme", "limits": budget(ALL, "total")},
            {"id": "team", "parent": "acme"},
            {"id": "project", "parent": "team", "limits": budget(ALL, "month")},
        ],
        "configurations": [own],
        "access_keys": [access_key("one", &json!({"budget": "project", "configuration": "own"}))],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replica_and_an_outage_change_nothing_of_what_tags_and_trees_pay_for() {
    let redis = Process::start(&[]);
    let fake = Fake::good(Wire::H1, "hello").await;
    let config = customers(&redis.url());
    let (mut gateways, addresses) = replicas(&fake, &config).await;
    let mut served = 0;
    for customer in ["1", "2", "3"] {
        let left = ALL - i64::try_from(served).unwrap();
        let request = ask_for("one").header("x-tollgate-tags", &format!("customer={customer}"));
        let spending = tokio::spawn(spend_by(addresses.clone(), vec![request], true));
        if customer == "2" {
            assert!(eventually(PATIENCE, || fake.count() > served + 5).await);
            gateways[0].kill();
            redis.signal("STOP");
            tokio::time::sleep(Duration::from_millis(300)).await;
            redis.signal("CONT");
            gateways[0].restart().await;
        }
        let (answered, refusal) = spending.await.unwrap();
        println!("customer {customer}: {answered} answered; {refusal}");
        assert!(
            answered <= TEAM.min(left),
            "customer {customer}: {answered}"
        );
        served += usize::try_from(answered).unwrap();
    }
    for gateway in &mut gateways {
        gateway.stop().await;
    }
    // What the killed one had under way is charged as it was held.
    let (books, total) = (
        bank(&gateways[0]).books("default").await.unwrap(),
        totals(&gateways[0]).await,
    );
    let orphans = i64::try_from(total.orphaned).unwrap();
    let whole = i64::try_from(served).unwrap();
    assert_eq!(books.faults(), Vec::<String>::new());
    assert_eq!((books.lent(), total.cost), (NanoUsd::ZERO, books.spent));
    assert!(books.spent >= NanoUsd(whole * COST.0), "{books:?}");
    assert!(books.spent <= NanoUsd(ALL * COST.0), "{books:?}");
    let least = ALL - 3 * ESTIMATE - orphans;
    assert!(whole >= least, "{whole} answered, {orphans} orphans");
    verified(&gateways[0]);
}

fn ask_for(key: &str) -> Request {
    let body =
        json!({"model": "m", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]});
    from(key, Request::post("/v1/chat/completions", body.to_string()))
}

/// Asks for far more than there is, at all replicas at once: how many were served, and why one was not.
async fn spend(addresses: &[SocketAddr], keys: &[&str]) -> (i64, String) {
    let requests = keys.iter().map(|key| ask_for(key)).collect();
    spend_by(addresses.to_vec(), requests, false).await
}

/// The same; `patient` where replicas and their bank may be away.
async fn spend_by(
    addresses: Vec<SocketAddr>,
    requests: Vec<Request>,
    patient: bool,
) -> (i64, String) {
    let tasks: Vec<_> = (0..200)
        .map(|index| {
            let address = addresses[index % addresses.len()];
            let request = requests[index % requests.len()].clone();
            tokio::spawn(async move { until_decided(address, &request, patient).await })
        })
        .collect();
    let (mut served, mut refusal) = (0, String::new());
    for task in tasks {
        match task.await.unwrap() {
            answer if answer.status() == 200 => served += 1,
            answer => refusal = answer.text(),
        }
    }
    (served, refusal)
}

/// Asks again where a budget is lent to others, or held by their requests: there is more in a second. `patient`: where
/// nobody listens, or the bank is away, too.
async fn until_decided(address: SocketAddr, request: &Request, patient: bool) -> Answer {
    loop {
        let attempt = async { Client::try_connect(address).await?.try_ask(request).await };
        let answer = match attempt.await {
            Ok(answer) if !patient || (answer.status() != 503 && answer.clean) => answer,
            Err(why) if !patient => panic!("{why}"),
            _ => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if answer.status() == 200 {
            return answer;
        }
        let refused = (answer.status(), answer.code());
        assert_eq!(
            refused,
            (429, "ERR_TOLLGATE_3812".to_owned()),
            "{}",
            answer.text()
        );
        match answer.header("retry-after") {
            Some("1") => tokio::time::sleep(Duration::from_secs(1)).await,
            _ => return answer,
        }
    }
}
