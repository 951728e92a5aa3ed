//! Tokens: what providers report, and our own count where they do not. Pure.

mod chars;
mod facts;
pub(crate) mod figures;
pub(crate) mod lenient;
mod messages;
mod openai;
mod responses;
mod stream;
mod template;
mod whole;

pub mod count;
pub mod failure;
pub mod prompt;
pub mod settle;
pub mod tap;
pub mod usage;

pub use count::{Counter, Encoding, count};
pub use failure::StreamFailure;
pub use prompt::PromptCounter;
pub use settle::Settled;
pub use tap::{Seen, Tap};
pub use usage::Usage;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
