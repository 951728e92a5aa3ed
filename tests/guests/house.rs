//! A gateway that several accounts share, and a victim that tells what it sees of the others.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tollgate_base::clock;

use crate::common::client::{Answer, Client};
use crate::common::fake::{Fake, Wire};
use crate::common::gateway::{Builder, Gateway, access_key, provider, sha256};
use crate::common::process::Process;
use crate::common::requests::{Request, from};

/// The access key, and the account, of who does its worst.
pub const ATTACKER: &str = "attacker";
/// Of who must notice nothing.
pub const VICTIM: &str = "victim";
/// Of others who ask for little.
pub const ORDINARY: [&str; 2] = ["ada", "ben"];
/// Of one who has no credits.
pub const BROKE: &str = "broke";

/// May do everything with the admin API, for every account.
pub const ROOT: &str = "tests-only-root-key-of-the-admin-api";
/// May do everything with the admin API for the attacker's account.
pub const TENANT: &str = "tests-only-admin-key-of-the-attacker";

/// The master key.
const MASTER: &str = "6d61737465726d61737465726d61737465726d61737465726d61737465726d61";

/// How many of the victim's connections ask, and how often each does.
const ASKERS: u32 = 3;
const PACE: Duration = Duration::from_millis(25);

/// How long the victim is watched before an attack: for more than a hundred answers, if the machine is not busy.
const CALM: Duration = Duration::from_secs(1);

/// What is forgiven besides twice as long: other tests share the machine.
const FLOOR: Duration = Duration::from_millis(100);

/// An attacker breathes: how much a gateway bears of one kind depends on the kind, not on the volume.
const BREATH: Duration = Duration::from_millis(20);

/// Fewest answers during an attack that say anything.
const FEWEST: usize = 10;

/// Where the money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    /// A file of the gateway's own.
    Sqlite,
    /// A `redis-server` of the test's own.
    Redis,
}

/// Every bank.
pub const BANKS: [Bank; 2] = [Bank::Sqlite, Bank::Redis];

/// A gateway, its guests' common provider `f` with the model `m`, and what the victim lives on.
pub struct House {
    pub gateway: Gateway,
    /// Answers at once.
    pub provider: Fake,
    /// Where the money is, if it is not in a file.
    pub redis: Option<Process>,
    /// Victim and common provider have a thread of their own, so that an attack does not keep the test itself from looking.
    quiet: Option<Runtime>,
}

impl House {
    /// Opens a house; `furnish` adds to its configuration.
    pub async fn open(bank: Bank, furnish: impl FnOnce(Builder) -> Builder) -> House {
        let quiet = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let fake = quiet.spawn(Fake::good(Wire::H1, "hello you"));
        let fake = fake.await.unwrap();
        let redis = (bank == Bank::Redis).then(|| Process::start(&[]));
        let guests = [ATTACKER, VICTIM, BROKE, ORDINARY[0], ORDINARY[1]];
        let mut common = provider("f", &fake);
        let key = |guest: &str| json!({"id": format!("f-{guest}"), "value": format!("KEY-OF-{guest}"), "account": guest});
        common["keys"] = json!(guests.map(key));
        let account = |guest: &str| match guest {
            BROKE => json!({"id": guest}),
            _ => json!({"id": guest, "grants": [{"id": "tests", "usd": 1000}]}),
        };
        let mut builder = Gateway::builder()
            .env("TOLLGATE_ADMIN_KEY", ROOT)
            .env("TOLLGATE_MASTER_KEY", MASTER)
            .provider(common)
            .config(json!({
                "timeouts": {"per_request": "20s", "stream_idle": "20s"},
                "ledger": {"flush": "50ms"},
                "accounts": guests.map(account),
                "access_keys": guests.map(|guest| access_key(guest, &json!({"account": guest}))),
                "admin": {"api_keys": [{"name": "tenant", "sha256": sha256(TENANT), "account": ATTACKER}]},
            }));
        if let Some(redis) = &redis {
            builder =
                builder.config(json!({"ledger": {"bank": "redis", "redis": {"url": redis.url()}}}));
        }
        House {
            gateway: furnish(builder).start().await,
            provider: fake,
            redis,
            quiet: Some(quiet),
        }
    }

    /// Asks as this guest, on a connection of its own.
    ///
    /// # Errors
    /// If the connection ends before an answer.
    pub async fn ask(&self, guest: &str, request: Request) -> Result<u16, String> {
        let mut client = Client::try_connect(self.gateway.address).await?;
        let answer = client.try_ask(&from(guest, request)).await?;
        Ok(answer.status())
    }

    /// Carries out an attack, which must last a second at least, and fails if the victim notices: by an error, or by
    /// answers that take more than twice as long as before, at the 99th percentile, in three of four parts of the attack.
    /// What the machine itself does to anybody is measured by one who asks the provider directly meanwhile, and is not
    /// held against the gateway.
    pub async fn withstands<T>(&self, attack: impl Future<Output = T>) -> T {
        let before = self.watch();
        tokio::time::sleep(CALM).await;
        let (before, direct) = before.end().await;
        assert!(before.errors.is_empty(), "before: {:?}", before.errors);
        let mut usual = before.p99().max(direct.p99());
        let during = self.watch();
        let done = attack.await;
        let (during, direct) = during.end().await;
        assert!(direct.errors.is_empty(), "the test: {:?}", direct.errors);
        usual = usual.max(direct.p99());
        let (answers, p99) = (during.took.len(), during.mostly());
        assert!(during.errors.is_empty(), "errors: {:?}", during.errors);
        assert!(answers >= FEWEST, "{answers} answers: too short an attack");
        let allowed = usual * 2 + FLOOR;
        assert!(
            p99 <= allowed,
            "the victim's p99 was {:?} and is {p99:?}, more than {allowed:?} ({answers} answers; {:?} without the gateway)",
            before.p99(),
            direct.p99(),
        );
        done
    }

    /// The same where only errors are noticed: without optimisation the attack costs many times what it does with.
    pub async fn serves_during<T>(&self, attack: impl Future<Output = T>) -> T {
        let during = self.watch();
        let done = attack.await;
        let (during, _) = during.end().await;
        assert!(during.errors.is_empty(), "errors: {:?}", during.errors);
        assert!(during.took.len() >= FEWEST, "too short an attack");
        done
    }

    /// Lets the victim ask from now on.
    fn watch(&self) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let quiet = self.quiet.as_ref().unwrap();
        let asks = |address: SocketAddr, index: u32| {
            let over = over.clone();
            let due = clock::now() + PACE * index / ASKERS;
            quiet.spawn(async move { Seen::steadily(address, due, &over).await })
        };
        Watch {
            victim: (0..ASKERS)
                .map(|index| asks(self.gateway.address, index))
                .collect(),
            direct: asks(self.provider.address, 0),
            over,
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(quiet) = self.quiet.take() {
            // It may not be waited for in here.
            quiet.shutdown_background();
        }
    }
}

/// Does something again and again, in so many places at once, for so long.
pub async fn repeatedly<F: Future<Output = ()>>(
    places: usize,
    time: Duration,
    what: impl Fn(usize) -> F,
) {
    let end = clock::now() + time;
    let one = |place| {
        let what = &what;
        async move {
            while clock::now() < end {
                what(place).await;
                tokio::time::sleep(BREATH).await;
            }
        }
    };
    futures::future::join_all((0..places).map(one)).await;
}

/// One who is being watched.
struct Watch {
    victim: Vec<JoinHandle<Seen>>,
    direct: JoinHandle<Seen>,
    over: Arc<AtomicBool>,
}

impl Watch {
    /// What the victim saw of the gateway, and of the provider without it.
    async fn end(self) -> (Seen, Seen) {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for asker in self.victim {
            let mut seen = asker.await.unwrap();
            all.took.append(&mut seen.took);
            all.errors.append(&mut seen.errors);
        }
        (all, self.direct.await.unwrap())
    }
}

/// What one saw who asks at a steady pace.
#[derive(Debug, Default)]
struct Seen {
    /// When an answer was due, and how long it took from then.
    took: Vec<(Instant, Duration)>,
    errors: Vec<String>,
}

impl Seen {
    /// Asks, whole answers and streams in turn. The time of an answer counts from when it was due to be asked for, so that one
    /// that is late makes those behind it late as well.
    async fn steadily(address: SocketAddr, mut due: Instant, over: &AtomicBool) -> Seen {
        let mut seen = Seen::default();
        let mut kept = None;
        let mut stream = false;
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep_until(due.into()).await;
            let request = from(VICTIM, Request::chat(&["f:m"], stream));
            match Seen::once(address, &mut kept, &request).await {
                Ok(()) => seen.took.push((due, clock::now() - due)),
                Err(error) => seen.errors.push(error),
            }
            stream = !stream;
            due += PACE;
        }
        seen
    }

    async fn once(
        address: SocketAddr,
        kept: &mut Option<Client>,
        request: &Request,
    ) -> Result<(), String> {
        let mut client = match kept.take() {
            Some(client) => client,
            None => Client::try_connect(address).await?,
        };
        let answer = client.try_ask(request).await?;
        if answer.status() != 200 || !answer.clean {
            return Err(format!("{}: {}", answer.status(), answer.text()));
        }
        if answer.header("connection") != Some("close") {
            *kept = Some(client);
        }
        Ok(())
    }

    fn p99(&self) -> Duration {
        p99(&self.took)
    }

    /// What the percentile comes to in three of four parts of the time, at least.
    fn mostly(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        let part = took.len().div_ceil(4).max(1);
        let mut parts: Vec<Duration> = took.chunks(part).map(p99).collect();
        parts.sort_unstable();
        parts.get(1).copied().unwrap_or_default()
    }
}

fn p99(took: &[(Instant, Duration)]) -> Duration {
    let mut took: Vec<Duration> = took.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    let rank = (took.len() * 99).div_ceil(100);
    let longest = took.get(rank.saturating_sub(1));
    longest.copied().unwrap_or_default()
}

/// Calls the admin API with a key of it; `null` is no body.
pub async fn admin(
    house: &House,
    key: &str,
    method: &'static str,
    path: &str,
    body: Value,
) -> Answer {
    let request = Request {
        method,
        path: path.to_owned(),
        headers: Vec::new(),
        body: if body.is_null() {
            Default::default()
        } else {
            body.to_string().into()
        },
    };
    let request = request
        .header("authorization", &format!("Bearer {key}"))
        .header("content-type", "application/json");
    let mut client = Client::try_connect(house.gateway.admin).await.unwrap();
    client.try_ask(&request).await.unwrap()
}
