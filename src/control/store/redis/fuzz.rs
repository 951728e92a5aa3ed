//! What must hold for whatever servers answer.

use redis::Value;

use super::wire::{Changes, Pages, entries};

/// Changes, pages of resources and entries of the audit log are read, or refused.
pub fn answer(value: &Value) {
    drop(Changes::read(value.clone()));
    drop(entries(value.clone()));
    let mut pages = Pages::default();
    if let Ok(records) = pages.read(value.clone()) {
        assert!(records.iter().all(|record| record.body.is_some()));
        assert_ne!(pages.next(), Some("0"), "it ends there");
    }
}
