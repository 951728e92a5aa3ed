//! Random histories with the real binary: whatever happens to requests and to gateways, events, daily totals and money
//! say the same of every account and day, to the token and to the nano-dollar.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{access_key, provider};
use crate::common::process::Process;
use crate::common::requests::from;
use crate::common::script::Script;
use crate::common::{PATIENCE, eventually};
use tollgate_base::random::bits64;

/// The admin API's key.
const ADMIN: &str = "correct-horse-battery-of-the-books";

const ACCOUNTS: [&str; 3] = ["default", "acme", "umbrella"];

/// How often gateways are killed; other runs have other moments.
const KILLS: usize = 3;

const CLIENTS: usize = 4;

/// Usage that an answer or a failure reports; never the same twice, so that nothing cancels out.
fn usage(number: u64) -> Value {
    let (prompt, answer) = (100 + number % 97, 20 + number % 31);
    json!({"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": prompt / 3},
        "completion_tokens_details": {"reasoning_tokens": answer / 4}})
}

fn event(choices: Value, usage: Option<Value>) -> String {
    let mut chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices});
    if let Some(usage) = usage {
        chunk["usage"] = usage;
    }
    format!("data: {chunk}\n\n")
}

fn word(word: &str) -> Value {
    json!([{"index": 0, "delta": {"content": word}, "finish_reason": null}])
}

/// What a provider does: answers, breaks off before or after its answer has begun, or fails with its usage reported.
fn act(seen: &Seen, number: u64) -> Script {
    let body = seen.json();
    let stream = body["stream"].as_bool() == Some(true);
    let usage = usage(number);
    let fails = body["model"].as_str() == Some("fails") || bits64().is_multiple_of(4);
    match (stream, fails) {
        (false, false) => Script::json(
            200,
            &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}),
        ),
        (true, false) => (0..4)
            .fold(Script::sse(), |script, _| {
                script.data(event(word("hello "), None)).wait(4)
            })
            .data(event(
                json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
                None,
            ))
            .data(event(json!([]), Some(usage)))
            .data("data: [DONE]\n\n"),
        // It has used something, and says so, before anything of its answer can leave.
        (true, true) if bits64().is_multiple_of(2) => Script::sse()
            .data(event(
                json!([{"index": 0, "delta": {"role": "assistant"}}]),
                Some(usage),
            ))
            .data("data: {\"error\": {\"message\": \"no\", \"type\": \"server_error\"}}\n\n"),
        // It breaks off in the middle.
        (true, true) if bits64().is_multiple_of(2) => Script::sse()
            .data(event(word("hello"), Some(usage)))
            .wait(3)
            .reset(),
        _ => Script::error(503, "no"),
    }
}

async fn fake() -> Fake {
    let count = AtomicU64::new(0);
    Fake::answering(Wire::H1, move |seen| {
        act(seen, count.fetch_add(1, Ordering::Relaxed))
    })
    .await
}

/// A provider with the models `m` and `fails`, on two keys.
fn served_by(id: &str, fake: &Fake, managed: bool) -> Value {
    let mut entry = provider(id, fake);
    let key =
        |number| json!({"id": format!("{id}-{number}"), "value": format!("HOUSE-{id}-{number}")});
    entry["keys"] = json!([]);
    entry[if managed { "managed_keys" } else { "keys" }] = json!([key(1), key(2)]);
    let prices = json!({"input": 2, "cached_read": 0.5, "output": 10, "reasoning": 11});
    entry["models"] = json!([{"id": "m", "prices": prices}, {"id": "fails", "prices": prices}]);
    entry
}

fn builder(own: &Fake, managed: &Fake) -> crate::common::gateway::Builder {
    let accounts = ["default", "acme", "umbrella"]
        .map(|id| json!({"id": id, "grants": [{"id": "tests", "usd": 1000}]}));
    let keys = ACCOUNTS.map(|id| access_key(id, &json!({"account": id})));
    Gateway::builder()
        .env("TOLLGATE_ADMIN_KEY", ADMIN)
        .provider(served_by("own", own, false))
        .provider(served_by("managed", managed, true))
        .config(money(0))
        .config(
            json!({"accounts": accounts, "access_keys": keys, "ledger": {"usage_grace": "100ms"}}),
        )
}

/// Asks at random until it is stopped: streams and documents, over several candidates, and leaves some answers.
async fn client(gateways: Vec<std::net::SocketAddr>, asked: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    const ROUTES: [&[&str]; 5] = [
        &["own:m"],
        &["managed:m"],
        &["managed:m", "own:m"],
        &["managed:fails", "managed:m"],
        &["managed:fails"],
    ];
    while !stop.load(Ordering::Relaxed) {
        let dice = usize::try_from(bits64() % 1_000_000).unwrap();
        let request = Request::chat(ROUTES[dice % 5], dice / 5 % 3 != 0);
        let request = from(ACCOUNTS[dice / 15 % 3], request);
        let gateway = gateways[dice / 45 % gateways.len()];
        let ask = async {
            let mut client = Client::try_connect(gateway).await?;
            client.try_ask(&request).await
        };
        // Some leave in the middle, and a gateway that is killed leaves them.
        let patience = Duration::from_millis(if (dice / 90).is_multiple_of(6) {
            8
        } else {
            5_000
        });
        if let Ok(Ok(_)) = tokio::time::timeout(patience, ask).await {
            asked.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Requests, failed ones, orphans; input, cached, written, answer, reasoning; nano-dollars.
type Sums = BTreeMap<u64, [u64; 9]>;

fn add(sums: &mut Sums, day: u64, figures: [u64; 9]) {
    let sum = sums.entry(day).or_default();
    for (sum, figure) in sum.iter_mut().zip(figures) {
        *sum += figure;
    }
}

/// What `GET /usage` says: an event a request, page by page.
async fn told(gateway: &Gateway, account: &str) -> Sums {
    let first = "/usage?startTime=2020-01-01T00:00:00Z&extended=true&limit=100".to_owned();
    let (mut sums, mut next) = (Sums::new(), Some(first));
    while let Some(path) = next {
        let request = Request {
            method: "GET",
            path,
            headers: Vec::new(),
            body: "".into(),
        };
        let request = request
            .header("authorization", &format!("Bearer {ADMIN}"))
            .header("x-tollgate-account", account);
        let answer = Client::connect(Version::H1, gateway.admin)
            .await
            .ask(&request)
            .await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let page = answer.json();
        for event in page["aiGatewayUsage"].as_array().unwrap() {
            let number = |name: &str| event[name].as_u64().unwrap();
            let is = |name: &str| u64::from(event[name] == true);
            let time = event["eventTime"].as_str().unwrap();
            let day = tollgate_base::time::instant(time).unwrap() / 86_400_000_000_000;
            let figures = [
                1,
                is("isError"),
                is("orphaned"),
                number("inputTokens"),
                number("cacheReadTokens"),
                number("cacheWriteTokens"),
                number("outputTokens"),
                number("reasoningTokens"),
                nanos(event["charge"]["total"].as_str().unwrap()),
            ];
            add(&mut sums, u64::try_from(day).unwrap(), figures);
        }
        next = page["nextPageUri"].as_str().map(|uri| {
            let at = uri.find("/usage").unwrap();
            uri[at..].to_owned()
        });
    }
    sums
}

/// An exact decimal of dollars.
fn nanos(dollars: &str) -> u64 {
    let (whole, fraction) = dollars.split_once('.').unwrap();
    format!("{whole}{fraction:0<9}").parse().unwrap()
}

/// The daily totals that the bank keeps.
async fn totalled(bank: &dyn Bank, account: &str) -> Sums {
    let mut sums = Sums::new();
    for row in bank.rollups(account, Day(0), Day(u32::MAX)).await.unwrap() {
        let figures = [
            row.requests,
            row.failed,
            row.orphaned,
            row.input,
            row.cached_read,
            row.cache_write,
            row.output,
            row.reasoning,
            row.cost.0.cast_unsigned(),
        ];
        add(&mut sums, u64::from(row.day.0), figures);
    }
    sums
}

async fn agree(mut gateways: Vec<Gateway>) {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let addresses: Vec<_> = gateways.iter().map(|gateway| gateway.address).collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(addresses.clone(), asked.clone(), stop.clone())))
        .collect();
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(150 + bits64() % 250)).await;
        let number = kill % gateways.len();
        gateways[number].kill();
        gateways[number].restart().await;
    }
    let many = || asked.load(Ordering::Relaxed) > 50;
    assert!(eventually(PATIENCE, many).await, "{asked:?} asked");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let asked = asked.load(Ordering::Relaxed);
    // What is read on for callers that left, and what is reported last.
    for gateway in &mut gateways {
        gateway.stop().await;
    }
    gateways[0].restart().await;
    let gateway = &gateways[0];
    let bank = bank(gateway);
    let accounts = bank.accounts().await.unwrap();
    assert!(accounts.iter().any(|id| id == "house"), "{accounts:?}");
    let mut requests = 0;
    for account in accounts {
        let (events, totals) = (
            told(gateway, &account).await,
            totalled(&*bank, &account).await,
        );
        assert_eq!(events, totals, "{account}: events by day, and daily totals");
        let books = bank.books(&account).await.unwrap();
        assert_eq!(books.faults(), Vec::<String>::new(), "{account}");
        let spent: u64 = events.values().map(|sums| sums[8]).sum();
        assert_eq!(books.spent.0.cast_unsigned(), spent, "{account}");
        println!("{account}: {totals:?}");
        requests += totals.values().map(|sums| sums[0]).sum::<u64>();
    }
    assert!(requests >= asked, "{asked} asked, {requests} told");
    verified(gateway);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_totals_and_money_agree_on_sqlite() {
    let (own, managed) = (fake().await, fake().await);
    agree(vec![builder(&own, &managed).start().await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_totals_and_money_agree_in_a_fleet() {
    let redis = Process::start(&[]);
    let (own, managed) = (fake().await, fake().await);
    let on = json!({"ledger": {"bank": "redis", "redis": {"url": redis.url()}}});
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(builder(&own, &managed).config(on.clone()).start().await);
    }
    agree(gateways).await;
}
