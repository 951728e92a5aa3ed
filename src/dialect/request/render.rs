//! One candidate's body, spliced out of the client's.

use bytes::Bytes;

use super::RequestBody;

/// What one candidate needs changed. [`RequestBody::render`] removes `models` in any case.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// The model id that the provider knows.
    pub model: &'a str,
    /// Top-level members that the candidate refuses. `model` and `stream` are never removed.
    pub strip: &'a [&'a str],
    /// Lowers the request's token limits to this; never raises or adds one.
    pub max_output_tokens: Option<u64>,
    /// Asks for a usage chunk (`stream_options.include_usage`), where the surface has one and the request
    /// is a stream.
    pub include_usage: bool,
}

pub(super) fn render(body: &RequestBody, edit: &Edit<'_>) -> Bytes {
    body.bytes.clone()
}
