//! What the gateway does when providers fail: every fault, over every wire, against the real binary.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

#[path = "faults/after_commit.rs"]
mod after_commit;
#[path = "faults/client_gone.rs"]
mod client_gone;
#[path = "faults/exhausted.rs"]
mod exhausted;
#[path = "faults/matrix.rs"]
mod matrix;
#[path = "faults/order.rs"]
mod order;
#[path = "faults/soft_commit.rs"]
mod soft_commit;
#[path = "faults/tolerated.rs"]
mod tolerated;
