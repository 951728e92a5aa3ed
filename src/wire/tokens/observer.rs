//! Looks at one attempt's answer while its bytes pass.
//!
//! Invariant: the bytes forwarded are the bytes fed, in order, less the whole usage chunks that the
//! client had not asked for. What an observer knows does not depend on how the answer was cut into chunks.
//! With stripping on, forwarded bytes always end at an event boundary; otherwise nothing is ever
//! held back.
//!
//! Cost: each event is scanned for its end, and then compared with the one before (see
//! `template.rs`) or read by a JSON reader that builds nothing but the few fields looked at; the generated text is copied into one growing buffer, because a
//! stream can break at any time and is then settled by counting it. An event that is too long to be gathered passes at
//! once, and is looked at as it passes, as a whole answer is.

use bytes::Bytes;

use super::facts::{Facts, Read};
use super::long::Long;
use super::strip::Strip;
use super::whole::Document;
use super::{Encoding, stream};
use crate::report::template::Template;
use crate::report::{Context, StreamFailure, Usage};
use crate::sse::{Event, Parser};
use crate::{Endpoint, Surface};

/// Bytes of what cannot be counted that are taken for one token; of most texts, about.
pub const BYTES_PER_TOKEN: u64 = 4;

/// A chunk over so many bytes in which nothing is read is an image, or the like.
const LARGE: usize = 64 << 10;

/// Looks at one attempt's answer while its bytes pass.
#[derive(Debug)]
pub struct Observer {
    kind: Kind,
    facts: Facts,
    /// A failure came before any content: what follows is no content.
    failed: bool,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a stream's is looked at for each event, and there is one for each request"
)]
enum Kind {
    Stream {
        surface: Surface,
        parser: Parser,
        template: Template,
        strip: Option<Strip>,
        /// The event being read, if it is too long to be gathered.
        long: Option<Box<Long>>,
    },
    Whole(Document),
}

/// What one chunk showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The bytes to forward, possibly none: the bytes fed, unless a usage chunk is cut out or the
    /// tail of an unfinished event is held back.
    pub out: Bytes,
    /// Whether content was seen at any time so far, before any failure: the attempt may commit.
    pub content: bool,
    /// The first failure among the events this chunk completed. [`Seen::content`] says whether
    /// content came before it.
    pub failure: Option<StreamFailure>,
    /// An event, or a part of one, was longer than [`crate::sse::MAX_EVENT`], and was not handed on to `each`.
    pub too_long: bool,
    /// How many such events this chunk completed.
    pub too_long_ended: usize,
}

impl Observer {
    /// Returns an observer for a `text/event-stream` answer. `strip_usage_chunk` cuts out the chunk that a chat
    /// or text completion sends because of `stream_options.include_usage`; other surfaces ignore it.
    pub fn stream(surface: Surface, strip_usage_chunk: bool) -> Observer {
        Observer::of(surface, strip_usage_chunk, Parser::new())
    }

    /// The same, with a parser of its own.
    pub(super) fn of(surface: Surface, strip_usage_chunk: bool, parser: Parser) -> Observer {
        let strips =
            strip_usage_chunk && matches!(surface, Surface::ChatCompletions | Surface::Completions);
        let strip = strips.then(Strip::default);
        Observer::new(Kind::Stream {
            surface,
            parser,
            template: Template::default(),
            strip,
            long: None,
        })
    }

    /// Returns an observer for an answer that is one JSON document.
    pub fn whole(endpoint: Endpoint) -> Observer {
        Observer::new(Kind::Whole(Document::new(endpoint)))
    }

    fn new(kind: Kind) -> Observer {
        Observer {
            kind,
            facts: Facts::default(),
            failed: false,
        }
    }

    /// Looks at the next bytes of the (uncompressed) answer.
    pub fn feed(&mut self, chunk: Bytes) -> Seen {
        self.feed_each(chunk, |_| {})
    }

    /// Returns the same, and hands each event on to `each`, up to and including the first that fails.
    pub fn feed_each(&mut self, chunk: Bytes, mut each: impl FnMut(&Event<'_>)) -> Seen {
        let facts = &mut self.facts;
        let Kind::Stream {
            surface,
            parser,
            template,
            strip,
            long,
        } = &mut self.kind
        else {
            if let Kind::Whole(document) = &mut self.kind {
                document.push(&chunk);
            }
            return Seen {
                out: chunk,
                ..Seen::default()
            };
        };
        let mut look = Look {
            surface: *surface,
            template,
            failed: &mut self.failed,
            failure: None,
        };
        let mut cuts = Vec::new();
        let (mut too_long, mut too_long_ended) = (false, 0);
        let mut events = parser.feed(&chunk);
        while let Some(event) = events.next() {
            match event {
                Ok(event) => {
                    if look.failure.is_none() {
                        each(&event);
                    }
                    if look.at(event.name, event.data, facts) && strip.is_some() {
                        cuts.push((event.start, event.end));
                    }
                }
                Err(part) => {
                    too_long = true;
                    let event = long.get_or_insert_default();
                    event.push(part.bytes);
                    if part.last {
                        too_long_ended += 1;
                        look.at_long(long.take(), facts);
                    }
                }
            }
        }
        drop(events);
        let failure = look.failure;
        let out = match strip {
            None => chunk,
            Some(strip) => {
                let all = parser.in_long().then_some(chunk.len());
                strip.pass(chunk, all.or(parser.boundary()), &cuts)
            }
        };
        Seen {
            out,
            content: facts.content && !self.failed,
            failure,
            too_long,
            too_long_ended,
        }
    }

    /// The answer has ended: yields what was held back, and what its last, unterminated event showed.
    /// A whole answer is judged here: `content` if it is a good one, else `failure`.
    pub fn finish(&mut self) -> Seen {
        self.finish_each(|_| {})
    }

    /// Returns the same, and hands a last, unterminated event on to `each`.
    pub fn finish_each(&mut self, mut each: impl FnMut(&Event<'_>)) -> Seen {
        let facts = &mut self.facts;
        match &mut self.kind {
            Kind::Whole(document) => {
                let failure = document.finish(facts);
                Seen {
                    content: facts.content,
                    failure,
                    ..Seen::default()
                }
            }
            Kind::Stream {
                surface,
                parser,
                template,
                strip,
                long,
            } => {
                let mut look = Look {
                    surface: *surface,
                    template,
                    failed: &mut self.failed,
                    failure: None,
                };
                let too_long_ended = usize::from(long.is_some());
                look.at_long(long.take(), facts);
                let cut = parser.finish().is_some_and(|event| {
                    each(&event);
                    look.at(event.name, event.data, facts)
                });
                let failure = look.failure;
                let out = match strip.take() {
                    Some(strip) if !cut => strip.rest(),
                    _ => Bytes::new(),
                };
                Seen {
                    out,
                    content: facts.content && !self.failed,
                    failure,
                    too_long: too_long_ended > 0,
                    too_long_ended,
                }
            }
        }
    }

    /// The answer broke off, and nobody waits for the rest of it: what it has said so far counts.
    pub fn break_off(&mut self) {
        match &mut self.kind {
            Kind::Whole(document) => drop(document.finish(&mut self.facts)),
            Kind::Stream { surface, long, .. } => {
                if let Some(long) = long.take() {
                    long.finish(*surface, &mut self.facts);
                }
            }
        }
    }

    /// Returns whether an SSE comment may be written after the bytes forwarded so far.
    pub fn at_boundary(&self) -> bool {
        match &self.kind {
            Kind::Stream {
                strip: Some(_),
                parser,
                ..
            } => !parser.in_long(),
            Kind::Stream { parser, .. } => parser.at_boundary(),
            Kind::Whole(_) => false,
        }
    }

    /// Returns whether the protocol's own end has been seen: `[DONE]`, `message_stop`, `response.completed`,
    /// `.incomplete` or `.failed`; for a whole answer, that it parsed.
    pub fn complete(&self) -> bool {
        self.facts.complete
    }

    /// Returns whether a clean end of the body here is a whole answer: [`Observer::complete`], or a chat or text
    /// completion whose finish reason was seen (some providers send no `[DONE]`).
    pub fn may_end(&self) -> bool {
        let by_reason = matches!(
            self.kind,
            Kind::Stream {
                surface: Surface::ChatCompletions | Surface::Completions,
                ..
            }
        );
        self.facts.complete || (by_reason && self.facts.finish_reason.is_some())
    }

    /// Returns what the provider reported so far. Before [`Observer::usage_final`] the output may be short.
    pub fn usage(&self) -> Option<Usage> {
        self.facts.reported().map(|report| report.usage)
    }

    /// Returns whether [`Observer::usage`] is about the whole answer (Anthropic reports the prompt first, and the
    /// output only at the end).
    pub fn usage_final(&self) -> bool {
        self.facts.usage_final()
    }

    /// Returns what was not standard about how the answer was served, as far as it says.
    pub fn served(&self) -> &Context {
        &self.facts.served
    }

    /// Returns how often the model ran for the answer, at least once.
    pub fn passes(&self) -> u64 {
        self.facts.passes()
    }

    /// Returns the model that the answer names, at most 256 bytes of it.
    pub fn model(&self) -> Option<&str> {
        self.facts.model.as_deref()
    }

    /// Returns the answer's id, at most 256 bytes of it.
    pub fn id(&self) -> Option<&str> {
        self.facts.id.as_deref()
    }

    /// Returns the content block of a message that has begun and has not ended.
    pub fn open_block(&self) -> Option<u64> {
        self.facts.open_block
    }

    /// Returns what was generated so far, in bytes, text or not; about. Of a whole answer only when it reports no
    /// usage.
    pub fn output_bytes(&self) -> u64 {
        self.facts.text.len().saturating_add(self.facts.unread)
    }

    /// Returns whether something was generated that is neither reported nor can be counted: an image, JSON that is too
    /// deep to be looked into, a form that is not known. It counts as a token for each [`BYTES_PER_TOKEN`] bytes.
    pub fn blind(&self) -> bool {
        self.facts.unread > 0 && !self.facts.usage_final()
    }

    /// Returns why the answer ended, in the provider's words (`stop`, `end_turn`, `completed`).
    pub fn finish_reason(&self) -> Option<&str> {
        self.facts.finish_reason.as_deref()
    }

    /// Returns the text generated so far, for counting: text, reasoning, refusals, names and arguments of
    /// tool calls, in the order they came; at most 1 MiB. Of a whole answer only when it reports no
    /// usage.
    pub fn output_text(&self) -> &str {
        self.facts.text.as_str()
    }

    /// Tokens of the answer: what was reported, and our own count of what came after it. What [`Observer::output_text`] could
    /// not keep is taken to have as many tokens per byte as what it kept; what cannot be counted, one for each
    /// [`BYTES_PER_TOKEN`] bytes.
    pub(crate) fn count_output(&self, encoding: Encoding) -> u64 {
        let text = &self.facts.text;
        let counted = |kept: &str, bytes: u64, unread: u64| {
            let tokens = encoding.count(kept);
            let beyond = bytes.saturating_sub(kept.len() as u64);
            let more = match kept.len() as u128 {
                0 => u128::from(beyond / BYTES_PER_TOKEN),
                kept => u128::from(beyond) * u128::from(tokens) / kept,
            };
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            let unread = unread.div_ceil(BYTES_PER_TOKEN);
            tokens.saturating_add(more).saturating_add(unread)
        };
        let unread = self.facts.unread;
        let all = || counted(text.as_str(), text.len(), unread);
        match self.facts.reported() {
            None => all(),
            // A figure with which an answer begins says nothing of the rest, and a figure of nothing says nothing.
            Some(report) if report.text == 0 || report.usage.output() == 0 => {
                report.usage.output().max(all())
            }
            Some(report) => {
                let after = counted(
                    text.after(report.text),
                    text.len() - report.text,
                    unread.saturating_sub(report.unread),
                );
                report.usage.output().saturating_add(after)
            }
        }
    }

    /// `usage`, with the tools that the answer shows.
    pub(crate) fn with_tools(&self, usage: Usage) -> Usage {
        self.facts.with_tools(usage)
    }
}

/// Looks at events until the chunk is done.
struct Look<'a> {
    surface: Surface,
    template: &'a mut Template,
    failed: &'a mut bool,
    failure: Option<StreamFailure>,
}

impl Look<'_> {
    /// Reads one event; whether it is there for its usage only.
    fn at(&mut self, name: &[u8], data: &[u8], facts: &mut Facts) -> bool {
        let before = facts.found();
        let read = stream::read(self.surface, name, data, self.template, facts);
        let chunk = matches!(
            self.surface,
            Surface::ChatCompletions | Surface::Completions
        );
        if data.len() > LARGE && chunk && facts.found() == before {
            facts.unread = facts.unread.saturating_add(data.len() as u64);
        }
        self.fail(read.failure, facts);
        read.usage_only
    }

    /// Reads one that was too long to be gathered.
    fn at_long(&mut self, event: Option<Box<Long>>, facts: &mut Facts) {
        let read = event.map_or_else(Read::default, |event| event.finish(self.surface, facts));
        self.fail(read.failure, facts);
    }

    fn fail(&mut self, failure: Option<StreamFailure>, facts: &Facts) {
        if failure.is_some() {
            *self.failed |= !facts.content;
            self.failure = self.failure.take().or(failure);
        }
    }
}
