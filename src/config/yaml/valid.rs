//! The configuration that the rest of the program sees.
//!
//! Invariant: a [`Config`] is always valid. References are resolved, defaults filled in, every id that is
//! mentioned exists; only [`super::load`] makes one.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::sources::Sources;
use super::types::{self, Credits};
use super::units::Span;
use crate::DEFAULT_ACCOUNT;
use crate::catalog::Catalog;
use crate::secrets::Keyring;
use tollgate_ledger::bank::NewGrant;
use tollgate_store::Bounds;

mod admin;
mod alerts;
mod feeds;
mod ledger;
mod oidc;
mod telemetry;

pub(crate) use admin::Admin;
pub use admin::ApiKey;
pub use alerts::{AlertChannel, AlertEmail, AlertWay, Alerts};
pub use feeds::{Origin, PriceFeed, PriceFeeds};
pub use ledger::{BankChoice, Ledger, WhenUnreachable};
pub use oidc::Oidc;
pub use telemetry::{Keep, PushedMetrics, Receiver, Traces};

/// Everything that the YAML says, resolved and checked. Its `Debug` redacts credentials.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener that applications call.
    pub proxy: Proxy,
    /// The listener for operators, and who may call its API.
    pub admin: Admin,
    /// The master keys; without one, nothing secret can be stored.
    pub secrets: Keyring,
    /// The widest scope's timeouts.
    pub timeouts: Timeouts,
    /// Token limits for every request.
    pub limits: types::TokenLimits,
    /// Whether a failed candidate is followed by the next one.
    pub failover: bool,
    /// Which of several keys is tried first without a rule, and in steps that neither say so nor name their keys.
    pub key_selection: types::KeySelection,
    /// Whether providers are told what to keep of a translated prompt, where the client does not say.
    pub cache_hints: bool,
    /// Whether a candidate is tried again.
    pub retry: Retry,
    /// How much is kept of the answers to requests with an idempotency key, of each account.
    pub kept_answers: Bounds,
    /// Where a line about each request goes.
    pub log: AccessLog,
    /// Where traces are sent, and of which requests; `None` is of none.
    pub traces: Option<Traces>,
    /// Where metrics are sent, and how often; `None` is nowhere.
    pub pushed_metrics: Option<PushedMetrics>,
    /// What operators are alerted to, and where.
    pub alerts: Alerts,
    /// Where money is kept, and what requests are charged.
    pub ledger: Ledger,
    /// Who owns keys and credits; `default` is always among them.
    pub accounts: Vec<Account>,
    /// Providers as written, credentials resolved; with `demo.listen`, the provider `demo` is the last of them.
    pub providers: Vec<types::Provider>,
    /// The built-in catalog, with the prices of feeds and then the providers laid over it.
    pub catalog: Arc<Catalog>,
    /// The feeds that prices come from.
    pub feeds: PriceFeeds,
    /// What access keys may call.
    pub configurations: Vec<types::Configuration>,
    /// Budgets that access keys share.
    pub budgets: Vec<types::SharedBudget>,
    /// What applications send.
    pub access_keys: Vec<AccessKey>,
    /// Loopback address of the built-in demo provider; `None` is off.
    pub demo: Option<SocketAddr>,
    /// What is legal and probably not meant.
    pub warnings: Vec<Fault>,
    /// What was read; [`super::Watcher`] watches it.
    pub sources: Sources,
}

impl Config {
    /// Settings that differ in `new` and take effect with a restart only.
    pub fn needs_restart(&self, new: &Config) -> Vec<&'static str> {
        let (old, now) = (&self.proxy, &new.proxy);
        let (admin, new_admin) = (&self.admin, &new.admin);
        let listen = |tls: &Option<Tls>| tls.as_ref().map(|tls| tls.listen.clone());
        let opens_store = !self.needs_store() && new.needs_store();
        let opens = opens_store && new.ledger.credits == Credits::Off;
        [
            ("proxy.listen", old.listen != now.listen),
            ("proxy.tls.listen", listen(&old.tls) != listen(&now.tls)),
            ("proxy.threads", old.threads != now.threads),
            (
                "proxy.keepalive (of HTTP/2)",
                old.keepalive != now.keepalive,
            ),
            ("proxy.drain", old.drain != now.drain),
            ("admin.listen", admin.listen != new_admin.listen),
            ("admin.tls", admin.tls.is_some() != new_admin.tls.is_some()),
            ("admin.public_url", admin.public_url != new_admin.public_url),
            // With credits, `ledger.credits` says it.
            ("admin.api_keys", opens && !new_admin.api_keys.is_empty()),
            ("admin.oidc", opens && new_admin.oidc.is_some()),
            ("alerts.channels", opens && !new.alerts.channels.is_empty()),
            (
                "configurations.idempotency.store",
                opens && new.keeps_answers(),
            ),
            ("log.access", self.log != new.log),
            ("telemetry.traces", self.traces != new.traces),
            (
                "telemetry.metrics",
                self.pushed_metrics != new.pushed_metrics,
            ),
            ("demo.listen", self.demo != new.demo),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .chain(self.ledger.needs_restart(&new.ledger))
        .collect()
    }

    /// Returns whether a store is needed: for credits, to manage resources at run time with the admin API, to know which
    /// alerts were sent, or to keep answers.
    pub fn needs_store(&self) -> bool {
        let is_managed = !self.admin.api_keys.is_empty() || self.admin.oidc.is_some();
        let keeps = !self.alerts.channels.is_empty() || self.keeps_answers();
        self.ledger.credits != Credits::Off || is_managed || keeps
    }

    fn keeps_answers(&self) -> bool {
        let mut all = self.configurations.iter();
        all.any(|configuration| configuration.idempotency.store.is_some())
    }
}

/// The listener that applications call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Addresses without TLS; may be empty if there are listeners with TLS.
    pub listen: Vec<SocketAddr>,
    /// Listeners with TLS.
    pub tls: Option<Tls>,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Largest request body in bytes, after decompression.
    pub max_body: usize,
    /// Largest request head in bytes.
    pub max_headers: usize,
    /// Most requests under way at once; `None` is no limit.
    pub max_in_flight: Option<usize>,
    /// Most open client connections; `None` is no limit.
    pub max_connections: Option<usize>,
    /// Longest pause inside a request body.
    pub read_timeout: Duration,
    /// Longest idle time of a client's connection between requests.
    pub keepalive: Duration,
    /// How long running answers may go on after SIGTERM.
    pub drain: Duration,
    /// WebSocket connections; `None` is none.
    pub websocket: Option<WebSocket>,
    /// Which applications in browsers may call; `None` is none.
    pub cors: Option<Cors>,
}

/// WebSocket connections. Both are never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// How long one may be open without a turn.
    pub idle: Duration,
    /// How long one may be open.
    pub max_age: Duration,
}

/// Applications in browsers that may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Whether all may.
    pub any: bool,
    /// Their origins, as browsers write them.
    pub origins: Vec<String>,
    /// How long a browser may remember it.
    pub max_age: Duration,
}

/// Listeners with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Addresses; at least one.
    pub listen: Vec<SocketAddr>,
    /// What is shown to clients there.
    pub identity: Identity,
}

/// What a listener shows to its clients, and whom it lets in.
#[derive(Clone)]
pub struct Identity {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the authorities of clients; `None`: clients are not asked for certificates.
    pub client_ca: Option<PathBuf>,
    /// Made of what the files held when the configuration was loaded; offers HTTP/2 and HTTP/1.1.
    pub server: Arc<rustls::ServerConfig>,
    /// SHA-256 of all that makes the server.
    pub(super) digest: [u8; 32],
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        (&self.cert, self.digest) == (&other.cert, other.digest)
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("cert", &self.cert)
            .field("client_ca", &self.client_ca)
            .finish_non_exhaustive()
    }
}

/// Timeouts with nothing left open. All but the last two are never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start of an attempt to the first sign of life of its stream.
    pub per_request: Duration,
    /// From the start of an attempt to the end of an answer that is not streamed.
    pub whole_answer: Duration,
    /// From the request to the start of its last attempt.
    pub total: Duration,
    /// Silence inside a stream that has shown life.
    pub stream_idle: Duration,
    /// How long a streaming client waits for a status.
    pub hold: Duration,
    /// Silence before a keep-alive comment; zero is never.
    pub keepalive: Duration,
    /// Waiting for a candidate that has quota; zero is never.
    pub queue: Duration,
}

impl Timeouts {
    /// These, none longer than the other's.
    #[must_use]
    pub fn within(self, bounds: &Timeouts) -> Timeouts {
        Timeouts {
            per_request: self.per_request.min(bounds.per_request),
            whole_answer: self.whole_answer.min(bounds.whole_answer),
            total: self.total.min(bounds.total),
            stream_idle: self.stream_idle.min(bounds.stream_idle),
            hold: self.hold.min(bounds.hold),
            queue: self.queue.min(bounds.queue),
            ..self
        }
    }
}

/// Whether a candidate is tried again after a failure that passes. By default it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often the same model with the same key is tried again.
    pub same: u32,
    /// The longest wait that a provider may ask for.
    pub most: Duration,
}

impl Retry {
    /// Returns what a narrower scope says, and where it is silent this.
    #[must_use]
    pub fn with(self, own: &types::Retry) -> Retry {
        Retry {
            same: own.same.unwrap_or(self.same),
            most: own.most.map_or(self.most, Span::duration),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            same: 0,
            most: Duration::from_secs(3),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            per_request: Duration::from_secs(60),
            whole_answer: Duration::from_secs(600),
            total: Duration::from_secs(120),
            stream_idle: Duration::from_secs(60),
            hold: Duration::from_secs(10),
            keepalive: Duration::from_secs(15),
            queue: Duration::ZERO,
        }
    }
}

/// Where one JSON line a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// Appended to a file; a relative path is relative to the working directory.
    File(PathBuf),
}

/// Who owns keys and credits.
#[derive(Clone, Debug)]
pub struct Account {
    /// As it is written. Its id is unique, and not the house; at most 128 bytes, without `/`, braces and control
    /// characters, so that every bank and every store can keep it.
    pub spec: types::Account,
    /// Credits that it is given, once each; their ids are unique.
    pub grants: Vec<NewGrant>,
}

/// What an application sends, by its digest.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// As it is written; what it refers to exists.
    pub spec: types::AccessKey,
    /// SHA-256 of the whole token.
    pub digest: [u8; 32],
}

impl AccessKey {
    /// Returns the account it belongs to.
    pub fn account(&self) -> &str {
        self.spec.account.as_deref().unwrap_or(DEFAULT_ACCOUNT)
    }
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    #[test]
    fn what_is_bound_at_the_start_needs_a_restart() {
        let load = |yaml: &str| parse(yaml, &|_| None).unwrap();
        let old = load("proxy: { threads: 2 }");
        assert!(
            old.needs_restart(&load(
                "proxy: { threads: 2, max_body: 1MiB }\nfailover: false"
            ))
            .is_empty()
        );
        let waits = load("proxy: { threads: 2, drain: 2s, keepalive: 1s }");
        assert_eq!(
            old.needs_restart(&waits),
            ["proxy.keepalive (of HTTP/2)", "proxy.drain"]
        );
        let new =
            load("proxy: { threads: 3, listen: ['127.0.0.1:1'] }\ndemo: { listen: '127.0.0.1:2' }");
        assert_eq!(
            old.needs_restart(&new),
            ["proxy.listen", "proxy.threads", "demo.listen"]
        );
        let keys = "admin: { audit_retention: 1d, api_keys: [{ name: root, sha256: '1111111111111111111111111111111111111111111111111111111111111111' }] }\nproxy: { threads: 2 }";
        assert!(
            old.needs_restart(&load(keys)).is_empty(),
            "there is a store for them"
        );
        let off = "\nledger: { credits: off }";
        let without = load(&format!("proxy: {{ threads: 2 }}{off}"));
        let with = load(&format!("{keys}{off}"));
        assert_eq!(without.needs_restart(&with), ["admin.api_keys"]);
        assert!(with.needs_restart(&without).is_empty());
        let named = load("admin: { public_url: 'https://a' }\nproxy: { threads: 2 }");
        assert_eq!(old.needs_restart(&named), ["admin.public_url"]);
        let moved = load("admin: { listen: '127.0.0.1:1' }\nproxy: { threads: 2 }");
        assert_eq!(old.needs_restart(&moved), ["admin.listen"]);
    }
}
