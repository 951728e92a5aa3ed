//! Every bank keeps the same contract: what `Bank` promises, and what the pure `Account` does.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod commands;
mod contract;
mod plain;
mod shelf;
mod sqlite;

contract::every_bank_holds_to_it!(on_plain, crate::plain::Plain);
contract::every_bank_holds_to_it!(on_sqlite, tempfile::TempDir);
