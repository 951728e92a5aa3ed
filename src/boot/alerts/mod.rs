//! Looks for what operators are alerted to, and sends alerts, on a thread and a runtime of its own.
//!
//! ```text
//!   every second: breakers, the bank, who leads ── the leader, every `alerts.every`: money, prices
//!                                                             │
//!                                                      AlertStore::raise, once in the fleet
//!                                                             │
//!   a task a channel: AlertStore::claim ─► send (blocking pool) ─► AlertStore::settle
//! ```
//!
//! What waits is in the store, so that a channel that is down takes no memory, and holds up nobody but itself. Only that the
//! bank is away cannot be kept there: each replica tells of it by itself.

pub mod send;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use self::send::{Refused, send};
use super::{BootError, beside};
use crate::metrics::Metrics;
use crate::proxy::Shared;
use tollgate_alerts::{Alert, AlertStore, Claim, GIVE_UP, Money, Outcome, Raised};
use tollgate_base::{clock, random, time};
use tollgate_config::catalog::built_in_date;
use tollgate_config::types::{AlertEvent, Credits};
use tollgate_config::{AlertChannel, Alerts, Config};
use tollgate_control::Control;
use tollgate_failover::BreakerState;
use tollgate_ledger::bank::{self, Bank};
use tollgate_store::{Database, StoreError};

/// How often breakers and the bank are looked at, and channels asked for.
const LOOK: Duration = Duration::from_secs(1);

/// How long a replica stays the leader without renewing that.
const LEAD: Duration = Duration::from_secs(5);

/// How long a claim holds: longer than sending may take.
const LEASE: Duration = Duration::from_secs(40);

/// The longest pause between two tries to send.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long it is tried to send an alert that the store cannot keep.
const UNKEPT: Duration = Duration::from_secs(60 * 60);

/// How many names are remembered as raised.
const REMEMBERED: usize = 100_000;

/// Starts the thread; without a store there is nobody to ask what was sent.
///
/// # Errors
/// When the system refuses it.
pub fn start(
    shared: &Arc<Shared>,
    control: &Arc<Control>,
    database: Option<&Database>,
) -> Result<(), BootError> {
    let Some(database) = database else {
        return Ok(());
    };
    let watch = Watch {
        shared: shared.clone(),
        control: control.clone(),
        store: AlertStore::on(database),
        bank: bank::on(database),
        who: random::bits64(),
        money: Money::default(),
        // What just began has nothing to tell of.
        due: None,
        raised: HashMap::new(),
        away: None,
        sending: HashMap::new(),
    };
    beside("alerts", watch.run())
}

/// The thread.
struct Watch {
    shared: Arc<Shared>,
    control: Arc<Control>,
    store: AlertStore,
    bank: Arc<dyn Bank>,
    /// A number that this replica drew, by which it leads.
    who: u64,
    money: Money,
    /// When money and prices are looked at next; `None` before the first look.
    due: Option<Instant>,
    /// Names that were raised, and until when (Unix time, ms): nobody is asked about them.
    raised: HashMap<String, u64>,
    away: Option<Away>,
    /// By channel; what has ended is replaced.
    sending: HashMap<Arc<str>, JoinHandle<()>>,
}

/// A bank that does not answer.
struct Away {
    since: Instant,
    since_ms: u64,
    /// Whether that was told.
    told: bool,
}

impl Watch {
    async fn run(mut self) -> std::io::Result<()> {
        loop {
            tokio::time::sleep(LOOK).await;
            let config = self.control.config();
            let settings = &config.alerts;
            if settings.channels.is_empty() && settings.every.is_none() {
                continue;
            }
            self.breakers(settings).await;
            match self.store.lead(self.who, LEAD).await {
                Ok(leads) => {
                    self.bank_is_back(settings).await;
                    if leads && self.is_due(settings) {
                        self.look(&config).await;
                    }
                    self.deliver(settings);
                }
                Err(StoreError::Away(error)) => self.bank_is_away(settings, &error),
                Err(error) => log::debug!("alerts are not looked for: {error}"),
            }
        }
    }

    /// Whether money and prices are to be looked at now; then the next time is set.
    fn is_due(&mut self, settings: &Alerts) -> bool {
        let Some(every) = settings.every else {
            return false;
        };
        let now = clock::now();
        let due = self.due.get_or_insert(now + every);
        // A shorter interval holds at once.
        *due = (*due).min(now + every);
        if now < *due {
            return false;
        }
        *due = now + every;
        true
    }

    async fn look(&mut self, config: &Config) {
        let (settings, now_ms) = (&config.alerts, self.store.now_ms());
        let feeds = config.feeds.feeds.iter().map(|feed| {
            let kept = std::fs::metadata(config.feeds.kept(&feed.id));
            let read = kept.and_then(|kept| kept.modified()).ok();
            (feed.id.clone(), read.map(clock::unix_ms))
        });
        let built_in = time::instant(&format!("{}T00:00:00Z", built_in_date()));
        let built_in = built_in.and_then(|nanos| u64::try_from(nanos / 1_000_000).ok());
        let feeds: Vec<_> = feeds.collect();
        let mut found =
            tollgate_alerts::prices(&feeds, built_in.unwrap_or(now_ms), settings, now_ms);
        if config.ledger.credits != Credits::Off {
            let snapshot = self.shared.snapshot.load_full();
            match self
                .money
                .look(&*self.bank, &snapshot, settings, now_ms)
                .await
            {
                Ok(more) => found.extend(more),
                Err(error) => log::debug!("budgets and credits are not looked at: {error}"),
            }
        }
        for raised in found {
            self.raise(settings, raised).await;
        }
    }

    /// Providers that nobody can reach. Those of an account of its own are its own matter.
    async fn breakers(&mut self, settings: &Alerts) {
        let (snapshot, now) = (self.shared.snapshot.load_full(), clock::now());
        let open = |id: &str| {
            let state = self.shared.health.breakers.state(id, now);
            state == BreakerState::Open
        };
        let providers = snapshot.catalog.providers().iter();
        let providers = providers.filter(|one| !one.is_tenants() && open(&one.id));
        let now_ms = self.store.now_ms();
        let found: Vec<Raised> = providers
            .map(|one| tollgate_alerts::open_breaker(&one.id, settings, now_ms))
            .collect();
        for raised in found {
            self.raise(settings, raised).await;
        }
    }

    async fn raise(&mut self, settings: &Alerts, raised: Raised) {
        let now_ms = self.store.now_ms();
        let holds = |name: &String| self.raised.get(name).is_some_and(|until| *until > now_ms);
        if raised.names.first().is_some_and(holds) {
            return;
        }
        let Raised {
            event,
            names,
            until_ms,
            alert,
        } = raised;
        let channels = settings.channels.iter().filter(|one| one.takes(event));
        let channels: Vec<String> = channels.map(|one| one.id.to_string()).collect();
        match self.store.raise(&names, until_ms, &alert, &channels).await {
            Ok(number) => {
                self.remember(names, until_ms, now_ms);
                if number.is_some() {
                    self.report(event, &alert);
                }
            }
            // It is so at the next look as well.
            Err(error) => log::debug!("an alert is not raised yet: {error}"),
        }
    }

    fn report(&self, event: AlertEvent, alert: &Alert) {
        log::warn!("alert: {}", alert.title);
        self.shared.metrics.alert(event.name());
    }

    fn remember(&mut self, names: Vec<String>, until_ms: u64, now_ms: u64) {
        if self.raised.len() + names.len() > REMEMBERED {
            self.raised.retain(|_, until| *until > now_ms);
        }
        if self.raised.len() + names.len() > REMEMBERED {
            self.raised.clear();
        }
        let names = names.into_iter().map(|name| (name, until_ms));
        self.raised.extend(names);
    }

    /// The bank does not answer: alerts to that once it has not for long enough.
    fn bank_is_away(&mut self, settings: &Alerts, error: &str) {
        log::debug!("alerts are not looked for: {error}");
        let (now, now_ms) = (clock::now(), self.store.now_ms());
        let name = AlertEvent::Bank.name().to_owned();
        let again = self.raised.get(&name).is_none_or(|until| *until <= now_ms);
        let away = self.away.get_or_insert(Away {
            since: now,
            since_ms: now_ms,
            told: false,
        });
        if away.told || !again || now.saturating_duration_since(away.since) < settings.bank_away {
            return;
        }
        away.told = true;
        let mut alert = tollgate_alerts::unreachable(away.since_ms, None);
        // Replicas that tell of the same say so under the same id.
        alert.id = format!("alert-bank-{}", away.since_ms / 60_000);
        self.report(AlertEvent::Bank, &alert);
        let until = now_ms.saturating_add(clock::millis(settings.repeat));
        self.remember(vec![name], until, now_ms);
        let channels = settings.channels.iter();
        for channel in channels.filter(|one| one.takes(AlertEvent::Bank)) {
            let (channel, metrics) = (channel.clone(), self.shared.metrics.clone());
            tokio::spawn(unkept(channel, alert.clone(), now_ms, metrics));
        }
    }

    /// The bank answers: what was told of its absence is listed, once for all replicas.
    async fn bank_is_back(&mut self, settings: &Alerts) {
        let Some(away) = self.away.take().filter(|away| away.told) else {
            return;
        };
        let now_ms = self.store.now_ms();
        let alert = tollgate_alerts::unreachable(away.since_ms, Some(now_ms));
        let until = now_ms.saturating_add(clock::millis(settings.repeat));
        let names = [AlertEvent::Bank.name().to_owned()];
        if let Err(error) = self.store.raise(&names, until, &alert, &[]).await {
            log::debug!("that the bank was away is not listed: {error}");
        }
    }

    /// Sends what waits, each channel by itself.
    fn deliver(&mut self, settings: &Alerts) {
        let known = |id: &Arc<str>| settings.channels.iter().any(|one| one.id == *id);
        self.sending
            .retain(|id, task| known(id) || !task.is_finished());
        for channel in &settings.channels {
            let idle = self.sending.get(&channel.id);
            if idle.is_none_or(JoinHandle::is_finished) {
                let (store, metrics) = (self.store.clone(), self.shared.metrics.clone());
                let task = tokio::spawn(deliver(store, channel.clone(), metrics));
                self.sending.insert(channel.id.clone(), task);
            }
        }
    }
}

/// Sends what waits for a channel, one after another, until nothing does or one is not taken.
async fn deliver(store: AlertStore, channel: AlertChannel, metrics: Arc<Metrics>) {
    loop {
        let claim = match store.claim(&channel.id, LEASE).await {
            Ok(Some(claim)) => claim,
            Ok(None) => return,
            Err(error) => return log::debug!("alerts wait to be sent: {error}"),
        };
        let tried = attempt(&channel, &claim.alert, claim.at_ms).await;
        let outcome = judged(&claim, tried, store.now_ms());
        note(&channel, &outcome, &metrics);
        let settled = store.settle(&channel.id, &claim, &outcome).await;
        if let Err(error) = settled {
            return log::warn!("an alert may be sent again: {error}");
        }
        if outcome != Outcome::Sent {
            return;
        }
    }
}

/// Sends an alert that is not kept, for a while.
async fn unkept(channel: AlertChannel, alert: Alert, at_ms: u64, metrics: Arc<Metrics>) {
    let end = clock::now() + UNKEPT;
    for tries in 1.. {
        let outcome = match attempt(&channel, &alert, at_ms).await {
            Ok(_) => Outcome::Sent,
            Err(refused) if clock::now() > end => Outcome::GivenUp(refused.why),
            Err(refused) => Outcome::Again(pause(tries, refused.after), refused.why),
        };
        note(&channel, &outcome, &metrics);
        match outcome {
            Outcome::Again(pause, _) => tokio::time::sleep(pause).await,
            _ => return,
        }
    }
}

async fn attempt(channel: &AlertChannel, alert: &Alert, at_ms: u64) -> Result<String, Refused> {
    let (channel, alert) = (channel.clone(), alert.clone());
    let sent = tokio::task::spawn_blocking(move || send(&channel, &alert, at_ms)).await;
    sent.unwrap_or_else(|_| Err(Refused::because("a fault of the gateway")))
}

fn judged(claim: &Claim, tried: Result<String, Refused>, now_ms: u64) -> Outcome {
    let over = now_ms.saturating_sub(claim.at_ms) > clock::millis(GIVE_UP);
    match tried {
        Ok(_) => Outcome::Sent,
        Err(refused) if over => Outcome::GivenUp(refused.why),
        Err(refused) => Outcome::Again(pause(claim.tries, refused.after), refused.why),
    }
}

fn note(channel: &AlertChannel, outcome: &Outcome, metrics: &Metrics) {
    let name = match outcome {
        Outcome::Sent => "sent",
        Outcome::Again(..) => "failed",
        Outcome::GivenUp(_) => "given_up",
    };
    metrics.alert_delivery(&channel.id, name);
    match outcome {
        Outcome::Sent => {}
        Outcome::Again(pause, why) => {
            let id = &channel.id;
            log::warn!("the channel `{id}` did not take an alert, tried again in {pause:?}: {why}");
        }
        Outcome::GivenUp(why) => {
            log::error!("the channel `{}` has not got an alert: {why}", channel.id);
        }
    }
}

/// From one try to the next: a second, doubling, with jitter; what the receiver asks for if that is longer.
fn pause(tries: u32, asked: Option<Duration>) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << tries.saturating_sub(1).min(10));
    let jitter = Duration::from_millis(random::bits64() % 500);
    doubled.min(LONGEST).max(asked.unwrap_or_default()) + jitter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_ever_farther_apart_and_end() {
        let seconds = |tries, asked| pause(tries, asked).as_secs();
        assert_eq!(
            [1, 2, 3, 10, 40].map(|tries| seconds(tries, None)),
            [1, 2, 4, 512, 900]
        );
        assert_eq!(seconds(1, Some(Duration::from_secs(30))), 30);
        let claim = Claim {
            number: 1,
            at_ms: 1_000,
            alert: Alert::test(),
            tries: 9,
        };
        let day = clock::millis(GIVE_UP);
        let judge = |now| judged(&claim, Err(Refused::because("no")), now);
        assert!(matches!(judge(day), Outcome::Again(..)));
        assert_eq!(judge(day + 1_001), Outcome::GivenUp("no".to_owned()));
    }
}
