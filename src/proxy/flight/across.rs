//! Answers of another API than the client's, on their way back: streams event by event, documents whole.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use pingora_core::protocols::http::HttpTask;

use super::Masked;
use super::numbers::number;
use crate::proxy::aside::LARGE;
use tollgate_wire::Dialect;
use tollgate_wire::report::{StreamFailure, Usage};
use tollgate_wire::sse::Event;
use tollgate_wire::tokens::Tap;
use tollgate_wire::translate;
use tollgate_wire::translate::Reply;

/// Translates a stream. What leaves it is always whole events.
#[derive(Debug)]
pub struct Translator(translate::Stream);

impl Translator {
    /// A translation of the answer to a request that crossed; `created` is in Unix time (s).
    pub fn new(reply: &Reply, created: u64) -> Translator {
        Translator(translate::Stream::new(reply, created))
    }

    /// An event of the provider's; appends what it becomes.
    pub(super) fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        self.0.push(event, out);
    }

    /// The end of the provider's stream; appends the client's own end, if the answer was whole, and says whether
    /// it was.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        self.0.finish(out)
    }

    /// The number of the event that would be next, if the client's events have numbers.
    pub(super) fn next_number(self) -> Option<u64> {
        // Nobody but the translation knows; an end would begin with it.
        number(&self.cut(Usage::default()))
    }

    /// The events that end the client's stream where it stands, as at a token limit.
    pub fn cut(mut self, usage: Usage) -> Bytes {
        let mut out = Vec::new();
        self.0.cut(Some(usage), &mut out);
        out.into()
    }
}

/// A document that is gathered whole before it is translated.
pub struct Gathered {
    /// What it becomes.
    into: Into,
    body: BytesMut,
    /// Longest document, in bytes.
    most: usize,
    /// What a [`Translation`] made of it.
    translated: Option<Result<Bytes, NotAnAnswer>>,
}

/// The translation of a long document, which would keep other requests of its thread waiting.
pub struct Translation {
    reply: Box<Reply>,
    body: BytesMut,
    created: u64,
}

impl Translation {
    /// Does it.
    pub fn run(self) -> Result<Bytes, NotAnAnswer> {
        translated(&self.reply, &self.body, self.created)
    }
}

fn translated(reply: &Reply, body: &[u8], created: u64) -> Result<Bytes, NotAnAnswer> {
    let translated = translate::answer(reply, body, created);
    translated.map(Bytes::from).map_err(|_| NotAnAnswer)
}

/// What stands in the way of an end.
pub(super) enum Unfinished {
    /// It reports a failure, or is no answer at all.
    Failed(StreamFailure),
    /// It is long, and to be translated first.
    Long(Translation),
}

enum Into {
    /// An answer.
    Answer {
        tap: Box<Tap>,
        reply: Box<Reply>,
        created: u64,
    },
    /// An error, for this dialect and request, of this status, without the credential.
    Error(Dialect, Arc<str>, u16, Box<Masked>),
}

/// It is longer than it may be, or it is not what the provider's API answers with.
pub struct NotAnAnswer;

impl Gathered {
    /// The answer to a request that crossed; `created` is in Unix time (s), `most` in bytes.
    pub fn answer(tap: Tap, reply: Box<Reply>, created: u64, most: usize) -> Gathered {
        let into = Into::Answer {
            tap: Box::new(tap),
            reply,
            created,
        };
        Gathered {
            into,
            body: BytesMut::new(),
            most,
            translated: None,
        }
    }

    /// An error of a provider that speaks another dialect.
    pub fn error(
        dialect: Dialect,
        id: Arc<str>,
        status: u16,
        masked: Masked,
        most: usize,
    ) -> Gathered {
        Gathered {
            into: Into::Error(dialect, id, status, Box::new(masked)),
            body: BytesMut::new(),
            most,
            translated: None,
        }
    }

    pub(super) fn tap(&self) -> Option<&Tap> {
        match &self.into {
            Into::Answer { tap, .. } => Some(tap),
            Into::Error(..) => None,
        }
    }

    pub(super) fn into_tap(self) -> Option<Tap> {
        match self.into {
            Into::Answer { tap, .. } => Some(*tap),
            Into::Error(..) => None,
        }
    }

    /// Some more of it.
    pub(super) fn push(&mut self, data: Bytes) -> Result<(), NotAnAnswer> {
        if self.body.len() + data.len() > self.most {
            return match self.into {
                Into::Answer { .. } => Err(NotAnAnswer),
                // Whatever it says is too long to be read.
                Into::Error(..) => Ok(()),
            };
        }
        self.body.extend_from_slice(&data);
        if let Into::Answer { tap, .. } = &mut self.into {
            tap.feed(data);
        }
        Ok(())
    }

    /// What the translation that [`Gathered::finish`] asked for came to.
    pub(super) fn translated(&mut self, translated: Result<Bytes, NotAnAnswer>) {
        self.translated = Some(translated);
    }

    /// It is whole: what the client reads instead.
    pub(super) fn finish(&mut self) -> Result<Bytes, Unfinished> {
        let malformed = |_| Unfinished::Failed(StreamFailure::Malformed);
        if let Some(translated) = self.translated.take() {
            return translated.map_err(malformed);
        }
        let mut body = std::mem::take(&mut self.body);
        match &mut self.into {
            Into::Answer {
                tap,
                reply,
                created,
            } => {
                if let Some(failure) = tap.finish().failure {
                    return Err(Unfinished::Failed(failure));
                }
                if body.len() > LARGE {
                    return Err(Unfinished::Long(Translation {
                        reply: reply.clone(),
                        body,
                        created: *created,
                    }));
                }
                translated(reply, &body, *created).map_err(malformed)
            }
            Into::Error(dialect, id, status, masked) => {
                masked.whole(&mut body);
                Ok(translate::error(*dialect, *status, &body, id).into())
            }
        }
    }
}

/// Makes the head that is held say how long the body is that took the place of the provider's.
pub(super) fn announce(held: &mut [HttpTask], length: usize) {
    for task in held {
        if let HttpTask::Header(head, _) = task {
            head.remove_header(&header::TRANSFER_ENCODING);
            // A number is a header value.
            drop(head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(length)));
        }
    }
}
