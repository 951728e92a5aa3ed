//! How the body of an answer is looked at, piece by piece and at its end: each kind of answer in its own way.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::across::{Asked as For, Becomes, Unfinished};
use super::numbers::Numbers;
use super::{Fault, Gathered, Stop, Translator};
use tollgate_config::catalog::{ErrorCause, Provider};
use tollgate_failover::cause::{Asked, LONGEST};
use tollgate_failover::{Outcome, ProviderError};
use tollgate_wire::report::StreamFailure;
use tollgate_wire::tokens::{Observer, Seen};
use tollgate_wire::translate::Reply;
use tollgate_wire::{Endpoint, Surface};

/// Blanks before an answer's first byte, in bytes: what keeps a connection alive is far less.
const LONGEST_BLANK: usize = 64 << 10;

/// Looks at an answer's body, each kind in its own way.
pub enum Answer {
    /// Nothing of it has come, so nobody knows which of the others it is.
    Unseen(Box<Unseen>),
    /// Server-sent events: commits at the first content.
    Stream {
        /// Looks at the events.
        observer: Observer,
        /// Whether only the end of the connection ends the body, so that a cut looks like an end.
        close_delimited: bool,
        /// Puts the events into the client's words, if it does not speak the provider's.
        translator: Option<Box<Translator>>,
    },
    /// A JSON document: commits when it is whole, or longer than [`HOLD_BYTES`](super::HOLD_BYTES).
    Whole(Observer),
    /// An error that will be relayed as it is: commits when it is whole.
    Relay,
    /// An error that is read first, and then relayed or not.
    Judged(Box<Judged>),
    /// A document or an error that the client gets in its own words: commits when it is whole, however long.
    Gathered(Box<Gathered>),
}

impl Answer {
    /// What looks at it, unless it is an error.
    pub(super) fn observer(&self) -> Option<&Observer> {
        match self {
            Answer::Stream { observer, .. } | Answer::Whole(observer) => Some(observer),
            Answer::Gathered(gathered) => gathered.observer(),
            Answer::Unseen(_) | Answer::Relay | Answer::Judged(_) => None,
        }
    }

    /// Returns whether the client gets it in other words than the provider's.
    pub fn is_reworded(&self) -> bool {
        match self {
            Answer::Gathered(_) => true,
            Answer::Judged(judged) => judged.is_reworded(),
            _ => false,
        }
    }

    /// Whether what leaves of it are events.
    pub(super) fn is_events(&self) -> bool {
        match self {
            Answer::Stream { .. } => true,
            Answer::Gathered(gathered) => gathered.is_events(),
            Answer::Unseen(_) | Answer::Whole(_) | Answer::Relay | Answer::Judged(_) => false,
        }
    }

    /// What has looked at it, and what has translated its events.
    pub(super) fn into_parts(self) -> (Option<Observer>, Option<Box<Translator>>) {
        match self {
            Answer::Stream {
                observer,
                translator,
                ..
            } => (Some(observer), translator),
            Answer::Whole(observer) => (Some(observer), None),
            Answer::Gathered(gathered) => (gathered.into_observer(), None),
            Answer::Unseen(_) | Answer::Relay | Answer::Judged(_) => (None, None),
        }
    }

    /// A piece: what of it is for the client. A failure that is reported and does not stop it comes after content, where
    /// the client reads of it; unless a stream leaves only as a whole. `numbers` counts the events that pass untouched.
    pub(super) fn push(
        &mut self,
        data: Bytes,
        committed: bool,
        whole: bool,
        numbers: &mut Numbers,
    ) -> Result<Seen, Stop> {
        let withheld = whole && !committed;
        match self {
            Answer::Stream {
                observer,
                translator,
                ..
            } => {
                let seen = stream(
                    observer,
                    translator.as_deref_mut(),
                    data,
                    committed,
                    numbers,
                )?;
                match &seen.failure {
                    Some(failure) if withheld => Err(failed(failure.clone())),
                    _ => Ok(seen),
                }
            }
            Answer::Whole(observer) => Ok(observer.feed(data)),
            Answer::Gathered(gathered) => match gathered.push(data) {
                Ok(()) => Ok(untouched(Bytes::new())),
                Err(_) => Err(failed(StreamFailure::Malformed)),
            },
            Answer::Relay => Ok(untouched(data)),
            // It is seen, or judged, before anything is made of it.
            Answer::Unseen(_) | Answer::Judged(_) => Ok(untouched(Bytes::new())),
        }
    }

    /// The end: what is left for the client. `has_failed` is whether the provider has said that it failed, `whole`
    /// whether a stream leaves only if its protocol has come to its end.
    pub(super) fn finish(
        &mut self,
        committed: bool,
        has_failed: bool,
        whole: bool,
    ) -> Result<Bytes, Stop> {
        match self {
            Answer::Stream {
                observer,
                close_delimited,
                translator,
            } => {
                let may_be_cut = *close_delimited || (whole && !committed);
                let translator = translator.as_deref_mut();
                end_of_stream(observer, translator, may_be_cut, committed, has_failed)
            }
            Answer::Whole(observer) => {
                let seen = observer.finish();
                match seen.failure {
                    Some(failure) if !committed => Err(failed(failure)),
                    // Where only the end of the connection ends it, a cut is seen by this alone.
                    Some(StreamFailure::Malformed) => Err(Stop::Fault(Fault::Truncated)),
                    _ => Ok(seen.out),
                }
            }
            Answer::Gathered(gathered) => {
                gathered.finish().map_err(|unfinished| match unfinished {
                    Unfinished::Failed(failure) => failed(failure),
                    Unfinished::Long(translation) => Stop::Translate(translation),
                })
            }
            Answer::Unseen(_) | Answer::Relay | Answer::Judged(_) => Ok(Bytes::new()),
        }
    }
}

/// An answer whose first byte has not come. Providers send streams as `application/json`, documents as
/// `text/event-stream`, and either where the other was asked for. What is not of the form that the client reads is
/// gathered, and becomes it.
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
    /// Some of the body: what the answer is, as soon as that is known, and the body so far. `None` beside a body is an
    /// answer that its client could not read.
    pub(super) fn push(&mut self, data: &[u8]) -> Option<(Option<Answer>, Bytes)> {
        let looked_at = self.blank.len();
        self.blank.extend_from_slice(data);
        let text = match looked_at {
            // A byte order mark may stand here, or come.
            0..3 => (self.blank.strip_prefix(b"\xef\xbb\xbf")).unwrap_or(&self.blank),
            _ => &self.blank[looked_at..],
        };
        let first = text.trim_ascii_start().first().copied();
        if first.is_none() && self.blank.len() > LONGEST_BLANK {
            return Some((None, Bytes::new()));
        }
        let first = first?;
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
        let observer = match is_stream {
            true => Observer::stream(self.surface, self.strip_usage && self.streams),
            false => Observer::whole(Endpoint::Generate(self.surface)),
        };
        let reply = self.reply.take();
        Some(match (is_stream, self.streams, reply) {
            (true, true, reply) => Answer::Stream {
                observer,
                close_delimited: self.close_delimited,
                translator: reply.map(|reply| Box::new(Translator::new(&reply, self.created))),
            },
            (false, false, None) => Answer::Whole(observer),
            // No other API says the same.
            (_, _, None) if self.surface == Surface::Completions => return None,
            (is_stream, streams, reply) => {
                let asked = match reply {
                    Some(reply) => For::Across(reply),
                    None => For::Plain(self.surface, std::mem::take(&mut self.request)),
                };
                let becomes = Becomes {
                    asked,
                    is_stream,
                    streams,
                    created: self.created,
                };
                Answer::Gathered(Box::new(Gathered::answer(observer, becomes, self.most)))
            }
        })
    }
}

/// An error that is read before it is judged. What happens then is known beforehand, for whatever its body may say: it is
/// relayed, or the attempt fails.
pub struct Judged {
    /// What it means if its body says nothing.
    pub outcome: Outcome,
    /// Whether it is relayed.
    pub relays: Relays,
    /// How it is relayed.
    pub relay: Box<Answer>,
    /// Who answered it.
    pub provider: Arc<Provider>,
    /// Which model was asked, as the provider knows it.
    pub model: Arc<str>,
    /// What was asked.
    pub asked: Bytes,
    /// What has come of it.
    pub body: BytesMut,
}

/// Whether an error is relayed, by what it is found to mean.
#[derive(Clone, Copy, Debug)]
pub struct Relays {
    /// What its status says.
    pub plain: bool,
    /// That a key is at fault.
    pub keys: bool,
    /// That a content filter refused the request.
    pub filter: bool,
}

impl Judged {
    /// How it is relayed if it is relayed at all: in other words than the provider's?
    pub fn is_reworded(&self) -> bool {
        matches!(*self.relay, Answer::Gathered(_))
    }

    /// Some more of it; whether that is enough.
    pub(super) fn push(&mut self, data: &[u8]) -> bool {
        self.body.extend_from_slice(data);
        self.body.len() > LONGEST
    }

    /// What it means; whether it is relayed.
    pub(super) fn conclude(&self) -> (Outcome, bool) {
        let status = self.outcome.status().unwrap_or_default();
        let told = ProviderError::read(&self.body[..self.body.len().min(LONGEST)]);
        let asked = Asked {
            model: &self.model,
            body: &self.asked,
        };
        let cause = told.cause(status, &self.provider.error_rules, asked);
        let outcome = self.outcome.clone().because(cause);
        let relays = match cause {
            None | Some(ErrorCause::Request) => self.relays.plain,
            Some(ErrorCause::Filter) => self.relays.filter,
            Some(_) => self.relays.keys,
        };
        (outcome, relays)
    }
}

/// Some events.
fn stream(
    observer: &mut Observer,
    translator: Option<&mut Translator>,
    data: Bytes,
    committed: bool,
    numbers: &mut Numbers,
) -> Result<Seen, Stop> {
    let translates = translator.is_some();
    let mut translated = Vec::new();
    let mut seen = match translator {
        Some(translator) => {
            observer.feed_each(data, |event| translator.push(event, &mut translated))
        }
        None => observer.feed_each(data, |event| numbers.note(event.data)),
    };
    for _ in 0..seen.too_long_ended {
        numbers.note(b"");
    }
    // What was not handed on cannot be put into other words.
    if translates && seen.too_long {
        return Err(failed(StreamFailure::Malformed));
    }
    if let Some(failure) = &seen.failure {
        // Nothing can be made of what is malformed.
        let has_no_words = translates && *failure == StreamFailure::Malformed;
        if has_no_words || (!committed && !seen.content) {
            return Err(failed(failure.clone()));
        }
    }
    if translates {
        seen.out = translated.into();
    }
    Ok(seen)
}

/// The end of the events. `may_be_cut` is whether a cut would look the same.
fn end_of_stream(
    observer: &mut Observer,
    mut translator: Option<&mut Translator>,
    may_be_cut: bool,
    committed: bool,
    has_failed: bool,
) -> Result<Bytes, Stop> {
    let mut said = Vec::new();
    let seen = match &mut translator {
        Some(translator) => observer.finish_each(|event| translator.push(event, &mut said)),
        None => observer.finish(),
    };
    // A provider that said that it failed has been heard, and has nothing to add.
    let has_failed = has_failed || seen.failure.is_some();
    if !committed {
        if let Some(failure) = seen.failure {
            return Err(failed(failure));
        }
        if !seen.content && !observer.may_end() {
            return Err(Stop::Fault(Fault::Empty));
        }
    }
    if may_be_cut && !observer.may_end() {
        return Err(Stop::Fault(Fault::Truncated));
    }
    let Some(translator) = translator else {
        return Ok(seen.out);
    };
    if !translator.finish(&mut said) && !has_failed {
        return Err(Stop::Fault(Fault::Truncated));
    }
    Ok(said.into())
}

/// A piece without content.
pub(super) fn untouched(out: Bytes) -> Seen {
    Seen {
        out,
        ..Seen::default()
    }
}

fn failed(failure: StreamFailure) -> Stop {
    Stop::Fault(Fault::Answer(failure))
}
