//! Reading a stream of chunks, and a whole answer as the only one.

use super::super::errors;
use super::super::json::Fields;
use super::super::neutral::{
    Answer, Collector, Delta, Event, Kind, MOST_PARTS, Proof, Stop, Thinking,
};
use super::super::sink::{Sink, failed, is_over};
use super::answer::stop;
use super::calls::Calls;
use super::opaque::{Details, extra};
use super::parts::thinking_block;
use crate::Dialect;
use crate::payload::chat::{self, Choice, Chunk, Function, Logprobs, ToolCall};
use crate::report::Usage;
use crate::report::failure::Fault;
use crate::report::figures::Figures;
use crate::report::lenient::{Content, Index, Maybe, Piece, Raw, Text, object, parse};

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
        if is_over(&mut self.ended, name, data, sink) {
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
            if let Some(chunk) = parse::<Chunk<'_>>(data)? {
                answers = chunk.choices.present || chunk.usage.0.is_some();
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
            let Some(mut chunk) = parse::<Chunk<'_>>(body)? else {
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
        let groq = || Figures::of(chunk.x_groq.0.as_ref()?.usage);
        if let Some(figures) = Figures::of(chunk.usage).or_else(groq) {
            self.usage = figures.usage(Dialect::OpenAi, false).or(self.usage);
        }
    }

    fn choice(&mut self, choice: &Choice<'_>, sink: Sink<'_>) {
        let logprobs: Maybe<Logprobs<'_>> = choice.logprobs.read();
        let logprobs = logprobs.0.unwrap_or_default().content;
        // Behind fragments, a message says again what they said.
        let message = choice.message.0.as_deref().filter(|_| self.next == 0);
        if let Some(delta) = &choice.delta.0 {
            self.delta(delta, false, logprobs, sink);
        } else if let Some(text) = choice.text.some() {
            self.text(Kind::Text, text, sink);
        }
        if let Some(message) = message {
            self.delta(message, true, logprobs, sink);
        }
        if let Some(reason) = choice.finish_reason.some() {
            self.reason = Some(stop(reason, !self.calls.is_empty()));
            self.close(sink);
        }
    }

    /// Reads a fragment, or a `whole` message.
    fn delta(&mut self, delta: &chat::Delta<'_>, whole: bool, logprobs: Raw<'_>, sink: Sink<'_>) {
        self.thoughts(delta, whole, sink);
        delta.content.each(|piece| self.content(piece, sink));
        if let (Some(logprobs), Some(open)) = (logprobs.list(), &self.open)
            && open.kind == Kind::Text
        {
            sink(&Event::Delta(open.index, Delta::Logprobs(logprobs)));
        }
        if let Some(text) = delta.refusal.some() {
            self.text(Kind::Refusal, text, sink);
        }
        self.calls(delta, whole, sink);
        extra(None, delta.extra_content, &mut self.next, sink);
    }

    /// Reads what was thought, in whichever of the members that have it.
    fn thoughts(&mut self, delta: &chat::Delta<'_>, whole: bool, sink: Sink<'_>) {
        let blocks = thoughts(delta.thinking_blocks);
        let thought = delta.thought().some();
        let thought = thought.filter(|_| !whole || blocks.is_empty());
        if delta.reasoning_details.0.is_some() && blocks.is_empty() {
            self.details(delta.reasoning_details, thought, sink);
        } else if let Some(thought) = thought {
            self.text(Kind::Thinking, thought, sink);
        }
        for thinking in blocks.iter().take(MOST_PARTS + 1) {
            self.thinking(thinking, whole, sink);
        }
    }

    fn content(&mut self, piece: Piece<'_>, sink: Sink<'_>) {
        match piece {
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
        }
    }

    fn calls(&mut self, delta: &chat::Delta<'_>, whole: bool, sink: Sink<'_>) {
        if delta.tool_calls.first.is_some() || delta.function_call.0.is_some() {
            self.close_text(sink);
        }
        for (at, call) in delta.tool_calls.iter().take(MOST_PARTS + 1).enumerate() {
            self.calls.read(at, call, whole, &mut self.next, sink);
        }
        if let Some(Function {
            name, arguments, ..
        }) = delta.function_call.0.as_deref()
        {
            let call = ToolCall {
                name: Text(name.0.as_ref().into()),
                arguments: Content::Text(Text(arguments.arguments())),
                ..ToolCall::default()
            };
            self.calls.read(0, &call, whole, &mut self.next, sink);
        }
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
    fn details(&mut self, details: Raw<'_>, thought: Option<&str>, sink: Sink<'_>) {
        let details = Details(details.read());
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

fn thoughts(blocks: Raw<'_>) -> Vec<Thinking> {
    let blocks: Vec<serde_json::Value> = blocks.read();
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
