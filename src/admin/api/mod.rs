//! The operations, one resource a file. Each file has `operations()`, its types and its handlers.

mod access_keys;
mod catalog;
mod configurations;
mod faults;
mod gateway_config;
mod known;
mod limits;
mod provider_keys;
mod providers;
mod resource;

use super::operation::Operation;

/// Every operation, in the order of the document.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    all.extend(access_keys::operations());
    all.extend(configurations::operations());
    all.extend(provider_keys::operations());
    all.extend(providers::operations());
    all.extend(gateway_config::operations());
    all.extend(catalog::operations());
    all
}
