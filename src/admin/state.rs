//! What the process shares with the admin listener.

use std::fmt;
use std::sync::Arc;

use super::throttle::Throttle;
use crate::catalog::Catalog;
use crate::control::resource::ApiKey;
use crate::control::{Caller, Control};
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
        }
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

    /// Whose key this is.
    pub(super) fn login(&self, key: &str) -> Option<Caller> {
        self.control.caller(key)
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
