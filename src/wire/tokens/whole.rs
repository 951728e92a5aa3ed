//! An answer that is one JSON document, of any size.
//!
//! Its bytes are looked at as they pass, and only what is looked at is kept (see [`extract`](super::extract)). What a
//! document that breaks off has said counts like what a stream has said: the client has it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::extract::{End, Extract, Kept};
use super::facts::Facts;
use super::{chat, responses};
use crate::payload::chat::{Choice, Groq};
use crate::payload::responses::{Incomplete, Item};
use crate::report::StreamFailure;
use crate::report::failure;
use crate::report::failure::Fault;
use crate::report::figures::Figures;
use crate::report::lenient::{Few, Index, Maybe, Raw, Text};
use crate::{Endpoint, Surface};

/// A document, as far as it has passed.
#[derive(Debug)]
pub(super) struct Document {
    endpoint: Endpoint,
    /// `None` once it has ended.
    extract: Option<Extract>,
}

/// A content block of a message, or an output item of a response.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Piece<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Text<'a>,
    #[serde(borrow)]
    content: Text<'a>,
}

impl Document {
    pub(super) fn new(endpoint: Endpoint) -> Document {
        Document {
            endpoint,
            extract: Some(Extract::default()),
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        if let Some(extract) = &mut self.extract {
            extract.push(chunk);
        }
    }

    /// The document has ended; judges it. `facts.complete` says that it parsed.
    pub(super) fn finish(&mut self, facts: &mut Facts) -> Option<StreamFailure> {
        judge(self.endpoint, &self.extract.take()?.finish(), facts)
    }
}

/// Judges what was kept of a document.
pub(super) fn judge(endpoint: Endpoint, kept: &Kept, facts: &mut Facts) -> Option<StreamFailure> {
    if kept.end == End::Whole && kept.is_object {
        return read(endpoint, kept, facts);
    }
    if let Endpoint::Generate(surface) = endpoint {
        tell(surface, kept, facts);
        let says_more = !matches!(kept.end, End::Cut | End::Empty);
        if facts.reported().is_none() && says_more && surface != Surface::Embeddings {
            facts.unread = kept.length.saturating_sub(facts.text.len());
        }
    }
    // JSON of another kind, or deeper than is looked into, is an answer all the same.
    let is_answer = matches!(kept.end, End::Whole | End::Deep);
    facts.complete = is_answer;
    facts.content = is_answer;
    (!is_answer).then_some(StreamFailure::Malformed)
}

/// Judges an object.
fn read(endpoint: Endpoint, kept: &Kept, facts: &mut Facts) -> Option<StreamFailure> {
    facts.complete = true;
    let raw = |name| Raw(kept.value(name));
    let generated = ["data", "content", "output", "choices"];
    let nothing = !generated.iter().any(|name| kept.has(name));
    let failure = match raw("status").read::<Text<'_>>().some() {
        Some("failed") => raw("error").read::<Fault>().failure(),
        _ => None,
    };
    let told = || failure::of_document(&kept.document());
    let failure = failure.or_else(|| nothing.then(told).flatten());
    if failure.is_some() {
        return failure;
    }
    match endpoint {
        Endpoint::Generate(surface) => tell(surface, kept, facts),
        Endpoint::CountTokens if raw("input_tokens").read::<Index>().0.is_none() => {
            return Some(StreamFailure::Malformed);
        }
        Endpoint::CountTokens => {}
    }
    facts.content = true;
    None
}

/// Tells what a generated answer says, as far as it was kept.
fn tell(surface: Surface, kept: &Kept, facts: &mut Facts) {
    let raw = |name| Raw(kept.value(name));
    facts.model(&raw("model").read());
    let groq = || Figures::of(raw("x_groq").read::<Maybe<Groq<'_>>>().0?.usage);
    facts.serve(&raw("service_tier").read());
    if let Some(mut figures) = Figures::of(raw("usage")).or_else(groq) {
        figures.tools(raw("tool_usage"));
        note(&figures, surface, facts);
    }
    if let Some(reason) = raw("stop_reason").read::<Text<'_>>().some() {
        facts.finish_reason(reason);
    }
    if surface == Surface::Responses {
        let (status, details): (Text<'_>, Maybe<Incomplete<'_>>) =
            (raw("status").read(), raw("incomplete_details").read());
        responses::tell_end(&status.0, Incomplete::reason_of(&details), facts);
    }
    if let Some(reason) = Raw(kept.finish_reason()).read::<Text<'_>>().some() {
        facts.finish_reason(reason);
    }
    if kept.tools && surface == Surface::Responses {
        let items = raw("output").read::<Few<Maybe<Item<'_>>>>();
        items
            .iter()
            .for_each(|item| responses::tell_tool(item, facts));
    }
    // Texts are read only where they must be counted: most of an answer is text.
    let reported = facts.reported();
    if reported.is_none_or(|report| report.usage.output() == 0) {
        count(surface, kept, facts);
    }
}

fn note(figures: &Figures, surface: Surface, facts: &mut Facts) {
    let prompt_only = surface == Surface::Embeddings;
    facts.serve_all(figures);
    if let Some(usage) = figures.usage(surface.dialect(), prompt_only) {
        facts.report(usage, true);
    }
}

/// Reads the texts; where there are none, what was generated is only measured.
fn count(surface: Surface, kept: &Kept, facts: &mut Facts) {
    let raw = |name| Raw(kept.value(name));
    for choice in raw("choices").read::<Few<Maybe<Choice<'_>>>>().iter() {
        chat::tell_choice(choice, facts);
    }
    for pieces in ["content", "output"] {
        let pieces = raw(pieces).read::<Few<Maybe<Piece<'_>>>>();
        pieces.iter().for_each(|piece| piece.tell(facts));
    }
    if facts.text.len() == 0 {
        let measured = facts.reported().is_none() && surface != Surface::Embeddings;
        facts.unread = if measured { kept.measure() } else { 0 };
    } else if matches!(kept.end, End::Whole | End::Cut) {
        facts.text.beyond += kept.cut();
    }
}

impl Piece<'_> {
    fn tell(&self, facts: &mut Facts) {
        for text in [
            &self.thinking,
            &self.summary,
            &self.content,
            &self.text,
            &self.refusal,
            &self.name,
            &self.arguments,
        ] {
            facts.text(text);
        }
        if let Some(input) = self.input {
            facts.text.push(input.get());
        }
    }
}
