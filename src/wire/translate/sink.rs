//! What every decoder reads with, and where it puts what it reads.

use super::errors;
use super::neutral::Event;
use crate::report::failure;

/// Where a decoder puts what it reads.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&Event<'_>);

/// Returns whether an event is past the end of its answer, or is the error that ends it.
pub(super) fn is_over(ended: &mut bool, name: &[u8], data: &[u8], sink: Sink<'_>) -> bool {
    if !*ended && name == b"error" {
        *ended = failed(name, data, sink);
        return true;
    }
    *ended
}

/// Passes on the failure of an event that names itself an error, or that is none of its surface's own; returns whether
/// it is one.
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
