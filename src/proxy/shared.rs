//! What all requests share.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use super::aside::Room;
use super::beside::Hedges;
use super::connection::Crowd;
use super::cooldowns::{Published, Publisher};
use super::drain::Drain;
use super::notices::Notices;
use super::peers::Peers;
use super::retries::Retries;
use super::shares::Scarce;
use crate::metrics::Metrics;
use crate::metrics::access_log::AccessLog;
use crate::metrics::traces::Traces;
use tollgate_config::access::Snapshot;
use tollgate_failover::queue::Queue;
use tollgate_failover::{Candidate, Class, Health, Outcome, Shut};
use tollgate_ledger::Ledger;
use tollgate_ledger::events::EventIds;

/// One per process.
pub struct Shared {
    /// What is configured; swapped whole on reload. A request keeps the one it began with.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Provider keys that cool down or have no quota, and providers that cannot be reached.
    pub health: Health,
    /// Whose turn it is where requests wait for quota.
    pub queue: Arc<Queue>,
    /// Tells the operator what of them goes out and comes back.
    pub notices: Notices,
    /// Where providers are.
    pub peers: Peers,
    /// How long providers take, and how many requests may be sent twice for it.
    pub hedges: Hedges,
    /// Whether the process is stopping.
    pub drain: Arc<Drain>,
    /// Counters for the operator.
    pub metrics: Arc<Metrics>,
    /// A line a request.
    pub access_log: AccessLog,
    /// Tells a tracing backend of requests; `None` where the configuration names none.
    pub traces: Option<Traces>,
    /// Credits and limits; `None` where the configuration turns them off.
    pub ledger: Option<Arc<Ledger>>,
    /// Where other replicas learn which keys cool down; `None` if there are none.
    pub publisher: Option<Publisher>,
    /// Where they learn what is left of keys' quotas.
    pub teller: Option<Publisher>,
    /// Where work is done that keeps a core busy.
    pub room: Arc<Room>,
    /// Requests that may be sent again.
    pub retries: Arc<Retries>,
    /// What accounts share.
    pub scarce: Scarce,
    /// Clients' connections, where there may be only so many.
    pub crowd: Arc<Crowd>,
    /// Names usage events.
    pub event_ids: Arc<EventIds>,
}

impl Shared {
    /// Takes note of an account's failed attempt: the key may cool down, the provider's breaker may open. Of the many failures that
    /// say the same of a key that cools down already nothing is said. What is `provoked` is not held against anybody.
    pub fn learn(
        &self,
        candidate: &Candidate,
        account: &Arc<str>,
        class: Class,
        outcome: &Outcome,
        provoked: bool,
        now: Instant,
    ) {
        let (provider, key) = (&candidate.provider.id, &candidate.key.id);
        let reason = outcome.label();
        let learnt = self
            .health
            .on_outcome(candidate, account, class, outcome, provoked, now);
        let cannot = format_args!("{provider} cannot be reached");
        match learnt.shut {
            None => {}
            Some(Shut::All) => {
                let told = format_args!("{cannot} ({reason}): other providers come first");
                self.notices.warn(told, now);
            }
            Some(Shut::Account) => {
                let told = format_args!(
                    "{cannot} for the account {account} ({reason}), as far as its requests alone show: other providers come first for it"
                );
                self.notices.warn(told, now);
            }
        }
        let Some(cooldown) = learnt.cooldown else {
            return;
        };
        if cooldown.is_new {
            let label = self.metrics.label(&candidate.provider);
            self.metrics.cool_down(label, reason);
            let what = cooldown.scope.model.as_deref().unwrap_or("all models");
            let secs = cooldown
                .until
                .saturating_duration_since(now)
                .as_secs_f32()
                .ceil();
            let told = format_args!(
                "the key {key} of {provider} cools down for {secs} s, for {what} ({reason}): others come first"
            );
            self.notices.warn(told, now);
        }
        if cooldown.is_later
            && let Some(publisher) = &self.publisher
        {
            publisher.publish(Published {
                key: cooldown.scope.name(key).into(),
                until: cooldown.until,
                reason: reason.into(),
            });
        }
    }

    /// Takes note of an answer.
    pub fn succeed(&self, candidate: &Candidate, class: Class, now: Instant) {
        let back = self.health.on_success(candidate, class);
        let (provider, key) = (&candidate.provider.id, &candidate.key.id);
        if back.key {
            self.notices
                .warn(format_args!("the key {key} of {provider} works again"), now);
        }
        if back.provider {
            self.notices
                .warn(format_args!("{provider} can be reached again"), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::Receiver;

    use super::*;
    use tollgate_base::clock;
    use tollgate_wire::Surface;

    /// What requests share, a candidate, and where its cool-downs are published.
    fn shared() -> (Shared, Candidate, Receiver<Published>) {
        let yaml =
            "providers: [{ id: p, base_url: 'http://127.0.0.1:1', keys: [{ id: k, value: x }] }]";
        let config = Arc::new(tollgate_config::parse(yaml, &|_| None).expect("a configuration"));
        let snapshot = Snapshot::build(config.clone(), config.catalog.clone(), 1);
        let provider = snapshot.catalog.provider("p").expect("it is configured");
        let candidate = Candidate {
            provider: provider.clone(),
            model: None,
            upstream_model: "m".into(),
            key: snapshot
                .provider_key("k")
                .expect("it is configured")
                .clone(),
            surface: Surface::ChatCompletions,
            model_index: 0,
        };
        let (publisher, published) = Publisher::channel();
        let shared = Shared {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            health: Health::new(1),
            queue: Arc::default(),
            notices: Notices::default(),
            peers: Peers::default(),
            hedges: Hedges::default(),
            drain: Arc::default(),
            metrics: Arc::new(Metrics::new().expect("every metric has a name of its own")),
            access_log: AccessLog::off(),
            traces: None,
            ledger: None,
            publisher: Some(publisher),
            teller: None,
            room: Room::open(1).expect("the system has threads"),
            retries: Arc::new(Retries::new(None)),
            scarce: Scarce::default(),
            crowd: Arc::default(),
            event_ids: Arc::new(EventIds::new(1)),
        };
        (shared, candidate, published)
    }

    /// Requests under way when a key reaches its limit, and those that try it because no other is left, each made its
    /// replica send the others what they knew: in a storm of refusals there were as many messages as requests.
    #[test]
    fn a_cool_down_is_published_when_it_begins_and_when_its_end_moves() {
        let (shared, candidate, mut published) = shared();
        let now = clock::now();
        let secs = Duration::from_secs;
        let refused = |wait, after| {
            let outcome = Outcome::Status {
                status: 429,
                retry_after: Some(secs(wait)),
            };
            shared.learn(
                &candidate,
                &"a".into(),
                Class::Answers,
                &outcome,
                false,
                now + secs(after),
            );
        };
        let mut ends = || {
            let published = std::iter::from_fn(|| published.try_recv().ok());
            published
                .map(|cooldown| cooldown.until - now)
                .collect::<Vec<_>>()
        };
        for _ in 0..1_000 {
            refused(30, 0);
        }
        refused(20, 5);
        assert_eq!(ends(), [secs(30)], "all say the same");
        refused(40, 5);
        assert_eq!(ends(), [secs(45)], "a later end");
        refused(10, 60);
        assert_eq!(ends(), [secs(70)], "another cool-down");
        let counted = r#"tollgate_key_cool_downs_total{provider="p",reason="http_429"} 2"#;
        let metrics = shared.metrics.render();
        assert!(
            metrics.contains(counted),
            "two cool-downs began:\n{metrics}"
        );
    }
}
