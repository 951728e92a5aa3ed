//! The control plane with real binaries and a real Redis: what one replica changes, every replica serves.
//!
//! Needs `redis-server` 7 or newer (or Valkey's, by the name in `TOLLGATE_TEST_REDIS`).

mod away;
mod changes;
mod crash;
mod crowd;
mod furnished;
mod in_flight;
mod many;
mod missed;
mod newer;
mod rotation;
mod side_by_side;
mod upgrade;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_base::clock;
use tollgate_control::store;
use tollgate_control::store::Store;
use tollgate_ledger::bank;
use tollgate_ledger::bank::Bank;

use crate::common;
use crate::common::client::{Answer, Client, Version};
use crate::common::gateway::{Builder, Gateway};
use crate::common::process::Process;
use crate::common::requests::Request;

/// The admin API's key.
pub const ADMIN: &str = "correct-horse-battery-of-the-tests";

/// The master key.
pub const MASTER: &str = "6d61737465726d61737465726d61737465726d61737465726d61737465726d61";

/// How soon every replica knows of a change.
pub const SOON: Duration = Duration::from_secs(1);

/// A gateway with an admin API and a master key.
pub fn managed() -> Builder {
    Gateway::builder()
        .env("TOLLGATE_ADMIN_KEY", ADMIN)
        .env("TOLLGATE_MASTER_KEY", MASTER)
        .config(json!({"ledger": {"flush": "50ms"}}))
}

/// The same with its bank in this Redis.
pub fn replica(redis: &Process) -> Builder {
    managed().config(on(&redis.url()))
}

/// A bank in Redis.
pub fn on(url: &str) -> Value {
    json!({"ledger": {"bank": "redis", "redis": {"url": url}, "timeout": "500ms"}})
}

/// A request of the admin API.
pub fn admin(method: &'static str, path: &str, body: Option<&Value>) -> Request {
    let request = Request {
        method,
        path: path.to_owned(),
        headers: Vec::new(),
        body: body.map(Value::to_string).unwrap_or_default().into(),
    };
    let request = request.header("authorization", &format!("Bearer {ADMIN}"));
    match body {
        Some(_) => request.header("content-type", "application/json"),
        None => request,
    }
}

/// A chat with this access key.
pub fn chat(token: &str) -> Request {
    Request::chat(&["m"], false)
        .without("authorization")
        .header("authorization", &format!("Bearer {token}"))
}

/// Asks on a connection of its own.
pub async fn ask(address: SocketAddr, request: &Request) -> Answer {
    Client::connect(Version::H1, address)
        .await
        .ask(request)
        .await
}

/// A new access key: its id and its token.
pub async fn create(gateway: &Gateway) -> (String, String) {
    let request = admin("POST", "/access-keys", Some(&json!({})));
    created(&ask(gateway.admin, &request).await)
}

/// What the answer to a creation says.
pub fn created(answer: &Answer) -> (String, String) {
    assert!(
        matches!(answer.status(), 200 | 201),
        "{}: {}",
        answer.status(),
        answer.text()
    );
    let key = answer.json();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

/// A change over the admin API, which must succeed; what is answered.
pub async fn change(gateway: &Gateway, method: &'static str, path: &str, body: Value) -> Value {
    let answer = ask(gateway.admin, &admin(method, path, Some(&body))).await;
    let good = matches!(answer.status(), 200 | 201);
    assert!(good, "{method} {path}: {}", answer.text());
    answer.json()
}

/// A new provider key for `f`: its id.
pub async fn provider_key(gateway: &Gateway, value: &str) -> String {
    let new = json!({"providerId": "f", "name": "tests", "value": value});
    let made = change(gateway, "POST", "/provider-keys", new).await;
    made["id"].as_str().unwrap().to_owned()
}

/// Gives a provider key another value.
pub async fn rotate(gateway: &Gateway, id: &str, value: &str) {
    let path = format!("/provider-keys/{id}/rotate");
    let new = json!({"name": "tests", "value": value});
    change(gateway, "POST", &path, new).await;
}

/// Takes an access key away.
pub async fn delete(gateway: &Gateway, id: &str) {
    let request = admin("DELETE", &format!("/access-keys/{id}"), None);
    let answer = ask(gateway.admin, &request).await;
    assert_eq!(answer.status(), 204, "{}", answer.text());
}

/// Asks until the answer has this status; how long that took since `began`.
pub async fn until(
    address: SocketAddr,
    request: &Request,
    status: u16,
    began: Instant,
    what: &str,
) -> Duration {
    loop {
        // A refusal closes its connection.
        let answer = ask(address, request).await;
        let took = clock::now() - began;
        if answer.status() == status {
            return took;
        }
        assert!(
            took < common::PATIENCE,
            "{what}: {} rather than {status}: {}",
            answer.status(),
            answer.text()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The gateway's resources, opened beside it.
pub fn resources(gateway: &Gateway) -> Arc<dyn Store> {
    store::on(&gateway.database())
}

/// How many resources were created and are there; the store's seal is none.
pub async fn created_in(store: &dyn Store) -> usize {
    let records = store.load().await.unwrap().records.into_iter();
    records.filter(|record| record.kind != "seal").count()
}

/// Begins a store as gateways before 0.2.0 do, which sign nothing: this one does not either, until it is sealed.
pub async fn begin(store: &dyn Store) {
    let made = store.commit(0, &store::Commit::default()).await.unwrap();
    assert_eq!(made, store::Committed::At(1));
}

/// The gateway's bank, opened beside it.
pub fn bank(gateway: &Gateway) -> Arc<dyn Bank> {
    bank::on(&gateway.database())
}

/// A line of `/proc/<pid>/status` in MiB.
pub fn memory(gateway: &Gateway, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let found = status.lines().find_map(|one| one.strip_prefix(line));
    let kib = found.unwrap().split_whitespace().next().unwrap();
    kib.parse::<u64>().unwrap() / 1_024
}
