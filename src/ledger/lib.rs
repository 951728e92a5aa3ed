//! Money: prepaid credits, charged exactly once for each request, whatever dies.
//!
//! ```text
//!                admit: a hold ┌──────┐ exchange: numbered batches  ┌──────┐
//!   a request ────────────────►│ till │────────────────────────────►│ bank │
//!             settle: its cost └──┬───┘ allotments, limits              └──────┘
//!                                 ▼
//!                              journal (what a restart replays)
//! ```
//!
//! The [`bank`] is where money is durable: SQLite on one machine, Redis for a fleet. Each replica's till borrows
//! a *allotment* from it, so that admission is an operation in memory, and gives settled spending back in numbered
//! batches, which the bank applies once each. Whatever is promised or settled is in the replica's journal before
//! it has an effect outside, and a restarted replica replays it.
//!
//! Invariant, for every account and at every moment, to the nano-dollar:
//!
//! ```text
//! granted = spent + expired + free + Σ allotments          and an allotment = held + unspent + settled but not yet sent
//! ```

#![warn(unreachable_pub)]

pub mod bank;
pub mod cost;
pub mod estimate;
pub mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod journal;
pub mod money;
mod office;
mod padded;
pub mod tariff;
pub mod till;

pub use money::NanoUsd;
pub use office::Ledger;

/// What stands for every model that the catalog does not know, whose id is whatever a caller writes, in what is kept for
/// long: daily totals, estimates, labels.
pub const OTHER: &str = "other";

/// The account that pays what failed attempts cost on managed keys. Nobody else has it.
pub const HOUSE: &str = "house";

/// Who pays the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Bring-your-own: the provider bills the key's owner.
    User,
    /// The operator's: credits pay the model's price.
    Managed,
}
