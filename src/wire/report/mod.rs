//! What providers report inside their answers, read leniently: usage and failures.

mod chars;
mod context;
pub(crate) mod failure;
pub(crate) mod figures;
pub(crate) mod lenient;
pub(crate) mod meaning;
pub(crate) mod template;
mod usage;

pub(crate) use chars::floor_boundary;
pub use context::{Context, Dimension};
pub use failure::StreamFailure;
pub use usage::{Unit, Usage};
