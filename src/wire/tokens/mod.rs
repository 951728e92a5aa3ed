//! Tokens: what providers report, and our own count where they do not. Pure.

mod chat;
mod extract;
mod facts;
mod long;
mod messages;
mod responses;
mod stream;
mod strip;
mod whole;

mod count;
mod media;
mod prompt;
mod settle;
mod tap;

pub use count::{Counter, Encoding, count};
pub use media::beside_text;
pub use prompt::PromptCounter;
pub use settle::Settled;
pub use tap::{BYTES_PER_TOKEN, Seen, Tap};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
