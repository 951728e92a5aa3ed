//! Tokens: what providers report, and our own count where they do not. Pure.

pub mod count;
pub mod failure;
pub mod prompt;
pub mod settle;
pub mod tap;
pub mod usage;

pub use count::{Counter, Encoding, count};
pub use failure::StreamFailure;
pub use prompt::estimate_prompt;
pub use settle::Settled;
pub use tap::{Seen, Tap};
pub use usage::Usage;
