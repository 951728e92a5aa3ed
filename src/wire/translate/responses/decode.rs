//! Reading a stream.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::errors;
use super::super::neutral::{Delta, Event, Kind, Stop};
use super::super::sink::{Sink, object};
use super::answer::stop;
use super::items::proof;
use crate::Dialect;
use crate::report::failure::{Body, Fault, event};
use crate::report::figures::Written;
use crate::report::lenient::{Code, Maybe, Text};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    output_index: Code<'a>,
    #[serde(borrow)]
    content_index: Code<'a>,
    #[serde(borrow)]
    summary_index: Code<'a>,
    #[serde(borrow)]
    delta: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Maybe<Item<'a>>,
    #[serde(borrow)]
    part: Maybe<Part<'a>>,
    #[serde(borrow)]
    response: Maybe<Response<'a>>,
    #[serde(borrow)]
    error: Fault<'a>,
    #[serde(borrow)]
    code: Code<'a>,
    #[serde(borrow)]
    message: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    call_id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    namespace: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
    #[serde(borrow)]
    input: Text<'a>,
    #[serde(borrow)]
    encrypted_content: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    model: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    service_tier: Text<'a>,
    #[serde(borrow)]
    usage: Written<'a>,
    #[serde(borrow)]
    error: Fault<'a>,
    #[serde(borrow)]
    incomplete_details: Maybe<Incomplete<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Text<'a>,
}

/// Reads responses' events.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    started: bool,
    ended: bool,
    called: bool,
    next: u32,
    open: Vec<Open>,
}

/// An open block.
#[derive(Debug)]
struct Open {
    output: u64,
    /// The part of a message; 0 for other items.
    content: u64,
    index: u32,
    said: bool,
}

fn number(code: &Code<'_>) -> u64 {
    match code {
        Code::Number(number) => *number,
        _ => 0,
    }
}

impl Decoder {
    /// Reads one event.
    pub(crate) fn read(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) {
        if self.ended {
            return;
        }
        object(data, &mut |data| {
            let wire: Option<Wire<'_>> = serde_json::from_slice::<Maybe<Wire<'_>>>(data)?.0;
            if let Some(wire) = wire {
                self.event(&wire, name, sink);
            }
            Ok(())
        });
    }

    /// The stream has ended; whether the answer was whole.
    pub(crate) fn finish(&mut self) -> bool {
        self.ended
    }

    fn event(&mut self, wire: &Wire<'_>, name: &[u8], sink: Sink<'_>) {
        let (output, content) = (number(&wire.output_index), number(&wire.content_index));
        match &*wire.kind.0 {
            "response.output_text.delta" => {
                let at = self.block(output, content, Kind::Text, sink);
                self.text(at, &wire.delta.0, sink);
                let logprobs = wire.logprobs.map(RawValue::get);
                if let Some(list) = logprobs.filter(|list| list.starts_with('[') && list.len() > 2)
                {
                    sink(&Event::Delta(self.open[at].index, Delta::Logprobs(list)));
                }
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                if let Some(at) = self.find(output, 0) {
                    self.text(at, &wire.delta.0, sink);
                }
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                let at = self.block(output, 0, Kind::Thinking, sink);
                self.text(at, &wire.delta.0, sink);
            }
            "response.reasoning_summary_part.added" => {
                let at = self.block(output, 0, Kind::Thinking, sink);
                if number(&wire.summary_index) > 0 && self.open[at].said {
                    self.text(at, "\n\n", sink);
                }
            }
            "response.refusal.delta" => {
                let at = self.block(output, content, Kind::Refusal, sink);
                self.text(at, &wire.delta.0, sink);
            }
            "response.content_part.added" => match wire.part.0.as_ref().map(|part| &*part.kind.0) {
                Some("output_text") => drop(self.block(output, content, Kind::Text, sink)),
                Some("refusal") => drop(self.block(output, content, Kind::Refusal, sink)),
                _ => {}
            },
            "response.output_text.done" => {
                self.done(output, content, Kind::Text, &wire.text.0, sink)
            }
            "response.refusal.done" => {
                self.done(output, content, Kind::Refusal, &wire.refusal.0, sink);
            }
            "response.output_item.added" => {
                if let Some(item) = &wire.item.0 {
                    self.item(output, item, sink);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = &wire.item.0 {
                    self.item_done(output, item, sink);
                }
            }
            "response.completed" | "response.incomplete" => {
                self.start(wire, sink);
                self.stop(wire, sink);
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(wire, sink);
            }
            kind => self.failure(kind, wire, name, sink),
        }
    }

    fn failure(&mut self, kind: &str, wire: &Wire<'_>, name: &[u8], sink: Sink<'_>) {
        let told = wire
            .response
            .0
            .as_ref()
            .and_then(|response| response.error.failure());
        let failure = match kind {
            "response.failed" => told.or_else(|| Some(event(500, "response.failed", ""))),
            "error" | "" => {
                let bare = Body {
                    code: match &wire.code {
                        Code::Text(text) => Code::Text(text.as_ref().into()),
                        Code::Number(number) => Code::Number(*number),
                        Code::None => Code::None,
                    },
                    message: Text(wire.message.0.as_ref().into()),
                    ..Body::default()
                };
                wire.error.failure().or_else(|| bare.failure())
            }
            _ if name == b"error" => wire.error.failure(),
            _ => None,
        };
        if let Some(failure) = failure {
            self.ended = true;
            sink(&Event::Error(errors::of_stream(failure)));
        }
    }

    fn start(&mut self, wire: &Wire<'_>, sink: Sink<'_>) {
        let Some(response) = &wire.response.0 else {
            return;
        };
        if !std::mem::replace(&mut self.started, true) {
            sink(&Event::Start {
                id: &response.id.0,
                model: &response.model.0,
                usage: None,
                tier: response.service_tier.some().filter(|tier| *tier != "auto"),
            });
        }
    }

    fn stop(&mut self, wire: &Wire<'_>, sink: Sink<'_>) {
        for open in std::mem::take(&mut self.open) {
            sink(&Event::Close(open.index));
        }
        self.ended = true;
        let response = wire.response.0.as_ref();
        let reason = response
            .and_then(|response| response.incomplete_details.0.as_ref())
            .and_then(|details| details.reason.some());
        let status = response.map_or("completed", |response| &*response.status.0);
        let stop: Stop = stop(status, reason, self.called);
        let figures = response.and_then(|response| response.usage.figures());
        sink(&Event::Stop {
            stop,
            usage: figures.and_then(|figures| figures.usage(Dialect::OpenAi, false)),
            tier: response
                .and_then(|response| response.service_tier.some())
                .filter(|tier| *tier != "auto"),
        });
    }

    fn find(&self, output: u64, content: u64) -> Option<usize> {
        self.open
            .iter()
            .position(|open| open.output == output && open.content == content)
    }

    /// The open block at a place, or a new one.
    fn block(&mut self, output: u64, content: u64, kind: Kind<'_>, sink: Sink<'_>) -> usize {
        if let Some(at) = self.find(output, content) {
            return at;
        }
        let index = self.next;
        self.next += 1;
        sink(&Event::Open(index, kind));
        self.open.push(Open {
            output,
            content,
            index,
            said: false,
        });
        self.open.len() - 1
    }

    fn text(&mut self, at: usize, text: &str, sink: Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let open = &mut self.open[at];
        open.said = true;
        sink(&Event::Delta(open.index, Delta::Text(text)));
    }

    /// A part is whole; its text is told if no fragment of it was.
    fn done(&mut self, output: u64, content: u64, kind: Kind<'_>, text: &str, sink: Sink<'_>) {
        let at = self.block(output, content, kind, sink);
        if !self.open[at].said {
            self.text(at, text, sink);
        }
        sink(&Event::Close(self.open.remove(at).index));
    }

    fn item(&mut self, output: u64, item: &Item<'_>, sink: Sink<'_>) {
        let kind = match &*item.kind.0 {
            "function_call" | "custom_tool_call" => {
                self.called = true;
                Kind::Call {
                    id: &item.call_id.0,
                    name: &item.name.0,
                    namespace: item.namespace.some(),
                    custom: item.kind.0 == "custom_tool_call",
                }
            }
            "reasoning" => Kind::Thinking,
            _ => return,
        };
        self.block(output, 0, kind, sink);
    }

    fn item_done(&mut self, output: u64, item: &Item<'_>, sink: Sink<'_>) {
        match &*item.kind.0 {
            "function_call" | "custom_tool_call" | "reasoning" => {}
            // A message, whose parts say their ends themselves.
            _ => {
                while let Some(at) = self.open.iter().position(|open| open.output == output) {
                    sink(&Event::Close(self.open.remove(at).index));
                }
                return;
            }
        }
        self.item(output, item, sink);
        let Some(at) = self.find(output, 0) else {
            return;
        };
        if !self.open[at].said {
            match &*item.kind.0 {
                "function_call" => {
                    let text = item.arguments.some().unwrap_or("{}");
                    self.text(at, text, sink);
                }
                "custom_tool_call" => self.text(at, &item.input.0, sink),
                _ => {}
            }
        }
        let open = self.open.remove(at);
        if item.kind.0 == "reasoning" {
            let proof = proof(&item.id.0, &item.encrypted_content.0);
            sink(&Event::Delta(open.index, Delta::Proof(&proof)));
        }
        sink(&Event::Close(open.index));
    }
}
