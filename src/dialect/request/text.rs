//! The prompt's text, for counting.

use super::RequestBody;

pub(super) fn prompt(body: &RequestBody, sink: &mut dyn FnMut(&str)) -> u64 {
    sink(std::str::from_utf8(&body.bytes).unwrap_or_default());
    0
}
