//! Requests that are sent again: carried out and charged once, and answered as often as they are sent.
//!
//! ```text
//!   first ───► Turn ── runs as any request, its answer is recorded as it leaves ──► kept (Idempotency-Key) or forgotten
//!                          │ Recording
//!   again ─────────────────┴─► hears it from its beginning      on another replica: 409      after its end: what is kept
//! ```
//!
//! Which requests are the same is said by their client (`Idempotency-Key`; claimed in the store, once in a fleet), or found
//! out where a configuration allows it: an SDK that sends a request again says so. Only a whole, successful answer is kept,
//! before its request is settled and its last byte leaves: whoever gets the end of an answer finds it again, though the
//! process may die at any time. Everything else lets go of the name, and who waits for it tries for itself.

mod asked;
mod kept;
mod recording;
mod replay;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use parking_lot::Mutex;
use pingora_core::protocols::http::HttpTask;
use pingora_http::ResponseHeader;
use tokio::runtime::Handle;

pub use replay::{Begun, begin};

use super::shares::{Shares, Supply};
use kept::Claim;
use recording::Recording;
use tollgate_base::clock;
use tollgate_store::{Claims, Ticket};

/// How long an answer is waited for that nobody hears any more: SDKs come back within a few seconds.
const LINGER: Duration = Duration::from_secs(10);

/// The same of one that its client has named, and may ask any replica for.
const FINISHES: Duration = Duration::from_secs(10 * 60);

/// What is under way, and may be asked for again.
pub struct Retries {
    claims: Option<Claims>,
    /// By name.
    under_way: Mutex<HashMap<String, Arc<Recording>>>,
    /// Bytes of recordings.
    room: Arc<Shares>,
}

impl Retries {
    /// Returns what keeps names in a store, if there is one.
    pub fn new(claims: Option<Claims>) -> Retries {
        Retries {
            claims,
            under_way: Mutex::default(),
            room: Arc::default(),
        }
    }

    /// Returns what of this name is under way, or a turn to carry it out.
    fn enter(
        self: &Arc<Retries>,
        ticket: &Ticket,
        supply: Supply,
        now: Instant,
    ) -> Result<Turn, Arc<Recording>> {
        match self.under_way.lock().entry(ticket.name.clone()) {
            Entry::Occupied(known) => Err(known.get().clone()),
            Entry::Vacant(free) => {
                let room = self.room.take(&ticket.account, 0, supply);
                let recording = Recording::new(ticket.of.clone(), room, supply, now);
                Ok(Turn {
                    retries: self.clone(),
                    name: ticket.name.clone(),
                    recording: free.insert(Arc::new(recording)).clone(),
                    claim: None,
                })
            }
        }
    }

    fn leave(&self, name: &str) {
        self.under_way.lock().remove(name);
    }
}

/// The request that is carried out for all that are the same.
pub struct Turn {
    retries: Arc<Retries>,
    name: String,
    recording: Arc<Recording>,
    /// What its client names it by, in the store.
    claim: Option<Claim>,
}

impl Turn {
    /// Returns whether its client has a name for it, and may send it again to any replica.
    pub fn is_named(&self) -> bool {
        self.claim.is_some()
    }

    /// The client was given this head before any answer.
    pub fn opened(&self, head: &ResponseHeader) {
        self.recording.begin(head);
    }

    /// The client was sent a comment.
    pub fn commented(&self) {
        self.recording.comment();
    }

    /// What is written to the client now.
    pub fn record(&self, tasks: &[HttpTask]) {
        self.recording.record(tasks);
    }

    /// The answer ends with these tasks, which are not written yet. Returns what keeps it, if it is to be kept.
    pub fn keep<'a>(
        &'a mut self,
        last: &[HttpTask],
    ) -> Option<impl Future<Output = ()> + Send + use<'a>> {
        let claim = self.claim.as_mut()?;
        if last.iter().any(|task| matches!(task, HttpTask::Failed(_))) {
            return None;
        }
        let (head, body) = self.recording.whole(last)?;
        Some(claim.keep(head, body))
    }

    /// All of the answer is recorded.
    pub fn finish(&self) {
        self.recording.end();
    }

    /// The client has left. Returns whether the answer goes on for those that ask for it again.
    pub fn desert(&self) -> bool {
        self.recording.desert(clock::now());
        !self.recording.is_lost()
    }

    /// Waits until nobody has heard the answer of a client that has left for long enough, or none of it is kept.
    pub async fn forsaken(&self) {
        let patience = match self.claim {
            Some(_) => FINISHES,
            None => LINGER,
        };
        let mut changes = self.recording.changes();
        loop {
            changes.borrow_and_update();
            if self.recording.is_lost() {
                return;
            }
            // The sender is here.
            let changed = changes.changed();
            let Some(since) = self.recording.unheard_since() else {
                drop(changed.await);
                continue;
            };
            let left = (since + patience).saturating_duration_since(clock::now());
            if left.is_zero() {
                return;
            }
            drop(tokio::time::timeout(left, changed).await);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.recording.fail();
        let (retries, recording) = (self.retries.clone(), self.recording.clone());
        let name = std::mem::take(&mut self.name);
        // What is whole is there for whoever comes back soon; who waits for what failed tries when its name is free.
        let lingers = recording.is_whole() && recording.unheard_since().is_some();
        let release = self.claim.take().and_then(Claim::release);
        let leave = move || {
            retries.leave(&name);
            recording.set_free();
        };
        match (Handle::try_current(), release) {
            (Ok(runtime), Some(release)) => drop(runtime.spawn(release.map(move |()| leave()))),
            (Ok(runtime), None) if lingers => {
                drop(runtime.spawn(tokio::time::sleep(LINGER).map(move |()| leave())));
            }
            _ => leave(),
        }
    }
}
