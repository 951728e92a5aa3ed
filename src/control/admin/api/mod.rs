//! The operations, one resource a file. Each file has its types, and `operations()` with
//! their handlers or what [`managed::Managed`] asks of a kind that clients make.

mod access_keys;
mod accounts;
mod alerts;
mod api_keys;
mod audit_log;
mod budgets;
mod catalog;
mod configurations;
mod cool_downs;
mod credits;
mod crud;
mod faults;
mod fleet;
mod gateway_config;
mod grants;
mod known;
mod ledger;
mod limits;
mod managed;
mod money;
mod overview;
mod plan;
mod prices;
mod provider_health;
mod provider_keys;
mod providers;
mod resource;
mod transactions;
mod upgrade;
mod usage;
mod words;

use super::operation::Operation;
use crate::resource::{Account, ApiKey, Configuration, Provider, SharedBudget};

/// Every operation, in the order of the document.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    all.extend(access_keys::operations());
    all.extend(crud::operations::<Configuration>());
    all.extend(crud::operations::<SharedBudget>());
    all.extend(provider_keys::operations());
    all.extend(crud::operations::<Provider>());
    all.extend(provider_health::operations());
    all.extend(plan::operations());
    all.extend(gateway_config::operations());
    all.extend(crud::operations::<ApiKey>());
    all.extend(credits::operations());
    all.extend(grants::operations());
    all.extend(usage::operations());
    all.extend(overview::operations());
    all.extend(crud::operations::<Account>());
    all.extend(ledger::operations());
    all.extend(cool_downs::operations());
    all.extend(fleet::operations());
    all.extend(alerts::operations());
    all.extend(audit_log::operations());
    all.extend(catalog::operations());
    all.extend(upgrade::operations());
    all
}
