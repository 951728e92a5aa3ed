//! How a gateway is configured: YAML in, an always-valid [`Config`] out, and who may call what.
//!
//! From the ground up: [`secrets`] keeps credentials at rest and makes tokens; [`catalog`] says what a model id means;
//! the YAML is read, checked as a whole and laid over the catalog; [`access`] answers who is calling and what they
//! may call, from one snapshot that is swapped whole.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

pub mod access;
pub mod catalog;
pub mod feeds;
pub mod secrets;
mod yaml;

pub use yaml::*;

/// The account of everything that names none: the operator's own.
pub const DEFAULT_ACCOUNT: &str = "default";
