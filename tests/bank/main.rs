//! Every bank keeps the same contract: what `Bank` promises, and what the pure `Account` does.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod contract;
mod plain;

contract::every_bank_holds_to_it!(on_plain, crate::plain::Plain);
