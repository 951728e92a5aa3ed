//! The real binary, over sockets: what callers, providers and operators see of it.
//!
//! What needs a Redis needs `redis-server` 7 or newer (or Valkey's, by the name in `TOLLGATE_TEST_REDIS`).

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod alerts;
mod bad_input;
mod cli;
mod config;
mod crossing;
mod demo;
mod doctor;
mod faults;
mod feeds;
mod fleet;
mod fuzz_corpora;
#[path = "../guests/mod.rs"]
mod guests;
mod harness;
mod import;
mod launch;
mod ledger;
mod operations;
mod policy;
mod quota;
mod reconcile;
mod retries;
mod sessions;
mod websocket;
