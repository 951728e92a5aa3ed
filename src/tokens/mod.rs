//! Tokens: what providers report, and our own count where they do not. Pure.

pub mod usage;

pub use usage::Usage;
