//! The operations, one resource a file. Each file has `operations()`, its types and its handlers.

mod access_keys;
mod accounts;
mod api_keys;
mod audit_log;
mod catalog;
mod configurations;
mod cool_downs;
mod credits;
mod faults;
mod gateway_config;
mod grants;
mod known;
mod ledger;
mod limits;
mod money;
mod overview;
mod prices;
mod provider_keys;
mod providers;
mod resource;
mod transactions;
mod usage;

use super::operation::Operation;

/// Every operation, in the order of the document.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    all.extend(access_keys::operations());
    all.extend(configurations::operations());
    all.extend(provider_keys::operations());
    all.extend(providers::operations());
    all.extend(gateway_config::operations());
    all.extend(api_keys::operations());
    all.extend(credits::operations());
    all.extend(grants::operations());
    all.extend(usage::operations());
    all.extend(overview::operations());
    all.extend(accounts::operations());
    all.extend(ledger::operations());
    all.extend(cool_downs::operations());
    all.extend(audit_log::operations());
    all.extend(catalog::operations());
    all
}
