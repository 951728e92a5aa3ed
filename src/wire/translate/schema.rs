//! JSON Schemas that providers accept.

mod closed;
mod open;

pub(super) use closed::{Closed, closed};
pub(super) use open::{arguments, has_open_object, has_plain_properties, is_strict};
