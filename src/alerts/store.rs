//! Where alerts are kept, for all replicas: which were raised, and who sends them.
//!
//! Times are the store's: SQLite's process has the file alone, Redis has a clock. A claim ends by itself, so that what was
//! claimed by a replica that died is sent by another one. The number of tries tells claims apart: only the last one may
//! say what became of it.

mod redis;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use tollgate_base::clock;
use tollgate_store::{Database, StoreError};

use crate::Alert;

/// How many alerts are kept, the last ones. What is older is not sent any more.
pub(crate) const KEPT: u64 = 10_000;

/// How long it is tried to send an alert, from when it was raised.
pub const GIVE_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that is kept of what a channel said, in characters.
const SAID: usize = 200;

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits to be sent, or to be sent again.
    Waiting,
    /// It was sent, and taken.
    Sent,
    /// It was not taken for a day.
    GivenUp,
}

impl State {
    const ALL: [State; 3] = [State::Waiting, State::Sent, State::GivenUp];

    /// As lists have it: `waiting`, `sent`, `given-up`.
    pub const fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
            State::GivenUp => "given-up",
        }
    }

    /// The state of a number; one that only a newer program knows counts as waiting.
    fn read(number: u64) -> State {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        State::ALL.get(place).copied().unwrap_or(State::Waiting)
    }

    fn number(self) -> u8 {
        match self {
            State::Waiting => 0,
            State::Sent => 1,
            State::GivenUp => 2,
        }
    }
}

/// An alert's way to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The channel's id.
    pub channel: String,
    /// What has become of it.
    pub state: State,
    /// How often it was claimed to be sent.
    pub tries: u32,
    /// What was said the last time that it was not taken; empty if nothing was.
    pub said: String,
}

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Counts alerts, from 1.
    pub number: u64,
    /// When it was raised (Unix time, ms).
    pub at_ms: u64,
    /// What is told.
    pub alert: Alert,
    /// To whom, sorted by channel.
    pub deliveries: Vec<Delivery>,
}

/// An alert that is to be sent to one channel by who holds this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The alert's number.
    pub number: u64,
    /// When it was raised (Unix time, ms).
    pub at_ms: u64,
    /// What is told.
    pub alert: Alert,
    /// How often it was claimed, this time included.
    pub tries: u32,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It was not, and is tried again after a while.
    Again(Duration, String),
    /// It was not, and is not tried any more.
    GivenUp(String),
}

impl Outcome {
    /// As it is stored: state, time until it is due (ms), what was said.
    fn parts(&self) -> (State, u64, String) {
        match self {
            Outcome::Sent => (State::Sent, 0, String::new()),
            Outcome::Again(after, why) => (State::Waiting, clock::millis(*after), short(why)),
            Outcome::GivenUp(why) => (State::GivenUp, 0, short(why)),
        }
    }
}

fn short(said: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    said.chars().take(SAID).map(plain).collect()
}

/// Alerts in the gateway's database.
#[derive(Clone)]
pub struct AlertStore(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(Arc<tollgate_store::sqlite::Worker>),
    Redis(Arc<tollgate_store::redis::Redis>),
}

impl AlertStore {
    /// Those of a database.
    pub fn on(database: &Database) -> AlertStore {
        AlertStore(match database {
            Database::Sqlite(worker) => Kind::Sqlite(worker.clone()),
            Database::Redis(redis) => Kind::Redis(redis.clone()),
        })
    }

    /// What time it is to the store (Unix time, ms).
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Kind::Sqlite(_) => tollgate_store::Moment::here().told,
            Kind::Redis(redis) => redis.moment().told,
        }
    }

    /// Raises an alert, to be sent to these channels, unless one of its first name holds. Returns its number; `None` if it
    /// was raised before.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it may have been raised.
    pub async fn raise(
        &self,
        names: &[String],
        until_ms: u64,
        alert: &Alert,
        channels: &[String],
    ) -> Result<Option<u64>, StoreError> {
        let body = serde_json::to_string(alert)
            .map_err(|error| StoreError::Refused(format!("an alert cannot be kept: {error}")))?;
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::raise(worker, names, until_ms, body, channels).await,
            Kind::Redis(redis) => redis::raise(redis, names, until_ms, &body, channels).await,
        }
    }

    /// Claims the alert that has waited longest to be sent to a channel, for so long. Returns `None` if none is due.
    ///
    /// # Errors
    /// [`StoreError::Away`]: it may be claimed, until that is over.
    pub async fn claim(&self, channel: &str, lease: Duration) -> Result<Option<Claim>, StoreError> {
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::claim(worker, channel, lease).await,
            Kind::Redis(redis) => redis::claim(redis, channel, lease).await,
        }
    }

    /// Notes what became of a claim. Returns whether that counts: not if it was claimed again meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Away`]: if it was not noted, the alert is sent again.
    pub async fn settle(
        &self,
        channel: &str,
        claim: &Claim,
        outcome: &Outcome,
    ) -> Result<bool, StoreError> {
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::settle(worker, channel, claim, outcome).await,
            Kind::Redis(redis) => redis::settle(redis, channel, claim, outcome).await,
        }
    }

    /// Returns alerts, the newest first, at most `limit` with a number below `before`. One that cannot be read is left out.
    ///
    /// # Errors
    /// [`StoreError::Away`], [`StoreError::Corrupt`].
    pub async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<Stored>, StoreError> {
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::list(worker, before, limit).await,
            Kind::Redis(redis) => redis::list(redis, before, limit).await,
        }
    }

    /// Returns whether this replica looks after money and prices for all, for so long from now on. `who` is drawn by each
    /// replica; a file has but one.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn lead(&self, who: u64, lease: Duration) -> Result<bool, StoreError> {
        match &self.0 {
            Kind::Sqlite(worker) => sqlite::is_there(worker).await,
            Kind::Redis(redis) => redis::lead(redis, who, lease).await,
        }
    }
}

/// An alert as it is stored; `None` if a newer program wrote what this one cannot read.
fn read(body: &str) -> Option<Alert> {
    let alert = serde_json::from_str(body);
    alert
        .map_err(|error| log::warn!("a stored alert cannot be read: {error}"))
        .ok()
}
