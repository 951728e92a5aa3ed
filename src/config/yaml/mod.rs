//! YAML in, an always-valid [`Config`] out.
//!
//! [`load`] reads a file and what it includes, and reports every fault at once, each with its file, line and
//! path. The way of a file: document (read, parsed, references resolved, shape checked), merged with
//! what it includes, deserialized, checked. Invariant: nobody outside this room ever sees a configuration that
//! is not valid as a whole.

mod by_text;
mod check;
mod demo;
mod document;
pub mod expiry;
pub mod fault;
pub(crate) mod feed;
pub mod foreign;
mod glob;
mod lineage;
mod lines;
mod load;
mod merge;
mod nearest;
mod overlay;
mod parse;
mod place;
mod reference;
mod scalar;
mod shape;
pub mod sources;
mod timeouts;
pub mod types;
pub mod units;
mod usd;
pub mod valid;
mod watch;

pub use check::is_private_name;
pub use demo::DEMO_PROVIDER;
pub use demo::MODELS as DEMO_MODELS;
pub use fault::{Fault, Faults};
pub use lineage::{DEEPEST, NoLineage, lineage};
pub use load::{admin_listener, load, parse};
pub use nearest::did_you_mean;
pub(crate) use overlay::OverlayFault;
pub use overlay::is_provider_id;
pub use parse::from_yaml;
pub use shape::schema;
pub(crate) use sources::Sources;
pub use timeouts::effective;
pub use types::{Credits, OtlpProtocol};
pub use valid::{
    AccessKey, AccessLog, Account, AlertChannel, AlertEmail, AlertWay, Alerts, ApiKey, BankChoice,
    Config, Cors, Identity, Keep, Ledger, Oidc, Origin, PriceFeed, PriceFeeds, Proxy,
    PushedMetrics, Receiver, Retry, Timeouts, Tls, Traces, WebSocket, WhenUnreachable,
};
pub use watch::{Environment, WatchedFiles, Watcher, reload_on_hangup};

/// Looks up a variable of this process's environment; one that is not Unicode counts as not set.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
