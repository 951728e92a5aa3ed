//! The Redis bank against real servers: alone, in a Cluster, watched by sentinels, cut off, killed, failed over.
//!
//! Needs `redis-server` 7 or newer (or Valkey's, by the name in `TOLLGATE_TEST_REDIS`).

mod access;
mod chaos;
mod cluster;
mod cooldowns;
mod failover;
mod proxy;
mod resources;
mod stored;
mod time;
pub mod topologies;
