//! What operators are alerted to: when, in which words, and once.
//!
//! ```text
//!   bank, snapshot ─► Money ─┐                              ┌─► claim ─► message ─► a channel (the program's I/O)
//!   breakers, the bank ──────┴─► Alert ─► AlertStore::raise ┤
//!                                                           └─► list (admin API, console, command line)
//! ```
//!
//! Every replica may raise an alert; [`AlertStore`] takes each once, by its name, until its period is over. Whoever claims a
//! delivery sends it; if it dies meanwhile, the claim ends and another one sends it, under the same id.
//!
//! Invariants: an alert holds ids and amounts, no credential and nothing of a body; what is raised twice in a period is one
//! alert; a delivery is marked as sent only by who claimed it last.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

mod alert;
mod message;
mod money;
mod spend;
mod store;
mod words;

pub use alert::{Alert, Raised};
pub use message::{Signed, mail, sign, slack, webhook};
pub use money::{Money, open_breaker, prices, unreachable};
pub use store::{AlertStore, Claim, Delivery, GIVE_UP, Outcome, State, Stored};
