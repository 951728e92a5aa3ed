//! The operations, one resource a file. Each file has `operations()`, its types and its handlers.

mod access_keys;
mod catalog;
mod limits;
mod resource;

use super::operation::Operation;

/// Every operation, in the order of the document.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    all.extend(access_keys::operations());
    all.extend(catalog::operations());
    all
}
