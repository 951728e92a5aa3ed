//! Every bank keeps the same contract: what `Bank` promises, and what the pure `Account` does.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

#[allow(dead_code, reason = "shared with the tests of the gateway")]
#[path = "../common/process.rs"]
mod process;

mod alerts;
mod claims;
mod commands;
mod contract;
mod memory;
mod plain;
mod redis;
mod sqlite;

contract::every_bank_holds_to_it!(one_by_one: on_plain, crate::plain::Plain);
contract::every_bank_holds_to_it!(one_by_one: on_sqlite, tempfile::TempDir);
contract::every_bank_holds_to_it!(part_by_part: on_redis, crate::redis::topologies::Single);
contract::every_bank_holds_to_it!(part_by_part: in_a_cluster, crate::redis::topologies::Cluster);
contract::every_bank_holds_to_it!(part_by_part: watched_by_sentinels, crate::redis::topologies::Sentinels);
