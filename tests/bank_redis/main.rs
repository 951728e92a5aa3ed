//! The Redis bank against real servers: alone, in a Cluster, watched by sentinels, cut off, killed, failed over.
//!
//! Needs `redis-server` 7 or newer (or Valkey's, by the name in `TOLLGATE_TEST_REDIS`).

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

/// The suite that every bank keeps.
#[path = "../bank"]
mod bank {
    pub mod contract;
}

mod access;
mod chaos;
mod cluster;
mod cooldowns;
mod failover;
mod process;
mod proxy;
mod resources;
mod stored;
mod time;
mod topologies;

use bank::contract;

contract::every_bank_holds_to_it!(single, crate::topologies::Single);
contract::every_bank_holds_to_it!(in_a_cluster, crate::topologies::Cluster);
contract::every_bank_holds_to_it!(watched_by_sentinels, crate::topologies::Sentinels);
