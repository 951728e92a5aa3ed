//! Whether an answer is a stream or a document: by its first byte, whatever its head says of it.
//!
//! Providers send streams as `application/json`, documents as `text/event-stream`, and either where the other was asked
//! for. What is not of the form that the client reads is gathered, and becomes it.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use pingora_core::protocols::http::HttpTask;

use super::across::{Asked, Becomes, Gathered, Translator};
use super::answer::Answer;
use tollgate_wire::tokens::Tap;
use tollgate_wire::translate::Reply;
use tollgate_wire::{Endpoint, Surface};

/// An answer whose first byte has not come.
pub struct Unseen {
    /// The provider's surface.
    pub surface: Surface,
    /// Whether its head says that it is a stream.
    pub says_stream: bool,
    /// Whether the client reads a stream.
    pub streams: bool,
    /// Whether the usage chunk was asked for on the client's behalf.
    pub strip_usage: bool,
    /// Whether only the end of the connection ends the body.
    pub close_delimited: bool,
    /// What the way back needs, if the request crossed to another API.
    pub reply: Option<Box<Reply>>,
    /// The request in the client's own words.
    pub request: Bytes,
    /// In Unix time (s).
    pub created: u64,
    /// The longest document that is gathered, in bytes.
    pub most: usize,
    /// What has come.
    pub blank: BytesMut,
}

impl Unseen {
    /// Some of the body: what the answer is, as soon as it can be told, and the body so far. `None` beside a body is an
    /// answer that its client could not read.
    pub(super) fn push(&mut self, data: &[u8]) -> Option<(Option<Answer>, Bytes)> {
        self.blank.extend_from_slice(data);
        let text = self
            .blank
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.blank);
        let first = *text.trim_ascii_start().first()?;
        let is_stream = match first {
            b'{' | b'[' | b'"' => false,
            b'd' | b'e' | b'i' | b'r' | b':' => true,
            _ => self.says_stream,
        };
        Some(self.seen(is_stream))
    }

    /// The body has ended without a byte that says anything.
    pub(super) fn finish(&mut self) -> (Option<Answer>, Bytes) {
        self.seen(self.says_stream)
    }

    fn seen(&mut self, is_stream: bool) -> (Option<Answer>, Bytes) {
        let body = std::mem::take(&mut self.blank).freeze();
        (self.answer(is_stream), body)
    }

    fn answer(&mut self, is_stream: bool) -> Option<Answer> {
        let tap = match is_stream {
            true => Tap::stream(self.surface, self.strip_usage && self.streams),
            false => Tap::whole(Endpoint::Generate(self.surface)),
        };
        let reply = self.reply.take();
        Some(match (is_stream, self.streams, reply) {
            (true, true, reply) => Answer::Stream {
                tap,
                close_delimited: self.close_delimited,
                translator: reply.map(|reply| Box::new(Translator::new(&reply, self.created))),
            },
            (false, false, None) => Answer::Whole(tap),
            // No other API says the same.
            (_, _, None) if self.surface == Surface::Completions => return None,
            (is_stream, streams, reply) => {
                let asked = match reply {
                    Some(reply) => Asked::Across(reply),
                    None => Asked::Plain(self.surface, std::mem::take(&mut self.request)),
                };
                let becomes = Becomes {
                    asked,
                    is_stream,
                    streams,
                    created: self.created,
                };
                Answer::Gathered(Box::new(Gathered::answer(tap, becomes, self.most)))
            }
        })
    }
}

/// Makes the head that is held say of which form its body is.
pub(super) fn relabel(held: &mut [HttpTask], answer: &Answer) {
    let (is_right, right): (fn(&[u8]) -> bool, _) = match answer {
        Answer::Stream { .. } => (is_stream, "text/event-stream"),
        Answer::Whole(_) => (|kind| !is_stream(kind), "application/json"),
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

/// Whether a content type is that of a stream.
pub fn is_stream(content_type: &[u8]) -> bool {
    let kind = b"text/event-stream";
    content_type.len() >= kind.len() && content_type[..kind.len()].eq_ignore_ascii_case(kind)
}
