//! What the process shares with the admin listener.

use std::fmt;
use std::sync::Arc;

use super::auth::{Login, Lookup};
use super::throttle::Throttle;
use crate::catalog::Catalog;
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
    metrics: Arc<Metrics>,
    readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
    catalog: Arc<dyn Fn() -> Arc<Catalog> + Send + Sync>,
    login: Lookup,
    public_url: Option<Arc<str>>,
    throttle: Arc<Throttle>,
}

impl AdminState {
    /// A listener without API keys and with an empty catalog. `readiness` is asked on each probe; it must not block.
    pub fn new(
        metrics: Arc<Metrics>,
        readiness: impl Fn() -> Readiness + Send + Sync + 'static,
    ) -> Self {
        AdminState {
            metrics,
            readiness: Arc::new(readiness),
            catalog: Arc::new(Arc::default),
            login: Arc::new(|_| Login::NoKeys),
            public_url: None,
            throttle: Arc::default(),
        }
    }

    /// Shows the catalog that is in force when `catalog` is called; it must not block.
    #[must_use]
    pub fn with_catalog(
        mut self,
        catalog: impl Fn() -> Arc<Catalog> + Send + Sync + 'static,
    ) -> Self {
        self.catalog = Arc::new(catalog);
        self
    }

    /// Knows callers by their keys. `login` compares digests in constant time, and must not block.
    #[must_use]
    pub fn with_login(mut self, login: impl Fn(&str) -> Login + Send + Sync + 'static) -> Self {
        self.login = Arc::new(login);
        self
    }

    /// Where clients reach the listener, as in `https://gate.example`; `None`: as each request says.
    #[must_use]
    pub fn with_public_url(mut self, url: Option<&str>) -> Self {
        self.public_url = url.map(Into::into);
        self
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        (self.catalog)()
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn readiness(&self) -> Readiness {
        (self.readiness)()
    }

    pub(super) fn login(&self) -> &Lookup {
        &self.login
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
