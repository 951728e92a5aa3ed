//! Reading a stream of chunks.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::errors;
use super::super::json::Fields;
use super::super::neutral::{Delta, Event, Kind, Proof, Stop};
use super::super::sink::{Sink, object};
use super::answer::stop;
use super::parts::thinking_block;
use crate::Dialect;
use crate::report::Usage;
use crate::report::failure::Fault;
use crate::report::figures::{Figures, Groq};
use crate::report::lenient::{Code, Few, Maybe, Text};

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
    #[serde(borrow)]
    error: Fault<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: Code<'a>,
    #[serde(borrow)]
    delta: Maybe<Said<'a>>,
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
    content: Text<'a>,
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    #[serde(borrow)]
    reasoning: Text<'a>,
    #[serde(borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    thinking_blocks: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Few<Maybe<Fragment<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fragment<'a> {
    #[serde(borrow)]
    index: Code<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    function: Maybe<Function<'a>>,
    #[serde(borrow)]
    custom: Maybe<Function<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
    #[serde(borrow)]
    input: Text<'a>,
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
    calls: Vec<OpenCall>,
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
}

#[derive(Debug)]
struct OpenCall {
    /// The provider's index.
    number: u64,
    id: String,
    index: u32,
    custom: bool,
    balance: Balance,
    open: bool,
}

/// Whether JSON that comes in fragments is whole.
#[derive(Debug, Default)]
struct Balance {
    depth: u32,
    begun: bool,
    string: bool,
    escape: bool,
}

impl Balance {
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' if self.string => self.escape = true,
                b'"' => self.string = !self.string,
                _ if self.string => {}
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn whole(&self) -> bool {
        self.begun && self.depth == 0
    }
}

impl Decoder {
    /// Reads one event's data.
    pub(crate) fn read(&mut self, data: &[u8], sink: Sink<'_>) {
        if self.ended {
            return;
        }
        if data.trim_ascii() == b"[DONE]" {
            self.reason.get_or_insert(Stop::Done);
            self.finish(sink);
            return;
        }
        object(data, &mut |data| {
            let chunk: Option<Chunk<'_>> = serde_json::from_slice::<Maybe<Chunk<'_>>>(data)?.0;
            if let Some(chunk) = chunk {
                self.chunk(&chunk, sink);
            }
            Ok(())
        });
    }

    /// Whether fragments of a block change nothing here; those of a call may make it whole.
    pub(crate) fn is_plain(&self, block: u32) -> bool {
        self.open.as_ref().is_some_and(|open| open.index == block)
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
            .find(|choice| !matches!(choice.index, Code::Number(1..)));
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
        if let Some(said) = &choice.delta.0 {
            let thought = said.reasoning_content.some().or(said.reasoning.some());
            if let Some(thought) = thought {
                self.text(Kind::Thinking, thought, sink);
            }
            if let Some(blocks) = said.thinking_blocks {
                self.thoughts(blocks, sink);
            }
            if let Some(text) = said.content.some() {
                self.text(Kind::Text, text, sink);
            }
            if let Some(text) = said.refusal.some() {
                self.text(Kind::Refusal, text, sink);
            }
            for (at, fragment) in said.tool_calls.iter().enumerate() {
                self.fragment(at, fragment, sink);
            }
        }
        let logprobs = choice
            .logprobs
            .0
            .as_ref()
            .and_then(|logprobs| logprobs.content);
        if let (Some(logprobs), Some(open)) = (logprobs, &self.open)
            && open.kind == Kind::Text
            && logprobs.get().starts_with('[')
        {
            sink(&Event::Delta(open.index, Delta::Logprobs(logprobs.get())));
        }
        if let Some(reason) = choice.finish_reason.some() {
            self.reason = Some(stop(reason, !self.calls.is_empty()));
            self.close(sink);
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
            }
        })
    }

    fn text(&mut self, kind: Kind<'static>, text: &str, sink: Sink<'_>) {
        let open = self.opened(kind, sink);
        open.said = true;
        let index = open.index;
        sink(&Event::Delta(index, Delta::Text(text)));
    }

    /// `thinking_blocks`, which repeat the words that came as `reasoning_content`, with their proof.
    fn thoughts(&mut self, blocks: &RawValue, sink: Sink<'_>) {
        let blocks: Vec<serde_json::Value> = serde_json::from_str(blocks.get()).unwrap_or_default();
        for block in blocks {
            let Ok(Some(thinking)) = Fields::of(block, "").and_then(thinking_block) else {
                continue;
            };
            let open = self.opened(Kind::Thinking, sink);
            let index = open.index;
            if !open.said && !thinking.text.is_empty() {
                open.said = true;
                sink(&Event::Delta(index, Delta::Text(&thinking.text)));
            }
            if thinking.proof != Proof::None {
                sink(&Event::Delta(index, Delta::Proof(&thinking.proof)));
                self.close_text(sink);
            }
        }
    }

    fn fragment(&mut self, at: usize, fragment: &Fragment<'_>, sink: Sink<'_>) {
        let custom = fragment.custom.0.is_some();
        let Some(function) = fragment.function.0.as_ref().or(fragment.custom.0.as_ref()) else {
            return;
        };
        let number = match fragment.index {
            Code::Number(number) => number,
            _ => u64::try_from(at).unwrap_or(0),
        };
        // Some providers give every call the same index, and tell them apart by their ids.
        let known = self.calls.iter().rposition(|call| call.number == number);
        let known = known.filter(|at| {
            let own = &self.calls[*at].id;
            fragment.id.is_empty() || *own == fragment.id.0
        });
        let at = match known {
            Some(at) => at,
            None => self.call(number, &fragment.id.0, &function.name.0, custom, sink),
        };
        let call = &mut self.calls[at];
        let text = if call.custom {
            &function.input
        } else {
            &function.arguments
        };
        if let (Some(text), true) = (text.some(), call.open) {
            call.balance.feed(text);
            sink(&Event::Delta(call.index, Delta::Text(text)));
        }
    }

    fn call(&mut self, number: u64, id: &str, name: &str, custom: bool, sink: Sink<'_>) -> usize {
        self.close_text(sink);
        // The calls before it are over, unless their arguments are still on their way.
        for call in &mut self.calls {
            if call.open && call.balance.whole() {
                call.open = false;
                sink(&Event::Close(call.index));
            }
        }
        let index = self.next;
        self.next += 1;
        let made = format!("call_{}", self.calls.len());
        sink(&Event::Open(
            index,
            Kind::Call {
                id: if id.is_empty() { &made } else { id },
                name,
                namespace: None,
                custom,
            },
        ));
        self.calls.push(OpenCall {
            number,
            id: id.to_owned(),
            index,
            custom,
            balance: Balance::default(),
            open: true,
        });
        self.calls.len() - 1
    }

    fn close_text(&mut self, sink: Sink<'_>) {
        if let Some(open) = self.open.take() {
            sink(&Event::Close(open.index));
        }
    }

    fn close(&mut self, sink: Sink<'_>) {
        self.close_text(sink);
        for call in &mut self.calls {
            if std::mem::take(&mut call.open) {
                if !call.balance.begun && !call.custom {
                    sink(&Event::Delta(call.index, Delta::Text("{}")));
                }
                sink(&Event::Close(call.index));
            }
        }
    }
}
