//! The admin listener, and what it shows of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::upgrade::Upgrade;
use super::{BootError, beside, fetch};
use crate::metrics::{Metrics, Seen, Spread, StatusClass};
use crate::proxy::{self, Drain, Shared, Stage};
use tollgate_base::{clock, random};
use tollgate_config::Config;
use tollgate_control::Control;
use tollgate_control::admin;
use tollgate_control::admin::Process as _;
use tollgate_control::admin::chat::{Answered, Chat};
use tollgate_control::admin::fleet::{EVERY, LEASE, Replica};
use tollgate_control::admin::health::{Health, Healths, Latency, Quota, Shut, Trial, Tried};
use tollgate_control::admin::plan::{Asked, Planned};
use tollgate_control::admin::{AdminState, CoolingKey, Readiness};
use tollgate_failover::BreakerState;
use tollgate_store::Database;
use tollgate_store::redis::Leases;

/// Serves the admin API and the console on `listener`, on a thread of its own, and tells the other replicas of this one.
pub fn serve(
    config: &Config,
    shared: &Arc<Shared>,
    control: &Arc<Control>,
    database: Option<&Database>,
    listener: TcpListener,
    upgrade: Arc<Upgrade>,
) -> Result<(), BootError> {
    let process = Arc::new(Process {
        shared: shared.clone(),
        control: control.clone(),
        plain: config
            .proxy
            .listen
            .first()
            .map(|address| reachable(*address)),
        upgrade,
        began_ms: clock::wall_ms(),
        id: random::bits64(),
    });
    let fleet = database.and_then(Database::fleet);
    let state = AdminState::new(control.clone(), process.clone(), database)
        .with_public_url(config.admin.public_url.as_deref())
        .with_fetch(Arc::new(fetch::identity_provider));
    let (refreshed, read) = (shared.clone(), control.clone());
    shared.metrics.refresh_with(move |metrics| {
        metrics.store_read(read.read_at_ms());
        export_health(&refreshed, metrics);
    });
    let drain = shared.drain.clone();
    beside("admin", async move {
        if let Some(fleet) = fleet {
            tokio::spawn(announce(fleet, process));
        }
        // Until what was asked last is answered.
        let _line = drain.line();
        admin::serve(listener, state, left(drain.clone())).await
    })
}

/// Tells the other replicas of this one, at once if its state is another; never ends.
async fn announce(fleet: Leases, process: Arc<Process>) {
    let mut told: Option<(String, Instant)> = None;
    loop {
        let (own, now) = (process.replica(), clock::now());
        let is_known = told
            .as_ref()
            .is_some_and(|(state, at)| *state == own.state && now - *at < EVERY);
        if !is_known {
            let until = fleet.now_ms() + clock::millis(LEASE);
            let said = serde_json::to_string(&own).unwrap_or_default();
            // People look at the list of replicas, and nothing goes by it: not worth a warning.
            if let Err(error) = fleet.publish(&own.id, until, &said).await {
                log::debug!("this gateway is not announced: {error}");
            }
            told = Some((own.state, now));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until another process has taken over. A process that only stops answers to its end, so that this never returns.
pub async fn left(drain: Arc<Drain>) {
    let leaves = |stage: &Stage| *stage == Stage::Leaving;
    if drain.watch().wait_for(leaves).await.is_err() {
        std::future::pending().await
    }
}

/// The address under which this machine itself reaches a listener.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// What the admin listener shows of this process.
struct Process {
    shared: Arc<Shared>,
    control: Arc<Control>,
    /// Where the proxy listens without TLS, as this machine reaches it.
    plain: Option<SocketAddr>,
    upgrade: Arc<Upgrade>,
    /// When it began (Unix time, ms).
    began_ms: u64,
    /// What names this process where no journal does.
    id: u64,
}

impl admin::Process for Process {
    fn readiness(&self) -> Readiness {
        let because = |reason: &str| Readiness::NotReady(vec![reason.to_owned()]);
        if self.shared.drain.ends().is_some() {
            because("shutting down")
        } else if !self.control.is_complete() {
            because("the store of keys cannot be read yet")
        } else {
            Readiness::Ready
        }
    }

    fn metrics(&self, open: bool) -> String {
        let metrics = &self.shared.metrics;
        if open {
            metrics.render_open()
        } else {
            metrics.render()
        }
    }

    fn answered(&self, operation: &'static str, status: u16) {
        let class = StatusClass::of(status);
        self.shared.metrics.admin_request(operation, class);
    }

    fn cooling(&self) -> Vec<CoolingKey> {
        let cooling = self.shared.health.cooldowns.list(clock::now());
        let keys = cooling.into_iter().map(|cooling| CoolingKey {
            name: cooling.scope.name(&cooling.key),
            until: cooling.until,
            status: cooling.status,
        });
        keys.collect()
    }

    fn plan(&self, asked: &Asked) -> Planned {
        proxy::explain(&self.shared, asked)
    }

    fn health(&self) -> Healths {
        health(&self.shared)
    }

    fn replica(&self) -> Replica {
        let till = self.shared.ledger.as_ref().map(|ledger| &ledger.till);
        let id = match till {
            Some(till) => till.holder().to_string(),
            None => format!("{:016x}", self.id),
        };
        let (state, reason) = match self.readiness() {
            Readiness::Ready => ("ready", String::new()),
            Readiness::NotReady(_) if self.shared.drain.ends().is_some() => {
                ("stopping", String::new())
            }
            Readiness::NotReady(reasons) => ("not-ready", reasons.join("; ")),
        };
        Replica {
            id,
            host: host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: self.began_ms,
            state: state.to_owned(),
            reason,
            revision: self.control.revision(),
            read_ms: self.control.read_at_ms(),
            in_flight: u64::try_from(self.shared.metrics.in_flight_now()).unwrap_or(0),
            journal_records: till.map(|till| till.journal().lag().records),
        }
    }

    fn probe(&self, trial: &Trial) -> Vec<Tried> {
        super::trial::probe(trial)
    }

    fn upgrade(&self) -> Result<u32, String> {
        self.upgrade.start()
    }

    fn converse(&self, chat: &Chat) -> Result<Answered, String> {
        let Some(address) = self.plain else {
            return Err(
                "The proxy listens with TLS only: the playground needs an address in `proxy.listen`, such as 127.0.0.1:8080."
                    .to_owned(),
            );
        };
        fetch::chat(address, chat)
    }
}

/// What this machine is called.
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// Providers that were called, or cannot be reached. Those that tenants made are one.
fn health(shared: &Shared) -> Healths {
    let now = clock::now();
    let mut seen = shared.metrics.seen();
    let snapshot = shared.snapshot.load();
    let providers = snapshot.catalog.providers().iter();
    let mut shut = BTreeMap::new();
    for provider in providers.filter(|provider| !provider.is_tenants()) {
        let breakers = &shared.health.breakers;
        let half_open = match breakers.state(&provider.id, now) {
            BreakerState::Closed => continue,
            state => state == BreakerState::HalfOpen,
        };
        let until = breakers.ends(&provider.id, now);
        shut.insert(provider.id.to_string(), Shut { half_open, until });
        seen.entry(provider.id.to_string()).or_default();
    }
    let mut quotas: BTreeMap<String, Vec<Quota>> = BTreeMap::new();
    for left in shared.health.headroom.list(now) {
        let Some(key) = snapshot.provider_key(&left.key) else {
            continue;
        };
        let quota = Quota {
            key: left.key,
            model: left.model,
            unit: left.unit.name(),
            most: left.most,
            left: left.left,
            full: left.full,
        };
        let of_provider = quotas.entry(key.provider.to_string()).or_default();
        of_provider.push(quota);
    }
    let latency = |spread: &Spread| Latency {
        p50: spread.quantile(0.5),
        p95: spread.quantile(0.95),
    };
    let (mut first_token, mut duration) = (Spread::default(), Spread::default());
    for seen in seen.values() {
        first_token.join(&seen.first_token);
        duration.join(&seen.duration);
    }
    let one = |(provider, seen): (String, Seen)| Health {
        quotas: quotas.get(&provider).cloned().unwrap_or_default(),
        shut: shut.get(&provider).copied(),
        first_token: latency(&seen.first_token),
        duration: latency(&seen.duration),
        attempts: seen.attempts,
        provider,
    };
    Healths {
        providers: seen.into_iter().map(one).collect(),
        first_token: latency(&first_token),
        duration: latency(&duration),
    }
}

/// Gauges that are read rather than counted.
fn export_health(shared: &Shared, metrics: &Metrics) {
    let now = clock::now();
    let cooling = shared.health.cooldowns.list(now);
    if let Some(ledger) = &shared.ledger {
        metrics.ledger(ledger);
    }
    metrics.forget_providers();
    let snapshot = shared.snapshot.load();
    let providers = snapshot.catalog.providers().iter();
    for provider in providers.filter(|provider| !provider.is_tenants()) {
        let is_its = |key: &str| {
            let key = snapshot.provider_key(key);
            key.is_some_and(|key| key.provider == provider.id)
        };
        let keys = cooling.iter().map(|cooling| &*cooling.key);
        let keys: BTreeSet<&str> = keys.filter(|key| is_its(key)).collect();
        metrics.keys_cooling(&provider.id, keys.len());
        let breaker = shared.health.breakers.state(&provider.id, now);
        metrics.breaker(&provider.id, breaker);
    }
}
