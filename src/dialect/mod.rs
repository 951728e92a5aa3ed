//! What travels on the wire, read purely: no I/O, no Pingora.

pub mod sse;
pub mod surface;

pub use surface::{Dialect, Endpoint, Surface};
