//! How the body of an answer is looked at, piece by piece and at its end: each kind of answer in its own way.

use bytes::Bytes;

use super::across::Unfinished;
use super::numbers::Numbers;
use super::{Fault, Gathered, Masked, Stop, Translator};
use tollgate_wire::report::StreamFailure;
use tollgate_wire::tokens::{Seen, Tap};

/// See the module.
pub enum Answer {
    /// Server-sent events: commits at the first content.
    Stream {
        /// Looks at the events.
        tap: Tap,
        /// Whether only the end of the connection ends the body, so that a cut looks like an end.
        close_delimited: bool,
        /// Puts the events into the client's words, if it does not speak the provider's.
        translator: Option<Box<Translator>>,
    },
    /// A JSON document: commits when it is whole, or longer than [`HOLD_BYTES`](super::HOLD_BYTES).
    Whole(Tap),
    /// An error that will be relayed as it is, but for the credential: commits when it is whole.
    Relay(Masked),
    /// A document or an error that the client gets in its own words: commits when it is whole, however long.
    Gathered(Box<Gathered>),
}

impl Answer {
    /// What looks at it, unless it is an error.
    pub(super) fn tap(&self) -> Option<&Tap> {
        match self {
            Answer::Stream { tap, .. } | Answer::Whole(tap) => Some(tap),
            Answer::Gathered(gathered) => gathered.tap(),
            Answer::Relay(_) => None,
        }
    }

    /// What has looked at it, and what has translated its events.
    pub(super) fn into_parts(self) -> (Option<Tap>, Option<Box<Translator>>) {
        match self {
            Answer::Stream {
                tap, translator, ..
            } => (Some(tap), translator),
            Answer::Whole(tap) => (Some(tap), None),
            Answer::Gathered(gathered) => (gathered.into_tap(), None),
            Answer::Relay(_) => (None, None),
        }
    }

    /// A piece: what of it is for the client. A failure that is reported and does not stop it comes after content, where
    /// the client reads of it. `numbers` counts the events that pass untouched.
    pub(super) fn push(
        &mut self,
        data: Bytes,
        committed: bool,
        numbers: &mut Numbers,
    ) -> Result<Seen, Stop> {
        match self {
            Answer::Stream {
                tap, translator, ..
            } => stream(tap, translator.as_deref_mut(), data, committed, numbers),
            Answer::Whole(tap) => Ok(tap.feed(data)),
            Answer::Gathered(gathered) => match gathered.push(data) {
                Ok(()) => Ok(untouched(Bytes::new())),
                Err(_) => Err(failed(StreamFailure::Malformed)),
            },
            Answer::Relay(masked) => Ok(untouched(masked.push(data))),
        }
    }

    /// The end: what is left for the client. `has_failed` is whether the provider has said that it failed.
    pub(super) fn finish(&mut self, committed: bool, has_failed: bool) -> Result<Bytes, Stop> {
        match self {
            Answer::Stream {
                tap,
                close_delimited,
                translator,
            } => {
                let (translator, may_be_cut) = (translator.as_deref_mut(), *close_delimited);
                end_of_stream(tap, translator, may_be_cut, committed, has_failed)
            }
            Answer::Whole(tap) => {
                let seen = tap.finish();
                match seen.failure.filter(|_| !committed) {
                    Some(failure) => Err(failed(failure)),
                    None => Ok(seen.out),
                }
            }
            Answer::Gathered(gathered) => {
                gathered.finish().map_err(|unfinished| match unfinished {
                    Unfinished::Failed(failure) => failed(failure),
                    Unfinished::Long(translation) => Stop::Translate(translation),
                })
            }
            Answer::Relay(masked) => Ok(masked.finish()),
        }
    }
}

/// Some events.
fn stream(
    tap: &mut Tap,
    translator: Option<&mut Translator>,
    data: Bytes,
    committed: bool,
    numbers: &mut Numbers,
) -> Result<Seen, Stop> {
    let translates = translator.is_some();
    let mut translated = Vec::new();
    let mut seen = match translator {
        Some(translator) => tap.feed_each(data, |event| translator.push(event, &mut translated)),
        None => tap.feed_each(data, |event| numbers.note(event.data)),
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
    tap: &mut Tap,
    mut translator: Option<&mut Translator>,
    may_be_cut: bool,
    committed: bool,
    has_failed: bool,
) -> Result<Bytes, Stop> {
    let mut said = Vec::new();
    let seen = match &mut translator {
        Some(translator) => tap.finish_each(|event| translator.push(event, &mut said)),
        None => tap.finish(),
    };
    // A provider that said that it failed has been heard, and has nothing to add.
    let has_failed = has_failed || seen.failure.is_some();
    if !committed {
        if let Some(failure) = seen.failure {
            return Err(failed(failure));
        }
        if !seen.content && !tap.may_end() {
            return Err(Stop::Fault(Fault::Empty));
        }
    }
    if may_be_cut && !tap.may_end() {
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
