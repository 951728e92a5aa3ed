//! What operators rely on: how the process stops and reloads, what bounds it, what it listens on, what it
//! tells, how it treats its connections. Against the real binary.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

#[path = "operations/access_log.rs"]
mod access_log;
#[path = "operations/admin.rs"]
mod admin;
#[path = "operations/bodies.rs"]
mod bodies;
#[path = "operations/framing.rs"]
mod framing;
#[path = "operations/help.rs"]
mod help;
#[path = "operations/listeners.rs"]
mod listeners;
#[path = "operations/reload.rs"]
mod reload;
#[path = "operations/slow.rs"]
mod slow;
#[path = "operations/stop.rs"]
mod stop;
#[path = "operations/upstream.rs"]
mod upstream;
