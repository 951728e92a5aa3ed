//! How much of what is counted may be used.

use std::sync::Arc;

use super::Meter;

/// A limit: what is counted, and how much of it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted, within the caller's account.
    pub meter: Meter,
    /// How much may be used in a window, in units of the measure (nano-dollars for budgets); at least 1.
    pub most: i64,
    /// The meter's name: every request that it holds for is journalled with it.
    name: Arc<str>,
}

impl Limit {
    /// Returns the limit of a meter.
    pub fn new(meter: Meter, most: i64) -> Limit {
        Limit {
            name: meter.to_string().into(),
            meter,
            most,
        }
    }

    /// Returns its meter's name, as banks and journals have it.
    pub fn name(&self) -> &str {
        &self.name
    }
}
