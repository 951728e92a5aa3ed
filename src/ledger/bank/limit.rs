//! How much of what is counted may be used.

use super::Meter;

/// A limit: what is counted, and how much of it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted, within the caller's account.
    pub meter: Meter,
    /// How much may be used in a window, in units of the measure (nano-dollars for budgets); at least 1.
    pub most: i64,
}
