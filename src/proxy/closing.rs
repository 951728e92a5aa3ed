//! What settles a request from inside its session, before the last byte of its answer leaves.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::aside::Aside;
use super::beside::Hedging;
use super::bill::{Bill, Closed, Finish};
use super::count;
use super::gate::{Ended, Gate, NotAnAnswer, Phase, Translation};
use crate::metrics::{InFlight, Metrics};
use tollgate_base::clock;
use tollgate_wire::request::RequestBody;
use tollgate_wire::tokens::{BYTES_PER_TOKEN, Settled};

/// Answers of the process that are read on at a time although their clients have left: each keeps a connection.
const MOST_READ_ON: i64 = 1_024;

/// Settles a request before the last byte of its answer leaves.
pub struct Closing {
    /// For counting, and for translating what is long.
    pub aside: Aside,
    /// What is owed.
    pub bill: Arc<Bill>,
    /// For counting the prompt.
    pub body: RequestBody,
    /// Whether an answer ends when its account's credits are gone.
    pub cut_off: bool,
    /// How long an answer is read on for its usage once its client has left; 0 is not at all.
    pub grace: Duration,
    /// Counts the answers that are.
    pub metrics: Arc<Metrics>,
    /// Begins another attempt beside the one under way.
    pub hedging: Option<Arc<Hedging>>,
}

impl Closing {
    /// Returns whether the account can pay for what the answer under way has become. Without a cut-off, always.
    pub fn affords(&self, gate: &Gate) -> bool {
        if !self.cut_off {
            return true;
        }
        let output = gate.with_observer(|observer| {
            let reported = observer.usage().map_or(0, |usage| usage.output());
            // Exact counting costs more than it is worth while an answer runs.
            reported.max(observer.output_bytes() / BYTES_PER_TOKEN)
        });
        output.is_none_or(|output| self.bill.affords(output))
    }

    /// Some of the answer under way has been looked at: if it commits, an attempt beside it came second.
    pub fn committed(&self, gate: &Gate) {
        if let Some(hedging) = &self.hedging
            && gate.phase() == Phase::Committed
        {
            hedging.give_up(clock::now());
        }
    }

    /// Begins another attempt beside the one under way.
    pub fn hedge(&self) {
        if let Some(hedging) = &self.hedging {
            hedging.begin();
        }
    }

    /// Waits until an attempt beside the one under way has what commits.
    pub async fn overtaken(&self) {
        match &self.hedging {
            Some(hedging) => hedging.ready().await,
            None => pending().await,
        }
    }

    /// Translates a long document, away from the proxy's threads.
    pub async fn translate(&self, translation: Translation) -> Result<Bytes, NotAnAnswer> {
        let translated = self.aside.run(move || translation.run()).await;
        // What it panics at is no answer that a client could read.
        translated.unwrap_or(Err(NotAnAnswer))
    }

    /// The answer under way has come to its end. Returns how it is settled, if anything is charged.
    pub async fn answer(&self, gate: &Gate) -> Option<Closed> {
        if self.bill.is_closed() {
            return None;
        }
        // What the body of an error that is relayed says.
        if let Some(outcome) = gate.judged() {
            self.bill
                .refused(outcome.status().unwrap_or_default(), &outcome);
        }
        let reported = gate.with_observer(|observer| {
            let stop_reason = observer.finish_reason().unwrap_or_default().to_owned();
            (
                observer.usage_final().then(|| count::reported(observer)),
                stop_reason,
            )
        });
        let mut reason = String::new();
        let status = reported.is_some().then_some(200);
        let settled = match reported {
            None => None, // an error that is relayed
            Some((Some(reported), stop_reason)) => {
                reason = stop_reason;
                reported
            }
            Some((None, stop_reason)) => {
                reason = stop_reason;
                self.count(gate).await
            }
        };
        let till = self.bill.till();
        let closed = self.bill.close(Finish {
            settled,
            status,
            outcome: None,
            stop_reason: &reason,
            committed: gate.committed_at(),
            now: clock::now(),
        });
        // It is charged all the same, and the journal takes no more requests.
        if let Err(error) = till.as_ref()?.on_disk().await {
            log::error!("a settlement may not outlive a power cut: {error}");
        }
        Some(closed)
    }

    /// Our own count of the answer that has come to its end.
    async fn count(&self, gate: &Gate) -> Option<Settled> {
        let (observer, candidate) = (gate.take_observer()?, self.bill.candidate()?);
        let (observer, settled) =
            count::answer(&self.aside, &self.bill, observer, &candidate, &self.body).await;
        observer
            .into_iter()
            .for_each(|observer| gate.put_observer(observer));
        settled
    }

    /// The client has left. The answer's place among those that are read on for their usage; `None` if it ends
    /// here, with what is known of it.
    pub fn left(&self, gate: &Gate) -> Option<InFlight> {
        let now = clock::now();
        if !gate.leave(self.grace, now) || self.bill.is_closed() {
            return None;
        }
        if let Some(ended) = gate.left_by(now) {
            self.ended(ended);
            return None;
        }
        let place = self.metrics.reads_on(MOST_READ_ON);
        if place.is_none() {
            self.ended(Ended::Limit);
        }
        place
    }

    /// An answer whose client has left is read on no more.
    pub fn ended(&self, ended: Ended) {
        self.metrics.abandoned(ended.label());
        if ended.is_blind() {
            self.bill.costs_its_hold();
        }
    }
}
