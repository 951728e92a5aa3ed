//! The admin API: resources that are managed at run time, and what becomes of requests when they change. Against
//! the real binary, over sockets, with the store of its SQLite bank.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

#[path = "admin/configurations.rs"]
mod configurations;
#[path = "admin/gateway_config.rs"]
mod gateway_config;
#[path = "bank_redis/process.rs"]
#[allow(dead_code, reason = "shared with the Redis bank's own tests")]
mod process;
#[path = "admin/provider_keys.rs"]
mod provider_keys;
#[path = "admin/providers.rs"]
mod providers;

#[path = "admin/accounts.rs"]
mod accounts;
#[path = "admin/audit.rs"]
mod audit;
#[path = "admin/help.rs"]
#[allow(dead_code, reason = "shared by all of these tests")]
mod help;
#[path = "admin/money.rs"]
mod money;
#[path = "admin/usage.rs"]
mod usage;
