//! An answer that is one JSON document.
//!
//! Up to [`KEEP`] bytes the document is kept and parsed at its end. A larger one (embeddings, images)
//! is never built: its usage and model are looked for near its two ends, where providers put them.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::facts::Facts;
use super::openai::Choice;
use super::responses::end;
use super::stream::is_json;
use crate::report::StreamFailure;
use crate::report::failure::{Body, Fault};
use crate::report::figures::{Figures, Groq, Written};
use crate::report::lenient::{Code, Few, Maybe, Text};
use crate::{Endpoint, Surface, skip};

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

/// The top level of every dialect's answer, as JSON that is read only where it is needed.
#[derive(Debug, Default)]
struct Answer<'a> {
    model: Raw<'a>,
    kind: Raw<'a>,
    object: Raw<'a>,
    status: Raw<'a>,
    stop_reason: Raw<'a>,
    code: Raw<'a>,
    message: Raw<'a>,
    error: Raw<'a>,
    usage: Raw<'a>,
    x_groq: Raw<'a>,
    incomplete_details: Raw<'a>,
    choices: Raw<'a>,
    /// Of the last choice that has one.
    finish_reason: Raw<'a>,
    data: Raw<'a>,
    content: Raw<'a>,
    output: Raw<'a>,
}

/// A member's value; `None` if there is no such member, or it is `null`.
#[derive(Clone, Copy, Debug, Default)]
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> Raw<'a> {
    fn of(json: &'a [u8]) -> Raw<'a> {
        Raw((json != b"null").then_some(json))
    }

    /// The value as what it should be; the default if it is something else.
    fn read<T: Deserialize<'a> + Default>(self) -> T {
        let read = |json| serde_json::from_slice(json).ok();
        self.0.and_then(read).unwrap_or_default()
    }

    /// The elements that are objects.
    fn elements<T: Deserialize<'a>>(self) -> Few<Maybe<T>> {
        self.read()
    }
}

impl<'a> Answer<'a> {
    /// Finds what is looked at; `None` if the body is not one JSON object. Of a key given twice the last
    /// one counts.
    fn of(body: &'a [u8]) -> Option<Answer<'a>> {
        let mut answer = Answer::default();
        let end = skip::object(body, skip::space(body, 0), |key, at| {
            let end = match key {
                b"choices" => choices(body, at, &mut answer.finish_reason)?,
                _ => skip::value(body, at)?,
            };
            let place = match key {
                b"model" => &mut answer.model,
                b"type" => &mut answer.kind,
                b"object" => &mut answer.object,
                b"status" => &mut answer.status,
                b"stop_reason" => &mut answer.stop_reason,
                b"code" => &mut answer.code,
                b"message" => &mut answer.message,
                b"error" => &mut answer.error,
                b"usage" => &mut answer.usage,
                b"x_groq" => &mut answer.x_groq,
                b"incomplete_details" => &mut answer.incomplete_details,
                b"choices" => &mut answer.choices,
                b"data" => &mut answer.data,
                b"content" => &mut answer.content,
                b"output" => &mut answer.output,
                _ => return Ok(end),
            };
            *place = Raw::of(&body[at..end]);
            Ok(end)
        });
        let whole = end.and_then(|end| skip::nothing(body, end));
        whole.ok().map(|()| answer)
    }
}

/// The index after the choices at `at`; `reason` becomes why the last one that says so ended.
fn choices<'a>(body: &'a [u8], at: usize, reason: &mut Raw<'a>) -> Result<usize, skip::Fault> {
    *reason = Raw(None);
    if body.get(at) != Some(&b'[') {
        return skip::value(body, at);
    }
    skip::array(body, at, |at| {
        if body.get(at) != Some(&b'{') {
            return skip::value(body, at);
        }
        skip::object(body, at, |key, at| {
            let end = skip::value(body, at)?;
            if key == b"finish_reason" && !matches!(&body[at..end], b"null" | b"\"\"") {
                *reason = Raw(Some(&body[at..end]));
            }
            Ok(end)
        })
    })
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
            body: Kept::One(Bytes::new()),
        }
    }

    pub(super) fn push(&mut self, chunk: &Bytes) {
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
    pub(super) fn finish(&mut self, facts: &mut Facts) -> Option<StreamFailure> {
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
    let text = simdutf8::basic::from_utf8(body).is_ok();
    if let Some(answer) = Answer::of(body).filter(|_| text) {
        return read(endpoint, &answer, facts);
    }
    // JSON of another kind, or deeper than is looked into, is an answer all the same.
    if !is_json(body) {
        return Some(StreamFailure::Malformed);
    }
    facts.complete = true;
    facts.content = true;
    None
}

fn read(endpoint: Endpoint, answer: &Answer<'_>, facts: &mut Facts) -> Option<StreamFailure> {
    facts.complete = true;
    let generated = [answer.data, answer.content, answer.output, answer.choices];
    let nothing = generated.iter().all(|list| list.0.is_none());
    let status = answer.status.read::<Text<'_>>();
    if nothing || status.0 == "failed" {
        let mut failure = answer.error.read::<Fault<'_>>().failure();
        let says = |raw: Raw<'_>| raw.read::<Text<'_>>().0 == "error";
        if failure.is_none() && (says(answer.object) || says(answer.kind)) {
            failure = Body {
                code: answer.code.read::<Code<'_>>(),
                message: answer.message.read::<Text<'_>>(),
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
    facts.model(&answer.model.read());
    let groq = || answer.x_groq.read::<Maybe<Groq<'_>>>().0?.usage.figures();
    let figures = answer.usage.0.and_then(Figures::of).or_else(groq);
    note(figures, surface, facts);
    if let Some(reason) = answer.stop_reason.read::<Text<'_>>().some() {
        facts.finish_reason(reason);
    }
    if surface == Surface::Responses {
        end(&status, &answer.incomplete_details.read(), facts);
    }
    // Texts are read only where they must be counted: most of an answer is text.
    if facts.usage_final() {
        if let Some(reason) = answer.finish_reason.read::<Text<'_>>().some() {
            facts.finish_reason(reason);
        }
    } else {
        for choice in answer.choices.elements::<Choice<'_>>().iter() {
            choice.tell(facts);
        }
        for pieces in [answer.content, answer.output] {
            pieces
                .elements::<Piece<'_>>()
                .iter()
                .for_each(|piece| piece.tell(facts));
        }
    }
    None
}

fn note(figures: Option<Figures>, surface: Surface, facts: &mut Facts) {
    let prompt_only = surface == Surface::Embeddings;
    let Some(figures) = figures else { return };
    facts.serve_all(&figures);
    if let Some(usage) = figures.usage(surface.dialect(), prompt_only) {
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
        if facts.reported().is_none() {
            let usage = value_of::<Written<'_>>(end, b"\"usage\"");
            note(usage.and_then(Written::figures), surface, facts);
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
