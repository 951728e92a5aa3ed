//! An answer that is one JSON document.
//!
//! Up to [`KEEP`] bytes the document is kept and parsed at its end. A larger one (embeddings, images)
//! is never built: its usage and model are looked for near its two ends, where providers put them.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::StreamFailure;
use super::facts::Facts;
use super::failure::{Body, Fault};
use super::figures::{Figures, Groq};
use super::lenient::{Code, Few, Maybe, Text};
use super::openai::Choice;
use super::responses::{Incomplete, end};
use super::stream::{is_json, normalised, parse};
use crate::dialect::{Endpoint, Surface};

/// The largest document that is kept and parsed, in bytes.
const KEEP: usize = 1 << 20;

/// How much of each end of a larger document is searched, in bytes.
const END: usize = 64 << 10;

/// The bytes of a document, as far as they are kept.
#[derive(Debug)]
pub(super) struct Document {
    endpoint: Endpoint,
    body: Kept,
}

#[derive(Debug)]
enum Kept {
    /// The first chunk, shared and not copied: small answers come in one.
    One(Bytes),
    Many(Vec<u8>),
    /// The document is longer than [`KEEP`]: its first bytes and a tail of at least [`END`].
    Ends {
        head: Vec<u8>,
        tail: Vec<u8>,
    },
}

/// The top level of every dialect's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    stop_reason: Text<'a>,
    #[serde(borrow)]
    code: Code<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    error: Fault<'a>,
    usage: Maybe<Figures>,
    x_groq: Maybe<Groq>,
    #[serde(borrow)]
    incomplete_details: Maybe<Incomplete<'a>>,
    #[serde(borrow)]
    choices: Few<Maybe<Choice<'a>>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
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
    pub fn new(endpoint: Endpoint) -> Document {
        Document {
            endpoint,
            body: Kept::One(Bytes::new()),
        }
    }

    pub fn push(&mut self, chunk: &Bytes) {
        match &mut self.body {
            Kept::One(first) if first.is_empty() && chunk.len() <= KEEP => *first = chunk.clone(),
            Kept::One(first) => {
                let mut all = Vec::with_capacity(first.len() + chunk.len());
                all.extend_from_slice(first);
                self.body = Kept::Many(all);
                self.push(chunk);
            }
            Kept::Many(all) if all.len() + chunk.len() <= KEEP => all.extend_from_slice(chunk),
            Kept::Many(all) => {
                all.extend_from_slice(&chunk[..chunk.len().min(END)]);
                let head = all[..all.len().min(END)].to_vec();
                let from = all.len().saturating_sub(END);
                let mut tail = all[from..].to_vec();
                add_tail(&mut tail, chunk.get(END..).unwrap_or_default());
                self.body = Kept::Ends { head, tail };
            }
            Kept::Ends { tail, .. } => add_tail(tail, chunk),
        }
    }

    /// The document has ended; judges it. `facts.complete` says that it parsed.
    pub fn finish(&mut self, facts: &mut Facts) -> Option<StreamFailure> {
        match std::mem::replace(&mut self.body, Kept::One(Bytes::new())) {
            Kept::One(body) => judge(self.endpoint, &body, facts),
            Kept::Many(body) => judge(self.endpoint, &body, facts),
            Kept::Ends { head, tail } => {
                search(self.endpoint, &head, &tail, facts);
                None
            }
        }
    }
}

fn add_tail(tail: &mut Vec<u8>, chunk: &[u8]) {
    let chunk = &chunk[chunk.len().saturating_sub(END)..];
    if tail.len() + chunk.len() > 2 * END {
        let keep = END - chunk.len();
        tail.drain(..tail.len().saturating_sub(keep));
    }
    tail.extend_from_slice(chunk);
}

fn judge(endpoint: Endpoint, body: &[u8], facts: &mut Facts) -> Option<StreamFailure> {
    let fault = match parse::<Answer<'_>>(body) {
        Ok(answer) => return read(endpoint, answer, facts),
        Err(fault) => fault,
    };
    if let Some(body) = normalised(body, &fault)
        && let Ok(answer) = parse::<Answer<'_>>(&body)
    {
        return read(endpoint, answer, facts);
    }
    if !is_json(body) {
        return Some(StreamFailure::Malformed);
    }
    facts.complete = true;
    facts.content = true;
    None
}

fn read(
    endpoint: Endpoint,
    answer: Option<Answer<'_>>,
    facts: &mut Facts,
) -> Option<StreamFailure> {
    facts.complete = true;
    let answer = answer.unwrap_or_default();
    let generated = [answer.data, answer.content, answer.output];
    let nothing = !answer.choices.present && generated.iter().all(Option::is_none);
    if nothing || answer.status.0 == "failed" {
        let mut failure = answer.error.failure();
        if failure.is_none() && (answer.object.0 == "error" || answer.kind.0 == "error") {
            failure = Body {
                code: answer.code,
                message: answer.message,
                ..Body::default()
            }
            .failure();
        }
        if failure.is_some() {
            return failure;
        }
    }
    facts.content = true;
    let Endpoint::Generate(surface) = endpoint else {
        return None;
    };
    facts.model(&answer.model);
    let figures = answer
        .usage
        .0
        .or_else(|| answer.x_groq.0.as_ref().and_then(|groq| groq.usage.0));
    note(figures, surface, facts);
    if let Some(reason) = answer.stop_reason.some() {
        facts.finish_reason(reason);
    }
    if surface == Surface::Responses {
        end(&answer.status, &answer.incomplete_details, facts);
    }
    answer.choices.iter().for_each(|choice| choice.tell(facts));
    if facts.usage.is_none() {
        for pieces in [answer.content, answer.output]
            .into_iter()
            .filter_map(|list| elements::<Piece<'_>>(Some(list?)))
        {
            pieces.iter().for_each(|piece| piece.tell(facts));
        }
    }
    None
}

fn elements<'a, T: Deserialize<'a>>(list: Option<&'a RawValue>) -> Option<Few<Maybe<T>>> {
    serde_json::from_str(list?.get()).ok()
}

fn note(figures: Option<Figures>, surface: Surface, facts: &mut Facts) {
    let prompt_only = surface == Surface::Embeddings;
    if let Some(usage) = figures.and_then(|figures| figures.usage(surface.dialect(), prompt_only)) {
        facts.report(usage, true);
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

/// Looks for model and usage near the ends of a document that was not kept.
fn search(endpoint: Endpoint, head: &[u8], tail: &[u8], facts: &mut Facts) {
    facts.complete = true;
    facts.content = true;
    let Endpoint::Generate(surface) = endpoint else {
        return;
    };
    for end in [tail, head] {
        let model = value_of::<Text<'_>>(end, b"\"model\"");
        facts.model(&model.unwrap_or_default());
        if facts.usage.is_none() {
            let figures = value_of::<Maybe<Figures>>(end, b"\"usage\"");
            note(figures.and_then(|figures| figures.0), surface, facts);
        }
    }
}

/// The value of the last such key that has one. Inside a text the key's quotes would be escaped, so
/// it cannot be found there.
fn value_of<'a, T: Deserialize<'a>>(bytes: &'a [u8], key: &[u8]) -> Option<T> {
    memchr::memmem::rfind_iter(bytes, key).find_map(|at| {
        let value = bytes[at + key.len()..]
            .trim_ascii_start()
            .strip_prefix(b":")?;
        serde_json::Deserializer::from_slice(value)
            .into_iter::<T>()
            .next()?
            .ok()
    })
}
