//! Providers' limits seen ahead: requests go where there is quota, or wait a little, in turns.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_base::clock;

use crate::common::client::{Client, Version};
use crate::common::fake::{Fake, Seen, Wire};
use crate::common::gateway::{Builder, Gateway, access_key, provider};
use crate::common::process::Process;
use crate::common::requests::{Request, from};
use crate::common::script::{Script, chat_answer};
use crate::common::{PATIENCE, eventually};
use crate::fleet;

/// A provider's token bucket for requests.
struct Bucket {
    most: u32,
    each: Duration,
    full: Instant,
}

impl Bucket {
    fn left(&self, now: Instant) -> u32 {
        let used = self.full.saturating_duration_since(now).as_nanos();
        let used = u32::try_from(used.div_ceil(self.each.as_nanos())).unwrap();
        self.most.saturating_sub(used)
    }
}

/// A provider that limits each key, as real ones do, in shorter times.
struct Limited {
    most: u32,
    per_second: u32,
    /// Whether it tells what is left.
    tells: bool,
    buckets: HashMap<String, Bucket>,
    asked: usize,
    refused: usize,
}

impl Limited {
    async fn start(most: u32, per_second: u32, tells: bool) -> (Fake, Arc<Mutex<Limited>>) {
        let limited = Arc::new(Mutex::new(Limited {
            most,
            per_second,
            tells,
            buckets: HashMap::new(),
            asked: 0,
            refused: 0,
        }));
        let answering = limited.clone();
        let fake = Fake::answering(Wire::H1, move |seen| answering.lock().answer(seen)).await;
        (fake, limited)
    }

    fn answer(&mut self, seen: &Seen) -> Script {
        let now = clock::now();
        let (most, each) = (self.most, Duration::from_secs(1) / self.per_second);
        let key = seen.header("authorization").unwrap_or_default().to_owned();
        let new = || Bucket {
            most,
            each,
            full: now,
        };
        let bucket = self.buckets.entry(key).or_insert_with(new);
        self.asked += 1;
        let is_taken = bucket.left(now) > 0;
        if is_taken {
            bucket.full = bucket.full.max(now) + each;
        }
        let reset = bucket.full.saturating_duration_since(now);
        let told = [
            ("x-ratelimit-limit-requests", most.to_string()),
            (
                "x-ratelimit-remaining-requests",
                bucket.left(now).to_string(),
            ),
            (
                "x-ratelimit-reset-requests",
                format!("{:.6}s", reset.as_secs_f64()),
            ),
        ];
        let told = told.iter().map(|(name, value)| (*name, &**value));
        let mut headers: Vec<(&str, &str)> = told.filter(|_| self.tells).collect();
        if is_taken {
            headers.push(("content-type", "application/json"));
            let answer = chat_answer("hello").to_string();
            return Script::new()
                .length()
                .head(200, &headers)
                .wait(5)
                .data(answer);
        }
        self.refused += 1;
        // As long, beside the bucket's time, as providers' seconds are beside their minutes.
        headers.push(("retry-after-ms", "25"));
        Script::error_with(429, "too many", &headers)
    }
}

/// A gateway whose accounts, by their weights, share managed keys.
fn shared(fake: &Fake, keys: usize, accounts: &[(&str, u32)]) -> Builder {
    let mut entry = provider("p", fake);
    let keys = (0..keys).map(|id| json!({"id": format!("k{id}"), "value": format!("KEY-{id}")}));
    entry["keys"] = json!([]);
    entry["managed_keys"] = keys.collect();
    let key = |(account, _): &(&str, u32)| access_key(account, &json!({"account": account}));
    let ids = accounts.iter();
    let ids = ids.map(|(account, weight)| json!({"id": account, "weight": weight}));
    Gateway::builder().provider(entry).config(json!({
        "ledger": {"credits": "off"},
        "accounts": ids.collect::<Vec<Value>>(),
        "access_keys": accounts.iter().map(key).collect::<Vec<Value>>(),
    }))
}

async fn ask(gateway: &Gateway, account: &str) -> u16 {
    ask_with(gateway, account, "interactive").await
}

async fn ask_with(gateway: &Gateway, account: &str, priority: &str) -> u16 {
    let mut client = Client::connect(Version::H1, gateway.address).await;
    let request = from(account, Request::chat(&["p:m"], false));
    let request = request.header("x-tollgate-priority", priority);
    client.ask(&request).await.status()
}

/// Of each account how many requests were sent, and how many of them were answered.
type Served = HashMap<&'static str, (usize, usize)>;

/// Requests of three accounts at random, at 95 % of what the keys allow, for so long.
async fn load(gateway: &Gateway, per_second: f64, time: Duration, seed: u64) -> Served {
    let served: Mutex<Served> = Mutex::default();
    let mut drawn = seed;
    let mut draw = || {
        drawn = drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(drawn >> 33).unwrap()) / f64::from(1_u32 << 31)
    };
    let begun = clock::now();
    let mut after = 0.0;
    let mut requests = Vec::new();
    while after < time.as_secs_f64() {
        after += -(1.0 - draw()).ln() / (0.95 * per_second);
        let account = match draw() {
            share if share < 0.6 => "large",
            share if share < 0.9 => "middle",
            _ => "small",
        };
        requests.push((after, account));
    }
    let send = requests.into_iter().map(async |(after, account)| {
        let at = begun + Duration::from_secs_f64(after);
        tokio::time::sleep(at.saturating_duration_since(clock::now())).await;
        let status = ask(gateway, account).await;
        let mut served = served.lock();
        let (sent, answered) = served.entry(account).or_default();
        *sent += 1;
        *answered += usize::from(status == 200);
    });
    futures::future::join_all(send).await;
    served.into_inner()
}

/// Requests at 95 % of what three keys allow, blind and by what the provider tells: which part of what reaches the
/// provider it refuses, and what becomes of each account's requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_tells_its_limits_hardly_refuses_anything() {
    const PER_SECOND: u32 = 40;
    const TIME: Duration = Duration::from_secs(3);
    let run = async |tells: bool| {
        let (fake, limited) = Limited::start(20, PER_SECOND, tells).await;
        let queue = if tells { "2s" } else { "0s" };
        let gateway = shared(&fake, 3, &[("large", 1), ("middle", 1), ("small", 1)])
            .config(json!({"timeouts": {"queue": queue, "per_request": "10s"}}))
            .start()
            .await;
        let all = 3.0 * f64::from(PER_SECOND);
        // Limits are by the minute until it shows how fast these fill.
        load(&gateway, all, TIME / 3, 1).await;
        {
            let mut limited = limited.lock();
            (limited.asked, limited.refused) = (0, 0);
        }
        let served = load(&gateway, all, TIME, 2).await;
        let metrics = gateway.admin_get("/metrics");
        let limited = limited.lock();
        (limited.asked, limited.refused, served, metrics)
    };
    let ((asked, refused, _, _), (told, seldom, served, metrics)) =
        tokio::join!(run(false), run(true));
    println!(
        "refused: {refused} of {asked} blind, {seldom} of {told} by what is told; served: {served:?}"
    );
    assert!(refused * 50 > asked, "blind, {refused} of {asked}");
    assert!(seldom * 200 <= told, "by what is told, {seldom} of {told}");
    for (account, (sent, answered)) in served {
        assert!(
            answered * 100 >= sent * 99,
            "{account}: {answered} of {sent}"
        );
    }
    let avoided = metrics.lines().find_map(|line| {
        let line = line.strip_prefix("tollgate_quota_avoided_attempts_total{provider=\"p\"} ")?;
        line.parse::<f64>().ok()
    });
    assert!(avoided > Some(100.0), "{avoided:?}");
}

/// An account that sends forty requests at once fills a line, in which another's three do not stand behind them, nor behind its
/// own that are batch; who leaves it is never sent on.
///
/// On a busy machine a few met a 429: what had been sent after a pause was on its way for longer than the bucket takes to fill
/// by one, and stayed full meanwhile, while it was already reckoned to fill again.
#[tokio::test]
async fn accounts_wait_in_turns_and_clients_that_leave_give_up_their_place() {
    const GREEDY: usize = 40;
    let (fake, limited) = Limited::start(10, 20, true).await;
    let gateway = shared(&fake, 1, &[("greedy", 1), ("modest", 3)])
        .config(json!({"timeouts": {"queue": "20s", "per_request": "10s"}}))
        .start()
        .await;
    let gateway = Arc::new(gateway);
    // It is seen how fast the bucket fills.
    for _ in 0..9 {
        assert_eq!(ask(&gateway, "greedy").await, 200);
    }
    let is_full = || {
        limited
            .lock()
            .buckets
            .values()
            .all(|bucket| bucket.left(clock::now()) == 10)
    };
    assert!(eventually(PATIENCE, is_full).await);
    let before = limited.lock().asked;
    /// Who asked, as what, and the status of the answer.
    type Asked = (&'static str, &'static str, u16);
    let done: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let send = |account: &'static str, priority: &'static str| {
        let (gateway, done) = (gateway.clone(), done.clone());
        tokio::spawn(async move {
            let status = ask_with(&gateway, account, priority).await;
            done.lock().push((account, priority, status));
        })
    };
    let mut greedy: Vec<_> = (0..GREEDY).map(|_| send("greedy", "first")).collect();
    assert!(eventually(PATIENCE, || done.lock().len() >= 10).await);
    let modest = [
        "batch",
        "batch",
        "interactive",
        "interactive",
        "interactive",
    ];
    let modest: Vec<_> = modest.map(|priority| send("modest", priority)).into();
    let leaving = greedy.iter().enumerate().rev();
    let leaving: Vec<usize> = leaving
        .filter(|(_, one)| !one.is_finished())
        .map(|(at, _)| at)
        .take(5)
        .collect();
    for at in leaving {
        greedy.remove(at).abort();
    }
    for one in greedy.into_iter().chain(modest) {
        one.await.unwrap();
    }
    let done = done.lock();
    // None, but on a machine that stands still for longer than a second.
    let refused = done.iter().filter(|(.., status)| *status != 200).count();
    assert!(refused <= 1, "{done:?}");
    let metrics = gateway.admin_get("/metrics");
    assert!(metrics.contains("tollgate_quota_wait_seconds_count{provider=\"p\"}"));
    let last = |who: &str| {
        let found = done.iter().rposition(|(_, priority, _)| *priority == who);
        found.unwrap()
    };
    assert!(last("interactive") < 25, "{done:?}");
    assert!(last("interactive") < last("batch"), "{done:?}");
    assert!(
        last("batch") < last("first"),
        "batch does not starve: {done:?}"
    );
    let limited = limited.lock();
    assert_eq!(limited.asked - before, GREEDY - 5 + 5);
}

/// A replica that has sent a key nothing knows from another that it has no quota left.
#[tokio::test]
async fn replicas_tell_each_other_what_is_left() {
    let told = [
        ("content-type", "application/json"),
        ("x-ratelimit-limit-requests", "2"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "1h0m0s"),
    ];
    let told = Script::new().length().head(200, &told);
    let script = told.data(chat_answer("hello").to_string());
    let fake = Fake::start(Wire::H1, script).await;
    let redis = Process::start(&[]);
    let replica = || fleet::replica(&redis).fake("p", &fake).start();
    let (one, other) = tokio::join!(replica(), replica());
    let mut client = Client::connect(Version::H1, one.address).await;
    let answer = client.ask(&Request::chat(&["p:m"], false)).await;
    assert_eq!(answer.status(), 200);
    let plan = fleet::admin("GET", "/plan?model=p:m", None);
    let end = clock::now() + PATIENCE;
    loop {
        let answer = fleet::ask(other.admin, &plan).await;
        if answer.json()["candidates"][0]["cooling"] == "quota" {
            break;
        }
        assert!(clock::now() < end, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
