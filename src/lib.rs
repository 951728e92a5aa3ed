//! Tollgate, an AI gateway that anyone can run.
//!
//! # The walk of a request
//!
//! The folders are the walk; read them in this order.
//!
//! 1. [`config`] reads YAML into an always-valid [`config::Config`], and [`boot`] wires every room.
//! 2. [`access`] answers *who is calling and what may they call*: access keys and configurations in
//!    one immutable [`access::Snapshot`], swapped whole when something changes.
//! 3. [`catalog`] answers *what does this model id mean*: providers, models, limits, prices.
//! 4. [`failover`] decides, purely: the [`failover::plan()`] of candidates, what an outcome means, which
//!    keys cool down, when there is nothing left.
//! 5. [`dialect`] reads the wire, purely: request bodies, server-sent events, error bodies; and translates
//!    between the providers' APIs.
//! 6. [`tokens`] counts, purely: usage as providers report it, our own count where they do not.
//! 7. [`ledger`] keeps the money: a till that holds and settles, a journal that survives, a bank that knows.
//! 8. [`proxy`] acts at the edge: one Pingora hook a line, one phase a file.
//! 9. [`usage`] and [`metrics`] tell the operator what happened.
//! 10. [`admin`] is the operators' API, and [`control`] what it changes: keys, configurations and providers at run
//!     time, the same on every replica; [`secrets`] keeps credentials at rest.
//! 11. [`demo`] is a provider that lives on loopback and misbehaves on request.

pub use tollgate_base::{clock, random};
pub use tollgate_ledger as ledger;
pub use tollgate_wire as dialect;
pub use tollgate_wire::tokens;

pub mod access;
pub mod admin;
pub mod boot;
pub mod catalog;
pub mod config;
pub mod control;
pub mod demo;
pub mod failover;
pub mod metrics;
pub mod proxy;
pub mod secrets;
