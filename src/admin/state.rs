//! What the process shares with the admin listener.

use std::fmt;
use std::sync::Arc;

use super::throttle::Throttle;
use crate::catalog::Catalog;
use crate::control::resource::ApiKey;
use crate::control::{Caller, Control};
use crate::failover::Cooling;
use crate::ledger::bank::Bank;
use crate::metrics::Metrics;

/// Whether new requests should be sent here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No, and why: one short phrase for people each.
    NotReady(Vec<String>),
}

/// What the admin listener shows and changes. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    control: Arc<Control>,
    metrics: Arc<Metrics>,
    readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    public_url: Option<Arc<str>>,
    throttle: Arc<Throttle>,
    bank: Option<Arc<dyn Bank>>,
    resting: Arc<dyn Fn() -> Vec<Cooling> + Send + Sync>,
}

impl AdminState {
    /// `readiness` is asked on each probe; it must not block.
    pub fn new(
        control: Arc<Control>,
        metrics: Arc<Metrics>,
        readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    ) -> Self {
        AdminState {
            control,
            metrics,
            readiness: Arc::new(readiness),
            public_url: None,
            throttle: Arc::default(),
            bank: None,
            resting: Arc::new(Vec::new),
        }
    }

    /// Where money is durable; `None`: nowhere, so that what is about money is answered 501.
    #[must_use]
    pub fn with_bank(mut self, bank: Option<Arc<dyn Bank>>) -> Self {
        self.bank = bank;
        self
    }

    /// Says which provider keys rest at this replica; it must not block.
    #[must_use]
    pub fn with_resting(
        mut self,
        resting: impl Fn() -> Vec<Cooling> + Send + Sync + 'static,
    ) -> Self {
        self.resting = Arc::new(resting);
        self
    }

    /// Where clients reach the listener, as in `https://gate.example`; `None`: as each request says.
    #[must_use]
    pub fn with_public_url(mut self, url: Option<&str>) -> Self {
        self.public_url = url.map(Into::into);
        self
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
        let caller = self.control.caller(key)?;
        self.control.mark_api_key(&caller.id);
        Some(caller)
    }

    /// Where money is durable, if it is.
    pub(crate) fn bank(&self) -> Option<&Arc<dyn Bank>> {
        self.bank.as_ref()
    }

    /// The provider keys that rest at this replica.
    pub(crate) fn resting(&self) -> Vec<Cooling> {
        (self.resting)()
    }

    /// Whether there is any API key.
    pub(super) fn has_keys(&self) -> bool {
        self.control
            .look(|view| view.all::<ApiKey>().next().is_some())
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn readiness(&self) -> Readiness {
        (self.readiness)()
    }

    pub(super) fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    pub(super) fn throttle(&self) -> &Throttle {
        &self.throttle
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").finish_non_exhaustive()
    }
}
