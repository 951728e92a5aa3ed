//! The admin API: resources that are managed at run time, and what becomes of requests when they change. Against
//! the real binary, over sockets, with the store of its SQLite bank.

mod access_keys;
mod accounts;
mod audit;
mod budgets;
mod configurations;
mod console;
mod gateway_config;
pub mod help;
mod money;
mod plan;
mod provider_health;
mod provider_keys;
mod providers;
mod usage;
