//! What every room stands on: the clock, randomness, civil time, secrets that cannot be printed.

#![deny(unsafe_code)]
#![warn(unreachable_pub)]

pub mod clock;
mod cork;
mod credentials;
mod dumps;
pub mod id;
mod pace;
pub mod random;
mod redact;
mod secret;
pub mod time;

pub use cork::cork;
pub use credentials::without_credentials;
pub use dumps::forbid_core_dumps;
pub use pace::Pace;
pub use redact::redact;
pub use secret::Secret;
pub use time::Timestamp;
