//! The control plane: resources that are managed at run time, beside those that the YAML declares.
//!
//! ```text
//!   admin API ──► Control::change ──► Store::commit (the bank's)      every replica: Store::since
//!                      decides on a View of everything                      │
//!   YAML ─► declared ─┬─ Resources ◄────────────────────────────────────────┘
//!                     └─► merge ─► access::Snapshot, swapped whole
//! ```
//!
//! Each replica holds all resources in memory and serves from a snapshot made of them; the store being away changes
//! nothing about that. A change is decided on the newest revision and committed only if it still is the newest, so
//! that what a decision relied on (an id that is free, a resource that nobody refers to) still holds.
//!
//! Invariants: what the YAML declares is read-only here and wins over a stored resource with the same id; secrets
//! are in clear text in memory only.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

pub mod admin;
mod audit;
mod change;
mod declared;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod marks;
mod merge;
mod quota;
mod records;
mod replica;
mod reseal;
pub mod resource;
pub mod seals;
mod single_flight;
pub mod store;
mod tables;
#[cfg(test)]
mod tests;
mod used;
mod view;

pub use audit::{Action, Actor, Audited};
pub use change::ChangeError;
pub use replica::Control;
pub use reseal::{ResealError, Resealed};
pub use resource::Document;
pub use tables::{Resources, Table, Tabled};
pub use view::{Draft, Found, View};

pub use tollgate_config::DEFAULT_ACCOUNT;

/// Who created what the YAML declares.
pub(crate) const DECLARED: &str = "yaml";

/// Who calls the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The API key's id.
    pub id: String,
    /// Its name, for people.
    pub name: Option<String>,
    /// What it may do; `None`, which is nothing: a role that only a newer gateway knows.
    pub role: Option<tollgate_config::secrets::Role>,
    /// The one account it may act for; `None`: all.
    pub account: Option<std::sync::Arc<str>>,
}
