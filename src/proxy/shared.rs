//! What all requests share.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::UnboundedSender;

use super::aside::Aside;
use super::drain::Drain;
use super::peers::Peers;
use crate::metrics::Metrics;
use crate::metrics::access_log::AccessLog;
use tollgate_config::access::Snapshot;
use tollgate_failover::{Candidate, Health, Outcome};
use tollgate_ledger::Ledger;
use tollgate_ledger::events::EventIds;

/// A provider key that has to be left alone for a while.
#[derive(Clone, Debug)]
pub struct Rest {
    /// Its id.
    pub key: Arc<str>,
    /// Until when.
    pub until: Instant,
    /// The outcome's label.
    pub reason: &'static str,
}

/// One per process.
pub struct Shared {
    /// What is configured; swapped whole on reload. A request keeps the one it began with.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Provider keys that rest, and providers that cannot be reached.
    pub health: Health,
    /// Where providers are.
    pub peers: Peers,
    /// Whether the process is stopping.
    pub drain: Arc<Drain>,
    /// Counters for the operator.
    pub metrics: Arc<Metrics>,
    /// A line a request.
    pub access_log: AccessLog,
    /// Credits and limits; `None` where the configuration turns them off.
    pub ledger: Option<Arc<Ledger>>,
    /// Where other replicas are told which keys rest; `None` if there are none.
    pub rests: Option<UnboundedSender<Rest>>,
    /// Where work is done that keeps a core busy.
    pub aside: Arc<Aside>,
    /// Names usage events.
    pub event_ids: EventIds,
}

impl Shared {
    /// Takes note of a failed attempt: the key may rest, the provider's breaker may open.
    pub fn learn(&self, candidate: &Candidate, outcome: &Outcome, now: Instant) {
        let Some(until) = self.health.on_outcome(candidate, outcome, now) else {
            return;
        };
        self.metrics
            .cool_down(&candidate.provider.id, outcome.label());
        if let Some(rests) = &self.rests {
            let rest = Rest {
                key: candidate.key.id.clone(),
                until,
                reason: outcome.label(),
            };
            // Nobody listens any more when the process stops.
            let _stopping = rests.send(rest).is_err();
        }
    }
}
