//! What travels on the wire, read purely: no I/O, no Pingora.

pub mod error;
pub mod models;
pub mod request;
pub(crate) mod skip;
pub mod sse;
pub mod stop;
pub mod surface;
pub mod translate;

pub use error::GatewayError;
pub use surface::{Dialect, Endpoint, Surface};
