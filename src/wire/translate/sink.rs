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

/// Hands an event's data to a reader, and once more with every key given once if serde stumbles over a
/// duplicate. What is no JSON is passed over: the tap on the provider's bytes has judged it already.
pub(super) fn object(data: &[u8], read: &mut dyn FnMut(&[u8]) -> serde_json::Result<()>) {
    let Err(fault) = read(data) else { return };
    if !fault.is_data() {
        return;
    }
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    // What it still stumbles over says nothing that is understood.
    drop(read(value.to_string().as_bytes()));
}
