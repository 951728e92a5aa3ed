//! What every decoder reads with, and where it puts what it reads.

use super::errors;
use super::neutral::Event;
use crate::report::failure;

/// Where a decoder puts what it reads.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&Event<'_>);

/// Tells the failure of an event that names itself an error, or that is none of its surface's own; says whether it is one.
pub(super) fn failed(name: &[u8], data: &[u8], sink: Sink<'_>) -> bool {
    let failure = match name {
        b"error" => Some(failure::of_body(500, data)),
        _ => failure::of_document(data),
    };
    let is_failure = failure.is_some();
    if let Some(failure) = failure {
        sink(&Event::Error(errors::of_stream(failure)));
    }
    is_failure
}
