//! Reading a stream of chunks, and a whole answer as the only one.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::errors;
use super::super::json::Fields;
use super::super::neutral::{Answer, Collector, Delta, Event, Kind, Proof, Stop, Thinking};
use super::super::sink::{Sink, failed, object};
use super::answer::stop;
use super::fragments::{Calls, Fragment, Function};
use super::opaque::{Details, extra};
use super::parts::thinking_block;
use crate::Dialect;
use crate::report::Usage;
use crate::report::failure::Fault;
use crate::report::figures::{Figures, Groq};
use crate::report::lenient::{Arguments, Few, Index, Maybe, Piece, Pieces, Text};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    choices: Few<Maybe<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Maybe<Groq<'a>>,
    #[serde(borrow)]
    service_tier: Text<'a>,
    error: Fault,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: Index,
    #[serde(borrow)]
    delta: Maybe<Said<'a>>,
    #[serde(borrow)]
    message: Maybe<Said<'a>>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
    #[serde(borrow)]
    logprobs: Maybe<Logprobs<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logprobs<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    content: Pieces<'a>,
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    #[serde(borrow)]
    reasoning: Text<'a>,
    #[serde(borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    thinking_blocks: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    extra_content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Few<Maybe<Fragment<'a>>>,
    /// The only call of a model of 2023.
    #[serde(borrow)]
    function_call: Maybe<Function<'a>>,
}

/// Reads chunks into events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    started: bool,
    ended: bool,
    /// The next block's index.
    next: u32,
    /// The text, refusal or thinking that is open.
    open: Option<Open>,
    calls: Calls,
    reason: Option<Stop>,
    usage: Option<Usage>,
    tier: Option<String>,
}

#[derive(Debug)]
struct Open {
    index: u32,
    kind: Kind<'static>,
    /// Whether any text of it has come.
    said: bool,
    /// What proves a thought.
    details: Details,
}

impl Decoder {
    /// Reads one event.
    pub(crate) fn read(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) {
        if self.ended {
            return;
        }
        if name == b"error" {
            self.ended = failed(name, data, sink);
            return;
        }
        if data.trim_ascii() == b"[DONE]" {
            let calls = !self.calls.is_empty();
            self.reason.get_or_insert_with(|| stop("", calls));
            self.finish(sink);
            return;
        }
        let mut answers = false;
        object(data, &mut |data| {
            let chunk: Option<Chunk<'_>> = serde_json::from_slice::<Maybe<Chunk<'_>>>(data)?.0;
            if let Some(chunk) = chunk {
                answers = chunk.choices.present || chunk.usage.is_some();
                self.chunk(&chunk, sink);
            }
            Ok(())
        });
        if !answers && !self.ended {
            self.ended = failed(name, data, sink);
        }
    }

    /// Reads a whole answer; says whether it is one.
    pub(crate) fn whole(&mut self, body: &[u8], sink: Sink<'_>) -> bool {
        object(body, &mut |body| {
            let chunk: Option<Chunk<'_>> = serde_json::from_slice::<Maybe<Chunk<'_>>>(body)?.0;
            let Some(mut chunk) = chunk else {
                return Ok(());
            };
            let is_answer = |choice: &Choice<'_>| {
                let said = choice.message.0.is_some() || choice.delta.0.is_some();
                said || !choice.text.is_empty() || !choice.finish_reason.is_empty()
            };
            if chunk.choices.iter().any(is_answer) {
                // What an answer says beside an error counts.
                chunk.error = Fault::default();
                self.chunk(&chunk, sink);
                let calls = !self.calls.is_empty();
                self.reason.get_or_insert_with(|| stop("", calls));
            }
            Ok(())
        });
        self.finish(sink)
    }

    /// Whether fragments of a block change nothing here; those of a call may make it whole.
    pub(crate) fn is_plain(&self, block: u32) -> bool {
        let plain = |open: &Open| open.index == block && open.details.is_empty();
        self.open.as_ref().is_some_and(plain)
    }

    /// The stream has ended: says so if the answer was whole.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> bool {
        if self.ended {
            return true;
        }
        let Some(stop) = self.reason.take() else {
            return false;
        };
        self.close(sink);
        self.ended = true;
        sink(&Event::Stop {
            stop,
            usage: self.usage,
            tier: self.tier.as_deref(),
        });
        true
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, sink: Sink<'_>) {
        if let Some(failure) = chunk.error.failure() {
            self.ended = true;
            sink(&Event::Error(errors::of_stream(failure)));
            return;
        }
        if let Some(tier) = chunk.service_tier.some() {
            self.tier.get_or_insert_with(|| tier.to_owned());
        }
        let choice = chunk
            .choices
            .iter()
            .find(|choice| !matches!(choice.index, Index(Some(1..))));
        if !self.started && (choice.is_some() || !chunk.model.is_empty()) {
            self.started = true;
            sink(&Event::Start {
                id: &chunk.id.0,
                model: &chunk.model.0,
                usage: None,
                tier: self.tier.as_deref(),
            });
        }
        if let Some(choice) = choice {
            self.choice(choice, sink);
        }
        let figures = chunk
            .usage
            .and_then(|usage| Figures::of(usage.get().as_bytes()));
        let groq = || chunk.x_groq.0.as_ref()?.usage.figures();
        if let Some(figures) = figures.or_else(groq) {
            self.usage = figures.usage(Dialect::OpenAi, false).or(self.usage);
        }
    }

    fn choice(&mut self, choice: &Choice<'_>, sink: Sink<'_>) {
        let logprobs = choice.logprobs.0.as_ref();
        let logprobs = logprobs.and_then(|logprobs| logprobs.content);
        // Behind fragments, a message says again what they said.
        let message = choice.message.0.as_ref().filter(|_| self.next == 0);
        if let Some(said) = &choice.delta.0 {
            self.said(said, false, logprobs, sink);
        } else if let Some(text) = choice.text.some() {
            self.text(Kind::Text, text, sink);
        }
        if let Some(said) = message {
            self.said(said, true, logprobs, sink);
        }
        if let Some(reason) = choice.finish_reason.some() {
            self.reason = Some(stop(reason, !self.calls.is_empty()));
            self.close(sink);
        }
    }

    fn said(&mut self, said: &Said<'_>, whole: bool, logprobs: Option<&RawValue>, sink: Sink<'_>) {
        let blocks = said.thinking_blocks.map(thoughts).unwrap_or_default();
        let thought = said.reasoning_content.some().or(said.reasoning.some());
        let thought = thought.filter(|_| !whole || blocks.is_empty());
        if let Some(details) = said.reasoning_details.filter(|_| blocks.is_empty()) {
            self.details(details, thought, sink);
        } else if let Some(thought) = thought {
            self.text(Kind::Thinking, thought, sink);
        }
        for thinking in &blocks {
            self.thinking(thinking, whole, sink);
        }
        said.content.each(|piece| match piece {
            Piece::Text("") => {}
            Piece::Text(text) => self.text(Kind::Text, text, sink),
            Piece::Part(part) => {
                let kind = match part.get("type").and_then(serde_json::Value::as_str) {
                    Some("thinking" | "reasoning") => Kind::Thinking,
                    Some("refusal") => Kind::Refusal,
                    _ => Kind::Text,
                };
                let text = piece.text();
                if !text.is_empty() {
                    self.text(kind, &text, sink);
                }
            }
        });
        if let (Some(logprobs), Some(open)) = (logprobs, &self.open)
            && open.kind == Kind::Text
            && logprobs.get().starts_with('[')
        {
            sink(&Event::Delta(open.index, Delta::Logprobs(logprobs.get())));
        }
        if let Some(text) = said.refusal.some() {
            self.text(Kind::Refusal, text, sink);
        }
        if said.tool_calls.first.is_some() || said.function_call.0.is_some() {
            self.close_text(sink);
        }
        for (at, fragment) in said.tool_calls.iter().enumerate() {
            self.calls.read(at, fragment, whole, &mut self.next, sink);
        }
        if let Some(Function {
            name, arguments, ..
        }) = &said.function_call.0
        {
            let fragment = Fragment {
                name: Text(name.0.as_ref().into()),
                arguments: Arguments(arguments.0.as_ref().into()),
                ..Fragment::default()
            };
            self.calls.read(0, &fragment, whole, &mut self.next, sink);
        }
        extra(None, said.extra_content, &mut self.next, sink);
    }

    /// The block of `kind` that is open, or a new one.
    fn opened(&mut self, kind: Kind<'static>, sink: Sink<'_>) -> &mut Open {
        if self.open.as_ref().is_some_and(|open| open.kind != kind) {
            self.close_text(sink);
        }
        let next = &mut self.next;
        self.open.get_or_insert_with(|| {
            let index = *next;
            *next += 1;
            sink(&Event::Open(index, kind));
            Open {
                index,
                kind,
                said: false,
                details: Details::default(),
            }
        })
    }

    fn text(&mut self, kind: Kind<'static>, text: &str, sink: Sink<'_>) {
        let open = self.opened(kind, sink);
        open.said = true;
        let index = open.index;
        sink(&Event::Delta(index, Delta::Text(text)));
    }

    /// `reasoning_details`, which prove the words beside them, or have them.
    fn details(&mut self, details: &RawValue, thought: Option<&str>, sink: Sink<'_>) {
        let details = Details::of(serde_json::from_str(details.get()).ok().as_ref());
        if thought.is_none() && details.is_empty() {
            return;
        }
        let words = details.words();
        let words = thought.unwrap_or(&words);
        let open = self.opened(Kind::Thinking, sink);
        open.details.add(details);
        if !words.is_empty() {
            open.said = true;
            let index = open.index;
            sink(&Event::Delta(index, Delta::Text(words)));
        }
    }

    /// One of `thinking_blocks`, which repeat the words that came as `reasoning_content`, with their proof.
    fn thinking(&mut self, thinking: &Thinking, whole: bool, sink: Sink<'_>) {
        let open = self.opened(Kind::Thinking, sink);
        let index = open.index;
        if !open.said && !thinking.text.is_empty() {
            open.said = true;
            sink(&Event::Delta(index, Delta::Text(&thinking.text)));
        }
        if thinking.proof != Proof::None {
            sink(&Event::Delta(index, Delta::Proof(&thinking.proof)));
        }
        if whole || thinking.proof != Proof::None {
            self.close_text(sink);
        }
    }

    fn close_text(&mut self, sink: Sink<'_>) {
        if let Some(open) = self.open.take() {
            if let Some(proof) = open.details.proof() {
                sink(&Event::Delta(open.index, Delta::Proof(&proof)));
            }
            sink(&Event::Close(open.index));
        }
    }

    fn close(&mut self, sink: Sink<'_>) {
        self.close_text(sink);
        self.calls.close(sink);
    }
}

fn thoughts(blocks: &RawValue) -> Vec<Thinking> {
    let blocks: Vec<serde_json::Value> = serde_json::from_str(blocks.get()).unwrap_or_default();
    let read = |block| {
        Fields::of(block, "")
            .and_then(thinking_block)
            .ok()
            .flatten()
    };
    blocks.into_iter().filter_map(read).collect()
}

/// Reads an answer; `None` if it is none.
pub(crate) fn read_answer(body: &[u8]) -> Option<Answer> {
    let mut answer = Collector::default();
    Decoder::default().whole(body, &mut |event| answer.take(event));
    answer.finish()
}
