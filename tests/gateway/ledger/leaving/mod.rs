//! Callers that leave before their answer has ended, and what they pay.

mod blind;
mod bounded;
mod early;
mod house;
mod read_on;
mod talk;

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;
use tollgate_ledger::events::{Flag, stored};

use super::*;
use crate::common::client::Chunk;
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::script::Gate;
use crate::common::{PATIENCE, eventually};
use talk::Talk;

/// What the provider of a managed key takes for a token, in nano-dollars.
const PROMPT: i64 = 2_000;
const CACHED: i64 = 500;
const ANSWER: i64 = 10_000;

/// What [`Talk::events`] and [`Talk::whole`] report: 100 prompt tokens of which 40 were cached, and 20 answer tokens.
const REPORTED: i64 = 120 * FEE + 60 * PROMPT + 40 * CACHED + 20 * ANSWER;

/// A provider whose answers credits pay for, on one API.
fn managed(id: &str, fake: &Fake, talk: Talk) -> Value {
    let mut entry = crate::common::gateway::provider(id, fake);
    entry["surfaces"] = json!([talk.surface()]);
    entry["keys"] = json!([]);
    entry["managed_keys"] = json!([{"id": format!("{id}-key"), "value": "HOUSE"}]);
    entry["models"] =
        json!([{"id": "m", "prices": {"input": 2, "cached_read": 0.5, "output": 10}}]);
    entry
}

/// Much money, patience with providers, and this grace.
fn settings(grace: &str) -> Value {
    let mut settings = money(100_000_000_000_000);
    settings["ledger"]["usage_grace"] = json!(grace);
    settings["timeouts"] =
        json!({"per_request": "50s", "total": "50s", "stream_idle": "50s", "hold": "50s"});
    settings
}

/// One for each request, by its id: its provider goes on when it is open.
#[derive(Clone, Default)]
struct Gates(Arc<Mutex<HashMap<String, watch::Sender<bool>>>>);

impl Gates {
    /// The gate of the request that a provider has seen.
    fn of(&self, seen: &Seen) -> Gate {
        self.gate(seen.header("x-request-id").unwrap())
    }

    fn gate(&self, id: &str) -> Gate {
        let mut gates = self.0.lock();
        gates.entry(id.to_owned()).or_default().subscribe()
    }

    fn open(&self, id: &str) {
        let mut gates = self.0.lock();
        gates.entry(id.to_owned()).or_default().send_replace(true);
    }
}

/// What is known of a request's last attempt.
#[derive(Clone, Debug)]
struct Charged {
    input: i64,
    cached: i64,
    output: i64,
    cost: i64,
    estimated: bool,
    outcome: String,
    attempt: u32,
}

impl Charged {
    /// What these tokens cost.
    fn price(&self) -> i64 {
        (self.input + self.output) * FEE
            + (self.input - self.cached) * PROMPT
            + self.cached * CACHED
            + self.output * ANSWER
    }
}

/// Every final usage event so far, by its request.
async fn all_told(bank: &Arc<dyn Bank>) -> HashMap<String, Charged> {
    let batches = bank.events("default", 0, u64::MAX, usize::MAX).await;
    let batches = batches.unwrap();
    let events = batches
        .iter()
        .flat_map(|batch| stored::decode(batch).unwrap());
    let finals = events.filter(|event| event.attempt.is(Flag::Final));
    let told = finals.map(|event| {
        let (id, cost) = (event.request.id.to_owned(), event.attempt.cost.0);
        let estimated = event.attempt.is(Flag::Estimated);
        let attempt = event.attempt.number;
        let json = serde_json::to_value(event.shown()).unwrap();
        let tokens = |name: &str| json[name].as_i64().unwrap();
        let told = Charged {
            input: tokens("inputTokens"),
            cached: tokens("cacheReadTokens"),
            output: tokens("outputTokens"),
            cost,
            estimated,
            outcome: json["outcome"].as_str().unwrap().to_owned(),
            attempt,
        };
        (id, told)
    });
    told.collect()
}

/// What is reported of this request, once it is.
async fn told(bank: &Arc<dyn Bank>, id: &str) -> Charged {
    told_of(bank, [id]).await.remove(id).unwrap()
}

/// What is reported, once all these requests are.
async fn told_of<'a>(
    bank: &Arc<dyn Bank>,
    ids: impl IntoIterator<Item = &'a str>,
) -> HashMap<String, Charged> {
    let ids: Vec<&str> = ids.into_iter().collect();
    let end = tollgate_base::clock::now() + PATIENCE;
    loop {
        let told = all_told(bank).await;
        let Some(missing) = ids.iter().find(|id| !told.contains_key(**id)) else {
            return told;
        };
        assert!(tollgate_base::clock::now() < end, "{missing} is never told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A series' value among all; 0 if it is not there.
fn value<'a>(metrics: &'a str, series: &str) -> &'a str {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or("0")
}

/// A series' value; 0 if there is none.
fn metric(gateway: &Gateway, series: &str) -> String {
    value(&gateway.admin_get("/metrics"), series).to_owned()
}

/// How many answers were read on until this ended it.
fn ended(gateway: &Gateway, label: &str) -> usize {
    let series = format!("tollgate_abandoned_answers_total{{ended=\"{label}\"}}");
    metric(gateway, &series).parse().unwrap()
}

/// What is held for all requests in flight, in nano-dollars.
fn held(gateway: &Gateway) -> i64 {
    let dollars = metric(gateway, "tollgate_ledger_credits_usd{term=\"held\"}");
    let (whole, rest) = dollars.split_once('.').unwrap_or((&dollars, ""));
    format!("{whole}{rest:0<9}").parse().unwrap()
}

/// Waits until so many answers are read on.
async fn read_on(gateway: &Gateway, count: usize) {
    let count = count.to_string();
    let all = || metric(gateway, "tollgate_answers_read_on") == count;
    let done = eventually(PATIENCE, all).await;
    assert!(done, "{}", gateway.admin_get("/metrics"));
}

/// Waits until nothing is held, read on or under way any more.
async fn settled(gateway: &Gateway) {
    let series = [
        "tollgate_ledger_holds",
        "tollgate_answers_read_on",
        "tollgate_requests_in_flight",
    ];
    let rests = || {
        let metrics = gateway.admin_get("/metrics");
        series.iter().all(|series| value(&metrics, series) == "0")
    };
    let done = eventually(PATIENCE, rests).await;
    assert!(
        done && held(gateway) == 0,
        "{}",
        gateway.admin_get("/metrics")
    );
}

/// Nothing is held, read on or under way any more, and the books balance.
async fn at_rest(gateway: &Gateway) {
    settled(gateway).await;
    verified(gateway);
}

/// A client that has the beginning of an answer.
async fn begun(version: Version, gateway: &Gateway, request: &Request) -> Client {
    let mut client = Client::connect(version, gateway.at(version)).await;
    let head = client.begin(request).await.unwrap();
    assert_eq!(head.status, 200, "{head:?}");
    client
}

/// Reads what has arrived, and leaves.
async fn leave(mut client: Client) {
    let more = async { while matches!(client.chunk().await, Chunk::Data(_)) {} };
    drop(tokio::time::timeout(Duration::from_millis(20), more).await);
}
