//! The form that an answer's head says it has.

use http::{HeaderValue, header};
use pingora_core::protocols::http::HttpTask;

use super::answer::Answer;

/// Makes the head that is held say of which form its body is.
pub(super) fn relabel(held: &mut [HttpTask], answer: &Answer) {
    let (is_right, right): (fn(&[u8]) -> bool, _) = match answer {
        Answer::Stream { .. } => (is_stream, "text/event-stream"),
        Answer::Whole(_) => (is_json, "application/json"),
        // Its length is said at its end, and so is its form.
        Answer::Unseen(_) | Answer::Relay | Answer::Judged(_) | Answer::Gathered(_) => return,
    };
    for task in held {
        if let HttpTask::Header(head, _) = task {
            let said = head.headers.get(header::CONTENT_TYPE);
            if !said.is_some_and(|said| is_right(said.as_bytes())) {
                let right = HeaderValue::from_static(right);
                drop(head.insert_header(header::CONTENT_TYPE, right));
            }
        }
    }
}

/// Whether a content type is that of a document.
fn is_json(content_type: &[u8]) -> bool {
    content_type
        .to_ascii_lowercase()
        .windows(4)
        .any(|part| part == b"json")
}

/// Returns whether a content type is that of a stream.
pub fn is_stream(content_type: &[u8]) -> bool {
    let kind = b"text/event-stream";
    content_type.len() >= kind.len() && content_type[..kind.len()].eq_ignore_ascii_case(kind)
}
