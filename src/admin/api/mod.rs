//! The operations, one resource a file. Each file has `operations()`, its types and its handlers.

mod catalog;

use super::operation::Operation;

/// Every operation, in the order of the document.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    all.extend(catalog::operations());
    all
}
