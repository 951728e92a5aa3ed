//! Answers of another API than the client's, on their way back: streams event by event, documents whole.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use pingora_core::protocols::http::HttpTask;

use super::numbers::number;
use crate::proxy::aside::LARGE;
use tollgate_wire::report::{StreamFailure, Usage};
use tollgate_wire::sse::Event;
use tollgate_wire::tokens::Observer;
use tollgate_wire::translate;
use tollgate_wire::translate::Reply;
use tollgate_wire::{Dialect, Surface};

/// Translates a stream. What leaves it is always whole events.
#[derive(Debug)]
pub struct Translator(translate::Stream);

impl Translator {
    /// Returns a translation of the answer to a request that crossed; `created` is in Unix time (s).
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

    /// Returns the events that end the client's stream where it stands, as at a token limit.
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
    /// What it reports on the way, if it is a stream.
    failure: Option<StreamFailure>,
    /// What a [`Translation`] made of it.
    translated: Option<Result<Bytes, NotAnAnswer>>,
}

/// The translation of a long document, which would keep other requests of its thread waiting.
pub struct Translation {
    becomes: Box<Becomes>,
    body: BytesMut,
}

impl Translation {
    /// Does it.
    pub fn run(self) -> Result<Bytes, NotAnAnswer> {
        self.becomes.of(&self.body)
    }
}

/// What an answer becomes.
#[derive(Clone)]
pub struct Becomes {
    /// What is known of its request.
    pub asked: Asked,
    /// Whether it comes as a stream.
    pub is_stream: bool,
    /// Whether the client reads a stream.
    pub streams: bool,
    /// In Unix time (s).
    pub created: u64,
}

/// What is known of a request.
#[derive(Clone)]
pub enum Asked {
    /// It crossed to another API.
    Across(Box<Reply>),
    /// It reached its provider in the client's own words, on this surface.
    Plain(Surface, Bytes),
}

impl Becomes {
    fn of(&self, body: &[u8]) -> Result<Bytes, NotAnAnswer> {
        let plain;
        let reply = match &self.asked {
            Asked::Across(reply) => &**reply,
            Asked::Plain(surface, request) => {
                plain = translate::untranslated(*surface, request).map_err(|_| NotAnAnswer)?;
                &plain
            }
        };
        let translated = match (self.is_stream, self.streams) {
            (false, false) => translate::answer(reply, body, self.created),
            (true, false) => translate::answer_of_stream(reply, body, self.created),
            // A stream that stays one is never gathered.
            (_, true) => translate::stream_of_answer(reply, body, self.created),
        };
        translated.map(Bytes::from).map_err(|_| NotAnAnswer)
    }

    fn is_long(&self, body: &[u8]) -> bool {
        let request = match &self.asked {
            Asked::Across(_) => 0,
            Asked::Plain(_, request) => request.len(),
        };
        body.len().max(request) > LARGE
    }
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
    Answer(Box<Observer>, Box<Becomes>),
    /// An error, for this dialect and request, of this status.
    Error(Dialect, Arc<str>, u16),
}

/// It is longer than it may be, or it is not what the provider's API answers with.
pub struct NotAnAnswer;

impl Gathered {
    /// Returns an answer of at most `most` bytes that becomes another.
    pub fn answer(observer: Observer, becomes: Becomes, most: usize) -> Gathered {
        Gathered {
            into: Into::Answer(Box::new(observer), Box::new(becomes)),
            body: BytesMut::new(),
            most,
            failure: None,
            translated: None,
        }
    }

    /// Returns an error of a provider that speaks another dialect.
    pub fn error(dialect: Dialect, id: Arc<str>, status: u16, most: usize) -> Gathered {
        Gathered {
            into: Into::Error(dialect, id, status),
            body: BytesMut::new(),
            most,
            failure: None,
            translated: None,
        }
    }

    /// Its content type, as the client reads it.
    pub(super) fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self.is_events() {
            true => "text/event-stream",
            false => "application/json",
        })
    }

    /// Whether the client reads events of it.
    pub(super) fn is_events(&self) -> bool {
        matches!(&self.into, Into::Answer(_, becomes) if becomes.streams)
    }

    pub(super) fn observer(&self) -> Option<&Observer> {
        match &self.into {
            Into::Answer(observer, _) => Some(observer),
            Into::Error(..) => None,
        }
    }

    pub(super) fn into_observer(self) -> Option<Observer> {
        match self.into {
            Into::Answer(observer, _) => Some(*observer),
            Into::Error(..) => None,
        }
    }

    /// Some more of it.
    pub(super) fn push(&mut self, data: Bytes) -> Result<(), NotAnAnswer> {
        if self.body.len() + data.len() > self.most {
            return match self.into {
                Into::Answer(..) => Err(NotAnAnswer),
                // Whatever it says is too long to be read.
                Into::Error(..) => Ok(()),
            };
        }
        self.body.extend_from_slice(&data);
        if let Into::Answer(observer, _) = &mut self.into {
            let seen = observer.feed(data);
            self.failure = self.failure.take().or(seen.failure);
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
        let body = std::mem::take(&mut self.body);
        match &mut self.into {
            Into::Answer(observer, becomes) => {
                if let Some(failure) = self.failure.take().or(observer.finish().failure) {
                    return Err(Unfinished::Failed(failure));
                }
                if becomes.is_long(&body) {
                    let becomes = becomes.clone();
                    return Err(Unfinished::Long(Translation { becomes, body }));
                }
                becomes.of(&body).map_err(malformed)
            }
            Into::Error(dialect, id, status) => {
                Ok(translate::error(*dialect, *status, &body, id).into())
            }
        }
    }
}

/// Makes the head that is held say of what type and how long the body is that took the place of the provider's.
pub(super) fn announce(held: &mut [HttpTask], content_type: &HeaderValue, length: usize) {
    for task in held {
        if let HttpTask::Header(head, _) = task {
            head.remove_header(&header::TRANSFER_ENCODING);
            // A number is a header value.
            drop(head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(length)));
            drop(head.insert_header(header::CONTENT_TYPE, content_type));
        }
    }
}
