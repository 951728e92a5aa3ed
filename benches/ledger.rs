//! The ledger: what a request pays for its hold and its settlement, and how many messages a bank takes in a second.
//!
//! Times of `admit` and `settle` are those of the request's own thread, with a real journal on disk and with money in
//! the cache; what is reported to the bank in the background is not in them. Exchanges are waited for one after the
//! other, as each replica does with those of one account.

#[path = "../tests/common/process.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the Redis bank's tests"
)]
mod process;

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tollgate_base::clock;
use tollgate_ledger::NanoUsd;
use tollgate_ledger::bank::Limit;
use tollgate_ledger::bank::redis::RedisBank;
use tollgate_ledger::bank::sqlite::SqliteBank;
use tollgate_ledger::bank::{
    Books, CreditStore, Day, Events, Exchange, Holder, Measure, Meter, MeterReply, NewGrant, Per,
    Reply, Rollup,
};
use tollgate_ledger::cost::{Sheet, Terms};
use tollgate_ledger::estimate::{Answers, Estimates};
use tollgate_ledger::events::{Attempt, EventId, Flag, Flags, Latency, Named, OwnedEvent, Request};
use tollgate_ledger::journal::{Journal, Options};
use tollgate_ledger::tariff::Prices;
use tollgate_ledger::till::{Ask, Flusher, Hold, Observer, Policy, Rhythm, Till, WhenAway};
use tollgate_store::redis::{Address, Redis, RedisSettings, Topology};
use tollgate_store::sqlite::Synchronous;
use tollgate_store::{Access, StoreError, sqlite};
use tollgate_wire::Surface;
use tollgate_wire::report::{Context, Unit, Usage};

/// 0.05 USD per million tokens.
const FEE: u64 = 50_000;
/// Requests in flight at once: as many as are settled between two messages at 500 a second.
const IN_FLIGHT: u64 = 256;
/// Accounts in a call of a bank: as many as a flusher puts into one.
const ACCOUNTS: usize = 256;
const MODEL: &str = "claude-sonnet-4-5-20250929";
const ANSWERS: Answers<'static> = Answers {
    account: "default",
    access_key: "app",
    provider: "anthropic",
    model: MODEL,
};

/// When answers are learnt and expected (Unix time, s).
const AT: u64 = 1_800_000_000;

const USAGE: Usage = Usage::of(1_234, 1_000, 0, 321, 0);

/// A bank that lends whatever one likes at once, so that caches are never short.
struct Rich;

/// More than a bench spends, and far from overflowing sums.
const PLENTY: i64 = 1 << 52;

#[async_trait]
impl CreditStore for Rich {
    async fn exchange(&self, messages: &[Exchange]) -> Vec<Result<Reply, StoreError>> {
        let reply = |message: &Exchange| {
            Ok(Reply {
                last: message.number,
                mark: message.mark,
                charged: NanoUsd(PLENTY),
                newest: message.holder.epoch,
                now: tollgate_base::clock::wall_ms(),
                allotment: NanoUsd(PLENTY),
                free: NanoUsd(PLENTY),
                allotments: NanoUsd(PLENTY),
                recall: false,
                meters: message
                    .meters
                    .iter()
                    .map(|meter| MeterReply {
                        window: meter.window,
                        allotment: PLENTY,
                        used: 0,
                        lent: PLENTY,
                        recall: false,
                    })
                    .collect(),
            })
        };
        messages.iter().map(reply).collect()
    }

    async fn grant(&self, _: &str, _: &NewGrant) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn books(&self, _: &str) -> Result<Books, StoreError> {
        Ok(Books::default())
    }
}

struct Deaf;

impl Observer for Deaf {
    fn read(&self, _: &[tollgate_ledger::bank::Books]) {}

    fn called(&self, _: usize, _: usize, _: Duration) {}
}

/// A till whose flusher works while the bench sleeps.
struct Shop {
    _dir: TempDir,
    runtime: Runtime,
    till: Arc<Till>,
    limits: Arc<[Limit]>,
    names: [Arc<str>; 3],
    served_by: [Arc<str>; 2],
    charge: OwnedEvent,
    _stop: watch::Sender<bool>,
}

const FLUSH: Duration = Duration::from_millis(1);

impl Shop {
    fn open(measures: &[Measure]) -> Shop {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (journal, _) = Journal::open(dir.path(), Options::default()).expect("a journal");
        let policy = Policy {
            enforced: true,
            when_away: WhenAway::Deny,
            overdraft: NanoUsd::DOLLAR,
        };
        let rhythm = Rhythm {
            flush: FLUSH,
            lease: Duration::from_secs(600),
            timeout: Duration::from_secs(1),
        };
        let till = Arc::new(Till::new(Arc::new(journal), policy, rhythm));
        let flusher = Arc::new(Flusher::new(till.clone(), Arc::new(Rich), Arc::new(Deaf)));
        let runtime = runtime();
        let (stop, stopping) = watch::channel(false);
        runtime.spawn(flusher.run(stopping));
        let limit = |measure: &Measure| {
            Limit::new(
                Meter {
                    subject: "key:app".into(),
                    measure: *measure,
                },
                PLENTY,
            )
        };
        let names = ["default", "app", "req_0f8fad5bd9cb469fa165708686728000"].map(Arc::from);
        Shop {
            _dir: dir,
            runtime,
            till,
            limits: measures.iter().map(limit).collect(),
            charge: charge(&names),
            names,
            served_by: ["anthropic", MODEL].map(Arc::from),
            _stop: stop,
        }
    }

    async fn admit(&self) -> Hold {
        let [account, access_key, request_id] = &self.names;
        let ask = Ask {
            account,
            access_key,
            request_id,
            surface: Surface::ChatCompletions,
            provider: &self.served_by[0],
            model: &self.served_by[1],
            estimate: NanoUsd(12_345_678),
            worst: NanoUsd(61_345_678),
            prompt_tokens: USAGE.input(),
            tokens: USAGE.total(),
            limits: &self.limits,
            named: false,
        };
        let admitted = self.till.admit(black_box(&ask), clock::now()).await;
        admitted.expect("money in the cache")
    }

    /// The times that `count` admissions and their settlements take.
    fn serve(&self, count: u64) -> [Duration; 2] {
        self.runtime.block_on(async {
            self.admit().await.settle(&[]);
            let (mut admitting, mut settling) = (Duration::ZERO, Duration::ZERO);
            let mut holds = Vec::with_capacity(usize::try_from(IN_FLIGHT).unwrap_or_default());
            let mut left = count;
            while left > 0 {
                let some = left.min(IN_FLIGHT);
                let start = clock::now();
                for _ in 0..some {
                    holds.push(self.admit().await);
                }
                let middle = clock::now();
                for hold in holds.drain(..) {
                    hold.settle(&[black_box(&self.charge).borrowed()]);
                }
                settling += clock::now() - middle;
                admitting += middle - start;
                left -= some;
                tokio::time::sleep(FLUSH * 2).await;
            }
            [admitting, settling]
        })
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn charge(names: &[Arc<str>; 3]) -> OwnedEvent {
    let sheet = Sheet {
        source: "catalog".into(),
        since: 0,
        served: Context::STANDARD,
        fee: FEE,
        rates: vec![
            (Unit::Input, 3_000_000),
            (Unit::CachedRead, 300_000),
            (Unit::Output, 15_000_000),
        ],
    };
    let named = |id: &str, name: &str| Named {
        id: id.into(),
        name: name.into(),
    };
    OwnedEvent {
        at_ms: clock::wall_ms(),
        request: Request {
            account: names[0].clone(),
            access_key: names[1].clone(),
            id: names[2].clone(),
            surface: Surface::ChatCompletions.name().into(),
        },
        provider_request_id: "".into(),
        attempt: Attempt {
            id: EventId::made_up(1, 2),
            provider: named("anthropic", "Anthropic"),
            model: named(MODEL, MODEL),
            key: named("house", "sk-house***wxyz"),
            number: 1,
            flags: Flags::default()
                .with(Flag::Final, true)
                .with(Flag::Streaming, true)
                .with(Flag::Managed, true),
            status: 200,
            outcome: "ok".into(),
            stop_reason: "stop".into(),
            usage: USAGE,
            cost: NanoUsd(2_345_678),
            sheet: Some(Arc::new(sheet)),
            latency: Latency {
                to_commit_ms: Some(120),
                total_ms: 2_000,
            },
            ..Attempt::default()
        },
    }
}

fn serving(criterion: &mut Criterion) {
    let three = [
        Measure::RequestsPerMinute,
        Measure::TokensPerMinute,
        Measure::budget(Per::Day),
    ];
    for measures in [&three[..0], &three[..]] {
        let shop = Shop::open(measures);
        let meters = measures.len();
        for (part, name) in ["admit", "settle"].into_iter().enumerate() {
            criterion.bench_function(&format!("ledger/{name}/{meters}_meters"), |bencher| {
                bencher.iter_custom(|count| shop.serve(count)[part]);
            });
        }
    }
}

fn pricing(criterion: &mut Criterion) {
    let rates = "input=3;>200000:6 cached_read=0.3;>200000:0.6 cache_write=3.75;>200000:7.5 output=15;>200000:30";
    let prices = Prices::flat(rates.parse().expect("rates"));
    let terms = Terms {
        prices: Some(&prices),
        at: 0,
        fee: FEE,
    };
    criterion.bench_function("ledger/cost", |bencher| {
        bencher.iter(|| {
            terms
                .bill(black_box(&USAGE), &Context::STANDARD)
                .expect("prices")
        });
    });
}

fn estimating(criterion: &mut Criterion) {
    let estimates = Estimates::default();
    let lengths: Vec<u64> = (0..997).map(|n| n * 7 % 1_500).collect();
    for output in &lengths {
        estimates.learn(&ANSWERS, *output, AT);
    }
    criterion.bench_function("ledger/expected_output", |bencher| {
        bencher.iter(|| estimates.expected_output(black_box(&ANSWERS), Some(32_000), AT));
    });
    let mut next = lengths.iter().cycle();
    criterion.bench_function("ledger/learn", |bencher| {
        bencher.iter(|| estimates.learn(black_box(&ANSWERS), *next.next().unwrap_or(&1), AT));
    });
}

/// Accounts at a bank, each with the number of its last message.
struct Customers<'a> {
    bank: &'a dyn CreditStore,
    accounts: Vec<(Arc<str>, u64)>,
    events: Events,
}

impl<'a> Customers<'a> {
    fn of(bank: &'a dyn CreditStore, runtime: &Runtime, count: usize) -> Customers<'a> {
        let accounts: Vec<(Arc<str>, u64)> = (0..count)
            .map(|n| (format!("{count}-{n}").into(), 0))
            .collect();
        runtime.block_on(async {
            for (account, _) in &accounts {
                let grant = NewGrant {
                    id: "bench".to_owned(),
                    amount: NanoUsd::MOST,
                    expires_after: None,
                    note: String::new(),
                };
                bank.grant(account, &grant).await.expect("a grant");
            }
        });
        let now = clock::wall_ms();
        let bytes = |count: u32| (0..count).map(|n| n.to_le_bytes()[0]).collect::<Bytes>();
        Customers {
            bank,
            accounts,
            // 100 events of about 70 bytes, and 10 to find each: to a bank they are bytes.
            events: Events {
                count: 100,
                from_ms: now - 500,
                to_ms: now,
                bytes: bytes(7_000),
                ids: bytes(1_000),
            },
        }
    }

    /// One call: each account tells what 100 requests cost.
    async fn exchange(&mut self) {
        let messages: Vec<Exchange> = self
            .accounts
            .iter_mut()
            .map(|(account, number)| {
                *number += 1;
                let rollup = Rollup {
                    day: Day(20_000),
                    access_key: "app".into(),
                    provider: "anthropic".into(),
                    model: MODEL.into(),
                    requests: 100,
                    failed: 0,
                    orphaned: 0,
                    input: 123_400,
                    cached_read: 100_000,
                    cache_write: 0,
                    output: 32_100,
                    reasoning: 0,
                    cost: NanoUsd(2_345_678),
                    tag: "".into(),
                };
                Exchange {
                    spent: rollup.cost,
                    want: NanoUsd(20_000_000),
                    rollups: vec![rollup],
                    events: Some(self.events.clone()),
                    ..Exchange::empty(
                        account.clone(),
                        Holder {
                            replica: 1,
                            epoch: 1,
                        },
                        *number,
                        Duration::from_secs(60),
                    )
                }
            })
            .collect();
        let replies = self.bank.exchange(&messages).await;
        for (reply, message) in replies.into_iter().zip(&messages) {
            let reply = reply.expect("an answer");
            assert_eq!(reply.last, message.number, "applied");
        }
    }
}

fn exchanging(criterion: &mut Criterion, name: &str, bank: &dyn CreditStore, runtime: &Runtime) {
    let mut group = criterion.benchmark_group(format!("ledger/exchange/{name}"));
    for count in [1, ACCOUNTS] {
        let mut customers = Customers::of(bank, runtime, count);
        group.sample_size(if count == 1 { 50 } else { 10 });
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count}_accounts"), |bencher| {
            bencher.iter(|| runtime.block_on(customers.exchange()));
        });
    }
    group.finish();
}

fn at_sqlite(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = sqlite::Options {
        access: Access::Gateway,
        timeout: Duration::from_secs(10),
        synchronous: Synchronous::Normal,
    };
    let file = dir.path().join("ledger.db");
    let worker = sqlite::Worker::open(&file, options).expect("a database");
    let bank = SqliteBank::new(Arc::new(worker));
    exchanging(criterion, "sqlite", &bank, &runtime());
}

fn at_redis(criterion: &mut Criterion) {
    let program =
        std::env::var("TOLLGATE_TEST_REDIS").unwrap_or_else(|_| "redis-server".to_owned());
    if Command::new(&program).arg("--version").output().is_err() {
        println!("ledger/exchange/redis: left out, as {program} is not installed");
        return;
    }
    // On disk, as a bank that holds money is.
    let server = process::Process::start(&["--appendonly", "yes"]);
    let runtime = runtime();
    let bank = {
        let _entered = runtime.enter();
        let settings = RedisSettings {
            timeout: Duration::from_secs(10),
            ..RedisSettings::new(Topology::Single(Address::new("127.0.0.1", server.port)))
        };
        RedisBank::new(Arc::new(Redis::open(&settings).expect("a database")))
    };
    exchanging(criterion, "redis", &bank, &runtime);
}

criterion_group!(benches, serving, pricing, estimating, at_sqlite, at_redis);
criterion_main!(benches);
