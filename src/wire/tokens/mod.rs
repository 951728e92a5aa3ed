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
mod observer;
mod prompt;
mod settle;

pub use count::{Counter, Encoding, count};
pub use media::beside_text;
pub use observer::{BYTES_PER_TOKEN, Observer, Seen};
pub use prompt::PromptCounter;
pub use settle::Settled;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
