//! A SQLite file, beside the gateway.
//!
//! One thread owns the connection. Calls that wait for it together are carried out in one transaction (group
//! commit), each by itself behind a savepoint; they are answered when that is committed.
//!
//! Durability: the write-ahead log with `synchronous=NORMAL`. The death of the process loses nothing; a power cut
//! can lose the last transactions, never the file's consistency. [`Synchronous::Full`] loses none of them, for an
//! fsync each.
//!
//! One gateway opens a database at a time and holds a lock on `<path>.lock`; commands work beside it, and so does a process
//! that takes over from it, to which it hands the lock: as replicas share a Redis. Time is
//! the process's ([`crate::Moment`]); the file says what it was last.

mod error;
mod open;
mod worker;

use std::time::Duration;

use crate::Access;

pub use open::{STATEMENTS, lock_path};
pub use worker::{At, Worker};

/// How [`Worker::open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who opens it.
    pub access: Access,
    /// The deadline of each call.
    pub timeout: Duration,
    /// What a commit waits for.
    pub synchronous: Synchronous,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The operating system has it: only a power cut can lose it.
    #[default]
    Normal,
    /// The disk has it.
    Full,
}
