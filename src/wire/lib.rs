//! What travels on the wire, read and written purely: no I/O, no clock, no Pingora.
//!
//! From the ground up: a [`Surface`] is one API shape; [`sse`] cuts streams into events, [`request`] reads bodies
//! once, `report` reads what providers say of usage and failures, and `payload` has the types of what they answer with.
//! On them stand [`tokens`], which observes answers and counts, and [`translate`], which carries requests and answers from one
//! API to another. [`mask`] takes credentials out of what leaves, [`headers`] says which headers cross, and [`coding`]
//! undoes what is compressed. [`error`], [`models`] and [`stop`] are what the gateway itself writes, [`websocket`] what
//! it says on one. [`tags`] tell apart what requests are for, [`capabilities`] and [`vendor`] say what is known of those who answer.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

pub mod capabilities;
pub mod coding;
pub mod error;
pub mod headers;
pub mod mask;
pub mod modality;
pub mod models;
mod payload;
pub mod reasoning;
pub mod report;
pub mod request;
mod skip;
pub mod sse;
pub mod stop;
mod surface;
pub mod tags;
pub mod tokens;
pub mod translate;
pub mod vendor;
pub mod websocket;
mod words;

pub use error::GatewayError;
pub use surface::{Dialect, Endpoint, Surface};
