//! What is wrong with a body beyond its schema, all of it at once.

use std::collections::BTreeMap;

use crate::admin::error::ApiError;

/// The first faults, of which more is said than that they are: what else a client may mean is looked for among all that
/// there is.
const EXPLAINED: usize = 20;

/// The faults found so far, by field.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(BTreeMap<String, String>);

impl Faults {
    /// Notes a fault of a field (`router.rules.0.steps`); the first one of each field is kept. `what` is as in
    /// `must be …`, and repeats nothing that the client sent.
    pub(super) fn at(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.0.entry(field.into()).or_insert_with(|| what.into());
    }

    /// Notes what is wrong with members of a field, which are called as in the YAML.
    pub(super) fn members(&mut self, field: &str, wrong: Vec<(&'static str, String)>) {
        for (member, what) in wrong {
            self.at(format!("{field}.{}", camel(member)), what);
        }
    }

    /// Whether the next fault is one of the first.
    pub(super) fn explains(&self) -> bool {
        self.0.len() < EXPLAINED
    }

    /// The value, or `None` after its faults were noted.
    pub(super) fn take<T>(&mut self, checked: Result<T, ApiError>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(error) => {
                for (field, what) in error.into_details() {
                    self.at(field, what);
                }
                None
            }
        }
    }

    /// # Errors
    /// 422 if there is any fault.
    pub(super) fn none(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid_all(self.0))
        }
    }
}

/// A member's name as the API writes it.
pub(super) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut all = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        all.push_str(&first.to_ascii_uppercase());
        all.push_str(rest);
    }
    all
}
