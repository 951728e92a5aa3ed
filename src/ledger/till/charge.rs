//! What one attempt is charged for.

use std::sync::Arc;

use crate::NanoUsd;
use tollgate_wire::report::Usage;

/// What one attempt used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Who served it.
    pub provider: Arc<str>,
    /// The model, as the provider knows it.
    pub model: Arc<str>,
    /// Whether credits pay the model's price.
    pub managed: bool,
    /// The provider's status; 0 if there was none.
    pub status: u16,
    /// Whether `usage` is our own count.
    pub estimated: bool,
    /// Whether the attempt failed.
    pub failed: bool,
    /// Whether the request ended with it; the charges of earlier attempts count no request.
    pub last: bool,
    /// Whether its replica died, so that it is charged at its estimate.
    pub orphaned: bool,
    /// Tokens.
    pub usage: Usage,
    /// What it costs, at most [`NanoUsd::MOST`].
    pub cost: NanoUsd,
}
