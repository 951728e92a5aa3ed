//! What the gateway does when providers fail: every fault, over every wire, against the real binary.

mod after_commit;
mod client_gone;
mod exhausted;
mod matrix;
mod order;
mod soft_commit;
mod tolerated;
