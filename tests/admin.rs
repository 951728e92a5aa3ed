//! The admin API: resources that are managed at run time, and what becomes of requests when they change. Against
//! the real binary, over sockets, with the store of its SQLite bank.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

#[path = "admin/configurations.rs"]
mod configurations;
#[path = "admin/gateway_config.rs"]
mod gateway_config;
#[path = "admin/help.rs"]
mod help;
#[path = "admin/provider_keys.rs"]
mod provider_keys;
#[path = "admin/providers.rs"]
mod providers;
