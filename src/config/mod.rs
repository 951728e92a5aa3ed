//! YAML in, an always-valid `Config` out.

pub mod secret;
pub mod types;
pub mod units;

pub use secret::Secret;
