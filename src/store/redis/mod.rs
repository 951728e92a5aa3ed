//! Redis 7 or newer, or Valkey; a single server, Sentinel or Cluster.
//!
//! ```text
//!   a call ──► the server that has its slot ──► a connection, made when needed
//!   client, scripts, keys     servers           link, server, tls
//! ```
//!
//! Invariants: every call ends within its timeout, whatever Redis does; after trouble it comes back by itself. Redis
//! copies to replicas behind the answer: what a fail-over loses is for the caller to find. While a Cluster moves a
//! slot key by key, no node runs scripts on its keys: they are away.

mod answer;
mod client;
mod described;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keys;
mod leases;
mod link;
mod news;
mod scripts;
mod server;
mod servers;
mod settings;
mod tls;
mod trouble;
mod url;

pub use answer::{EXACT, read, strange};
pub use client::Redis;
pub use keys::Keys;
pub use leases::{Lease, Leases};
pub use news::News;
pub use scripts::{Call, Script};
pub use settings::{Address, RedisSettings, Topology};
pub use url::RedisUrl;
