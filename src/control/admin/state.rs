//! What the process shares with the admin listener.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Request, Response};
use parking_lot::Mutex;

use super::chat::{Answered, Chat};
use super::fleet::Replica;
use super::health::{Healths, Trial, Tried};
use super::plan::{Asked, Planned};
use crate::resource::ApiKey;
use crate::{Caller, Control};
use tollgate_alerts::AlertStore;
use tollgate_base::Pace;
use tollgate_config::Identity;
use tollgate_config::catalog::Catalog;
use tollgate_config::secrets::token;
use tollgate_ledger::bank::{self, Bank};
use tollgate_store::Database;
use tollgate_store::redis::Leases;

/// Unknown API keys that an address may present at once, and how often another one.
const GUESSES: u32 = 10;
const GUESS_EVERY: Duration = Duration::from_secs(6);

/// Changes that an account may make at once, and how often another one.
pub(super) const CHANGES: u32 = 500;
const CHANGE_EVERY: Duration = Duration::from_secs(2);

/// Tests of providers at once.
const TRIALS: usize = 16;

/// Whether new requests should be sent here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No, and why: one short phrase for people each.
    NotReady(Vec<String>),
}

/// A provider key that cools down at this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoolingKey {
    /// The key's id; after a line break, what of it cools down.
    pub name: String,
    /// Until when.
    pub until: Instant,
    /// The status that began or last extended it.
    pub status: u16,
}

/// The process around the admin listener, as far as the listener shows it. None of these may block but
/// [`Process::probe`] and [`Process::converse`].
pub trait Process: Send + Sync {
    /// Whether new requests should be sent here; asked on each probe.
    fn readiness(&self) -> Readiness;

    /// Every metric, in Prometheus' text exposition format or in that of OpenMetrics.
    fn metrics(&self, open: bool) -> String;

    /// An operation was answered; `operation` is its id, or `none`.
    fn answered(&self, operation: &'static str, status: u16);

    /// The provider keys that cool down at this replica.
    fn cooling(&self) -> Vec<CoolingKey>;

    /// Returns how this replica's proxy would serve a request now.
    fn plan(&self, asked: &Asked) -> Planned;

    /// Returns how providers do.
    fn health(&self) -> Healths;

    /// Returns how this replica is.
    fn replica(&self) -> Replica;

    /// Calls a provider to see whether it works. Blocks until it is known, each call for some seconds at most.
    fn probe(&self, trial: &Trial) -> Vec<Tried>;

    /// Has a new process of the program take over; returns its id. Blocks until it has, for a minute at most.
    ///
    /// # Errors
    /// Why it has not: this process goes on then.
    fn upgrade(&self) -> Result<u32, String>;

    /// Sends a chat completion to this replica's proxy. Blocks until the answer begins.
    ///
    /// # Errors
    /// Why the proxy cannot be asked.
    fn converse(&self, chat: &Chat) -> Result<Answered, String>;
}

/// Asks an identity provider, whose authorities are those of a PEM text, or else the system's. It may block; what it says of
/// a failure shows neither address nor body.
pub type Fetch =
    Arc<dyn Fn(Option<&str>, Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> + Send + Sync>;

/// What the admin listener shows and changes. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    control: Arc<Control>,
    process: Arc<dyn Process>,
    /// What the listener showed at the start; `None`: it speaks plain HTTP.
    identity: Option<Identity>,
    public_url: Option<Arc<str>>,
    guesses: Arc<Pace<IpAddr>>,
    changes: Arc<Pace<Arc<str>>>,
    bank: Option<Arc<dyn Bank>>,
    cooldowns: Option<Leases>,
    fleet: Option<Leases>,
    /// The accounts that test a provider now.
    trials: Arc<Mutex<HashSet<Arc<str>>>>,
    alerts: Option<AlertStore>,
    fetch: Option<Fetch>,
}

/// A test of a provider, while it is under way.
pub(crate) struct Running {
    account: Arc<str>,
    trials: Arc<Mutex<HashSet<Arc<str>>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.trials.lock().remove(&self.account);
    }
}

impl AdminState {
    /// `database` is where money and shared cool-downs are; `None`: nowhere, so that what is about money is
    /// answered 501.
    pub fn new(
        control: Arc<Control>,
        process: Arc<dyn Process>,
        database: Option<&Database>,
    ) -> Self {
        let identity = control.config().admin.tls.clone();
        AdminState {
            control,
            process,
            identity,
            public_url: None,
            guesses: Arc::new(Pace::new(GUESSES, GUESS_EVERY)),
            changes: Arc::new(Pace::new(CHANGES, CHANGE_EVERY)),
            bank: database.map(bank::on),
            cooldowns: database.and_then(Database::cooldowns),
            fleet: database.and_then(Database::fleet),
            trials: Arc::default(),
            alerts: database.map(AlertStore::on),
            fetch: None,
        }
    }

    /// Returns where clients reach the listener, as in `https://gate.example`; `None`: as each request says.
    #[must_use]
    pub fn with_public_url(mut self, url: Option<&str>) -> Self {
        self.public_url = url.map(Into::into);
        self
    }

    /// Returns the state with what asks identity providers; without it nobody signs in by one.
    #[must_use]
    pub fn with_fetch(mut self, fetch: Fetch) -> Self {
        self.fetch = Some(fetch);
        self
    }

    pub(super) fn fetch(&self) -> Option<Fetch> {
        self.fetch.clone()
    }

    /// The resources.
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// The catalog that is in force now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.control.served().load().catalog.clone()
    }

    /// Whose key this is; notes that it was used.
    pub(super) fn login(&self, key: &str) -> Option<Caller> {
        self.login_by(&token::digest(key))
    }

    /// The same, by the key's digest.
    pub(super) fn login_by(&self, digest: &[u8; 32]) -> Option<Caller> {
        let caller = self.control.caller_by(digest)?;
        self.control.mark_api_key(&caller.id);
        Some(caller)
    }

    /// Where money is durable, if it is.
    pub(crate) fn bank(&self) -> Option<&Arc<dyn Bank>> {
        self.bank.as_ref()
    }

    /// The cool-downs that replicas share, if they do.
    pub(crate) fn cooldowns(&self) -> Option<&Leases> {
        self.cooldowns.as_ref()
    }

    /// The replicas that are there, if there may be others.
    pub(crate) fn fleet(&self) -> Option<&Leases> {
        self.fleet.as_ref()
    }

    /// What operators were alerted to, if it is kept.
    pub(crate) fn alerts(&self) -> Option<&AlertStore> {
        self.alerts.as_ref()
    }

    /// Whether there is any API key.
    pub(super) fn has_keys(&self) -> bool {
        self.control
            .look(|view| view.all::<ApiKey>().next().is_some())
    }

    /// The process around the listener.
    pub(crate) fn process(&self) -> &dyn Process {
        &*self.process
    }

    /// The same, to be kept.
    pub(crate) fn process_handle(&self) -> Arc<dyn Process> {
        self.process.clone()
    }

    /// Begins a test of a provider, unless one of the account, or too many, are under way.
    pub(crate) fn begin_trial(&self, account: &Arc<str>) -> Option<Running> {
        let mut trials = self.trials.lock();
        let begins = trials.len() < TRIALS && trials.insert(account.clone());
        begins.then(|| Running {
            account: account.clone(),
            trials: self.trials.clone(),
        })
    }

    /// What the listener shows now; `None`: it speaks plain HTTP, whatever the configuration says by now.
    pub(super) fn identity(&self) -> Option<Identity> {
        let first = self.identity.as_ref()?;
        let now = self.control.config().admin.tls.clone();
        Some(now.unwrap_or_else(|| first.clone()))
    }

    /// How browsers reach the listener, as far as it is known.
    pub(super) fn scheme(&self) -> &'static str {
        let public = self.public_url.as_deref().unwrap_or_default();
        match self.identity.is_some() || public.starts_with("https:") {
            true => "https",
            false => "http",
        }
    }

    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// How often a client address may present an unknown API key. Over that, its wrong keys are refused without a line in
    /// the log. A right one is served all the same: whoever shares an address with others (behind a load balancer all do)
    /// must not be locked out by them, and keys cannot be guessed at any rate.
    pub(super) fn guesses(&self) -> &Pace<IpAddr> {
        &self.guesses
    }

    /// How often API keys for one account may change something.
    pub(super) fn changes(&self) -> &Pace<Arc<str>> {
        &self.changes
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").finish_non_exhaustive()
    }
}
